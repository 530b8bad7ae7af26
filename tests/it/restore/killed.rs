//! Tests backups and restores that are killed at random moments. The next run begins again, and the result of
//! a killed run never counts as complete.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use tempfile::TempDir;

use super::*;

const KILLS: usize = 12;

/// Runs the command, and kills it after a random part of the duration `whole`. Returns whether it was killed
/// before it ended.
fn run_and_kill(mut command: Command, whole: Duration, rng: &mut Rng) -> bool {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    thread::sleep(whole.mul_f64(rng.f64()));
    child.kill().unwrap();
    !child.wait().unwrap().success()
}

fn restore_command(source: &Path, data: &Path) -> Command {
    let mut command = orders(&["restore"]);
    command.arg(source).arg("--data").arg(data);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_backup_is_continued_by_the_next_one() {
    let folder = TempDir::new().unwrap();
    let (data, target) = (folder.path().join("data"), folder.path().join("backup"));
    filled(&data, 60).await;
    let backup = |target: &Path| {
        let mut command = orders(&["backup"]);
        command.arg(target).arg("--data").arg(&data);
        command
    };
    let begin = Instant::now();
    assert!(backup(&folder.path().join("measured")).output().unwrap().status.success());
    let whole = begin.elapsed();
    let (mut rng, mut killed) = (Rng::with_seed(7), 0);
    for _ in 0..KILLS {
        killed += usize::from(run_and_kill(backup(&target), whole, &mut rng));
        // A killed backup leaves either no backup or a complete one.
        let (is_whole, printed) = verify(&target, &["--files-only"]);
        assert!(is_whole || printed.contains("contains no backup"), "{printed}");
    }
    assert!(killed > 0, "no backup was killed");
    back_up(&data, &target);
    let (is_whole, printed) = verify(&target, &[]);
    assert!(is_whole, "{printed}");
    let restored = folder.path().join("restored");
    restore(&target, &restored, &[]);
    assert!(export(&restored) == export(&data));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_restore_is_refused_by_a_start_and_replaced_by_the_next_restore() {
    let folder = TempDir::new().unwrap();
    let (data, target) = (folder.path().join("data"), folder.path().join("backup"));
    filled(&data, 60).await;
    back_up(&data, &target);
    let begin = Instant::now();
    restore(&target, &folder.path().join("measured"), &[]);
    let whole = begin.elapsed();
    let (mut rng, mut refused) = (Rng::with_seed(8), 0);
    let expected = export(&data);
    for round in 0..KILLS {
        let restored = folder.path().join(format!("restored-{round}"));
        run_and_kill(restore_command(&target, &restored), whole, &mut rng);
        if !restored.join("FORMAT").exists() {
            if restored.join("restoring").exists() {
                let start = run(&["serve", "--listen", "127.0.0.1:0"], &restored);
                let error = String::from_utf8(start.stderr).unwrap();
                assert!(!start.status.success() && error.contains("a restore was interrupted"), "{error}");
                refused += 1;
            }
            restore(&target, &restored, &[]);
        }
        assert!(export(&restored) == expected);
        assert_consistent(&restored);
        fs::remove_dir_all(&restored).unwrap();
    }
    assert!(refused > 0, "no restore was killed in its work");
}
