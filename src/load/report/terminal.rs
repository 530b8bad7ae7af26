//! The report as text for a terminal.

use std::fmt::Write;

use super::{LatencyQuantiles, LoadReport};
use crate::load::cost::ProfileEstimate;
use crate::load::latency_text::latency_text;
use crate::load::options::LoopMode;

pub(super) fn text(report: &LoadReport) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write_all(report, &mut out);
    out
}

fn write_all(report: &LoadReport, out: &mut String) -> std::fmt::Result {
    let (figures, configuration) = (&report.figures, &report.configuration);
    let loop_mode = match configuration.loop_mode {
        LoopMode::Open { rate, arrivals } => format!("open loop, {rate}/s, {arrivals:?}").to_lowercase(),
        LoopMode::Closed => format!("closed loop, {} connections", configuration.connections),
    };
    writeln!(
        out,
        "{} · {loop_mode} · {} s · {}",
        configuration.url, configuration.duration, configuration.mix
    )?;
    writeln!(out, "from {}\n", report.machine.describe())?;
    let (requests, events) = (figures.requests_per_second, figures.accepted_per_second);
    writeln!(out, "{requests:.0} requests/s, {events:.0} accepted events/s")?;
    if figures.unsent > 0 {
        writeln!(
            out,
            "{} requests were due but not sent by the end: the service did not keep up",
            figures.unsent
        )?;
    }
    if figures.retries > 0 {
        writeln!(out, "{} of {} retries were answered as replays", figures.replayed, figures.retries)?;
    }
    if figures.recovered > 0 {
        writeln!(
            out,
            "{} writes got no answer at first, and were answered as replays when they were sent again",
            figures.recovered
        )?;
    }
    latencies(report, out)?;
    errors(report, out)?;
    audit(report, out)?;
    cost(report, out)
}

fn latencies(report: &LoadReport, out: &mut String) -> std::fmt::Result {
    writeln!(
        out,
        "\n{:<20}{:>10}{:>11}{:>11}{:>11}{:>11}{:>11}",
        "", "count", "p50", "p90", "p99", "p99.9", "max"
    )?;
    let mut line = |name: &str, of: &LatencyQuantiles| {
        let text = |micros| if of.count > 0 { latency_text(micros) } else { "–".to_owned() };
        let [p50, p90, p99, p99_9, max] = [of.p50, of.p90, of.p99, of.p99_9, of.max].map(text);
        writeln!(out, "{name:<20}{:>10}{p50:>11}{p90:>11}{p99:>11}{p99_9:>11}{max:>11}", of.count)
    };
    line("accepted", &report.latency.accept.quantiles)?;
    line("accepted → recorded", &report.latency.recorded.quantiles)?;
    if let Some(webhooks) = &report.webhooks {
        line("recorded → webhook", &webhooks.latency)?;
    }
    for of in report.latency.kinds.iter().filter(|of| of.quantiles.count > 0) {
        line(&format!("  {}", of.kind.as_str()), &of.quantiles)?;
    }
    writeln!(
        out,
        "accepted: from the send time to the 202; recorded: from the 202 until the service reports the event as recorded"
    )
}

fn errors(report: &LoadReport, out: &mut String) -> std::fmt::Result {
    let errors = &report.errors;
    if errors.sum() + errors.unanswered == 0 {
        return Ok(());
    }
    let counts = [
        (errors.connect, "without a connection"),
        (errors.broken, "on a broken connection"),
        (errors.timed_out, "timed out"),
        (errors.server, "answered with 5xx"),
        (errors.throttled, "answered with 429"),
        (errors.unexpected, "answered wrongly"),
        (errors.unanswered, "never answered"),
    ];
    let texts: Vec<_> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    writeln!(out, "\nfailed attempts: {}", texts.join(", "))
}

fn audit(report: &LoadReport, out: &mut String) -> std::fmt::Result {
    let (audit, outcomes) = (&report.audit, &report.audit.outcomes);
    let verdict = if audit.clean { "clean" } else { "NOT CLEAN" };
    writeln!(out, "\naudit: {verdict}, {} orders in {:.1} s", outcomes.orders, audit.seconds)?;
    writeln!(
        out,
        "  {} accepted = {} recorded + {} rejected + {} parked + {} without an outcome",
        outcomes.accepted, outcomes.recorded, outcomes.rejected, outcomes.parked, outcomes.lost
    )?;
    match &audit.ledger {
        Some(ledgers) => {
            let (before, after) = (&ledgers.before, &ledgers.after);
            let [accepted, recorded, rejected, duplicate, parked] = [
                (before.accepted, after.accepted),
                (before.recorded, after.recorded),
                (before.rejected, after.rejected),
                (before.duplicate, after.duplicate),
                (before.parked, after.parked),
            ]
            .map(|(before, after)| i128::from(after) - i128::from(before));
            let approximate = if after.exact { "" } else { " (approximate)" };
            writeln!(
                out,
                "  the service's ledger{approximate}: {accepted:+} accepted, {recorded:+} recorded, {rejected:+} rejected, \
                 {duplicate:+} duplicate, {parked:+} parked"
            )?;
        }
        None => writeln!(out, "  the service has no ledger to compare with (GET /v1/pipeline)")?,
    }
    if let Some(webhooks) = &report.webhooks {
        let (events, repeated) = (webhooks.events, webhooks.repeated);
        writeln!(out, "  webhooks: {events} events arrived, {repeated} deliveries were repeats")?;
    }
    audit.findings.lines().iter().try_for_each(|line| writeln!(out, "  {line}"))
}

fn cost(report: &LoadReport, out: &mut String) -> std::fmt::Result {
    let cost = &report.cost;
    let orders = cost.per_million_orders.map_or_else(String::new, |per_million| {
        format!(", ${per_million:.2} per million orders, including the other requests of the mix")
    });
    write!(
        out,
        "\non AWS: ${:.4}{orders} ({}, {}); ",
        cost.bill.total, cost.prices.region, cost.prices.date
    )?;
    writeln!(out, "the audit costs another ${:.4}, and a feed of the events ${:.4}", cost.audit, cost.feed)?;
    let profile = |profile: &ProfileEstimate| {
        let orders =
            profile.per_million_orders.map_or_else(String::new, |dollars| format!("${dollars:.2} and "));
        format!("{} {orders}${:.0} a month", profile.name, profile.fixed_a_month)
    };
    let profiles: Vec<_> = cost.profiles.iter().map(profile).collect();
    write!(out, "  per million orders, and fixed: {}", profiles.join("; "))
}
