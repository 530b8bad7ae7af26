//! Tests that an inspection reports what a folder contains and what a start does with it, and changes nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use api::ports::EventPublisher;
use tempfile::TempDir;

use super::*;
use crate::embedded::store::keyspaces;
use crate::embedded::store::stage::Stage;
use crate::embedded::store::writer::Durability;
use crate::embedded::testing::{confirmed, created, open_inline, options};
use crate::embedded::{Embedded, Options};

/// Every file and folder below `folder`, each with its content and the time of its last change.
fn contents(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let changed = fs::metadata(&path).unwrap().modified().unwrap();
        if path.is_dir() {
            files.extend(contents(&path));
            files.insert(path, (Vec::new(), changed));
        } else {
            files.insert(path.clone(), (fs::read(&path).unwrap(), changed));
        }
    }
    files
}

/// Inspects the folder, and asserts that the inspection did not change it.
fn inspect_unchanged(folder: &Path) -> Inspection {
    let before = contents(folder);
    let found = inspect(folder).unwrap();
    assert!(contents(folder) == before, "the inspection changed the folder");
    found
}

/// A folder with three orders, four recorded events and a queued message.
async fn filled() -> TempDir {
    let (folder, engine) = open_inline();
    for event in [created("a"), created("b"), created("c"), confirmed("a", 7)] {
        engine.publish(&[event]).await.remove(0).unwrap();
    }
    drop(engine);
    let engine = Embedded::open(folder.path(), Options { inline: false, ..options() }).unwrap();
    engine.publish(&[created("d")]).await.remove(0).unwrap();
    folder
}

#[tokio::test]
async fn an_inspection_reports_the_content_and_changes_nothing() {
    let folder = filled().await;
    let found = inspect_unchanged(folder.path());
    assert_eq!(found.next_start, NextStart::Open);
    assert_eq!(found.format.as_deref(), Some("orders data folder, format 6"));
    let content = found.content.unwrap();
    assert_eq!((content.orders, content.events, content.queued, content.position), (3, 4, 1, 4));
    assert_eq!((content.ledger.accepted, content.ledger.recorded), (5, 4));
    assert!(content.agrees() && content.oldest_event <= content.newest_event, "{content:?}");
    assert!(content.oldest_event.is_some());
    let (synced, journal) = (found.synced.unwrap(), found.journals.last().unwrap());
    assert_eq!((synced.commit, synced.accepted, synced.recorded), (content.commit, 5, 4));
    assert_eq!(journal.latest_commit, Some(content.commit));
    let rows = |name: &str| found.keyspaces.iter().find(|it| it.name == name).unwrap().about_rows;
    assert_eq!((rows("log"), rows("queue"), rows("receipts")), (Some(4), Some(1), Some(1)));
}

#[tokio::test]
async fn a_ledger_that_differs_from_the_log_is_reported() {
    let folder = filled().await;
    // The event of the queued message may be in the log already. In that case the ledger counts one event less than the
    // log contains.
    for (recorded, agrees) in [(4, true), (3, true), (2, false), (5, false)] {
        let engine = Embedded::open(folder.path(), Options { inline: false, ..options() }).unwrap();
        let job = move |stage: &mut Stage| {
            (stage.counters.ledger.accepted, stage.counters.ledger.recorded) = (recorded + 1, recorded);
            Ok(())
        };
        engine.store().writer.write(Durability::Synced, job).await.unwrap();
        drop(engine);
        let content = inspect_unchanged(folder.path()).content.unwrap();
        assert_eq!((content.ledger.recorded, content.events), (recorded, 4));
        assert_eq!(content.agrees(), agrees, "{content:?}");
    }
}

#[tokio::test]
async fn a_folder_in_use_is_inspected_without_its_content() {
    let (folder, engine) = open_inline();
    engine.publish(&[created("a")]).await.remove(0).unwrap();
    let found = inspect(folder.path()).unwrap();
    assert!(found.in_use && found.content.is_none(), "{found:?}");
    let journal = found.journals.last().unwrap();
    assert!(journal.latest_commit >= found.synced.map(|synced| synced.commit), "{found:?}");
    assert!(
        matches!(&found.next_start, NextStart::Refuse { reason } if reason.contains("in use by another process"))
    );
    drop(engine);
    assert!(!inspect_unchanged(folder.path()).in_use);
}

#[tokio::test]
async fn an_inspection_predicts_the_refusal_of_a_start() {
    let folder = filled().await;
    let journal = fs::File::options().write(true).open(folder.path().join("store/0.jnl")).unwrap();
    journal.set_len(200).unwrap();
    let found = inspect_unchanged(folder.path());
    let Err(error) = Embedded::open(folder.path(), options()) else { panic!("the folder is damaged") };
    assert_eq!(found.next_start, NextStart::Refuse { reason: error.to_string() });
    assert!(found.content.is_none());
}

#[tokio::test]
async fn an_inspection_predicts_upgrades_and_unfinished_work() {
    let folder = filled().await;
    let format = folder.path().join("FORMAT");
    let current = fs::read(&format).unwrap();
    fs::write(&format, "orders data folder, format 5\n").unwrap();
    assert_eq!(inspect_unchanged(folder.path()).next_start, NextStart::Upgrade);
    fs::write(&format, current).unwrap();

    let engine = Embedded::open(folder.path(), options()).unwrap();
    let meta = engine.store().keys.meta.clone();
    let job = move |stage: &mut Stage| {
        stage.put(&meta, keyspaces::BACKFILL, r#"{"scope":"everything","after":null,"events":0}"#);
        Ok(())
    };
    engine.store().writer.write(Durability::Synced, job).await.unwrap();
    drop(engine);
    let expected = NextStart::Continue { fill: "the indexes" };
    assert_eq!(inspect_unchanged(folder.path()).next_start, expected);
    drop(Embedded::open(folder.path(), options()).unwrap());
    assert_eq!(inspect_unchanged(folder.path()).next_start, NextStart::Open);
}

#[test]
fn an_empty_folder_is_new_and_others_are_refused() {
    let folder = TempDir::new().unwrap();
    let found = inspect_unchanged(folder.path());
    assert!(found.next_start == NextStart::Create && found.format.is_none(), "{found:?}");
    assert!(matches!(inspect(&folder.path().join("missing")), Err(OpenError::Io { .. })));
    fs::write(folder.path().join("thesis.txt"), "years of work").unwrap();
    assert!(matches!(inspect(folder.path()), Err(OpenError::Foreign(_))));
}
