//! The reasons to refuse a request without valid credentials. The texts help a developer and contain nothing that helps
//! an attacker. All files of this module return these reasons.

use crate::problem::Problem;

/// Why a request is refused. The texts become part of a quoted string of `WWW-Authenticate` without escaping. So they
/// contain neither quotes nor backslashes nor anything from the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AuthRefusal {
    #[error("The request has no bearer token.")]
    NoCredentials,
    #[error("The service has no current keys of the issuer. Try again later.")]
    NoKeys,
    #[error(
        "Too many requests with invalid tokens came from this address. For now, only tokens that were verified before are \
         accepted from it."
    )]
    TooManyFailures(u32),
    #[error("There is more than one Authorization header.")]
    SeveralHeaders,
    #[error("The token is too long.")]
    TooLong,
    #[error("The token is not a signed JWT.")]
    Malformed,
    #[error("The type of the token must be JWT or at+jwt.")]
    Type,
    #[error("The header of the token requires extensions (crit), and none is supported.")]
    Critical,
    #[error("The token must be signed with RS256, ES256 or EdDSA.")]
    Algorithm,
    #[error("The key that the token names is for another algorithm.")]
    OtherAlgorithm,
    #[error("The issuer has no key for this token.")]
    UnknownKey,
    #[error("More than one key fits the token. The token must name its key with kid.")]
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
    #[error("The nbf of the token is not a time.")]
    NotBefore,
    #[error("The token is not valid yet.")]
    Early,
    #[error("The token has no sub.")]
    NoSubject,
    #[error("The scopes of the token must be a list of names.")]
    Scopes,
    #[error("The customer_id of the token is not a valid customer id.")]
    Customer,
    #[cfg(feature = "lambda")]
    #[error("The API has no authorizer that provides claims.")]
    NoClaims,
}

impl From<AuthRefusal> for Problem {
    fn from(refusal: AuthRefusal) -> Self {
        // Refusals are logged at debug level only, because any client can cause any number of them.
        tracing::debug!(%refusal, "request refused");
        let text = refusal.to_string();
        match refusal {
            AuthRefusal::NoKeys => Self::keys_missing(text),
            AuthRefusal::TooManyFailures(seconds) => Self::too_many_failures(text, seconds),
            AuthRefusal::NoCredentials => Self::unauthorized(text, "Bearer".to_owned()),
            _ => {
                let challenge = format!("Bearer error=\"invalid_token\", error_description=\"{text}\"");
                Self::unauthorized(text, challenge)
            }
        }
    }
}
