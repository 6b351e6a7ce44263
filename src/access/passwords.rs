//! Verifies users and passwords (RFC 7617) against bcrypt hashes.
//!
//! Promises: hashes are compared in constant time; an unknown user takes as long as most users; hashing runs on
//! blocking threads, two at a time, and concurrent requests with the same credentials share one hash. A verified pair
//! is remembered as a keyed digest, also across reloads, so that a scrape does not cost a hash each time; the key is
//! random and never leaves the process. Wrong passwords are rate-limited by address, and addresses that have
//! authenticated go first.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use ring::hmac;
use ring::rand::SystemRandom;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use super::guesses::GuessLimiter;
use super::priority::PrioritySemaphore;

/// Hashes computed at once: guesses must not take the machine's cores.
const MAX_HASHING: usize = 2;

/// Passwords that wait to be hashed; twice as many from addresses that have authenticated.
const MAX_WAITING: usize = 32;

/// The highest bcrypt cost allowed. Each step doubles the time; this one takes seconds.
const MAX_COST: u32 = 15;

/// When to retry after the queue was full.
const QUEUE_FULL_RETRY: Duration = Duration::from_secs(1);

/// Users and the hashes of their passwords.
pub struct Users {
    /// The bcrypt hash by user.
    hashes: HashMap<String, String>,
    /// The hash that an unknown user's password is compared with.
    decoy: String,
}

impl Users {
    /// `None` where there are no users.
    ///
    /// # Errors
    /// When a name or a hash is malformed, or a hash too costly.
    pub fn new(hashes: HashMap<String, String>) -> Result<Option<Self>, String> {
        // By cost: how many hashes, and one of them.
        let mut costs: BTreeMap<u32, (usize, &String)> = BTreeMap::new();
        for (user, hash) in &hashes {
            let cost = cost(user, hash)?;
            costs.entry(cost).or_insert((0, hash)).0 += 1;
        }
        // Of two equally frequent costs, the higher.
        let Some((_, decoy)) = costs.into_values().max_by_key(|(users, _)| *users) else { return Ok(None) };
        Ok(Some(Self { decoy: decoy.clone(), hashes }))
    }
}

impl Users {
    /// The users.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.hashes.keys().map(String::as_str)
    }

    /// The hash of a user's password.
    pub(super) fn hash_of(&self, user: &str) -> Option<&str> {
        self.hashes.get(user).map(String::as_str)
    }

    /// The user that credentials name, where there is one of that name.
    pub(super) fn named_in(&self, credentials: &HeaderValue) -> Option<Arc<str>> {
        let (user, _) = parse(credentials)?;
        self.hashes.get_key_value(&user).map(|(user, _)| user.as_str().into())
    }
}

fn cost(user: &str, hash: &str) -> Result<u32, String> {
    let user = user.escape_debug();
    if user.to_string().contains(':') {
        return Err(format!("basic_auth_users: the name `{user}` holds a colon"));
    }
    // A password written in clear must not show up in a log.
    let parts = hash.parse::<bcrypt::HashParts>().map_err(|_| {
        format!("basic_auth_users: the value of `{user}` is not a bcrypt hash (`htpasswd -nB` makes one)")
    })?;
    match parts.get_cost() {
        cost @ ..=MAX_COST => Ok(cost),
        cost => Err(format!(
            "basic_auth_users: the hash for `{user}` has a cost of {cost}, and one of more than {MAX_COST} would take \
             seconds or more of a core for every guess: make one with `htpasswd -nBC 10 {user}`"
        )),
    }
}

/// The result of checking credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CredentialCheck {
    Right,
    Wrong,
    /// Not checked: too many attempts from this address, or too many waiting. Retry after this time.
    TooMany(Duration),
}

/// Checks credentials. What it remembers outlives a change of the users.
pub(super) struct Verifier {
    /// `None` where the system gave no random numbers: then every password is hashed.
    key: Option<hmac::Key>,
    verified: Arc<VerifiedDigests>,
    guesses: Arc<GuessLimiter>,
    hashing: Arc<PrioritySemaphore>,
    /// A lock for each digest whose credentials are being hashed.
    pending: Mutex<HashMap<[u8; 32], Weak<AsyncMutex<()>>>>,
}

/// By user, the digest of the password that was right, which covers the hash that it was compared with.
#[derive(Default)]
struct VerifiedDigests(Mutex<HashMap<String, [u8; 32]>>);

impl VerifiedDigests {
    fn table(&self) -> MutexGuard<'_, HashMap<String, [u8; 32]>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Verifier {
    fn default() -> Self {
        Self {
            key: hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok(),
            verified: Arc::default(),
            guesses: Arc::default(),
            hashing: PrioritySemaphore::new(MAX_HASHING, MAX_WAITING),
            pending: Mutex::default(),
        }
    }
}

