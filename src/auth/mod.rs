//! Access control of the API: its settings, and the rule that an API without authentication listens on loopback
//! addresses only. The commands that run an API use these settings, and the doctor checks them.

mod access;

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use api::Hosts;
use api::auth::{JwksUrl, TokenRules};
use clap::Args;

use access::TokenLimits;

/// The maximum leeway for clock differences, in seconds. A clock with a larger error must be corrected.
const MAX_LEEWAY: u64 = 600;
/// The allowed range of `--jwks-max-stale`. Less than a minute is too short to repair an issuer that is down. More than a
/// week would hardly be a limit.
const MAX_STALE: RangeInclusive<u64> = 60..=7 * 24 * 3600;

/// Who may call the API. All values are strings, so that all invalid values are reported together. An empty string
/// counts as unset.
#[derive(Debug, Args)]
#[command(next_help_heading = "Access control")]
pub(crate) struct AuthArgs {
    /// Accept bearer tokens signed by a key in this file, a JSON Web Key Set. The file is read again when it changes.
    #[arg(long, env = "ORDERS_JWKS_FILE", value_name = "FILE")]
    jwks_file: Option<String>,
    /// Accept bearer tokens signed by a key in the JSON Web Key Set at this https URL.
    #[arg(long, env = "ORDERS_JWKS_URL", value_name = "URL")]
    jwks_url: Option<String>,
    /// The required issuer of tokens (their claim `iss`).
    #[arg(long, env = "ORDERS_JWT_ISSUER", value_name = "ISSUER")]
    jwt_issuer: Option<String>,
    /// The required audience of tokens (their claim `aud`): the name of this service.
    #[arg(long, env = "ORDERS_JWT_AUDIENCE", value_name = "AUDIENCE")]
    jwt_audience: Option<String>,
    /// The prefix that the issuer adds to scopes, such as `orders/` for Amazon Cognito, which grants `orders/orders.read`.
    #[arg(long, env = "ORDERS_JWT_SCOPE_PREFIX", value_name = "PREFIX")]
    jwt_scope_prefix: Option<String>,
    /// How many seconds keys may be used when they cannot be reloaded. After that time, all tokens are refused until
    /// the keys are loaded again.
    #[arg(long, env = "ORDERS_JWKS_MAX_STALE", default_value = "3600", value_name = "SECONDS")]
    jwks_max_stale: String,
    /// How many failed tokens one client address (an IPv6 /64) may send per second, with an optional burst; `off` means
    /// no limit. Above that rate, the API accepts a token from this address only if it has verified the token before.
    #[arg(long, env = "ORDERS_AUTH_FAILURE_LIMIT", default_value = "5/50", value_name = "RATE[/BURST]")]
    auth_failure_limit: String,
    /// The maximum difference between the issuer's clock and ours, in seconds.
    #[arg(long, env = "ORDERS_JWT_LEEWAY", default_value = "60", value_name = "SECONDS")]
    jwt_leeway: String,
    /// `gateway`: in a Lambda function, trust the claims that the authorizer of API Gateway has verified.
    #[arg(long, env = "ORDERS_AUTH", value_name = "HOW")]
    auth: Option<String>,
    /// Accept unauthenticated requests, even from other machines.
    #[arg(
        long,
        env = "ORDERS_INSECURE_NO_AUTH",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    insecure_no_auth: Option<String>,
    /// Additional host names, separated by commas, that requests may contain. An API checks host names only if it
    /// accepts unauthenticated requests but is reachable only from its own machine. `localhost` and the addresses of
    /// this machine are always allowed.
    #[arg(long, env = "ORDERS_ALLOWED_HOSTS", value_name = "HOSTS")]
    allowed_hosts: Option<String>,
}

/// How requests reach the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestOrigin {
    /// The API serves connections to this address.
    Listening(SocketAddr),
    /// The API receives requests as events of a Lambda function.
    #[cfg(feature = "aws")]
    Lambda,
}

/// How the API authenticates requests.
#[derive(Debug)]
pub(crate) enum AuthSettings {
    /// The API does not authenticate requests. `warn` is set if other machines can reach the API.
    Nobody { warn: bool, hosts: Hosts },
    /// The API verifies tokens.
    Tokens(KeySource, TokenRules, TokenLimits),
    /// The API relies on the authentication by API Gateway.
    #[cfg(feature = "aws")]
    Gateway { scope_prefix: Option<Arc<str>> },
}

/// Where to load the issuer's keys from.
#[derive(Debug)]
pub(crate) enum KeySource {
    File(PathBuf),
    Url(JwksUrl),
}

