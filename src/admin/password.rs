//! Users and their passwords (RFC 7617), kept as bcrypt hashes.
//!
//! Promises: hashes are compared in constant time; an unknown user costs what most users cost; hashing runs on a blocking
//! thread, two at a time, and equal pairs one after the other: what was right for the first is for all. A pair that was right once is remembered as a keyed digest, also when the file is read again, so
//! that a scrape does not cost a hash each time; the key is made at start and never leaves the process. Guesses are bounded
//! for each address, and whoever has been let in before goes before them.

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

use super::guesses::Guesses;
use super::turns::Turns;

/// Hashes that are computed at once: guesses must not take the machine's cores.
const HASHING: usize = 2;

/// Passwords that wait to be hashed; whoever has been let in before may still wait where as many wait already.
const WAITING: usize = 32;

/// The costliest hash that is taken: each step doubles the time, and this is seconds already.
const MAX_COST: u32 = 15;

/// Until somebody who waits has been served, in a crowd.
const CROWDED: Duration = Duration::from_secs(1);

/// Who may ask.
pub(super) struct Users {
    /// The hash of each.
    hashes: HashMap<String, String>,
    /// What an unknown user's password is compared with.
    decoy: String,
}

impl Users {
    /// None where there are no users.
    ///
    /// # Errors
    /// When a name or a hash cannot be one.
    pub(super) fn new(hashes: HashMap<String, String>) -> Result<Option<Self>, String> {
        // How many hashes there are of each cost, and one of them.
        let mut costs: BTreeMap<u32, (usize, &String)> = BTreeMap::new();
        for (user, hash) in &hashes {
            let cost = cost(user, hash)?;
            costs.entry(cost).or_insert((0, hash)).0 += 1;
        }
        // Of two that are as frequent, the costlier.
        let Some((_, decoy)) = costs.into_values().max_by_key(|(users, _)| *users) else { return Ok(None) };
        Ok(Some(Self { decoy: decoy.clone(), hashes }))
    }
}

fn cost(user: &str, hash: &str) -> Result<u32, String> {
    let user = user.escape_debug();
    if user.to_string().contains(':') {
        return Err(format!("basic_auth_users: the name `{user}` holds a colon"));
    }
    // A password written in clear must not show up in a log.
    let parts = hash.parse::<bcrypt::HashParts>().map_err(|_| {
        format!("basic_auth_users: what stands for `{user}` is no bcrypt hash (`htpasswd -nB` makes one)")
    })?;
    match parts.get_cost() {
        cost @ ..=MAX_COST => Ok(cost),
        cost => Err(format!(
            "basic_auth_users: the hash for `{user}` has a cost of {cost}, and one of more than {MAX_COST} would take \
             seconds or more of a core for every guess: make one with `htpasswd -nBC 10 {user}`"
        )),
    }
}

/// What came of credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Right,
    Wrong,
    /// Not looked at: this address has guessed too often, or too many are waiting. It may try again after this time.
    TooMany(Duration),
}

/// What is remembered of those who asked, whatever the users are now.
pub(super) struct Memory {
    /// None where the system gave no random numbers: then every password is hashed.
    key: Option<hmac::Key>,
    /// The digest of each user's right password, which covers the hash that it was compared with.
    right: Arc<Right>,
    guesses: Arc<Guesses>,
    turns: Arc<Turns>,
    /// Held by whoever has credentials of this digest hashed.
    pending: Mutex<HashMap<[u8; 32], Weak<AsyncMutex<()>>>>,
}

#[derive(Default)]
struct Right(Mutex<HashMap<String, [u8; 32]>>);

impl Right {
    fn table(&self) -> MutexGuard<'_, HashMap<String, [u8; 32]>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            key: hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok(),
            right: Arc::default(),
            guesses: Arc::default(),
            turns: Turns::new(HASHING, WAITING),
            pending: Mutex::default(),
        }
    }
}

