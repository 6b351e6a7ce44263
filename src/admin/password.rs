//! Users and their passwords (RFC 7617), kept as bcrypt hashes.
//!
//! Promises: hashes are compared in constant time; an unknown user costs what a known one does; hashing runs on a
//! blocking thread, two at a time. A pair that was right once is remembered as a keyed digest, so that a scrape does not
//! cost a hash each time; the key is made at start and never leaves the process.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use ring::hmac;
use ring::rand::SystemRandom;
use tokio::sync::Semaphore;

/// Hashes that are computed at once: guesses must not take the machine's cores.
const HASHING: usize = 2;

/// Pairs that are remembered: far more than there are users.
const REMEMBERED: usize = 1024;

/// Who may ask.
pub(super) struct Users {
    /// The hash of each.
    hashes: HashMap<String, String>,
    /// What an unknown user's password is compared with.
    decoy: String,
    key: hmac::Key,
    right: Mutex<HashSet<[u8; 32]>>,
    turns: Semaphore,
}

impl Users {
    /// None where there are no users.
    ///
    /// # Errors
    /// When a name or a hash cannot be one.
    pub(super) fn new(hashes: HashMap<String, String>) -> Result<Option<Self>, String> {
        let mut costliest: Option<(u32, &String)> = None;
        for (user, hash) in &hashes {
            if user.contains(':') {
                return Err(format!("basic_auth_users: the name `{}` holds a colon", user.escape_debug()));
            }
            // A password written in clear must not show up in a log.
            let cost = hash.parse::<bcrypt::HashParts>().map(|parts| parts.get_cost()).map_err(|_| {
                format!(
                    "basic_auth_users: what stands for `{}` is no bcrypt hash (`htpasswd -nB` makes one)",
                    user.escape_debug()
                )
            })?;
            costliest = costliest.max(Some((cost, hash)));
        }
        let Some((_, decoy)) = costliest else { return Ok(None) };
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        Ok(Some(Self {
            decoy: decoy.clone(),
            key: key.map_err(|_| "the system gives no random numbers".to_owned())?,
            right: Mutex::default(),
            turns: Semaphore::new(HASHING),
            hashes,
        }))
    }

    /// Whether these credentials are right.
    pub(super) async fn admit(&self, credentials: &HeaderValue) -> bool {
        let Some((user, password)) = parse(credentials) else { return false };
        let known = self.hashes.get(&user);
        let digest = self.digest(&user, &password);
        if known.is_some() && self.right().contains(&digest) {
            return true;
        }
        let hash = known.unwrap_or(&self.decoy).clone();
        let Ok(turn) = self.turns.acquire().await else { return false };
        let verify = move || bcrypt::verify(password, &hash).unwrap_or(false);
        let equal = tokio::task::spawn_blocking(verify).await.unwrap_or(false);
        drop(turn);
        let admitted = equal && known.is_some();
        if admitted {
            let mut right = self.right();
            if right.len() == REMEMBERED {
                right.clear();
            }
            right.insert(digest);
        }
        admitted
    }

    fn right(&self) -> std::sync::MutexGuard<'_, HashSet<[u8; 32]>> {
        self.right.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Users hold no colon, so a pair has one spelling.
    fn digest(&self, user: &str, password: &[u8]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(user.as_bytes());
        context.update(b":");
        context.update(password);
        let mut digest = [0; 32];
        digest.copy_from_slice(context.sign().as_ref());
        digest
    }
}

fn parse(credentials: &HeaderValue) -> Option<(String, Vec<u8>)> {
    let (scheme, encoded) = credentials.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = STANDARD.decode(encoded.trim()).ok()?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    let user = String::from_utf8(pair[..colon].to_vec()).ok()?;
    Some((user, pair[colon + 1..].to_vec()))
}
