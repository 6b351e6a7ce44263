//! Users and their passwords (RFC 7617), kept as bcrypt hashes.
//!
//! Promises: hashes are compared in constant time; an unknown user costs what most users cost; hashing runs on a blocking
//! thread, two at a time. A pair that was right once is remembered as a keyed digest, also when the file is read again, so
//! that a scrape does not cost a hash each time; the key is made at start and never leaves the process. Guesses are bounded
//! for each address, and whoever has been let in before goes before them.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use ring::hmac;
use ring::rand::SystemRandom;

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
    right: Mutex<HashMap<String, [u8; 32]>>,
    guesses: Guesses,
    turns: Arc<Turns>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            key: hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok(),
            right: Mutex::default(),
            guesses: Guesses::default(),
            turns: Turns::new(HASHING, WAITING),
        }
    }
}

impl Memory {
    /// Whether these credentials from this address are right.
    pub(super) async fn judge(&self, users: &Users, credentials: &HeaderValue, ip: IpAddr) -> Verdict {
        let Some((user, password)) = parse(credentials) else { return Verdict::Wrong };
        let known = users.hashes.get(&user);
        let hash = known.unwrap_or(&users.decoy).clone();
        let digest = self.digest(&user, &hash, &password);
        if known.is_some() && digest.is_some() && self.right().get(&user) == digest.as_ref() {
            self.guesses.let_in(ip, Instant::now());
            return Verdict::Right;
        }
        let rank = match self.guesses.take(ip, Instant::now()) {
            Ok(rank) => rank,
            Err(wait) => return Verdict::TooMany(wait),
        };
        let Some(turn) = self.turns.take(rank).await else {
            self.guesses.give_back(ip, Instant::now());
            return Verdict::TooMany(CROWDED);
        };
        let verify = move || {
            let equal = bcrypt::verify(password, &hash).unwrap_or(false);
            // The turn is over with the work, also where whoever asked has left.
            drop(turn);
            equal
        };
        let equal = tokio::task::spawn_blocking(verify).await.unwrap_or(false);
        if !equal || known.is_none() {
            return Verdict::Wrong;
        }
        let now = Instant::now();
        self.guesses.give_back(ip, now);
        self.guesses.let_in(ip, now);
        if let Some(digest) = digest {
            self.right().insert(user, digest);
        }
        Verdict::Right
    }

    fn right(&self) -> MutexGuard<'_, HashMap<String, [u8; 32]>> {
        self.right.lock().unwrap_or_else(PoisonError::into_inner)
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
        let remembered = memory.right().clone();
        let same = Users { hashes: old.hashes.clone(), decoy: old.decoy.clone() };
        assert_eq!(memory.judge(&same, &credentials, ip).await, Verdict::Right);
        assert_eq!(*memory.right(), remembered, "it was not hashed again");
        assert_eq!(memory.judge(&users("other"), &credentials, ip).await, Verdict::Wrong);
        let new = users("right");
        assert_eq!(memory.judge(&new, &credentials, ip).await, Verdict::Right);
        assert_ne!(*memory.right(), remembered, "another hash of it is another password");
    }
}
