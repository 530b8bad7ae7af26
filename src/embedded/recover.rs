//! Implements `orders recover`, which discards unreadable data of a damaged data folder and reports what it discards.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use infra::embedded::recover::{LostEvent, LostEventState, Recovery};
use serde_json::json;

use super::maintenance::{rebuild, require_existing};
use super::{RebuildArgs, RecoverArgs};

/// The maximum number of orders to print. The report contains all of them.
const MAX_ORDERS_SHOWN: usize = 20;

/// Recovers the folder. With `--dry-run`, only reports what would be lost.
pub(crate) async fn recover(args: &RecoverArgs) -> anyhow::Result<()> {
    require_existing(&args.data)?;
    let (path, dry_run) = (args.data.data.clone(), args.dry_run);
    let stamp = infra::now().to_string().replace(':', "");
    let copy = path.join(format!("recovered-{stamp}"));
    let kept = copy.clone();
    let work = move || infra::embedded::recover::recover(&path, &copy, dry_run);
    let recovery = tokio::task::spawn_blocking(work).await??;
    print(&recovery, dry_run)?;
    if dry_run || recovery.found.is_none() {
        return Ok(());
    }
    if recovery.copy.is_some() {
        write_report(&kept, &recovery).with_context(|| format!("the report in {}", kept.display()))?;
        crate::print(&format!(
            "{} contains the data that was cut off, report.json, and the readable lost events in lost-events.jsonl",
            kept.display()
        ))?;
    }
    rebuild(&RebuildArgs { data: args.data.clone(), check: false, remove_orphans: false }).await
}

fn print(recovery: &Recovery, dry_run: bool) -> anyhow::Result<()> {
    let Some(found) = &recovery.found else { return crate::print("nothing is wrong with this folder") };
    crate::print(&format!("found: {found}"))?;
    if recovery.unreadable_commits > 0 {
        let commits = recovery.unreadable_commits;
        crate::print(&format!(
            "{commits} commits cannot be read at all: it is not known which orders they belong to"
        ))?;
    }
    let orders = by_order(&recovery.events);
    if !orders.is_empty() {
        let (events, verb) =
            (recovery.events.len(), if dry_run { "would be cut off" } else { "were cut off" });
        crate::print(&format!("{events} readable events of {} orders {verb}:", orders.len()))?;
        for (order_id, events) in orders.iter().take(MAX_ORDERS_SHOWN) {
            let events: Vec<_> = events.iter().map(|event| describe(event)).collect();
            crate::print(&format!("  order {order_id}: {}", events.join(", ")))?;
        }
        if orders.len() > MAX_ORDERS_SHOWN {
            crate::print(&format!("  … and {} more orders", orders.len() - MAX_ORDERS_SHOWN))?;
        }
    }
    if let Some((before, after)) = recovery.accepted {
        crate::print(&format!("the ledger counted {before} accepted events, and counts {after} now"))?;
    }
    if dry_run {
        crate::print(
            "nothing was changed; without --dry-run, the data is cut off, and a copy of the data is kept",
        )?;
    }
    Ok(())
}

fn describe(event: &LostEvent) -> String {
    let version = event.version.map(|version| format!(" (version {version})")).unwrap_or_default();
    let state = match event.fate {
        LostEventState::Recorded => ", still recorded",
        LostEventState::Lost => ", lost",
        LostEventState::Unknown => "",
    };
    format!("{}{version}{state}", event.event_type)
}

fn by_order(events: &[LostEvent]) -> BTreeMap<&str, Vec<&LostEvent>> {
    let mut orders: BTreeMap<&str, Vec<&LostEvent>> = BTreeMap::new();
    events.iter().for_each(|event| orders.entry(event.order_id.as_str()).or_default().push(event));
    orders
}

fn write_report(folder: &Path, recovery: &Recovery) -> anyhow::Result<()> {
    let orders: Vec<_> = by_order(&recovery.events)
        .into_iter()
        .map(|(order_id, events)| {
            let events: Vec<_> = events
                .iter()
                .map(|event| {
                    json!({
                        "event_id": event.event_id, "type": event.event_type,
                        "version": event.version, "fate": event.fate,
                    })
                })
                .collect();
            json!({ "order_id": order_id, "events": events })
        })
        .collect();
    let report = json!({
        "found": recovery.found,
        "unreadable_commits": recovery.unreadable_commits,
        "accepted_before": recovery.accepted.map(|(before, _)| before),
        "accepted_after": recovery.accepted.map(|(_, after)| after),
        "orders": orders,
    });
    fs::write(folder.join("report.json"), serde_json::to_vec_pretty(&report)?)?;
    let mut lost = Vec::new();
    for event in recovery.events.iter().filter(|event| event.fate == LostEventState::Lost) {
        serde_json::to_writer(&mut lost, &event.envelope)?;
        writeln!(lost)?;
    }
    Ok(fs::write(folder.join("lost-events.jsonl"), lost)?)
}
