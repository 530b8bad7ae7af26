//! What of a description breaks the clients of the one that was released.
//!
//! `openapi/released/` has both descriptions as of the last release. A change that this test names is one that a client
//! written for that release may not survive. If it is not intended, undo it. If it is, it needs a release with a new
//! major version, announced with the list that this test prints: raise `version` in `Cargo.toml`, renew both
//! descriptions, and copy them to `openapi/released/` in the same commit. A release that breaks nothing ends with the
//! same copy.
//!
//! | what | breaks if |
//! |---|---|
//! | path, operation, message, content type | it is gone |
//! | operation | its id is another, or it needs credentials that it did not |
//! | parameter, request header | it is gone, or it has become required |
//! | status, response header, message attribute | it is gone |
//! | what clients send ([`Side::Sent`]) | less is accepted: of types, values, members, variants; tighter limits; more is required |
//! | what clients get ([`Side::Got`]) | more can come: of types, values, variants; or a member is gone or no longer certain |
//!
//! What one success of an operation had, another may have as well, if a discriminator tells the two apart.

mod messages;
mod operations;
mod rules;
mod schemas;

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

/// Who writes what a schema describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    /// The client.
    Sent,
    /// The service.
    Got,
}

/// One breaking change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Break {
    /// Where, as a JSON pointer into the description: the old one if it is gone, or else the new one.
    pointer: String,
    what: String,
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.pointer, self.what)
    }
}

/// A description as it was released and as it is, and what was found to break.
#[derive(Clone)]
struct Comparison<'a> {
    old: &'a Value,
    new: &'a Value,
    found: BTreeSet<Break>,
    /// References already followed, for schemas can refer to themselves.
    followed: BTreeSet<(String, String, Side)>,
}

impl<'a> Comparison<'a> {
    fn new(old: &'a Value, new: &'a Value) -> Self {
        Self { old, new, found: BTreeSet::new(), followed: BTreeSet::new() }
    }

    fn report(&mut self, pointer: &str, what: impl Into<String>) {
        self.found.insert(Break { pointer: pointer.to_owned(), what: what.into() });
    }
}

/// What is at a reference, with its pointer; a value that is none stays as it is.
fn resolved<'a>(document: &'a Value, at: &str, value: &'a Value) -> (String, &'a Value) {
    let reference = value["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    match reference.and_then(|pointer| Some((pointer, document.pointer(pointer)?))) {
        Some((pointer, target)) => resolved(document, pointer, target),
        None => (at.to_owned(), value),
    }
}

/// The members of an object; none if it is something else.
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

/// What was decided to break, each with the reason, until the next release: its notes announce them, and its copies of the
/// descriptions end this list.
const INTENDED: [(&str, &str); 7] = [
    ("/components/schemas/CreateOrder/properties/customer_id/pattern", NO_BLANKS),
    ("/components/schemas/Line/properties/sku/pattern", NO_BLANKS),
    ("/components/schemas/PaidData/properties/payment_id/pattern", NO_BLANKS),
    ("/components/schemas/RefundedData/properties/refund_id/pattern", NO_BLANKS),
    ("/components/schemas/ShippedData/properties/carrier/pattern", NO_BLANKS),
    ("/components/schemas/ShippedData/properties/tracking_number/pattern", NO_BLANKS),
    ("/paths/~1v1~1orders/get/parameters/0/schema/pattern", NO_BLANKS),
];

const NO_BLANKS: &str = "ids and names with blanks around them were accepted, and not found again without";

#[test]
fn the_descriptions_break_nothing_that_was_released() {
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
