//! Counts how many bytes of heads are examined, so that tests can check that it is linear in the length of a head.
//! Compiles to nothing outside tests.

#[cfg(test)]
thread_local! {
    static STEPS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
    static MOST: std::cell::Cell<usize> = const { std::cell::Cell::new(usize::MAX) };
}

/// Counts examined bytes.
#[inline]
pub(super) fn step(_bytes: usize) {
    #[cfg(test)]
    {
        STEPS.set(STEPS.get() + _bytes);
        assert!(STEPS.get() <= MOST.get(), "more than {} steps", MOST.get());
    }
}

/// How many bytes `work` examines. Panics as soon as they are more than `most`.
#[cfg(test)]
fn steps_of(most: usize, work: impl FnOnce()) -> usize {
    STEPS.set(0);
    MOST.set(most);
    work();
    MOST.set(usize::MAX);
    STEPS.get()
}

#[cfg(test)]
mod tests {
    use super::super::grammar::{HeadScan, MAX_HEAD};
    use super::super::guard::{Verdict, parse_head};
    use super::super::request::RequestHead;
    use super::super::response::{self, Persistence, Version};
    use super::*;
    use crate::backend::HostHeader;

    /// Most steps for a byte of a head, from parsing to being written to the other side.
    const A_BYTE: usize = 16;

    /// The fields that would cost most if each were searched for, nearly as long as a head may be.
    fn costly_fields() -> Vec<(&'static str, String)> {
        let room = MAX_HEAD - 2_000;
        let list = |name: &str, members: &str, fields: usize| -> String {
            let line = format!("{name}: {}\r\n", members.repeat((room / fields - name.len() - 4) / members.len()));
            line.repeat(fields)
        };
        let short: String = (0..480).map(|number| format!("f{number:x}: \r\n")).collect();
        let distinct: String = (0..0x8000).map(|number| format!("f{number:x},")).collect();
        vec![
            ("Connection of one letter in 490 fields", list("Connection", "a,", 490)),
            ("Connection with fields that it names", format!("{short}Connection: {distinct}\r\n")),
            (
                "Connection after every other field",
                format!("{short}{}", list("Connection", "f1,", 4).replacen("f1,", "", 2_000)),
            ),
            ("Connection of nothing", list("Connection", ",", 490)),
            ("Connection with its own words", list("Connection", "close,te,keep-alive,", 490)),
            ("TE", list("TE", "a,", 490)),
            ("Upgrade", list("Upgrade", "h,", 490)),
            ("fields of any name", list("X", "a,", 490)),
            ("Cookie", list("Cookie", "a=b;", 490)),
        ]
    }

    /// Feeds bytes in pieces, as a socket does, until the guard has a verdict. True if it reaches one.
    fn look_at(head: &[u8], piece: usize) -> bool {
        let mut seen = HeadScan::default();
        let ends = (piece..head.len()).step_by(piece).chain([head.len()]);
        ends.into_iter().any(|end| !matches!(parse_head(&head[..end], &mut seen), Verdict::More))
    }

    #[track_caller]
    fn assert_linear(what: &str, bytes: usize, work: impl FnOnce()) {
        println!("{what}, {bytes} bytes:");
        let steps = steps_of(A_BYTE * bytes, work);
        println!("  {:.1} steps a byte", steps as f64 / bytes as f64);
    }

    #[test]
    fn a_request_costs_steps_in_proportion_to_its_length() {
        for (what, fields) in costly_fields() {
            let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
            for host in [HostHeader::Preserve, HostHeader::Upstream] {
                assert_linear(what, head.len(), || {
                    let Verdict::Head(read, _) = parse_head(head.as_bytes(), &mut HeadScan::default()) else {
                        panic!("{what}")
                    };
                    RequestHead::of(&read).write("", &host, b"b", &mut Vec::new());
                });
            }
        }
    }

    #[test]
    fn a_response_costs_steps_in_proportion_to_its_length() {
        for (what, fields) in costly_fields() {
            let head = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
            for client in [Version::Http11, Version::Http10] {
                assert_linear(what, head.len(), || {
                    let read = response::parse_head(head.as_bytes(), &mut HeadScan::default());
                    let (read, _) = read.expect("proper").expect("whole");
                    read.write(client, Persistence::Implied, &mut Vec::new());
                });
                // As HTTP/2 uses them.
                assert_linear(what, head.len(), || {
                    let read = response::parse_head(head.as_bytes(), &mut HeadScan::default());
                    assert!(read.expect("proper").expect("whole").0.passing().count() <= 500);
                });
            }
        }
    }

    #[test]
    fn however_a_head_dribbles_in_no_byte_is_searched_twice() {
        let lines = "\r\n".repeat(MAX_HEAD / 2 - 50);
        let get = "GET / HTTP/1.1\r\nHost: a\r\n";
        let heads = [
            ("empty lines before a request", format!("{lines}{get}\r\n")),
            ("a long target", format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "t".repeat(MAX_HEAD - 100))),
            ("a long field", format!("{get}X: {}\r\n\r\n", "y".repeat(MAX_HEAD - 100))),
            ("many lines", format!("{get}{}\r\n", "X:\r\n".repeat(490))),
        ];
        for (what, head) in &heads {
            for piece in [1, 2, 3, 1_000] {
                assert_linear(what, head.len(), || assert!(look_at(head.as_bytes(), piece), "{what}"));
            }
        }
        let line = "HTTP/1.1 200 OK\r\n";
        for (what, head) in [
            ("empty lines before a response", format!("{lines}{line}\r\n")),
            ("line feeds before a response", format!("{}{line}\r\n", "\n".repeat(MAX_HEAD - 100))),
            ("a long field of a response", format!("{line}X: {}\r\n\r\n", "y".repeat(MAX_HEAD - 100))),
        ] {
            for piece in [1, 2, 3, 1_000] {
                assert_linear(what, head.len(), || {
                    let mut seen = HeadScan::default();
                    let ends = (piece..head.len()).step_by(piece).chain([head.len()]);
                    let whole =
                        |end| response::parse_head(&head.as_bytes()[..end], &mut seen).expect("proper").is_some();
                    assert_eq!(ends.map(whole).filter(|whole| *whole).count(), 1, "{what}");
                });
            }
        }
    }
}
