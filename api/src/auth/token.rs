//! Verifies bearer tokens (RFC 6750): signed JWTs (RFC 7519, RFC 9068) in the compact form (RFC 7515). The middleware
//! in the parent calls it.
//!
//! The key decides how the signature is verified, and not the token. Only three algorithms are supported, all of them
//! asymmetric. Encrypted tokens are refused, and keys or key URLs in a token are ignored. So an attacker has few ways
//! to influence the verification.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::auth::claims::{TokenClaims, TokenRules};
use crate::auth::failures::FailureLimiter;
use crate::auth::jwk::SignatureAlgorithm;
use crate::auth::keys::IssuerKeys;
use crate::auth::principal::Principal;
use crate::auth::refusal::AuthRefusal;
use crate::http::RateLimit;

/// The maximum length of a token that is parsed.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// How often tokens from one address may fail, by default.
const FAILURES: RateLimit =
    RateLimit { per_second: NonZeroU32::new(5).unwrap(), burst: NonZeroU32::new(50).unwrap() };

/// Verifies bearer tokens and returns their principals.
#[derive(Debug)]
pub struct TokenVerifier {
    keys: Arc<IssuerKeys>,
    rules: TokenRules,
    failures: Option<FailureLimiter>,
}

impl TokenVerifier {
    /// A verifier that allows 5 failures a second from one address, in bursts of up to 50.
    pub fn new(keys: Arc<IssuerKeys>, rules: TokenRules) -> Self {
        Self { keys, rules, failures: Some(FailureLimiter::new(FAILURES)) }
    }

    /// Replaces the limit of failures per address. `None` removes it.
    pub fn limit_failures(self, limit: Option<RateLimit>) -> Self {
        Self { failures: limit.map(FailureLimiter::new), ..self }
    }

    /// The keys that tokens are verified with.
    pub fn keys(&self) -> &Arc<IssuerKeys> {
        &self.keys
    }

    /// The principal of a token that came from `address`. Without an address, failures are not limited here, because a
    /// gateway can limit them.
    pub(super) async fn verify(
        &self,
        token: &str,
        now: Timestamp,
        address: Option<IpAddr>,
    ) -> Result<Principal, AuthRefusal> {
        let Some((failures, address)) = self.failures.as_ref().zip(address) else {
            return self.verified(token, now).await;
        };
        failures.admit(address, token)?;
        match self.verified(token, now).await {
            Ok(principal) => {
                failures.succeeded(token);
                Ok(principal)
            }
            // The client did not cause missing keys, so they are not counted as a failure.
            Err(AuthRefusal::NoKeys) => Err(AuthRefusal::NoKeys),
            Err(refusal) => Err(failures.failed(address, token, refusal)),
        }
    }

    async fn verified(&self, token: &str, now: Timestamp) -> Result<Principal, AuthRefusal> {
        let token = CompactJwt::parse(token)?;
        let key = self.keys.find(token.algorithm, token.kid.as_deref()).await?;
        key.verify(token.signed, &token.signature)?;
        let claims = TokenClaims::parse(&token.payload)?;
        claims.check(&self.rules, now)?;
        claims.principal(self.rules.scope_prefix.clone())
    }
}

/// The token in the header `Authorization: Bearer …`.
pub(super) fn bearer(headers: &HeaderMap) -> Result<&str, AuthRefusal> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or(AuthRefusal::NoCredentials)?;
    if values.next().is_some() {
        return Err(AuthRefusal::SeveralHeaders);
    }
    let value = value.to_str().map_err(|_| AuthRefusal::Malformed)?;
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    // Credentials of another scheme are treated like missing credentials.
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(token.trim_matches(' '))
    } else {
        Err(AuthRefusal::NoCredentials)
    }
}

/// The parts of a token. They must not be trusted before the signature is verified.
struct CompactJwt<'a> {
    algorithm: SignatureAlgorithm,
    kid: Option<String>,
    /// The part that the signature covers.
    signed: &'a [u8],
    payload: Vec<u8>,
    signature: Vec<u8>,
}

/// The header members that this module reads. It must never read the members that contain or locate keys (`jku`, `jwk`,
/// `x5u`, `x5c`).
#[derive(Deserialize)]
struct JwtHeader {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<IgnoredAny>,
}

impl<'a> CompactJwt<'a> {
    fn parse(token: &'a str) -> Result<Self, AuthRefusal> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(AuthRefusal::TooLong);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(AuthRefusal::Malformed)?;
        // A dot is not part of base64url. So decoding the payload fails if the token has more than three parts.
        let (header, payload) = signed.split_once('.').ok_or(AuthRefusal::Malformed)?;
        let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| AuthRefusal::Malformed);
        let header: JwtHeader =
            serde_json::from_slice(&decoded(header)?).map_err(|_| AuthRefusal::Malformed)?;
        if header.crit.is_some() {
            return Err(AuthRefusal::Critical);
        }
        if !header.typ.as_deref().is_none_or(is_access_token) {
            return Err(AuthRefusal::Type);
        }
        Ok(Self {
            algorithm: SignatureAlgorithm::named(&header.alg).ok_or(AuthRefusal::Algorithm)?,
            kid: header.kid,
            signed: signed.as_bytes(),
            payload: decoded(payload)?,
            signature: decoded(signature)?,
        })
    }
}

/// Whether tokens of this type are accepted. The type may omit `application/` (RFC 7515, section 4.1.9).
fn is_access_token(typ: &str) -> bool {
    let typ = typ.to_ascii_lowercase();
    ["jwt", "at+jwt"].contains(&typ.strip_prefix("application/").unwrap_or(&typ))
}
