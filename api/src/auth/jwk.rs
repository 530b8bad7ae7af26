//! Parses JSON Web Key Sets (RFC 7517, 7518, 8037) and verifies signatures with their keys. `keys` loads the sets, and
//! `token` verifies with the keys.
//!
//! Signatures are verified by `ring`, which TLS uses in this program too. This module handles only public keys, so its
//! timing reveals no secret.

use std::fmt;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::auth::refusal::AuthRefusal;

/// The maximum number of keys in a set. Every request searches the set, so the set must stay small. Issuers publish
/// only a few keys.
const MAX_KEYS: usize = 100;

/// The supported signature algorithms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SignatureAlgorithm {
    Rs256,
    Es256,
    EdDsa,
}

impl SignatureAlgorithm {
    /// The algorithm that tokens and keys call `name`. `None` if the algorithm is not supported.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            // EdDSA is supported only with the curve Ed25519. RFC 9864 calls this algorithm "Ed25519".
            "EdDSA" | "Ed25519" => Some(Self::EdDsa),
            _ => None,
        }
    }
}

/// A public key. The type of the key, and not the token, decides how a signature is verified.
pub(super) struct VerificationKey {
    id: Option<String>,
    material: KeyMaterial,
}

enum KeyMaterial {
    Rsa(RsaPublicKeyComponents<Vec<u8>>),
    /// A public key on the curve P-256, as an uncompressed point.
    P256(UnparsedPublicKey<Vec<u8>>),
    Ed25519(UnparsedPublicKey<Vec<u8>>),
}

impl fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .field("algorithm", &self.algorithm())
            .finish_non_exhaustive()
    }
}

impl VerificationKey {
    fn algorithm(&self) -> SignatureAlgorithm {
        match self.material {
            KeyMaterial::Rsa(_) => SignatureAlgorithm::Rs256,
            KeyMaterial::P256(_) => SignatureAlgorithm::Es256,
            KeyMaterial::Ed25519(_) => SignatureAlgorithm::EdDsa,
        }
    }

    /// Whether `self` and `other` are the same key, possibly with different ids.
    fn is(&self, other: &Self) -> bool {
        match (&self.material, &other.material) {
            (KeyMaterial::Rsa(one), KeyMaterial::Rsa(other)) => one.n == other.n && one.e == other.e,
            (KeyMaterial::P256(one), KeyMaterial::P256(other))
            | (KeyMaterial::Ed25519(one), KeyMaterial::Ed25519(other)) => one.as_ref() == other.as_ref(),
            _ => false,
        }
    }

    /// Fails unless `signature` is a valid signature of `message` under this key.
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), AuthRefusal> {
        match &self.material {
            KeyMaterial::Rsa(key) => key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature),
            KeyMaterial::P256(key) | KeyMaterial::Ed25519(key) => key.verify(message, signature),
        }
        .map_err(|_| AuthRefusal::Signature)
    }
}

/// The members of a JSON Web Key that this module reads. `d` is read only to detect private keys.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    use_: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    d: Option<IgnoredAny>,
}

impl Jwk {
    fn key(self) -> anyhow::Result<VerificationKey> {
        ensure!(self.d.is_none(), "the key is private and must never be published");
        ensure!(self.use_.as_deref().is_none_or(|name| name == "sig"), "the use of the key is not sig");
        let verifies = |operations: &Vec<String>| operations.iter().any(|name| name == "verify");
        ensure!(self.key_ops.as_ref().is_none_or(verifies), "the key_ops of the key do not contain verify");
        let material = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => KeyMaterial::Rsa(rsa(&self.n, &self.e)?),
            ("EC", Some("P-256")) => {
                let point = [vec![4], octets(&self.x, "x", 32)?, octets(&self.y, "y", 32)?].concat();
                KeyMaterial::P256(UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point))
            }
            ("OKP", Some("Ed25519")) => {
                KeyMaterial::Ed25519(UnparsedPublicKey::new(&ED25519, octets(&self.x, "x", 32)?))
            }
            (kty, crv) => bail!("keys of kty {kty:?} and crv {crv:?} are not supported"),
        };
        let key = VerificationKey { id: self.kid, material };
        if let Some(name) = &self.alg {
            ensure!(
                SignatureAlgorithm::named(name) == Some(key.algorithm()),
                "the key does not match its alg {name:?}"
            );
        }
        Ok(key)
    }
}

