//! The query of the list of orders: a filter, or a reference, and a page.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use domain::{FulfilmentStatus, OrderStatus, PaymentStatus, Reference, Timestamp};
use serde_json::{Value, json};
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};

use super::pairs::{MAX_LIMIT, QueryPairs};
use crate::describe::schemas;
use crate::input::cursor;
use crate::ports::{OrderFilter, OrderPosition};
use crate::problem::Problem;
use crate::state::SharedState;

/// The prefix of the parameters that filter by metadata. The rest of the name is the metadata key.
pub(super) const METADATA: &str = "metadata.";

/// The query: which orders to list, and which page to return.
#[derive(Debug)]
pub(crate) struct OrdersQuery {
    pub(crate) filter: OrderFilter,
    /// The reference of the order. With a reference, the list contains at most one order.
    pub(crate) reference: Option<Reference>,
    pub(crate) limit: usize,
    pub(crate) after: Option<OrderPosition>,
}

impl OrdersQuery {
    /// The scope of the cursors of this list: a text that identifies the filter and the reference.
    pub(crate) fn scope(&self) -> String {
        scope(&self.filter, self.reference.as_ref())
    }

    /// The query string that requests the next page, which begins at `cursor`.
    pub(crate) fn next(&self, cursor: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(conditions(&self.filter, self.reference.as_ref()));
        query.append_pair("limit", &self.limit.to_string()).append_pair("cursor", cursor).finish()
    }
}

/// The conditions of the filter, as names and values of query parameters. Cursors depend on the sequence of the
/// conditions, so the sequence must never change.
fn conditions(filter: &OrderFilter, reference: Option<&Reference>) -> Vec<(String, String)> {
    let time = |time: Option<Timestamp>| time.map(|time| time.to_string());
    let conditions = [
        ("customer_id", filter.customer_id.as_ref().map(ToString::to_string)),
        ("status", filter.status.map(|status| status.as_str().to_owned())),
        ("payment_status", filter.payment_status.map(|status| status.as_str().to_owned())),
        ("fulfilment_status", filter.fulfilment_status.map(|status| status.as_str().to_owned())),
        ("created_from", time(filter.created_from)),
        ("created_before", time(filter.created_before)),
        ("updated_from", time(filter.updated_from)),
        ("updated_before", time(filter.updated_before)),
        ("reference", reference.map(ToString::to_string)),
    ];
    let metadata = filter.metadata.iter().map(|(key, value)| (format!("{METADATA}{key}"), value.clone()));
    let present = conditions.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    present.chain(metadata).collect()
}

/// The scope of the cursors of a list: a text that identifies its conditions. This text must never change, because the
/// cursors that clients hold depend on it.
fn scope(filter: &OrderFilter, reference: Option<&Reference>) -> String {
    const PREFIX: &str = "orders\n";
    const OF_CUSTOMER: [&str; 4] = ["customer_id", "status", "created_from", "created_before"];
    let conditions = conditions(filter, reference);
    let value =
        |name: &str| conditions.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str());
    let is_of_customer = conditions.iter().all(|(name, _)| OF_CUSTOMER.contains(&name.as_str()));
    if filter.customer_id.is_some() && is_of_customer {
        // Lists of one customer existed before other lists, so the scope of their cursors still has an older form.
        return OF_CUSTOMER.map(|name| value(name).unwrap_or_default()).join("\n");
    }
    let mut text = form_urlencoded::Serializer::for_suffix(PREFIX.to_owned(), PREFIX.len());
    text.extend_pairs(&conditions).finish()
}

impl FromRequestParts<SharedState> for OrdersQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &SharedState) -> Result<Self, Problem> {
        let mut pairs = QueryPairs::of(&parts.uri)?;
        let filter = OrderFilter {
            customer_id: pairs.customer_id(),
            status: pairs.one_of("status", &OrderStatus::ALL.map(|word| (word.as_str(), word))),
            payment_status: pairs
                .one_of("payment_status", &PaymentStatus::ALL.map(|word| (word.as_str(), word))),
            fulfilment_status: pairs
                .one_of("fulfilment_status", &FulfilmentStatus::ALL.map(|word| (word.as_str(), word))),
            created_from: pairs.time("created_from"),
            created_before: pairs.time("created_before"),
            updated_from: pairs.time("updated_from"),
            updated_before: pairs.time("updated_before"),
            metadata: metadata(&mut pairs, &state.searchable_metadata),
        };
        let reference = pairs.reference();
        let limit = pairs.limit();
        let scope = scope(&filter, reference.as_ref());
        let after = pairs.cursor(|text| cursor::read_order(text, &scope));
        pairs.finish(Self { filter, reference, limit, after })
    }
}