impl Verifier {
    /// Charges an attempt to `ip` unless the credentials are right.
    pub(super) async fn verify(&self, users: &Users, credentials: &HeaderValue, ip: IpAddr) -> CredentialCheck {
        let Some((user, password)) = parse(credentials) else { return CredentialCheck::Wrong };
        let known = users.hashes.get(&user);
        let is_known = known.is_some();
        let hash = known.unwrap_or(&users.decoy).clone();
        let digest = self.digest(&user, &hash, &password);
        let is_verified = || is_known && digest.is_some() && self.verified.table().get(&user) == digest.as_ref();
        let mut verified = is_verified();
        let mut lock = None;
        if let (false, Some(digest)) = (verified, digest) {
            // Concurrent requests with the same credentials wait for this result and are charged no attempt.
            lock = Some(self.lock(digest).await);
            verified = is_verified();
        }
        if verified {
            self.guesses.mark_authenticated(ip, Instant::now());
            return CredentialCheck::Right;
        }
        let rank = match self.guesses.charge(ip, Instant::now()) {
            Ok(rank) => rank,
            Err(wait) => return CredentialCheck::TooMany(wait),
        };
        let unused = UnusedAttempt { guesses: &self.guesses, ip };
        let Some(permit) = self.hashing.acquire(rank).await else { return CredentialCheck::TooMany(QUEUE_FULL_RETRY) };
        std::mem::forget(unused);
        let (verified, guesses) = (self.verified.clone(), self.guesses.clone());
        // The result is recorded on this thread, so also after the request was dropped.
        let verify = move || {
            let right = bcrypt::verify(password, &hash).unwrap_or(false) && is_known;
            if right {
                let now = Instant::now();
                guesses.refund(ip, now);
                guesses.mark_authenticated(ip, now);
                verified.table().extend(digest.map(|digest| (user, digest)));
            }
            drop((permit, lock));
            right
        };
        match tokio::task::spawn_blocking(verify).await {
            Ok(true) => CredentialCheck::Right,
            _ => CredentialCheck::Wrong,
        }
    }

    /// Charges an attempt for credentials that are no password.
    ///
    /// # Errors
    /// When no attempt is left: the time until the next one.
    pub(super) fn charge(&self, ip: IpAddr, now: Instant) -> Result<(), Duration> {
        self.guesses.charge(ip, now).map(|_| ())
    }

    /// Waits until no other request hashes credentials of this digest.
    async fn lock(&self, digest: [u8; 32]) -> OwnedMutexGuard<()> {
        let lock = {
            let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
            pending.retain(|_, lock| lock.strong_count() > 0);
            let held = pending.get(&digest).and_then(Weak::upgrade);
            held.unwrap_or_else(|| {
                let lock = Arc::default();
                pending.insert(digest, Arc::downgrade(&lock));
                lock
            })
        };
        lock.lock_owned().await
    }

    /// Users hold no colon and hashes no NUL, so each triple has one spelling.
    fn digest(&self, user: &str, hash: &str, password: &[u8]) -> Option<[u8; 32]> {
        let mut context = hmac::Context::with_key(self.key.as_ref()?);
        for part in [user.as_bytes(), b":", hash.as_bytes(), b"\0", password] {
            context.update(part);
        }
        context.sign().as_ref().try_into().ok()
    }
}

/// An attempt that is charged and not made yet. Dropping it, as when the request is dropped, refunds it.
struct UnusedAttempt<'a> {
    guesses: &'a GuessLimiter,
    ip: IpAddr,
}

