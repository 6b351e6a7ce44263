//! One WebSocket: what its client asks for, and what it gets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::broadcast::error::TryRecvError;
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use tungstenite::error::ProtocolError;

use super::hub::Hub;
use super::places::Place;
use super::topic::{Push, Topic, lagged};
use crate::access::identity::Identity;
use crate::api::state::Parts;

/// A client that asks for nothing in this time gets [`Topic::DEFAULT`].
const ASKS_WITHIN: Duration = Duration::from_secs(1);

/// The time between two looks for what is new, where the client names none; and the bounds of what it names.
const PACE: Duration = Duration::from_millis(500);
const SHORTEST: u64 = 100;
const LONGEST: u64 = 60_000;

/// The interval of pings.
const PING: Duration = Duration::from_secs(20);

/// For a client to take one message, and for it to answer a ping.
const PATIENCE: Duration = Duration::from_secs(60);

/// For a client to take the last message.
const CLOSE: Duration = Duration::from_secs(1);

/// What a client sends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    action: Action,
    topics: Vec<String>,
    interval_ms: Option<u64>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    Subscribe,
    Unsubscribe,
}

/// What a connection listens to.
#[derive(Default)]
struct Subscriptions {
    figures: BTreeMap<Topic, watch::Receiver<Option<Push>>>,
    lists: BTreeMap<Topic, broadcast::Receiver<Push>>,
}

