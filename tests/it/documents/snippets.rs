//! Checks that every shell snippet of the documents runs, in interactive bash and in interactive zsh, against a live
//! service.
//!
//! A document is one session. Its snippets are typed in order into one shell, with a separate service on a free port.
//! Each command must succeed. The printed text is compared with the output that the document shows. That output is the
//! rest of a `console` block, or the next block if its fence says `output`. In the document, `…` matches any text, and
//! ids and times may differ.
//!
//! Some texts in the snippets are replaced so that the snippets can run: see [`Session::typed`].
//!
//! A comment directly before a block changes how the block is tested:
//!
//! | comment | meaning |
//! |---|---|
//! | `<!-- not run: REASON -->` | The block cannot run in the test, for this reason. |
//! | `<!-- run with the service stopped -->` | The document's service is stopped before the block, and stays stopped. |

use std::fs;
use std::os::unix::fs::PermissionsExt;

use axum::Router;
use axum::http::StatusCode;
use regex::Regex;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::markdown::{Block, Document, documents};
use super::shell::{Kind, Shell};
use crate::dlq;
use crate::support::http;
use crate::support::service::{Service, order, run};

const SHELLS: [&str; 5] = ["bash", "console", "sh", "shell", "zsh"];
const OTHERS: [&str; 9] = ["hcl", "http", "ini", "json", "mermaid", "python", "rust", "text", "toml"];

/// The data that a document's service contains before the first snippet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Given {
    Nothing,
    /// A confirmed order with two dead letters: a payment that was cut off, and a shipment.
    DeadLetters,
    /// A webhook subscription with a receiver, and an order. The service may post to private addresses.
    Receiver,
    /// An order, and empty resources on AWS.
    Aws,
}

/// The shell session in which the snippets of one document run.
struct Session {
    folder: TempDir,
    url: String,
    service: Option<Service>,
    /// Texts in snippets and outputs, each with the text that replaces it. The replacements are made in this order.
    replaced: Vec<(String, String)>,
    /// Further variables of the shell.
    variables: Vec<(String, String)>,
}

impl Session {
    async fn start(given: Given) -> Self {
        let folder = TempDir::new().unwrap();
        let data = folder.path().join("orders-data");
        let mut replaced = Vec::new();
        let flags: &[&str] = if given == Given::Receiver { &["--webhooks-allow-private"] } else { &[] };
        let mut service = Service::start(&data, flags);
        if given == Given::Receiver {
            replaced = subscribed(&service).await;
        }
        if given == Given::DeadLetters {
            let receipt = service.accept("/v1/orders", &order("c-1")).await;
            let id = receipt["order_id"].as_str().unwrap().to_owned();
            let events = format!("/v1/orders/{id}/events");
            let receipt = service.accept(&events, &json!({ "type": "order_confirmed" })).await;
            service.outcome(&receipt).await;
            assert!(service.terminate().success());
            let archive = folder.path().join("given");
            fs::create_dir(&archive).unwrap();
            fs::write(archive.join("payment-4711"), cut_payment(&id)).unwrap();
            let imported = run(&["dlq", "import", archive.to_str().unwrap()], &data);
            assert!(imported.status.success(), "{imported:?}");
            service = Service::start(&data, &[]);
            let shipment =
                json!({ "type": "order_shipped", "data": { "carrier": "DHL", "tracking_number": "JD01" } });
            service.accept(&events, &shipment).await;
            let id_of_order = domain::OrderId::parse(&id).unwrap();
            dlq::wait_for_parked(&service, &id_of_order, 2).await;
            let shipment = dlq::ids(&service).pop().unwrap();
            replaced.push(("01a20f6a-d3cd-76e2-b916-b16130e86e86".to_owned(), id));
            replaced.push(("4-7c2e90ab".to_owned(), shipment));
        }
        let mut variables = Vec::new();
        if given == Given::Aws {
            let receipt = service.accept("/v1/orders", &order("c-1")).await;
            service.outcome(&receipt).await;
            variables = resources().await;
        }
        let url = service.url.clone();
        replaced.push(("https://orders.example".to_owned(), url.clone()));
        replaced.push(("http://127.0.0.1:8080".to_owned(), url.clone()));
        replaced.push(("cargo run --release -- ".to_owned(), "orders ".to_owned()));
        Self { folder, url, service: Some(service), replaced, variables }
    }

    /// Inserts the ids and addresses of this session into a text of the document.
    fn replace(&self, text: &str) -> String {
        self.replaced.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    }