impl Drop for UnusedAttempt<'_> {
    fn drop(&mut self) {
        self.guesses.refund(self.ip, Instant::now());
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Users whose hashes claim these costs.
    fn users(costs: &[u32]) -> Result<Option<Users>, String> {
        let hash = bcrypt::hash("right", 4).expect("a hash");
        let hash = |cost: &u32| hash.replace("$04$", &format!("${cost:02}$"));
        Users::new(costs.iter().enumerate().map(|(at, cost)| (format!("user{at}"), hash(cost))).collect())
    }

    #[test]
    fn an_unknown_user_takes_as_long_as_most_users() {
        for (costs, expected) in [(&[10, 10, 14][..], 10), (&[12, 10, 12, 4], 12), (&[9], 9), (&[10, 12], 12)] {
            let decoy = users(costs).expect("hashes").expect("users").decoy;
            assert_eq!(cost("decoy", &decoy), Ok(expected), "{costs:?}");
        }
        assert!(users(&[]).expect("nothing").is_none());
    }

    #[test]
    fn a_cost_that_takes_seconds_is_refused() {
        assert!(users(&[10, 15]).is_ok());
        let error = users(&[16]).err().expect("an error");
        assert!(error.contains("`user0` has a cost of 16") && error.contains("htpasswd -nBC 10"), "{error}");
    }

    #[tokio::test]
    async fn a_right_pair_is_remembered_across_reloads_until_its_hash_changes() {
        let users = |password: &str| {
            let hash = bcrypt::hash(password, 4).expect("a hash");
            Users::new([("me".to_owned(), hash)].into()).expect("hashes").expect("users")
        };
        let (verifier, ip) = (Verifier::default(), "10.0.0.1".parse().expect("an address"));
        let credentials = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode("me:right"))).expect("a value");
        let old = users("right");
        assert_eq!(verifier.verify(&old, &credentials, ip).await, CredentialCheck::Right);
        let remembered = verifier.verified.table().clone();
        let same = Users { hashes: old.hashes.clone(), decoy: old.decoy.clone() };
        assert_eq!(verifier.verify(&same, &credentials, ip).await, CredentialCheck::Right);
        assert_eq!(*verifier.verified.table(), remembered, "it was not hashed again");
        assert_eq!(verifier.verify(&users("other"), &credentials, ip).await, CredentialCheck::Wrong);
        let new = users("right");
        assert_eq!(verifier.verify(&new, &credentials, ip).await, CredentialCheck::Right);
        assert_ne!(*verifier.verified.table(), remembered, "another hash of it is another password");
    }

    /// One user, and credentials that are right.
    fn one_user() -> (Users, HeaderValue) {
        let hash = bcrypt::hash("right", 4).expect("a hash");
        let users = Users::new([("me".to_owned(), hash)].into()).expect("hashes").expect("users");
        (users, HeaderValue::from_str(&format!("Basic {}", STANDARD.encode("me:right"))).expect("a value"))
    }

    #[tokio::test]
    async fn concurrent_requests_with_the_same_right_pair_share_one_hash() {
        let (verifier, ip) = (Arc::new(Verifier::default()), "10.0.0.1".parse().expect("an address"));
        let (users, credentials) = one_user();
        let users = Arc::new(users);
        let mut asking = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let (verifier, users, credentials) = (verifier.clone(), users.clone(), credentials.clone());
            asking.spawn(async move { verifier.verify(&users, &credentials, ip).await });
        }
        assert_eq!(asking.join_all().await, [CredentialCheck::Right; 50]);
        assert_eq!(
            verifier.guesses.charge(ip, Instant::now()),
            Ok(super::super::priority::Rank::Known),
            "no attempt was charged"
        );
    }

    /// Polls once, and returns whether it is ready.
    async fn polled_once<F: Future>(mut asking: std::pin::Pin<&mut F>) -> bool {
        std::future::poll_fn(|cx| std::task::Poll::Ready(asking.as_mut().poll(cx).is_ready())).await
    }

    #[tokio::test]
    async fn a_request_that_is_dropped_while_it_waits_is_charged_no_attempt() {
        let (verifier, ip) = (Verifier::default(), "10.0.0.1".parse().expect("an address"));
        let (users, _) = one_user();
        let mut taken = Vec::new();
        for _ in 0..MAX_HASHING {
            taken.push(verifier.hashing.acquire(super::super::priority::Rank::Known).await.expect("a permit"));
        }
        for guess in 0..100 {
            let pair = STANDARD.encode(format!("me:{guess}"));
            let credentials = HeaderValue::from_str(&format!("Basic {pair}")).expect("a value");
            let mut asking = std::pin::pin!(verifier.verify(&users, &credentials, ip));
            assert!(!polled_once(asking.as_mut()).await, "{guess} waits for a permit");
        }
        assert_eq!(verifier.guesses.charge(ip, Instant::now()), Ok(super::super::priority::Rank::Stranger));
    }

    #[tokio::test]
    async fn an_unknown_users_password_is_hashed_as_a_known_ones() {
        let verifier = Verifier::default();
        let (users, _) = one_user();
        for (host, user) in [(1, "me"), (2, "somebody")] {
            let ip = IpAddr::from([10, 0, 0, host]);
            let pair = STANDARD.encode(format!("{user}:wrong"));
            let credentials = HeaderValue::from_str(&format!("Basic {pair}")).expect("a value");
            let mut taken = Vec::new();
            for _ in 0..MAX_HASHING {
                taken.push(verifier.hashing.acquire(super::super::priority::Rank::Known).await.expect("a permit"));
            }
            let mut asking = std::pin::pin!(verifier.verify(&users, &credentials, ip));
            assert!(!polled_once(asking.as_mut()).await, "{user} waits for a permit to hash");
            taken.clear();
            assert_eq!(asking.await, CredentialCheck::Wrong, "{user}");
        }
    }

    #[tokio::test]
    async fn the_result_of_a_hash_is_kept_after_the_request_was_dropped() {
        let (verifier, ip) = (Verifier::default(), "10.0.0.1".parse().expect("an address"));
        let (users, credentials) = one_user();
        {
            polled_once(std::pin::pin!(verifier.verify(&users, &credentials, ip))).await;
        }
        let digest = verifier.digest("me", &users.hashes["me"], b"right").expect("a key");
        drop(verifier.lock(digest).await);
        assert_eq!(verifier.verified.table().get("me"), Some(&digest));
    }
}
