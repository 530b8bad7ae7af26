//! Verifies bearer tokens (RFC 6750): signed JWTs (RFC 7519, RFC 9068) in the compact form (RFC 7515). The middleware
//! in the parent calls this module.
//!
//! The key decides how a signature is verified; the token does not. Only three algorithms are supported, all of them
//! asymmetric. Encrypted tokens are refused. Keys and key URLs in a token are ignored. So an attacker has few ways to
//! influence the verification.

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

/// The maximum length of a token, in bytes. A longer token is refused without parsing.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// The default limit of failed tokens from one address.
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
    /// Creates a verifier that allows 5 failed tokens a second from one address, in bursts of up to 50.
    pub fn new(keys: Arc<IssuerKeys>, rules: TokenRules) -> Self {
        Self { keys, rules, failures: Some(FailureLimiter::new(FAILURES)) }
    }

    /// Replaces the limit of failed tokens per address. `None` removes the limit.
    pub fn limit_failures(self, limit: Option<RateLimit>) -> Self {
        Self { failures: limit.map(FailureLimiter::new), ..self }
    }

    /// The issuer's keys, which verify the signatures of tokens.
    pub fn keys(&self) -> &Arc<IssuerKeys> {
        &self.keys
    }

    /// Verifies a token that came from `address`, and returns its principal. If the address is unknown, this service
    /// does not limit failures: the request came through a gateway, which can limit failures itself.
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
            // If the service has no keys, the client is not to blame, so the token does not count as a failure.
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
        let valid_until = claims.valid_until(&self.rules)?;
        Ok(Principal { valid_until, ..claims.principal(self.rules.scope_prefix.clone())? })
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
    /// The bytes that the signature covers: the header, a dot and the payload, as they are encoded in the token.
    signed: &'a [u8],
    payload: Vec<u8>,
    signature: Vec<u8>,
}

/// The members of a token's header that this module reads. Members that contain or locate keys (`jku`, `jwk`, `x5u`,
/// `x5c`) must never be added here.
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
        // A dot is not part of base64url, so a token with more than three parts fails to decode here.
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

/// Whether a token is accepted if its header contains `typ`. The prefix `application/` may be omitted (RFC 7515,
/// section 4.1.9).
fn is_access_token(typ: &str) -> bool {
    let typ = typ.to_ascii_lowercase();
    ["jwt", "at+jwt"].contains(&typ.strip_prefix("application/").unwrap_or(&typ))
}
