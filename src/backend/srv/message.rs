//! Messages of the DNS (RFC 1035, 4): one question, and its answers. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QTYPE, RCODE, TYPE, header_buffer};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordType {
    Ipv4,
    Ipv6,
    Service,
}

/// A question as it is sent.
#[derive(Debug)]
pub(super) struct Question {
    id: u16,
    name: String,
    kind: QTYPE,
    bytes: Vec<u8>,
}

/// What a server answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Of what was asked for; others are left out.
    Records(Vec<Record>),
    NoSuchName,
    /// It is longer than what fits in a datagram.
    Truncated,
    /// The server could not answer, or its answer is malformed.
    Failed,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Record {
    Address(IpAddr),
    /// Priority, weight, port and target; an empty target is the root.
    Service(u16, u16, u16, String),
}

impl Record {
    fn new(data: &RData<'_>) -> Option<Self> {
        Some(match data {
            RData::A(it) => Self::Address(Ipv4Addr::from(it.address).into()),
            RData::AAAA(it) => Self::Address(Ipv6Addr::from(it.address).into()),
            RData::SRV(it) => Self::Service(it.priority, it.weight, it.port, it.target.to_string()),
            _ => return None,
        })
    }

    pub(super) fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Address(ip) => Some(*ip),
            Self::Service(..) => None,
        }
    }

    pub(super) fn service(&self) -> Option<(u16, u16, u16, &str)> {
        match self {
            Self::Service(priority, weight, port, target) => Some((*priority, *weight, *port, target)),
            Self::Address(_) => None,
        }
    }
}

impl Question {
    /// `None` where the text is no name.
    pub(super) fn new(id: u16, name: &str, kind: RecordType) -> Option<Self> {
        let name = name.strip_suffix('.').unwrap_or(name);
        if name.split('.').any(str::is_empty) {
            return None;
        }
        let kind = QTYPE::TYPE(match kind {
            RecordType::Ipv4 => TYPE::A,
            RecordType::Ipv6 => TYPE::AAAA,
            RecordType::Service => TYPE::SRV,
        });
        let mut query = Packet::new_query(id);
        query.set_flags(PacketFlag::RECURSION_DESIRED);
        query.questions.push(simple_dns::Question::new(Name::new(name).ok()?, kind, CLASS::IN.into(), false));
        Some(Self { id, name: name.to_owned(), kind, bytes: query.build_bytes_vec().ok()? })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What this message answers; `None` where it answers another question.
    pub(super) fn answer(&self, message: &[u8]) -> Option<Answer> {
        let has = |flag| header_buffer::has_flags(message, flag).unwrap_or(false);
        if header_buffer::id(message).ok()? != self.id || !has(PacketFlag::RESPONSE) {
            return None;
        }
        if has(PacketFlag::TRUNCATION) {
            return Some(Answer::Truncated);
        }
        let Ok(reply) = Packet::parse(message) else { return Some(Answer::Failed) };
        let [asked] = &reply.questions[..] else { return None };
        // Servers may write the name in another case.
        if asked.qtype != self.kind || !asked.qname.to_string().eq_ignore_ascii_case(&self.name) {
            return None;
        }
        Some(match reply.rcode() {
            RCODE::NoError => {
                let records = reply.answers.iter().filter(|it| it.class == CLASS::IN && it.match_qtype(self.kind));
                Answer::Records(records.filter_map(|it| Record::new(&it.rdata)).collect())
            }
            RCODE::NameError => Answer::NoSuchName,
            _ => Answer::Failed,
        })
    }
}

/// A scripted server's side.
#[cfg(test)]
pub(super) mod testing {
    use super::*;

    /// Bytes of a message's head.
    pub(super) const HEAD: usize = 12;

    /// The class of the Internet.
    const INTERNET: u16 = 1;

    /// The data of a record.
    pub(in crate::backend::srv) enum RData {
        Ipv4([u8; 4]),
        Ipv6([u8; 16]),
        Alias(String),
        Service(u16, u16, u16, String),
    }

