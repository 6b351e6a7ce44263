//! Durations as servers print them. Zero is printed for "unknown" and so stays unknown.

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
