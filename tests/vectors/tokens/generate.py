#!/usr/bin/env python3
"""Writes vectors.json: signed tokens, and whether each must be accepted.

Made with `cryptography`, an implementation other than the one under test; `jwcrypto` gives a second opinion on every
signature. Run it in an environment with both: the keys are new each time, the verdicts are the same.

The kinds of cases follow those that Project Wycheproof has for JSON Web Signatures.
"""

import base64
import hashlib
import hmac
import json
import pathlib
import sys

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from jwcrypto import jwk, jws

ISSUER, AUDIENCE = "https://issuer.example", "inferometer"
FAR = 4102444800  # the year 2100
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value, width=None):
    return b64(value.to_bytes(width or (value.bit_length() + 7) // 8, "big"))


def compact(value):
    return json.dumps(value, separators=(",", ":")).encode()


CLAIMS = {"iss": ISSUER, "aud": AUDIENCE, "sub": "me", "exp": FAR, "scope": "dashboard:read"}
SECRET = hashlib.sha256(b"a secret of 32 bytes for the vectors").digest()
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
P256 = ec.generate_private_key(ec.SECP256R1())
P384 = ec.generate_private_key(ec.SECP384R1())
ED = ed25519.Ed25519PrivateKey.generate()
OTHER = {"rsa": rsa.generate_private_key(public_exponent=65537, key_size=2048), "ec": ec.generate_private_key(ec.SECP256R1()), "ed": ed25519.Ed25519PrivateKey.generate()}
SMALL = rsa.generate_private_key(public_exponent=65537, key_size=1024)


def ec_jwk(key, curve="P-256", width=32):
    point = key.public_key().public_numbers()
    return {"kty": "EC", "crv": curve, "x": number(point.x, width), "y": number(point.y, width)}


def rsa_jwk(key):
    numbers = key.public_key().public_numbers()
    return {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e)}


def ed_raw(key):
    return key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def ed_jwk(key):
    return {"kty": "OKP", "crv": "Ed25519", "x": b64(ed_raw(key))}


def es_sign(key, message, digest=hashes.SHA256(), width=32):
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(digest)))
    return r.to_bytes(width, "big") + s.to_bytes(width, "big")


SIGN = {
    "HS256": lambda m: hmac.new(SECRET, m, hashlib.sha256).digest(),
    "HS384": lambda m: hmac.new(SECRET, m, hashlib.sha384).digest(),
    "HS512": lambda m: hmac.new(SECRET, m, hashlib.sha512).digest(),
    "RS256": lambda m: RSA.sign(m, padding.PKCS1v15(), hashes.SHA256()),
    "RS384": lambda m: RSA.sign(m, padding.PKCS1v15(), hashes.SHA384()),
    "RS512": lambda m: RSA.sign(m, padding.PKCS1v15(), hashes.SHA512()),
    "PS256": lambda m: RSA.sign(m, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256()),
    "ES256": lambda m: es_sign(P256, m),
    "ES384": lambda m: es_sign(P384, m, hashes.SHA384(), 48),
    "EdDSA": lambda m: ED.sign(m),
}
PUBLIC = {
    "HS256": {"kty": "oct", "k": b64(SECRET)},
    "RS256": rsa_jwk(RSA),
    "ES256": ec_jwk(P256),
    "EdDSA": ed_jwk(ED),
}
ALGORITHMS = list(PUBLIC)


def named(algorithm, **more):
    return {"kid": f"kid-{algorithm}", "use": "sig", "alg": algorithm, **PUBLIC[algorithm], **more}


SETS = {algorithm: {"keys": [named(algorithm)]} for algorithm in ALGORITHMS}
SETS["all"] = {"keys": [named(algorithm) for algorithm in ALGORITHMS]}
for algorithm in ALGORITHMS:
    SETS[f"{algorithm} bare"] = {"keys": [PUBLIC[algorithm]]}
    SETS[f"{algorithm} for encryption"] = {"keys": [named(algorithm, use="enc")]}
    operations = {name: value for name, value in named(algorithm).items() if name != "use"}
    SETS[f"{algorithm} for encryption by its operations"] = {"keys": [{**operations, "key_ops": ["encrypt", "decrypt"]}]}
    SETS[f"{algorithm} to verify by its operations"] = {"keys": [{**operations, "key_ops": ["verify"]}]}
