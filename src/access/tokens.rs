//! Signed tokens (JWT, RFC 7519), verified with a set of keys (JWKS, RFC 7517). The only file that knows `jsonwebtoken`.
//!
//! Promises: a key verifies by one algorithm, which follows from the key and never from the token, so a public key is no
//! secret of an HMAC; there is no `none`; keys that a token brings or refers to (`jwk`, `x5u`) are not used; issuer,
//! audience, expiry and subject are required; errors repeat nothing of a token or a key. Left out: encrypted tokens,
//! fetching a set from an address.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyOperations, PublicKeyUse};
use jsonwebtoken::signature::{self, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, EncodingKey, Validation};
use ring::digest::{SHA256, digest};
use ring::signature as schemes;
use ring::{hmac, rsa};
use serde::Deserialize;

use super::private_file;
use super::scope::{Scope, Scopes};
use crate::tls::FileError;

/// The setting that names the set of keys.
pub(super) const KEY: &str = "access.jwks_file";

/// How far the issuer's clock and ours may differ.
const LEEWAY: Duration = Duration::from_secs(30);

/// Longest token, in bytes.
const MAX_TOKEN: usize = 8 * 1024;

/// Longest subject, in bytes. It is shown and kept in the audit.
const MAX_SUBJECT: usize = 128;

/// Least bytes of an HMAC's secret (RFC 7518, 3.2: as many as the digest has).
const MIN_SECRET: usize = 32;

/// Bytes of the modulus of an RSA key (RFC 7518, 3.3: 2048 bits or more; `ring` takes up to 8192).
const MODULUS: std::ops::RangeInclusive<usize> = 256..=1024;

/// Verifies tokens.
pub(super) struct TokenVerifier {
    keys: Vec<VerifyingKey>,
}

/// A key, and what is asked of a token that it signed.
struct VerifyingKey {
    /// `None` fits every token.
    id: Option<String>,
    key: DecodingKey,
    validation: Validation,
    print: KeyPrint,
}

/// Tells keys apart, for as long as the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeyPrint([u8; 32]);

/// A token that was accepted.
#[derive(Clone, Debug)]
pub(super) struct AcceptedToken {
    pub(super) subject: Arc<str>,
    pub(super) scopes: Scopes,
    pub(super) expires: SystemTime,
    pub(super) key: KeyPrint,
}

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenFault {
    /// Its signature is right, and its time is over.
    Expired,
    /// Anything else.
    Refused,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    exp: f64,
    #[serde(default)]
    scope: String,
}

impl TokenVerifier {
    /// Reads the set of keys. Keys for other purposes and of other kinds are left out (RFC 7517, 5).
    ///
    /// # Errors
    /// When it is missing, malformed or readable by everybody, or has no key that can verify a signature.
    pub(super) fn load(path: &Path, issuer: &str, audience: &str) -> Result<Self, FileError> {
        let text = private_file::read(KEY, path)?;
        Self::parse(&text, issuer, audience).map_err(|reason| FileError::new(KEY, Some(path), reason))
    }

    fn parse(text: &str, issuer: &str, audience: &str) -> Result<Self, String> {
        // The library keeps its provider for the process; setting ours again changes nothing.
        let _ = PROVIDER.install_default();
        // Not the parser's words, which repeat the text.
        let set: JwkSet = serde_json::from_str(text)
            .map_err(|error| format!("is not a JSON Web Key Set: line {}, column {}", error.line(), error.column()))?;
        let (mut keys, mut reasons) = (Vec::new(), Vec::new());
        for (jwk, number) in set.keys.iter().zip(1_usize..) {
            match VerifyingKey::new(jwk, issuer, audience) {
                Ok(key) => keys.push(key),
                Err(reason) => reasons.push(format!("key {number} {reason}")),
            }
        }
        if keys.is_empty() {
            let reasons = if reasons.is_empty() { "it is empty".to_owned() } else { reasons.join("; ") };
            return Err(format!("has no key that can verify a signature: {reasons}"));
        }
        Ok(Self { keys })
    }

    /// Whether this text can be a token, by its shape.
    pub(super) fn is_token(text: &str) -> bool {
        text.bytes().filter(|byte| *byte == b'.').count() == 2
    }

    /// Whether the set still has this key.
    pub(super) fn has(&self, key: KeyPrint) -> bool {
        self.keys.iter().any(|it| it.print == key)
    }

    /// Verifies a token.
    ///
    /// # Errors
    /// When it is malformed, not signed by one of the keys, or not for us or for now.
    pub(super) fn verify(&self, token: &str) -> Result<AcceptedToken, TokenFault> {
        if token.len() > MAX_TOKEN {
            return Err(TokenFault::Refused);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenFault::Refused)?;
        let fits = |key: &&VerifyingKey| {
            let is_named = match (&header.kid, &key.id) {
                (Some(asked), Some(id)) => asked == id,
                _ => true,
            };
            is_named && key.validation.algorithms == [header.alg]
        };
        let mut fault = TokenFault::Refused;
        for key in self.keys.iter().filter(fits) {
            match key.verify(token) {
                Ok(token) => return Ok(token),
                Err(TokenFault::Expired) => fault = TokenFault::Expired,
                Err(TokenFault::Refused) => {}
            }
        }
        Err(fault)
    }
}