/// Decodes base64url without padding, as in RFC 7515, and also with padding, as some issuers write it.
const PADDED_OR_NOT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

fn decoded(member: &Option<String>, name: &str) -> anyhow::Result<Vec<u8>> {
    let text = member.as_ref().with_context(|| format!("the key has no {name}"))?;
    PADDED_OR_NOT.decode(text).with_context(|| format!("the {name} of the key is not base64url"))
}

fn octets(member: &Option<String>, name: &str, count: usize) -> anyhow::Result<Vec<u8>> {
    let bytes = decoded(member, name)?;
    ensure!(bytes.len() == count, "the {name} of the key must have {count} bytes");
    Ok(bytes)
}

/// An RSA key of 2048 to 8192 bits. Shorter keys can be broken; longer keys only take more time.
fn rsa(n: &Option<String>, e: &Option<String>) -> anyhow::Result<RsaPublicKeyComponents<Vec<u8>>> {
    // Some issuers write a leading zero byte before the modulus or the exponent. RFC 7518 forbids this byte, but it
    // does not change the number.
    let number = |mut bytes: Vec<u8>| {
        bytes.drain(..bytes.iter().take_while(|byte| **byte == 0).count());
        bytes
    };
    let (n, e) = (number(decoded(n, "n")?), number(decoded(e, "e")?));
    let bits = n.first().map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
    ensure!((2048..=8192).contains(&bits), "the key has {bits} bits; it must have 2048 to 8192 bits");
    Ok(RsaPublicKeyComponents { n, e })
}

/// The usable keys of a published key set.
#[derive(Debug)]
pub(super) struct KeySet(Vec<Arc<VerificationKey>>);

impl KeySet {
    /// Parses a JSON Web Key Set. Ignores keys that cannot be used here (RFC 7517, section 5), so the result may be
    /// empty.
    pub(super) fn parse(json: &[u8]) -> anyhow::Result<Self> {
        #[derive(Deserialize)]
        struct JwkSetDocument {
            keys: Vec<Value>,
        }
        let document: JwkSetDocument =
            serde_json::from_slice(json).context("the document is not a JSON Web Key Set")?;
        ensure!(document.keys.len() <= MAX_KEYS, "the set has more than {MAX_KEYS} keys");
        let mut keys = Vec::new();
        for jwk in document.keys {
            let kid = jwk["kid"].as_str().map(str::to_owned);
            match serde_json::from_value(jwk).context("the key is not a JSON Web Key").and_then(Jwk::key) {
                Ok(key) => keys.push(Arc::new(key)),
                Err(reason) => {
                    tracing::info!(kid, reason = format!("{reason:#}"), "ignoring a key of the issuer");
                }
            }
        }
        Ok(Self(keys))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Finds the key for a token whose header names `algorithm` and the key id `kid`. Each key has a single algorithm,
    /// and the header must name it.
    pub(super) fn find(
        &self,
        algorithm: SignatureAlgorithm,
        kid: Option<&str>,
    ) -> Result<Arc<VerificationKey>, AuthRefusal> {
        let is_named = |key: &&Arc<VerificationKey>| kid.is_none_or(|kid| key.id.as_deref() == Some(kid));
        let named: Vec<_> = self.0.iter().filter(is_named).collect();
        let mut fitting = named.iter().filter(|key| key.algorithm() == algorithm);
        match fitting.next() {
            // If several keys fit, all of them must be the same key. They may have different ids.
            Some(key) if fitting.all(|other| other.is(key)) => Ok(Arc::clone(key)),
            Some(_) => Err(AuthRefusal::AmbiguousKey),
            None if kid.is_some() && !named.is_empty() => Err(AuthRefusal::OtherAlgorithm),
            None => Err(AuthRefusal::UnknownKey),
        }
    }
}

#[cfg(test)]
mod tests;
