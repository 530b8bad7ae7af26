//! Tests the rules for all environment variables: an empty variable counts as unset, and all switches accept the same
//! words.

use std::collections::BTreeSet;
use std::process::Command;

use regex::Regex;
use tempfile::TempDir;

use crate::support::service::{Service, orders};

fn help(path: &[String]) -> String {
    let arguments: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
    String::from_utf8(orders(&arguments).output().unwrap().stdout).unwrap()
}

/// Every command without subcommands.
fn commands() -> Vec<Vec<String>> {
    let entry = Regex::new(r"^  ([a-z-]+)( |$)").unwrap();
    let (mut found, mut next) = (Vec::new(), vec![Vec::new()]);
    while let Some(path) = next.pop() {
        let help = help(&path);
        let Some((_, list)) = help.split_once("\nCommands:\n") else {
            found.push(path);
            continue;
        };
        let names = list.lines().take_while(|line| !line.is_empty());
        let names = names.filter_map(|line| Some(entry.captures(line)?[1].to_owned()));
        next.extend(names.filter(|name| name != "help").map(|name| [&path[..], &[name]].concat()));
    }
    found
}

/// The variables of a command. Each variable is marked as a switch or not.
fn variables(path: &[String]) -> BTreeSet<(String, bool)> {
    let help = help(path);
    // In the help, the lines of a description are indented further than options. Such a line can begin with the name
    // of another option.
    let option = Regex::new(r"(?m)^ {2,6}(?:-\w, )?--[a-z-]+( <|\[=<| {2}|$)").unwrap();
    let variable = Regex::new(r"\[env:\s+([A-Z_]+)[=\]]").unwrap();
    let starts: Vec<_> = option.captures_iter(&help).map(|found| found.get(0).unwrap()).collect();
    let ends = starts.iter().skip(1).map(|next| next.start()).chain([help.len()]);
    let named = |(start, end): (&regex::Match<'_>, usize)| {
        let name = variable.captures(&help[start.start()..end])?[1].to_owned();
        Some((name, !start.as_str().ends_with(" <")))
    };
    starts.iter().zip(ends).filter_map(named).collect()
}

fn all_variables() -> BTreeSet<(String, bool)> {
    commands().iter().flat_map(|path| variables(path)).collect()
}

#[test]
fn all_variables_are_found_in_the_help() {
    let variables = all_variables();
    let names: Vec<&str> = variables.iter().map(|(name, _)| name.as_str()).collect();
    for name in ["LOG_LEVEL", "ORDERS_MIN_FREE_DISK", "ORDERS_LISTEN", "ORDERS_TOKEN", "ORDERS_URL"] {
        assert!(names.contains(&name), "no {name} in {names:?}");
    }
    let switches: Vec<_> =
        variables.iter().filter(|(_, is_switch)| *is_switch).map(|(name, _)| name).collect();
    let mut expected =
        vec!["ORDERS_ALWAYS_QUEUE", "ORDERS_INSECURE_NO_AUTH", "ORDERS_REQUIRE_IDEMPOTENCY_KEY"];
    expected.push("ORDERS_WEBHOOKS_ALLOW_PRIVATE");
    if cfg!(feature = "aws") {
        expected.extend(["ORDERS_FAIR_QUEUE", "ORDERS_FEED", "ORDERS_SEARCH_INDEX"]);
        expected.sort_unstable();
    }
    assert_eq!(switches, expected);
}

/// Runs a command that fails early, because its settings or its target are missing.
fn end(mut command: Command) -> (Option<i32>, String) {
    let output = command.env("AWS_EC2_METADATA_DISABLED", "true").output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn an_empty_variable_counts_as_unset() {
    for path in commands() {
        // The following commands keep running, succeed without any setting, or need a target. So the test
        // skips them.
        let others = ["serve", "load", "openapi", "asyncapi", "doctor", "config", "man"];
        if others.contains(&path[0].as_str()) {
            continue;
        }
        let folder = TempDir::new().unwrap();
        let run = |value: Option<&str>| {
            let mut command = orders(&path.iter().map(String::as_str).collect::<Vec<_>>());
            command.current_dir(folder.path());
            for (name, _) in variables(&path) {
                value.map(|value| command.env(name, value));
            }
            if path[0] == "dlq" {
                command.args(["--url", "http://127.0.0.1:9"]);
            }
            end(command)
        };
        let unset = run(None);
        assert_ne!(unset.0, Some(0), "{path:?}");
        for empty in ["", " "] {
            assert_eq!(run(Some(empty)), unset, "{path:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_starts_with_every_variable_empty() {
    let folder = TempDir::new().unwrap();
    let mut command = orders(&["serve", "--listen", "127.0.0.1:0"]);
    command.current_dir(folder.path());
    for (name, _) in variables(&["serve".to_owned()]) {
        command.env(name, "");
    }
    let mut service = Service::spawn(command);
    assert!(service.terminate().success());
    assert!(folder.path().join("orders-data").exists());
}

#[test]
fn switches_take_the_same_words() {
    for (name, _) in all_variables().into_iter().filter(|(_, is_switch)| *is_switch) {
        // The commands do not start. `serve` cannot create a data folder below a file, and a role on AWS lacks the
        // URL of the queue.
        let (role, later_error): (&[&str], _) = match name.as_str() {
            "ORDERS_FAIR_QUEUE" | "ORDERS_FEED" | "ORDERS_SEARCH_INDEX" => {
                (&["api", "--listen", "127.0.0.1:0"], "QUEUE_URL is not set")
            }
            _ => (&["serve", "--listen", "127.0.0.1:0", "--data", "/dev/null/data"], "/dev/null/data"),
        };
        let run = |value: &str| {
            let mut command = orders(role);
            command.env_remove("QUEUE_URL").env(&name, value);
            end(command)
        };
        for value in ["1", "true", "yes", "on", "TRUE", "0", "false", "no", "off"] {
            let (_, error) = run(value);
            assert!(error.contains(later_error), "{name}={value}: {error}");
        }
        for value in ["maybe", "2"] {
            let (code, error) = run(value);
            assert!(code != Some(0) && !error.contains(later_error), "{name}={value}: {error}");
            assert!(error.contains("neither 1, true, yes or on, nor 0, false, no or off"), "{error}");
        }
    }
}

#[test]
fn an_unknown_level_is_refused_with_the_list_of_levels() {
    let folder = TempDir::new().unwrap();
    for value in ["warning", "verbose", "orders=loud"] {
        let mut command = orders(&["export"]);
        command.current_dir(folder.path()).env("LOG_LEVEL", value);
        let (code, error) = end(command);
        assert_eq!(code, Some(1), "{error}");
        assert!(error.contains("the levels are off, error, warn, info, debug, trace"), "{error}");
    }
    for value in ["warn ", " INFO", "warn, consumer = info"] {
        let mut command = orders(&["export"]);
        command.current_dir(folder.path()).env("LOG_LEVEL", value);
        assert!(end(command).1.contains("there is no orders data folder"), "{value:?}");
    }
}
