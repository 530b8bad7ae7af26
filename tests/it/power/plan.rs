//! Chooses the power cuts of a recorded run, and opens the folders that they leave.

use std::sync::{Arc, Mutex};

use fastrand::Rng;

use super::cut::{Model, PowerCut, disk_after};
use super::disk::Change;
use super::recording::Recording;
use super::survivors::{Examination, KnownToClients, Loss, LossKind, examine};

/// The number of states that are examined concurrently.
const OPENERS: usize = 2;

/// The number of power cuts, and how thoroughly the resulting states are examined.
pub(super) struct CutPlan<'a> {
    /// The disk models. The power cuts use these models in turn.
    pub(super) models: &'a [Model],
    pub(super) states: usize,
    pub(super) examination: Examination,
    /// The examination of one in five states, which is more thorough and takes longer.
    pub(super) closer: Examination,
}

impl CutPlan<'_> {
    /// Chooses the cuts. Each cut is next to a sync, an answer or a change of a folder. If possible, a quarter of
    /// the cuts are before the first answer.
    fn cuts(&self, recording: &Recording) -> Vec<PowerCut> {
        let lines = lines(recording);
        let served = recording.facts.iter().map(|(line, _)| *line).find(|line| *line > 0).unwrap_or_default();
        let (starting, serving): (Vec<usize>, Vec<usize>) =
            lines.into_iter().partition(|line| *line <= served);
        let mut rng = Rng::with_seed(number_from_environment("ORDERS_POWER_SEED", 1) as u64);
        let some = |number| {
            let early = number % 4 == 0 && !starting.is_empty();
            let lines = if early { &starting } else { &serving };
            let model = self.models[number % self.models.len()];
            PowerCut { line: lines[rng.usize(..lines.len())], model, seed: rng.u64(..) }
        };
        (0..number_from_environment("ORDERS_POWER_STATES", self.states)).map(some).collect()
    }

    /// Opens the folders that the cuts leave. Returns the cuts that lose something.
    pub(super) async fn losses(&self, recording: &Arc<Recording>) -> Vec<(PowerCut, Loss)> {
        let queue = Arc::new(Mutex::new(self.cuts(recording).into_iter().enumerate()));
        let (examination, closer) = (self.examination, self.closer);
        let openers = (0..OPENERS).map(|_| {
            let (recording, queue) = (Arc::clone(recording), Arc::clone(&queue));
            tokio::spawn(async move {
                let mut losses = Vec::new();
                loop {
                    let Some((number, at)) = queue.lock().unwrap().next() else { return losses };
                    let known = KnownToClients::before(&recording, at.line);
                    let disk = disk_after(&recording, at);
                    let examination = if number % 5 == 0 { closer } else { examination };
                    let result = examine(&disk, &known, examination).await;
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

    /// Asserts that no cut loses anything.
    pub(super) async fn nothing_is_lost(&self, recording: Recording) {
        let losses = self.losses(&Arc::new(recording)).await;
        let shown = losses
            .iter()
            .take(number_from_environment("ORDERS_POWER_SHOWN", 5))
            .map(|(cut, Loss { kind, what })| format!("\n{kind:?} by {cut:?}: {what}"));
        assert!(
            losses.is_empty(),
            "{} power cuts lose something:{}",
            losses.len(),
            shown.collect::<String>()
        );
    }

    /// Asserts that after at least one power cut, the folder can be opened but lacks an acknowledged event.
    pub(super) async fn something_is_lost(&self, recording: Recording) {
        let losses = self.losses(&Arc::new(recording)).await;
        let kinds: Vec<_> = losses.iter().map(|(_, loss)| loss.kind).collect();
        assert!(kinds.contains(&LossKind::Acknowledged), "no cut loses an acknowledged event: {kinds:?}");
    }
}

fn lines(recording: &Recording) -> Vec<usize> {
    let mut lines: Vec<usize> = recording.facts.iter().map(|(line, _)| line + 1).collect();
    for operation in &recording.operations {
        match operation.change {
            // A power cut just before the end of a sync can lose the most data.
            Change::Sync { .. } => lines.extend([operation.end, operation.end + 1]),
            Change::Link { .. } | Change::Resize { .. } => lines.push(operation.end + 1),
            Change::Write { .. } | Change::FailedSync { .. } => {}
        }
    }
    lines.push(recording.lines);
    lines.sort_unstable();
    lines
}

/// A number from an environment variable, so that a run can examine more states or different ones.
pub(super) fn number_from_environment(variable: &str, default: usize) -> usize {
    let value = std::env::var(variable).ok();
    value.map_or(default, |value| {
        value.parse().unwrap_or_else(|_| panic!("{variable} is not a number: {value}"))
    })
}
