//! Examples of the operator endpoints: a payment whose message was truncated, and a shipment that is parked after it.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::{DeadLetter, EventType, Ledger, ParkReason, Prediction, Timestamp};
use serde_json::{Value, json};

use crate::http::LinkBuilder;
use crate::operations::{BackupReport, ParkedSequence, PipelineCounters, StoredBackup};
use crate::operator::{
    DeadLetterBody, DeadLetterPage, DeadLetterSummary, FenceBody, PipelineBody, PipelineHistoryBody,
    RedriveBody, RedriveEffect, RedriveItem,
};
use crate::pipeline_history::{Percentiles, PipelineSample, Rates};

use crate::ports::fence::Fence;

use super::{envelope, message, to_json};

/// The parked sequence of the examples: first the payment, then the shipment.
fn line() -> [DeadLetter; 2] {
    let paid = message(EventType::Paid).to_string();
    let cut = paid.as_bytes()[..paid.len() - 2].to_vec();
    let shipped = message(EventType::Shipped).to_string().into_bytes();
    let at = |event_type| envelope(&message(event_type)).timestamp;
    let why = |reason: &str| reason.to_owned();
    let broken = why(
        "the message is not an event envelope: the JSON ends in the middle of an object at line 1 column 280",
    );
    let behind = why("an earlier event of the same order is a dead letter");
    [
        DeadLetter::new("4711", cut, ParkReason::Malformed, broken, at(EventType::Paid)),
        DeadLetter::new("4715", shipped, ParkReason::BehindParked, behind, at(EventType::Shipped)),
    ]
}

/// Examples of the request body of `operation`: the name, the summary and the value of each example.
pub(super) fn of_request(operation: &str) -> Vec<(&'static str, &'static str, Value)> {
    match operation {
        "redriveDeadLetters" => vec![
            ("dry", "Predict a redrive of all dead letters", json!({ "all": true, "dry_run": true })),
            ("order", "Redrive the dead letters of one order", json!({ "order_id": super::ORDER })),
        ],
        "repairDeadLetter" => {
            let whole = message(EventType::Paid).to_string();
            vec![("whole", "The complete payment instead of a truncated one", json!({ "body": whole }))]
        }
        "discardDeadLetter" => {
            vec![(
                "twice",
                "Discard with a reason, which the receipt shows",
                json!({ "reason": "The payment was made twice." }),
            )]
        }
        "setFence" => vec![(
            "moved",
            "Close the service, and show clients the new address",
            json!({ "address": "https://orders.example" }),
        )],
        _ => vec![],
    }
}

/// Examples of a body with the schema `name`: the name, the summary and the value of each example.
pub(super) fn of_schema(name: &str) -> Vec<(&'static str, &'static str, Value)> {
    let (line, links) = (line(), LinkBuilder::at_root());
    let behind = RedriveEffect::Predicted(Prediction::FollowsParked);
    match name {
        "DeadLetterPage" => {
            let items = line.iter().rev().map(|letter| DeadLetterSummary::of(letter, &links)).collect();
            vec![("last", "The last page", to_json(DeadLetterPage::of(items, None)))]
        }
        "DeadLetter" => {
            let shipment = line[1].clone();
            let line = ParkedSequence { letters: line.into(), is_longer: false };
            let letter = DeadLetterBody::of(&shipment, &line, &behind, &links);
            vec![("behind", "A shipment that is parked after its payment", to_json(letter))]
        }
        "RedriveResult" => {
            let effects = [1, 2].map(|after| RedriveEffect::Predicted(Prediction::WouldRecord(after + 2)));
            let items =
                line.iter().zip(&effects).map(|(letter, effect)| RedriveItem::of(letter, effect)).collect();
            let counts = BTreeMap::from([("would_record", 2)]);
            let body = RedriveBody {
                dry_run: true,
                items,
                counts,
                remaining: false,
                lines_cut: false,
                next_cursor: None,
            };
            vec![("dry", "A dry run after the payment was repaired", to_json(body))]
        }
        "Fence" => fences(),
        "PipelineHistory" => vec![("quiet", "A sample of a quiet service", to_json(history()))],
        "Pipeline" => pipelines(),
        _ => vec![],
    }
}

fn pipelines() -> Vec<(&'static str, &'static str, Value)> {
    let ledger = Ledger { accepted: 5, recorded: 2, parked: 2, ..Ledger::default() };
    let oldest = Some(Duration::from_millis(40));
    let numbers = PipelineCounters {
        ledger,
        visible: 1,
        in_flight: 0,
        delayed: 0,
        oldest,
        dead_letters: 2,
        exact: true,
        counts_accepted: true,
    };
    let time = Timestamp::parse("2026-11-02T09:05:00Z").expect("a valid time");
    let backup = BackupReport {
        target: "s3://backups/orders".to_owned(),
        last: Some(StoredBackup { number: 12, time, position: 1 }),
        lag: Some(Duration::from_secs(12)),
        lag_events: Some(1),
        failures: 0,
        bytes_written: 20_480,
        error: None,
    };
    vec![(
        "waiting",
        "One event in flight, two dead letters, and a continuous backup",
        to_json(PipelineBody::of(&numbers, Some(backup))),
    )]
}

fn history() -> PipelineHistoryBody {
    let percentiles =
        |p50, p99| Percentiles { p50: Duration::from_micros(p50), p99: Duration::from_micros(p99) };
    PipelineHistoryBody::of(Some(vec![PipelineSample {
        at: Timestamp::parse("2026-11-02T09:05:00Z").expect("a valid time"),
        rates: Some(Rates { accepted: 12.5, recorded: 12.4, rejected: 0.1 }),
        publish: Some(percentiles(1_400, 6_000)),
        record: Some(percentiles(1_600, 6_200)),
        queue_depth: 1,
        queue_oldest: Some(Duration::from_millis(40)),
        dead_letters: 2,
        disk_free: Some(48_318_382_080),
        backup_lag: Some(Duration::from_secs(12)),
        webhook_lag: None,
    }]))
}

fn fences() -> Vec<(&'static str, &'static str, Value)> {
    let since = Timestamp::parse("2026-11-02T09:05:00Z").expect("a valid time");
    let fence = Fence { since, address: Some("https://orders.example".to_owned()), is_final: false };
    vec![
        ("closed", "The service accepts no writes", to_json(FenceBody::of(Some(fence)))),
        ("open", "The service accepts writes", to_json(FenceBody::of(None))),
    ]
}
