//! Tests data folders whose files were damaged while no process used them. A damaged folder is either refused and
//! unchanged, or it still contains everything. A folder that lacks acknowledged data is never opened.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::recorded::exported_events;
use crate::support::service::{Service, order, run};

/// The number of acknowledged orders in the folder before it is damaged.
const ORDERS: usize = 10_000;
const TRIES: u64 = 200;
const SECTOR_BYTES: u64 = 512;

/// A random number generator with the same sequence in every run.
struct SeededNumbers(u64);

impl SeededNumbers {
    /// The next random number, which is less than `end`.
    fn below(&mut self, end: u64) -> u64 {
        // SplitMix64 (Steele, Lea and Flood, 2014).
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// Fills the folder with acknowledged orders, sends `together` orders in each request, and then stops the service.
/// Returns their ids.
async fn fill(data: &Path, orders: usize, together: usize) -> BTreeSet<String> {
    let mut service = Service::start(data, &["--log-level", "warn,orders=info"]);
    let mut ids = BTreeSet::new();
    while ids.len() < orders {
        let batch = serde_json::json!({ "orders": vec![order("c-1"); together.min(orders - ids.len())] });
        let response = service.send(reqwest::Method::POST, "/v1/orders/batch", Some(&batch)).await.unwrap();
        let results: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        for result in results["items"].as_array().unwrap() {
            assert_eq!(result["status"], 202, "{result}");
            ids.insert(result["receipt"]["order_id"].as_str().unwrap().to_owned());
        }
    }
    assert!(service.terminate().success());
    ids
}

/// Every file below the folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// Copies a folder with its content.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, target) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// The ids of the orders in the folder, or `None` if the folder is refused.
fn orders_in(data: &Path) -> Option<BTreeSet<String>> {
    let output = run(&["export"], data);
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(error.contains("error: ") && output.stdout.is_empty(), "{error}");
        return None;
    }
    let lines = exported_events(&output);
    let events = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    Some(events.map(|event| event["data"]["order_id"].as_str().unwrap().to_owned()).collect())
}

/// Damages a file within its used part, which ends with the last byte that is not zero. Returns a description of the
/// damage.
fn damage(path: &Path, numbers: &mut SeededNumbers) -> String {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let length = file.metadata().unwrap().len();
    let used = fs::read(path).unwrap().iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1);
    if numbers.below(3) == 0 {
        let at = numbers.below(used + 1);
        file.set_len(at).unwrap();
        return format!("cut from {length} to {at} bytes");
    }
    let at = numbers.below(used.div_ceil(SECTOR_BYTES).max(1)) * SECTOR_BYTES;
    let zeros = vec![0; SECTOR_BYTES.min(length.saturating_sub(at)) as usize];
    file.write_all_at(&zeros, at).unwrap();
    format!("the sector at byte {at} of {length} is zeroed")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zeroed_sector_or_a_cut_file_is_refused_or_harmless() {
    let folder = TempDir::new().unwrap();
    let (good, bad) = (folder.path().join("good"), folder.path().join("bad"));
    let expected = fill(&good, ORDERS, 100).await;
    // Opening the folder here also shortens its journal to the used part.
    assert_eq!(orders_in(&good).as_ref(), Some(&expected));
    let files = files(&good);
    let mut refused = 0;
    for seed in 0..TRIES {
        let mut numbers = SeededNumbers(seed);
        copy(&good, &bad);
        // Every second try damages a journal, because the journals contain nearly all data.
        let journals: Vec<_> = files.iter().filter(|path| path.extension() == Some("jnl".as_ref())).collect();
        let path = match seed % 2 {
            0 => journals[numbers.below(journals.len() as u64) as usize],
            _ => &files[numbers.below(files.len() as u64) as usize],
        };
        let path = bad.join(path.strip_prefix(&good).unwrap());
        let what = damage(&path, &mut numbers);
        match orders_in(&bad) {
            Some(found) => assert_eq!(
                expected.difference(&found).count(),
                0,
                "orders are lost silently: seed {seed}, {}: {what}",
                path.display()
            ),
            None => refused += 1,
        }
        fs::remove_dir_all(&bad).unwrap();
    }
    assert!(
        refused > TRIES / 2,
        "only {refused} of {TRIES} folders were refused, so most tries did no damage"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_stale_and_swapped_files_are_refused_or_harmless() {
    let folder = TempDir::new().unwrap();
    let (stale, good, bad) =
        (folder.path().join("stale"), folder.path().join("good"), folder.path().join("bad"));
    let mut expected = fill(&good, 100, 5).await;
    copy(&good, &stale);
    expected.extend(fill(&good, 100, 5).await);
    let files = files(&good);
    let mut refused = 0;
    let mut check = |what: String| {
        match orders_in(&bad) {
            Some(found) => assert_eq!(expected.difference(&found).count(), 0, "lost silently: {what}"),
            None => refused += 1,
        }
        fs::remove_dir_all(&bad).unwrap();
    };
    for file in &files {
        let name = file.strip_prefix(&good).unwrap();
        copy(&good, &bad);
        fs::remove_file(bad.join(name)).unwrap();
        check(format!("{} is missing", name.display()));
        if stale.join(name).exists() {
            copy(&good, &bad);
            fs::copy(stale.join(name), bad.join(name)).unwrap();
            check(format!("{} is stale", name.display()));
        }
    }
    for (one, other) in files.iter().zip(files.iter().skip(7)) {
        let [one, other] = [one, other].map(|file| file.strip_prefix(&good).unwrap());
        copy(&good, &bad);
        fs::copy(good.join(one), bad.join(other)).unwrap();
        fs::copy(good.join(other), bad.join(one)).unwrap();
        check(format!("{} and {} are swapped", one.display(), other.display()));
    }
    assert!(refused > 30, "only {refused} folders were refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn recovery_reports_the_lost_events_of_a_damaged_journal_before_it_cuts_them_off() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let expected = fill(&data, 200, 5).await;
    let journal = data.join("store").join("0.jnl");
    let used = fs::read(&journal).unwrap().iter().rposition(|byte| *byte != 0).unwrap() as u64;
    let file = File::options().write(true).open(&journal).unwrap();
    file.write_all_at(&[0; 512], used / 2 / 512 * 512).unwrap();

    let refused = run(&["export"], &data);
    let error = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(error.contains("store/0.jnl cannot be read from byte"), "{error}");
    assert!(
        error.contains("accepted events") && error.contains("orders recover --dry-run --data"),
        "{error}"
    );

    let before = fs::read(&journal).unwrap();
    let dry = run(&["recover", "--dry-run"], &data);
    let dry_text = String::from_utf8_lossy(&dry.stdout).into_owned();
    assert!(dry.status.success() && dry_text.contains("nothing was changed"), "{dry_text}");
    assert!(fs::read(&journal).unwrap() == before, "a dry run changes nothing");
    assert!(orders_in(&data).is_none());

    let recovered = run(&["recover"], &data);
    let text = String::from_utf8_lossy(&recovered.stdout).into_owned();
    assert!(recovered.status.success(), "{text}{}", String::from_utf8_lossy(&recovered.stderr));
    let kept = fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().path());
    let kept = kept.into_iter().find(|path| path.to_string_lossy().contains("recovered-")).unwrap();
    assert!(fs::read(kept.join("0.jnl")).unwrap() == before, "a copy of the removed bytes is kept");
    let report: Value = serde_json::from_slice(&fs::read(kept.join("report.json")).unwrap()).unwrap();
    let left = orders_in(&data).expect("the folder can be opened");
    let lost: BTreeSet<_> = expected.difference(&left).cloned().collect();
    assert!(
        !lost.is_empty() && left.len() > 20,
        "{} orders are lost, and {} are left",
        lost.len(),
        left.len()
    );
    let reported = report["orders"].as_array().unwrap().iter();
    let reported: BTreeSet<_> =
        reported.map(|order| order["order_id"].as_str().unwrap().to_owned()).collect();
    // The damaged sector overlaps one or two commits. The events of these commits cannot be read, so the report does not
    // contain their orders.
    let unreadable = report["unreadable_commits"].as_u64().unwrap();
    assert!((1..=2).contains(&unreadable), "{report}");
    let unnamed = lost.difference(&reported).count() as u64;
    assert!(unnamed <= 5 * unreadable, "{unnamed} lost orders are not in the report");
    let lines = fs::read_to_string(kept.join("lost-events.jsonl")).unwrap();
    assert_eq!(lines.lines().count(), lost.intersection(&reported).count());

    let check = run(&["rebuild", "--check"], &data);
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
    // The recovered folder can be used like any other folder.
    let mut more = fill(&data, 20, 5).await;
    more.extend(left);
    assert_eq!(orders_in(&data), Some(more));
}
