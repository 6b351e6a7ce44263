//! Sessions and tickets: how they begin, end, and how long what was let in may stay.

use std::time::{Duration, SystemTime};

use http::HeaderValue;

use super::{Gate, Now, SESSION, TICKET};
use crate::access::identity::Identity;
use crate::access::request::{HOST_COOKIE, PLAIN_COOKIE};
use crate::access::vault::NoRandom;

/// How often a long-lived connection looks whether its identity still holds, beside when that may have changed.
const RECHECK: Duration = Duration::from_secs(60);

/// A session that has begun.
#[derive(Debug)]
pub struct NewSession {
    /// The field `Set-Cookie`.
    pub cookie: HeaderValue,
    /// When it ends.
    pub expires: SystemTime,
}

impl Gate {
    /// Begins a session for an identity; a session that it was found by ends.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn begin_session(&self, identity: &Identity) -> Result<NewSession, NoRandom> {
        let now = Now::read();
        let left = identity.left(now.wall);
        if let Some(before) = &identity.session {
            self.sessions.end(before);
        }
        let expires = now.wall + left.map_or(SESSION, |left| left.min(SESSION));
        let kept = Identity { session: None, expires: Some(expires), ..identity.clone() };
        let secret = self.sessions.issue(identity.holder(), kept, left, now.instant)?;
        Ok(NewSession { cookie: cookie(identity.has_plain_cookie, &secret, SESSION), expires })
    }

    /// Ends the session that an identity was found by, and returns the field `Set-Cookie` that removes its cookie.
    pub fn end_session(&self, identity: &Identity) -> HeaderValue {
        if let Some(digest) = &identity.session
            && self.sessions.end(digest)
        {
            self.signed_out.send_replace(());
            self.sign_ins.end(identity.name.clone(), identity.client);
        }
        cookie(identity.has_plain_cookie, "", Duration::ZERO)
    }

    /// A ticket with which a WebSocket is opened once, and how long it can be used.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn issue_ticket(&self, identity: &Identity) -> Result<(String, Duration), NoRandom> {
        let now = Now::read();
        let ticket = self.tickets.issue(identity.holder(), identity.clone(), identity.left(now.wall), now.instant)?;
        Ok((ticket, TICKET))
    }

    /// Whether an identity would still be accepted.
    #[must_use]
    pub fn holds(&self, identity: &Identity) -> bool {
        let now = Now::read();
        let is_signed_in = identity.session.is_none_or(|digest| self.sessions.get(&digest, now.instant).is_some());
        let left = identity.left(now.wall).is_none_or(|left| !left.is_zero());
        is_signed_in && left && self.rules().still(identity.clone(), now.wall).is_some()
    }

    /// Waits until an identity would not be accepted any more: it expires, signs out, or the rules change. For
    /// connections that live long.
    pub async fn ended(&self, identity: &Identity) {
        let (mut rules, mut signed_out) = (self.rules.clone(), self.signed_out.subscribe());
        while self.holds(identity) {
            let left = identity.left(SystemTime::now()).map_or(RECHECK, |left| left.min(RECHECK));
            tokio::select! {
                changed = rules.changed() => if changed.is_err() { return },
                _ = signed_out.changed() => {}
                () = tokio::time::sleep(left) => {}
            }
        }
    }
}

fn cookie(is_plain: bool, secret: &str, life: Duration) -> HeaderValue {
    let (name, secure) = if is_plain { (PLAIN_COOKIE, "") } else { (HOST_COOKIE, "; Secure") };
    let text = format!("{name}={secret}; Path=/; Max-Age={}; HttpOnly; SameSite=Strict{secure}", life.as_secs());
    HeaderValue::from_str(&text).expect("letters, digits and signs only")
}
