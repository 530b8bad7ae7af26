//! The access control of the API, with its keys loaded. The commands that run an API call [`AuthSettings::access`].

use std::sync::Arc;
use std::time::Duration;

use api::auth::{Auth, IssuerKeys, KeyRefresh, TokenVerifier};
use api::{AppState, Hosts, RateLimit};

use super::{AuthSettings, KeySource};

/// The limits for tokens: how long keys may be used without a successful reload, and how many failed tokens a client
/// may send.
#[derive(Debug)]
pub(crate) struct TokenLimits {
    pub(super) max_stale: Duration,
    pub(super) failures: Option<RateLimit>,
}

/// The access control of an API.
#[derive(Debug)]
pub(crate) struct Access {
    auth: Auth,
    hosts: Hosts,
}

impl Access {
    /// Adds this access control to the API's state.
    pub(crate) fn apply(&self, state: AppState) -> AppState {
        AppState { auth: self.auth.clone(), hosts: self.hosts.clone(), ..state }
    }

    /// The keys that verify tokens, or `None` if no tokens are required.
    pub(crate) fn keys(&self) -> Option<&Arc<IssuerKeys>> {
        match &self.auth {
            Auth::Tokens(verifier) => Some(verifier.keys()),
            _ => None,
        }
    }
}

impl AuthSettings {
    /// Loads the keys. A file without keys is an error. A URL that does not answer is not an error: requests wait until
    /// the keys are loaded.
    pub(crate) async fn access(self) -> anyhow::Result<Access> {
        let (source, rules, limits) = match self {
            Self::Nobody { warn, hosts } => {
                if warn {
                    tracing::warn!(
                        "the API accepts unauthenticated requests: it runs with --insecure-no-auth"
                    );
                }
                return Ok(Access { auth: Auth::None, hosts });
            }
            #[cfg(feature = "aws")]
            Self::Gateway { scope_prefix } => {
                return Ok(Access { auth: Auth::Gateway { scope_prefix }, hosts: Hosts::Any });
            }
            Self::Tokens(source, rules, limits) => (source, rules, limits),
        };
        let TokenLimits { max_stale, failures } = limits;
        let keys = match source {
            KeySource::File(path) => {
                let keys = IssuerKeys::of_file(&path, KeyRefresh { max_stale, ..KeyRefresh::FILE });
                keys.load().await?;
                keys
            }
            KeySource::Url(url) => {
                let keys = IssuerKeys::of_url(url, KeyRefresh { max_stale, ..KeyRefresh::URL })?;
                // `load` logs a failure. The service starts anyway, because the issuer may also be starting.
                let _ = keys.load().await;
                keys
            }
        };
        let verifier = TokenVerifier::new(keys, rules).limit_failures(failures);
        Ok(Access { auth: Auth::Tokens(Arc::new(verifier)), hosts: Hosts::Any })
    }
}
