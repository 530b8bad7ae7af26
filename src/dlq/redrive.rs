//! Implements `orders dlq redrive`. It sends dead letters back to the queue and waits for their outcomes. Meanwhile,
//! later events of the same orders may be parked. A further round sends those events too.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use clap::{ArgGroup, Args};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};

use super::FilterArgs;
use super::api::{DeadLetterSummary, RedrivePage, RedrivenDeadLetter, dead_letter_path};
use crate::api_client::{ApiClient, ApiClientArgs, segment};

/// How often we poll for outcomes.
const POLL_EVERY: Duration = Duration::from_millis(200);
/// The maximum number of rounds. Each round sends the dead letters that were parked while the events of the previous
/// round were in flight. A round in which a parked sequence was too long for one request does not count, because the
/// next round sends the rest of the sequence.
const ROUNDS: usize = 10;
/// The arguments that select dead letters. At least one is required, so that a bare `redrive` does not send everything
/// by accident.
const SELECTION: [&str; 6] = ["ids", "order", "reason", "from", "before", "all"];
/// The status of a dead letter that the service no longer has, and whose event has no receipt.
const GONE: &str = "no longer a dead letter";

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("selection").args(SELECTION).required(true).multiple(true))]
pub(crate) struct RedriveArgs {
    #[command(flatten)]
    client: ApiClientArgs,
    /// Redrive these dead letters, with the parked sequences that they belong to.
    ids: Vec<String>,
    #[command(flatten)]
    filter: FilterArgs,
    /// Redrive all dead letters.
    #[arg(long)]
    all: bool,
    /// Send nothing; only show the expected result for each dead letter.
    #[arg(long)]
    dry_run: bool,
    /// How many seconds to wait for outcomes.
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    wait: u64,
}

/// The latest status of one dead letter, as we print it.
#[derive(Debug, Clone)]
struct LetterStatus {
    text: String,
    /// Whether the dead letter is resolved: it was removed, or an operator has discarded it.
    is_done: bool,
    /// Whether the redrive ended with the event being parked again.
    is_parked_again: bool,
}

impl LetterStatus {
    fn done(text: String) -> Self {
        Self { text, is_done: true, is_parked_again: false }
    }

    fn not_done(text: String) -> Self {
        Self { text, is_done: false, is_parked_again: false }
    }

    fn of_answer(letter: &RedrivenDeadLetter) -> Self {
        let is_done = ["gone", "discarded"].contains(&letter.redrive.result.as_str());
        Self { text: letter.redrive.describe(), is_done, is_parked_again: false }
    }

    fn of_receipt(receipt: &Value) -> Self {
        let text = |name: &str| receipt[name].as_str().unwrap_or_default();
        match text("state") {
            "recorded" => Self::done(format!("recorded as version {}", receipt["version"])),
            "rejected" => Self::done(format!("rejected: {}", text("detail"))),
            state => Self::not_done(format!("{state}: {}", text("detail"))),
        }
    }
}

/// All dead letters of this redrive with their latest status, in the order of the service's answers.
#[derive(Default)]
struct RedriveOutcomes {
    letters: Vec<(RedrivenDeadLetter, LetterStatus)>,
    /// The index in `letters` of each dead letter, by its id.
    places: HashMap<String, usize>,
}

impl RedriveOutcomes {
    fn set(&mut self, letter: &RedrivenDeadLetter, status: LetterStatus) {
        match self.places.get(&letter.id) {
            Some(place) => self.letters[*place].1 = status,
            None => {
                self.places.insert(letter.id.clone(), self.letters.len());
                self.letters.push((letter.clone(), status));
            }
        }
    }
}

pub(super) async fn redrive(args: &RedriveArgs) -> anyhow::Result<()> {
    let client = ApiClient::new(&args.client)?;
    let selection = selection(args)?;
    let style = ProgressStyle::with_template("{bar:40} {pos} of {len} dead letters, {msg}")?;
    let bar = ProgressBar::new(0).with_style(style);
    let mut outcomes = RedriveOutcomes::default();
    let (mut rounds, mut is_cut) = (0, false);
    while rounds < ROUNDS {
        let round = send_round(&client, &selection, args.dry_run, &bar).await?;
        is_cut = round.is_cut;
        rounds += usize::from(!is_cut);
        let until = Instant::now() + Duration::from_secs(args.wait);
        round.letters.iter().for_each(|letter| outcomes.set(letter, LetterStatus::of_answer(letter)));
        let letters = round.letters.into_iter();
        let sent: Vec<_> = letters.filter(|letter| letter.redrive.result == "sent").collect();
        if sent.is_empty() {
            break;
        }
        let all_settled = wait_for_outcomes(&client, &sent, until, &bar, &mut outcomes).await?;
        // Another round helps only if events were parked because they followed the dead letters of this round. If a
        // dead letter of this round was parked again, another round would only park it once more.
        if !all_settled || outcomes.letters.iter().any(|(_, status)| status.is_parked_again) {
            break;
        }
    }
    bar.finish_and_clear();
    report(&outcomes, args.dry_run)?;
    if is_cut {
        crate::print(
            "… and more: the rest of these parked sequences can be sent once their first dead letters are resolved",
        )?;
    }
    Ok(())
}

