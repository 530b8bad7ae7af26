//! Computes the bill in `docs/aws.md` again, and compares it with the page. To renew the page:
//! `UPDATE_DOCS=1 cargo test --all-features --bin orders the_bill`.

use std::fmt::Write;
use std::path::Path;

use super::*;

const BEGIN: &str = "<!-- The bill is computed. To renew it: UPDATE_DOCS=1 cargo test --all-features --bin orders the_bill -->\n";
const END: &str = "<!-- The end of the bill. -->\n";

/// The profiles at the place of [`RATES`], each with its bill of a million orders.
fn bills(place: usize) -> [AwsBill; 4] {
    PROFILES.map(|profile| bill(&Usage::of_a_million(&profile), &profile, place, true))
}

/// Millions of orders a month at the rate at this place of [`RATES`].
fn millions_a_month(place: usize) -> f64 {
    RATES[place] * HOURS_OF_MONTH * 3600.0 / 1e6
}

/// A million orders and their share of the fixed costs.
fn all_in(profile: &Profile, place: usize) -> f64 {
    bill(&Usage::of_a_million(profile), profile, place, true).total
        + fixed(profile, place).total / millions_a_month(place)
}

fn row(cells: impl IntoIterator<Item = String>) -> String {
    format!("| {} |\n", cells.into_iter().collect::<Vec<_>>().join(" | "))
}

fn header(cells: &[&str]) -> String {
    let line = cells.iter().map(|_| "---".to_owned());
    row(cells.iter().map(|cell| (*cell).to_owned())) + &row(line).replace("| ", "|").replace(" |", "|")
}

/// The names of the profiles after a first cell.
fn header_of_profiles(first: &str) -> String {
    let names: Vec<_> = std::iter::once(first).chain(PROFILES.iter().map(|profile| profile.name)).collect();
    header(&names)
}

/// A table with a row for each line that occurs in any of the bills, in dollars, and their totals.
fn table(first: &str, bills: &[AwsBill; 4]) -> String {
    let mut names: Vec<(&str, &str)> = Vec::new();
    for line in bills.iter().flat_map(|bill| &bill.lines) {
        if !names.contains(&(line.what, line.unit)) {
            names.push((line.what, line.unit));
        }
    }
    let mut table = header_of_profiles(first);
    for (what, unit) in names {
        let of = |bill: &AwsBill| {
            let line = bill.lines.iter().find(|line| (line.what, line.unit) == (what, unit));
            line.map_or("–".to_owned(), |line| format!("{:.2}", line.dollars))
        };
        table += &row(std::iter::once(format!("{what}: {unit}")).chain(bills.iter().map(of)));
    }
    let total = |bill: &AwsBill| format!("**{:.2}**", bill.total);
    table + &row(std::iter::once("**all**".to_owned()).chain(bills.iter().map(total)))
}

fn rates() -> String {
    let mut table = header_of_profiles("orders a second");
    for (place, rate) in RATES.iter().enumerate() {
        let orders = bills(place).map(|bill| format!("{:.2}", bill.total));
        table += &row(std::iter::once(format!("{rate}: a million orders")).chain(orders));
        let months = PROFILES.map(|profile| format!("{:.0}", fixed(&profile, place).total));
        table += &row(std::iter::once(format!("{rate}: fixed, a month")).chain(months));
        let all = PROFILES.map(|profile| format!("**{:.2}**", all_in(&profile, place)));
        table += &row(std::iter::once(format!("{rate}: a million orders, all in")).chain(all));
    }
    table
}

fn targets() -> String {
    let mut table = header(&["target, all in at 1,000 orders a second", "$", "computed", ""]);
    for profile in &PROFILES {
        let computed = all_in(profile, 2);
        let verdict = if computed <= profile.target { "met" } else { "**not met**" };
        let cells = [format!("{:.2}", profile.target), format!("{computed:.2}"), verdict.to_owned()];
        table += &row(std::iter::once(profile.name.to_owned()).chain(cells));
    }
    table
}

fn measured() -> String {
    let m = &*MEASURED;
    let mut table = header(&["measured, per ordinary order", ""]);
    let rows = [
        ("log entry, by DynamoDB's rules of size", format!("{} bytes", m.entry_bytes)),
        ("its entry in the index of customers' orders", format!("{} bytes", m.index_entry_bytes)),
        ("writing both", format!("{} write units", m.creation_write_units)),
        ("a later event, before the sixth", format!("{} write unit", m.event_write_units)),
        ("the ledger, for each batch", format!("{} write unit", m.batch_write_units)),
        ("looking up the idempotency key", format!("{} read units", m.key_read_units)),
        ("reading the order of a later event", format!("{} read unit", m.event_read_units)),
        ("the request, with its headers", format!("{} bytes", m.request_bytes)),
        ("its answer, with the headers", format!("{} bytes", m.answer_bytes)),
        ("a line of API Gateway's access log", format!("{} bytes", m.access_log_bytes)),
        ("the log of the API's function for a request", format!("{} bytes", m.api_log_bytes)),
        ("the log of the consumer's function for an invocation", format!("{} bytes", m.consumer_log_bytes)),
        ("metrics that functions write", format!("{}", m.watched_metrics)),
        ("metrics that alarms read", format!("{}", m.alarm_metrics)),
    ];
    for (what, value) in rows {
        table += &row([what.to_owned(), value]);
    }
    table
}