SETS["RSA for RS512"] = {"keys": [named("RS256", alg="RS512")]}
SETS["RSA for PS256"] = {"keys": [named("RS256", alg="PS256")]}
SETS["EC for ES384"] = {"keys": [named("ES256", alg="ES384")]}
SETS["secret for HS512"] = {"keys": [named("HS256", alg="HS512")]}
SETS["RSA of 1024 bits"] = {"keys": [{"kid": "kid-RS256", **rsa_jwk(SMALL)}]}
SETS["short secret"] = {"keys": [{"kid": "kid-HS256", "kty": "oct", "k": b64(SECRET[:16])}]}
SETS["P-384"] = {"keys": [{"kid": "kid-ES256", **ec_jwk(P384, "P-384", 48)}]}
SETS["empty"] = {"keys": []}
SETS["unknown kinds beside a known one"] = {
    "keys": [{"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA"}, {"kty": "OKP", "crv": "X25519", "x": b64(SECRET)}, named("ES256")]
}

VECTORS = []


def add(name, keys, token, verdict):
    VECTORS.append({"name": name, "set": keys, "token": token, "valid": verdict})


def token(algorithm, claims=CLAIMS, header=None, sign=None, raw_header=None, raw_claims=None):
    header = {"alg": algorithm, "kid": f"kid-{algorithm}"} if header is None else header
    message = b64(raw_header or compact(header)) + "." + b64(raw_claims or compact(claims))
    return message + "." + b64((sign or SIGN[algorithm])(message.encode()))


def signed_text(algorithm, head, payload):
    """Signs a message that need not be base64."""
    message = f"{head}.{payload}"
    return message + "." + b64(SIGN[algorithm](message.encode()))


