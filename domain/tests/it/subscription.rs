//! Tests the rotation of a subscription's secrets, and how a subscription is stopped and resumed.

use std::collections::{BTreeMap, BTreeSet};

use domain::subscription::{MAX_SECRETS, SigningSecret, TooManySecrets};
use domain::{CustomerId, EventType, Subscription, SubscriptionState, Timestamp};
use uuid::Uuid;

use crate::given::time;

const NOW: &str = "2026-11-23T10:00:00Z";

fn subscription() -> Subscription {
    Subscription {
        id: Uuid::from_u128(1).into(),
        revision: 1,
        url: "https://hooks.example/orders".to_owned(),
        types: BTreeSet::new(),
        customer_id: None,
        description: None,
        headers: BTreeMap::new(),
        state: SubscriptionState::Active,
        stopped: None,
        secrets: vec![SigningSecret { secret: "first".to_owned(), expires_at: None }],
        request_hash: None,
        created_at: time(NOW),
        updated_at: time(NOW),
    }
}

fn rotated(subscription: &mut Subscription, secret: &str, end: &str) -> Result<(), TooManySecrets> {
    subscription.rotate(secret.to_owned(), time(NOW), time(end))
}

fn secrets_at(subscription: &Subscription, at: Timestamp) -> Vec<&str> {
    subscription.secrets_at(at).collect()
}

#[test]
fn the_earlier_secret_signs_until_the_overlap_ends() {
    let mut it = subscription();
    rotated(&mut it, "second", "2026-11-24T10:00:00Z").unwrap();
    assert_eq!(secrets_at(&it, time(NOW)), ["second", "first"]);
    assert_eq!(secrets_at(&it, time("2026-11-24T09:59:59.999999Z")), ["second", "first"]);
    assert_eq!(secrets_at(&it, time("2026-11-24T10:00:00Z")), ["second"]);
}

#[test]
fn a_rotation_without_an_overlap_ends_every_earlier_secret() {
    let mut it = subscription();
    rotated(&mut it, "second", "2026-11-24T10:00:00Z").unwrap();
    rotated(&mut it, "third", "2026-11-25T10:00:00Z").unwrap();
    assert_eq!(secrets_at(&it, time(NOW)), ["third", "second", "first"]);
    rotated(&mut it, "fourth", NOW).unwrap();
    assert_eq!(it.secrets, [SigningSecret { secret: "fourth".to_owned(), expires_at: None }]);
}

#[test]
fn a_rotation_never_prolongs_an_earlier_secret() {
    let mut it = subscription();
    rotated(&mut it, "second", "2026-11-24T10:00:00Z").unwrap();
    rotated(&mut it, "third", "2026-11-30T10:00:00Z").unwrap();
    assert_eq!(secrets_at(&it, time("2026-11-25T10:00:00Z")), ["third", "second"]);
}

#[test]
fn at_most_three_secrets_are_valid() {
    let mut it = subscription();
    for secret in ["second", "third"] {
        rotated(&mut it, secret, "2026-11-24T10:00:00Z").unwrap();
    }
    let before = it.clone();
    let refused = rotated(&mut it, "fourth", "2026-11-26T10:00:00Z").unwrap_err();
    assert_eq!(refused, TooManySecrets { until: time("2026-11-24T10:00:00Z") });
    // A refused rotation changes no expiry, even if its overlap would end earlier.
    let refused = rotated(&mut it, "fourth", "2026-11-23T10:30:00Z").unwrap_err();
    assert_eq!(refused, TooManySecrets { until: time("2026-11-24T10:00:00Z") });
    assert_eq!((it.secrets.len(), &it), (MAX_SECRETS, &before));
}

#[test]
fn a_stopped_subscription_keeps_the_first_reason_of_its_state() {
    let mut it = subscription();
    it.stop(SubscriptionState::Paused, "The receiver answered 410.", time(NOW));
    it.stop(SubscriptionState::Paused, "An operator paused it.", time("2026-11-24T10:00:00Z"));
    assert_eq!(
        it.stopped.as_ref().map(|stopped| stopped.reason.as_str()),
        Some("The receiver answered 410.")
    );
    it.resume();
    assert_eq!((it.state, &it.stopped), (SubscriptionState::Active, &None));
}

#[test]
fn a_subscription_selects_by_type_and_customer() {
    let [own, other] = ["c-1", "c-2"].map(|id| CustomerId::parse(id).unwrap());
    assert!(subscription().selects(Some(EventType::Paid), &own));
    let it = Subscription {
        types: BTreeSet::from([EventType::Paid]),
        customer_id: Some(own.clone()),
        ..subscription()
    };
    assert!(it.selects(Some(EventType::Paid), &own));
    assert!(!it.selects(Some(EventType::Paid), &other));
    assert!(!it.selects(Some(EventType::Shipped), &own));
    // `None` stands for a type that a newer program has recorded.
    assert!(subscription().selects(None, &own));
    assert!(!it.selects(None, &own));
    let it = Subscription { types: BTreeSet::new(), ..it };
    assert!(it.selects(None, &own) && !it.selects(None, &other));
}