impl Memory {
    /// Whether these credentials from this address are right.
    pub(super) async fn judge(&self, users: &Users, credentials: &HeaderValue, ip: IpAddr) -> Verdict {
        let Some((user, password)) = parse(credentials) else { return Verdict::Wrong };
        let known = users.hashes.get(&user);
        let is_known = known.is_some();
        let hash = known.unwrap_or(&users.decoy).clone();
        let digest = self.digest(&user, &hash, &password);
        let is_remembered = || is_known && digest.is_some() && self.right.table().get(&user) == digest.as_ref();
        let mut remembered = is_remembered();
        let mut alone = None;
        if let (false, Some(digest)) = (remembered, digest) {
            // Whoever asks with the same credentials meanwhile waits for what comes of them, and pays for no try.
            alone = Some(self.alone(digest).await);
            remembered = is_remembered();
        }
        if remembered {
            self.guesses.let_in(ip, Instant::now());
            return Verdict::Right;
        }
        let rank = match self.guesses.take(ip, Instant::now()) {
            Ok(rank) => rank,
            Err(wait) => return Verdict::TooMany(wait),
        };
        let unused = Unused { guesses: &self.guesses, ip };
        let Some(turn) = self.turns.take(rank).await else { return Verdict::TooMany(CROWDED) };
        std::mem::forget(unused);
        let (remembered, guesses) = (self.right.clone(), self.guesses.clone());
        // All that comes of it happens here, also where whoever asked has left.
        let verify = move || {
            let right = bcrypt::verify(password, &hash).unwrap_or(false) && is_known;
            if right {
                let now = Instant::now();
                guesses.give_back(ip, now);
                guesses.let_in(ip, now);
                remembered.table().extend(digest.map(|digest| (user, digest)));
            }
            drop((turn, alone));
            right
        };
        match tokio::task::spawn_blocking(verify).await {
            Ok(true) => Verdict::Right,
            _ => Verdict::Wrong,
        }
    }

    /// Waits until nobody else has credentials of this digest hashed.
    async fn alone(&self, digest: [u8; 32]) -> OwnedMutexGuard<()> {
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

/// A try that was taken and is not made yet: dropped, also where whoever asked has left, it is given back.
struct Unused<'a> {
    guesses: &'a Guesses,
    ip: IpAddr,
}

impl Drop for Unused<'_> {
    fn drop(&mut self) {
        self.guesses.give_back(self.ip, Instant::now());
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

    /// Users with hashes that say that they are of these costs.
    fn users(costs: &[u32]) -> Result<Option<Users>, String> {
        let hash = bcrypt::hash("right", 4).expect("a hash");
        let hash = |cost: &u32| hash.replace("$04$", &format!("${cost:02}$"));
        Users::new(costs.iter().enumerate().map(|(at, cost)| (format!("user{at}"), hash(cost))).collect())
    }

    #[test]
    fn an_unknown_user_costs_what_most_users_cost() {
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
    async fn a_right_pair_is_remembered_when_the_file_is_read_again_and_forgotten_with_its_hash() {
        let users = |password: &str| {
            let hash = bcrypt::hash(password, 4).expect("a hash");
            Users::new([("me".to_owned(), hash)].into()).expect("hashes").expect("users")
        };
        let (memory, ip) = (Memory::default(), "10.0.0.1".parse().expect("an address"));
        let credentials = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode("me:right"))).expect("a value");
        let old = users("right");
        assert_eq!(memory.judge(&old, &credentials, ip).await, Verdict::Right);
        let remembered = memory.right.table().clone();
        let same = Users { hashes: old.hashes.clone(), decoy: old.decoy.clone() };
        assert_eq!(memory.judge(&same, &credentials, ip).await, Verdict::Right);
        assert_eq!(*memory.right.table(), remembered, "it was not hashed again");
        assert_eq!(memory.judge(&users("other"), &credentials, ip).await, Verdict::Wrong);
        let new = users("right");
        assert_eq!(memory.judge(&new, &credentials, ip).await, Verdict::Right);
        assert_ne!(*memory.right.table(), remembered, "another hash of it is another password");
    }

