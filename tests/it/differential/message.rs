//! HTTP/1 messages as they stand on a wire, lines untouched: for comparing, so nothing is interpreted but the framing.

/// One chunk: what stands behind its size, and its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) extension: String,
    pub(crate) data: Vec<u8>,
}

/// A body with its framing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    None,
    Sized(Vec<u8>),
    Chunked {
        chunks: Vec<Chunk>,
        trailers: Vec<String>,
    },
    /// Up to the end of the connection.
    Rest(Vec<u8>),
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// Empty lines before it.
    pub(crate) blank: usize,
    /// A line of its head ends in a bare line feed.
    pub(crate) bare: bool,
    pub(crate) start: String,
    /// Field lines, each as sent.
    pub(crate) fields: Vec<String>,
    pub(crate) body: Body,
    /// Its end has been seen.
    pub(crate) complete: bool,
}

/// What is read: requests, or the responses to requests with these methods.
#[derive(Clone, Copy)]
pub(crate) enum Direction<'a> {
    Requests,
    Responses(&'a [String]),
}

impl Message {
    /// The name of a field line, in lower case.
    pub(crate) fn name(line: &str) -> String {
        line.split(':').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// The values of a field, trimmed.
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        let fields = self.fields.iter().filter(|line| Self::name(line) == name);
        fields.map(|line| line.split_once(':').map_or("", |(_, value)| value.trim())).collect()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|line| Self::name(line) == name)
    }

    /// Drops every field line that `goes` names.
    pub(crate) fn drop_fields(&mut self, goes: impl Fn(&str) -> bool) {
        self.fields.retain(|line| !goes(&Self::name(line)));
    }

    /// The second word of a response's first line.
    pub(crate) fn status(&self) -> u16 {
        self.start.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    }
}

/// Each byte as the character of the same number, so that no byte is lost.
pub(crate) fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    /// The next line without its end; None where it has none yet.
    fn line(&mut self) -> Option<String> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        self.at += end + 1;
        Some(text(rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end])))
    }

    fn take(&mut self, most: usize) -> Vec<u8> {
        let end = self.at.saturating_add(most).min(self.bytes.len());
        let taken = self.bytes[self.at..end].to_vec();
        self.at = end;
        taken
    }

    fn lines(&mut self) -> Option<Vec<String>> {
        let mut lines = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Some(lines);
            }
            lines.push(line);
        }
    }
}

/// Reads messages, the last of which may be incomplete. `ended` tells that the connection is over. What stands behind
/// a switch of protocols, or behind the last expected response, comes second.
pub(crate) fn parse(bytes: &[u8], direction: Direction<'_>, ended: bool) -> (Vec<Message>, Vec<u8>) {
    let mut reader = Reader { bytes, at: 0 };
    let mut messages: Vec<Message> = Vec::new();
    let mut methods = match direction {
        Direction::Requests => None,
        Direction::Responses(methods) => Some(methods.iter()),
    };
    loop {
        let begun = reader.at;
        let blank = skip_blank(&mut reader);
        let switched = messages.last().is_some_and(|last| last.status() == 101);
        let head = if switched { None } else { reader.lines() };
        let Some(mut head) = head.filter(|head| !head.is_empty()) else {
            reader.at = begun;
            break;
        };
        let start = head.remove(0);
        let bare = has_bare(&bytes[begun..reader.at]);
        let mut message = Message { blank, bare, start, fields: head, body: Body::None, complete: true };
        let method = match &mut methods {
            None => None,
            Some(_) if message.status() < 200 && message.status() != 101 => Some("1xx"),
            Some(methods) => match methods.next() {
                Some(method) => Some(method.as_str()),
                None => {
                    reader.at = begun;
                    break;
                }
            },
        };
        read_body(&mut reader, &mut message, method, ended);
        messages.push(message);
    }
    let rest = reader.take(usize::MAX);
    (messages, rest)
}

fn has_bare(head: &[u8]) -> bool {
    (0..head.len()).any(|at| head[at] == b'\n' && (at == 0 || head[at - 1] != b'\r'))
}

fn skip_blank(reader: &mut Reader<'_>) -> usize {
    let mut count = 0;
    while reader.bytes[reader.at..].starts_with(b"\r\n") {
        reader.at += 2;
        count += 1;
    }
    count
}

/// `method` is that of the request where a response is read.
fn read_body(reader: &mut Reader<'_>, message: &mut Message, method: Option<&str>, ended: bool) {
    let bodiless =
        matches!(method, Some("HEAD" | "1xx")) || (method.is_some() && matches!(message.status(), 101 | 204 | 304));
    if bodiless {
        return;
    }
    let chunked =
        message.values("transfer-encoding").last().is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
    if chunked {
        (message.body, message.complete) = read_chunks(reader);
    } else if let Some(length) = message.values("content-length").first() {
        let length = length.parse().unwrap_or(0);
        let body = reader.take(length);
        message.complete = body.len() == length;
        message.body = Body::Sized(body);
    } else if method.is_some() {
        message.body = Body::Rest(reader.take(usize::MAX));
        message.complete = ended;
    }
}

fn read_chunks(reader: &mut Reader<'_>) -> (Body, bool) {
    let mut chunks = Vec::new();
    let cut = |chunks| (Body::Chunked { chunks, trailers: Vec::new() }, false);
    loop {
        let Some(line) = reader.line() else { return cut(chunks) };
        let digits = line.find(|digit: char| !digit.is_ascii_hexdigit()).unwrap_or(line.len());
        let Ok(size) = usize::from_str_radix(&line[..digits], 16) else { return cut(chunks) };
        if size == 0 {
            return match reader.lines() {
                Some(trailers) => (Body::Chunked { chunks, trailers }, true),
                None => cut(chunks),
            };
        }
        let data = reader.take(size);
        let whole = data.len() == size;
        chunks.push(Chunk { extension: line[digits..].to_owned(), data });
        if !whole || reader.line().is_none() {
            return cut(chunks);
        }
    }
}
