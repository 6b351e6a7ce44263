//! Reads the model from a form (`multipart/form-data`, RFC 7578) as it passes: uploads of audio and of images name it in a
//! part of its own, before or after the file.
//!
//! Memory is bounded whatever comes: of a file no more is kept than could be the beginning of a delimiter.

use memchr::memmem;

/// Most bytes of a part's head, and of the value of the model.
const MAX_HEAD: usize = 4 << 10;
const MAX_VALUE: usize = 256;

/// Most bytes of a boundary (RFC 2046, 5.1.1).
const MAX_BOUNDARY: usize = 70;

/// Scans a form for its part `model`.
#[derive(Debug)]
pub struct FormScanner {
    /// What ends each part: CRLF, `--` and the boundary.
    delimiter: Box<[u8]>,
    step: Step,
    /// What has come and is not passed over yet.
    kept: Vec<u8>,
    model: Option<Box<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Passes over what is in front of the first part, or a part.
    Skip,
    /// Reads what is behind a delimiter: the end of the form, or of the line.
    Delimited,
    /// Reads the head of a part.
    Head,
    /// Reads the part that names the model.
    Value,
    /// The model is known, or will not be.
    Over,
}

impl FormScanner {
    /// A scanner for a body of this media type; `None` where that names no boundary.
    #[must_use]
    pub fn of(content_type: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(content_type).ok()?;
        let boundary = parameter(text, "boundary").filter(|it| !it.is_empty() && it.len() <= MAX_BOUNDARY)?;
        let delimiter = ["\r\n--", boundary].concat().into_bytes().into();
        // The first delimiter may have no line in front of it.
        Some(Self { delimiter, step: Step::Skip, kept: b"\r\n".to_vec(), model: None })
    }

    /// Scans the next piece of the body.
    pub fn read(&mut self, piece: &[u8]) {
        if self.step == Step::Over {
            return;
        }
        self.kept.extend_from_slice(piece);
        let mut passed = 0;
        while let Some(bytes) = self.advance(passed) {
            passed += bytes;
        }
        self.kept.drain(..passed);
        if self.step == Step::Over {
            self.kept = Vec::new();
        }
    }

    /// The model, once its part is whole.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// Takes the next step from this place on. Returns how many bytes it passed over; `None` where more has to come.
    fn advance(&mut self, from: usize) -> Option<usize> {
        let rest = &self.kept[from..];
        let (step, passed) = match self.step {
            Step::Skip => match memmem::find(rest, &self.delimiter) {
                Some(at) => (Step::Delimited, at + self.delimiter.len()),
                None => {
                    let passed = rest.len().saturating_sub(self.delimiter.len() - 1);
                    return (passed > 0).then_some(passed);
                }
            },
            Step::Delimited => match rest {
                [b'-', b'-', ..] => (Step::Over, 0),
                [b'\r', b'\n', ..] => (Step::Head, 0),
                [_, _, ..] => (Step::Skip, 0),
                _ => return None,
            },
            // Its end is searched with the line break in front of it, as a part may have no fields.
            Step::Head => match memmem::find(rest, b"\r\n\r\n") {
                Some(at) => (if names_model(&rest[..at]) { Step::Value } else { Step::Skip }, at + 2 + 2),
                None if rest.len() > MAX_HEAD => (Step::Skip, 0),
                None => return None,
            },
            Step::Value => match memmem::find(rest, &self.delimiter) {
                Some(at) => {
                    self.model = std::str::from_utf8(&rest[..at]).ok().filter(|it| fits(it)).map(Into::into);
                    (Step::Over, at)
                }
                None if rest.len() > MAX_VALUE + self.delimiter.len() => (Step::Over, 0),
                None => return None,
            },
            Step::Over => return None,
        };
        self.step = step;
        Some(passed)
    }
}

fn fits(model: &str) -> bool {
    !model.is_empty() && model.len() <= MAX_VALUE
}

/// Whether a part with this head is the field `model`.
fn names_model(head: &[u8]) -> bool {
    let Ok(head) = std::str::from_utf8(head) else { return false };
    let mut fields = head.split("\r\n").filter_map(|line| line.split_once(':'));
    let disposition = fields.find(|(name, _)| name.trim().eq_ignore_ascii_case("content-disposition"));
    disposition.is_some_and(|(_, value)| parameter(value, "name") == Some("model"))
}

/// The value of a parameter of a field, quoted or not. One with escapes is not found.
fn parameter<'a>(field: &'a str, name: &str) -> Option<&'a str> {
    field.split(';').skip(1).find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        let is_it = key.trim().eq_ignore_ascii_case(name);
        is_it.then(|| value.trim()).map(|value| {
            let unquoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
            unquoted.unwrap_or(value)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: &[u8] = b"multipart/form-data; boundary=\"x-1\"";

    fn part(head: &str, body: &str) -> String {
        format!("--x-1\r\n{head}\r\n\r\n{body}\r\n")
    }

    fn model(body: &str, size: usize) -> Option<String> {
        let mut scanner = FormScanner::of(KIND).expect("a boundary");
        for piece in body.as_bytes().chunks(size) {
            scanner.read(piece);
            assert!(scanner.kept.len() < MAX_HEAD + size + 100, "{}", scanner.kept.len());
        }
        scanner.model().map(str::to_owned)
    }

    #[test]
    fn a_form_names_its_model_in_front_of_the_file_or_behind_it_however_it_is_cut() {
        let file = part(
            "Content-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav",
            &"--x-\r\n--x-2 \r\n\r\nname=\"model\"\u{0}".repeat(3000),
        );
        let named = part("content-disposition:form-data;name=model", "whisper-1");
        let other = part("Content-Disposition: form-data; name=\"models\"", "no");
        for body in [
            [&*named, &file, "--x-1--\r\n"].concat(),
            [&*file, &other, &named, "--x-1--\r\n"].concat(),
            ["preamble\r\n", &*named].concat() + "--x-1--",
        ] {
            for size in [1, 2, 3, 7, 1000, body.len()] {
                assert_eq!(model(&body, size).as_deref(), Some("whisper-1"), "pieces of {size}");
            }
        }
    }

    #[test]
    fn what_names_no_model_is_read_to_its_end_and_no_further() {
        let file = part("Content-Disposition: form-data; name=\"file\"", "x");
        let late = part("Content-Disposition: form-data; name=\"model\"", "late");
        let long = part("Content-Disposition: form-data; name=\"model\"", &"x".repeat(MAX_VALUE + 1));
        for body in [
            String::new(),
            file.clone(),
            [&*file, "--x-1--\r\n", &late].concat(),
            [&*long, "--x-1--"].concat(),
            "--x-1\r\n\r\nmodel\r\n--x-1--".to_owned(),
            part(&"A: b\r\n".repeat(2000), "x"),
        ] {
            for size in [1, 5, 10_000] {
                assert_eq!(model(&body, size), None, "{body:.60}");
            }
        }
        for kind in ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary"] {
            assert!(FormScanner::of(kind.as_bytes()).is_none(), "{kind}");
        }
        assert!(FormScanner::of(b"multipart/form-data; boundary=\xff").is_none());
    }
}