for algorithm in ALGORITHMS:
    def case(name, text, verdict=False, keys=algorithm):
        add(f"{algorithm}: {name}", keys, text, verdict)

    good = token(algorithm)
    head, payload, tail = good.split(".")
    for keys in (algorithm, "all", f"{algorithm} bare", f"{algorithm} to verify by its operations"):
        case(f"valid with the set `{keys}`", good, True, keys)
    case("valid without a key id", token(algorithm, header={"alg": algorithm}), True)
    case("valid with a type", token(algorithm, header={"typ": "JWT", "alg": algorithm, "kid": f"kid-{algorithm}"}), True)
    spaced = f'{{ "kid" : "kid-{algorithm}",\n\t"alg" : "{algorithm}" }}'.encode()
    case("valid with spaces in the JSON of the header", token(algorithm, raw_header=spaced), True)
    flipped = ("A" if tail[0] != "A" else "B") + tail[1:]
    case("modified signature", f"{head}.{payload}.{flipped}")
    case("missing signature", f"{head}.{payload}.")
    case("missing signature and separator", f"{head}.{payload}")
    case("modified payload", f"{head}.{b64(compact({**CLAIMS, 'sub': 'you'}))}.{tail}")
    case("missing payload", f"{head}..{tail}")
    case("missing payload and separator", f"{head}.{tail}")
    case("modified header", f"{b64(compact({'alg': algorithm, 'kid': f'kid-{algorithm}', 'x': 1}))}.{payload}.{tail}")
    case("missing header", f".{payload}.{tail}")
    case("missing header and separator", f"{payload}.{tail}")
    case("only a payload between separators", f".{payload}.")
    case("only a payload", payload)
    case("empty", "")
    case("two separators", "..")
    case("extra empty component", good + ".")
    case("extra component", good + ".foo")
    case("truncated signature", f"{head}.{payload}.{tail[:-4]}")
    case("longer signature", f"{head}.{payload}.{b64(base64.urlsafe_b64decode(tail + '==') + b'x')}")
    for word in ("none", "None", "NONE", "nOnE", ""):
        for signature in ("", tail):
            unsigned = b64(compact({"alg": word, "kid": f"kid-{algorithm}"})) + "." + payload + "." + signature
            case(f"algorithm `{word}` {'with' if signature else 'without'} a signature", unsigned)
    case("no algorithm", token(algorithm, header={"kid": f"kid-{algorithm}"}))
    case("algorithm in small letters", token(algorithm, header={"alg": algorithm.lower(), "kid": f"kid-{algorithm}"}))
    case("JSON serialization", json.dumps({"payload": payload, "signatures": [{"protected": head, "signature": tail}]}))
    case("flattened JSON serialization", json.dumps({"payload": payload, "protected": head, "signature": tail}))
    case("unknown key id", token(algorithm, header={"alg": algorithm, "kid": "other"}))
    case("key id that is no text", token(algorithm, header={"alg": algorithm, "kid": 7}))
    case("spaces before the signature", f"{head}.{payload}.    {tail}")
    case("invalid character before the signature", f"{head}.{payload}.?{tail}")
    case("invalid character after the signature", f"{head}.{payload}.{tail}?")
    case("padding after the signature", f"{head}.{payload}.{tail}==")
    case("standard alphabet", f"{head}.{payload}.{tail.replace('-', '+').replace('_', '/')}+")
    case("spaces after the header", signed_text(algorithm, head + "    ", payload))
    case("invalid characters after the header", signed_text(algorithm, head + "####", payload))
    case("spaces before the payload", signed_text(algorithm, head, "    " + payload))
    case("invalid characters before the payload", signed_text(algorithm, head, "####" + payload))
    case("invalid character in the header", f"{head[:5]}?{head[5:]}.{payload}.{tail}")
    case("invalid character in the payload", f"{head}.{payload[:5]}?{payload[5:]}.{tail}")
    case("unused bits in the payload", signed_text(algorithm, head, b64(compact(CLAIMS) + b" " * ((2 - len(compact(CLAIMS))) % 3))[:-1] + "B"))
    case("critical extension", token(algorithm, header={"alg": algorithm, "kid": f"kid-{algorithm}", "crit": ["x"], "x": 1}))
    case("empty list of critical extensions", token(algorithm, header={"alg": algorithm, "kid": f"kid-{algorithm}", "crit": []}))
    case("unencoded payload", signed_text(algorithm, b64(compact({"alg": algorithm, "b64": False, "crit": ["b64"]})), "me"))
    for name in ("for encryption", "for encryption by its operations"):
        case(f"key {name}", good, False, f"{algorithm} {name}")

    # Claims.
    def claims(name, change, verdict=False):
        changed = {key: value for key, value in {**CLAIMS, **change}.items() if value is not ...}
        case(name, token(algorithm, changed), verdict)

    for claim in ("iss", "aud", "exp", "sub"):
        claims(f"no `{claim}`", {claim: ...})
        claims(f"`{claim}` is null", {claim: None})
        claims(f"`{claim}` is an object", {claim: {}})
    claims("other issuer", {"iss": ISSUER + "/"})
    claims("other audience", {"aud": "inferometer2"})
    claims("one of several audiences", {"aud": ["other", AUDIENCE]}, True)
    claims("several other audiences", {"aud": ["a", "b"]})
    claims("no audiences", {"aud": []})
    claims("expired", {"exp": 1})
    claims("expiry before the epoch", {"exp": -1})
    claims("expiry as text", {"exp": str(FAR)})
    claims("expiry with a fraction", {"exp": FAR + 0.5}, True)
    claims("not yet valid", {"nbf": FAR - 1})
    claims("valid for long", {"nbf": 1}, True)
    claims("start as text", {"nbf": "1"})
    claims("empty subject", {"sub": ""})
    claims("long subject", {"sub": "x" * 129})
    claims("subject with a line break", {"sub": "a\nb"})
    claims("no scope", {"scope": ...}, True)
    claims("scope is a list", {"scope": ["dashboard:read"]})
    case("payload that is no object", token(algorithm, raw_claims=b"[]"))
    case("payload that is no JSON", token(algorithm, raw_claims=b"foo"))
    twice = compact(CLAIMS)[:-1] + b',"sub":"you"}'
    case("subject given twice", token(algorithm, raw_claims=twice))

# A public key taken for the secret of an HMAC, and other confusions.
PEM = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
DER = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
for algorithm, key in (("RS256", RSA), ("ES256", P256), ("EdDSA", ED)):
    public = key.public_key()
    forms = {
        "PEM": public.public_bytes(*PEM),
        "PEM without its last line break": public.public_bytes(*PEM).rstrip(),
        "DER": public.public_bytes(*DER),
        "JWK": compact(named(algorithm)),
        "nothing": b"",
    }
    if algorithm == "RS256":
        forms["modulus"] = public.public_numbers().n.to_bytes(256, "big")
        forms["PKCS #1"] = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
    if algorithm == "ES256":
        raw = public.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
        forms |= {"point": raw, "coordinates": raw[1:], "x": raw[1:33]}
    if algorithm == "EdDSA":
        forms["point"] = ed_raw(ED)
    for form, secret in forms.items():
        header = {"alg": "HS256", "kid": f"kid-{algorithm}"}
        forged = token("HS256", header=header, sign=lambda m: hmac.new(secret, m, hashlib.sha256).digest())
        for keys in (algorithm, f"{algorithm} bare", "all"):
            add(f"key confusion: HMAC with the public key of {algorithm} as {form}, set `{keys}`", keys, forged, False)
