//! Tests the doctor on the environment of a process, and on a running service.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use tempfile::TempDir;

use super::Report;
use crate::support::http;
use crate::support::service::{Service, orders};

fn environment(variables: &[(&str, &str)]) -> Report {
    let mut command = orders(&["doctor", "--json"]);
    command.envs(variables.iter().copied());
    Report::by(command)
}

#[cfg(feature = "embedded")]
#[test]
fn the_environment_of_the_service_is_checked() {
    assert_eq!(environment(&[]).code, Some(0), "the defaults have no problem");
    for (variables, expected) in [
        (&[("ORDERS_LISTEN", "0.0.0.0:80")][..], "environment-wrong orders serve ORDERS_JWKS_FILE"),
        (
            &[("ORDERS_LISTEN", "0.0.0.0:80"), ("ORDERS_INSECURE_NO_AUTH", "true")],
            "environment-open orders serve ORDERS_INSECURE_NO_AUTH",
        ),
        (&[("ORDERS_MAX_RECEIVES", "1")], "environment-receives-low orders serve ORDERS_MAX_RECEIVES"),
        (&[("ORDERS_RATE_LIMIT", "fast")], "environment-wrong orders serve ORDERS_RATE_LIMIT"),
        (&[("ORDERS_METRICS_LISTEN", "here")], "environment-wrong orders serve ORDERS_METRICS_LISTEN"),
        (&[("ORDERS_WEBHOOKS_TIMEOUT", "soon")], "environment-wrong orders serve ORDERS_WEBHOOKS_TIMEOUT"),
        (&[("ORDERS_ALERT_WEBHOOK", "pager")], "environment-wrong orders serve ORDERS_ALERT_WEBHOOK"),
    ] {
        let report = environment(variables);
        assert_eq!((report.findings(), report.code), (vec![expected.to_owned()], Some(1)), "{}", report.json);
    }
}

#[cfg(feature = "aws")]
#[test]
fn the_environment_of_a_role_is_checked() {
    let right = [
        ("AWS_REGION", "eu-central-1"),
        ("QUEUE_URL", "https://sqs.eu-central-1.amazonaws.com/1/orders.fifo"),
        ("DLQ_URL", "https://sqs.eu-central-1.amazonaws.com/1/orders-dlq.fifo"),
        ("TABLE_NAME", "orders"),
    ];
    let report = environment(&right);
    assert_eq!((report.code, report.findings().len()), (Some(0), 0), "{}", report.json);
    assert!(report.json["target"].as_str().unwrap().ends_with("orders consumer"));
    let mut wrong = right;
    wrong[2].1 = "https://sqs.eu-central-1.amazonaws.com/1/orders-dlq";
    wrong[3].1 = "";
    let report = environment(&wrong);
    let expected =
        ["environment-wrong orders consumer QUEUE_URL", "environment-wrong orders consumer TABLE_NAME"];
    assert_eq!(
        (report.findings(), report.code),
        (expected.map(str::to_owned).into(), Some(1)),
        "{}",
        report.json
    );
}

#[cfg(feature = "aws")]
#[test]
fn the_role_follows_from_the_variables_that_only_it_reads() {
    let right = [
        ("AWS_REGION", "eu-central-1"),
        ("QUEUE_URL", "https://sqs.eu-central-1.amazonaws.com/1/orders.fifo"),
        ("DLQ_URL", "https://sqs.eu-central-1.amazonaws.com/1/orders-dlq.fifo"),
        ("TABLE_NAME", "orders"),
        ("DLQ_BUCKET", "letters"),
        ("ALERTS_TOPIC", "arn:aws:sns:eu-central-1:1:alerts"),
    ];
    let checked = |variables: &[(&str, &str)]| {
        let report = environment(variables);
        (report.json["target"].as_str().unwrap().to_owned(), report.findings())
    };
    let (target, findings) = checked(&right);
    assert!(target.ends_with("orders dead-letters") && findings.is_empty(), "{target} {findings:?}");
    let mut wrong = right;
    wrong[4].1 = "Letters!";
    assert_eq!(checked(&wrong).1, ["environment-wrong orders dead-letters DLQ_BUCKET"]);
    let (target, findings) = checked(
        &[&right[..5], &[("ORDERS_LISTEN", "0.0.0.0:80"), ("ORDERS_INSECURE_NO_AUTH", "true")]].concat(),
    );
    assert!(target.ends_with("orders api"), "{target}");
    assert_eq!(findings, ["environment-open orders api ORDERS_INSECURE_NO_AUTH"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_as_it_starts_by_default_has_no_finding() {
    let folder = TempDir::new().unwrap();
    let service = Service::start(&folder.path().join("data"), &[]);
    let report = Report::of(&service.url);
    assert_eq!((report.findings(), report.code), (Vec::new(), Some(0)), "{}", report.json);
}

/// A gateway that is ready and serves metrics. The gateway either refuses or accepts all requests for orders.
fn gateway(refuses: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut stream = stream;
            let mut request = [0; 4096];
            let read = stream.read(&mut request).unwrap_or(0);
            let refused = refuses && String::from_utf8_lossy(&request[..read]).contains(" /v1/");
            let status = if refused { "401 Unauthorized" } else { "200 OK" };
            let _ = write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
    url
}

#[test]
fn a_service_is_checked_for_authentication_and_reachability() {
    let url = gateway(true);
    let report = Report::of(&url);
    assert_eq!((report.findings(), report.code), (Vec::new(), Some(0)), "{}", report.json);

    // The gateway at an address that other machines can reach, without TLS.
    for refuses in [true, false] {
        let outside = gateway(refuses).replace("127.0.0.1", "0.0.0.0");
        let report = Report::of(&outside);
        let open = (!refuses).then(|| format!("service-open {outside} /v1/orders"));
        let mut expected: Vec<_> = open.into_iter().collect();
        expected.push(format!("service-in-the-clear {outside}"));
        expected.push(format!("service-metrics-public {outside} /metrics"));
        expected.sort();
        assert_eq!(report.findings(), expected, "{}", report.json);
        assert_eq!(report.code, Some(i32::from(!refuses)));
    }

    let report = Report::of(&format!("http://127.0.0.1:{}", http::free_port()));
    assert_eq!(report.code, Some(1));
    assert_eq!(report.found("service-not-ready").len(), 1, "{}", report.json);
    assert!(
        report.left_open("service-open") && report.left_open("service-metrics-public"),
        "{}",
        report.json
    );
}
