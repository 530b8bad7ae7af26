//! Implements `orders tail`, which prints the recorded events of a running service and can wait for later events.
//! `main` calls [`run`].
//!
//! `reader` reads pages of the feed and repeats requests that fail. The command reads pages with `Prefer: wait` and not
//! a stream, because a service behind API Gateway cannot send streams.

mod display;
mod reader;

use std::io::{ErrorKind, Write};

use clap::Args;
use serde_json::value::RawValue;

use crate::api_client::{ApiClient, ApiClientArgs};
use reader::{FeedPage, TailReader};

#[derive(Debug, Args)]
pub(crate) struct TailArgs {
    #[command(flatten)]
    client: ApiClientArgs,
    /// Wait for events that are recorded later, and print them. If the service stops, continue when it is reachable
    /// again.
    #[arg(long, short)]
    follow: bool,
    /// Print each event as one line of JSON, with its position and its cursor.
    #[arg(long)]
    json: bool,
    /// Print only events of these types, separated by commas, such as order_paid,order_shipped.
    #[arg(long, value_name = "TYPES")]
    types: Option<String>,
    /// Print only events of this customer's orders.
    #[arg(long, value_name = "CUSTOMER")]
    customer: Option<String>,
    /// Where to begin: `oldest` (the first event of the feed), `latest` (events recorded from now on), or a time (RFC 3339;
    /// events recorded at this time or later). Default: `oldest`; with --follow: `latest`.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Begin after the event with this cursor, as printed with --json.
    #[arg(long, value_name = "CURSOR", conflicts_with = "from")]
    after: Option<String>,
}

impl TailArgs {
    /// The query parameters that select events.
    fn filter(&self) -> Vec<(&'static str, String)> {
        let named = [("types", &self.types), ("customer_id", &self.customer)];
        named.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect()
    }

    /// The query parameter that states where to begin.
    fn start(&self) -> (&'static str, String) {
        match (&self.after, &self.from) {
            (Some(cursor), _) => ("after", cursor.clone()),
            (None, Some(from)) => ("from", from.clone()),
            (None, None) => ("from", if self.follow { "latest" } else { "oldest" }.to_owned()),
        }
    }
}

/// Prints events until the end of the feed or, with `--follow`, until the process ends or its output is closed.
pub(crate) async fn run(args: TailArgs) -> anyhow::Result<()> {
    let client = ApiClient::new(&args.client)?;
    let mut reader = TailReader::new(client, args.filter(), args.start(), args.follow);
    loop {
        let FeedPage { items, has_more, .. } = reader.next_page().await?;
        if !print(&items, args.json)? || !(has_more || args.follow) {
            return Ok(());
        }
    }
}

/// Prints the items with one write. Returns whether the output is still open: a reader that closes the pipe early, as
/// `head` does, is not an error.
fn print(items: &[Box<RawValue>], json: bool) -> anyhow::Result<bool> {
    let mut text = String::new();
    for item in items {
        if json {
            text.push_str(item.get());
        } else {
            text.push_str(&display::line(item.get())?);
        }
        text.push('\n');
    }
    let mut output = std::io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        written => Ok(written.map(|()| true)?),
    }
}
