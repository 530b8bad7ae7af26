//! Generates random events of every type.

use domain::adjustments::{Adjustment, AdjustmentKind, Adjustments};
use domain::contact::{Address, Contact, Country, Email};
use domain::event::{
    Amended, Annotated, Cancelled, Created, Delivered, Empty, Held, Paid, PaymentAuthorized, PaymentVoided,
    Refunded, Released, ReturnRequested, Returned, Shipped,
};
use domain::{
    Amount, Currency, CustomerId, Event, EventType, LineId, LineItem, LineItems, LineQuantities,
    LineQuantity, Metadata, MetadataPatch, Quantity, Reference, SignedAmount, Sku, Text,
};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::strategy::Union;

use super::arbitrary::{amount, text, timestamp, words};

/// Lines whose sum cannot overflow: 1000 × 10^3 × 10^9 is less than the largest amount.
fn items(priced: bool) -> impl Strategy<Value = LineItems> {
    let sku = words(64).prop_map(|text| Sku::parse(&text).unwrap());
    let quantity = (1..=1000_i64).prop_map(|n| Quantity::parse(n).unwrap());
    let price = (0..=1_000_000_000_i64).prop_map(|minor| Amount::parse(minor).unwrap());
    let price = if priced { price.prop_map(Some).boxed() } else { option::of(price).boxed() };
    let line = (text(), sku, quantity, price).prop_map(|(name, sku, quantity, unit_price)| LineItem {
        line_id: None,
        sku,
        name,
        quantity,
        unit_price,
    });
    let number = prop_oneof![299 => 1..5_usize, 1 => Just(LineItems::MAX)];
    let line = line.boxed();
    let lines = number.prop_flat_map(move |number| vec(line.clone(), number));
    (lines, any::<bool>()).prop_map(|(mut lines, has_ids)| {
        for (index, line) in lines.iter_mut().enumerate().filter(|(index, _)| has_ids && index % 2 == 0) {
            line.line_id = Some(LineId::parse(&format!("{}", index + 1)).unwrap());
        }
        LineItems::parse(lines).unwrap()
    })
}

fn created() -> impl Strategy<Value = Created> {
    let customer_id = words(128).prop_map(|text| CustomerId::parse(&text).unwrap());
    let currency = prop::sample::select(std::vec!["EUR", "USD", "JPY"]);
    let metadata =
        btree_map(words(40), words(500), 0..4).prop_map(|entries| Metadata::parse(entries).unwrap());
    let of_client =
        (option::of(reference()), option::of(contact()), text(), option::of(timestamp()), any::<bool>());
    (customer_id, currency, items(false), adjustments(), metadata, of_client).prop_map(
        |(customer_id, currency, items, adjustments, metadata, of_client)| {
            let (reference, contact, notes, expires_at, ship_unpaid) = of_client;
            // The adjustments are dropped if the discounts exceed the price of the lines, because such an
            // order is refused.
            let total = adjustments.total_with(&items);
            let adjustments = if total.is_ok() { adjustments } else { Adjustments::default() };
            Created {
                customer_id,
                currency: Currency::parse(currency).unwrap(),
                total: adjustments.total_with(&items).unwrap(),
                items,
                metadata,
                adjustments,
                reference,
                contact,
                notes,
                expires_at,
                ship_unpaid,
            }
        },
    )
}

fn reference() -> impl Strategy<Value = Reference> {
    words(64).prop_map(|text| Reference::parse(&text).unwrap())
}

fn contact() -> impl Strategy<Value = Box<Contact>> {
    let email = option::of(Just(Email::parse("ada@example.com").unwrap()));
    let address = (text(), words(200), words(100), option::of(words(20)));
    let address = address.prop_map(|(company, line1, city, postal_code)| Address {
        name: None,
        company,
        line1: Text::parse(&line1).unwrap(),
        line2: None,
        city: Text::parse(&city).unwrap(),
        postal_code: postal_code.map(|text| Text::parse(&text).unwrap()),
        region: None,
        country: Country::parse("DE").unwrap(),
    });
    (text(), email, text(), option::of(address)).prop_map(|(name, email, phone, shipping_address)| {
        Box::new(Contact { name, email, phone, shipping_address, billing_address: None })
    })
}

