//! Checks the claims of a token and turns them into a principal. `token` and `gateway` call this module after the
//! signature was verified.

use std::sync::Arc;
use std::time::Duration;

use domain::{CustomerId, Timestamp};
use serde_json::{Map, Value};

use crate::auth::principal::Principal;
use crate::auth::refusal::AuthRefusal;

/// The rules that the claims of a token are checked against.
#[derive(Debug, Clone)]
pub struct TokenRules {
    /// The required issuer: the claim `iss` must have this value.
    pub issuer: String,
    /// The required audience: the claim `aud` must be or contain this value.
    pub audience: String,
    /// The tolerated difference between the issuer's clock and the clock of this service.
    pub leeway: Duration,
    /// The prefix that the issuer writes before our scopes; see [`Principal::scope_prefix`].
    pub scope_prefix: Option<Arc<str>>,
}

/// The claims of a token. A claim whose value is `null` counts as present and invalid. If it counted as absent, a token
/// whose `customer_id` is `null` could see the orders of all customers.
#[derive(Debug)]
pub(super) struct TokenClaims(Map<String, Value>);

impl TokenClaims {
    pub(super) fn parse(json: &[u8]) -> Result<Self, AuthRefusal> {
        serde_json::from_slice(json).map(Self).map_err(|_| AuthRefusal::Malformed)
    }

    /// The claims that API Gateway's authorizer has verified.
    #[cfg(feature = "lambda")]
    pub(super) fn stated(claims: Map<String, Value>) -> Self {
        Self(claims)
    }

    /// Fails unless the token was issued for this service and is valid now.
    pub(super) fn check(&self, rules: &TokenRules, now: Timestamp) -> Result<(), AuthRefusal> {
        if self.issuer()? != rules.issuer {
            return Err(AuthRefusal::Issuer);
        }
        let is_ours = |audience: &Value| audience.as_str() == Some(rules.audience.as_str());
        let ours = match self.0.get("aud") {
            Some(Value::Array(audiences)) => audiences.iter().any(is_ours),
            Some(audience) => is_ours(audience),
            None => return Err(AuthRefusal::NoAudience),
        };
        if !ours {
            return Err(AuthRefusal::Audience);
        }
        // Claims may contain fractions of a second (RFC 7519, section 2), so times are compared as f64. An f64
        // represents every whole second of the next million years exactly.
        let now = now.micros() as f64 / 1e6;
        let leeway = rules.leeway.as_secs_f64();
        if now >= self.expires()? + leeway {
            return Err(AuthRefusal::Expired);
        }
        if let Some(not_before) = self.0.get("nbf") {
            let not_before = not_before.as_f64().ok_or(AuthRefusal::NotBefore)?;
            if now + leeway < not_before {
                return Err(AuthRefusal::Early);
            }
        }
        Ok(())
    }

    /// The claim `exp`, in seconds since 1970.
    fn expires(&self) -> Result<f64, AuthRefusal> {
        self.0.get("exp").and_then(Value::as_f64).ok_or(AuthRefusal::NoExpiry)
    }

    /// The time from which [`check`](Self::check) refuses the token as expired. `None` if a [`Timestamp`] cannot
    /// represent this time.
    pub(super) fn valid_until(&self, rules: &TokenRules) -> Result<Option<Timestamp>, AuthRefusal> {
        let millis = (self.expires()? + rules.leeway.as_secs_f64()) * 1e3;
        // The conversion to i64 saturates, so a time that is too late for a `Timestamp` results in `None`.
        Ok(Timestamp::from_millis(millis.ceil() as i64))
    }

    /// Builds the principal from the claims.
    pub(super) fn principal(&self, scope_prefix: Option<Arc<str>>) -> Result<Principal, AuthRefusal> {
        let issuer = self.issuer()?;
        let subject = self.text("sub").ok_or(AuthRefusal::NoSubject)?;
        let customer = |claim: &Value| CustomerId::parse(claim.as_str()?).ok();
        let customer_id = match self.0.get("customer_id") {
            Some(claim) => Some(customer(claim).ok_or(AuthRefusal::Customer)?),
            None => None,
        };
        let (subject, scopes) = (format!("{issuer}|{subject}"), Some(self.scopes()?));
        Ok(Principal { subject, scopes, scope_prefix, customer_id, valid_until: None })
    }

    /// The claim `iss`. The claim is required, because a subject is unique only within its issuer.
    fn issuer(&self) -> Result<&str, AuthRefusal> {
        match self.0.get("iss") {
            None => Err(AuthRefusal::NoIssuer),
            Some(_) => self.text("iss").ok_or(AuthRefusal::Issuer),
        }
    }

    /// The granted scopes. The claim `scope` is one string (RFC 8693). Some issuers write the claim `scp` instead, as a
    /// string or a list.
    fn scopes(&self) -> Result<Vec<String>, AuthRefusal> {
        let names = |text: &str| text.split_ascii_whitespace().map(str::to_owned).collect();
        match self.0.get("scope").or_else(|| self.0.get("scp")) {
            None => Ok(Vec::new()),
            Some(Value::String(text)) => Ok(names(text)),
            Some(Value::Array(list)) => {
                let name = |name: &Value| Some(name.as_str()?.to_owned());
                list.iter().map(name).collect::<Option<_>>().ok_or(AuthRefusal::Scopes)
            }
            Some(_) => Err(AuthRefusal::Scopes),
        }
    }

    /// The value of the claim `name`, if it is a non-empty string.
    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str().filter(|text| !text.is_empty())
    }
}
