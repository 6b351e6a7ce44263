//! API keys: a file of their digests.
//!
//! ```text
//! # name:SHA-256 of the key:scopes:expiry
//! grafana:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08:dashboard:read:never
//! deploy:…:dashboard:read,dashboard:admin:2027-06-30
//! ```
//!
//! Keys are random and long ([`new_key`]), so a plain digest is as good as a slow hash. Promises: a key is compared with
//! every digest in constant time; an error names the line and repeats nothing of it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use ring::rand::{SecureRandom as _, SystemRandom};
use subtle::ConstantTimeEq as _;

use super::private_file;
use super::scope::{Scope, Scopes};
use crate::history::timestamp::Timestamp;
use crate::tls::FileError;

/// The setting that names the file.
pub(super) const KEY: &str = "access.keys_file";

/// How every key begins, so that a search finds one that has leaked.
const PREFIX: &str = "inferometer_";

/// Random bytes of a key.
const RANDOM_BYTES: usize = 32;

/// Longest name of a key, in bytes. It is shown and kept in the audit.
const MAX_NAME: usize = 64;

/// Most keys in a file: each is compared for each request that carries a key.
const MAX_KEYS: usize = 1_000;

pub(super) type KeyDigest = [u8; SHA256_OUTPUT_LEN];

/// The keys of a file.
#[derive(Debug, Default)]
pub(super) struct ApiKeys(Vec<ApiKey>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ApiKey {
    pub(super) name: Arc<str>,
    pub(super) digest: KeyDigest,
    pub(super) scopes: Scopes,
    /// `None` never ends.
    pub(super) expires: Option<SystemTime>,
}

impl ApiKey {
    pub(super) fn is_expired(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|end| end <= now)
    }
}

impl ApiKeys {
    /// Reads the file.
    ///
    /// # Errors
    /// When it is missing or malformed, or may be read by every user of the machine.
    pub(super) fn load(path: &Path) -> Result<Self, FileError> {
        let text = private_file::read(KEY, path)?;
        Self::parse(&text).map_err(|reason| FileError::new(KEY, Some(path), reason))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut keys: Vec<ApiKey> = Vec::new();
        for (line, number) in text.lines().map(str::trim).zip(1_usize..) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let key = parse_line(line).map_err(|reason| format!("line {number}: {reason}"))?;
            let is_known = |other: &ApiKey| other.name == key.name || other.digest == key.digest;
            if keys.iter().any(is_known) {
                return Err(format!("line {number}: an earlier line has the same name or the same key"));
            }
            keys.push(key);
        }
        if keys.len() > MAX_KEYS {
            return Err(format!("it has {} keys, and may have {MAX_KEYS}", keys.len()));
        }
        Ok(Self(keys))
    }

    /// What each permits that has not expired.
    pub(super) fn scopes(&self, now: SystemTime) -> impl Iterator<Item = Scopes> {
        self.0.iter().filter(move |key| !key.is_expired(now)).map(|key| key.scopes)
    }

    /// The key that this text is, expired or not.
    pub(super) fn find(&self, given: &str) -> Option<&ApiKey> {
        self.with_digest(&digest_of(given))
    }

    /// Looks at every key, so that the time tells nothing.
    pub(super) fn with_digest(&self, given: &KeyDigest) -> Option<&ApiKey> {
        self.0.iter().fold(None, |found, key| if key.digest.ct_eq(given).into() { Some(key) } else { found })
    }
}

fn digest_of(key: &str) -> KeyDigest {
    digest(&SHA256, key.as_bytes()).as_ref().try_into().expect("SHA-256 has this length")
}

/// `name:digest:scopes:expiry`. Scopes and times hold colons themselves, so the scopes are taken by their names.
fn parse_line(line: &str) -> Result<ApiKey, String> {
    let mut parts = line.splitn(3, ':');
    let (Some(name), Some(hex), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
        return Err("expected name:sha256:scopes:expiry".to_owned());
    };
    if !is_name(name) {
        return Err(format!("the name is not 1 to {MAX_NAME} printable ASCII characters without spaces"));
    }
    let digest = parse_digest(hex).ok_or(
        "the second field is not a SHA-256 digest of 64 hexadecimal digits (`inferometer key` makes a key and its line)",
    )?;
    let (scopes, expiry) = parse_scopes(rest)?;
    Ok(ApiKey { name: name.into(), digest, scopes, expires: parse_expiry(expiry)? })
}

