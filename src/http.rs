//! The flags of the HTTP server, and the settings they are parsed into. Every role that serves the API uses them.

use std::num::NonZero;
use std::str::FromStr;
use std::thread;

use api::{AppState, CorsOrigins, RateLimit, ServeOptions};
use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The flags as text, so that [`HttpArgs::read`] can report all invalid values together.
#[derive(Debug, Args)]
pub(crate) struct HttpArgs {
    /// The maximum number of open connections. The limit is lower if the system allows fewer open files.
    #[arg(long, env = "ORDERS_MAX_CONNECTIONS", default_value = "10000", value_name = "COUNT")]
    max_connections: String,
    /// The maximum number of connections of one address while less than an eighth of all connections is free. An IPv6
    /// /64 counts as one address. Default: half of --max-connections. Behind a proxy, all clients share one address:
    /// set both options to the same number there.
    #[arg(long, env = "ORDERS_MAX_CONNECTIONS_PER_ADDRESS", value_name = "COUNT")]
    max_connections_per_address: Option<String>,
    /// The maximum number of requests per second for each client, with an optional burst, as in `100/200`. A client is
    /// the subject of a token, or the address of a request without a token. Default: no limit.
    #[arg(long, env = "ORDERS_RATE_LIMIT", value_name = "RATE[/BURST]")]
    rate_limit: Option<String>,
    /// The origins, separated by commas, whose pages may call the API from a browser; or `*` for all.
    #[arg(long, env = "ORDERS_CORS_ORIGINS", value_name = "ORIGINS")]
    cors_origins: Option<String>,
    /// Refuse writes without an idempotency key.
    #[arg(long, env = "ORDERS_REQUIRE_IDEMPOTENCY_KEY")]
    require_idempotency_key: bool,
}

/// The parsed flags.
#[derive(Debug)]
pub(crate) struct HttpSettings {
    max_connections: usize,
    max_connections_per_address: Option<usize>,
    rate_limit: Option<RateLimit>,
    cors_origins: Option<CorsOrigins>,
    require_idempotency_key: bool,
}

impl HttpArgs {
    /// The settings, or one error for each invalid value.
    pub(crate) fn read(&self) -> Result<HttpSettings, Vec<String>> {
        let max_connections = count("ORDERS_MAX_CONNECTIONS", &self.max_connections);
        let per_address = self.max_connections_per_address.as_ref().filter(|text| !text.is_empty());
        let per_address =
            per_address.map(|text| count("ORDERS_MAX_CONNECTIONS_PER_ADDRESS", text)).transpose();
        let rate_limit = optional("ORDERS_RATE_LIMIT", self.rate_limit.as_ref());
        let cors_origins = optional("ORDERS_CORS_ORIGINS", self.cors_origins.as_ref());
        match (max_connections, per_address, rate_limit, cors_origins) {
            (Ok(max_connections), Ok(max_connections_per_address), Ok(rate_limit), Ok(cors_origins)) => {
                Ok(HttpSettings {
                    max_connections,
                    max_connections_per_address,
                    rate_limit,
                    cors_origins,
                    require_idempotency_key: self.require_idempotency_key,
                })
            }
            (connections, per_address, rate, origins) => {
                let errors = [connections.err(), per_address.err(), rate.err(), origins.err()];
                Err(errors.into_iter().flatten().collect())
            }
        }
    }
}

fn count(name: &str, text: &str) -> Result<usize, String> {
    let positive = text.parse().ok().filter(|count| *count > 0);
    positive.ok_or_else(|| format!("{name} {text:?} is not a count of 1 or more"))
}

/// Parses an optional value. An empty text counts as absent.
fn optional<T: FromStr<Err = String>>(name: &str, text: Option<&String>) -> Result<Option<T>, String> {
    let text = text.filter(|text| !text.is_empty());
    text.map(|text| text.parse()).transpose().map_err(|error| format!("{name} {error}"))
}

impl HttpSettings {
    /// Applies these settings to an API that is served over TCP.
    pub(crate) fn apply(&self, state: AppState) -> AppState {
        AppState { rate_limit: self.rate_limit, ..self.apply_behind_gateway(state) }
    }

    /// Applies these settings to an API behind a gateway. Our rate limit is omitted, because the gateway has its own.
    pub(crate) fn apply_behind_gateway(&self, state: AppState) -> AppState {
        let require_idempotency_key = self.require_idempotency_key;
        AppState { cors_origins: self.cors_origins.clone(), require_idempotency_key, ..state }
    }

    /// The options for serving over TCP. Connections and data files share the limit of open files. A part of it is
    /// reserved for data files, so that clients cannot use up the last file descriptor.
    pub(crate) fn serve_options(&self) -> ServeOptions {
        let files = open_files();
        let for_clients = usize::try_from(files - (files / 4).min(1024)).unwrap_or(usize::MAX);
        let max_connections = self.max_connections.min(for_clients.max(1));
        if max_connections < self.max_connections {
            tracing::warn!(max_connections, files, "the system allows fewer open files than connections");
        }
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        let half = max_connections.div_ceil(2);
        let max_connections_per_address = self.max_connections_per_address.unwrap_or(half);
        ServeOptions { threads, max_connections, max_connections_per_address, ..ServeOptions::default() }
    }
}

/// Raises this process's limit of open files as far as the system allows, and returns the new limit.
fn open_files() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // `None` means unlimited.
    let (current, maximum) = (current.unwrap_or(u64::MAX), maximum.unwrap_or(u64::MAX));
    let raised = Rlimit { current: Some(maximum), maximum: Some(maximum) };
    let is_raised = current < maximum && maximum < u64::MAX && setrlimit(Resource::Nofile, raised).is_ok();
    if is_raised { maximum } else { current }
}
