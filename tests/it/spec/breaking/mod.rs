//! Finds changes to the descriptions that break clients of the last release.
//!
//! `openapi/released/` contains both descriptions as of the last release. If this test reports a change, a client
//! written for that release may fail. If the change is not intended, undo it. An intended change needs a release with a
//! new major version, whose announcement contains the list that this test prints. For that release, raise `version` in
//! `Cargo.toml`, renew both descriptions, and copy them to `openapi/released/` in the same commit. Every release ends
//! with that copy, even a release without breaking changes.
//!
//! | part | a change breaks clients if |
//! |---|---|
//! | path, operation, message, content type | it was removed |
//! | operation | its id changed, or it needs credentials and did not before |
//! | parameter, request header | it was removed, or became required |
//! | status, response header, message attribute | it was removed |
//! | what clients send ([`Side::Sent`]) | fewer types, values, members or variants are accepted; a limit is tighter; more is required |
//! | what clients receive ([`Side::Received`]) | more types, values or variants are possible; a member was removed or may be absent |
//!
//! There is one exception. A successful answer may become a union with a discriminator, if the variants are the
//! contents of the operation's successful answers in the released description. Clients can distinguish these variants.

mod messages;
mod operations;
mod rules;
mod schemas;

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

/// Who writes the values that a schema describes: the client or the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    /// The client.
    Sent,
    /// The service.
    Received,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct BreakingChange {
    /// A JSON pointer into the new description. If the part was removed, it points into the old description.
    pointer: String,
    what: String,
}

impl fmt::Display for BreakingChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.pointer, self.what)
    }
}

/// The released description, the current one, and the breaking changes found so far.
#[derive(Clone)]
struct Comparison<'a> {
    old: &'a Value,
    new: &'a Value,
    found: BTreeSet<BreakingChange>,
    /// The references that were already followed. Schemas can refer to themselves, so the comparison must not follow a
    /// reference twice.
    followed: BTreeSet<(String, String, Side)>,
}

impl<'a> Comparison<'a> {
    fn new(old: &'a Value, new: &'a Value) -> Self {
        Self { old, new, found: BTreeSet::new(), followed: BTreeSet::new() }
    }

    fn report(&mut self, pointer: &str, what: impl Into<String>) {
        self.found.insert(BreakingChange { pointer: pointer.to_owned(), what: what.into() });
    }
}

/// The target of a reference, with the pointer to the target. If `value` is not a reference, returns `at` and `value`.
fn resolved<'a>(document: &'a Value, at: &str, value: &'a Value) -> (String, &'a Value) {
    let reference = value["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    match reference.and_then(|pointer| Some((pointer, document.pointer(pointer)?))) {
        Some((pointer, target)) => resolved(document, pointer, target),
        None => (at.to_owned(), value),
    }
}

/// The members of an object. Other values have no members.
fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn broken_in_openapi(old: &Value, new: &Value) -> Vec<String> {
    let mut comparison = Comparison::new(old, new);
    comparison.operations();
    comparison.found.iter().map(ToString::to_string).collect()
}

fn broken_in_asyncapi(old: &Value, new: &Value) -> Vec<String> {
    let mut comparison = Comparison::new(old, new);
    comparison.messages();
    comparison.found.iter().map(ToString::to_string).collect()
}

fn released(name: &str) -> Value {
    let path = format!("{}/openapi/released/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Intended breaking changes since the last release, each with the reason. The notes of the next release announce
/// these changes. The commit that copies the descriptions of that release empties this list.
const INTENDED: [(&str, &str); 16] = [
    ("/components/schemas/AmendedData/minProperties", PARTS),
    ("/components/schemas/Order/properties/allowed_events/items/enum", VERSION_2),
    ("/components/schemas/OrderStatus/enum", VERSION_2),
    ("/components/schemas/Problem/properties/allowed_events/items/enum", VERSION_2),
    ("/components/schemas/Receipt/properties/type/enum", VERSION_2),
    ("/components/schemas/RecordedEvent", VERSION_2),
    ("/components/schemas/recorded_order_amended_data/properties/items", PARTS),
    ("/components/schemas/order_amended/properties/data/properties/items", PARTS),
    ("/paths/~1v1~1orders/get/parameters/2/schema/pattern", VERSION_2),
    ("/components/schemas/CreateOrder/properties/customer_id/pattern", NO_BLANKS),
    ("/components/schemas/Line/properties/sku/pattern", NO_BLANKS),
    ("/components/schemas/PaidData/properties/payment_id/pattern", NO_BLANKS),
    ("/components/schemas/RefundedData/properties/refund_id/pattern", NO_BLANKS),
    ("/components/schemas/ShippedData/properties/carrier/pattern", NO_BLANKS),
    ("/components/schemas/ShippedData/properties/tracking_number/pattern", NO_BLANKS),
    ("/paths/~1v1~1orders/get/parameters/0/schema/pattern", NO_BLANKS),
];

const VERSION_2: &str =
    "schema version 2: an order can be shipped in parts, and there are new kinds of event";

const PARTS: &str = "an amendment may omit the lines, but then it must contain another part";

const NO_BLANKS: &str =
    "ids and names with surrounding blanks were accepted, but could not be found without the blanks";

#[test]
fn the_descriptions_do_not_break_clients_of_the_last_release() {
    let mut broken = broken_in_openapi(&released("openapi"), &super::openapi());
    broken.extend(broken_in_asyncapi(&released("asyncapi"), &api::asyncapi()));
    broken.retain(|found| !INTENDED.iter().any(|(pointer, _)| found.starts_with(&format!("{pointer}: "))));
    assert!(
        broken.is_empty(),
        "clients of the last release break (see {} for what to do):\n  {}",
        file!(),
        broken.join("\n  ")
    );
}
