//! `orders dlq redrive`: sends, waits for what becomes of it, and goes on with what was parked behind meanwhile.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use clap::{ArgGroup, Args};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};

use super::FilterArgs;
use super::api::{DeadLetterSummary, RedrivePage, RedrivenDeadLetter};
use crate::api_client::{ApiClient, ApiClientArgs, segment};

/// How often it is looked what became of letters.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How many rounds there are at most, besides those that a line takes which is longer than one request looks at: each sends
/// only what was parked behind the one before.
const ROUNDS: usize = 10;
/// What selects letters. Without any of these a redrive is refused: nobody means all by saying nothing.
const SELECTION: [&str; 6] = ["ids", "order", "reason", "from", "before", "all"];

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("selection").args(SELECTION).required(true).multiple(true))]
pub(crate) struct RedriveArgs {
    #[command(flatten)]
    client: ApiClientArgs,
    /// These letters, with the lines that they stand in.
    ids: Vec<String>,
    #[command(flatten)]
    filter: FilterArgs,
    /// All of them.
    #[arg(long)]
    all: bool,
    /// Only say what would become of each.
    #[arg(long)]
    dry_run: bool,
    /// Seconds to wait for what becomes of those that were sent.
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    wait: u64,
}

/// What became of the letters, in line; the latest counts.
#[derive(Default)]
struct RedriveOutcomes {
    all: Vec<(RedrivenDeadLetter, String)>,
    /// The place of each letter, by its id.
    places: HashMap<String, usize>,
}

impl RedriveOutcomes {
    fn note(&mut self, letter: &RedrivenDeadLetter, told: String) {
        match self.places.get(&letter.id) {
            Some(place) => self.all[*place].1 = told,
            None => {
                self.places.insert(letter.id.clone(), self.all.len());
                self.all.push((letter.clone(), told));
            }
        }
    }
}

pub(super) async fn redrive(args: &RedriveArgs) -> anyhow::Result<()> {
    let client = ApiClient::new(&args.client)?;
    let selection = selection(args)?;
    let style = ProgressStyle::with_template("{bar:40} {pos} of {len} letters, {msg}")?;
    let bar = ProgressBar::new(0).with_style(style);
    let mut fates = RedriveOutcomes::default();
    let (mut rounds, mut is_cut) = (0, false);
    while rounds < ROUNDS {
        let round = round(&client, &selection, args.dry_run, &bar).await?;
        is_cut = round.is_cut;
        rounds += usize::from(!is_cut);
        let until = Instant::now() + Duration::from_secs(args.wait);
        let letters = round.letters.iter();
        let sent: Vec<_> = letters.filter(|letter| letter.prediction.result == "sent").cloned().collect();
        round.letters.iter().for_each(|letter| fates.note(letter, letter.prediction.told()));
        if sent.is_empty() {
            break;
        }
        let settled = outcomes(&client, &sent, until, &bar, &mut fates).await?;
        // What was parked behind these meanwhile can go on now; what came back would only come back again.
        let came_back = fates.all.iter().any(|(_, told)| told.starts_with("parked again"));
        if !settled || came_back {
            break;
        }
    }
    bar.finish_and_clear();
    report(&fates, args.dry_run)?;
    if is_cut {
        crate::print("… and more behind them in line: what is first in line goes first")?;
    }
    Ok(())
}

/// What one round came to.
#[derive(Default)]
struct RedriveRound {
    letters: Vec<RedrivenDeadLetter>,
    /// Whether a line is longer than one request looks at.
    is_cut: bool,
}

/// The selection, as the service takes it.
fn selection(args: &RedriveArgs) -> anyhow::Result<Map<String, Value>> {
    let mut selection = Map::new();
    for (name, value) in args.filter.pairs() {
        selection.insert(name.to_owned(), json!(value));
    }
    if !args.ids.is_empty() {
        selection.insert("ids".to_owned(), json!(args.ids));
    }
    if args.all {
        selection.insert("all".to_owned(), json!(true));
    }
    ensure!(args.ids.len() <= 100, "name at most 100 letters, or filter them");
    Ok(selection)
}

