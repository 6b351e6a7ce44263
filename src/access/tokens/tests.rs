use std::collections::HashMap;
use std::time::UNIX_EPOCH;

use super::*;

#[derive(Deserialize)]
struct Vectors {
    issuer: String,
    audience: String,
    sets: HashMap<String, serde_json::Value>,
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    set: String,
    token: String,
    valid: bool,
}

fn vectors() -> Vectors {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/tokens/vectors.json");
    serde_json::from_str(&std::fs::read_to_string(path).expect("the vectors")).expect("JSON")
}

impl Vectors {
    fn verifier(&self, set: &str) -> Result<TokenVerifier, String> {
        TokenVerifier::parse(&self.sets[set].to_string(), &self.issuer, &self.audience)
    }
}

#[test]
fn every_vector_has_its_verdict() {
    let vectors = vectors();
    let mut wrong = Vec::new();
    for vector in &vectors.vectors {
        let accepted = vectors.verifier(&vector.set).is_ok_and(|keys| keys.verify(&vector.token).is_ok());
        if accepted != vector.valid {
            wrong.push(format!("{}: {}", vector.name, if accepted { "accepted" } else { "refused" }));
        }
    }
    let valid = vectors.vectors.iter().filter(|vector| vector.valid).count();
    println!("{} tokens, {valid} of them valid", vectors.vectors.len());
    assert!(wrong.is_empty() && valid > 40 && vectors.vectors.len() > 500, "{}", wrong.join("\n"));
}

#[test]
fn a_token_says_who_it_is_for_how_long_and_what_it_may_do() {
    let vectors = vectors();
    let valid = vectors.vectors.iter().find(|vector| vector.valid && vector.set == "ES256").expect("one");
    let keys = vectors.verifier("ES256").expect("keys");
    let token = keys.verify(&valid.token).expect("it is valid");
    assert_eq!((&*token.subject, token.scopes), ("me", Scopes::from_iter([Scope::DashboardRead])));
    assert_eq!(token.expires, UNIX_EPOCH + Duration::from_secs(4_102_444_800));
    assert!(keys.has(token.key) && !vectors.verifier("RS256").expect("keys").has(token.key));
}

#[test]
fn an_expired_token_is_told_from_one_that_was_never_valid() {
    let vectors = vectors();
    for (name, fault) in [("EdDSA: expired", TokenFault::Expired), ("EdDSA: modified signature", TokenFault::Refused)] {
        let vector = vectors.vectors.iter().find(|vector| vector.name == name).expect(name);
        let verified = vectors.verifier("EdDSA").expect("keys").verify(&vector.token);
        assert_eq!(verified.err(), Some(fault), "{name}");
    }
}

#[test]
fn the_issuers_clock_may_be_half_a_minute_off() {
    let now = jsonwebtoken::get_current_timestamp();
    let secret = [7; 32];
    use base64::Engine as _;
    let encode = |bytes: &[u8]| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
    let set = format!(r#"{{"keys": [{{"kty": "oct", "k": "{}"}}]}}"#, encode(&secret));
    let keys = TokenVerifier::parse(&set, "i", "a").expect("keys");
    let verify = |exp: u64, nbf: u64| {
        let claims = format!(r#"{{"iss": "i", "aud": "a", "sub": "me", "exp": {exp}, "nbf": {nbf}}}"#);
        let message = format!("{}.{}", encode(br#"{"alg": "HS256"}"#), encode(claims.as_bytes()));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), message.as_bytes());
        keys.verify(&format!("{message}.{}", encode(tag.as_ref()))).map(|_| ())
    };
    let off = LEEWAY.as_secs();
    // Ten seconds are for a machine that is busy.
    assert_eq!(verify(now - off + 10, now + off - 10), Ok(()));
    assert_eq!(verify(now - off - 10, now), Err(TokenFault::Expired));
    assert_eq!(verify(now + 60, now + off + 10), Err(TokenFault::Refused));
}

#[test]
fn an_error_in_a_set_repeats_nothing_of_it() {
    for (set, reason) in [
        ("CANARY", "is not a JSON Web Key Set: line 1"),
        (r#"{"keys": [{"kty": "oct", "k": 7, "CANARY": "CANARY"}]}"#, "key 1 is of a kind that is not supported"),
        (r#"{"keys": [{"kty": "oct", "k": "CANARYCANARY"}]}"#, "key 1 has a wrong length"),
        (r#"{"keys": [{"kty": "oct", "k": "CANARY?"}]}"#, "key 1 is malformed"),
        (r#"{"keys": [{"kty": "oct", "k": "", "alg": "CANARY"}]}"#, "key 1 is for an algorithm other than"),
        (r#"{"keys": [{"kty": "oct", "k": "CANARY", "use": "enc"}]}"#, "key 1 is not for signatures"),
        (r#"{"keys": []}"#, "it is empty"),
        ("{}", "is not a JSON Web Key Set"),
    ] {
        let error = TokenVerifier::parse(set, "i", "a").err().expect(set);
        assert!(error.contains(reason) && !error.contains("CANARY"), "{set}: {error}");
    }
}
