//! What the settings of access control come to: with the keys loaded, as the API takes it.

use std::sync::Arc;
use std::time::Duration;

use api::auth::{Auth, IssuerKeys, KeyRefresh, TokenVerifier};
use api::{AppState, Hosts, RateLimit};

use super::{KeySource, Settings};

/// What limits the trust in keys, and those who try others.
#[derive(Debug)]
pub(crate) struct TokenLimits {
    pub(super) max_stale: Duration,
    pub(super) failures: Option<RateLimit>,
}

/// How requests are let in.
#[derive(Debug)]
pub(crate) struct Access {
    auth: Auth,
    hosts: Hosts,
}

impl Access {
    /// The state of an API that lets requests in like this.
    pub(crate) fn apply(&self, state: AppState) -> AppState {
        AppState { auth: self.auth.clone(), hosts: self.hosts.clone(), ..state }
    }

    /// The keys of tokens, if there are any.
    pub(crate) fn keys(&self) -> Option<&Arc<IssuerKeys>> {
        match &self.auth {
            Auth::Tokens(verifier) => Some(verifier.keys()),
            _ => None,
        }
    }
}

impl Settings {
    /// What the settings say, with the keys loaded. Keys at an address that does not answer are waited for by requests;
    /// a file without keys is an error.
    pub(crate) async fn access(self) -> anyhow::Result<Access> {
        let (source, rules, limits) = match self {
            Self::Nobody { warn, hosts } => {
                if warn {
                    tracing::warn!("everybody is let in: the API runs with --insecure-no-auth");
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
                // If it fails, that is in the log; the service starts, for its issuer may be starting too.
                let _ = keys.load().await;
                keys
            }
        };
        let verifier = TokenVerifier::new(keys, rules).limit_failures(failures);
        Ok(Access { auth: Auth::Tokens(Arc::new(verifier)), hosts: Hosts::Any })
    }
}