impl VerifyingKey {
    fn new(jwk: &Jwk, issuer: &str, audience: &str) -> Result<Self, String> {
        let algorithm = algorithm(jwk)?;
        let key = DecodingKey::from_jwk(jwk).map_err(|_| "is malformed")?;
        let bytes = checked(&key)?;
        let mut validation = Validation::new(algorithm);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[audience]);
        validation.validate_nbf = true;
        validation.leeway = LEEWAY.as_secs();
        let print = KeyPrint(digest(&SHA256, bytes).as_ref().try_into().expect("SHA-256 has 32 bytes"));
        Ok(Self { id: jwk.common.key_id.clone(), key, validation, print })
    }

    fn verify(&self, token: &str) -> Result<AcceptedToken, TokenFault> {
        let data = jsonwebtoken::decode::<Claims>(token, &self.key, &self.validation);
        let claims = data.map_err(|error| fault(&error))?.claims;
        let is_name = (1..=MAX_SUBJECT).contains(&claims.sub.len()) && !claims.sub.chars().any(char::is_control);
        let expires =
            Duration::try_from_secs_f64(claims.exp).ok().and_then(|exp| SystemTime::UNIX_EPOCH.checked_add(exp));
        let (true, Some(expires)) = (is_name, expires) else { return Err(TokenFault::Refused) };
        // Others' scopes are none of ours.
        let scopes = claims.scope.split(' ').filter_map(Scope::parse).collect();
        Ok(AcceptedToken { subject: claims.sub.into(), scopes, expires, key: self.print })
    }
}

fn fault(error: &Error) -> TokenFault {
    if matches!(error.kind(), ErrorKind::ExpiredSignature) { TokenFault::Expired } else { TokenFault::Refused }
}

/// The one algorithm that a key is for.
fn algorithm(jwk: &Jwk) -> Result<Algorithm, &'static str> {
    let (uses, operations) = (&jwk.common.public_key_use, &jwk.common.key_operations);
    if uses.as_ref().is_some_and(|it| *it != PublicKeyUse::Signature)
        || operations.as_ref().is_some_and(|all| !all.contains(&KeyOperations::Verify))
    {
        return Err("is not for signatures");
    }
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::OctetKey(_) => Algorithm::HS256,
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Algorithm::ES256,
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Algorithm::EdDSA,
        _ => return Err("is of a kind that is not supported"),
    };
    match jwk.common.key_algorithm.map(|stated| stated.to_string().parse()) {
        None => Ok(algorithm),
        Some(Ok(stated)) if algorithm == stated => Ok(algorithm),
        _ => Err("is for an algorithm other than HS256, RS256, ES256 and EdDSA"),
    }
}

/// The bytes of a key that has the lengths that its algorithm asks for.
fn checked(key: &DecodingKey) -> Result<&[u8], &'static str> {
    use jsonwebtoken::AlgorithmFamily::{Ec, Ed, Hmac, Rsa};
    let (bytes, is_long_enough) = match (key.family(), key.kind()) {
        (Hmac, DecodingKeyKind::SecretOrDer(secret)) => (secret, secret.len() >= MIN_SECRET),
        (Ec, DecodingKeyKind::SecretOrDer(point)) => (point, point.len() == 65),
        (Ed, DecodingKeyKind::SecretOrDer(point)) => (point, point.len() == 32),
        (Rsa, DecodingKeyKind::RsaModulusExponent { n, .. }) => (n, MODULUS.contains(&n.len())),
        _ => return Err("is malformed"),
    };
    if is_long_enough { Ok(bytes) } else { Err("has a wrong length, or is too short to be safe") }
}

/// Verifies with `ring`, which TLS uses as well. Nothing is ever signed.
static PROVIDER: CryptoProvider =
    CryptoProvider { signer_factory: no_signer, verifier_factory: verifier, key_utils: KeyUtils::new_unimplemented() };

fn no_signer(_: &Algorithm, _: &EncodingKey) -> Result<Box<dyn JwtSigner>, Error> {
    Err(ErrorKind::UnsupportedAlgorithm.into())
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    Ok(Box::new(RingVerifier { algorithm: *algorithm, key: key.clone() }))
}

struct RingVerifier {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl Verifier<Vec<u8>> for RingVerifier {
    fn verify(&self, message: &[u8], given: &Vec<u8>) -> Result<(), signature::Error> {
        let point =
            |algorithm, key: &[u8]| schemes::UnparsedPublicKey::new(algorithm, key.to_vec()).verify(message, given);
        let verified = match (self.algorithm, self.key.kind()) {
            (Algorithm::HS256, DecodingKeyKind::SecretOrDer(secret)) => {
                hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, secret), message, given)
            }
            (Algorithm::ES256, DecodingKeyKind::SecretOrDer(key)) => point(&schemes::ECDSA_P256_SHA256_FIXED, key),
            (Algorithm::EdDSA, DecodingKeyKind::SecretOrDer(key)) => point(&schemes::ED25519, key),
            (Algorithm::RS256, DecodingKeyKind::RsaModulusExponent { n, e }) => {
                rsa::PublicKeyComponents { n, e }.verify(&schemes::RSA_PKCS1_2048_8192_SHA256, message, given)
            }
            _ => return Err(signature::Error::new()),
        };
        verified.map_err(|_| signature::Error::new())
    }
}

#[cfg(test)]
mod tests;