/// Whether a key may have this name.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_graphic() && byte != b':' && byte != b'#';
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(is_allowed)
}

fn parse_digest(hex: &str) -> Option<KeyDigest> {
    let mut digest = KeyDigest::default();
    let pairs = hex.as_bytes().chunks(2);
    if hex.len() != 2 * digest.len() {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(pairs) {
        let [high, low] = pair else { return None };
        let value = |digit: &u8| char::from(*digit).to_digit(16);
        *byte = u8::try_from(value(high)? << 4 | value(low)?).ok()?;
    }
    Some(digest)
}

/// The scopes, and the text after their colon.
fn parse_scopes(text: &str) -> Result<(Scopes, &str), String> {
    let (mut scopes, mut rest) = (Vec::new(), text);
    loop {
        let Some(scope) = Scope::ALL.into_iter().find(|scope| rest.starts_with(scope.as_str())) else {
            let all = Scope::ALL.map(Scope::as_str).join(", ");
            return Err(format!("the third field holds something else than {all}, with commas between them"));
        };
        scopes.push(scope);
        rest = &rest[scope.as_str().len()..];
        match rest.as_bytes().first() {
            Some(b',') => rest = rest[1..].trim_start(),
            Some(b':') => return Ok((scopes.into_iter().collect(), &rest[1..])),
            _ => return Err("the scopes are not followed by `:` and the expiry".to_owned()),
        }
    }
}

fn parse_expiry(text: &str) -> Result<Option<SystemTime>, String> {
    if text == "never" {
        return Ok(None);
    }
    let at = Timestamp::parse(text).and_then(|at| u64::try_from(at.0).ok());
    let at = at.ok_or("the expiry is not `never`, a day such as 2027-06-30, or a time such as 2027-06-30T12:00:00Z")?;
    Ok(Some(SystemTime::UNIX_EPOCH + Duration::from_millis(at)))
}

/// A new key, and the line of the file that admits it.
#[derive(Debug)]
pub struct NewKey {
    /// What the client sends. It is stored nowhere.
    pub key: String,
    /// Its line.
    pub line: String,
}

/// Makes a key. `expiry` is a time, or `never`.
///
/// # Errors
/// When the name or the expiry is malformed, or the system gives no random numbers.
pub fn new_key(name: &str, scopes: &[Scope], expiry: &str) -> Result<NewKey, String> {
    let mut random = [0; RANDOM_BYTES];
    SystemRandom::new().fill(&mut random).map_err(|_| "the system gives no random numbers")?;
    let key = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random));
    let hex: String = digest_of(&key).iter().map(|byte| format!("{byte:02x}")).collect();
    let scopes: Vec<_> = scopes.iter().map(|scope| scope.as_str()).collect();
    let line = format!("{name}:{hex}:{}:{expiry}", scopes.join(","));
    parse_line(&line)?;
    Ok(NewKey { key, line })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    fn day(text: &str) -> SystemTime {
        let at = Timestamp::parse(text).expect("a time").0;
        SystemTime::UNIX_EPOCH + Duration::from_millis(at.unsigned_abs())
    }

    #[test]
    fn a_line_has_a_name_a_digest_scopes_and_an_expiry() {
        let text = format!("# a comment\n\n  one:{DIGEST}:dashboard:read:never\n");
        let keys = ApiKeys::parse(&text).expect("keys");
        let key = keys.find("test").expect("the key with this digest");
        assert_eq!((&*key.name, key.scopes, key.expires), ("one", Scopes::from_iter([Scope::DashboardRead]), None));
        assert!(keys.find("tesT").is_none() && keys.find("").is_none());
        for (fields, scopes, expires) in [
            ("dashboard:admin:2027-06-30", vec![Scope::DashboardAdmin], "2027-06-30T00:00:00Z"),
            (
                "inference:read,dashboard:read:2027-06-30T12:30:00Z",
                vec![Scope::InferenceRead, Scope::DashboardRead],
                "2027-06-30T12:30:00Z",
            ),
            (
                "inference:read, dashboard:read:2027-06-30T12:30:00.250Z",
                vec![Scope::InferenceRead, Scope::DashboardRead],
                "2027-06-30T12:30:00.250Z",
            ),
        ] {
            let keys = ApiKeys::parse(&format!("one:{}:{fields}", DIGEST.to_uppercase())).expect(fields);
            let key = keys.find("test").expect("the key");
            assert_eq!((key.scopes, key.expires), (scopes.into_iter().collect(), Some(day(expires))), "{fields}");
        }
    }

    #[test]
    fn a_key_ends_at_its_expiry() {
        let keys = ApiKeys::parse(&format!("one:{DIGEST}:dashboard:read:2027-06-30")).expect("keys");
        let (key, end) = (keys.find("test").expect("the key"), day("2027-06-30"));
        assert!(!key.is_expired(end - Duration::from_millis(1)) && key.is_expired(end));
    }

    #[test]
    fn an_error_names_the_line_and_repeats_nothing_of_it() {
        let right = format!("one:{DIGEST}:dashboard:read:never");
        for (line, reason) in [
            ("CANARY", "expected name:sha256:scopes:expiry"),
            ("CANARY:secret", "expected name:sha256:scopes:expiry"),
            (&format!("CANARY two:{DIGEST}:dashboard:read:never"), "the name is not"),
            (":CANARY:dashboard:read:never", "the name is not"),
            ("two:CANARY:dashboard:read:never", "the second field is not a SHA-256 digest"),
            (&format!("two:{}:dashboard:read:never", DIGEST.replace('9', "g")), "the second field is not"),
            (&format!("two:{}:CANARY:never", DIGEST.replace('9', "8")), "the third field holds something else"),
            (&format!("two:{}:dashboard:read,CANARY:never", DIGEST.replace('9', "8")), "the third field"),
            (&format!("two:{}:dashboard:reader:never", DIGEST.replace('9', "8")), "the scopes are not followed by"),
            (&format!("two:{}:dashboard:read", DIGEST.replace('9', "8")), "the scopes are not followed by"),
            (&format!("two:{}:dashboard:read:CANARY", DIGEST.replace('9', "8")), "the expiry is not `never`"),
            (&format!("two:{DIGEST}:dashboard:read:never"), "an earlier line has the same"),
            (&format!("one:{}:dashboard:read:never", DIGEST.replace('9', "8")), "an earlier line has the same"),
        ] {
            let error = ApiKeys::parse(&format!("{right}\n{line}\n")).expect_err(line);
            assert!(error.starts_with("line 2: ") && error.contains(reason), "{line}: {error}");
            assert!(!error.contains("CANARY") && !error.contains(&DIGEST[2..]), "{error}");
        }
    }

    #[test]
    fn a_new_key_is_admitted_by_its_line() {
        let new = new_key("ci", &[Scope::DashboardRead, Scope::DashboardAdmin], "2027-06-30").expect("a key");
        assert_eq!(new.key.len(), PREFIX.len() + 43);
        assert!(!new.line.contains(&new.key[PREFIX.len()..]), "{}", new.line);
        let keys = ApiKeys::parse(&new.line).expect("a line");
        assert!(keys.find(&new.key).is_some_and(|key| key.scopes.permit(Scope::DashboardAdmin)));
        assert_ne!(new_key("ci", &[Scope::DashboardRead], "never").expect("a key").key, new.key);
        for (name, expiry) in [("a b", "never"), ("", "never"), ("a:b", "never"), ("a", "soon")] {
            assert!(new_key(name, &[Scope::DashboardRead], expiry).is_err(), "{name} {expiry}");
        }
    }
}
