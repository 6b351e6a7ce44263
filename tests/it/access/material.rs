//! Keys, tokens and a program that accepts them.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use ring::{digest, hmac};
use serde_json::{Value, json};

use crate::support::authority::folder;
use crate::support::backend::Backend;
use crate::support::client::{Client, ask};
use crate::support::program::{Program, command};

pub(crate) const ISSUER: &str = "https://issuer.example";
pub(crate) const AUDIENCE: &str = "inferometer";

/// An expiry that is far away, in seconds since the epoch.
pub(crate) const FAR: u64 = 4_102_444_800;

/// The secret of the set's HMAC key.
pub(crate) const SECRET: [u8; 32] = *b"canary-secret-of-the-set-of-keys";

/// A comment that keeps the limits of requests as they are by default.
pub(crate) const DEFAULT_LIMITS: &str = "# as they are by default";

/// A program with credentials in a folder of its own.
pub(crate) struct Guarded {
    pub(crate) program: Program,
    pub(crate) folder: PathBuf,
    _backend: Backend,
}

/// The line of a key: `name:sha256(key):rest`.
pub(crate) fn key_line(name: &str, key: &str, rest: &str) -> String {
    let digest = digest::digest(&digest::SHA256, key.as_bytes());
    let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{name}:{hex}:{rest}\n")
}

/// Writes a file that nobody else may read.
pub(crate) fn write_private(path: &Path, text: &str) {
    std::fs::write(path, text).expect("a file");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("it is ours");
}

/// Keys by name and scope: `reader`, `admin`, `foreign` and `expired`, each the text `canary-key-of-NAME`.
pub(crate) fn keys() -> String {
    [
        ("reader", "dashboard:read:never"),
        ("admin", "dashboard:admin:2100-01-01"),
        ("foreign", "inference:read:never"),
        ("expired", "dashboard:admin:2020-01-01"),
    ]
    .map(|(name, rest)| key_line(name, &key(name), rest))
    .concat()
}

pub(crate) fn key(name: &str) -> String {
    format!("canary-key-of-{name}")
}

/// The key pair of the set's Ed25519 key.
pub(crate) fn ed25519() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[9; 32]).expect("a seed")
}

/// Keys and tokens that another implementation has made.
pub(crate) fn vectors() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/tokens/vectors.json");
    serde_json::from_str(&std::fs::read_to_string(path).expect("vectors")).expect("JSON")
}

/// The token of this name among them.
pub(crate) fn vector(name: &str) -> String {
    let vectors = vectors();
    let found = vectors["vectors"].as_array().expect("a list").iter().find(|vector| vector["name"] == *name);
    found.expect(name)["token"].as_str().expect("text").to_owned()
}

/// The public RSA key among them: its modulus and its exponent.
pub(crate) fn rsa() -> [Vec<u8>; 2] {
    let key = &vectors()["sets"]["RS256"]["keys"][0];
    ["n", "e"].map(|part| URL_SAFE_NO_PAD.decode(key[part].as_str().expect("text")).expect("base64url"))
}

/// The same as a key of a set.
pub(crate) fn rsa_key() -> Value {
    let [n, e] = rsa().map(|part| URL_SAFE_NO_PAD.encode(part));
    json!({"kty": "RSA", "kid": "rsa", "n": n, "e": e})
}

/// A set of an HMAC key, an Ed25519 key and an RSA key.
pub(crate) fn key_set() -> Value {
    let x = URL_SAFE_NO_PAD.encode(ed25519().public_key().as_ref());
    json!({"keys": [
        {"kty": "oct", "kid": "hmac", "k": URL_SAFE_NO_PAD.encode(SECRET)},
        {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": x},
        rsa_key(),
    ]})
}

pub(crate) fn claims(scope: &str) -> Value {
    json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "canary-subject", "exp": FAR, "scope": scope})
}

