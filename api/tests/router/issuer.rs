//! A token issuer for tests: key pairs, the key set that publishes them, and signed tokens, valid or not.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use serde_json::{Value, json};

pub(crate) const ISSUER: &str = "https://login.example";
pub(crate) const AUDIENCE: &str = "orders";
/// The time of the router's clock, 2026-11-23T10:00:00Z.
pub(crate) const NOW: i64 = 1_795_428_000;

pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A key pair with an id.
pub(crate) struct IssuerKey {
    pub(crate) kid: String,
    key: Key,
}

enum Key {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl IssuerKey {
    /// The RSA key of the fixture, because `ring` cannot generate RSA keys.
    pub(crate) fn rsa(kid: &str) -> Self {
        let der = include_bytes!("../fixtures/keys/rsa-2048-only-for-tests.pkcs8.der");
        Self { kid: kid.to_owned(), key: Key::Rsa(RsaKeyPair::from_pkcs8(der).unwrap()) }
    }

    pub(crate) fn p256(kid: &str) -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let der = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, der.as_ref(), &random).unwrap();
        Self { kid: kid.to_owned(), key: Key::P256(pair) }
    }

    pub(crate) fn ed25519(kid: &str) -> Self {
        let der = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self { kid: kid.to_owned(), key: Key::Ed25519(Ed25519KeyPair::from_pkcs8(der.as_ref()).unwrap()) }
    }

    pub(crate) fn algorithm(&self) -> &'static str {
        match self.key {
            Key::Rsa(_) => "RS256",
            Key::P256(_) => "ES256",
            Key::Ed25519(_) => "EdDSA",
        }
    }

    /// The bytes of the public key: the modulus of an RSA key, or the point of an elliptic-curve key.
    pub(crate) fn public_bytes(&self) -> Vec<u8> {
        match &self.key {
            Key::Rsa(pair) => PublicKeyComponents::<Vec<u8>>::from(pair.public()).n,
            Key::P256(pair) => pair.public_key().as_ref().to_vec(),
            Key::Ed25519(pair) => pair.public_key().as_ref().to_vec(),
        }
    }

    /// The public key as PEM. Panics if the key is not an RSA key.
    pub(crate) fn public_pem(&self) -> String {
        let Key::Rsa(pair) = &self.key else { panic!("not an RSA key") };
        let der = base64::engine::general_purpose::STANDARD.encode(pair.public().as_ref());
        let lines: Vec<_> =
            der.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN RSA PUBLIC KEY-----\n{}\n-----END RSA PUBLIC KEY-----\n", lines.join("\n"))
    }

    /// The public key as an entry of the issuer's key set.
    pub(crate) fn jwk(&self) -> Value {
        let bytes = self.public_bytes();
        let mut jwk = match &self.key {
            Key::Rsa(pair) => {
                let e = PublicKeyComponents::<Vec<u8>>::from(pair.public()).e;
                json!({ "kty": "RSA", "n": base64url(bytes), "e": base64url(e) })
            }
            Key::P256(_) => {
                json!({ "kty": "EC", "crv": "P-256", "x": base64url(&bytes[1..33]), "y": base64url(&bytes[33..]) })
            }
            Key::Ed25519(_) => json!({ "kty": "OKP", "crv": "Ed25519", "x": base64url(bytes) }),
        };
        (jwk["kid"], jwk["use"], jwk["alg"]) = (json!(self.kid), json!("sig"), json!(self.algorithm()));
        jwk
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.key {
            Key::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
                signature
            }
            Key::P256(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Key::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// A signed token with exactly the given header and the given claims.
    pub(crate) fn token_with(&self, header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", base64url(header.to_string()), base64url(claims.to_string()));
        let signature = base64url(self.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    pub(crate) fn token(&self, claims: &Value) -> String {
        self.token_with(&json!({ "alg": self.algorithm(), "typ": "JWT", "kid": self.kid }), claims)
    }
}

/// A JSON Web Key Set with the given public keys.
pub(crate) fn key_set(pairs: &[&IssuerKey]) -> String {
    json!({ "keys": pairs.iter().map(|pair| pair.jwk()).collect::<Value>() }).to_string()
}

/// Valid claims of a token, with `changes` applied. A `null` in `changes` removes the claim.
pub(crate) fn claims(changes: Value) -> Value {
    let mut claims = json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "shop", "exp": NOW + 300, "iat": NOW,
        "scope": "orders.read orders.write orders.operate",
    });
    let Value::Object(changes) = changes else { panic!("{changes}") };
    for (name, claim) in changes {
        match claim {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(&name)),
            claim => claims[name.as_str()] = claim,
        }
    }
    claims
}
