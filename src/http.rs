//! How the API meets its clients: the flags that all of its shapes share.

use std::num::NonZero;
use std::str::FromStr;
use std::thread;

use api::{AppState, CorsOrigins, RateLimit, ServeOptions};
use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Texts, so that everything that is wrong with them can be told at one go.
#[derive(Debug, Args)]
pub(crate) struct HttpArgs {
    /// Connections at the same time; fewer if the system allows fewer open files.
    #[arg(long, env = "ORDERS_MAX_CONNECTIONS", default_value = "10000", value_name = "COUNT")]
    max_connections: String,
    /// Connections of one address (of IPv6, of one /64) once only an eighth of all connections is free; half of them if
    /// absent. Behind a proxy, where all clients have one address, set it to the number of all.
    #[arg(long, env = "ORDERS_MAX_CONNECTIONS_PER_ADDRESS", value_name = "COUNT")]
    max_connections_per_address: Option<String>,
    /// Requests per second that a client may make, with a burst as in `100/200`. A client is whoever authenticated, or
    /// else an address. Without it there is no limit.
    #[arg(long, env = "ORDERS_RATE_LIMIT", value_name = "RATE[/BURST]")]
    rate_limit: Option<String>,
    /// Origins whose pages may use the API from a browser, with commas between them, or `*`.
    #[arg(long, env = "ORDERS_CORS_ORIGINS", value_name = "ORIGINS")]
    cors_origins: Option<String>,
    /// Refuse requests that change something and have no idempotency key.
    #[arg(long, env = "ORDERS_REQUIRE_IDEMPOTENCY_KEY")]
    require_idempotency_key: bool,
}

/// The same, read.
#[derive(Debug)]
pub(crate) struct HttpSettings {
    max_connections: usize,
    max_connections_per_address: Option<usize>,
    rate_limit: Option<RateLimit>,
    cors_origins: Option<CorsOrigins>,
    require_idempotency_key: bool,
}

impl HttpArgs {
    /// The settings, or everything that is wrong with them.
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
                let faults = [connections.err(), per_address.err(), rate.err(), origins.err()];
                Err(faults.into_iter().flatten().collect())
            }
        }
    }
}

fn count(name: &str, text: &str) -> Result<usize, String> {
    let positive = text.parse().ok().filter(|count| *count > 0);
    positive.ok_or_else(|| format!("{name} {text:?} is not a count of 1 or more"))
}

/// A value that may be absent, which an empty variable is, too.
fn optional<T: FromStr<Err = String>>(name: &str, text: Option<&String>) -> Result<Option<T>, String> {
    let text = text.filter(|text| !text.is_empty());
    text.map(|text| text.parse()).transpose().map_err(|fault| format!("{name} {fault}"))
}

impl HttpSettings {
    /// The state of an API that clients reach over TCP.
    pub(crate) fn apply(&self, state: AppState) -> AppState {
        AppState { rate_limit: self.rate_limit, ..self.apply_behind_gateway(state) }
    }

    /// The state of an API behind a gateway, which knows its clients and limits them itself.
    pub(crate) fn apply_behind_gateway(&self, state: AppState) -> AppState {
        let require_idempotency_key = self.require_idempotency_key;
        AppState { cors_origins: self.cors_origins.clone(), require_idempotency_key, ..state }
    }

    /// How to serve on TCP. Every connection is an open file, and so are those that the data is in: a part of what the
    /// system allows is kept for them, so that clients cannot take the last one.
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

/// How many files this process may open: as many as it may allow itself.
fn open_files() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // Without a number there is no limit.
    let (current, maximum) = (current.unwrap_or(u64::MAX), maximum.unwrap_or(u64::MAX));
    let raised = Rlimit { current: Some(maximum), maximum: Some(maximum) };
    let is_raised = current < maximum && maximum < u64::MAX && setrlimit(Resource::Nofile, raised).is_ok();
    if is_raised { maximum } else { current }
}
