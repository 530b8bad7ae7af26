//! How the API finds out who asks, by flags and environment; and the rule that it listens to nobody but this machine
//! until it can tell.

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

/// A clock that is further off than this is to be put right, not to be allowed for.
const MAX_LEEWAY: u64 = 600;
/// Less than a minute is no time to put anything right; who allows more than a week does not want a limit.
const MAX_STALE: RangeInclusive<u64> = 60..=7 * 24 * 3600;

/// Who may call the API. Texts, so that everything that is wrong with them can be told at one go; an empty one is as good
/// as none.
#[derive(Debug, Args)]
#[command(next_help_heading = "Access control")]
pub(crate) struct AuthArgs {
    /// Let in bearer tokens that are signed by a key in this file (a JSON Web Key Set), which is read again when it was
    /// changed.
    #[arg(long, env = "ORDERS_JWKS_FILE", value_name = "FILE")]
    jwks_file: Option<String>,
    /// Let in bearer tokens that are signed by a key in the JSON Web Key Set at this https address.
    #[arg(long, env = "ORDERS_JWKS_URL", value_name = "URL")]
    jwks_url: Option<String>,
    /// The issuer of the tokens: what their `iss` must be.
    #[arg(long, env = "ORDERS_JWT_ISSUER", value_name = "ISSUER")]
    jwt_issuer: Option<String>,
    /// The name of this service in tokens: what must be in their `aud`.
    #[arg(long, env = "ORDERS_JWT_AUDIENCE", value_name = "AUDIENCE")]
    jwt_audience: Option<String>,
    /// What the issuer writes before the names of the scopes, such as `orders/`, with which Amazon Cognito grants
    /// `orders/orders.read`.
    #[arg(long, env = "ORDERS_JWT_SCOPE_PREFIX", value_name = "PREFIX")]
    jwt_scope_prefix: Option<String>,
    /// Seconds for which keys are used after they could last be read, while their file or address cannot be. After that
    /// no token is accepted until it can.
    #[arg(long, env = "ORDERS_JWKS_MAX_STALE", default_value = "3600", value_name = "SECONDS")]
    jwks_max_stale: String,
    /// Tokens from one address (of IPv6, from one /64) that may fail per second, with a burst; after that only tokens that
    /// were verified before are accepted from there for a while. Or `off`.
    #[arg(long, env = "ORDERS_AUTH_FAILURE_LIMIT", default_value = "5/50", value_name = "RATE[/BURST]")]
    auth_failure_limit: String,
    /// Seconds that the issuer's clock and ours may be apart.
    #[arg(long, env = "ORDERS_JWT_LEEWAY", default_value = "60", value_name = "SECONDS")]
    jwt_leeway: String,
    /// `gateway`: as a Lambda function, trust the claims that API Gateway's authorizer has verified.
    #[arg(long, env = "ORDERS_AUTH", value_name = "HOW")]
    auth: Option<String>,
    /// Let in everybody, also from other machines.
    #[arg(
        long,
        env = "ORDERS_INSECURE_NO_AUTH",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    insecure_no_auth: Option<String>,
    /// Names by which an API may be called that lets in everyone on its machine, with commas between them; beside
    /// `localhost` and the addresses of this machine itself.
    #[arg(long, env = "ORDERS_ALLOWED_HOSTS", value_name = "HOSTS")]
    allowed_hosts: Option<String>,
}

/// Where requests come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Connections to this address.
    Listening(SocketAddr),
    /// The events of a Lambda function.
    #[cfg(feature = "aws")]
    Lambda,
}

/// How requests are to be authenticated.
#[derive(Debug)]
pub(crate) enum Settings {
    /// Not at all; to be warned of if they can come from elsewhere.
    Nobody { warn: bool, hosts: Hosts },
    /// By tokens.
    Tokens(KeySource, TokenRules, TokenLimits),
    /// By API Gateway.
    #[cfg(feature = "aws")]
    Gateway { scope_prefix: Option<Arc<str>> },
}

/// Where the keys are.
#[derive(Debug)]
pub(crate) enum KeySource {
    File(PathBuf),
    Url(JwksUrl),
}