    /// The text that is typed for a snippet. It contains the service's address and the tested program, and shortens
    /// load tests.
    fn typed(&self, text: &str) -> String {
        let text = self.replace(text);
        let text = Regex::new("--duration [0-9]+").unwrap().replace_all(&text, "--duration 1");
        Regex::new("--rate [0-9]+").unwrap().replace_all(&text, "--rate 100").into_owned()
    }

    /// A shell in the folder that contains `orders-data`. In this shell, `$EDITOR` completes the payment that was cut
    /// off.
    fn shell(&self, kind: Kind, notes: &TempDir) -> Shell {
        let editor = notes.path().join("editor");
        fs::write(&editor, "#!/bin/sh\nprintf '00}}' >> \"$1\"\n").unwrap();
        fs::set_permissions(&editor, fs::Permissions::from_mode(0o755)).unwrap();
        let variables = [
            ("ORDERS_URL", self.url.as_str()),
            ("ORDERS_LOAD_URL", self.url.as_str()),
            ("EDITOR", editor.to_str().unwrap()),
        ];
        let further = self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let variables: Vec<_> = variables.into_iter().chain(further).collect();
        Shell::start(kind, self.folder.path(), notes.path(), &variables)
    }
}

/// The variables of empty resources on AWS.
#[cfg(feature = "aws")]
async fn resources() -> Vec<(String, String)> {
    let command = crate::aws::resources::Resources::open().await.command(&[]);
    let text = |text: &std::ffi::OsStr| text.to_str().unwrap().to_owned();
    command.get_envs().filter_map(|(name, value)| Some((text(name), text(value?)))).collect()
}

#[cfg(not(feature = "aws"))]
async fn resources() -> Vec<(String, String)> {
    panic!("the document is about AWS, and this build has no AWS");
}

/// Starts a receiver that accepts everything, subscribes it, and creates an order. Returns the URL and the ids that
/// the document shows, each with the actual value that replaces it.
async fn subscribed(service: &Service) -> Vec<(String, String)> {
    let url = http::serve(Router::new().fallback(async || StatusCode::NO_CONTENT)).await;
    let body = json!({ "url": url });
    let created = service.ask(Method::POST, "/v1/webhooks", &[], Some(&body)).await.body;
    let order = service.accept("/v1/orders", &order("c-1")).await;
    service.outcome(&order).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    vec![
        ("http://127.0.0.1:9000".to_owned(), url),
        ("01a20f6a-d3cd-76e2-b916-b16130e86e86".to_owned(), text(&created["id"])),
        ("019ab0c2-7d1e-7cc3-98c4-dc0c0c07398f".to_owned(), text(&order["order_id"])),
    ]
}

/// A payment of the order. The JSON of the payment is cut off.
fn cut_payment(order_id: &str) -> String {
    format!(
        "{{\"event_id\":\"0199d3a0-0000-7000-8000-00000000beef\",\"type\":\"order_paid\",\"schema_version\":1,\
         \"timestamp\":\"2026-11-24T21:16:30Z\",\"correlation_id\":\"checkout-4711\",\
         \"data\":{{\"order_id\":\"{order_id}\",\"payment_id\":\"p-1\",\"amount\":9"
    )
}

/// Makes outputs of different runs comparable: replaces or removes UUIDs, times and whitespace.
fn comparable(text: &str) -> String {
    let uuid = Regex::new("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").unwrap();
    let time = Regex::new(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z?").unwrap();
    let text = uuid.replace_all(text, "UUID");
    let text = time.replace_all(&text, "TIME");
    text.chars().filter(|character| !character.is_whitespace()).collect()
}

/// Whether a document shows the printed text. Spaces and line breaks are ignored.
fn shows(shown: &str, printed: &str) -> bool {
    let (shown, printed) = (comparable(shown), comparable(printed));
    let parts: Vec<&str> = shown.split('…').collect();
    let Some(mut rest) = printed.strip_prefix(parts[0]) else { return false };
    let Some((last, middle)) = parts[1..].split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// The commands of a block, each with the output that the document shows for it.
fn commands(block: &Block) -> Vec<(String, Option<String>)> {
    if block.language != "console" {
        return vec![(block.text.clone(), None)];
    }
    let mut commands: Vec<(String, Option<String>)> = Vec::new();
    for line in block.text.lines() {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(command), _) => commands.push((command.to_owned(), Some(String::new()))),
            (None, Some((_, Some(output)))) => *output += &format!("{line}\n"),
            _ => panic!("line {}: a console block begins with a command", block.line),
        }
    }
    commands
}

