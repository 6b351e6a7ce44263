//! Messages of the DNS (RFC 1035, 4): one question, and its answers. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bytes of a message's head.
const HEAD: usize = 12;

/// Most bytes of a name, and of one of its labels (RFC 1035, 2.3.4).
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

/// Most records of one answer that are read.
const MAX_RECORDS: usize = 1024;

/// The class of the Internet.
const INTERNET: u16 = 1;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordType {
    Ipv4 = 1,
    Ipv6 = 28,
    Service = 33,
}

/// A question as it is sent.
#[derive(Debug)]
pub(super) struct Question(Vec<u8>);

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
        if name.len() > MAX_NAME {
            return None;
        }
        let mut bytes = id.to_be_bytes().to_vec();
        // A query that asks for recursion, with one question.
        bytes.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        for label in name.split('.') {
            if label.is_empty() || label.len() > MAX_LABEL {
                return None;
            }
            bytes.push(label.len() as u8);
            bytes.extend_from_slice(label.as_bytes());
        }
        bytes.push(0);
        bytes.extend_from_slice(&(kind as u16).to_be_bytes());
        bytes.extend_from_slice(&INTERNET.to_be_bytes());
        Some(Self(bytes))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// What this message answers; `None` where it answers another question.
    pub(super) fn answer(&self, message: &[u8]) -> Option<Answer> {
        let question = &self.0[HEAD..];
        let is_reply = message.get(2)? & 0x80 != 0 && message.get(..2)? == &self.0[..2];
        // Servers may write the name in another case.
        if !is_reply || !message.get(HEAD..)?.get(..question.len())?.eq_ignore_ascii_case(question) {
            return None;
        }
        Some(match (message[2] & 0x02 != 0, message[3] & 0x0f) {
            (true, _) => Answer::Truncated,
            (_, 3) => Answer::NoSuchName,
            (_, 0) => self.records(message).map_or(Answer::Failed, Answer::Records),
            _ => Answer::Failed,
        })
    }

    fn records(&self, message: &[u8]) -> Option<Vec<Record>> {
        let kind = number(message, self.0.len() - 4)?;
        let count = usize::from(number(message, 6)?).min(MAX_RECORDS);
        let (mut at, mut records) = (self.0.len(), Vec::new());
        for _ in 0..count {
            at = name(message, at)?.1;
            let (of, class, length) = (number(message, at)?, number(message, at + 2)?, number(message, at + 8)?);
            let data = at + 10..at + 10 + usize::from(length);
            let bytes = message.get(data.clone())?;
            if of == kind && class == INTERNET {
                records.push(record(of, message, data.start, bytes)?);
            }
            at = data.end;
        }
        Some(records)
    }
}

fn record(kind: u16, message: &[u8], at: usize, bytes: &[u8]) -> Option<Record> {
    let ipv4 = |bytes: &[u8]| Some(IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?)));
    let ipv6 = |bytes: &[u8]| Some(IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)));
    Some(match kind {
        1 => Record::Address(ipv4(bytes)?),
        28 => Record::Address(ipv6(bytes)?),
        _ => {
            let [priority, weight, port] = [0, 2, 4].map(|from| number(bytes, from));
            Record::Service(priority?, weight?, port?, name(message, at + 6)?.0)
        }
    })
}

fn number(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// The name at this place, and where it ends. A name may go on at an earlier place (RFC 1035, 4.1.4): each jump goes
/// further back, so there is an end.
fn name(message: &[u8], start: usize) -> Option<(String, usize)> {
    let (mut text, mut at, mut end, mut least) = (String::new(), start, None, start);
    loop {
        let length = usize::from(*message.get(at)?);
        match length {
            0 => return Some((text, end.unwrap_or(at + 1))),
            1..=MAX_LABEL => {
                let label = message.get(at + 1..at + 1 + length)?;
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(std::str::from_utf8(label).ok()?);
                at += 1 + length;
            }
            0xc0.. => {
                end = end.or(Some(at + 2));
                at = usize::from(number(message, at)? & 0x3fff);
                if at >= least {
                    return None;
                }
                least = at;
            }
            _ => return None,
        }
        if text.len() > MAX_NAME {
            return None;
        }
    }
}

/// A scripted server's side.
#[cfg(test)]
pub(super) mod testing {
    use super::*;

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
        let (asked, end) = name(question, HEAD)?;
        let records = script(&asked, number(question, end)?)?;
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
    use super::testing::{RData, reply};
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