for algorithm in ALGORITHMS:
    for other in ALGORITHMS:
        if other != algorithm:
            crossed = token(algorithm, header={"alg": other, "kid": f"kid-{other}"})
            add(f"key confusion: {algorithm} called {other}", "all", crossed, False)
            swapped = token(algorithm, header={"alg": algorithm, "kid": f"kid-{other}"})
            add(f"key confusion: {algorithm} with the key id of {other}", "all", swapped, False)
for algorithm, keys in (("HS384", "HS256"), ("HS512", "HS256"), ("RS384", "RS256"), ("RS512", "RS256"), ("PS256", "RS256")):
    for header in ({"alg": algorithm, "kid": f"kid-{keys}"}, {"alg": keys, "kid": f"kid-{keys}"}):
        add(f"other algorithm: {algorithm} called {header['alg']}", keys, token(algorithm, header=header), False)
for name, algorithm in (("RSA for RS512", "RS256"), ("RSA for PS256", "RS256"), ("EC for ES384", "ES256"), ("secret for HS512", "HS256"), ("RSA of 1024 bits", "RS256"), ("short secret", "HS256"), ("P-384", "ES256"), ("empty", "ES256")):
    sign = {
        "RSA of 1024 bits": lambda m: SMALL.sign(m, padding.PKCS1v15(), hashes.SHA256()),
        "short secret": lambda m: hmac.new(SECRET[:16], m, hashlib.sha256).digest(),
    }.get(name)
    add(f"set `{name}`", name, token(algorithm, sign=sign), False)
add("RS512 with a key for it", "RSA for RS512", token("RS512", header={"alg": "RS512", "kid": "kid-RS256"}), False)
add("ES384 with a key for it", "P-384", token("ES384", header={"alg": "ES384", "kid": "kid-ES256"}), False)
add("unknown kinds of keys are left out", "unknown kinds beside a known one", token("ES256"), True)

# Keys that the token itself brings.
for algorithm, public, sign in (
    ("RS256", rsa_jwk(OTHER["rsa"]), lambda m: OTHER["rsa"].sign(m, padding.PKCS1v15(), hashes.SHA256())),
    ("ES256", ec_jwk(OTHER["ec"]), lambda m: es_sign(OTHER["ec"], m)),
    ("EdDSA", ed_jwk(OTHER["ed"]), lambda m: OTHER["ed"].sign(m)),
):
    header = {"alg": algorithm, "kid": f"kid-{algorithm}"}
    add(f"{algorithm}: signed by another key", algorithm, token(algorithm, header=header, sign=sign), False)
    for brought in ({"jwk": public}, {"jku": "http://127.0.0.1:1/keys"}, {"x5u": "http://127.0.0.1:1/key"}):
        add(f"{algorithm}: key brought as {list(brought)[0]}", algorithm, token(algorithm, header={**header, **brought}, sign=sign), False)

# Signatures of ECDSA at the edges.
def ecdsa(name, signature, verdict=False):
    add(f"ES256: {name}", "ES256", token("ES256", sign=signature), verdict)


def halves(message):
    signature = SIGN["ES256"](message)
    return int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")


def joined(r, s, width=32):
    return r.to_bytes(width, "big") + s.to_bytes(width, "big")


ecdsa("in DER", lambda m: P256.sign(m, ec.ECDSA(hashes.SHA256())))
ecdsa("the other s", lambda m: (lambda r, s: joined(r, ORDER - s))(*halves(m)), True)
ecdsa("a byte more in each half", lambda m: joined(*halves(m), width=33))
ecdsa("zeros after it", lambda m: joined(*halves(m)) + b"\0")
ecdsa("zeros after each half", lambda m: (lambda r, s: joined(r, s)[:32] + b"\0" + joined(r, s)[32:] + b"\0")(*halves(m)))
ecdsa("r + n", lambda m: (lambda r, s: joined(r + ORDER, s, 33))(*halves(m)))
ecdsa("s + n", lambda m: (lambda r, s: joined(r, s + ORDER, 33))(*halves(m)))
ecdsa("r + 2^256", lambda m: (lambda r, s: joined(r + (1 << 256), s, 33))(*halves(m)))
ecdsa("very wide", lambda m: joined(*halves(m), width=256))
ecdsa("the halves swapped", lambda m: (lambda r, s: joined(s, r))(*halves(m)))
for r in (0, 1, ORDER - 1, ORDER):
    for s in (0, 1, ORDER - 1, ORDER):
        ecdsa(f"r {hex(r)[:6]}…{r % 7}, s {hex(s)[:6]}…{s % 7}", lambda m, r=r, s=s: joined(r, s))

