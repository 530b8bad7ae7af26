//! Tests archives of dead letters: which files `orders dlq export` writes, and which archives `orders dlq
//! import` accepts.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use axum::Router;
use axum::extract::Path as Segment;
use axum::routing::get;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::http::serve;
use crate::support::service::{Service, orders, run};

/// A payment of the given order, as a message.
fn payment(order: &str) -> String {
    json!({ "event_id": uuid::Uuid::now_v7(), "type": "order_paid", "schema_version": 1, "correlation_id": "r",
            "timestamp": "2026-11-23T10:00:00Z", "data": { "order_id": order, "payment_id": "p", "amount": 900 } })
    .to_string()
}

/// A dead letter in the format of an archive.
fn letter(id: &str, order: &str, body: &str) -> Value {
    json!({ "id": id, "reason": "tries_exhausted", "detail": "x", "order_id": order, "origin": "here", "receive_count": 5,
            "sent_at": "2026-11-23T10:00:00Z", "parked_at": "2026-11-23T11:00:00Z", "body": body })
}

/// Runs an import, which must end with the given exit code. Returns the printed text.
#[track_caller]
fn import(archive: &Path, data: &Path, code: i32) -> String {
    let output = run(&["dlq", "import", archive.to_str().unwrap()], data);
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}

/// The dead letters of a data folder, sorted by id.
async fn letters(data: &Path) -> Vec<Value> {
    let service = Service::start(data, &[]);
    let (_, list) = service.get("/v1/dead-letters?limit=200").await;
    let mut letters = Vec::new();
    for summary in list["items"].as_array().unwrap() {
        letters.push(service.get(&format!("/v1/dead-letters/{}", summary["id"].as_str().unwrap())).await.1);
    }
    letters.sort_by_key(|letter| letter["id"].as_str().unwrap().to_owned());
    letters
}