/// Reads the conditions on metadata from the query. A metadata key that is not in `searchable` has no index, so it is
/// an error.
fn metadata(pairs: &mut QueryPairs, searchable: &BTreeSet<String>) -> BTreeMap<String, String> {
    let mut conditions = BTreeMap::new();
    for (name, value) in pairs.take_prefixed(METADATA) {
        let key = &name[METADATA.len()..];
        if searchable.contains(key) {
            conditions.insert(key.to_owned(), value);
        } else {
            pairs.not_searchable(name, searchable);
        }
    }
    conditions
}

/// `IntoParams` is implemented by hand. A derived implementation would lose the description of every parameter whose
/// schema is written by hand.
impl IntoParams for OrdersQuery {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let time = || json!({ "type": "string", "format": "date-time" });
        // The schema is a pattern and not an enumeration. With an enumeration, a client that was generated before a
        // word was added could not send that word.
        let words =
            |words: &[&str]| json!({ "type": "string", "pattern": format!("^({})$", words.join("|")) });
        let of = |(name, description, schema): (&str, &str, Value)| {
            schemas::query_parameter(name, description, schemas::schema(schema))
        };
        let parameters = [
            (
                "customer_id",
                "Only orders of this customer; without it, the token needs the scope `orders.operate`",
                json!({ "type": "string", "minLength": 1, "maxLength": 128 }),
            ),
            (
                "reference",
                "Only the order with this reference, so the list contains at most one order. A `customer_id` is not needed",
                json!({ "type": "string", "minLength": 1, "maxLength": 64 }),
            ),
            ("status", "Only orders with this status", words(&OrderStatus::ALL.map(OrderStatus::as_str))),
            (
                "payment_status",
                "Only orders with this payment status",
                words(&PaymentStatus::ALL.map(PaymentStatus::as_str)),
            ),
            (
                "fulfilment_status",
                "Only orders with this fulfilment status",
                words(&FulfilmentStatus::ALL.map(FulfilmentStatus::as_str)),
            ),
            ("created_from", "Only orders created at this time (RFC 3339) or later", time()),
            ("created_before", "Only orders created before this time (RFC 3339)", time()),
            (
                "updated_from",
                "Only orders updated at this time (RFC 3339) or later; sorts the list by update time",
                time(),
            ),
            (
                "updated_before",
                "Only orders updated before this time (RFC 3339); sorts the list by update time",
                time(),
            ),
            (
                "limit",
                "The maximum number of orders on a page; 50 by default",
                json!({ "type": "integer", "minimum": 1, "maximum": MAX_LIMIT }),
            ),
            (
                "cursor",
                "The `next_cursor` of the previous page of the same list",
                json!({ "type": "string" }),
            ),
        ];
        parameters.map(of).into()
    }
}

#[cfg(test)]
mod tests {
    use domain::CustomerId;

    use super::*;

    fn at(text: &str) -> Option<Timestamp> {
        Some(Timestamp::parse(text).unwrap())
    }

    #[test]
    fn the_scope_of_a_list_never_changes() {
        let customer = OrderFilter {
            status: Some(OrderStatus::Paid),
            created_before: at("2026-11-23T10:00:00Z"),
            ..OrderFilter::of_customer(CustomerId::parse("c 1").unwrap())
        };
        assert_eq!(scope(&customer, None), "c 1\npaid\n\n2026-11-23T10:00:00Z");
        let all = OrderFilter::default();
        assert_eq!(scope(&all, None), "orders\n");
        let reference = Reference::parse("PO 1").unwrap();
        assert_eq!(scope(&all, Some(&reference)), "orders\nreference=PO+1");
        let every = OrderFilter {
            payment_status: Some(PaymentStatus::PartiallyPaid),
            fulfilment_status: Some(FulfilmentStatus::Unfulfilled),
            created_from: at("2026-11-21T10:00:00Z"),
            updated_from: at("2026-11-22T10:00:00Z"),
            updated_before: at("2026-11-24T10:00:00Z"),
            metadata: BTreeMap::from([("channel".to_owned(), "web".to_owned())]),
            ..customer
        };
        let expected = "orders\ncustomer_id=c+1&status=paid&payment_status=partially_paid&fulfilment_status=unfulfilled\
            &created_from=2026-11-21T10%3A00%3A00Z&created_before=2026-11-23T10%3A00%3A00Z\
            &updated_from=2026-11-22T10%3A00%3A00Z&updated_before=2026-11-24T10%3A00%3A00Z&metadata.channel=web";
        assert_eq!(scope(&every, None), expected);
    }
}
