//! Where the power fails, and how the states are opened.

use std::sync::{Arc, Mutex};

use fastrand::Rng;

use super::cut::{Cut, Model, cut};
use super::disk::What;
use super::recording::Recording;
use super::survivors::{Kind, Look, Loss, Told, examine};

/// How many states are opened at the same time.
const OPENERS: usize = 2;

/// So many power cuts of a recorded run, in these models in turn.
pub(super) struct Plan<'a> {
    pub(super) models: &'a [Model],
    pub(super) states: usize,
    /// How most states are looked at; every fifth is looked at closely.
    pub(super) look: Look,
    pub(super) close_look: Look,
}

impl Plan<'_> {
    /// Cuts at syncs, at answers and at changes of folders; a quarter of them before the first answer, if there is
    /// anything to cut.
    fn cuts(&self, recording: &Recording) -> Vec<Cut> {
        let lines = lines(recording);
        let served = recording.facts.iter().map(|(line, _)| *line).find(|line| *line > 0).unwrap_or_default();
        let (starting, serving): (Vec<usize>, Vec<usize>) =
            lines.into_iter().partition(|line| *line <= served);
        let mut rng = Rng::with_seed(number("ORDERS_POWER_SEED", 1) as u64);
        let some = |number| {
            let early = number % 4 == 0 && !starting.is_empty();
            let lines = if early { &starting } else { &serving };
            let model = self.models[number % self.models.len()];
            Cut { line: lines[rng.usize(..lines.len())], model, seed: rng.u64(..) }
        };
        (0..number("ORDERS_POWER_STATES", self.states)).map(some).collect()
    }

    /// Opens what the cuts leave; gives those that lose something.
    pub(super) async fn losses(&self, recording: &Arc<Recording>) -> Vec<(Cut, Loss)> {
        let queue = Arc::new(Mutex::new(self.cuts(recording).into_iter().enumerate()));
        let (look, close_look) = (self.look, self.close_look);
        let openers = (0..OPENERS).map(|_| {
            let (recording, queue) = (Arc::clone(recording), Arc::clone(&queue));
            tokio::spawn(async move {
                let mut losses = Vec::new();
                loop {
                    let Some((number, at)) = queue.lock().unwrap().next() else { return losses };
                    let told = Told::before(&recording, at.line);
                    let disk = cut(&recording, at);
                    let result = examine(&disk, &told, if number % 5 == 0 { close_look } else { look }).await;
                    losses.extend(result.err().map(|loss| {
                        (at, Loss { what: format!("{}\n{}", loss.what, disk.listing()), ..loss })
                    }));
                }
            })
        });
        let mut all = Vec::new();
        for opener in openers.collect::<Vec<_>>() {
            all.extend(opener.await.unwrap());
        }
        all
    }

    /// No cut may lose anything.
    pub(super) async fn nothing_is_lost(&self, recording: Recording) {
        let losses = self.losses(&Arc::new(recording)).await;
        let shown = losses
            .iter()
            .take(number("ORDERS_POWER_SHOWN", 5))
            .map(|(cut, Loss { kind, what })| format!("\n{kind:?} by {cut:?}: {what}"));
        assert!(
            losses.is_empty(),
            "{} power cuts lose something:{}",
            losses.len(),
            shown.collect::<String>()
        );
    }

    /// Some cut must lose an event that was acknowledged, in a folder that opens.
    pub(super) async fn something_is_lost(&self, recording: Recording) {
        let losses = self.losses(&Arc::new(recording)).await;
        let kinds: Vec<_> = losses.iter().map(|(_, loss)| loss.kind).collect();
        assert!(kinds.contains(&Kind::Acknowledged), "nothing acknowledged is lost: {kinds:?}");
    }
}

fn lines(recording: &Recording) -> Vec<usize> {
    let mut lines: Vec<usize> = recording.facts.iter().map(|(line, _)| line + 1).collect();
    for operation in &recording.operations {
        match operation.what {
            // The most is lost just before a sync ends.
            What::Sync { .. } => lines.extend([operation.end, operation.end + 1]),
            What::Link { .. } | What::Resize { .. } => lines.push(operation.end + 1),
            What::Write { .. } | What::Failed { .. } => {}
        }
    }
    lines.push(recording.lines);
    lines.sort_unstable();
    lines
}

/// A number from the environment, to run more states, or others.
pub(super) fn number(variable: &str, default: usize) -> usize {
    let value = std::env::var(variable).ok();
    value
        .map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("{variable} is no number: {value}")))
}
