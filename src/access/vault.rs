//! Secrets that are given out and come back: cookies of sessions and tickets.
//!
//! Promises: 32 random bytes each; only their digests are kept, in memory; their number is bounded, and whoever has the
//! most loses the oldest, so that nobody can push others out.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};

use super::identity::Holder;

/// Random bytes of a secret.
const RANDOM_BYTES: usize = 32;

pub(super) type SecretDigest = [u8; 32];

pub(super) struct Vault<T> {
    life: Duration,
    /// Entries that are kept at once.
    most: usize,
    entries: Mutex<HashMap<SecretDigest, Entry<T>>>,
}

struct Entry<T> {
    value: T,
    holder: Holder,
    issued: Instant,
    ends: Instant,
}

impl<T: Clone> Vault<T> {
    pub(super) fn new(life: Duration, most: usize) -> Self {
        Self { life, most, entries: Mutex::default() }
    }

    /// Gives out a secret for this value. It ends after the life of all, or after `left` where that is sooner.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub(super) fn issue(
        &self,
        holder: Holder,
        value: T,
        left: Option<Duration>,
        now: Instant,
    ) -> Result<String, NoRandom> {
        let mut random = [0; RANDOM_BYTES];
        SystemRandom::new().fill(&mut random).map_err(|_| NoRandom)?;
        let secret = URL_SAFE_NO_PAD.encode(random);
        let ends = now + left.map_or(self.life, |left| left.min(self.life));
        let mut entries = self.entries();
        entries.retain(|_, entry| entry.ends > now);
        if entries.len() >= self.most {
            remove_oldest_of_the_greediest(&mut entries);
        }
        entries.insert(digest_of(&secret), Entry { value, holder, issued: now, ends });
        Ok(secret)
    }

    /// The value of a secret.
    pub(super) fn find(&self, secret: &str, now: Instant) -> Option<(SecretDigest, T)> {
        let digest = digest_of(secret);
        self.get(&digest, now).map(|value| (digest, value))
    }

    /// The value of a secret with this digest.
    pub(super) fn get(&self, digest: &SecretDigest, now: Instant) -> Option<T> {
        self.entries().get(digest).filter(|entry| entry.ends > now).map(|entry| entry.value.clone())
    }

    /// The value of a secret, which is used up.
    pub(super) fn take(&self, secret: &str, now: Instant) -> Option<T> {
        self.entries().remove(&digest_of(secret)).filter(|entry| entry.ends > now).map(|entry| entry.value)
    }

    /// Whether there was one of this digest; now it is not.
    pub(super) fn end(&self, digest: &SecretDigest) -> bool {
        self.entries().remove(digest).is_some()
    }

    /// How many are in force.
    pub(super) fn count(&self, now: Instant) -> usize {
        self.entries().values().filter(|entry| entry.ends > now).count()
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<SecretDigest, Entry<T>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The system gives no random numbers.
#[derive(Clone, Copy, Debug)]
pub struct NoRandom;

fn digest_of(secret: &str) -> SecretDigest {
    digest(&SHA256, secret.as_bytes()).as_ref().try_into().expect("SHA-256 has 32 bytes")
}

fn remove_oldest_of_the_greediest<T>(entries: &mut HashMap<SecretDigest, Entry<T>>) {
    let mut by_holder: HashMap<&Holder, (usize, Instant, SecretDigest)> = HashMap::new();
    for (digest, entry) in entries.iter() {
        let held = by_holder.entry(&entry.holder).or_insert((0, entry.issued, *digest));
        let oldest = if entry.issued < held.1 { (entry.issued, *digest) } else { (held.1, held.2) };
        *held = (held.0 + 1, oldest.0, oldest.1);
    }
    let most = by_holder.values().max_by_key(|(count, issued, _)| (*count, std::cmp::Reverse(*issued)));
    if let Some(digest) = most.map(|(.., digest)| *digest) {
        entries.remove(&digest);
    }
}

#[cfg(test)]
mod tests {
    use super::super::identity::Means;
    use super::*;

    fn holder(name: &str) -> Holder {
        Holder::Named(Means::Password, name.into())
    }

    #[test]
    fn a_secret_is_found_until_it_ends() {
        let (vault, now) = (Vault::new(Duration::from_secs(30), 8), Instant::now());
        let secret = vault.issue(holder("me"), 7, None, now).expect("random");
        assert_eq!(secret.len(), 43);
        let short = vault.issue(holder("me"), 8, Some(Duration::from_secs(5)), now).expect("random");
        let long = vault.issue(holder("me"), 9, Some(Duration::from_secs(500)), now).expect("random");
        let found = |secret: &str, after| vault.find(secret, now + Duration::from_secs(after)).map(|(_, value)| value);
        assert_eq!([found(&secret, 29), found(&secret, 30)], [Some(7), None]);
        assert_eq!([found(&short, 4), found(&short, 5)], [Some(8), None]);
        assert_eq!([found(&long, 29), found(&long, 30)], [Some(9), None]);
        assert_eq!([found("", 0), found(&secret[1..], 0)], [None, None]);
        let (digest, _) = vault.find(&secret, now).expect("it is there");
        assert!(vault.end(&digest) && !vault.end(&digest) && found(&secret, 0).is_none());
    }

    #[test]
    fn a_ticket_is_used_once() {
        let (vault, now) = (Vault::new(Duration::from_secs(30), 8), Instant::now());
        let [one, late] = [1, 2].map(|value| vault.issue(holder("me"), value, None, now).expect("random"));
        assert_eq!([vault.take(&one, now), vault.take(&one, now)], [Some(1), None]);
        assert_eq!(vault.take(&late, now + Duration::from_secs(30)), None);
        assert_eq!(vault.count(now), 0);
    }

    #[test]
    fn whoever_has_the_most_loses_the_oldest() {
        let (vault, begun) = (Vault::new(Duration::from_secs(3_600), 10), Instant::now());
        let mine = vault.issue(holder("me"), 0, None, begun).expect("random");
        let greedy: Vec<_> = (1..100)
            .map(|at| vault.issue(holder("greedy"), at, None, begun + Duration::from_secs(at)).expect("random"))
            .collect();
        let now = begun + Duration::from_secs(200);
        assert_eq!(vault.count(now), 10);
        assert!(vault.find(&mine, now).is_some());
        let left = greedy.iter().filter_map(|secret| vault.find(secret, now)).map(|(_, value)| value);
        assert_eq!(left.collect::<Vec<_>>(), (91..100).collect::<Vec<_>>());
    }
}