fn adjustments() -> impl Strategy<Value = Adjustments> {
    let amount = prop_oneof![-5000..5000_i64, -Amount::MAX..=Amount::MAX];
    let kind = prop::sample::select(AdjustmentKind::ALL.to_vec());
    let line_id = option::of(prop::sample::select(std::vec!["1", "2"]));
    let adjustment = (kind, text(), amount, line_id);
    vec(adjustment, 0..3).prop_map(|list| {
        let adjustment = |(index, (kind, label, amount, line_id))| Adjustment {
            adjustment_id: Text::parse(&format!("a-{index}")).unwrap(),
            kind,
            label,
            amount: SignedAmount::parse(amount).unwrap(),
            line_id: Option::<&str>::map(line_id, |id| LineId::parse(id).unwrap()),
        };
        Adjustments::parse(list.into_iter().enumerate().map(adjustment).collect()).unwrap()
    })
}

fn amended() -> impl Strategy<Value = Amended> {
    let parts =
        (option::of(items(true)), option::of(adjustments()), option::of(contact()), option::of(reference()));
    parts.prop_map(|(items, adjustments, contact, reference)| Amended {
        items,
        adjustments,
        contact,
        reference,
    })
}

fn annotated() -> impl Strategy<Value = Annotated> {
    let patch = btree_map(words(40), option::of(words(500)), 0..4);
    (patch, text())
        .prop_map(|(patch, notes)| Annotated { metadata: MetadataPatch::parse(patch).unwrap(), notes })
}

/// A short id from a small range, so that two events often have the same id.
fn id<const MAX: usize>() -> impl Strategy<Value = Option<Text<MAX>>> {
    option::of(prop::sample::select(std::vec!["1", "2", "a", "b"]).prop_map(|id| Text::parse(id).unwrap()))
}

fn units() -> impl Strategy<Value = Option<LineQuantities>> {
    let quantity = prop_oneof![9 => 1..=3_i64, 1 => 1..=1_000_000_i64];
    option::of(vec(quantity, 1..=2).prop_map(|quantities| {
        let line = |(index, quantity)| LineQuantity {
            line_id: LineId::parse(&format!("{}", index + 1)).unwrap(),
            quantity: Quantity::parse(quantity).unwrap(),
        };
        LineQuantities::parse(quantities.into_iter().enumerate().map(line).collect()).unwrap()
    }))
}

/// An event of any type, with equal probability.
pub(crate) fn event() -> impl Strategy<Value = Event> {
    Union::new(EventType::ALL.map(event_of))
}

pub(crate) fn event_of(event_type: EventType) -> BoxedStrategy<Event> {
    match event_type {
        EventType::Created => created().prop_map(Event::Created).boxed(),
        EventType::Amended => amended().prop_map(Event::Amended).boxed(),
        EventType::Annotated => annotated().prop_map(Event::Annotated).boxed(),
        EventType::Confirmed => Just(Event::Confirmed(Empty {})).boxed(),
        EventType::Held => {
            (name(), text()).prop_map(|(hold, reason)| Event::Held(Held { hold, reason })).boxed()
        }
        EventType::Released => {
            (name(), text()).prop_map(|(hold, reason)| Event::Released(Released { hold, reason })).boxed()
        }
        EventType::PaymentAuthorized => (name(), amount(), text())
            .prop_map(|(payment_id, amount, method)| {
                Event::PaymentAuthorized(PaymentAuthorized { payment_id, amount, method })
            })
            .boxed(),
        EventType::PaymentVoided => {
            name().prop_map(|payment_id| Event::PaymentVoided(PaymentVoided { payment_id })).boxed()
        }
        EventType::Paid => (text(), option::of(amount()), text(), any::<bool>())
            .prop_map(|(payment_id, amount, method, settles)| {
                Event::Paid(Paid { payment_id, amount, method, settles })
            })
            .boxed(),
        EventType::Refunded => (text(), option::of(amount()), text(), text(), any::<(bool, bool)>())
            .prop_map(|(refund_id, amount, payment_id, reason, (goodwill, settles))| {
                Event::Refunded(Refunded { refund_id, amount, payment_id, reason, goodwill, settles })
            })
            .boxed(),
        goods => goods_event(goods),
    }
}

