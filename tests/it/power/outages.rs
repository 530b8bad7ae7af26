//! No power cut, at any point of a run, loses what was answered; and where syncs do nothing, some do.

use std::path::Path;

use tempfile::TempDir;

use super::cut::{Cut, MODELS, Model, cut};
use super::load::{drive, fill, fill_and_look};
use super::plan::Plan;
use super::recording::Recording;
use super::strace::Traced;
use super::survivors::{Look, folder};
use crate::support::service::Service;

/// So that there is time, on any disk, to be shown what is not synced yet.
const SLOW_DISK: &str = "fdatasync:delay_enter=5000";
/// A disk that forgets.
const NO_SYNC: &str = "fsync,fdatasync:retval=0";

pub(super) const PLAN: Plan<'_> =
    Plan { models: &MODELS, states: 250, look: Look::Log, close_look: Look::Everything };

/// How a recorded run ends.
pub(super) enum End {
    CleanStop,
    Killed,
    /// By itself.
    Failure,
}

/// Adds one run of the service on the folder `data` of the recorded one.
pub(super) async fn add_run(
    recording: &mut Recording,
    arguments: &[&str],
    injections: &[&str],
    end: End,
    load: impl AsyncFnOnce(&Service),
) {
    let log = TempDir::new().unwrap();
    let data = recording.root.join("data");
    let mut run = Traced::start(&data, &log.path().join("trace"), arguments, injections);
    load(&run.service).await;
    match end {
        End::CleanStop => assert!(run.service.terminate().success()),
        End::Killed => run.service.kill(),
        End::Failure => assert_eq!(run.service.wait().code(), Some(1)),
    }
    recording.add(&run.calls());
}

/// A first start, some load, a clean stop; a second start, some load, and `kill -9`.
async fn two_runs(root: &Path, arguments: &[&str], injections: &[&str]) -> Recording {
    let mut recording = Recording::new(root);
    let load = async |service: &Service| drive(service, 12).await;
    add_run(&mut recording, arguments, injections, End::CleanStop, load).await;
    let load = async |service: &Service| drive(service, 3).await;
    add_run(&mut recording, arguments, injections, End::Killed, load).await;
    recording
}

#[tokio::test(flavor = "multi_thread")]
async fn no_power_cut_loses_what_was_answered() {
    let root = folder();
    PLAN.nothing_is_lost(two_runs(root.path(), &[], &[SLOW_DISK]).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_power_cut_loses_what_was_answered_where_everything_goes_by_the_queue() {
    let root = folder();
    let recording = two_runs(root.path(), &["--always-queue"], &[SLOW_DISK]).await;
    Plan { states: 120, ..PLAN }.nothing_is_lost(recording).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_power_cut_loses_what_was_answered_while_journals_are_rotated_and_tables_written() {
    let root = folder();
    let data = root.path().join("data");
    // A journal is rotated when it has 64 MB; that much need not be recorded.
    let mut service = Service::start(&data, &[]);
    let early = fill(&service, &data, 61 << 20).await;
    assert!(service.terminate().success());
    let mut recording = Recording::new(root.path());
    recording.know(&early);
    let load = async |service: &Service| fill_and_look(service, || data.join("store/1.jnl").exists()).await;
    add_run(&mut recording, &[], &[SLOW_DISK], End::Killed, load).await;
    // With the second start, the full journal goes to tables, and is removed.
    let load = async |service: &Service| fill_and_look(service, || !data.join("store/0.jnl").exists()).await;
    add_run(&mut recording, &[], &[SLOW_DISK], End::Killed, load).await;
    let plan = Plan { states: 60, look: Look::Service, close_look: Look::Service, ..PLAN };
    plan.nothing_is_lost(recording).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_second_power_cut_loses_what_was_answered_before_the_first() {
    let root = folder();
    let first = two_runs(root.path(), &[], &[SLOW_DISK]).await;
    for seed in 0..3 {
        let torn = Cut { line: first.lines - 40 * (1 + seed as usize), model: Model::Torn, seed };
        let root = folder();
        cut(&first, torn).write_to(root.path());
        let mut recording = Recording::new(root.path());
        recording.know(&first.facts_before(torn.line));
        let load = async |service: &Service| drive(service, 2).await;
        add_run(&mut recording, &[], &[SLOW_DISK], End::Killed, load).await;
        Plan { states: 20, ..PLAN }.nothing_is_lost(recording).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_syncs_do_nothing_power_cuts_lose_what_was_acknowledged() {
    let root = folder();
    let recording = two_runs(root.path(), &[], &[NO_SYNC]).await;
    Plan { models: &MODELS, states: 50, ..PLAN }.something_is_lost(recording).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_syncs_of_folders_do_nothing_power_cuts_lose_what_was_acknowledged() {
    let root = folder();
    let recording = two_runs(root.path(), &[], &[]).await.without_syncs_of_folders();
    Plan { models: &[Model::Strict], states: 10, ..PLAN }.something_is_lost(recording).await;
}