fn of<'a>(letters: &'a [Value], id: &str) -> &'a Value {
    letters.iter().find(|letter| letter["id"] == id).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bare_message_whose_id_exists_is_a_conflict_and_replaces_nothing() {
    let folder = TempDir::new().unwrap();
    let (archive, data) = (folder.path().join("archive"), folder.path().join("data"));
    for day in ["1", "2"] {
        fs::create_dir_all(archive.join(day)).unwrap();
    }
    fs::write(archive.join("m-1.json"), payment("o-1")).unwrap();
    fs::write(archive.join("m-1.txt"), payment("o-2")).unwrap();
    fs::write(archive.join("1/m-2.json"), payment("o-3")).unwrap();
    fs::write(archive.join("2/m-2.json"), payment("o-4")).unwrap();
    let text = import(&archive, &data, 1);
    assert!(text.contains("2 added, 0 repaired, 0 already there"), "{text}");
    for place in ["archive/m-1.txt: the id m-1 is taken by", "archive/2/m-2.json: the id m-2 is taken by"] {
        assert!(text.contains(place), "{text}");
    }
    let text = import(&archive, &data, 1);
    assert!(text.contains("0 added, 0 repaired, 2 already there"), "{text}");
    let there = letters(&data).await;
    assert_eq!((there.len(), &of(&there, "m-1")["order_id"]), (2, &json!("o-1")));
    assert_eq!(of(&there, "m-2")["order_id"], "o-3");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_archived_form_of_the_same_dead_letter_repairs_it() {
    let folder = TempDir::new().unwrap();
    let (archive, data) = (folder.path().join("archive"), folder.path().join("data"));
    fs::create_dir(&archive).unwrap();
    let bodies = ["o-1", "o-2", "o-3", "o-4"].map(payment);
    for (number, body) in (1..).zip(&bodies) {
        let json = letter(&format!("p{number}"), &format!("o-{number}"), body);
        fs::write(archive.join(format!("p{number}.json")), json.to_string()).unwrap();
    }
    import(&archive, &data, 0);

    fs::write(archive.join("p1.json"), "junk").unwrap();
    fs::write(archive.join("p2.json"), letter("p2", "o-9", &payment("o-9")).to_string()).unwrap();
    let mut later = letter("p3", "o-3", &payment("o-3"));
    later["sent_at"] = json!("2026-11-24T10:00:00Z");
    fs::write(archive.join("p3.json"), later.to_string()).unwrap();
    let right = payment("o-4");
    fs::write(archive.join("p4.json"), letter("p4", "o-4", &right).to_string()).unwrap();
    let text = import(&archive, &data, 1);
    assert!(text.contains("0 added, 1 repaired, 0 already there"), "{text}");
    for why in [
        "p1.json: the id p1 is taken by another dead letter",
        "belongs to order o-2, and the imported dead letter to order o-9",
        "the stored dead letter p3 was sent at",
    ] {
        assert!(text.contains(why), "{text}");
    }
    let there = letters(&data).await;
    for (number, body) in (1..).zip(&bodies[..3]) {
        assert_eq!(of(&there, &format!("p{number}"))["body"], **body);
    }
    let repaired = of(&there, "p4");
    assert_eq!((&repaired["body"], &repaired["original"]["body"]), (&json!(right), &json!(bodies[3])));
    assert_eq!(repaired["repairs"][0]["by"], "orders dlq import");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_original_and_a_repaired_form_the_repaired_one_is_imported() {
    let folder = TempDir::new().unwrap();
    let (archive, data) = (folder.path().join("archive"), folder.path().join("data"));
    let (sent, right) = (payment("o-1"), payment("o-1"));
    let mut repaired = letter("m-1", "o-1", &right);
    repaired["original"] = json!({ "body": sent });
    for (place, letter) in [("failed", letter("m-1", "o-1", &sent)), ("repaired", repaired)] {
        fs::create_dir_all(archive.join(place)).unwrap();
        fs::write(archive.join(place).join("m-1.json"), letter.to_string()).unwrap();
    }
    assert!(import(&archive, &data, 0).contains("1 added, 0 repaired, 1 already there"));
    assert_eq!(letters(&data).await[0]["body"], right);
}

#[tokio::test(flavor = "multi_thread")]
async fn links_pipes_and_huge_files_are_reported_and_not_imported() {
    let folder = TempDir::new().unwrap();
    let (archive, data) = (folder.path().join("archive"), folder.path().join("data"));
    fs::create_dir_all(archive.join("day")).unwrap();
    fs::write(archive.join("day/m-1.json"), payment("o-1")).unwrap();
    fs::write(folder.path().join("outside.json"), payment("o-2")).unwrap();
    symlink("nowhere", archive.join("dangling.json")).unwrap();
    symlink("../outside.json", archive.join("followed.json")).unwrap();
    symlink("..", archive.join("day/loop")).unwrap();
    assert!(Command::new("mkfifo").arg(archive.join("pipe.json")).status().unwrap().success());
    fs::File::create(archive.join("huge.json")).unwrap().set_len(1 << 40).unwrap();
    let text = import(&archive, &data, 1);
    assert!(text.contains("1 added, 0 repaired, 0 already there"), "{text}");
    for (name, why) in [
        ("dangling.json", "links are not followed"),
        ("followed.json", "links are not followed"),
        ("day/loop", "links are not followed"),
        ("pipe.json", "the path is a pipe"),
        ("huge.json", "larger than any dead letter"),
    ] {
        let line = text.lines().find(|line| line.contains(&format!("archive/{name}: ")));
        assert!(line.is_some_and(|line| line.contains(why)), "{name}: {text}");
    }
    let none = import(&folder.path().join("none"), &data, 1);
    assert!(none.contains("none") && none.contains("No such file"), "{none}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_imported_dead_letters_raise_one_alert() {
    const LETTERS: usize = 1200;
    let folder = TempDir::new().unwrap();
    let (archive, data) = (folder.path().join("archive"), folder.path().join("data"));
    fs::create_dir(&archive).unwrap();
    for number in 0..LETTERS {
        fs::write(archive.join(format!("m-{number}.json")), payment(&format!("o-{}", number / 2))).unwrap();
    }
    assert!(import(&archive, &data, 0).contains("1200 added"));
    let mut command = orders(&["serve", "--listen", "127.0.0.1:0", "--data"]);
    command.arg(&data).env("ORDERS_MIN_FREE_DISK", "1");
    let (mut service, alert) = Service::spawn_until(command, "dead letters: nothing is lost");
    assert_eq!((&alert["count"], &alert["orders"]), (&json!(LETTERS), &json!(LETTERS / 2)));
    service.kill();
    assert!(!service.rest_of_log().contains("dead letters: nothing is lost"));
    let service = Service::start(&data, &[]);
    let ledger = service.get("/v1/pipeline").await.1["ledger"].clone();
    assert_eq!((&ledger["parked"], &ledger["balanced"]), (&json!(LETTERS), &json!(true)));
}

/// A service that lists dead letters with the given ids. For the id `liar`, its answer contains a different
/// id.
async fn service_with_ids(ids: Vec<&'static str>) -> String {
    let summary = |id: &str| {
        json!({ "id": id, "state": "parked", "reason": "malformed", "detail": "x", "parked_at": "2026-11-23T10:00:00Z",
                "receive_count": 1, "replays": 0, "body": "x" })
    };
    let page = json!({ "items": ids.iter().map(|id| summary(id)).collect::<Vec<_>>(), "next_cursor": null });
    let one = async move |Segment(id): Segment<String>| {
        axum::Json(summary(if id == "liar" { "../escaped" } else { &id }))
    };
    let router = Router::new()
        .route("/v1/dead-letters", get(async move || axum::Json(page.clone())))
        .route("/v1/dead-letters/{id}", get(one));
    serve(router).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_writes_nothing_outside_its_folder_and_replaces_nothing() {
    let folder = TempDir::new().unwrap();
    let bad = vec![
        "../escaped",
        "/tmp/orders-escaped",
        "",
        ".",
        "..",
        "a\0b",
        "a/b",
        "\u{1b}[2J",
        "liar",
        "linked",
        "there",
    ];
    let count = bad.len();
    let url = service_with_ids([&["good"][..], &bad].concat()).await;
    let target = folder.path().join("target");
    fs::create_dir(&target).unwrap();
    symlink("../escaped.json", target.join("linked.json")).unwrap();
    fs::write(target.join("there.json"), "mine").unwrap();
    let export = || {
        let output = orders(&["dlq", "export", "--url", &url]).arg(&target).output().unwrap();
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    for _ in 0..2 {
        let (code, text) = export();
        assert_eq!(code, Some(1), "{text}");
        assert!(
            text.contains("1 dead letters written")
                && text.contains(&format!("{count} dead letters could not be written")),
            "{text}"
        );
        assert!(text.contains("../escaped") && text.contains("there.json already exists"), "{text}");
        assert!(!text.contains('\u{1b}') && !text.contains('\0'), "{text:?}");
    }
    let mut names: Vec<_> = fs::read_dir(&target).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["good.json", "linked.json", "there.json"]);
    assert!(!folder.path().join("escaped.json").exists() && !Path::new("/tmp/orders-escaped.json").exists());
    assert_eq!(fs::read_to_string(target.join("there.json")).unwrap(), "mine");
}
