//! Tests that an import that was killed at any moment can run again, and ends with the same folder.

use std::io::Write;
use std::process::Stdio;

use tempfile::TempDir;

use super::{check, export, file, import, printed, two_events_of};
use crate::support::service::orders;

const ORDERS: usize = 3000;
const KILLS: usize = 4;

#[test]
fn an_import_goes_on_after_kill_9() {
    let folder = TempDir::new().unwrap();
    let [data, once] = ["data", "once"].map(|name| folder.path().join(name));
    let lines = two_events_of(ORDERS as u64);
    let whole = file(folder.path(), "lines", &lines);
    let mut events = 0;
    for kill in 1..=KILLS {
        let mut command = orders(&["import", "-", "--partial", "--default-currency", "EUR"]);
        command.arg("--data").arg(&data).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        // Writing to the process returns once the process has read most of the lines. So the process is
        // killed while it imports them.
        let part: String =
            lines[..kill * lines.len() / KILLS].iter().map(|line| format!("{line}\n")).collect();
        child.stdin.as_mut().unwrap().write_all(part.as_bytes()).unwrap();
        child.kill().unwrap();
        assert!(!child.wait().unwrap().success());
        let imported = export(&data).lines().count() - 1;
        assert!(
            imported >= events && imported < kill * lines.len() / KILLS,
            "{imported} after {events} events"
        );
        events = imported;
        check(&data);
    }
    assert!(events > 0, "every import was killed before its first batch");
    let again = printed(&import(&whole, &data, &["--partial"]));
    let new = lines.len() - events;
    assert!(
        again.starts_with(&format!("{new} events imported, {events} were there already, 0 lines")),
        "{again}"
    );
    assert!(again.contains(&format!("audit: {} events in {ORDERS} parts of logs", lines.len())), "{again}");
    check(&data);
    printed(&import(&whole, &once, &["--partial"]));
    assert!(export(&data) == export(&once), "the folder differs from one that was imported in one run");
}
