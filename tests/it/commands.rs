//! Tests the commands that alerts and `orders dlq` print. Each command is run as printed, against a real service.

use std::path::Path;
use std::process::{Command, Stdio};

use consumer::alert::{Alert, DeadLetterAlert};
use domain::{DeadLetter, ParkReason};
use tempfile::TempDir;

use crate::dlq::{dlq, ids, with_parked_sequence};
use crate::support::events::new_order_id;
use crate::support::service::Service;

/// Runs a line in a shell that has the program on its PATH and ORDERS_URL set. Returns whether it succeeded, and its output.
fn shell(line: &str, url: &str, folder: &Path) -> (bool, String) {
    let binary = Path::new(env!("CARGO_BIN_EXE_orders")).parent().unwrap();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("sh");
    command.arg("-c").arg(line).current_dir(folder).stdin(Stdio::null());
    for (variable, _) in std::env::vars_os() {
        if variable.to_string_lossy().starts_with("ORDERS_") {
            command.env_remove(variable);
        }
    }
    let output = command.env("PATH", path).env("ORDERS_URL", url).output().unwrap();
    (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

/// The commands in a text. Each command begins with `orders dlq` and ends at the end of the line.
fn commands(text: &str) -> Vec<&str> {
    let command = |line: &'_ str| line.find("orders dlq").map(|at| at..line.len());
    text.lines().filter_map(|line| Some(&line[command(line)?])).collect()
}

#[track_caller]
fn run(line: &str, service: &Service, folder: &Path) -> String {
    let (succeeds, text) = shell(line, &service.url, folder);
    assert!(succeeds, "{line}: {text}");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_that_is_printed_works_as_it_is_printed() {
    let folder = TempDir::new().unwrap();
    let order = new_order_id();
    let service = with_parked_sequence(&folder.path().join("data"), &order).await;
    let letters = ids(&service);

    let next = service.wait_for_log("dead letters: nothing is lost");
    assert!(run(next["next"].as_str().unwrap(), &service, folder.path()).contains(&letters[0]));
    let letter =
        DeadLetter::new(&*letters[0], Vec::new(), ParkReason::Malformed, String::new(), infra::now());
    let alert = Alert::DeadLetters(DeadLetterAlert::of([&letter]).unwrap()).text(&"test".parse().unwrap());
    let printed = commands(&alert);
    assert_eq!(printed.len(), 3, "{alert}");
    for command in printed {
        let text = run(&command.replace("ID", &letters[0]), &service, folder.path());
        assert!(text.contains(&letters[0]), "{command}: {text}");
    }

    let shown = dlq(&service, &["show", &letters[0]], true);
    let printed = commands(&shown);
    assert_eq!(printed.len(), 4, "{shown}");
    for command in &printed[..3] {
        run(command, &service, folder.path());
    }
    let (succeeds, text) = shell(printed[3], &service.url, folder.path());
    assert!(!succeeds && text.contains("--yes"), "{text}");
    let text = run(&format!("{} --yes", printed[3]), &service, folder.path());
    let printed = commands(&text);
    assert_eq!(printed.len(), 1, "{text}");
    run(printed[0], &service, folder.path());
}
