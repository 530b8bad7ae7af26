//! Verifies bearer tokens (RFC 6750): signed JWTs (RFC 7519) in the compact form (RFC 7515), as access tokens are by
//! RFC 9068 and by what came before it.
//!
//! There is little to a signed JWT once the key decides what is done, and what is left out cannot be attacked: no
//! algorithm but three, none of them symmetric, no encryption, no keys or addresses of keys from the token.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::auth::claims::{Claims, TokenRules};
use crate::auth::failures::Failures;
use crate::auth::jwk::Algorithm;
use crate::auth::keys::Keys;
use crate::auth::principal::Principal;
use crate::auth::refusal::Refusal;
use crate::http::RateLimit;

/// What is longer is not looked into.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// How often tokens from one address may fail, unless it is configured.
const FAILURES: RateLimit =
    RateLimit { per_second: NonZeroU32::new(5).unwrap(), burst: NonZeroU32::new(50).unwrap() };

/// Turns bearer tokens into principals.
#[derive(Debug)]
pub struct TokenVerifier {
    keys: Arc<Keys>,
    rules: TokenRules,
    failures: Option<Failures>,
}

impl TokenVerifier {
    /// Verifies tokens with these keys, and holds them to these rules. From one address 5 tokens a second may fail, 50 in
    /// a burst.
    pub fn new(keys: Arc<Keys>, rules: TokenRules) -> Self {
        Self { keys, rules, failures: Some(Failures::new(FAILURES)) }
    }

    /// The same with another limit of failures per address; with `None` there is none.
    pub fn limit_failures(self, limit: Option<RateLimit>) -> Self {
        Self { failures: limit.map(Failures::new), ..self }
    }

    /// The keys that tokens are verified with.
    pub fn keys(&self) -> &Arc<Keys> {
        &self.keys
    }

    /// Who the token is for, which comes from this address. Where no address is known, failures are not limited: whoever
    /// stands before the service knows it, and can.
    pub(super) async fn verify(
        &self,
        token: &str,
        now: Timestamp,
        address: Option<IpAddr>,
    ) -> Result<Principal, Refusal> {
        let Some((failures, address)) = self.failures.as_ref().zip(address) else {
            return self.verified(token, now).await;
        };
        failures.admit(address, token)?;
        match self.verified(token, now).await {
            Ok(principal) => {
                failures.succeeded(token);
                Ok(principal)
            }
            // That says nothing of the token.
            Err(Refusal::NoKeys) => Err(Refusal::NoKeys),
            Err(refusal) => Err(failures.failed(address, token, refusal)),
        }
    }

    async fn verified(&self, token: &str, now: Timestamp) -> Result<Principal, Refusal> {
        let token = Compact::parse(token)?;
        let key = self.keys.find(token.algorithm, token.kid.as_deref()).await?;
        key.verify(token.signed, &token.signature)?;
        let claims = Claims::parse(&token.payload)?;
        claims.check(&self.rules, now)?;
        claims.principal(self.rules.scope_prefix.clone())
    }
}

/// The token of the request's `Authorization: Bearer …`.
pub(super) fn bearer(headers: &HeaderMap) -> Result<&str, Refusal> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or(Refusal::NoCredentials)?;
    if values.next().is_some() {
        return Err(Refusal::SeveralHeaders);
    }
    let value = value.to_str().map_err(|_| Refusal::Malformed)?;
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    // Credentials of another scheme are none that we could refuse.
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(token.trim_matches(' '))
    } else {
        Err(Refusal::NoCredentials)
    }
}

/// A token, taken apart. Nothing in it can be believed before its signature is verified.
struct Compact<'a> {
    algorithm: Algorithm,
    kid: Option<String>,
    /// What the signature is of.
    signed: &'a [u8],
    payload: Vec<u8>,
    signature: Vec<u8>,
}

/// The members of a header that matter. Those that name keys (`jku`, `jwk`, `x5u`, `x5c`) must not.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<IgnoredAny>,
}

impl<'a> Compact<'a> {
    fn parse(token: &'a str) -> Result<Self, Refusal> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Refusal::TooLong);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(Refusal::Malformed)?;
        // A payload with a dot in it is not base64url, so that there are three parts is checked by decoding them.
        let (header, payload) = signed.split_once('.').ok_or(Refusal::Malformed)?;
        let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| Refusal::Malformed);
        let header: Header = serde_json::from_slice(&decoded(header)?).map_err(|_| Refusal::Malformed)?;
        if header.crit.is_some() {
            return Err(Refusal::Critical);
        }
        if !header.typ.as_deref().is_none_or(is_access_token) {
            return Err(Refusal::Type);
        }
        Ok(Self {
            algorithm: Algorithm::named(&header.alg).ok_or(Refusal::Algorithm)?,
            kid: header.kid,
            signed: signed.as_bytes(),
            payload: decoded(payload)?,
            signature: decoded(signature)?,
        })
    }
}

/// Whether tokens of this type are let in. A media type may come without its `application/` (RFC 7515, section 4.1.9).
fn is_access_token(typ: &str) -> bool {
    let typ = typ.to_ascii_lowercase();
    ["jwt", "at+jwt"].contains(&typ.strip_prefix("application/").unwrap_or(&typ))
}