/// A token of this header and these claims, signed by `sign`.
pub(crate) fn token(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", encode(header), encode(claims));
    let signature = URL_SAFE_NO_PAD.encode(sign(message.as_bytes()));
    format!("{message}.{signature}")
}

/// A token that the set's HMAC key has signed.
pub(crate) fn hs256(claims: &Value) -> String {
    token(&json!({"alg": "HS256", "kid": "hmac"}), claims, |message| mac(&SECRET, message))
}

pub(crate) fn mac(secret: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message).as_ref().to_vec()
}

/// A token that the set's Ed25519 key has signed.
pub(crate) fn eddsa(claims: &Value) -> String {
    token(&json!({"alg": "EdDSA", "kid": "ed"}), claims, |message| ed25519().sign(message).as_ref().to_vec())
}

impl Guarded {
    /// With keys, tokens and users: `person` has a password to read, `boss` one to change, each `canary-password`.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let folder = folder();
        write_private(&folder.join("keys"), &keys());
        write_private(&folder.join("jwks.json"), &key_set().to_string());
        let hash = bcrypt::hash("canary-password", 4).expect("a hash");
        std::fs::write(folder.join("web.yml"), format!("basic_auth_users: {{person: {hash}, boss: {hash}}}\n"))
            .expect("a file");
        Self::within(folder, "admins = [\"boss\"]", true, arguments)
    }

    /// With keys alone.
    pub(crate) fn with_keys(arguments: &[&str]) -> Self {
        let folder = folder();
        write_private(&folder.join("keys"), &keys());
        Self::within(folder, "", false, arguments)
    }

    /// With what lies in a folder, and these settings of `[access]`.
    pub(crate) fn within(folder: PathBuf, access: &str, has_users: bool, arguments: &[&str]) -> Self {
        let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        let file = |name: &str| folder.join(name).display().to_string();
        let mut toml = format!("backend = \"test=http://{}\"\n", backend.address);
        if has_users {
            toml += &format!("admin_web_config_file = \"{}\"\n", file("web.yml"));
        }
        toml += &format!("[access]\n{access}\n");
        if !access.contains(DEFAULT_LIMITS) {
            toml += "requests_per_minute = 100000\nrequests_per_10s = 100000\n";
        }
        if folder.join("keys").exists() {
            toml += &format!("keys_file = \"{}\"\n", file("keys"));
        }
        if folder.join("jwks.json").exists() {
            toml +=
                &format!("jwks_file = \"{}\"\nissuer = \"{ISSUER}\"\naudience = \"{AUDIENCE}\"\n", file("jwks.json"));
        }
        let path = folder.join("inferometer.toml");
        std::fs::write(&path, toml).expect("a file");
        let mut command = command();
        command.args(arguments);
        Self { program: Program::configured(command, &path), folder, _backend: backend }
    }

    /// Where the second listener is reached from this machine.
    pub(crate) fn admin(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.program.admin.port()).into()
    }

    /// The answer to a request with these fields.
    pub(crate) fn ask(&self, method: &str, path: &str, fields: &str) -> String {
        ask(self.admin(), request(method, path, fields))
    }

    /// The same from 127.0.0.`host`.
    pub(crate) fn ask_from(&self, host: u8, method: &str, path: &str, fields: &str) -> String {
        let mut client = Client::connect_from(host, self.admin());
        client.send(request(method, path, fields));
        String::from_utf8_lossy(&client.rest().0).into_owned()
    }

    pub(crate) fn status(&self, path: &str, fields: &str) -> u16 {
        status(&self.ask("GET", path, fields))
    }
}

/// A request whose connection is closed after it. Fields end with a line break each.
pub(crate) fn request(method: &str, path: &str, fields: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n")
}

pub(crate) fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

pub(crate) fn basic(user: &str, password: &str) -> String {
    format!("Authorization: Basic {}\r\n", STANDARD.encode(format!("{user}:{password}")))
}

pub(crate) fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

/// The value of a field.
pub(crate) fn field<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let head = answer.split("\r\n\r\n").next()?;
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}
