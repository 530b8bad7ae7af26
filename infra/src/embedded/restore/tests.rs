//! Tests restores of a small engine: to the end of the backup, to earlier moments, with finished messages and dead
//! letters, and after damage and interruptions.

mod backup;
mod finished;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use api::ports::EventPublisher;
use domain::{DeadLetter, Envelope, ParkReason};
use tempfile::TempDir;
use tokio::runtime::Handle;

use super::*;
use crate::backup::verify::check_files;
use crate::embedded::maintenance::RebuildOptions;
use crate::embedded::store::feed::decode::{FeedItem, FeedRow};
use crate::embedded::store::keys;
use crate::embedded::store::keyspaces::{self, NAMES};
use crate::embedded::testing::{confirmed, created, eur, open_inline, options};
use crate::embedded::{Embedded, Incoming, Options};
use backup::{back_up, order_id};

const OPTIONS: fn() -> RestoreOptions =
    || RestoreOptions { until: Until::End, queue: QueuedMessages::Again, default_currency: eur() };

async fn publish(engine: &Embedded, events: &[Envelope]) {
    for result in engine.publish(events).await {
        result.unwrap();
    }
}

fn reopen(folder: &TempDir, engine: Embedded, inline: bool) -> Embedded {
    drop(engine);
    Embedded::open(folder.path(), Options { inline, ..options() }).unwrap()
}

async fn run(source: &Target, path: &Path, options: RestoreOptions) -> Result<RestoreReport, RestoreError> {
    run_listing(source, path, options).await.map(|(report, _)| report)
}

/// Restores a backup on a blocking thread. Also returns the listed messages.
async fn run_listing(
    source: &Target,
    path: &Path,
    options: RestoreOptions,
) -> Result<(RestoreReport, Vec<serde_json::Value>), RestoreError> {
    let (runtime, source, path) = (Handle::current(), source.clone(), path.to_owned());
    let work = move || {
        let mut listed = Vec::new();
        let mut list = |line: &[u8]| {
            listed.push(serde_json::from_slice(line).unwrap());
            Ok(())
        };
        restore(&runtime, &source, &path, options, &mut list, &|_| ControlFlow::Continue(()))
            .map(|report| (report, listed))
    };
    tokio::task::spawn_blocking(work).await.unwrap()
}

/// The data that is equal in two folders with the same history: the rows of all keyspaces except the feed, and each
/// position of the feed with its time. The positions may be split differently into rows of the feed.
fn comparable(engine: &Embedded) -> BTreeMap<&'static str, BTreeMap<Vec<u8>, Vec<u8>>> {
    let keys = &engine.store().keys;
    let mut all = BTreeMap::new();
    for (name, keyspace) in NAMES.into_iter().zip(keys.all()) {
        let rows = keyspace.iter().map(|row| row.into_inner().unwrap());
        let rows: BTreeMap<Vec<u8>, Vec<u8>> =
            rows.map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
        all.insert(name, rows);
    }
    let feed = all.remove("feed").unwrap();
    let mut positions = BTreeMap::new();
    for (key, value) in &feed {
        let row = FeedRow::decode(key, value).unwrap();
        for item in row.items() {
            let item = item.unwrap();
            let text = match item {
                FeedItem::Event(event) => format!("{} {event:?}", row.time),
                FeedItem::Lost { position, .. } => format!("{} lost from {position}", row.time),
            };
            positions.insert(item.last_position().to_be_bytes().to_vec(), text.into_bytes());
        }
    }
    all.insert("feed", positions);
    let own = [keyspaces::FOLDER, keyspaces::LEDGER, keyspaces::NEXT_SEQ];
    all.get_mut("meta").unwrap().retain(|key, _| own.contains(&key.as_slice()));
    all
}

#[track_caller]
fn assert_same(found: &Embedded, expected: &Embedded) {
    let (found, expected) = (comparable(found), comparable(expected));
    for (name, rows) in &expected {
        let text = |rows: &BTreeMap<Vec<u8>, Vec<u8>>| {
            let rows = rows.iter();
            let rows = rows.map(|(k, v)| format!("{} = {}", k.escape_ascii(), v.escape_ascii()));
            rows.collect::<Vec<_>>().join("\n")
        };
        assert!(found[name] == *rows, "{name}:\n{}\nexpected\n{}", text(&found[name]), text(rows));
    }
}

async fn assert_consistent(engine: &Embedded) {
    let options = RebuildOptions { check_only: true, ..RebuildOptions::default() };
    let found = engine.rebuild(options, &|_| ()).await.unwrap();
    assert_eq!((found.differences.count, found.broken.count, found.orphans.count), (0, 0, 0), "{found:?}");
}

fn letter(number: u128, event: &Envelope) -> Incoming {
    let letter = DeadLetter::new(
        format!("l-{number}"),
        event.encode(),
        ParkReason::TriesExhausted,
        "failed".to_owned(),
        crate::now(),
    );
    Incoming { from: letter.id.clone(), letter, names_itself: true }
}

