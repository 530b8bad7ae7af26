//! Runs the programs in `examples/` against a live service.

use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::here;
use crate::support::service::Service;

/// Runs an example with each of these programs in turn. Returns the output of each run.
fn outputs(example: &str, programs: &[&str]) -> Vec<String> {
    let folder = TempDir::new().unwrap();
    let service = Service::start(&folder.path().join("data"), &[]);
    let run = |program: &&str| {
        let mut command = Command::new(program);
        command.arg(here(example)).arg(&service.url).stdin(Stdio::null());
        let output = command.output().unwrap_or_else(|error| panic!("{program}: {error}"));
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        assert!(output.status.success(), "{program} {example}: {stdout}{stderr}");
        stdout
    };
    programs.iter().map(run).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_curl_script_takes_an_order_from_created_to_delivered() {
    for printed in outputs("examples/order.sh", &["sh", "bash", "zsh"]) {
        assert!(printed.lines().last().unwrap_or_default().contains("delivered"), "{printed}");
        assert!(printed.contains("409"), "an illegal event is answered with a problem: {printed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_client_takes_an_order_from_created_to_delivered() {
    for printed in outputs("examples/client.py", &["python3"]) {
        assert!(printed.contains("is delivered"), "{printed}");
        assert!(printed.contains("one order, though it was sent twice"), "{printed}");
    }
}
