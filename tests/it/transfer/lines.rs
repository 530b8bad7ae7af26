//! Tests inputs that are not a whole and valid export. Such an input is refused with the number of a line and
//! the reason, and the lines before that line are imported.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use serde_json::json;
use tempfile::TempDir;

use super::{check, export, file, import, line, order_data, printed, text, two_events_of};
use crate::support::service::{orders, run};

/// Imports two good orders with `bad` between them, once with `--on-error stop` and once with `--on-error
/// skip`. Returns the two outputs.
fn refused(bad: &[u8]) -> [String; 2] {
    let good = two_events_of(2);
    ["stop", "skip"].map(|action| {
        let folder = TempDir::new().unwrap();
        let (path, data) = (folder.path().join("lines"), folder.path().join("data"));
        let part =
            |lines: &[String]| lines.iter().map(|line| format!("{line}\n")).collect::<String>().into_bytes();
        std::fs::write(&path, [part(&good[..2]), bad.to_vec(), b"\n".to_vec(), part(&good[2..])].concat())
            .unwrap();
        let output = import(&path, &data, &["--partial", "--on-error", action]);
        let text = text(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        check(&data);
        let events = export(&data).lines().count() - 1;
        assert_eq!(events, if action == "stop" { 2 } else { 4 }, "{action}: {text}");
        text
    })
}

#[test]
fn a_line_that_is_no_event_is_named() {
    let valid = line("o-9", 1, 900, "order_created", &order_data());
    let changed = |from: &str, to: &str| {
        assert!(valid.contains(from), "{valid}");
        valid.replace(from, to).into_bytes()
    };
    let cases: [(Vec<u8>, &str); 13] = [
        (valid.as_bytes()[..200].to_vec(), "the message is not an event envelope: "),
        (b"".to_vec(), "the line is empty"),
        (b"{}".to_vec(), "the message is not an event envelope: "),
        (br#"{"name":"value"}"#.to_vec(), "the message is not an event envelope: "),
        (b"[1,2]".to_vec(), "the message is not an event envelope: "),
        (b"\x00\xff\xfe\x80".to_vec(), "the message is not an event envelope: "),
        (changed(r#""schema_version":2"#, r#""schema_version":3"#), "unknown schema version 3"),
        (changed("order_created", "order_teleported"), "unknown event type \"order_teleported\""),
        (changed(r#""quantity":2"#, r#""quantity":0"#), "invalid data.items[0].quantity"),
        (changed(r#""version":1"#, r#""version":2"#), "a gap: version 2 of order o-9 is not the next one, 1"),
        (changed(r#""version":1"#, r#""version":0"#), "its version is 0"),
        (
            changed(r#""correlation_id":"r""#, r#""correlation_id":"r","colour":"red""#),
            "the event would not be kept as it is: colour",
        ),
        (vec![b'x'; 10 << 20], "the line is longer than 4194304 bytes"),
    ];
    for (bad, reason) in cases {
        for text in refused(&bad) {
            assert!(text.contains(&format!("line 3: {reason}")), "{reason}: {text}");
        }
    }
}

#[test]
fn an_event_that_does_not_fold_is_named() {
    let [stop, skip] = refused(line("order-000000", 3, 7, "order_delivered", &json!({})).as_bytes());
    for text in [&stop, &skip] {
        assert!(
            text.contains("line 3: order order-000000 cannot be folded: event order_delivered at version 3"),
            "{text}"
        );
    }
    assert!(
        stop.contains("stopped at a line that cannot be imported; everything before it is imported"),
        "{stop}"
    );
    assert!(skip.contains("4 events imported, 0 were there already, 1 lines refused"), "{skip}");
    assert!(
        skip.contains("audit: 4 events in 2 parts of logs read from the target, 0 parts differ"),
        "{skip}"
    );
}

/// The text of an export, and a temporary folder.
fn exported() -> (TempDir, String) {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("source");
    printed(&import(&file(folder.path(), "lines", &two_events_of(3)), &data, &["--partial"]));
    let exported = export(&data);
    (folder, exported)
}

fn import_text(folder: &Path, text: &str, arguments: &[&str]) -> std::process::Output {
    let (path, data) = (folder.join("export"), folder.join("target"));
    std::fs::write(&path, text).unwrap();
    import(&path, &data, arguments)
}

#[test]
fn nothing_of_a_cut_or_damaged_file_is_imported() {
    let (folder, exported) = exported();
    let cut_at_line: String = exported.lines().take(4).map(|line| format!("{line}\n")).collect();
    let without_one: String = exported.lines().skip(1).map(|line| format!("{line}\n")).collect();
    let damaged = exported.replace("450", "451");
    for (content, reason) in [
        (
            &cut_at_line[..],
            "does not end with the last line of an export, so it may be cut off. Nothing was imported",
        ),
        (
            &exported[..exported.len() - 20],
            "line 7: the last line of the export is damaged. Nothing was imported",
        ),
        (&without_one, "line 6: the export had 6 events, and 5 are here. Nothing was imported"),
        (
            &damaged,
            "line 7: the lines are not those that were exported: their hash differs. Nothing was imported",
        ),
        ("", "does not end with the last line of an export"),
    ] {
        let output = import_text(folder.path(), content, &[]);
        let text = text(&output);
        assert!(!output.status.success() && text.contains(reason), "{reason}: {text}");
        assert!(!folder.path().join("target").exists(), "{text}");
    }
    let partial = printed(&import_text(folder.path(), &cut_at_line, &["--partial"]));
    assert!(partial.contains("4 events imported"), "{partial}");
    // A file may contain several exports, one after the other.
    let twice = printed(&import_text(folder.path(), &format!("{exported}{exported}"), &[]));
    assert!(twice.contains("2 events imported, 10 were there already"), "{twice}");
}

#[test]
fn standard_input_is_imported_and_a_cut_is_reported_at_the_end() {
    let (folder, exported) = exported();
    let data = folder.path().join("target");
    let import = |file: &str, text: &str| {
        let mut command = orders(&["import", file, "--data"]);
        command.arg(&data).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    let cut: String = exported.lines().take(4).map(|line| format!("{line}\n")).collect();
    let output = import("-", &cut);
    assert!(!output.status.success(), "{}", text(&output));
    assert!(
        text(&output).contains("4 events imported") && text(&output).contains("events may be missing"),
        "{}",
        text(&output)
    );
    let whole = printed(&import("-", &exported));
    assert!(whole.contains("2 events imported, 4 were there already, 0 lines refused"), "{whole}");
    // A pipe with a name also can be read only once.
    let named = printed(&import("/dev/stdin", &exported));
    assert!(named.contains("0 events imported, 6 were there already, 0 lines refused"), "{named}");
    assert!(self::export(&data) == exported);
}

#[test]
fn files_that_cannot_be_read_are_explained() {
    let folder = TempDir::new().unwrap();
    for (path, reason) in
        [(folder.path().join("none"), "No such file"), (folder.path().to_owned(), "Is a directory")]
    {
        let output = import(&path, &folder.path().join("data"), &[]);
        assert!(!output.status.success() && text(&output).contains(reason), "{}", text(&output));
    }
    let output = run(&["export", "--format", "csv"], &folder.path().join("data"));
    assert!(text(&output).contains("--table orders, lines or payments"), "{}", text(&output));
}