async fn check(path: &str, given: Given) {
    let document = Document::read(path);
    for kind in Kind::ALL {
        let notes = TempDir::new().unwrap();
        let mut session = Session::start(given).await;
        let mut shell = session.shell(kind, &notes);
        let mut printed: Option<String> = None;
        for block in document.blocks() {
            let place = format!("{path}:{} in {kind:?}", block.line);
            if block.is_output {
                let printed =
                    printed.take().unwrap_or_else(|| panic!("{place}: no commands precede this output"));
                assert!(shows(&session.replace(&block.text), &printed), "{place}: it printed\n{printed}");
            }
            if !SHELLS.contains(&block.language.as_str()) {
                continue;
            }
            match block.mark.as_deref() {
                Some(mark) if mark.starts_with("not run: ") => continue,
                Some("run with the service stopped") => {
                    if let Some(mut service) = session.service.take() {
                        assert!(service.terminate().success());
                    }
                }
                Some(mark) => panic!("{place}: the comment {mark:?} is unknown"),
                None => {}
            }
            let mut all = String::new();
            for (command, shown) in commands(&block) {
                let ran = shell.type_lines(&session.typed(&command));
                assert!(ran.failures.is_empty(), "{place}: {command}\n{}\n{}", ran.stdout, ran.failures);
                if let Some(shown) = shown {
                    let shown = session.replace(&shown);
                    assert!(shows(&shown, &ran.stdout), "{place}: {command}\nprinted\n{}", ran.stdout);
                }
                all += &ran.stdout;
            }
            printed = Some(all);
        }
    }
}

macro_rules! checked {
    ($($name:ident: $path:literal with $given:ident;)*) => {
        const CHECKED: &[&str] = &[$($path),*];

        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                check($path, Given::$given).await;
            }
        )*
    };
}

checked! {
    the_snippets_of_the_readme_run: "README.md" with Nothing;
    the_snippets_about_configuration_run: "docs/configuration.md" with Nothing;
    the_snippets_for_integrators_run: "docs/api.md" with Nothing;
    the_snippets_for_operators_run: "docs/operations.md" with DeadLetters;
    the_snippets_about_backups_run: "docs/backups.md" with DeadLetters;
    the_snippets_about_moving_run: "docs/moving.md" with Aws;
    the_snippets_about_webhooks_run: "docs/webhooks.md" with Receiver;
    the_snippets_about_load_tests_run: "docs/load-tests.md" with Nothing;
    the_snippets_of_the_examples_run: "examples/README.md" with Nothing;
}

#[test]
fn no_snippet_is_left_out() {
    let typed = Regex::new(r"^( {4}|\t)\$?\s*([A-Z_]+=\S+ )*(cargo|curl|orders|terraform) ").unwrap();
    for document in documents() {
        for (number, line) in document.prose() {
            assert!(!typed.is_match(line), "{}:{number}: put commands between fences", document.path);
        }
        for block in document.blocks() {
            let place = format!("{}:{}", document.path, block.line);
            let language = block.language.as_str();
            assert!(SHELLS.contains(&language) || OTHERS.contains(&language), "{place}: which language?");
            if !SHELLS.contains(&language) {
                continue;
            }
            for line in block.text.lines() {
                let has_comment = line.trim_start().starts_with('#') || line.contains(" #");
                let is_output = language == "console" && !line.starts_with("$ ");
                assert!(is_output || !has_comment, "{place}: an interactive zsh accepts no comments: {line}");
            }
            let mark = block.mark.unwrap_or_default();
            let is_run = CHECKED.contains(&document.path.as_str());
            assert!(is_run || mark.starts_with("not run: "), "{place}: the block is neither run nor marked");
        }
    }
}

#[test]
fn an_output_is_compared_with_what_was_printed() {
    for (shown, printed) in [
        ("a b\n", "a  b"),
        ("a…d", "a b c d"),
        ("…d", "d"),
        ("a … c … e", "abcde"),
        ("{\"at\":\"2026-11-24T21:16:31Z\"}", "{ \"at\": \"2026-11-29T00:00:00.123456Z\" }"),
        ("01a20f6a-d3cd-76e2-b916-b16130e86e86", "01a20f6a-d3cd-76e2-b916-b16130e86e87"),
    ] {
        assert!(shows(shown, printed), "{shown}: {printed}");
    }
    for (shown, printed) in [("a", "b"), ("a", "ab"), ("a…c", "abcd"), ("a…b…c", "ac"), ("", "a")] {
        assert!(!shows(shown, printed), "{shown}: {printed}");
    }
}
