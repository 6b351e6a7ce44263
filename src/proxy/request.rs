//! Request heads on their way to the backend: unchanged except for connection-specific fields, the form of the target
//! and what the `Host` policy says. Pure.

use std::ops::Range;

use super::chunks::{Followed, Part};
use super::fields::{ConnectionFields, passing, write_line, write_passing};
use super::framing::Framing;
use super::guard::Request;
use super::hold::{HeldBodies, HeldBody, HoldLimits, TooLong};
use crate::backend::HostHeader;

/// Follows the target.
const VERSION: &[u8] = b" HTTP/1.1\r\n";

/// The parts of a request head to be written.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestHead<'a> {
    method: &'a [u8],
    /// In origin-form or `*`. The path is missing where an absolute-form target had none.
    target: &'a [u8],
    /// All field lines, the empty line included.
    fields: &'a [u8],
    connection: &'a ConnectionFields,
    has_host: bool,
    switches: bool,
}

impl<'a> RequestHead<'a> {
    pub(super) fn of(request: &'a Request<'_>) -> Self {
        Self {
            method: request.method,
            target: request.path_and_query(),
            fields: request.fields,
            connection: &request.connection,
            has_host: request.has_host,
            switches: switches(request),
        }
    }

    /// Writes the head for a backend at `authority`, whose paths begin with `prefix`.
    pub(super) fn write(&self, prefix: &str, host: &HostHeader, authority: &[u8], out: &mut Vec<u8>) {
        let Self { method, target, fields, connection, has_host, switches } = *self;
        out.reserve(method.len() + prefix.len() + target.len() + fields.len() + authority.len() + 32);
        out.extend_from_slice(method);
        out.push(b' ');
        out.extend_from_slice(prefix.as_bytes());
        // An absolute-form target may have no path before its query.
        if !target.starts_with(b"/") && target != b"*" {
            out.push(b'/');
        }
        out.extend_from_slice(target);
        out.extend_from_slice(VERSION);
        let host = match host {
            HostHeader::Preserve if has_host => None,
            HostHeader::Preserve | HostHeader::Upstream => Some(authority),
            HostHeader::Literal(literal) => Some(literal.as_bytes()),
        };
        match host {
            Some(host) if has_host => {
                for field in passing(fields, connection, switches, true) {
                    if field.is("host") {
                        write_field(out, field.name, host);
                    } else {
                        write_line(&field, out);
                    }
                }
            }
            _ => write_passing(fields, connection, switches, true, out),
        }
        if let Some(host) = host.filter(|_| !has_host) {
            write_field(out, b"host", host);
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// A copy of a head and of the part of the body that came with it, kept for every backend that may get it: bytes and
/// ranges. The method is at the start, and the body after the fields.
#[derive(Debug)]
pub(super) struct KeptHead {
    memory: Vec<u8>,
    method: usize,
    target: Range<usize>,
    fields: Range<usize>,
    /// The head is kept as it was sent, and nothing but its `Host` may have to be changed.
    verbatim: bool,
    connection: ConnectionFields,
    has_host: bool,
    switches: bool,
    /// Fields that the backend does not get, as they were for us.
    withheld: Vec<&'static str>,
    /// What the body's bytes count for while they are held.
    held: Option<Box<HeldBody>>,
}

impl KeptHead {
    /// Copies a head, with room for `body` bytes of the body.
    pub(super) fn keep(request: &Request<'_>, body: usize) -> Self {
        let RequestHead { method, target, fields, connection, has_host, switches } = RequestHead::of(request);
        let mut memory = Vec::with_capacity(method.len() + 1 + target.len() + VERSION.len() + fields.len() + body);
        let target = match request.verbatim {
            Some(head) => {
                memory.extend_from_slice(head);
                method.len() + 1..method.len() + 1 + target.len()
            }
            None => {
                [method, target, fields].iter().for_each(|part| memory.extend_from_slice(part));
                method.len()..method.len() + target.len()
            }
        };
        let fields = memory.len() - fields.len()..memory.len();
        Self {
            memory,
            method: method.len(),
            target,
            fields,
            verbatim: request.verbatim.is_some(),
            connection: *connection,
            has_host,
            switches,
            withheld: Vec::new(),
            held: None,
        }
    }

    /// The backend does not get this field.
    pub(super) fn withhold(&mut self, name: &'static str) {
        self.withheld.push(name);
    }

    /// Appends bytes of the body.
    pub(super) fn keep_body(&mut self, bytes: &[u8]) {
        self.memory.extend_from_slice(bytes);
    }

    /// Appends what is forwarded of a piece of the body. Returns how far the piece belongs to it, and how many bytes were
    /// appended.
    pub(super) fn keep_piece(
        &mut self,
        upload: &mut Framing,
        piece: &[u8],
        see: &mut impl FnMut(Part<'_>),
    ) -> (Followed, usize) {
        let mut trailers = Vec::new();
        let followed = upload.follow(piece, &mut |part| {
            see(part);
            trailers.extend_from_slice(part.trailer());
        });
        self.keep_body(&piece[..followed.raw]);
        self.keep_body(&trailers);
        (followed, followed.raw + trailers.len())
    }

    /// Whether more of the body may be read while no backend is chosen.
    pub(super) fn may_hold(&mut self, total: &HeldBodies, limits: &HoldLimits) -> bool {
        self.held.get_or_insert_with(|| Box::new(HeldBody::new(total))).may_grow(limits)
    }

    /// Counts bytes of the body that are about to be held while no backend is chosen.
    ///
    /// # Errors
    /// Where the body is longer than what may be held.
    pub(super) fn hold(&mut self, bytes: usize, total: &HeldBodies, limits: &HoldLimits) -> Result<(), TooLong> {
        self.held.get_or_insert_with(|| Box::new(HeldBody::new(total))).grow(bytes, limits)
    }

    /// Whether the client waits for an interim response before it sends the body.
    pub(super) fn expects_continue(&self) -> bool {
        let fields = &self.memory[self.fields.clone()];
        passing(fields, &self.connection, self.switches, true).any(|field| field.is("expect"))
    }

    /// Writes all of it for a backend. Not to be called after [`KeptHead::release`].
    pub(super) fn write(&self, prefix: &str, host: &HostHeader, authority: &[u8], out: &mut Vec<u8>) {
        let Self { memory, method, target, fields, verbatim, connection, has_host, switches, withheld, held: _ } = self;
        if *verbatim && prefix.is_empty() && *host == HostHeader::Preserve && withheld.is_empty() {
            return out.extend_from_slice(memory);
        }
        let start = out.len();
        let head = RequestHead {
            method: &memory[..*method],
            target: &memory[target.clone()],
            fields: &memory[fields.clone()],
            connection,
            has_host: *has_host,
            switches: *switches,
        };
        head.write(prefix, host, authority, out);
        withheld.iter().for_each(|name| remove_field(out, start, name));
        out.extend_from_slice(&memory[fields.end..]);
    }

    /// Frees the memory while the response is awaited, as the request is sent to no other backend.
    pub(super) fn release(&mut self) {
        self.memory = Vec::new();
        self.held = None;
    }
}

/// Whether the request asks for another protocol that can be tunnelled.
pub(super) fn switches(request: &Request<'_>) -> bool {
    request.http11 && request.connection.switches()
}

/// Removes every field of this name from the head that begins at `start` and ends with `out`.
fn remove_field(out: &mut Vec<u8>, start: usize, name: &str) {
    let head = out.split_off(start);
    for (at, line) in head.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let is_named = line
            .split_at_checked(name.len())
            .is_some_and(|(field, rest)| field.eq_ignore_ascii_case(name.as_bytes()) && rest.starts_with(b":"));
        if at == 0 || !is_named {
            out.extend_from_slice(line);
        }
    }
}

fn write_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::super::guard::judge;
    use super::*;

    fn sent(head: &str, prefix: &str, host: &HostHeader) -> String {
        let head = format!("{head}\r\n\r\n");
        let request = judge(head.as_bytes()).expect("a proper head");
        let (mut out, mut again) = (Vec::new(), Vec::new());
        RequestHead::of(&request).write(prefix, host, b"b:1", &mut out);
        let mut kept = KeptHead::keep(&request, 0);
        kept.keep_body(b"body");
        kept.write(prefix, host, b"b:1", &mut again);
        assert_eq!(again, [&out[..], b"body"].concat(), "a kept head is written like the one that was read");
        String::from_utf8(out).expect("text").strip_suffix("\r\n\r\n").expect("an end").to_owned()
    }

    fn preserved(head: &str) -> String {
        sent(head, "", &HostHeader::Preserve)
    }

    #[test]
    fn connection_fields_are_removed_and_others_are_unchanged() {
        let head = "POST /a HTTP/1.1\r\nhOST:a\r\nConnection: keep-alive, X-Hop\r\nA:  1 \r\nx-hop: 2\r\n\
                    Transfer-Encoding: chunked\r\nKeep-Alive: 3\r\nTE: gzip\r\nB: 4\r\na: 5\r\nProxy-Connection: x";
        let expected = "POST /a HTTP/1.1\r\nhOST:a\r\nA:  1 \r\nTransfer-Encoding: chunked\r\nB: 4\r\na: 5";
        assert_eq!(preserved(head), expected);
        let head = "GET / HTTP/1.1\r\nHost: a\r\nConnection: x\r\nX: 1\r\nConnection: y\r\nY: 2\r\nZ: 3";
        assert_eq!(preserved(head), "GET / HTTP/1.1\r\nHost: a\r\nZ: 3");
    }

    #[test]
    fn a_connection_field_cannot_remove_the_framing_or_the_host() {
        let head =
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: content-length, transfer-encoding, host\r\nContent-Length: 3";
        assert_eq!(preserved(head), "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3");
    }

    #[test]
    fn the_host_follows_the_policy() {
        let head = "GET / HTTP/1.1\r\nA: b\r\nhost: a\r\nC: d";
        for (policy, host) in [
            (HostHeader::Preserve, "a"),
            (HostHeader::Upstream, "b:1"),
            (HostHeader::Literal(http::HeaderValue::from_static("c")), "c"),
        ] {
            assert_eq!(sent(head, "", &policy), format!("GET / HTTP/1.1\r\nA: b\r\nhost: {host}\r\nC: d"));
        }
        assert_eq!(preserved("GET / HTTP/1.0\r\nX: y"), "GET / HTTP/1.1\r\nX: y\r\nhost: b:1");
    }

    #[test]
    fn an_upgrade_passes_whole_and_h2c_not_at_all() {
        let head = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket";
        assert_eq!(preserved(head), head);
        let h2c = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
                   HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA";
        assert_eq!(preserved(h2c), "GET / HTTP/1.1\r\nHost: a");
    }

    #[test]
    fn trailers_are_asked_for_where_the_client_asks() {
        let head = "GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: te";
        assert_eq!(preserved(head), "GET / HTTP/1.1\r\nHost: a\r\nTE: trailers");
    }

    #[test]
    fn targets_become_origin_form_after_the_prefix() {
        for (given, prefix, expected) in [
            ("/a?b", "", "/a?b"),
            ("//a/../%2e", "", "//a/../%2e"),
            ("http://h:1/a?b", "", "/a?b"),
            ("http://h:1", "", "/"),
            ("/a", "/p", "/p/a"),
            ("http://h:1?q", "", "/?q"),
        ] {
            let sent = sent(&format!("GET {given} HTTP/1.1\r\nHost: h:1"), prefix, &HostHeader::Preserve);
            assert_eq!(sent, format!("GET {expected} HTTP/1.1\r\nHost: h:1"));
        }
        assert_eq!(sent("OPTIONS * HTTP/1.1\r\nHost: a", "", &HostHeader::Preserve), "OPTIONS * HTTP/1.1\r\nHost: a");
    }
}
