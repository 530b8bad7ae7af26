//! Rules about the warm throughput of the table of orders and of its indexes.

use super::{CheckResults, Rule, Severity};
use crate::doctor::model::{Area, Attribute, Deployment};

const NEEDS: &[Area] = &[Area::Tables];
/// What a new table on demand takes at once
/// ([AWS](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/warm-throughput.html)).
const READS: f64 = 12_000.0;
const WRITES: f64 = 4_000.0;
/// The indexes that a new order is written to.
const INDEXES: [&str; 2] = ["customer-orders", "order-search"];

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "warm-throughput-low",
        severity: Severity::Error,
        needs: NEEDS,
        rule: "A warm throughput is at least 12000 reads and 4000 writes a second.",
        harm: "A table on demand has that from the beginning, and a warm throughput cannot be lowered: DynamoDB refuses the value.",
        remedy: "Raise read_units_per_second to at least 12000 and write_units_per_second to at least 4000, or remove warm_throughput.",
        check: warm_throughput_low,
    },
    Rule {
        id: "warm-throughput-index",
        severity: Severity::Warning,
        needs: NEEDS,
        rule: "The indexes customer-orders and order-search are as warm as their table.",
        harm: "Every new order writes to the index. If the index throttles writes, DynamoDB throttles those of the table as well, so warming the table has no effect.",
        remedy: "Set warm_throughput in the global_secondary_index too, with the table's write_units_per_second.",
        check: warm_throughput_index,
    },
];

fn warm_throughput_low(deployment: &Deployment, results: &mut CheckResults) {
    for table in &deployment.tables {
        let at = table.identity.shown();
        let of_indexes = table
            .warm_indexes
            .iter()
            .map(|(name, warm)| (format!("global_secondary_index.{name}.warm_throughput"), warm));
        for (place, warm) in [("warm_throughput".to_owned(), &table.warm)].into_iter().chain(of_indexes) {
            let Some(Some(warm)) = results.stated(at, &place, warm) else { continue };
            for (name, value, least) in [
                ("read_units_per_second", &warm.reads, READS),
                ("write_units_per_second", &warm.writes, WRITES),
            ] {
                let attribute = format!("{place}.{name}");
                let value = results.value_or(at, &attribute, value, least);
                if let Some(value) = value.filter(|value| *value < least) {
                    results.found(at, &attribute, value.to_string());
                }
            }
        }
    }
}

fn warm_throughput_index(deployment: &Deployment, results: &mut CheckResults) {
    for table in &deployment.tables {
        let at = table.identity.shown();
        let Attribute::Known(warm) = &table.warm else { continue };
        let Some(wanted) =
            results.value_or(at, "warm_throughput.write_units_per_second", &warm.writes, WRITES)
        else {
            continue;
        };
        for name in INDEXES {
            let attribute = format!("global_secondary_index.{name}.warm_throughput");
            let Some(index) = table.warm_indexes.get(name) else { continue };
            let writes = match results.stated(at, &attribute, index) {
                Some(Some(index)) => results.value_or(at, &attribute, &index.writes, WRITES),
                Some(None) => Some(WRITES),
                None => None,
            };
            if let Some(writes) = writes.filter(|writes| *writes < wanted) {
                results.found(at, &attribute, format!("{writes} writes a second, and {wanted} of the table"));
            }
        }
    }
}