# Padding of PKCS #1 v1.5.
def padded(name, make):
    def sign(message):
        block = make(hashlib.sha256(message).digest())
        block = int.from_bytes(block, "big")
        numbers = RSA.private_numbers()
        return pow(block, numbers.d, numbers.public_numbers.n).to_bytes(256, "big")

    add(f"RS256 padding: {name}", "RS256", token("RS256", sign=sign), name == "right")


INFO = bytes.fromhex("3031300d060960864801650304020105000420")


def block(info, digest, filler=b"\xff", first=b"\x00\x01", between=b"\x00", tail=b""):
    length = 256 - len(first) - len(between) - len(info) - len(digest) - len(tail)
    return first + filler * length + between + info + digest + tail


padded("right", lambda d: block(INFO, d))
padded("type 2", lambda d: block(INFO, d, first=b"\x00\x02"))
padded("type 0", lambda d: block(INFO, d, first=b"\x00\x00", filler=b"\x00"))
padded("other filler", lambda d: block(INFO, d, filler=b"\xfe"))
padded("no zero between", lambda d: block(INFO, d, between=b""))
padded("bytes after the digest", lambda d: block(INFO, d, tail=b"\x00" * 8))
padded("short filler and bytes after the digest", lambda d: b"\x00\x01" + b"\xff" * 8 + b"\x00" + INFO + d + b"\x00" * (256 - 11 - len(INFO) - 32))
padded("no digest information", lambda d: block(b"", d))
padded("digest information of SHA-512", lambda d: block(bytes.fromhex("3051300d060960864801650304020305000440"), d))
padded("digest information of SHA-1", lambda d: block(bytes.fromhex("3021300906052b0e03021a05000414"), d[:20]))
padded("no parameters", lambda d: block(bytes.fromhex("302f300b0609608648016503040201" + "0420"), d))
padded("a long form of a length", lambda d: block(bytes.fromhex("308131300d060960864801650304020105000420"), d))
padded("other digest", lambda d: block(INFO, bytes(32)))


def shifted(message):
    return (int.from_bytes(SIGN["RS256"](message), "big") + RSA.public_key().public_numbers().n).to_bytes(257, "big")


add("RS256: signature + n", "RS256", token("RS256", sign=shifted), False)
add("RS256: a zero before the signature", "RS256", token("RS256", sign=lambda m: b"\0" + SIGN["RS256"](m)), False)
add("RS256: signature 0", "RS256", token("RS256", sign=lambda m: bytes(256)), False)
add("RS256: signature 1", "RS256", token("RS256", sign=lambda m: (1).to_bytes(256, "big")), False)


def second_opinion(vector):
    """Whether any key of the set verifies the signature by its own algorithm, as jwcrypto sees it."""
    for key in SETS[vector["set"]]["keys"]:
        try:
            header = json.loads(base64.urlsafe_b64decode(vector["token"].split(".")[0] + "=="))
            if header.get("kid", key.get("kid")) not in (key.get("kid"), None) and "kid" in key:
                continue
            signed = jws.JWS()
            signed.allowed_algs = ALGORITHMS
            signed.deserialize(vector["token"])
            signed.verify(jwk.JWK(**key), alg=header["alg"])
            return True
        except Exception:
            continue
    return False


differing = [v["name"] for v in VECTORS if v["valid"] and not second_opinion(v)]
assert not differing, differing
names = [vector["name"] for vector in VECTORS]
assert len(set(names)) == len(names), [name for name in names if names.count(name) > 1]
path = pathlib.Path(__file__).with_name("vectors.json")
lines = ",\n".join("  " + json.dumps(vector) for vector in VECTORS)
sets = ",\n".join(f"  {json.dumps(name)}: {json.dumps(keys)}" for name, keys in SETS.items())
path.write_text(
    f'{{"issuer": "{ISSUER}", "audience": "{AUDIENCE}",\n"sets": {{\n{sets}\n}},\n"vectors": [\n{lines}\n]}}\n'
)
accepted = sum(vector["valid"] for vector in VECTORS)
print(f"{len(VECTORS)} tokens, {accepted} of them to be accepted", file=sys.stderr)