/// An engine with 20 orders, some confirmed, two dead letters, and three queued messages.
async fn filled() -> (TempDir, Embedded) {
    let (folder, engine) = open_inline();
    for number in 0..20 {
        publish(&engine, &[created(order_id(number).as_str())]).await;
    }
    let all: Vec<_> =
        (0..10).map(|number| confirmed(order_id(number).as_str(), number as u128 + 1)).collect();
    publish(&engine, &all).await;
    let letters = vec![letter(1, &confirmed("o-011", 11)), letter(2, &confirmed("o-011", 12))];
    engine.import(letters, &|_| ()).await.unwrap();
    let engine = reopen(&folder, engine, false);
    publish(&engine, &[created("q-1"), created("q-2"), confirmed("o-012", 13)]).await;
    (folder, engine)
}

fn target() -> (TempDir, Target) {
    let folder = TempDir::new().unwrap();
    let target = Target::parse(folder.path().join("backup").to_str().unwrap()).unwrap();
    (folder, target)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_restored_to_the_end_equals_its_source() {
    let (_source, engine) = filled().await;
    let (_folder, target) = target();
    let manifest = back_up(&engine, &target).await;
    let place = TempDir::new().unwrap();
    let report = run(&target, place.path(), OPTIONS()).await.unwrap();
    assert_eq!((report.position, report.events, report.orders), (30, 30, 20));
    assert_eq!((report.queued, report.dead_letters, report.hash), (3, 2, manifest.hash));
    assert_eq!(report.ledger, manifest.folder.ledger);
    let restored = Embedded::open(place.path(), options()).unwrap();
    assert_same(&restored, &engine);
    assert_consistent(&restored).await;
    // The restored folder continues the backup, with later commits.
    assert!(restored.store().view().commit > manifest.folder.commit);
    let names: Vec<_> = fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name == "restoring"), "{names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_position_and_each_time_restores_exactly_the_events_up_to_it() {
    let (_source, engine) = filled().await;
    let (_folder, target) = target();
    back_up(&engine, &target).await;
    let feed = &comparable(&engine)["feed"];
    let time_of = |position: u64| {
        let text = String::from_utf8(feed[&position.to_be_bytes().to_vec()].clone()).unwrap();
        text.split(' ').next().unwrap().parse::<i64>().unwrap()
    };
    for position in [1, 7, 8, 21, 30] {
        let place = TempDir::new().unwrap();
        let report =
            run(&target, place.path(), RestoreOptions { until: Until::Position(position), ..OPTIONS() });
        assert_eq!(report.await.unwrap().events, position);
        let restored = Embedded::open(place.path(), options()).unwrap();
        let found = comparable(&restored);
        let expected: BTreeMap<_, _> = feed.range(..=position.to_be_bytes().to_vec()).collect();
        assert!(found["feed"].iter().eq(expected), "{position}");
        assert_eq!(found["log"].len() as u64, position);
        assert_consistent(&restored).await;
        // Several events can have one time, so a restore to a time can end at a later position.
        let time = Timestamp::from_micros(time_of(position)).unwrap();
        let place = TempDir::new().unwrap();
        let report = run(&target, place.path(), RestoreOptions { until: Until::Time(time), ..OPTIONS() });
        let report = report.await.unwrap();
        let last = (1..=30).rfind(|other| time_of(*other) == time_of(position)).unwrap();
        assert_eq!((report.position, report.newest_event), (last, Some(time)));
    }
    let early = Timestamp::from_micros(time_of(1) - 1).unwrap();
    let place = TempDir::new().unwrap();
    let error = run(&target, place.path(), RestoreOptions { until: Until::Time(early), ..OPTIONS() }).await;
    assert!(matches!(error, Err(RestoreError::BeforeBegin { .. })), "{error:?}");
    let error = run(&target, place.path(), RestoreOptions { until: Until::Position(31), ..OPTIONS() }).await;
    assert!(matches!(error, Err(RestoreError::AfterEnd { asked: 31, end: 30 })), "{error:?}");
    let later = RestoreOptions { until: Until::Time(backup::after_now()), ..OPTIONS() };
    assert_eq!(run(&target, place.path(), later).await.unwrap().queued, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_positions_keep_their_places() {
    let (_source, engine) = filled().await;
    let keys = &engine.store().keys;
    let (key, row) = keys.feed.iter().nth(4).unwrap().into_inner().unwrap();
    let time = FeedRow::decode(&key, &row).unwrap().time;
    let lost = crate::embedded::store::feed::encode::lost_row(time, 1);
    let first = keys::log_key(&order_id(4), 1);
    keys.feed.insert(key, lost).unwrap();
    keys.log.remove(first).unwrap();
    let (_folder, target) = target();
    back_up(&engine, &target).await;
    let place = TempDir::new().unwrap();
    let until = Until::Position(20);
    let report = run(&target, place.path(), RestoreOptions { until, ..OPTIONS() }).await.unwrap();
    assert_eq!((report.position, report.events), (20, 19));
    let restored = Embedded::open(place.path(), options()).unwrap();
    let text = &comparable(&restored)["feed"][&5u64.to_be_bytes().to_vec()];
    assert!(text.ends_with(b"lost from 5"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listed_queue_is_not_queued_again() {
    let (_source, engine) = filled().await;
    let (_folder, target) = target();
    back_up(&engine, &target).await;
    let place = TempDir::new().unwrap();
    let options_of_restore = RestoreOptions { queue: QueuedMessages::List, ..OPTIONS() };
    let (report, listed) = run_listing(&target, place.path(), options_of_restore).await.unwrap();
    assert_eq!((report.queued, report.listed, report.ledger.missing()), (0, 3, 0));
    let groups: Vec<_> = listed.iter().map(|message| message["group"].as_str().unwrap()).collect();
    assert_eq!(groups, ["q-1", "q-2", "o-012"]);
    assert_eq!(listed[0]["body"]["type"], "order_created");
    let restored = Embedded::open(place.path(), options()).unwrap();
    assert_eq!(restored.queue_depth(), 0);
    assert_consistent(&restored).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_with_content_is_refused_and_an_incomplete_restore_is_replaced() {
    let (_source, engine) = filled().await;
    let (_folder, target) = target();
    back_up(&engine, &target).await;
    let place = TempDir::new().unwrap();
    fs::write(place.path().join("thesis.txt"), "years of work").unwrap();
    let error = run(&target, place.path(), OPTIONS()).await.unwrap_err();
    assert!(matches!(&error, RestoreError::NotEmpty { found, .. } if found == "thesis.txt"), "{error}");
    fs::remove_file(place.path().join("thesis.txt")).unwrap();

    // Makes each state in which a killed restore can leave the folder.
    for moved in [&[][..], &["store"], &["store", "EXTENT"]] {
        fs::create_dir(place.path().join("restoring")).unwrap();
        fs::write(place.path().join("restoring/FORMAT"), "orders data folder, format 6\n").unwrap();
        for part in moved {
            fs::write(place.path().join(part), "part").unwrap();
        }
        let Err(refused) = Embedded::open(place.path(), options()) else { panic!("it is incomplete") };
        assert!(matches!(refused, OpenError::Restoring(_)), "{refused}");
        run(&target, place.path(), OPTIONS()).await.unwrap();
        assert_same(&Embedded::open(place.path(), options()).unwrap(), &engine);
        let error = run(&target, place.path(), OPTIONS()).await.unwrap_err();
        assert!(matches!(error, RestoreError::NotEmpty { .. }), "{error}");
        ["store", "EXTENT", "FORMAT", "LOCK"].into_iter().for_each(|part| {
            let path = place.path().join(part);
            if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_increment_that_is_removed_while_it_is_read_is_named() {
    let (_source, engine) = filled().await;
    let (folder, target) = target();
    back_up(&engine, &target).await;
    let (runtime, place, backup) = (Handle::current(), TempDir::new().unwrap(), folder.path().join("backup"));
    let work = move || {
        let remove = |_| {
            let _ = fs::remove_dir_all(&backup);
            ControlFlow::Continue(())
        };
        restore(&runtime, &target, place.path(), OPTIONS(), &mut |_| Ok(()), &remove)
    };
    let error = tokio::task::spawn_blocking(work).await.unwrap().unwrap_err();
    let is_named = matches!(error, RestoreError::Backup(BackupError::Removed { number: 1, .. }));
    assert!(is_named, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_damage_of_a_file_is_found_and_named() {
    let (_source, engine) = filled().await;
    let (folder, target) = target();
    back_up(&engine, &target).await;
    publish(&engine, &[created("q-3")]).await;
    back_up(&engine, &target).await;
    let check = |target: Target| {
        let runtime = Handle::current();
        tokio::task::spawn_blocking(move || {
            check_files(&runtime, &target, &|_| ControlFlow::Continue(())).unwrap()
        })
    };
    let clean = check(target.clone()).await.unwrap();
    assert_eq!((clean.manifests, clean.unlisted, clean.flaws.len()), (2, 0, 0), "{:?}", clean.flaws);
    let mut files: Vec<_> = ["segments", "manifests"]
        .into_iter()
        .flat_map(|part| fs::read_dir(folder.path().join("backup").join(part)).unwrap())
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() as u64 >= clean.segments + 2, "{files:?}");
    for path in &files {
        let name = path.file_name().unwrap().to_str().unwrap();
        let content = fs::read(path).unwrap();
        fs::write(path, &content[..content.len() / 2]).unwrap();
        let found = check(target.clone()).await.unwrap();
        assert!(found.flaws.iter().any(|flaw| flaw.path.ends_with(name)), "truncated {name}: {found:?}");
        fs::remove_file(path).unwrap();
        let found = check(target.clone()).await.unwrap();
        // Without its first or last manifest, a backup looks like a backup that begins later or ends earlier.
        let is_found = found.flaws.iter().any(|flaw| flaw.path.ends_with(name));
        assert!(is_found || name.ends_with(".json"), "removed {name}: {found:?}");
        fs::write(path, content).unwrap();
    }
}