fn goods_event(event_type: EventType) -> BoxedStrategy<Event> {
    match event_type {
        EventType::Shipped => (text(), text(), id(), units())
            .prop_map(|(carrier, tracking_number, shipment_id, items)| {
                Event::Shipped(Shipped { carrier, tracking_number, shipment_id, items })
            })
            .boxed(),
        EventType::Delivered => {
            id().prop_map(|shipment_id| Event::Delivered(Delivered { shipment_id })).boxed()
        }
        EventType::Cancelled => (text(), units())
            .prop_map(|(reason, items)| Event::Cancelled(Cancelled { reason, items }))
            .boxed(),
        EventType::ReturnRequested => (text(), id(), units())
            .prop_map(|(reason, return_id, items)| {
                Event::ReturnRequested(ReturnRequested { reason, return_id, items })
            })
            .boxed(),
        _ => (text(), id(), units())
            .prop_map(|(reason, return_id, items)| Event::Returned(Returned { reason, return_id, items }))
            .boxed(),
    }
}

fn name<const MAX: usize>() -> impl Strategy<Value = Text<MAX>> {
    words(MAX.min(40)).prop_map(|text| Text::parse(&text).unwrap())
}

/// An event about a few lines, payments, shipments and returns. Most amounts are possible totals of an order with a
/// few units.
pub(crate) fn related_event() -> impl Strategy<Value = Event> {
    let amount = prop_oneof![Just(0), 1..5000_i64, Just(Amount::MAX)];
    let amount = option::weighted(0.7, amount.prop_map(|minor| Amount::parse(minor).unwrap()));
    let items = vec((1..=4_i64, 0..2000_i64), 1..=2).prop_map(|lines| {
        let lines =
            lines.into_iter().map(|(quantity, price)| crate::given::line("mug", quantity, Some(price)));
        Amended { items: Some(LineItems::parse(lines.collect()).unwrap()), ..Amended::default() }
    });
    let money = (id(), amount, any::<bool>(), id());
    let goods = [
        EventType::Shipped,
        EventType::Delivered,
        EventType::Cancelled,
        EventType::ReturnRequested,
        EventType::Returned,
    ];
    prop_oneof![
        2 => Just(Event::Confirmed(Empty {})),
        2 => items.prop_map(Event::Amended),
        1 => id().prop_map(|hold| Event::Held(Held { hold: hold.unwrap_or_else(one), reason: None })),
        2 => id().prop_map(|hold| Event::Released(Released { hold: hold.unwrap_or_else(one), reason: None })),
        8 => Union::new(goods.map(goods_event)),
        8 => (0..4, money).prop_map(|(kind, (payment_id, amount, goodwill, refund_id))| match kind {
            0 => Event::PaymentAuthorized(PaymentAuthorized {
                payment_id: payment_id.unwrap_or_else(one),
                amount: amount.unwrap_or(Amount::ZERO),
                method: None,
            }),
            1 => Event::PaymentVoided(PaymentVoided { payment_id: payment_id.unwrap_or_else(one) }),
            2 => Event::Paid(Paid { payment_id, amount, ..Paid::default() }),
            _ => Event::Refunded(Refunded { refund_id, amount, payment_id, goodwill, ..Refunded::default() }),
        }),
    ]
}

fn one<const MAX: usize>() -> Text<MAX> {
    Text::parse("1").unwrap()
}