/// Why a connection ends.
enum End {
    /// The client left, or cannot be written to.
    Gone,
    /// The client has closed; the answer to that is yet to be written.
    Left,
    Closed(u16, &'static str),
}

impl End {
    /// What the client is to know of an error while reading (RFC 6455, 7.4.1).
    fn of(error: axum::Error) -> Self {
        match error.into_inner().downcast_ref::<tungstenite::Error>() {
            Some(tungstenite::Error::Capacity(_)) => Self::Closed(close_code::SIZE, "the message is too long"),
            Some(tungstenite::Error::Utf8(_)) => Self::Closed(close_code::INVALID, "a text is not UTF-8"),
            Some(tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => Self::Gone,
            Some(tungstenite::Error::Protocol(_)) => Self::Closed(close_code::PROTOCOL, "against RFC 6455"),
            _ => Self::Gone,
        }
    }
}

/// Serves a WebSocket to its end. `only` is its one topic, where it cannot ask for others.
pub(in crate::api) async fn serve(
    mut socket: WebSocket,
    hub: Hub,
    parts: Arc<Parts>,
    (identity, _place): (Identity, Place),
    only: Option<Topic>,
) {
    let mut subscriptions = Subscriptions::default();
    only.into_iter().for_each(|topic| subscriptions.add(&hub, topic));
    match talk(&mut socket, &hub, &parts, &identity, &mut subscriptions, only).await {
        End::Gone => {}
        // Reading on is what writes the answer.
        End::Left => {
            let _ = timeout(CLOSE, async { while let Some(Ok(_)) = socket.recv().await {} }).await;
        }
        End::Closed(code, reason) => {
            let close = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
            let _ = timeout(CLOSE, socket.send(close)).await;
        }
    }
}

async fn talk(
    socket: &mut WebSocket,
    hub: &Hub,
    parts: &Parts,
    identity: &Identity,
    subscriptions: &mut Subscriptions,
    only: Option<Topic>,
) -> End {
    let mut stop = parts.stop.clone();
    let ended = parts.gate.ended(identity);
    tokio::pin!(ended);
    let (mut pings, mut looks) = (interval(PING), interval(PACE));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (begun, mut heard, mut has_asked) = (Instant::now(), Instant::now(), only.is_some());
    loop {
        tokio::select! {
            () = stopped(&mut stop) => return End::Closed(close_code::AWAY, "the program ends"),
            () = &mut ended => return End::Closed(close_code::POLICY, "the credentials are no longer valid"),
            message = socket.recv() => {
                heard = Instant::now();
                match message {
                    Some(Ok(Message::Text(_))) if only.is_some() => {}
                    Some(Ok(Message::Text(text))) => {
                        has_asked = true;
                        let (answer, pace) = subscriptions.obey(hub, &text);
                        if let Some(pace) = pace {
                            looks = interval(pace);
                            looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
                        }
                        if !send(socket, Message::Text(answer.into())).await {
                            return End::Gone;
                        }
                    }
                    Some(Ok(Message::Binary(_))) => return End::Closed(close_code::UNSUPPORTED, "texts only"),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(Message::Close(_))) => return End::Left,
                    Some(Err(error)) => return End::of(error),
                    None => return End::Gone,
                }
            }
            () = sleep_until(begun + ASKS_WITHIN), if !has_asked => {
                has_asked = true;
                Topic::DEFAULT.into_iter().for_each(|topic| subscriptions.add(hub, topic));
            }
            _ = looks.tick() => {
                for text in subscriptions.news() {
                    if !send(socket, Message::Text((&*text).into())).await {
                        return End::Gone;
                    }
                }
            }
            _ = pings.tick() => {
                if heard.elapsed() > PATIENCE || !send(socket, Message::Ping(bytes::Bytes::new())).await {
                    return End::Gone;
                }
            }
        }
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Whether the client took it in time.
async fn send(socket: &mut WebSocket, message: Message) -> bool {
    timeout(PATIENCE, socket.send(message)).await.is_ok_and(|sent| sent.is_ok())
}

impl Subscriptions {
    fn add(&mut self, hub: &Hub, topic: Topic) {
        if let Some(figure) = hub.figure(topic) {
            self.figures.entry(topic).or_insert(figure);
        }
        if let Some(list) = hub.list(topic) {
            self.lists.entry(topic).or_insert(list);
        }
    }

    /// Does what a text asks for. Returns the answer, and a new pace.
    fn obey(&mut self, hub: &Hub, text: &str) -> (String, Option<Duration>) {
        let request: Request = match serde_json::from_str(text) {
            Ok(request) => request,
            Err(error) => return (refusal(&error.to_string()), None),
        };
        let mut rejected = Vec::new();
        for name in &request.topics {
            match (Topic::NAMED.into_iter().find(|topic| topic.as_str() == name), request.action) {
                (Some(topic), Action::Subscribe) => self.add(hub, topic),
                (Some(topic), Action::Unsubscribe) => {
                    self.figures.remove(&topic);
                    self.lists.remove(&topic);
                }
                (None, _) => rejected.push(name),
            }
        }
        let topics: Vec<_> = self.figures.keys().chain(self.lists.keys()).map(|topic| topic.as_str()).collect();
        let pace = request.interval_ms.map(|millis| Duration::from_millis(millis.clamp(SHORTEST, LONGEST)));
        (json!({ "type": "subscribed", "topics": topics, "rejected": rejected }).to_string(), pace)
    }

    /// What has come since the last look: of each figure the newest, of each list at most as many as may wait.
    fn news(&mut self) -> Vec<Push> {
        let mut news = Vec::new();
        for figure in self.figures.values_mut() {
            if figure.has_changed().unwrap_or(false) {
                news.extend(figure.borrow_and_update().clone());
            }
        }
        for (topic, list) in &mut self.lists {
            loop {
                match list.try_recv() {
                    Ok(push) => news.push(push),
                    Err(TryRecvError::Lagged(missed)) => {
                        news.push(lagged(*topic, missed));
                    }
                    Err(TryRecvError::Empty | TryRecvError::Closed) => break,
                }
            }
        }
        news
    }
}

fn refusal(why: &str) -> String {
    let details = json!({ "topics": Topic::NAMED.map(Topic::as_str), "actions": ["subscribe", "unsubscribe"] });
    let error = json!({ "code": "INVALID_PARAMETER", "message": format!("not understood: {why}"), "details": details });
    json!({ "type": "error", "error": error }).to_string()
}
