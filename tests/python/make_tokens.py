"""Makes tests/tokens.jsonl: tokens, good and forged, by an implementation that is not ours (PyJWT).

The keys are made here, for the tests alone, and thrown away; what is written down of them is what a gateway is
given. Run it from the root of the repository: python tests/python/make_tokens.py > tests/tokens.jsonl

Needs PyJWT==2.15.1 and cryptography==50.0.2. The tests themselves need only the file.
"""

import base64
import hashlib
import hmac
import json

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

NOW = 1_700_000_000
CLAIMS = {
    "sub": "jörg",
    "groups": ["chatters", "staff"],
    "session": "k3y",
    "channels": "subscribe-user,echo",
    "exp": NOW + 300,
    "nbf": NOW - 300,
    "iat": NOW - 300,
}
SECRET = "test-only-secret-" + "0123456789abcdef" * 2


def main():
    private = {
        "RS256": rsa.generate_private_key(65537, 2048),
        "ES256": ec.generate_private_key(ec.SECP256R1()),
        "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    }
    other = {
        "RS256": rsa.generate_private_key(65537, 2048),
        "ES256": ec.generate_private_key(ec.SECP256R1()),
        "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    }
    pems = {name: pem(key) for name, key in private.items()}
    signers = {"HS256": SECRET, **private}
    files = {"HS256": SECRET + "\n", **pems}
    jwks = [jwk(name, key) for name, key in private.items()]

    for name, text in files.items():
        key(f"test {name}", text)
    key("test JWKS", json.dumps({"keys": jwks}))
    key("test JWKS oct", json.dumps({"keys": [oct_jwk("oct-1", SECRET), oct_jwk("oct-2", SECRET[::-1])]}))
    key("test RS256 PKCS1", private["RS256"].public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1).decode())
    key("test RS256 short", pem(rsa.generate_private_key(65537, 1024)))
    key("test JWKS short", json.dumps({"keys": [jwk("RS256", rsa.generate_private_key(65537, 1024))]}))
    key("test P-384", pem(ec.generate_private_key(ec.SECP384R1())))
    key("test OpenSSH", private["EdDSA"].public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode())
    key("test JWKS twice", json.dumps({"keys": [jwk("ES256", private["ES256"]), jwk("ES256", other["ES256"])]}))
    unknown = [{"kty": "LWE", "kid": "future"}, {"kty": "RSA", "kid": "broken"}]
    encrypting = {**jwk("RS256", other["RS256"]), "kid": "enc", "use": "enc"}
    key("test JWKS with others", json.dumps({"keys": [*unknown, encrypting, jwks[1]]}))
    key("test JWKS of others", json.dumps({"keys": [*unknown, encrypting]}))

    for name, signer in signers.items():
        of = f"test {name}"
        token(f"{name} good", of, name, "good", sign(CLAIMS, signer, name))
        token(f"{name} expired", of, name, "expired", sign({**CLAIMS, "exp": NOW - 31}, signer, name))
        token(f"{name} not yet valid", of, name, "not yet valid", sign({**CLAIMS, "nbf": NOW + 31}, signer, name))
        token(f"{name} for ever", of, name, "no expiry", sign({"sub": "x"}, signer, name))
        wrong = SECRET[::-1] if name == "HS256" else other[name]
        token(f"{name} wrong key", of, name, "signature", sign(CLAIMS, wrong, name))
        token(f"{name} tampered", of, name, "signature", tampered(sign(CLAIMS, signer, name)))
        token(f"{name} unsigned", of, name, "signature", sign(CLAIMS, signer, name).rpartition(".")[0] + ".")
        token(f"{name} kid of a file with one key", of, name, "good", sign(CLAIMS, signer, name, kid="any"))
        token(f"{name} critical extension", of, name, "malformed", raw({"alg": name, "crit": ["x"], "x": 1}, CLAIMS, signer))
        for none in ("none", "None", "NONE", ""):
            token(f"{name} alg {none!r}", of, name, "malformed", raw({"alg": none}, CLAIMS, None))
        # The confusion: our public key as the secret of an HMAC.
        if name != "HS256":
            for variant in (files[name], files[name].strip()):
                token(f"{name} confused", of, name, "algorithm", raw({"alg": "HS256"}, CLAIMS, variant))
            kid = f"test-{name}"
            token(f"{name} by kid", "test JWKS", "RS256 ES256 EdDSA", "good", sign(CLAIMS, signer, name, kid=kid))
            token(f"{name} by no kid", "test JWKS", "RS256 ES256 EdDSA", "good", sign(CLAIMS, signer, name))
            token(f"{name} unknown kid", "test JWKS", "RS256 ES256 EdDSA", "unknown key", sign(CLAIMS, signer, name, kid="x"))
            token(f"{name} wrong key by kid", "test JWKS", "RS256 ES256 EdDSA", "signature", sign(CLAIMS, other[name], name, kid=kid))
            token(f"{name} not allowed", "test JWKS", {"RS256": "ES256"}.get(name, "RS256"), "algorithm", sign(CLAIMS, signer, name, kid=kid))
    token("RS256 kid of another algorithm", "test JWKS", "RS256 ES256 EdDSA", "unknown key", sign(CLAIMS, signers["RS256"], "RS256", kid="test-ES256"))
    token("RS256 PKCS1", "test RS256 PKCS1", "RS256", "good", sign(CLAIMS, signers["RS256"], "RS256"))
    token("RS512", "test RS256", "RS256", "algorithm", sign(CLAIMS, signers["RS256"], "RS512"))
    token("PS256", "test RS256", "RS256", "algorithm", sign(CLAIMS, signers["RS256"], "PS256"))
    token("HS512", "test HS256", "HS256", "algorithm", sign(CLAIMS, SECRET, "HS512"))
    token("HS256 allowed too", "test JWKS oct", "HS256 RS256", "algorithm", sign(CLAIMS, signers["RS256"], "RS256"))
    token("JWKS with others", "test JWKS with others", "ES256 RS256", "good", sign(CLAIMS, signers["ES256"], "ES256", kid="test-ES256"))
    token("key for encryption", "test JWKS with others", "ES256 RS256", "algorithm", sign(CLAIMS, other["RS256"], "RS256", kid="enc"))
    token("secret by kid", "test JWKS oct", "HS256", "good", sign(CLAIMS, SECRET, "HS256", kid="oct-1"))
    token("other secret by kid", "test JWKS oct", "HS256", "good", sign(CLAIMS, SECRET[::-1], "HS256", kid="oct-2"))
    token("secret by wrong kid", "test JWKS oct", "HS256", "signature", sign(CLAIMS, SECRET, "HS256", kid="oct-2"))
    token("secret by no kid", "test JWKS oct", "HS256", "unknown key", sign(CLAIMS, SECRET, "HS256"))

    def hs256(name, verdict, claims):
        token(name, "test HS256", "HS256", verdict, sign({**CLAIMS, **claims}, SECRET, "HS256"))

    hs256("expired within the leeway", "good", {"exp": NOW - 29})
    hs256("not yet valid within the leeway", "good", {"nbf": NOW + 29})
    hs256("for an audience", "audience", {"aud": "ws"})
    hs256("control character", "control", {"session": "a\nb"})
    hs256("too many groups", "too many", {"groups": ["g"] * 257})
    hs256("oversize", "too long", {"padding": "x" * 8192})
    token("payload that is no object", "test HS256", "HS256", "claims", raw({"alg": "HS256"}, ["sub"], SECRET))
    token("payload that is no JSON", "test HS256", "HS256", "claims", signed(b64(b'{"alg":"HS256"}') + "." + b64(b"\xff{"), SECRET))
    token("sub twice", "test HS256", "HS256", "claims", signed(b64(b'{"alg":"HS256"}') + "." + b64(b'{"sub":"a","sub":"b","exp":2000000000}'), SECRET))
    token("alg twice", "test HS256", "HS256", "malformed", signed(b64(b'{"alg":"none","alg":"HS256"}') + "." + b64(b"{}"), SECRET))
    token("no alg", "test HS256", "HS256", "malformed", raw({"typ": "JWT"}, CLAIMS, SECRET))
    token("key in its header", "test ES256", "ES256", "signature", raw_es256(CLAIMS, other["ES256"]))


def sign(claims, signer, algorithm, kid=None):
    return jwt.encode(claims, signer, algorithm, headers={"kid": kid} if kid else None)


def raw(header, claims, secret):
    """What PyJWT refuses to make: any header, and any text as the secret of HMAC-SHA256."""
    message = b64(json.dumps(header).encode()) + "." + b64(json.dumps(claims).encode())
    return signed(message, secret if isinstance(secret, str) else "") if secret else message + "."


def raw_es256(claims, signer):
    """A token that brings the key to check it with (RFC 7515 4.1.3), as CVE-2018-0114 had it."""
    return jwt.encode(claims, signer, "ES256", headers={"jwk": jwk("ES256", signer)})


def signed(message, secret):
    return message + "." + b64(hmac.digest(secret.encode(), message.encode(), hashlib.sha256))


def tampered(token):
    header, payload, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    claims["sub"] = "root"
    return ".".join([header, b64(json.dumps(claims).encode()), signature])


def pem(private):
    return private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def jwk(algorithm, private):
    made = jwt.get_algorithm_by_name(algorithm).to_jwk(private.public_key(), as_dict=True)
    made.pop("key_ops", None)
    return {**made, "kid": f"test-{algorithm}", "use": "sig", "alg": algorithm}


def oct_jwk(kid, secret):
    return {"kty": "oct", "kid": kid, "k": b64(secret.encode())}


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def key(name, text):
    print(json.dumps({"key": name, "text": text}))


def token(name, of, algorithms, verdict, text):
    print(json.dumps({"token": name, "of": of, "algorithms": algorithms.split(), "verdict": verdict, "text": text}))


main()
