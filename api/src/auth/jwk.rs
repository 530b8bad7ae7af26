//! The issuer's keys as they are published: JSON Web Keys (RFC 7517, 7518, 8037).
//!
//! Signatures are verified by `ring`, which does the cryptography of our TLS as well. It has no operation for which the
//! timing of a public key's use could matter: there is no private key here.

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

use crate::auth::refusal::Refusal;

/// More keys than any issuer publishes, and few enough to look through for every request.
const MAX_KEYS: usize = 100;

/// What a signature may be made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Es256,
    EdDsa,
}

impl Algorithm {
    /// The algorithm of this name, in tokens and keys.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            // The second is what RFC 9864 calls the one kind of EdDSA that there is here.
            "EdDSA" | "Ed25519" => Some(Self::EdDsa),
            _ => None,
        }
    }
}

/// A public key. Its kind decides how signatures are verified, whatever a token says.
pub(super) struct Key {
    id: Option<String>,
    material: Material,
}

enum Material {
    Rsa(RsaPublicKeyComponents<Vec<u8>>),
    /// The uncompressed point.
    P256(UnparsedPublicKey<Vec<u8>>),
    Ed25519(UnparsedPublicKey<Vec<u8>>),
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .field("algorithm", &self.algorithm())
            .finish_non_exhaustive()
    }
}

impl Key {
    fn algorithm(&self) -> Algorithm {
        match self.material {
            Material::Rsa(_) => Algorithm::Rs256,
            Material::P256(_) => Algorithm::Es256,
            Material::Ed25519(_) => Algorithm::EdDsa,
        }
    }

    /// Whether it is the same key, whatever its id.
    fn is(&self, other: &Self) -> bool {
        match (&self.material, &other.material) {
            (Material::Rsa(one), Material::Rsa(other)) => one.n == other.n && one.e == other.e,
            (Material::P256(one), Material::P256(other))
            | (Material::Ed25519(one), Material::Ed25519(other)) => one.as_ref() == other.as_ref(),
            _ => false,
        }
    }

    /// Fails unless `signature` is this key's, of `message`.
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Refusal> {
        match &self.material {
            Material::Rsa(key) => key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature),
            Material::P256(key) | Material::Ed25519(key) => key.verify(message, signature),
        }
        .map_err(|_| Refusal::Signature)
    }
}

/// The members of a key that matter here. Its use of the private ones is to find that they are there.
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
    fn key(self) -> anyhow::Result<Key> {
        ensure!(self.d.is_none(), "it is a private key, which must never be published");
        ensure!(self.use_.as_deref().is_none_or(|name| name == "sig"), "it is not for signatures");
        let verifies = |operations: &Vec<String>| operations.iter().any(|name| name == "verify");
        ensure!(self.key_ops.as_ref().is_none_or(verifies), "it is not to verify with");
        let material = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => Material::Rsa(rsa(&self.n, &self.e)?),
            ("EC", Some("P-256")) => {
                let point = [vec![4], octets(&self.x, "x", 32)?, octets(&self.y, "y", 32)?].concat();
                Material::P256(UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point))
            }
            ("OKP", Some("Ed25519")) => {
                Material::Ed25519(UnparsedPublicKey::new(&ED25519, octets(&self.x, "x", 32)?))
            }
            (kty, crv) => bail!("keys of kty {kty:?} and crv {crv:?} are not used here"),
        };
        let key = Key { id: self.kid, material };
        if let Some(name) = &self.alg {
            ensure!(Algorithm::named(name) == Some(key.algorithm()), "it is for alg {name:?}");
        }
        Ok(key)
    }
}

/// Base64url, as RFC 7515 has it without padding, and as some issuers write it with.
const PADDED_OR_NOT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

fn decoded(member: &Option<String>, name: &str) -> anyhow::Result<Vec<u8>> {
    let text = member.as_ref().with_context(|| format!("it has no {name}"))?;
    PADDED_OR_NOT.decode(text).with_context(|| format!("its {name} is not base64url"))
}

fn octets(member: &Option<String>, name: &str, count: usize) -> anyhow::Result<Vec<u8>> {
    let bytes = decoded(member, name)?;
    ensure!(bytes.len() == count, "its {name} has not {count} bytes");
    Ok(bytes)
}

/// An RSA key of 2048 to 8192 bits. Shorter ones can be broken; what is longer only takes time.
fn rsa(n: &Option<String>, e: &Option<String>) -> anyhow::Result<RsaPublicKeyComponents<Vec<u8>>> {
    // Some issuers write the sign's zero byte, which RFC 7518 forbids and which changes nothing.
    let number = |mut bytes: Vec<u8>| {
        bytes.drain(..bytes.iter().take_while(|byte| **byte == 0).count());
        bytes
    };
    let (n, e) = (number(decoded(n, "n")?), number(decoded(e, "e")?));
    let bits = n.first().map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
    ensure!((2048..=8192).contains(&bits), "it has {bits} bits, and must have 2048 to 8192");
    Ok(RsaPublicKeyComponents { n, e })
}

/// The keys that the issuer has published.
#[derive(Debug)]
pub(super) struct KeySet(Vec<Arc<Key>>);

impl KeySet {
    /// Reads a JSON Web Key Set. A key that cannot be used here is left out (RFC 7517, section 5), which may leave none.
    pub(super) fn parse(json: &[u8]) -> anyhow::Result<Self> {
        #[derive(Deserialize)]
        struct Document {
            keys: Vec<Value>,
        }
        let document: Document = serde_json::from_slice(json).context("it is not a JSON Web Key Set")?;
        ensure!(document.keys.len() <= MAX_KEYS, "it has more than {MAX_KEYS} keys");
        let mut keys = Vec::new();
        for jwk in document.keys {
            let kid = jwk["kid"].as_str().map(str::to_owned);
            match serde_json::from_value(jwk).context("it is not a JSON Web Key").and_then(Jwk::key) {
                Ok(key) => keys.push(Arc::new(key)),
                Err(reason) => tracing::info!(kid, reason = format!("{reason:#}"), "a key is left out"),
            }
        }
        Ok(Self(keys))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The key for a token whose header says this. The header's algorithm chooses nothing: it only has to be the key's.
    pub(super) fn find(&self, algorithm: Algorithm, kid: Option<&str>) -> Result<Arc<Key>, Refusal> {
        let is_named = |key: &&Arc<Key>| kid.is_none_or(|kid| key.id.as_deref() == Some(kid));
        let named: Vec<_> = self.0.iter().filter(is_named).collect();
        let mut fitting = named.iter().filter(|key| key.algorithm() == algorithm);
        match fitting.next() {
            // One key may be there twice, also under two ids.
            Some(key) if fitting.all(|other| other.is(key)) => Ok(Arc::clone(key)),
            Some(_) => Err(Refusal::AmbiguousKey),
            None if kid.is_some() && !named.is_empty() => Err(Refusal::OtherAlgorithm),
            None => Err(Refusal::UnknownKey),
        }
    }
}

#[cfg(test)]
mod tests;