const NO_KEYS: &str = "has no effect without --jwks-file (ORDERS_JWKS_FILE) or --jwks-url (ORDERS_JWKS_URL)";
const HOW: &str = "Configure who may call the API: --jwks-file (ORDERS_JWKS_FILE) or --jwks-url (ORDERS_JWKS_URL), with \
    --jwt-issuer (ORDERS_JWT_ISSUER) and --jwt-audience (ORDERS_JWT_AUDIENCE)";
const INSECURE: &str =
    "to accept unauthenticated requests, --insecure-no-auth (ORDERS_INSECURE_NO_AUTH=true)";

fn given(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

impl AuthArgs {
    /// Returns the settings, or all problems with the arguments. `origin` states how requests reach the API.
    pub(crate) fn settings(&self, origin: RequestOrigin) -> Result<AuthSettings, Vec<String>> {
        let mut problems = Vec::new();
        let insecure = self.insecure().unwrap_or_else(|problem| {
            problems.push(problem);
            false
        });
        let gateway = self.gateway(origin).unwrap_or_else(|problem| {
            problems.push(problem);
            false
        });
        let scope_prefix = self.scope_prefix(gateway).unwrap_or_else(|problem| {
            problems.push(problem);
            None
        });
        let tokens = self.tokens(scope_prefix.as_ref(), &mut problems);
        let hosts = self.hosts(origin).unwrap_or_else(|problem| {
            problems.push(problem);
            Hosts::Any
        });
        let jwks = given(&self.jwks_file).or(given(&self.jwks_url)).is_some();
        if gateway && jwks {
            problems.push("ORDERS_AUTH=gateway excludes a JWKS: the gateway verifies tokens".to_owned());
        }
        if insecure && (gateway || jwks) {
            problems.push(
                "--insecure-no-auth (ORDERS_INSECURE_NO_AUTH) excludes every other option of access control"
                    .to_owned(),
            );
        }
        // If other machines can reach the API, --insecure-no-auth, ORDERS_AUTH or a JWKS is required. Their absence is
        // reported only if there are no other errors, because one of them may be present but invalid.
        if problems.is_empty() && !(insecure || gateway || jwks) {
            problems.extend(exposed(origin));
        }
        match tokens {
            _ if !problems.is_empty() => Err(problems),
            #[cfg(feature = "aws")]
            _ if gateway => Ok(AuthSettings::Gateway { scope_prefix }),
            Some(settings) => Ok(settings),
            None => Ok(AuthSettings::Nobody { warn: exposed(origin).is_some(), hosts }),
        }
    }

    fn insecure(&self) -> Result<bool, String> {
        let Some(text) = given(&self.insecure_no_auth) else { return Ok(false) };
        crate::variables::switch(text)
            .map_err(|problem| format!("ORDERS_INSECURE_NO_AUTH {text:?} is {problem}"))
    }

    fn gateway(&self, origin: RequestOrigin) -> Result<bool, String> {
        match (given(&self.auth), origin) {
            (None, _) => Ok(false),
            #[cfg(feature = "aws")]
            (Some("gateway"), RequestOrigin::Lambda) => Ok(true),
            (Some("gateway"), RequestOrigin::Listening(_)) => {
                Err("ORDERS_AUTH=gateway is for Lambda functions: only there do all requests come from API Gateway"
                    .to_owned())
            }
            (Some(other), _) => Err(format!("ORDERS_AUTH {other:?} is not supported; the only value is gateway")),
        }
    }

    /// The host names that the API accepts in requests if it does not authenticate them.
    fn hosts(&self, origin: RequestOrigin) -> Result<Hosts, String> {
        let allowed = given(&self.allowed_hosts).map(str::parse).transpose();
        let allowed = allowed.map_err(|problem| format!("ORDERS_ALLOWED_HOSTS {problem}"))?;
        Ok(match (allowed, exposed(origin)) {
            // Other machines may call the API anyway, so a check of the host name would protect nothing.
            (None, Some(_)) => Hosts::Any,
            (allowed, _) => Hosts::Local(allowed.unwrap_or_default()),
        })
    }

    fn limits(&self) -> Result<TokenLimits, Vec<String>> {
        let limit = &self.auth_failure_limit;
        let failures = match limit.as_str() {
            "off" => Ok(None),
            _ => limit
                .parse()
                .map(Some)
                .map_err(|problem| format!("ORDERS_AUTH_FAILURE_LIMIT {problem}, or off")),
        };
        let seconds = &self.jwks_max_stale;
        let max_stale = seconds.parse().ok().filter(|seconds| MAX_STALE.contains(seconds));
        let max_stale = max_stale.map(Duration::from_secs).ok_or_else(|| {
            let (least, most) = (MAX_STALE.start(), MAX_STALE.end());
            format!("ORDERS_JWKS_MAX_STALE {seconds:?} is not {least}–{most} seconds")
        });
        match (max_stale, failures) {
            (Ok(max_stale), Ok(failures)) => Ok(TokenLimits { max_stale, failures }),
            (max_stale, failures) => Err([max_stale.err(), failures.err()].into_iter().flatten().collect()),
        }
    }

    /// The prefix of scopes. The API sends the prefix in `WWW-Authenticate` challenges, so the prefix may contain only
    /// characters that are valid in a scope ([RFC 6749, section
    /// 3.3](https://www.rfc-editor.org/rfc/rfc6749#section-3.3)).
    fn scope_prefix(&self, gateway: bool) -> Result<Option<Arc<str>>, String> {
        let Some(prefix) = given(&self.jwt_scope_prefix) else { return Ok(None) };
        if !gateway && given(&self.jwks_file).or(given(&self.jwks_url)).is_none() {
            return Err(format!("--jwt-scope-prefix (ORDERS_JWT_SCOPE_PREFIX) {NO_KEYS}"));
        }
        let allowed = |b: u8| b.is_ascii_graphic() && b != b'"' && b != b'\\';
        match prefix.bytes().all(allowed) {
            true => Ok(Some(prefix.into())),
            false => Err(format!(
                "ORDERS_JWT_SCOPE_PREFIX {prefix:?} cannot be part of a scope: it must be ASCII, without blanks, quotes \
                 and backslashes"
            )),
        }
    }

    fn tokens(&self, scope_prefix: Option<&Arc<str>>, problems: &mut Vec<String>) -> Option<AuthSettings> {
        let (issuer, audience) = (given(&self.jwt_issuer), given(&self.jwt_audience));
        let options = [
            (issuer, "--jwt-issuer (ORDERS_JWT_ISSUER)"),
            (audience, "--jwt-audience (ORDERS_JWT_AUDIENCE)"),
        ];
        let source = match (given(&self.jwks_file), given(&self.jwks_url)) {
            (None, None) => {
                let ineffective = options.iter().filter(|(value, _)| value.is_some());
                problems.extend(ineffective.map(|(_, name)| format!("{name} {NO_KEYS}")));
                return None;
            }
            (Some(_), Some(_)) => {
                problems.push("ORDERS_JWKS_FILE and ORDERS_JWKS_URL exclude each other".to_owned());
                None
            }
            (Some(file), None) => Some(KeySource::File(file.into())),
            (None, Some(url)) => match JwksUrl::parse(url) {
                Ok(url) => Some(KeySource::Url(url)),
                Err(problem) => {
                    problems.push(format!(
                        "ORDERS_JWKS_URL {:?} cannot be used: {problem}",
                        crate::redact::url(url)
                    ));
                    None
                }
            },
        };
        let missing = options.iter().filter(|(value, _)| value.is_none());
        problems
            .extend(missing.map(|(_, name)| format!("{name} is not set; it is required to verify tokens")));
        let leeway = self.jwt_leeway.parse().ok().filter(|seconds| *seconds <= MAX_LEEWAY);
        if leeway.is_none() {
            problems.push(format!("ORDERS_JWT_LEEWAY {:?} is not 0–{MAX_LEEWAY} seconds", self.jwt_leeway));
        }
        let limits = self.limits().map_err(|more| problems.extend(more)).ok();
        let rules = TokenRules {
            issuer: issuer?.to_owned(),
            audience: audience?.to_owned(),
            leeway: Duration::from_secs(leeway?),
            scope_prefix: scope_prefix.cloned(),
        };
        Some(AuthSettings::Tokens(source?, rules, limits?))
    }
}

/// The reason why the API must authenticate requests, or `None` if only this machine can reach the API.
fn exposed(origin: RequestOrigin) -> Option<String> {
    match origin {
        RequestOrigin::Listening(address) if address.ip().to_canonical().is_loopback() => None,
        RequestOrigin::Listening(address) => Some(format!(
            "{address} can be reached from other machines, and the API would accept unauthenticated requests. {HOW}; or, \
             {INSECURE}"
        )),
        #[cfg(feature = "aws")]
        RequestOrigin::Lambda => Some(format!(
            "a Lambda function can be reached from anywhere, and the API would accept unauthenticated requests. {HOW}; or, \
             behind an authorizer of API Gateway, ORDERS_AUTH=gateway; or, {INSECURE}"
        )),
    }
}

#[cfg(test)]
mod tests;