const NO_KEYS: &str = "is of no use without --jwks-file (ORDERS_JWKS_FILE) or --jwks-url (ORDERS_JWKS_URL)";
const HOW: &str = "Say who may call it: --jwks-file (ORDERS_JWKS_FILE) or --jwks-url (ORDERS_JWKS_URL), with \
    --jwt-issuer (ORDERS_JWT_ISSUER) and --jwt-audience (ORDERS_JWT_AUDIENCE)";
const INSECURE: &str = "to let in everybody, --insecure-no-auth (ORDERS_INSECURE_NO_AUTH=true)";

fn given(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

impl AuthArgs {
    /// What the arguments come to where requests come from there, or everything that is wrong with them.
    pub(crate) fn settings(&self, origin: Origin) -> Result<Settings, Vec<String>> {
        let mut faults = Vec::new();
        let insecure = self.insecure().unwrap_or_else(|fault| {
            faults.push(fault);
            false
        });
        let gateway = self.gateway(origin).unwrap_or_else(|fault| {
            faults.push(fault);
            false
        });
        let scope_prefix = self.scope_prefix(gateway).unwrap_or_else(|fault| {
            faults.push(fault);
            None
        });
        let tokens = self.tokens(scope_prefix.as_ref(), &mut faults);
        let hosts = self.hosts(origin).unwrap_or_else(|fault| {
            faults.push(fault);
            Hosts::Any
        });
        let jwks = given(&self.jwks_file).or(given(&self.jwks_url)).is_some();
        if gateway && jwks {
            faults.push("ORDERS_AUTH=gateway excludes a JWKS: tokens are verified at one place".to_owned());
        }
        if insecure && (gateway || jwks) {
            faults.push(
                "--insecure-no-auth (ORDERS_INSECURE_NO_AUTH) excludes every other option of access control"
                    .to_owned(),
            );
        }
        // If something else is wrong, it was not the lack of options.
        if faults.is_empty() && !(insecure || gateway || jwks) {
            faults.extend(exposed(origin));
        }
        match tokens {
            _ if !faults.is_empty() => Err(faults),
            #[cfg(feature = "aws")]
            _ if gateway => Ok(Settings::Gateway { scope_prefix }),
            Some(settings) => Ok(settings),
            None => Ok(Settings::Nobody { warn: exposed(origin).is_some(), hosts }),
        }
    }

    fn insecure(&self) -> Result<bool, String> {
        let Some(text) = given(&self.insecure_no_auth) else { return Ok(false) };
        crate::cli::switch(text).map_err(|fault| format!("ORDERS_INSECURE_NO_AUTH {text:?} is {fault}"))
    }

    fn gateway(&self, origin: Origin) -> Result<bool, String> {
        match (given(&self.auth), origin) {
            (None, _) => Ok(false),
            #[cfg(feature = "aws")]
            (Some("gateway"), Origin::Lambda) => Ok(true),
            (Some("gateway"), Origin::Listening(_)) => {
                Err("ORDERS_AUTH=gateway is for Lambda functions: only there requests come from API Gateway alone"
                    .to_owned())
            }
            (Some(other), _) => Err(format!("ORDERS_AUTH {other:?} is not known; it can be gateway")),
        }
    }

    /// By which names the API may be called if it lets in everybody.
    fn hosts(&self, origin: Origin) -> Result<Hosts, String> {
        let allowed = given(&self.allowed_hosts).map(str::parse).transpose();
        let allowed = allowed.map_err(|fault| format!("ORDERS_ALLOWED_HOSTS {fault}"))?;
        Ok(match (allowed, exposed(origin)) {
            // Whoever lets in other machines lets in their pages, too.
            (None, Some(_)) => Hosts::Any,
            (allowed, _) => Hosts::Local(allowed.unwrap_or_default()),
        })
    }

    fn limits(&self) -> Result<TokenLimits, Vec<String>> {
        let limit = &self.auth_failure_limit;
        let failures = match limit.as_str() {
            "off" => Ok(None),
            _ => {
                limit.parse().map(Some).map_err(|fault| format!("ORDERS_AUTH_FAILURE_LIMIT {fault}, or off"))
            }
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

    /// What precedes the names of scopes. It is written into challenges, so it must consist of what scopes may
    /// ([RFC 6749, section 3.3](https://www.rfc-editor.org/rfc/rfc6749#section-3.3)).
    fn scope_prefix(&self, gateway: bool) -> Result<Option<Arc<str>>, String> {
        let Some(prefix) = given(&self.jwt_scope_prefix) else { return Ok(None) };
        if !gateway && given(&self.jwks_file).or(given(&self.jwks_url)).is_none() {
            return Err(format!("--jwt-scope-prefix (ORDERS_JWT_SCOPE_PREFIX) {NO_KEYS}"));
        }
        let allowed = |b: u8| b.is_ascii_graphic() && b != b'"' && b != b'\\';
        match prefix.bytes().all(allowed) {
            true => Ok(Some(prefix.into())),
            false => Err(format!(
                "ORDERS_JWT_SCOPE_PREFIX {prefix:?} cannot precede the name of a scope: it may have neither blanks nor \
                 quotes nor backslashes, and only ASCII"
            )),
        }
    }

    fn tokens(&self, scope_prefix: Option<&Arc<str>>, faults: &mut Vec<String>) -> Option<Settings> {
        let (issuer, audience) = (given(&self.jwt_issuer), given(&self.jwt_audience));
        let options = [
            (issuer, "--jwt-issuer (ORDERS_JWT_ISSUER)"),
            (audience, "--jwt-audience (ORDERS_JWT_AUDIENCE)"),
        ];
        let source = match (given(&self.jwks_file), given(&self.jwks_url)) {
            (None, None) => {
                let useless = options.iter().filter(|(value, _)| value.is_some());
                faults.extend(useless.map(|(_, name)| format!("{name} {NO_KEYS}")));
                return None;
            }
            (Some(_), Some(_)) => {
                faults.push("ORDERS_JWKS_FILE and ORDERS_JWKS_URL exclude each other".to_owned());
                None
            }
            (Some(file), None) => Some(KeySource::File(file.into())),
            (None, Some(url)) => match JwksUrl::parse(url) {
                Ok(url) => Some(KeySource::Url(url)),
                Err(fault) => {
                    faults.push(format!(
                        "ORDERS_JWKS_URL {:?} cannot be used: {fault}",
                        crate::shown::url(url)
                    ));
                    None
                }
            },
        };
        let missing = options.iter().filter(|(value, _)| value.is_none());
        faults.extend(
            missing.map(|(_, name)| format!("{name} is not set, and tokens cannot be judged without")),
        );
        let leeway = self.jwt_leeway.parse().ok().filter(|seconds| *seconds <= MAX_LEEWAY);
        if leeway.is_none() {
            faults.push(format!("ORDERS_JWT_LEEWAY {:?} is not 0–{MAX_LEEWAY}", self.jwt_leeway));
        }
        let limits = self.limits().map_err(|wrong| faults.extend(wrong)).ok();
        let rules = TokenRules {
            issuer: issuer?.to_owned(),
            audience: audience?.to_owned(),
            leeway: Duration::from_secs(leeway?),
            scope_prefix: scope_prefix.cloned(),
        };
        Some(Settings::Tokens(source?, rules, limits?))
    }
}

/// Why requests from there must not be let in unseen, if they must not.
fn exposed(origin: Origin) -> Option<String> {
    match origin {
        Origin::Listening(address) if address.ip().to_canonical().is_loopback() => None,
        Origin::Listening(address) => Some(format!(
            "{address} can be reached from other machines, and the API would let in everybody. {HOW}; or, {INSECURE}"
        )),
        #[cfg(feature = "aws")]
        Origin::Lambda => Some(format!(
            "a function can be reached from everywhere, and the API would let in everybody. {HOW}; or, behind an \
             authorizer of API Gateway, ORDERS_AUTH=gateway; or, {INSECURE}"
        )),
    }
}

#[cfg(test)]
mod tests;
