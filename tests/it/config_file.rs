//! Tests the configuration file, and `orders config`, which shows where each value comes from.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::support::service::{Service, orders};

/// A folder that contains a configuration file with the given text.
struct Configured {
    folder: TempDir,
    file: PathBuf,
}

impl Configured {
    fn with(text: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("orders.toml");
        std::fs::write(&file, text).unwrap();
        Self { folder, file }
    }

    /// A command that finds the configuration file through the environment variable.
    fn orders(&self, arguments: &[&str]) -> Command {
        let mut command = orders(arguments);
        command.env("ORDERS_CONFIG", &self.file);
        command
    }
}

/// The exit code, the printed text, and the errors.
fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// The value and the source of a setting, as `orders config` shows them.
fn shown(command: &mut Command, setting: &str) -> (String, String) {
    let (code, table, error) = run(command);
    assert_eq!(code, Some(0), "{error}");
    let row = table.lines().find(|line| line.split_whitespace().next() == Some(setting));
    let row = row.unwrap_or_else(|| panic!("no {setting} in:\n{table}"));
    let cells: Vec<_> = row.split("  ").filter(|cell| !cell.is_empty()).map(str::trim).collect();
    (cells[1].to_owned(), cells[2].to_owned())
}

#[test]
fn a_flag_wins_over_a_variable_over_the_file_over_the_default() {
    let configured = Configured::with("# Where to listen.\nlisten = \"127.0.0.1:1\"\n");
    let line_2 = format!("file {}, line 2", configured.file.display());
    let from = |arguments: &[&str], variable: Option<&str>| {
        let mut command = configured.orders(arguments);
        variable.map(|value| command.env("ORDERS_LISTEN", value));
        shown(&mut command, "listen")
    };
    let flag = ["config", "serve", "--listen", "127.0.0.1:3"];
    let pair = |value: &str, source: &str| (value.to_owned(), source.to_owned());
    assert_eq!(from(&flag, Some("127.0.0.1:2")), pair("127.0.0.1:3", "flag --listen"));
    assert_eq!(
        from(&["config", "serve"], Some("127.0.0.1:2")),
        pair("127.0.0.1:2", "variable ORDERS_LISTEN")
    );
    assert_eq!(from(&["config", "serve"], Some("")), pair("127.0.0.1:1", &line_2), "empty is unset");
    assert_eq!(from(&["config", "serve"], None), pair("127.0.0.1:1", &line_2));
    assert_eq!(shown(&mut orders(&["config", "serve"]), "listen"), pair("127.0.0.1:8080", "default"));
    // Without a command, `config` shows the settings of `serve`. A flag can also name the file.
    let file = configured.file.to_str().unwrap();
    assert_eq!(
        shown(&mut orders(&["config", "--config", file, "--listen", "127.0.0.1:3"]), "listen").0,
        "127.0.0.1:3"
    );
    assert_eq!(
        shown(&mut orders(&["--config", file, "config", "serve"]), "listen"),
        pair("127.0.0.1:1", &line_2)
    );
}