    /// The answer to a question, with its names compressed where they can be.
    pub(in crate::backend::srv) fn reply(
        question: &[u8],
        cut: bool,
        script: fn(&str, u16) -> Option<Vec<RData>>,
    ) -> Option<Vec<u8>> {
        let asked = Packet::parse(question).ok()?.questions.pop()?;
        let records = script(&asked.qname.to_string(), u16::from(asked.qtype))?;
        let mut answer = question.to_vec();
        answer[2] |= 0x80 | if cut { 2 } else { 0 };
        if cut {
            return Some(answer);
        }
        answer[6..8].copy_from_slice(&u16::try_from(records.len()).ok()?.to_be_bytes());
        for record in records {
            let (kind, data) = match record {
                RData::Ipv4(ip) => (1_u16, ip.to_vec()),
                RData::Ipv6(ip) => (28, ip.to_vec()),
                RData::Alias(to) => (5, labels(&to)),
                RData::Service(priority, weight, port, target) => {
                    let numbers = [priority, weight, port].map(u16::to_be_bytes).concat();
                    (33, [numbers, labels(&target)].concat())
                }
            };
            // The name of the question, by reference.
            answer.extend_from_slice(&[0xc0, HEAD as u8]);
            answer.extend_from_slice(&[kind.to_be_bytes(), INTERNET.to_be_bytes()].concat());
            answer.extend_from_slice(&[0, 0, 0, 5]);
            answer.extend_from_slice(&u16::try_from(data.len()).ok()?.to_be_bytes());
            answer.extend_from_slice(&data);
        }
        Some(answer)
    }

    fn labels(name: &str) -> Vec<u8> {
        let label = |label: &str| [&[label.len() as u8][..], label.as_bytes()].concat();
        let labels = name.split('.').filter(|it| !it.is_empty()).flat_map(label);
        labels.chain([0]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{HEAD, RData, reply};
    use super::*;

    fn services(_: &str, _: u16) -> Option<Vec<RData>> {
        Some(vec![RData::Service(1, 2, 3, "a.example.org".to_owned()), RData::Ipv4([1, 2, 3, 4])])
    }

    #[test]
    fn an_answer_is_of_the_question_that_was_asked() {
        let question = Question::new(7, "_x._tcp.example.org.", RecordType::Service).expect("a name");
        let answer = reply(question.bytes(), false, services).expect("an answer");
        let expected = Answer::Records(vec![Record::Service(1, 2, 3, "a.example.org".to_owned())]);
        assert_eq!(question.answer(&answer), Some(expected));
        for other in [
            Question::new(8, "_x._tcp.example.org", RecordType::Service),
            Question::new(7, "_y._tcp.example.org", RecordType::Service),
            Question::new(7, "_x._tcp.example.org", RecordType::Ipv4),
        ] {
            assert_eq!(other.expect("a name").answer(&answer), None);
        }
        assert_eq!(question.answer(question.bytes()), None, "a question is no answer");
        let mut upper = answer.clone();
        upper[HEAD + 1..HEAD + 3].make_ascii_uppercase();
        assert!(matches!(question.answer(&upper), Some(Answer::Records(_))));
        for (code, expected) in [(3, Answer::NoSuchName), (2, Answer::Failed), (5, Answer::Failed)] {
            let mut failed = answer.clone();
            failed[3] |= code;
            assert_eq!(question.answer(&failed), Some(expected));
        }
        for name in ["", ".", "a..b", &"x".repeat(64), &"x.".repeat(128)] {
            assert!(Question::new(1, name, RecordType::Ipv4).is_none(), "{name}");
        }
    }

    #[test]
    fn no_message_is_read_beyond_its_end_or_for_ever() {
        let question = Question::new(7, "_x._tcp.example.org", RecordType::Service).expect("a name");
        let whole = reply(question.bytes(), false, services).expect("an answer");
        for length in 0..whole.len() {
            let answer = question.answer(&whole[..length]);
            assert!(!matches!(answer, Some(Answer::Records(_))), "{length} of {} bytes", whole.len());
        }
        let mut state = 1_u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize % below
        };
        let mut read = 0;
        for _ in 0..100_000 {
            let mut message = whole.clone();
            for _ in 0..1 + random(3) {
                // Behind the question, which would only not be the one that was asked.
                let behind = question.bytes().len();
                let at = if random(8) == 0 { 7 } else { behind + random(message.len() - behind) };
                message[at] = [0, 1, 12, 33, 63, 64, 0xc0, 0xff][random(8)];
            }
            read += u32::from(matches!(question.answer(&message), Some(Answer::Records(_))));
        }
        println!("{read} of 100,000 broken answers could be read");
        let mut circle = whole;
        let at = question.bytes().len();
        circle[at..at + 2].copy_from_slice(&[0xc0, at as u8]);
        assert_eq!(question.answer(&circle), Some(Answer::Failed), "a name that refers to itself");
    }
}
