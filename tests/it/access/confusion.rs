//! A public key in the place of a secret: whoever has it, and everybody may, signs with it as HS256 does.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::{Value, json};

use super::material::{mac, rsa, rsa_key, token, vector};

/// A value of DER: its kind, its length, its content.
fn der(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let length = &length[length.iter().position(|byte| *byte > 0).unwrap_or(length.len() - 1)..];
    let head = match length {
        [short @ 0..128] => vec![kind, *short],
        long => [&[kind, 0x80 | u8::try_from(long.len()).expect("eight at most")], long].concat(),
    };
    [&head, content].concat()
}

/// An integer that is not negative.
fn integer(bytes: &[u8]) -> Vec<u8> {
    let sign: &[u8] = if bytes[0] < 0x80 { &[] } else { &[0] };
    der(0x02, &[sign, bytes].concat())
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines = text.as_bytes().chunks(64).map(String::from_utf8_lossy);
    let lines: String = lines.map(|line| format!("{line}\n")).collect();
    format!("-----BEGIN {label}-----\n{lines}-----END {label}-----\n")
}

/// The RSA key of the set, in every form in which a library might take its bytes for a secret.
fn public_keys() -> Vec<(&'static str, Vec<u8>)> {
    const RSA_ENCRYPTION: [u8; 13] = [0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 0x05, 0];
    let [n, e] = rsa();
    let bare = der(0x30, &[integer(&n), integer(&e)].concat());
    let bits = der(0x03, &[&[0], &*bare].concat());
    let described = der(0x30, &[der(0x30, &RSA_ENCRYPTION), bits].concat());
    let text = pem("PUBLIC KEY", &described);
    vec![
        ("its PEM", text.clone().into_bytes()),
        ("its PEM without the last line break", text.trim_end().into()),
        ("its bare PEM", pem("RSA PUBLIC KEY", &bare).into_bytes()),
        ("its DER", described),
        ("its bare DER", bare),
        ("its modulus", n.clone()),
        ("its modulus as text", URL_SAFE_NO_PAD.encode(n).into_bytes()),
        ("its JWK", rsa_key().to_string().into_bytes()),
    ]
}

/// Tokens with these claims that such a secret has signed, with and without the id of the key.
pub(super) fn tokens(claims: &Value) -> Vec<(&'static str, String)> {
    let headers = [json!({"alg": "HS256", "kid": "rsa"}), json!({"alg": "HS256"})];
    let of = |(what, secret): (&'static str, Vec<u8>)| {
        headers.clone().map(|header| (what, token(&header, claims, |message| mac(&secret, message))))
    };
    public_keys().into_iter().flat_map(of).collect()
}

/// A real signature is accepted with what is written here, by another implementation.
#[test]
fn the_forms_of_the_public_key_are_those_that_others_read() {
    let forms = public_keys();
    let of = |what: &str| forms.iter().find(|(form, _)| *form == what).map(|(_, bytes)| &**bytes).expect(what);
    let valid = vector("RS256: valid with the set `all`");
    let (message, signature) = valid.rsplit_once('.').expect("a signature");
    let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, of("its bare DER"));
    assert!(key.verify(message.as_bytes(), &signature).is_ok(), "the bare DER");
    // What every such key of 2,048 bits begins with (RFC 3279, 2.3.1).
    let begins = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA";
    let text = String::from_utf8_lossy(of("its PEM"));
    assert!(text.starts_with(&format!("-----BEGIN PUBLIC KEY-----\n{begins}")), "{text}");
    assert!(of("its DER").ends_with(of("its bare DER")));
}
