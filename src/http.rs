//! The flags of the HTTP server, and the settings they are parsed into. Every role that serves the API uses them.

use std::num::NonZero;
use std::str::FromStr;
use std::thread;

use api::{AppState, CorsOrigins, EventStreams, RateLimit, ServeOptions};
use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The flags as text, so that [`HttpArgs::read`] can report all invalid values together.
#[derive(Debug, Args)]
pub(crate) struct HttpArgs {
    /// The maximum number of open connections. The limit is lower if the system allows fewer open files.
    #[arg(long, env = "ORDERS_MAX_CONNECTIONS", default_value = "10000", value_name = "COUNT")]
    max_connections: String,
    /// The maximum number of connections of one address. It applies only while less than an eighth of all connections is
    /// free. An IPv6 /64 counts as one address. Default: half of --max-connections. Behind a proxy, all clients share
    /// one address, so set this option to the value of --max-connections.
    #[arg(long, env = "ORDERS_MAX_CONNECTIONS_PER_ADDRESS", value_name = "COUNT")]
    max_connections_per_address: Option<String>,
    /// The maximum number of streams of events (`GET /v1/events` as `text/event-stream`) that are open at the same time. Each
    /// stream is also a connection, so the limit is lower if that of connections is lower. Default: half of the
    /// connections.
    #[arg(long, env = "ORDERS_MAX_EVENT_STREAMS", value_name = "COUNT")]
    max_event_streams: Option<String>,
    /// The maximum number of streams of events of one address while less than an eighth of --max-event-streams is free.
    /// Default: half of --max-event-streams. Behind a proxy, set this option to the value of --max-event-streams.
    #[arg(long, env = "ORDERS_MAX_EVENT_STREAMS_PER_ADDRESS", value_name = "COUNT")]
    max_event_streams_per_address: Option<String>,
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
    max_event_streams: Option<usize>,
    max_event_streams_per_address: Option<usize>,
    rate_limit: Option<RateLimit>,
    cors_origins: Option<CorsOrigins>,
    require_idempotency_key: bool,
}

impl HttpArgs {
    /// The settings, or one error for each invalid value.
    pub(crate) fn read(&self) -> Result<HttpSettings, Vec<String>> {
        let mut errors = Vec::new();
        let settings = HttpSettings {
            max_connections: keep(count("ORDERS_MAX_CONNECTIONS", &self.max_connections), &mut errors)
                .unwrap_or_default(),
            max_connections_per_address: optional_count(
                "ORDERS_MAX_CONNECTIONS_PER_ADDRESS",
                self.max_connections_per_address.as_ref(),
                &mut errors,
            ),
            max_event_streams: optional_count(
                "ORDERS_MAX_EVENT_STREAMS",
                self.max_event_streams.as_ref(),
                &mut errors,
            ),
            max_event_streams_per_address: optional_count(
                "ORDERS_MAX_EVENT_STREAMS_PER_ADDRESS",
                self.max_event_streams_per_address.as_ref(),
                &mut errors,
            ),
            rate_limit: keep(optional("ORDERS_RATE_LIMIT", self.rate_limit.as_ref()), &mut errors).flatten(),
            cors_origins: keep(optional("ORDERS_CORS_ORIGINS", self.cors_origins.as_ref()), &mut errors)
                .flatten(),
            require_idempotency_key: self.require_idempotency_key,
        };
        if errors.is_empty() { Ok(settings) } else { Err(errors) }
    }
}

/// Returns the value. If there is an error instead, adds it to the list and returns `None`.
fn keep<T>(value: Result<T, String>, errors: &mut Vec<String>) -> Option<T> {
    value.map_err(|error| errors.push(error)).ok()
}

/// Parses an optional count. An empty text counts as absent.
fn optional_count(name: &str, text: Option<&String>, errors: &mut Vec<String>) -> Option<usize> {
    let text = text.filter(|text| !text.is_empty())?;
    keep(count(name, text), errors)
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
    /// Applies the settings to an API that is served over TCP.
    pub(crate) fn apply(&self, state: AppState) -> AppState {
        // Each stream is a connection, so the system's limit of open files applies to streams, too.
        let connections = self.connections().0;
        let streams = self.max_event_streams.unwrap_or(connections.div_ceil(2)).min(connections);
        let per_address = self.max_event_streams_per_address.unwrap_or(streams.div_ceil(2));
        let event_streams = Some(EventStreams::new(streams, per_address));
        AppState { rate_limit: self.rate_limit, event_streams, ..self.apply_behind_gateway(state) }
    }

    /// Applies the settings to an API behind a gateway. Our rate limit is omitted, because the gateway has its own.
    /// There are no streams, because the gateway collects each answer.
    pub(crate) fn apply_behind_gateway(&self, state: AppState) -> AppState {
        let require_idempotency_key = self.require_idempotency_key;
        AppState { cors_origins: self.cors_origins.clone(), require_idempotency_key, ..state }
    }

    /// The maximum number of connections, and the limit of open files. Connections and data files share that limit. A
    /// part of it is reserved for data files, so that clients cannot use up the last file descriptor.
    fn connections(&self) -> (usize, u64) {
        let files = open_files();
        let for_clients = usize::try_from(files - (files / 4).min(1024)).unwrap_or(usize::MAX);
        (self.max_connections.min(for_clients.max(1)), files)
    }

    /// The options for serving over TCP.
    pub(crate) fn serve_options(&self) -> ServeOptions {
        let (max_connections, files) = self.connections();
        if max_connections < self.max_connections {
            tracing::warn!(max_connections, files, "the system allows fewer open files than connections");
        }
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        let half = max_connections.div_ceil(2);
        let max_connections_per_address = self.max_connections_per_address.unwrap_or(half);
        ServeOptions { threads, max_connections, max_connections_per_address, ..ServeOptions::default() }
    }
}

/// Raises this process's limit of open files to the maximum that the system allows, and returns the new limit.
fn open_files() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // In an `Rlimit`, `None` means unlimited.
    let (current, maximum) = (current.unwrap_or(u64::MAX), maximum.unwrap_or(u64::MAX));
    let raised = Rlimit { current: Some(maximum), maximum: Some(maximum) };
    let is_raised = current < maximum && maximum < u64::MAX && setrlimit(Resource::Nofile, raised).is_ok();
    if is_raised { maximum } else { current }
}