/// The result of one round, which sends the whole selection once.
#[derive(Default)]
struct RedriveRound {
    letters: Vec<RedrivenDeadLetter>,
    /// Whether a parked sequence has more dead letters than one request can redrive.
    is_cut: bool,
}

/// The selection, as members of the request's body.
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
    ensure!(args.ids.len() <= 100, "give at most 100 ids, or use a filter");
    Ok(selection)
}

/// Requests the redrive of the whole selection, over as many pages as necessary.
async fn send_round(
    client: &ApiClient,
    selection: &Map<String, Value>,
    dry_run: bool,
    bar: &ProgressBar,
) -> anyhow::Result<RedriveRound> {
    let (mut round, mut seen) = (RedriveRound::default(), HashSet::new());
    let mut request = selection.clone();
    request.insert("dry_run".to_owned(), json!(dry_run));
    loop {
        let page: RedrivePage = client.post("/v1/dead-letters/redrive", &json!(request)).await?;
        round.letters.extend(page.items.into_iter().filter(|letter| seen.insert(letter.id.clone())));
        round.is_cut |= page.sequences_cut;
        bar.set_length(round.letters.len() as u64);
        let counts: Vec<_> = page.counts.iter().map(|(result, count)| format!("{count} {result}")).collect();
        bar.set_message(counts.join(", "));
        match page.next_cursor {
            Some(cursor) => drop(request.insert("cursor".to_owned(), json!(cursor))),
            None => return Ok(round),
        }
    }
}

/// Waits until every dead letter that was sent has an outcome. Returns `false` if time runs out first.
async fn wait_for_outcomes(
    client: &ApiClient,
    sent: &[RedrivenDeadLetter],
    until: Instant,
    bar: &ProgressBar,
    outcomes: &mut RedriveOutcomes,
) -> anyhow::Result<bool> {
    let mut pending: Vec<&RedrivenDeadLetter> = sent.iter().collect();
    bar.set_length(sent.len() as u64);
    loop {
        let mut still_pending = Vec::new();
        for letter in pending {
            match outcome(client, letter).await? {
                Some(status) => outcomes.set(letter, status),
                None => still_pending.push(letter),
            }
            bar.set_position((sent.len() - still_pending.len()) as u64);
        }
        pending = still_pending;
        if pending.is_empty() {
            return Ok(true);
        }
        bar.set_message(format!("{} in flight", pending.len()));
        if Instant::now() >= until {
            for letter in pending {
                outcomes.set(letter, LetterStatus::not_done("in flight".to_owned()));
            }
            return Ok(false);
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
}

/// The outcome of a dead letter that was sent, or `None` while it is in flight.
async fn outcome(client: &ApiClient, letter: &RedrivenDeadLetter) -> anyhow::Result<Option<LetterStatus>> {
    let found: Option<DeadLetterSummary> = client.find(&dead_letter_path(&letter.id)?).await?;
    if let Some(found) = found {
        let again = LetterStatus {
            text: format!("parked again: {}", found.detail),
            is_done: false,
            is_parked_again: true,
        };
        return Ok((found.state == "parked").then_some(again));
    }
    let (Some(order), Some(event)) = (&letter.order_id, &letter.event_id) else {
        return Ok(Some(LetterStatus::done(GONE.to_owned())));
    };
    let path = format!("/v1/orders/{}/events/{}", segment(order), segment(event));
    let receipt: Option<Value> = client.find(&path).await?;
    let status =
        receipt.map_or_else(|| LetterStatus::done(GONE.to_owned()), |it| LetterStatus::of_receipt(&it));
    Ok(Some(status))
}

fn report(outcomes: &RedriveOutcomes, dry_run: bool) -> anyhow::Result<()> {
    if outcomes.letters.is_empty() {
        return crate::print("no dead letters are selected");
    }
    for (letter, status) in &outcomes.letters {
        let order = letter.order_id.as_deref().unwrap_or("-");
        let kind = letter.event_type.as_deref().unwrap_or("-");
        super::print_untrusted(&format!("{}  {order}  {kind}  {}", letter.id, status.text))?;
    }
    let left = outcomes.letters.iter().filter(|(_, status)| !status.is_done).count();
    if left > 0 && !dry_run {
        bail!("{left} of {} are still dead letters", outcomes.letters.len());
    }
    Ok(())
}
