//! Rules about the DynamoDB table.

use super::{CheckResults, Rule, Severity};
use crate::doctor::model::{Area, Deployment, DynamoTable, LambdaFunction};
use crate::doctor::topology::FunctionJob;

const NEEDS: &[Area] = &[Area::Tables];
/// The index of customers' orders, with its keys.
const INDEX: (&str, [&str; 2]) = ("customer-orders", ["customer_id", "listed_at"]);
/// The search index, with its keys.
pub(super) const SEARCH_INDEX: (&str, [&str; 2]) = ("order-search", ["search_list", "search_at"]);

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "table-missing",
        severity: Severity::Error,
        needs: &[Area::Tables, Area::Functions],
        rule: "The table that functions use is part of the configuration.",
        harm: "The other rules cannot check that the table has the right keys, can be restored and is protected from deletion.",
        remedy: "Declare the table: aws_dynamodb_table.",
        check: table_missing,
    },
    Rule {
        id: "table-keys",
        severity: Severity::Error,
        needs: NEEDS,
        rule: "The table has the keys pk and sk.",
        harm: "DynamoDB refuses every read and write: all messages become dead letters.",
        remedy: "Set hash_key to pk and range_key to sk.",
        check: table_keys,
    },
    Rule {
        id: "table-index",
        severity: Severity::Error,
        needs: NEEDS,
        rule: "The table has an index customer-orders with the keys customer_id and listed_at.",
        harm: "A customer's orders cannot be listed: GET /v1/orders fails.",
        remedy: "Add the global secondary index customer-orders with hash key customer_id and range key listed_at, projecting only the keys.",
        check: table_index,
    },
    Rule {
        id: "table-search-index",
        severity: Severity::Error,
        needs: NEEDS,
        rule: "If ORDERS_SEARCH_INDEX is on, the table has an index order-search with the keys search_list and search_at.",
        harm: "Orders cannot be found across customers: GET /v1/orders without customer_id fails.",
        remedy: "Set table.search_index to true in the module, or add the global secondary index order-search, with hash key search_list, range key search_at and the attributes status, payment_status and fulfilment_status projected. Or turn ORDERS_SEARCH_INDEX off.",
        check: table_search_index,
    },
    Rule {
        id: "search-index-by-one-role",
        severity: Severity::Error,
        needs: &[Area::Functions],
        rule: "ORDERS_SEARCH_INDEX is on for both the API and the consumer, or for neither.",
        harm: "If ORDERS_SEARCH_INDEX is on only for the API, the index is empty and no order is found. If it is on only for the consumer, every change adds to the cost of an index that nobody reads.",
        remedy: "Set ORDERS_SEARCH_INDEX to the same value for the API and the consumer.",
        check: search_index_by_one_role,
    },
    Rule {
        id: "table-not-recoverable",
        severity: Severity::Warning,
        needs: NEEDS,
        rule: "The table has point-in-time recovery.",
        harm: "Data that is deleted by a fault or by mistake cannot be restored, because the order log is the only copy.",
        remedy: "Set point_in_time_recovery { enabled = true }.",
        check: table_not_recoverable,
    },
    Rule {
        id: "table-not-protected",
        severity: Severity::Warning,
        needs: NEEDS,
        rule: "The table is protected from deletion.",
        harm: "A wrong plan, or a single call, deletes every order.",
        remedy: "Set deletion_protection_enabled to true.",
        check: table_not_protected,
    },
];

fn table_missing(deployment: &Deployment, results: &mut CheckResults) {
    if !deployment.tables.is_empty() {
        return;
    }
    for function in deployment.functions.iter().filter(|function| Deployment::is_ours(function)) {
        let named = function.environment.known().and_then(|variables| variables.get("TABLE_NAME"));
        if let Some(name) = named {
            let name = name.known().map_or_else(|| "a table".to_owned(), ToString::to_string);
            results.found(
                function.identity.shown(),
                "environment.TABLE_NAME",
                format!("{name}, which is not declared"),
            );
        }
    }
}

