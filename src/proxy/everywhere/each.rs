//! Every backend is asked at the same time, and one of their answers is passed on.

use std::io;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::parts::{Addressed, Client, error, error_in, partial};
use crate::fleet::Member;
use crate::proxy::ask::{AskError, Asked};

/// How long a backend may take to end its requests, or to delete a model.
const ABORT_PATIENCE: Duration = Duration::from_secs(5);
const DELETE_PATIENCE: Duration = Duration::from_secs(60);

/// Most bytes of one answer.
const MAX_ANSWER: usize = 1 << 20;

struct Answered {
    status: u16,
    content_type: Box<[u8]>,
    body: Vec<u8>,
}

impl Answered {
    fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    async fn pass_on(&self, client: &mut Client) -> io::Result<()> {
        client.send_whole(self.status, &self.content_type, &self.body).await
    }
}

/// The first that deleted it is passed on, or else the first that lacks it. Where one has neither done, an error says so.
pub(super) async fn delete(all: &[Addressed], client: &mut Client) -> io::Result<()> {
    let answers = ask(all, DELETE_PATIENCE).await;
    let (mut done, mut failed, mut status) = (Vec::new(), Vec::new(), None);
    for (backend, answer) in all.iter().zip(&answers) {
        match answer {
            Ok(answer) if answer.is_success() => done.push(backend.name()),
            Ok(Answered { status: 404, .. }) => {}
            Ok(answer) => {
                status = status.or(Some(answer.status));
                failed.push((backend.name(), error_in(answer.status, &answer.body)));
            }
            Err(error) => failed.push((backend.name(), error.to_string())),
        }
    }
    if !failed.is_empty() {
        let status = status.filter(|status| *status >= 400).unwrap_or(502);
        return client.send_whole(status, b"application/json", &error(&partial(&done, &failed))).await;
    }
    pass_on_first(&answers, client).await
}

/// The first success is passed on, or else the first answer. What a backend that does not answer had in progress has ended
/// with its connections.
pub(super) async fn abort(all: &[Addressed], client: &mut Client) -> io::Result<()> {
    pass_on_first(&ask(all, ABORT_PATIENCE).await, client).await
}

/// Passes on the first success, or else the first answer.
async fn pass_on_first(answers: &[Result<Answered, AskError>], client: &mut Client) -> io::Result<()> {
    let mut answered = answers.iter().flatten();
    match answered.clone().find(|answer| answer.is_success()).or_else(|| answered.next()) {
        Some(answer) => answer.pass_on(client).await,
        // The end without an answer is explained like that of a backend.
        None => Ok(()),
    }
}

/// The answers of all, in their order.
async fn ask(all: &[Addressed], patience: Duration) -> Vec<Result<Answered, AskError>> {
    let mut asking = JoinSet::new();
    for (at, Addressed { member, request }) in all.iter().enumerate() {
        let (member, request) = (member.clone(), request.clone());
        asking.spawn_local(async move {
            let answered = timeout(patience, answered(&member, &request)).await;
            (at, answered.unwrap_or(Err(AskError::Late)))
        });
    }
    let mut answers: Vec<_> = all.iter().map(|_| Err(AskError::Broken)).collect();
    while let Some(answered) = asking.join_next().await {
        if let Ok((at, answer)) = answered {
            answers[at] = answer;
        }
    }
    answers
}

async fn answered(member: &Member, request: &[u8]) -> Result<Answered, AskError> {
    let mut asked = Asked::begin(member, request).await?;
    let content_type = asked.content_type.take().unwrap_or_default();
    let body = asked.whole(MAX_ANSWER).await?.ok_or(AskError::Improper)?;
    if asked.is_coded {
        return Err(AskError::Improper);
    }
    Ok(Answered { status: asked.status, content_type, body })
}