/// Goes once through all that is selected.
async fn round(
    client: &ApiClient,
    selection: &Map<String, Value>,
    dry_run: bool,
    bar: &ProgressBar,
) -> anyhow::Result<RedriveRound> {
    let (mut round, mut seen) = (RedriveRound::default(), HashSet::new());
    let mut request = selection.clone();
    request.insert("dry_run".to_owned(), json!(dry_run));
    loop {
        let answer: RedrivePage = client.post("/v1/dead-letters/redrive", &json!(request)).await?;
        round.letters.extend(answer.items.into_iter().filter(|letter| seen.insert(letter.id.clone())));
        round.is_cut |= answer.lines_cut;
        bar.set_length(round.letters.len() as u64);
        let counts: Vec<_> =
            answer.counts.iter().map(|(result, count)| format!("{count} {result}")).collect();
        bar.set_message(counts.join(", "));
        match answer.next_cursor {
            Some(cursor) => drop(request.insert("cursor".to_owned(), json!(cursor))),
            None => return Ok(round),
        }
    }
}

/// Waits until it is known what became of those that were sent. `false` if time runs out first.
async fn outcomes(
    client: &ApiClient,
    sent: &[RedrivenDeadLetter],
    until: Instant,
    bar: &ProgressBar,
    fates: &mut RedriveOutcomes,
) -> anyhow::Result<bool> {
    let mut waiting: Vec<&RedrivenDeadLetter> = sent.iter().collect();
    bar.set_length(sent.len() as u64);
    loop {
        let mut still = Vec::new();
        for letter in waiting {
            match outcome(client, letter).await? {
                Some(told) => fates.note(letter, told),
                None => still.push(letter),
            }
            bar.set_position((sent.len() - still.len()) as u64);
        }
        waiting = still;
        if waiting.is_empty() {
            return Ok(true);
        }
        bar.set_message(format!("waiting for {}", waiting.len()));
        if Instant::now() >= until {
            for letter in waiting {
                fates.note(letter, "on its way back".to_owned());
            }
            return Ok(false);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// What became of a letter; `None` while it is on its way.
async fn outcome(client: &ApiClient, letter: &RedrivenDeadLetter) -> anyhow::Result<Option<String>> {
    let found: Option<DeadLetterSummary> =
        client.find(&format!("/v1/dead-letters/{}", segment(&letter.id))).await?;
    if let Some(there) = found {
        return Ok((there.state == "parked").then(|| format!("parked again: {}", there.detail)));
    }
    let (Some(order), Some(event)) = (&letter.order_id, &letter.event_id) else {
        return Ok(Some("not a dead letter any more".to_owned()));
    };
    let receipt: Option<Value> =
        client.find(&format!("/v1/orders/{}/events/{}", segment(order), segment(event))).await?;
    let told = receipt.map_or_else(|| "not a dead letter any more".to_owned(), |receipt| told(&receipt));
    Ok(Some(told))
}

fn told(receipt: &Value) -> String {
    let text = |name: &str| receipt[name].as_str().unwrap_or_default();
    match text("state") {
        "recorded" => format!("recorded as version {}", receipt["version"]),
        state => format!("{state}: {}", text("detail")),
    }
}

fn report(fates: &RedriveOutcomes, dry_run: bool) -> anyhow::Result<()> {
    if fates.all.is_empty() {
        return crate::print("no dead letters are selected");
    }
    for (letter, told) in &fates.all {
        let order = letter.order_id.as_deref().unwrap_or("-");
        let kind = letter.event_type.as_deref().unwrap_or("-");
        super::print_untrusted(&format!("{}  {order}  {kind}  {told}", letter.id))?;
    }
    let done = |told: &str| {
        ["recorded", "rejected", "not a dead letter", "gone", "discarded"]
            .iter()
            .any(|end| told.starts_with(end))
    };
    let left = fates.all.iter().filter(|(_, told)| !done(told)).count();
    if left > 0 && !dry_run {
        bail!("{left} of {} are still dead letters", fates.all.len());
    }
    Ok(())
}
