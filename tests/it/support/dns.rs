//! A name server that knows one service, on 127.0.0.1.

use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};

/// Priority, weight and port of each record.
type Records = Vec<(u16, u16, u16)>;

/// Answers every question for service records with these, whose target is at 127.0.0.1.
pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    records: Arc<Mutex<Records>>,
}

impl NameServer {
    pub(crate) fn start(records: Records) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let address = socket.local_addr().expect("an address");
        let records = Arc::new(Mutex::new(records));
        let known = records.clone();
        std::thread::spawn(move || {
            let mut question = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut question) {
                let known = known.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let _ = socket.send_to(&answer(&question[..length], &known), from);
            }
        });
        Self { address, records }
    }

    pub(crate) fn set(&self, records: Records) {
        *self.records.lock().unwrap_or_else(PoisonError::into_inner) = records;
    }
}

/// The answer, whose records refer to the name of the question (RFC 1035, 4.1.4).
fn answer(question: &[u8], known: &[(u16, u16, u16)]) -> Vec<u8> {
    const ADDRESS: u16 = 1;
    const SERVICE: u16 = 33;
    let kind = u16::from_be_bytes([question[question.len() - 4], question[question.len() - 3]]);
    let data: Vec<Vec<u8>> = match kind {
        ADDRESS => vec![vec![127, 0, 0, 1]],
        SERVICE => {
            let numbers =
                |(priority, weight, port): &(u16, u16, u16)| [*priority, *weight, *port].map(u16::to_be_bytes);
            known.iter().map(|record| [&numbers(record).concat()[..], b"\x04here\x00"].concat()).collect()
        }
        _ => Vec::new(),
    };
    let mut answer = question.to_vec();
    answer[2] |= 0x80;
    answer[6..8].copy_from_slice(&(data.len() as u16).to_be_bytes());
    for data in data {
        answer.extend_from_slice(&[0xc0, 12]);
        answer.extend_from_slice(&[kind, 1, 0, 5, data.len() as u16].map(u16::to_be_bytes).concat());
        answer.extend_from_slice(&data);
    }
    answer
}
