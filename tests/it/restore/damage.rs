//! Tests backups that are damaged, truncated, foreign or of a newer version, and disks that are full. Each is
//! reported, and none leaves a folder or backup that looks complete.

use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;

use fastrand::Rng;
use infra::backup::target::Target;
use infra::backup::verify::{FileCheck, check_files};
use tempfile::TempDir;
use tokio::runtime::Handle;

use super::*;

const FLIPS: usize = 200;

/// A backup with several increments.
async fn backed_up(folder: &Path) -> PathBuf {
    let (data, target) = (folder.join("data"), folder.join("backup"));
    for _ in 0..3 {
        filled(&data, 5).await;
        back_up(&data, &target);
    }
    target
}

fn files(target: &Path) -> Vec<PathBuf> {
    let parts =
        ["manifests", "segments"].into_iter().flat_map(|part| fs::read_dir(target.join(part)).unwrap());
    let mut files: Vec<_> = parts.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

async fn check(target: &Path) -> FileCheck {
    let (runtime, target) = (Handle::current(), Target::parse(target.to_str().unwrap()).unwrap());
    tokio::task::spawn_blocking(move || {
        check_files(&runtime, &target, &|_| ControlFlow::Continue(())).unwrap()
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_in_any_file_is_found_and_the_file_is_named() {
    let folder = TempDir::new().unwrap();
    let target = backed_up(folder.path()).await;
    assert!(check(&target).await.flaws.is_empty());
    let files = files(&target);
    let sizes: Vec<_> = files.iter().map(|path| fs::metadata(path).unwrap().len() as usize).collect();
    let mut rng = Rng::with_seed(6);
    for _ in 0..FLIPS {
        // Every byte of the backup is damaged with the same probability.
        let mut at = rng.usize(..sizes.iter().sum::<usize>());
        let file = sizes.iter().position(|size| {
            let is_here = at < *size;
            at -= if is_here { 0 } else { *size };
            is_here
        });
        let path = &files[file.unwrap()];
        let good = fs::read(path).unwrap();
        let mut bad = good.clone();
        bad[at] ^= 1 << rng.u8(..8);
        fs::write(path, bad).unwrap();
        let found = check(&target).await;
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(found.flaws.iter().any(|flaw| flaw.path.ends_with(name)), "{name}, byte {at}: {found:?}");
        fs::write(path, good).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_names_the_damaged_file_and_what_it_holds() {
    let folder = TempDir::new().unwrap();
    let target = backed_up(folder.path()).await;
    let (is_whole, printed) = verify(&target, &[]);
    assert!(is_whole && printed.contains("restored and folded: 30 events of 15 orders"), "{printed}");
    let manifests = fs::read_dir(target.join("manifests")).unwrap().map(|entry| entry.unwrap().path());
    let newest: Value = serde_json::from_slice(&fs::read(manifests.max().unwrap()).unwrap()).unwrap();
    let name = format!("segments/{}.zst", text(&newest["manifest"]["log"][0]["sha256"]));
    let content = fs::read(target.join(&name)).unwrap();
    let restored = folder.path().join("restored");
    for (damage, what) in [(Some(content.len() / 2), "bytes, and the manifest says"), (None, "missing")] {
        match damage {
            Some(length) => fs::write(target.join(&name), &content[..length]).unwrap(),
            None => fs::remove_file(target.join(&name)).unwrap(),
        }
        let (is_whole, printed) = verify(&target, &[]);
        let line = printed.lines().find(|line| line.contains(&name)).unwrap_or_else(|| panic!("{printed}"));
        assert!(
            !is_whole && line.contains("events at positions 1 to 30") && line.contains(what),
            "{printed}"
        );
        let output = try_restore(&target, &restored, &[]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && error.contains(&name), "{error}");
        assert!(!restored.join("FORMAT").exists());
    }
    fs::write(target.join(&name), &content).unwrap();
    restore(&target, &restored, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_newer_and_missing_backups_are_refused_by_name() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("restored");
    let refused = |source: &Path, expected: &str| {
        for output in
            [try_restore(source, &data, &[]), orders(&["backup", "verify"]).arg(source).output().unwrap()]
        {
            let error = String::from_utf8(output.stderr).unwrap();
            assert!(!output.status.success() && error.contains(expected), "{expected:?} is not in {error}");
        }
        assert!(!data.join("FORMAT").exists());
    };
    refused(&folder.path().join("missing"), "contains no backup");
    let foreign = folder.path().join("foreign");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("thesis.txt"), "years of work").unwrap();
    refused(&foreign, "is not a backup: it contains \"thesis.txt\"");
    refused(Path::new("ftp://host/path"), "ftp:// is not supported");

    let target = backed_up(folder.path()).await;
    let manifest = target.join("manifests/0000000003.json");
    let good = fs::read_to_string(&manifest).unwrap();
    // A manifest of a later version, with a matching hash.
    let end = good.rfind(",\"sha256\":\"").unwrap();
    let inner = &good["{\"manifest\":".len()..end];
    let newer = inner.replacen("\"format\":1", "\"format\":9", 1);
    let hash = ring::digest::digest(&ring::digest::SHA256, newer.as_bytes());
    let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    fs::write(&manifest, format!("{{\"manifest\":{newer},\"sha256\":\"{hash}\"}}\n")).unwrap();
    let output = try_restore(&target, &data, &[]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && error.contains("it has format 9"), "{error}");
    fs::write(&manifest, good).unwrap();
    let (is_whole, printed) = verify(&target, &["--files-only"]);
    assert!(is_whole, "{printed}");

    let error = String::from_utf8(try_restore(&target, &data, &["--until", "9999"]).stderr).unwrap();
    assert!(error.contains("the backup ends at position 30, before position 9999"), "{error}");
    let error = String::from_utf8(try_restore(&target, &data, &["--until", "yesterday"]).stderr).unwrap();
    assert!(error.contains("is neither a position nor a time with an offset"), "{error}");
    let error = String::from_utf8(try_restore(&target, &folder.path().join("data"), &[]).stderr).unwrap();
    assert!(error.contains("is not empty: it contains"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_to_a_full_disk_fails_and_leaves_nothing_that_looks_whole() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    filled(&data, 60).await;
    let target = folder.path().join("backup");
    back_up(&data, &target);
    let (disk, copy) = (folder.path().join("disk"), folder.path().join("copy"));
    fs::create_dir(&disk).unwrap();
    let root = std::process::Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    let script = "mount -t tmpfs -o size=200k tmpfs \"$1\" || exit 70; \"$4\" restore \"$3\" --data \"$1/data\"; \
                  code=$?; cp -a \"$1/data\" \"$2\"; exit $code";
    let program = orders(&[]);
    let mut command = std::process::Command::new("unshare");
    command.args([if root { "-m" } else { "-Urm" }, "sh", "-c", script, "sh"]);
    let output = command.args([&disk, &copy, &target]).arg(program.get_program()).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("No space left on device"), "{error}");
    assert!(!copy.join("FORMAT").exists() && copy.join("restoring").exists());
    let refused = String::from_utf8(run(&["serve", "--listen", "127.0.0.1:0"], &copy).stderr).unwrap();
    assert!(refused.contains("a restore was interrupted"), "{refused}");
    restore(&target, &copy, &[]);
    assert!(export(&copy) == export(&data));
}
