//! A model is pulled by one backend after another, as one stream of progress.
//!
//! Each line of progress is passed on as it came. The line that says `success` comes once, at the end, where all have
//! succeeded; else an error, which names the backends that failed and those that have the model now. It waits for the
//! end too: clients stop reading at an error.

use std::io;

use memchr::memchr;

use super::parts::{Addressed, Client, error, error_in, partial};
use crate::proxy::ask::{AskError, Asked};

/// Most bytes of one line, and of an answer that is no stream.
const MAX_LINE: usize = 1 << 20;

/// What becomes of the transfer on one backend.
enum Course {
    /// The line or the body that says so, with its media type.
    Succeeded(Vec<u8>, Box<[u8]>),
    /// Its status, and what it says.
    Failed(u16, String),
}

/// What a line says.
enum Line {
    Progress,
    Success,
    Error(String),
}

/// Whether a part of the answer was sent.
#[derive(Default)]
struct Sent {
    has_begun: bool,
}

pub(super) async fn run(all: &[Addressed], client: &mut Client) -> io::Result<()> {
    let (mut sent, mut done, mut failed) = (Sent::default(), Vec::new(), Vec::new());
    let (mut status, mut last) = (None, None);
    for backend in all {
        match pull(backend, client, &mut sent).await? {
            Course::Succeeded(line, content_type) => {
                done.push(backend.name());
                last = Some((line, content_type));
            }
            Course::Failed(with, why) => {
                status = status.or(Some(with));
                failed.push((backend.name(), why));
            }
        }
    }
    match (last, status) {
        (Some((line, _)), None) if sent.has_begun => {
            client.send(&line).await?;
            client.end().await
        }
        (Some((line, content_type)), None) => client.send_whole(200, &content_type, &line).await,
        (_, status) if !sent.has_begun => {
            let status = status.filter(|status| *status >= 400).unwrap_or(502);
            client.send_whole(status, b"application/json", &error(&partial(&done, &failed))).await
        }
        _ => {
            let mut line = error(&partial(&done, &failed));
            line.push(b'\n');
            client.send(&line).await?;
            client.end().await
        }
    }
}

/// Passes on the progress of one backend.
///
/// # Errors
/// Where the client takes no more.
async fn pull(backend: &Addressed, client: &mut Client, sent: &mut Sent) -> io::Result<Course> {
    let mut asked = match Asked::begin(&backend.member, &backend.request).await {
        Ok(asked) => asked,
        Err(error) => return Ok(Course::Failed(502, error.to_string())),
    };
    let content_type = asked.content_type.take().unwrap_or_default();
    if asked.status != 200 || asked.is_coded {
        let body = asked.whole(MAX_LINE).await.ok().flatten().unwrap_or_default();
        return Ok(Course::Failed(asked.status, error_in(asked.status, &body)));
    }
    let (mut rest, mut success) = (Vec::new(), None);
    loop {
        let piece = match asked.next().await {
            Ok(piece) => piece,
            Err(error) => return Ok(Course::Failed(502, error.to_string())),
        };
        let is_over = piece.is_none();
        rest.extend_from_slice(&piece.unwrap_or_default());
        let (mut progress, mut failure) = (Vec::new(), None);
        while failure.is_none()
            && let Some(end) =
                memchr(b'\n', &rest).map(|at| at + 1).or((is_over && !rest.is_empty()).then_some(rest.len()))
        {
            let line: Vec<u8> = rest.drain(..end).collect();
            match parse(&line) {
                Line::Progress => progress.extend_from_slice(&line),
                Line::Success => success = Some(line),
                Line::Error(why) => failure = Some(why),
            }
        }
        if !progress.is_empty() {
            if !std::mem::replace(&mut sent.has_begun, true) {
                client.begin(&content_type).await?;
            }
            client.send(&progress).await?;
        }
        // The progress before the error, in the same piece, has been passed on above.
        if let Some(why) = failure {
            return Ok(Course::Failed(500, why));
        }
        if is_over {
            return Ok(match success {
                Some(line) => Course::Succeeded(line, content_type),
                None => Course::Failed(502, AskError::Broken.to_string()),
            });
        }
        if rest.len() > MAX_LINE {
            return Ok(Course::Failed(502, AskError::Improper.to_string()));
        }
    }
}

fn parse(line: &[u8]) -> Line {
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(line) else { return Line::Progress };
    if let Some(error) = value.get("error") {
        return Line::Error(error.as_str().map_or_else(|| error.to_string(), str::to_owned));
    }
    if value.get("status").and_then(|status| status.as_str()) == Some("success") {
        Line::Success
    } else {
        Line::Progress
    }
}
