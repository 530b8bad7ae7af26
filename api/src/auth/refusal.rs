//! Why a request is not let in, in words that help a developer and tell an attacker nothing new.

use crate::problem::Problem;

/// Why a request is not let in. The texts go into a quoted string of `WWW-Authenticate` as they are, so they have
/// neither quotes nor backslashes, and nothing in them comes from the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("The request has no bearer token.")]
    NoCredentials,
    #[error("The service has no current keys of the issuer. Try again later.")]
    NoKeys,
    #[error(
        "Too many requests with tokens that are not valid came from this address. Only tokens that were verified before \
         are let in from it for now."
    )]
    TooManyFailures(u32),
    #[error("There is more than one Authorization header.")]
    SeveralHeaders,
    #[error("The token is too long.")]
    TooLong,
    #[error("The token is not a signed JWT.")]
    Malformed,
    #[error("The token is of another type than JWT or at+jwt.")]
    Type,
    #[error("The header of the token has extensions that must be understood, and none is.")]
    Critical,
    #[error("The token must be signed with RS256, ES256 or EdDSA.")]
    Algorithm,
    #[error("The key that the token names is for another algorithm.")]
    OtherAlgorithm,
    #[error("The issuer has no such key.")]
    UnknownKey,
    #[error("More than one key fits the token; it must name one with kid.")]
    AmbiguousKey,
    #[error("The signature of the token is wrong.")]
    Signature,
    #[error("The token has no iss, which must name its issuer.")]
    NoIssuer,
    #[error("The token is from another issuer.")]
    Issuer,
    #[error("The token has no aud, which must name this service.")]
    NoAudience,
    #[error("The token is for another audience.")]
    Audience,
    #[error("The token has no valid exp.")]
    NoExpiry,
    #[error("The token has expired.")]
    Expired,
    #[error("The token has an nbf that is no time.")]
    NotBefore,
    #[error("The token is not valid yet.")]
    Early,
    #[error("The token has no sub.")]
    NoSubject,
    #[error("The scopes of the token are not a list of names.")]
    Scopes,
    #[error("The customer_id of the token is no id of a customer.")]
    Customer,
    #[cfg(feature = "lambda")]
    #[error("The API has no authorizer that states claims.")]
    NoClaims,
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        // Not louder: anybody can make this happen as often as they like.
        tracing::debug!(%refusal, "not let in");
        let text = refusal.to_string();
        match refusal {
            Refusal::NoKeys => Self::keys_missing(text),
            Refusal::TooManyFailures(seconds) => Self::too_many_failures(text, seconds),
            Refusal::NoCredentials => Self::unauthorized(text, "Bearer".to_owned()),
            _ => {
                let challenge = format!("Bearer error=\"invalid_token\", error_description=\"{text}\"");
                Self::unauthorized(text, challenge)
            }
        }
    }
}