#[test]
fn every_setting_is_listed_with_its_commands() {
    let (code, table, error) = run(&mut orders(&["config"]));
    assert_eq!((code, error.as_str()), (Some(0), ""));
    let row = |setting: &str| {
        let found = table.lines().find(|line| line.starts_with(&format!("{setting} ")));
        found
            .unwrap_or_else(|| panic!("no {setting} in:\n{table}"))
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert!(row("log-level").ends_with("default all"), "{}", row("log-level"));
    assert!(row("jwks-file").starts_with("jwks-file - not set serve"), "{}", row("jwks-file"));
    assert!(row("always-queue").starts_with("always-queue false default serve"), "{}", row("always-queue"));
    assert!(table.contains("dlq") && table.contains("load"), "{table}");
    let (_, table, _) = run(&mut orders(&["config", "dlq", "list"]));
    assert!(!table.contains("listen") && table.contains("token-file"), "{table}");
}

#[test]
fn an_invalid_value_is_shown_as_it_is() {
    let mut command = orders(&["config", "serve"]);
    command.env("ORDERS_MAX_RECEIVES", "often");
    assert_eq!(
        shown(&mut command, "max-receives"),
        ("often".to_owned(), "variable ORDERS_MAX_RECEIVES".to_owned())
    );
}

#[test]
fn secrets_are_masked_wherever_they_come_from() {
    let configured =
        Configured::with("[dlq]\ntoken = \"s3cret\"\n[serve]\nalert-webhook-secret = \"s3cret\"\n");
    for (mut command, setting) in [
        (configured.orders(&["config", "dlq", "list"]), "token"),
        (configured.orders(&["config", "serve"]), "alert-webhook-secret"),
        (orders(&["config", "dlq", "list", "--token", "s3cret"]), "token"),
    ] {
        let (code, table, error) = run(&mut command);
        assert_eq!(code, Some(0), "{error}");
        assert!(!table.contains("s3cret"), "{table}");
        assert_eq!(shown(&mut command, setting).0, "(hidden)");
    }
    let mut command = orders(&["config", "serve"]);
    command.env("ORDERS_JWKS_URL", "https://me:s3cret@login.example/jwks?key=s3cret");
    assert_eq!(shown(&mut command, "jwks-url").0, "https://…@login.example/jwks?…");
    let help = run(&mut configured.orders(&["dlq", "list", "--help"])).1;
    assert!(!help.contains("s3cret"), "{help}");
}

#[test]
fn whatever_is_wrong_in_a_file_is_named_by_file_line_and_key() {
    for (text, problems) in [
        ("lsten = \"127.0.0.1:1\"\n", &["line 1: `lsten` is not a setting"][..]),
        ("\nlisten = 8080\n", &["line 2: `listen` must be a string, not an integer"]),
        ("max-connections = \"many\"\n", &["line 1: `max-connections` must be a number, not a string"]),
        ("always-queue = 1\n", &["line 1: `always-queue` must be true or false, not an integer"]),
        ("listen = [\"127.0.0.1:1\"]\n", &["line 1: `listen` must be a string, not an array"]),
        ("listen = \"here\"\n", &["line 1: `listen` cannot be \"here\": is not an address and a port"]),
        ("max-receives = 0\n", &["line 1: `max-receives` cannot be \"0\": 0 is not in 1.."]),
        ("listen = \"127.0.0.1:1\"\nlisten = \"127.0.0.1:2\"\n", &["line 2: duplicate key (`listen`)"]),
        ("listen = \n", &["line 1: ", "(`listen`)"]),
        ("[serve]\nurl = \"http://127.0.0.1:1\"\n", &["line 2: `url` is not a setting of `orders serve`"]),
        ("[srve]\nlisten = \"127.0.0.1:1\"\n", &["line 1: `srve` is not a setting"]),
        ("config = \"other.toml\"\n", &["line 1: `config` is not a setting"]),
        ("a = 1\n\nb = 2\n", &["line 1: `a` is not a setting", "line 3: `b` is not a setting"]),
    ] {
        let configured = Configured::with(text);
        let data = configured.folder.path().join("data");
        let (code, _, error) = run(configured.orders(&["serve"]).arg("--data").arg(&data));
        assert_eq!(code, Some(2), "{text}: {error}");
        assert!(error.starts_with("error: ") && error.contains(configured.file.to_str().unwrap()), "{error}");
        for problem in problems {
            assert!(error.contains(problem), "{text}: {error}");
        }
        assert!(!data.exists());
        assert_eq!(
            run(&mut configured.orders(&["config"])).2,
            error,
            "`orders config` reports the same error"
        );
        assert_eq!(run(&mut configured.orders(&["--help"])).0, Some(0), "the help does not read the file");
    }
}

#[test]
fn errors_of_a_file_contain_no_secret() {
    for text in [
        "token = \"s3cret\n",
        "token = \"s3cret\" x\n",
        "token = [\"s3cret\"]\n",
        "token = s3cret\n",
        "token = \"s3cret\"\ntoken = \"s3cret\"\n",
        "alert-webhook = { \"s3cret\" = 1 }\n",
    ] {
        let (code, _, error) = run(&mut Configured::with(text).orders(&["dlq", "list"]));
        assert_eq!(code, Some(2), "{text}");
        assert!(error.contains("line ") && !error.contains("s3cret"), "{text}: {error}");
    }
}

#[test]
fn a_file_that_is_named_must_be_there() {
    let (code, _, error) = run(&mut orders(&["export", "--config", "/nowhere/orders.toml"]));
    assert_eq!(code, Some(2));
    assert!(error.contains("cannot read the configuration file /nowhere/orders.toml"), "{error}");
    let (_, _, error) = run(orders(&["export", "--data", "/nowhere"]).env("ORDERS_CONFIG", ""));
    assert!(error.contains("there is no orders data folder"), "an empty variable counts as unset: {error}");
}

#[test]
fn a_table_holds_for_its_command_and_wins_there() {
    let configured = Configured::with(
        "url = \"http://127.0.0.1:1\"\nlog-level = \"warn\"\nrate-limit = 100\n[load]\nurl = \"http://127.0.0.1:2\"\n",
    );
    let value = |arguments: &[&str], setting| shown(&mut configured.orders(arguments), setting).0;
    assert_eq!(value(&["config", "dlq", "list"], "url"), "http://127.0.0.1:1");
    assert_eq!(value(&["config", "load"], "url"), "http://127.0.0.1:2");
    assert_eq!(value(&["config", "load"], "log-level"), "warn");
    assert_eq!(value(&["config", "serve"], "rate-limit"), "100");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_runs_with_the_settings_of_its_file() {
    let configured = Configured::with("");
    let data = configured.folder.path().join("data");
    let text = format!(
        "listen = \"127.0.0.1:0\"\ndata = {data:?}\nmin-free-disk = 1\nrequire-idempotency-key = true\nmax-queue-depth = 10_000\n"
    );
    std::fs::write(&configured.file, text).unwrap();
    let mut service = Service::spawn(configured.orders(&[]));
    let order = crate::support::service::order("c-1");
    let refused = service.ask(reqwest::Method::POST, "/v1/orders", &[], Some(&order)).await;
    refused.is_problem(400, "idempotency-key-required");
    assert!(service.terminate().success());
    assert!(data.exists());

    // An environment variable can turn off a switch that the file turns on.
    let mut command = configured.orders(&["serve"]);
    command.env("ORDERS_REQUIRE_IDEMPOTENCY_KEY", "false");
    let service = Service::spawn(command);
    service.accept("/v1/orders", &order).await;
}

#[cfg(feature = "doctor")]
#[test]
fn the_doctor_checks_the_settings_of_the_file() {
    let configured = Configured::with("[serve]\nmax-receives = 1\n");
    let file = configured.file.to_str().unwrap();
    let (code, report, error) = run(&mut orders(&["doctor", "--config", file]));
    assert_eq!(code, Some(1), "{error}");
    assert!(report.contains("environment-receives-low"), "{report}");
}
