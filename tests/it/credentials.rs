//! Tests the credentials for the operators' commands. Tokens may come from files. Every setting refuses a URL that
//! contains a user name or a password, and the error does not print the URL.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::auth::{ISSUER, pair, publish, token_with_scope};
use crate::support::service::{Service, orders};

/// Runs a command to its end. Returns its exit code and everything that it printed.
fn run(mut command: Command) -> (Option<i32>, String) {
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

/// A service that requires tokens, and a token with which operators can call the service.
fn service_with_tokens(folder: &Path) -> (Service, String) {
    let (keys, pair) = (folder.join("jwks.json"), pair());
    publish(&keys, "k-1", &pair);
    let flags = [&["--jwks-file", keys.to_str().unwrap()][..], &ISSUER].concat();
    let token = token_with_scope("orders.operate", "k-1", &pair, 600);
    (Service::start(&folder.join("data"), &flags), token)
}

#[tokio::test(flavor = "multi_thread")]
async fn dlq_reads_its_token_from_a_file() {
    let folder = TempDir::new().unwrap();
    let (service, token) = service_with_tokens(folder.path());
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let list = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = orders(&["dlq", "list", "--url", &service.url]);
        command.args(arguments).envs(variables.iter().copied());
        run(command)
    };
    let (with_newline, without) = (file("token", &format!("{token}\n")), file("token-alone", &token));
    for (arguments, variables) in [
        (&["--token-file", &with_newline][..], &[][..]),
        (&["--token-file", &without], &[]),
        (&[], &[("ORDERS_TOKEN_FILE", with_newline.as_str())]),
        (&[], &[("ORDERS_TOKEN", &token)]),
    ] {
        let (code, text) = list(arguments, variables);
        assert_eq!((code, text.trim()), (Some(0), "no dead letters"), "{arguments:?} {variables:?}");
    }

    let missing = folder.path().join("missing").to_str().unwrap().to_owned();
    let other = file("other", &token_with_scope("orders.read", "k-1", &pair(), 600));
    for (arguments, variables, reason) in [
        (&[][..], &[][..], "ORDERS_TOKEN or --token-file"),
        (&["--token-file", &missing], &[], "No such file"),
        (&["--token-file", &file("empty", "")], &[], "it is empty"),
        (&["--token-file", &file("blank", " \n")], &[], "it is empty"),
        (&["--token-file", &file("two-lines", "a\nb")], &[], "the token is not one line of ASCII"),
        (&["--token-file", &other], &[], "ORDERS_TOKEN or --token-file"),
        (&["--token-file", &with_newline], &[("ORDERS_TOKEN", &*token)], "both set"),
    ] {
        let (code, text) = list(arguments, variables);
        assert!(code == Some(1) && text.contains(reason), "{arguments:?} {variables:?}: {code:?} {text}");
        assert!(!text.contains(&token), "{text}");
    }
}

/// Asserts that a command fails because the given setting contains a password, and that it does not print the
/// password.
#[track_caller]
fn assert_refused(command: Command, setting: &str) {
    let shown = format!("{command:?}");
    let (code, text) = run(command);
    assert!(code.is_some_and(|code| code != 0), "{shown}: {code:?} {text}");
    assert!(
        text.contains(setting) && text.contains("must not") && text.contains("password"),
        "{shown}: {text}"
    );
    assert!(!text.contains("s3cret"), "{shown}: {text}");
}

const URL: &str = "http://user:s3cret@127.0.0.1:9";

#[test]
fn the_url_of_a_service_must_not_contain_a_password() {
    let with = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = orders(arguments);
        command.envs(variables.iter().copied());
        command
    };
    assert_refused(with(&["dlq", "list", "--url", URL], &[]), "--url");
    assert_refused(with(&["dlq", "list"], &[("ORDERS_URL", URL)]), "--url");
    assert_refused(with(&["load", "--url", URL], &[]), "--url");
    assert_refused(with(&["load"], &[("ORDERS_URL", URL)]), "--url");
    assert_refused(with(&["load"], &[("ORDERS_LOAD_URL", URL)]), "--url");
    assert_refused(with(&["doctor", URL], &[]), "@127.0.0.1:9");
    assert_refused(with(&["doctor", "--url", URL], &[]), "--url");
}

#[cfg(feature = "aws")]
#[test]
fn the_url_of_a_queue_must_not_contain_a_password() {
    let queue = "https://user:s3cret@sqs.eu-central-1.amazonaws.com/123456789012/orders.fifo";
    let good = "https://sqs.eu-central-1.amazonaws.com/123456789012/orders.fifo";
    for (role, queue_url, dlq_url, setting) in [
        ("api", queue, good, "QUEUE_URL"),
        ("consumer", queue, good, "QUEUE_URL"),
        ("consumer", good, queue, "DLQ_URL"),
    ] {
        let mut command = orders(&[role]);
        command.env("QUEUE_URL", queue_url).env("DLQ_URL", dlq_url).env("TABLE_NAME", "orders");
        command.env("AWS_REGION", "eu-central-1").env("AWS_EC2_METADATA_DISABLED", "true");
        command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
        assert_refused(command, setting);
    }
}

#[cfg(feature = "otlp")]
#[test]
fn the_url_of_a_collector_must_not_contain_a_password() {
    let folder = TempDir::new().unwrap();
    for variable in ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] {
        let mut command = orders(&["serve", "--listen", "127.0.0.1:0", "--data"]);
        command.arg(folder.path().join("data")).env(variable, URL);
        assert_refused(command, variable);
    }
}
