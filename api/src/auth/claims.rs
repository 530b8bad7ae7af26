//! What a token says: judged here, whoever has checked its signature.

use std::sync::Arc;
use std::time::Duration;

use domain::{CustomerId, Timestamp};
use serde_json::{Map, Value};

use crate::auth::principal::Principal;
use crate::auth::refusal::Refusal;

/// What a token must say to be for this service, now.
#[derive(Debug, Clone)]
pub struct TokenRules {
    /// The `iss` of every token.
    pub issuer: String,
    /// Must be the `aud` of the token, or among it.
    pub audience: String,
    /// How far the issuer's clock and ours may be apart.
    pub leeway: Duration,
    /// What the issuer writes before the names of our scopes, if anything: [`Principal::scope_prefix`].
    pub scope_prefix: Option<Arc<str>>,
}

/// The claims of a token. A claim that is there and is `null` is not absent: nothing may be granted because something
/// could not be read.
#[derive(Debug)]
pub(super) struct Claims(Map<String, Value>);

impl Claims {
    /// Reads the payload of a token.
    pub(super) fn parse(json: &[u8]) -> Result<Self, Refusal> {
        serde_json::from_slice(json).map(Self).map_err(|_| Refusal::Malformed)
    }

    /// The claims that an authorizer states.
    #[cfg(feature = "lambda")]
    pub(super) fn stated(claims: Map<String, Value>) -> Self {
        Self(claims)
    }

    /// Fails unless the token is for this service, now.
    pub(super) fn check(&self, rules: &TokenRules, now: Timestamp) -> Result<(), Refusal> {
        if self.issuer()? != rules.issuer {
            return Err(Refusal::Issuer);
        }
        let is_ours = |audience: &Value| audience.as_str() == Some(rules.audience.as_str());
        let ours = match self.0.get("aud") {
            Some(Value::Array(audiences)) => audiences.iter().any(is_ours),
            Some(audience) => is_ours(audience),
            None => return Err(Refusal::NoAudience),
        };
        if !ours {
            return Err(Refusal::Audience);
        }
        // Seconds may have a fraction (RFC 7519, section 2). Every second of the next million years is a whole f64.
        let now = now.micros() as f64 / 1e6;
        let leeway = rules.leeway.as_secs_f64();
        let expires = self.0.get("exp").and_then(Value::as_f64).ok_or(Refusal::NoExpiry)?;
        if now >= expires + leeway {
            return Err(Refusal::Expired);
        }
        if let Some(not_before) = self.0.get("nbf") {
            let not_before = not_before.as_f64().ok_or(Refusal::NotBefore)?;
            if now + leeway < not_before {
                return Err(Refusal::Early);
            }
        }
        Ok(())
    }

    /// Who the token is for, if its issuer writes this before the names of our scopes.
    pub(super) fn principal(&self, scope_prefix: Option<Arc<str>>) -> Result<Principal, Refusal> {
        let issuer = self.issuer()?;
        let subject = self.text("sub").ok_or(Refusal::NoSubject)?;
        let customer = |claim: &Value| CustomerId::parse(claim.as_str()?).ok();
        let customer_id = match self.0.get("customer_id") {
            Some(claim) => Some(customer(claim).ok_or(Refusal::Customer)?),
            None => None,
        };
        let (subject, scopes) = (format!("{issuer}|{subject}"), Some(self.scopes()?));
        Ok(Principal { subject, scopes, scope_prefix, customer_id })
    }

    /// A subject is unique with its issuer only, so no token does without one.
    fn issuer(&self) -> Result<&str, Refusal> {
        match self.0.get("iss") {
            None => Err(Refusal::NoIssuer),
            Some(_) => self.text("iss").ok_or(Refusal::Issuer),
        }
    }

    /// `scope` is one string (RFC 8693); what some issuers call `scp` is a string or a list.
    fn scopes(&self) -> Result<Vec<String>, Refusal> {
        let names = |text: &str| text.split_ascii_whitespace().map(str::to_owned).collect();
        match self.0.get("scope").or_else(|| self.0.get("scp")) {
            None => Ok(Vec::new()),
            Some(Value::String(text)) => Ok(names(text)),
            Some(Value::Array(list)) => {
                let name = |name: &Value| Some(name.as_str()?.to_owned());
                list.iter().map(name).collect::<Option<_>>().ok_or(Refusal::Scopes)
            }
            Some(_) => Err(Refusal::Scopes),
        }
    }

    /// A claim that is a text, and not an empty one.
    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str().filter(|text| !text.is_empty())
    }
}