fn assumed() -> String {
    let a = &ASSUMPTIONS;
    let mut table = header_of_profiles("assumed");
    for (place, rate) in RATES.iter().enumerate() {
        let shared = PROFILES.map(|profile| {
            let shared = profile.sharing[place];
            format!("{}, {}, {}", shared.sent, shared.received, shared.counted)
        });
        let what =
            format!("{rate} orders a second: events that share a send, a receive, a write of the ledger");
        table += &row(std::iter::once(what).chain(shared));
    }
    let orders = PROFILES.map(|profile| profile.orders_of_request.to_string());
    table += &row(std::iter::once("orders of a request".to_owned()).chain(orders));
    let mut others = header(&["assumed, everywhere", ""]);
    let milliseconds = |seconds: f64| format!("{:.0} ms", seconds * 1000.0);
    let tasks = TASKS.map(|(count, cpus, memory)| format!("{count} of {cpus} vCPU and {memory} GB"));
    let rows = [
        ("memory of a function", format!("{:.0} MB, the default of the Terraform module", a.memory * 1024.0)),
        (
            "duration of a request in the API's function",
            format!("{}; each further order of a bulk adds a fifth", milliseconds(a.api_seconds)),
        ),
        ("duration of a batch in the consumer's function", milliseconds(a.consumer_seconds)),
        ("tasks, at each rate", tasks.join("; ")),
        ("provisioned capacity that is used", format!("{:.0} %", a.utilization * 100.0)),
        ("what CloudWatch adds to a log line", format!("{} bytes", a.log_line_overhead)),
        ("connections to the load balancer", format!("one for {} requests", 1.0 / a.connections_of_request)),
        (
            "polls of the queue and of the dead-letter queue",
            format!("{} at a time each, of {} s", a.pollers, a.poll_seconds),
        ),
    ];
    for (what, value) in rows {
        others += &row([what.to_owned(), value]);
    }
    format!("{table}\n{others}")
}

fn prices() -> String {
    let mut table = header(&["price", "$", "source"]);
    let file: serde_json::Value = serde_json::from_str(include_str!("prices.json")).unwrap();
    for (name, value) in file.as_object().unwrap().iter().filter(|(_, value)| value.is_object()) {
        let price: Price = serde_json::from_value(value.clone()).unwrap();
        let page = price.source.trim_start_matches("https://");
        let cells =
            [format!("`{name}`: {}", price.unit), price.text(), format!("[{page}]({})", price.source)];
        table += &row(cells);
    }
    table
}

/// What a million orders cost a month for as long as they are kept: with 100 bytes of overhead for an item and for an entry of an
/// index ([storage](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html)).
fn kept() -> (f64, f64) {
    let gigabytes = (MEASURED.entry_bytes + MEASURED.index_entry_bytes + 200.0) / 1000.0;
    (gigabytes, gigabytes * (PRICES.dynamodb_gb_month.each() + PRICES.dynamodb_backup_gb_month.each()))
}

fn page() -> String {
    let (gigabytes, a_month) = kept();
    let mut page = BEGIN.to_owned();
    let _ = write!(
        page,
        "\nIn US dollars, at the list prices of {}, {}, first tier, without free tiers. At each rate, \"all in\" adds the\n\
         fixed costs of a month, divided by the orders of that month:\n\n{}\n\
         {}\n\
         A million orders at 1,000 a second, line by line:\n\n{}\n\
         Fixed at 1,000 orders a second, a month:\n\n{}\n\
         A million orders that are kept are {gigabytes:.1} GB with their index entries, and cost ${a_month:.2} a month with\n\
         point-in-time recovery. Their logs cost ${:.2} a GB and month.\n\n{}\n{}\n{}\n",
        PRICES.region,
        PRICES.date,
        rates(),
        targets(),
        table("$, for a million orders", &bills(2)),
        table("$, a month", &PROFILES.map(|profile| fixed(&profile, 2))),
        PRICES.log_gb_month.each(),
        measured(),
        assumed(),
        prices(),
    );
    page + END
}

#[test]
fn the_bill_of_the_page_is_computed_from_the_price_file_and_the_measured_calls() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/aws.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("docs/aws.md has the bill");
    let (_, after) = rest.split_once(END).expect("docs/aws.md has the end of the bill");
    let renewed = format!("{before}{}{after}", page());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &renewed).unwrap();
    }
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(
        text == renewed,
        "docs/aws.md is stale; renew it: UPDATE_DOCS=1 cargo test --all-features --bin orders the_bill"
    );
}

#[test]
fn the_readme_states_the_computed_bill() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let [single, bulk, containers, provisioned] = PROFILES.map(|profile| all_in(&profile, 2));
    let sentence = format!(
        "${single:.2} for a million orders on Lambda, ${bulk:.2} in bulk, ${containers:.2} in containers, \
         ${provisioned:.2} with provisioned capacity; at 1,000 a second, everything in"
    );
    assert!(readme.contains(&sentence), "README.md must contain: {sentence}");
}

#[test]
fn every_price_names_its_page_and_the_page_is_of_aws() {
    let file: serde_json::Value = serde_json::from_str(include_str!("prices.json")).unwrap();
    let prices: Vec<_> = file.as_object().unwrap().values().filter(|value| value.is_object()).collect();
    assert!(prices.len() >= 26, "{}", prices.len());
    for price in prices {
        assert!(price["source"].as_str().unwrap().starts_with("https://aws.amazon.com/"), "{price}");
        assert!(price["dollars"].as_f64().unwrap() > 0.0 && price["per"].as_f64().unwrap() >= 1.0, "{price}");
    }
}
