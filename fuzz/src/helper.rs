//! The privileged helper: what `powermetrics` may write, and what a client may ask.

use std::io::Read;

/// Gives what is read in pieces of a fixed size.
struct Pieces<'a>(&'a [u8], usize);

impl Read for Pieces<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let n = self.1.min(self.0.len()).min(into.len());
        into[..n].copy_from_slice(&self.0[..n]);
        self.0 = &self.0[n..];
        Ok(n)
    }
}

/// A stream of samples, after the size of the pieces that it comes in: these change nothing, and no figure is one that
/// cannot be.
pub fn powermetrics(input: &[u8]) {
    let [size, output @ ..] = input else { return };
    let whole = inferometer_helper::samples(output);
    let pieces = Pieces(output, usize::from(*size).max(1));
    assert_eq!(inferometer_helper::samples(pieces), whole, "in pieces of {size}");
    for sample in whole {
        let facts: serde_json::Value = serde_json::from_str(&sample).expect("JSON");
        for (key, value) in facts.as_object().expect("an object") {
            let most = if key == "gpu_utilization" { 100.0 } else { 1e7 };
            assert!(value.as_f64().is_none_or(|it| (0.0..=most).contains(&it)), "{key} of {sample}");
        }
    }
}

/// A request's head: one answer, whole, and never one with facts for who does not name this machine.
pub fn helper_head(input: &[u8]) {
    let answer = inferometer_helper::answer_to(input);
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.starts_with("HTTP/1.1 ") && head.contains(&format!("Content-Length: {}\r\n", body.len())), "{answer}");
    let asks = input.starts_with(b"GET /") && input.to_ascii_lowercase().windows(5).any(|it| it == b"host:");
    assert!(asks || !head.starts_with("HTTP/1.1 503"), "{answer}");
}
