//! Converts durations of servers. They send zero for unknown, so zero becomes `None`.

use std::time::Duration;

/// Whole nanoseconds (Ollama).
pub(crate) fn nanos(nanos: u64) -> Option<Duration> {
    (nanos > 0).then(|| Duration::from_nanos(nanos))
}

/// Milliseconds with a fraction (llama.cpp, vLLM, TGI).
pub(crate) fn millis(millis: f64) -> Option<Duration> {
    seconds(millis / 1e3)
}

/// Seconds with a fraction (SGLang, LM Studio).
pub(crate) fn seconds(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok().filter(|duration| !duration.is_zero())
}

/// Whether Go's `time.ParseDuration` parses this as 0: `0`, `0s`, `-0h0.0m`. False for text that it refuses.
pub(crate) fn is_zero_duration(text: &[u8]) -> bool {
    let mut rest = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    if rest == b"0" {
        return true;
    }
    let mut parts = 0;
    while !rest.is_empty() {
        let number = rest.iter().take_while(|byte| matches!(byte, b'0' | b'.')).count();
        let (zeros, tail) = rest.split_at(number);
        let unit = tail.iter().take_while(|byte| !byte.is_ascii_digit() && **byte != b'.').count();
        let (unit, tail) = tail.split_at(unit);
        let is_unit = matches!(unit, b"h" | b"m" | b"s" | b"ms" | b"us" | b"ns" | b"\xc2\xb5s" | b"\xce\xbcs");
        let is_number = zeros.contains(&b'0') && zeros.iter().filter(|byte| **byte == b'.').count() <= 1;
        if !is_unit || !is_number {
            return false;
        }
        (parts, rest) = (parts + 1, tail);
    }
    parts > 0
}