    /// One user, and credentials that are right.
    fn one_user() -> (Users, HeaderValue) {
        let hash = bcrypt::hash("right", 4).expect("a hash");
        let users = Users::new([("me".to_owned(), hash)].into()).expect("hashes").expect("users");
        (users, HeaderValue::from_str(&format!("Basic {}", STANDARD.encode("me:right"))).expect("a value"))
    }

    #[tokio::test]
    async fn a_right_pair_that_many_ask_with_at_once_is_hashed_for_the_first_alone() {
        let (memory, ip) = (Arc::new(Memory::default()), "10.0.0.1".parse().expect("an address"));
        let (users, credentials) = one_user();
        let users = Arc::new(users);
        let mut asking = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let (memory, users, credentials) = (memory.clone(), users.clone(), credentials.clone());
            asking.spawn(async move { memory.judge(&users, &credentials, ip).await });
        }
        assert_eq!(asking.join_all().await, [Verdict::Right; 50]);
        assert_eq!(memory.guesses.take(ip, Instant::now()), Ok(crate::admin::turns::Rank::Known), "no try was charged");
    }

    /// Asks for once, without waiting for what comes of it.
    async fn begun<F: Future>(mut asking: std::pin::Pin<&mut F>) -> bool {
        std::future::poll_fn(|cx| std::task::Poll::Ready(asking.as_mut().poll(cx).is_ready())).await
    }

    #[tokio::test]
    async fn whoever_leaves_while_it_waits_for_its_turn_keeps_its_try() {
        let (memory, ip) = (Memory::default(), "10.0.0.1".parse().expect("an address"));
        let (users, _) = one_user();
        let mut taken = Vec::new();
        for _ in 0..HASHING {
            taken.push(memory.turns.take(crate::admin::turns::Rank::Known).await.expect("a turn"));
        }
        for guess in 0..100 {
            let pair = STANDARD.encode(format!("me:{guess}"));
            let credentials = HeaderValue::from_str(&format!("Basic {pair}")).expect("a value");
            let mut asking = std::pin::pin!(memory.judge(&users, &credentials, ip));
            assert!(!begun(asking.as_mut()).await, "{guess} waits for its turn");
        }
        assert_eq!(memory.guesses.take(ip, Instant::now()), Ok(crate::admin::turns::Rank::Stranger));
    }

    #[tokio::test]
    async fn an_unknown_users_password_is_hashed_as_a_known_ones() {
        let memory = Memory::default();
        let (users, _) = one_user();
        for (host, user) in [(1, "me"), (2, "somebody")] {
            let ip = IpAddr::from([10, 0, 0, host]);
            let pair = STANDARD.encode(format!("{user}:wrong"));
            let credentials = HeaderValue::from_str(&format!("Basic {pair}")).expect("a value");
            let mut taken = Vec::new();
            for _ in 0..HASHING {
                taken.push(memory.turns.take(crate::admin::turns::Rank::Known).await.expect("a turn"));
            }
            let mut asking = std::pin::pin!(memory.judge(&users, &credentials, ip));
            assert!(!begun(asking.as_mut()).await, "{user} waits for a turn at hashing");
            taken.clear();
            assert_eq!(asking.await, Verdict::Wrong, "{user}");
        }
    }

    #[tokio::test]
    async fn what_came_of_a_hash_is_kept_where_the_asker_has_left() {
        let (memory, ip) = (Memory::default(), "10.0.0.1".parse().expect("an address"));
        let (users, credentials) = one_user();
        {
            begun(std::pin::pin!(memory.judge(&users, &credentials, ip))).await;
        }
        let digest = memory.digest("me", &users.hashes["me"], b"right").expect("a key");
        drop(memory.alone(digest).await);
        assert_eq!(memory.right.table().get("me"), Some(&digest));
    }
}
