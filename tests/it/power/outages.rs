//! Tests that power cuts at any point of a run lose nothing that was answered. A further test disables syncs,
//! so that power cuts do lose data. The further test shows that the other tests can fail.

use std::path::Path;

use tempfile::TempDir;

use super::cut::{MODELS, Model, PowerCut, disk_after};
use super::load::{drive, fill, fill_and_look};
use super::plan::CutPlan;
use super::recording::Recording;
use super::strace::Traced;
use super::survivors::{Examination, folder};
use crate::support::service::Service;

/// Slows down each sync. If the service returned unsynced data to readers, a test would notice that on any disk.
const SLOW_DISK: &str = "fdatasync:delay_enter=5000";
/// Makes syncs do nothing.
const NO_SYNC: &str = "fsync,fdatasync:retval=0";

pub(super) const PLAN: CutPlan<'_> =
    CutPlan { models: &MODELS, states: 250, examination: Examination::Log, closer: Examination::Everything };

/// How a recorded run ends.
pub(super) enum RunEnd {
    CleanStop,
    Killed,
    /// The process exits with an error.
    Failure,
}

/// Adds one run of the service on the folder `data` to the recording.
pub(super) async fn add_run(
    recording: &mut Recording,
    arguments: &[&str],
    injections: &[&str],
    end: RunEnd,
    load: impl AsyncFnOnce(&Service),
) {
    let log = TempDir::new().unwrap();
    let data = recording.root.join("data");
    let mut run = Traced::start(&data, &log.path().join("trace"), arguments, injections);
    load(&run.service).await;
    match end {
        RunEnd::CleanStop => assert!(run.service.terminate().success()),
        RunEnd::Killed => run.service.kill(),
        RunEnd::Failure => assert_eq!(run.service.wait().code(), Some(1)),
    }
    recording.add(&run.calls());
}

/// Records a first start, some load and a clean stop, then a second start, some load and `kill -9`.
async fn two_runs(root: &Path, arguments: &[&str], injections: &[&str]) -> Recording {
    let mut recording = Recording::new(root);
    let load = async |service: &Service| drive(service, 12).await;
    add_run(&mut recording, arguments, injections, RunEnd::CleanStop, load).await;
    let load = async |service: &Service| drive(service, 3).await;
    add_run(&mut recording, arguments, injections, RunEnd::Killed, load).await;
    recording
}

#[tokio::test(flavor = "multi_thread")]
async fn no_power_cut_loses_what_was_answered() {
    let root = folder();
    PLAN.nothing_is_lost(two_runs(root.path(), &[], &[SLOW_DISK]).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_power_cut_loses_what_was_answered_if_every_event_is_queued() {
    let root = folder();
    let recording = two_runs(root.path(), &["--always-queue"], &[SLOW_DISK]).await;
    CutPlan { states: 120, ..PLAN }.nothing_is_lost(recording).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_power_cut_during_journal_rotation_and_table_writes_loses_what_was_answered() {
    let root = folder();
    let data = root.path().join("data");
    // The service rotates a journal at 64 MB. Most of the writes before that point need not be recorded.
    let mut service = Service::start(&data, &[]);
    let early = fill(&service, &data, 61 << 20).await;
    assert!(service.terminate().success());
    let mut recording = Recording::new(root.path());
    recording.add_earlier_facts(&early);
    let load = async |service: &Service| fill_and_look(service, || data.join("store/1.jnl").exists()).await;
    add_run(&mut recording, &[], &[SLOW_DISK], RunEnd::Killed, load).await;
    // After the second start, the service moves the content of the full journal to tables, and removes the journal.
    let load = async |service: &Service| fill_and_look(service, || !data.join("store/0.jnl").exists()).await;
    add_run(&mut recording, &[], &[SLOW_DISK], RunEnd::Killed, load).await;
    let plan =
        CutPlan { states: 60, examination: Examination::Service, closer: Examination::Service, ..PLAN };
    plan.nothing_is_lost(recording).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_second_power_cut_loses_what_was_answered_before_the_first() {
    let root = folder();
    let first = two_runs(root.path(), &[], &[SLOW_DISK]).await;
    for seed in 0..3 {
        let torn = PowerCut { line: first.lines - 40 * (1 + seed as usize), model: Model::Torn, seed };
        let root = folder();
        disk_after(&first, torn).write_to(root.path());
        let mut recording = Recording::new(root.path());
        recording.add_earlier_facts(&first.facts_before(torn.line));
        let load = async |service: &Service| drive(service, 2).await;
        add_run(&mut recording, &[], &[SLOW_DISK], RunEnd::Killed, load).await;
        CutPlan { states: 20, ..PLAN }.nothing_is_lost(recording).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn if_syncs_do_nothing_power_cuts_lose_acknowledged_events() {
    let root = folder();
    let recording = two_runs(root.path(), &[], &[NO_SYNC]).await;
    CutPlan { models: &MODELS, states: 50, ..PLAN }.something_is_lost(recording).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn if_syncs_of_folders_do_nothing_power_cuts_lose_acknowledged_events() {
    let root = folder();
    let recording = two_runs(root.path(), &[], &[]).await.without_syncs_of_folders();
    CutPlan { models: &[Model::Strict], states: 10, ..PLAN }.something_is_lost(recording).await;
}
