//! Checks that the commands that the program recommends work as printed.
//!
//! A test in `src/cli` parses every command that the texts of the program contain. The tests here run the commands
//! that the program recommends at its first start and for a damaged folder. `tests/it/commands.rs` runs the commands for
//! dead letters.

use std::fs::{self, File};

use tempfile::TempDir;

use super::shell::{Kind, Shell};
use crate::support::service::{Service, order, orders, run};

#[tokio::test(flavor = "multi_thread")]
async fn the_hint_of_the_first_start_places_an_order() {
    for kind in Kind::ALL {
        let folder = TempDir::new().unwrap();
        let mut command = orders(&["serve", "--listen", "127.0.0.1:0"]);
        command.current_dir(folder.path());
        let service = Service::spawn(command);
        let line = service.wait_for_log("first start");
        let mut shell = Shell::start(kind, folder.path(), folder.path(), &[]);
        let ran = shell.type_lines(line["hint"].as_str().unwrap());
        assert!(ran.failures.is_empty(), "{kind:?}: {ran:?}");
        assert!(ran.stdout.starts_with("HTTP/1.1 20"), "{kind:?}: {}", ran.stdout);
    }
}

/// The command in a text. It begins with the program's name and ends at the end of the line.
fn command_in(text: &str, name: &str) -> String {
    let start = text.find(name).unwrap_or_else(|| panic!("{name} is not in {text}"));
    let command = text[start..].lines().next().unwrap();
    command.trim_end_matches(['`', '.']).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_advice_about_a_damaged_folder_reports_what_is_lost() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let mut service = Service::start(&data, &[]);
    for customer in ["c-1", "c-2"] {
        let receipt = service.accept("/v1/orders", &order(customer)).await;
        service.outcome(&receipt).await;
    }
    assert!(service.terminate().success());
    let journal = fs::read_dir(data.join("store")).unwrap().map(|entry| entry.unwrap().path());
    let journal = journal.filter(|path| path.extension().is_some_and(|it| it == "jnl")).max().unwrap();
    File::options().write(true).open(journal).unwrap().set_len(200).unwrap();

    let refused = run(&["export"], &data);
    let error = String::from_utf8(refused.stderr).unwrap();
    let advice = command_in(&error, "orders recover");
    for kind in Kind::ALL {
        let mut shell = Shell::start(kind, folder.path(), folder.path(), &[]);
        let ran = shell.type_lines(&advice);
        assert!(ran.failures.is_empty(), "{kind:?}: {advice}: {ran:?}");
    }
    let mut shell = Shell::start(Kind::Zsh, folder.path(), folder.path(), &[]);
    let ran = shell.type_lines(&advice.replace(" --dry-run", ""));
    assert!(ran.failures.is_empty(), "{ran:?}");
    assert!(run(&["export"], &data).status.success(), "the folder can be used again");
}