/// The tables that functions of this program may use. All tables, if the deployment has no functions.
fn in_use(deployment: &Deployment) -> impl Iterator<Item = &DynamoTable> {
    let ours: Vec<_> = deployment.functions.iter().filter(|function| Deployment::is_ours(function)).collect();
    deployment.tables.iter().filter(move |table| {
        let names = |function: &&LambdaFunction| {
            let named = function.environment.known().and_then(|variables| variables.get("TABLE_NAME"));
            // An unknown table name may be the name of this table.
            named.is_none_or(|named| {
                named.known().is_none_or(|named| named.means(&table.identity) != Some(false))
            })
        };
        deployment.functions.is_empty() || ours.iter().any(names)
    })
}

fn table_keys(deployment: &Deployment, results: &mut CheckResults) {
    for table in in_use(deployment) {
        let at = table.identity.shown();
        let keys = results.value_or(at, "hash_key", &table.keys, Vec::new());
        if let Some(keys) = keys.filter(|keys| *keys != ["pk", "sk"]) {
            results.found(at, "hash_key", format!("the keys {}", keys.join(", ")));
        }
    }
}

fn table_index(deployment: &Deployment, results: &mut CheckResults) {
    has_index(deployment, results, INDEX);
}

fn table_search_index(deployment: &Deployment, results: &mut CheckResults) {
    let mut ours = deployment.functions.iter().filter(|function| Deployment::is_ours(function));
    if deployment.search_index || ours.any(|function| searches(function) == Some(true)) {
        has_index(deployment, results, SEARCH_INDEX);
    }
}

/// Whether the function uses the search index; `None` if that is not known.
pub(super) fn searches(function: &LambdaFunction) -> Option<bool> {
    let Some(value) = function.environment.known()?.get("ORDERS_SEARCH_INDEX") else { return Some(false) };
    crate::variables::switch(&value.known()?.text).ok()
}

fn search_index_by_one_role(deployment: &Deployment, results: &mut CheckResults) {
    let of = |job: FunctionJob| {
        let ours = deployment.functions.iter().filter(|function| Deployment::is_ours(function));
        ours.filter(move |function| deployment.job(function) == job)
    };
    for (job, other) in [(FunctionJob::Api, FunctionJob::Consumer), (FunctionJob::Consumer, FunctionJob::Api)]
    {
        let is_off = of(other).any(|function| searches(function) == Some(false));
        for function in of(job).filter(|function| is_off && searches(function) == Some(true)) {
            let at = function.identity.shown();
            results.found(at, "environment.ORDERS_SEARCH_INDEX", "on for this function only");
        }
    }
}

/// Checks that the tables have an index with these keys.
fn has_index(
    deployment: &Deployment,
    results: &mut CheckResults,
    (name, needed): (&'static str, [&'static str; 2]),
) {
    for table in in_use(deployment) {
        let at = table.identity.shown();
        let Some(indexes) =
            results.value_or(at, "global_secondary_index", &table.indexes, Default::default())
        else {
            continue;
        };
        match indexes.get(name) {
            Some(keys) if *keys == needed => {}
            Some(keys) => results.found(
                at,
                "global_secondary_index",
                format!("{name} with the keys {}", keys.join(", ")),
            ),
            None => results.found(at, "global_secondary_index", format!("no index {name}")),
        }
    }
}

fn table_not_recoverable(deployment: &Deployment, results: &mut CheckResults) {
    for table in &deployment.tables {
        let at = table.identity.shown();
        if results.value_or(at, "point_in_time_recovery", &table.recovery, false) == Some(false) {
            results.found(at, "point_in_time_recovery", "off");
        }
    }
}

fn table_not_protected(deployment: &Deployment, results: &mut CheckResults) {
    for table in &deployment.tables {
        let at = table.identity.shown();
        if results.value_or(at, "deletion_protection_enabled", &table.protection, false) == Some(false) {
            results.found(at, "deletion_protection_enabled", "off");
        }
    }
}
