//! The state machine: every state and every event type, judged on a real order, compared with a table written by hand.

use domain::judge::judge_transition;
use domain::lifecycle;
use domain::{Event, EventType, Order, OrderState, RejectReason, Verdict, judge};

use crate::given::{envelope, event, event_type, order_after_types, recorded};

/// Rows: the state of the order. Columns: the event. Cells: the next state, or why there is none.
const MATRIX: &str = "
    state           created  amended  confirmed  paid   shipped  delivered  cancelled       returned  refunded
    none            pending  early    early      early  early    early      early           early     early
    pending         never    pending  confirmed  early  early    early      cancelled       early     early
    confirmed       never    never    never      paid   early    early      cancelled       early     early
    paid            never    never    never      never  shipped  early      cancelled_paid  early     early
    shipped         never    never    never      never  never    delivered  never           early     early
    delivered       never    never    never      never  never    never      never           returned  early
    returned        never    never    never      never  never    never      never           never     refunded
    cancelled       never    never    never      never  never    never      never           never     never
    cancelled_paid  never    never    never      never  never    never      never           never     refunded
    refunded        never    never    never      never  never    never      never           never     never
";

/// Histories that lead to each state.
const HISTORIES: &[(&str, &str)] = &[
    ("none", ""),
    ("pending", "created"),
    ("pending", "created amended amended"),
    ("confirmed", "created confirmed"),
    ("confirmed", "created amended confirmed"),
    ("paid", "created confirmed paid"),
    ("shipped", "created confirmed paid shipped"),
    ("delivered", "created confirmed paid shipped delivered"),
    ("returned", "created confirmed paid shipped delivered returned"),
    ("cancelled", "created cancelled"),
    ("cancelled", "created amended cancelled"),
    ("cancelled", "created confirmed cancelled"),
    ("cancelled_paid", "created confirmed paid cancelled"),
    ("refunded", "created confirmed paid cancelled refunded"),
    ("refunded", "created confirmed paid shipped delivered returned refunded"),
];

/// The legal events of each state, in the order of the table.
const ALLOWED: &[(&str, &str)] = &[
    ("none", "created"),
    ("pending", "amended confirmed cancelled"),
    ("confirmed", "paid cancelled"),
    ("paid", "shipped cancelled"),
    ("shipped", "delivered"),
    ("delivered", "returned"),
    ("returned", "refunded"),
    ("cancelled", ""),
    ("cancelled_paid", "refunded"),
    ("refunded", ""),
];

fn name(state: OrderState) -> &'static str {
    match state {
        OrderState::None => "none",
        OrderState::CancelledPaid => "cancelled_paid",
        OrderState::Is(status) => status.as_str(),
    }
}

fn state_of(order: Option<&Order>) -> OrderState {
    order.map_or(OrderState::None, Order::state)
}

/// The matrix's cells as (state, event type, cell).
fn cells() -> Vec<(&'static str, EventType, &'static str)> {
    let mut rows = MATRIX.lines().map(str::split_whitespace).filter(|row| row.clone().next().is_some());
    let types: Vec<_> = rows.next().unwrap().skip(1).map(event_type).collect();
    rows.flat_map(|mut row| {
        let state = row.next().unwrap();
        types.clone().into_iter().zip(row).map(move |(event_type, cell)| (state, event_type, cell))
    })
    .collect()
}

#[test]
fn the_matrix_is_complete() {
    let cells = cells();
    assert_eq!(cells.len(), 10 * 9);
    for state in OrderState::ALL {
        for event_type in EventType::ALL {
            let hits = cells.iter().filter(|(s, e, _)| *s == name(state) && *e == event_type).count();
            assert_eq!(hits, 1, "{state} × {event_type}");
        }
        assert!(HISTORIES.iter().any(|(s, _)| *s == name(state)), "no history leads to {state}");
    }
}

#[test]
fn every_event_in_every_state_is_judged_as_in_the_matrix() {
    for (state, history) in HISTORIES {
        let given = order_after_types(history);
        assert_eq!(name(state_of(given.as_ref())), *state, "after {history}");

        for (_, event_type, cell) in cells().into_iter().filter(|(s, ..)| s == state) {
            let verdict = judge(given.as_ref(), &envelope(event(event_type)));
            let case = format!("{event_type} after [{history}]");
            match (&verdict, cell) {
                (Verdict::Early(refusal), "early") | (Verdict::Never(refusal), "never") => {
                    assert_eq!(refusal.reason, RejectReason::IllegalTransition, "{case}");
                    apply(given.clone(), event(event_type)).expect_err(&case);
                }
                (Verdict::Legal, target) if !["early", "never"].contains(&target) => {
                    assert_eq!(apply(given.clone(), event(event_type)), Ok(target), "{case}");
                }
                _ => panic!("{case}: {cell} was expected, not {verdict:?}"),
            }
        }
    }
}

/// The state after `event` as the next version.
fn apply(before: Option<Order>, event: Event) -> Result<&'static str, String> {
    let version = before.as_ref().map_or(1, |order| order.version + 1);
    let after = Order::apply(before, &recorded(version, event)).map_err(|error| error.to_string())?;
    Ok(name(after.state()))
}

#[test]
fn the_state_alone_is_judged_like_the_order() {
    for (state, event_type, cell) in cells() {
        let state = OrderState::ALL.into_iter().find(|candidate| name(*candidate) == state).unwrap();
        let found = match judge_transition(state, event_type) {
            Verdict::Legal => name(lifecycle::next(state, event_type).unwrap()),
            Verdict::Early(_) => "early",
            Verdict::Never(_) => "never",
        };
        assert_eq!(found, cell, "{state} × {event_type}");
    }
}

#[test]
fn allowed_events_are_those_of_the_table_in_its_order() {
    assert_eq!(ALLOWED.len(), OrderState::ALL.len());
    for (state, allowed) in ALLOWED {
        let state = OrderState::ALL.into_iter().find(|candidate| name(*candidate) == *state).unwrap();
        let expected: Vec<_> = allowed.split_whitespace().map(event_type).collect();
        assert_eq!(state.allowed_events().collect::<Vec<_>>(), expected, "{state}");
    }
}

#[test]
fn readers_see_the_same_cancelled_status_whether_paid_or_not() {
    let statuses: Vec<_> = OrderState::ALL
        .into_iter()
        .map(|state| state.status().map_or("", domain::OrderStatus::as_str))
        .collect();
    assert_eq!(
        statuses,
        [
            "",
            "pending",
            "confirmed",
            "paid",
            "shipped",
            "delivered",
            "returned",
            "cancelled",
            "cancelled",
            "refunded"
        ]
    );
}

#[test]
fn a_refusal_contains_the_event_the_state_and_the_legal_events() {
    let cases = [
        ("", "paid", "order_paid is not legal while the order is not yet created; legal now: order_created"),
        (
            "created",
            "shipped",
            "order_shipped is not legal while the order is pending; legal now: order_amended, order_confirmed, \
             order_cancelled",
        ),
        (
            "created confirmed paid cancelled",
            "shipped",
            "order_shipped is not legal while the order is cancelled after payment; legal now: order_refunded",
        ),
        (
            "created cancelled",
            "refunded",
            "order_refunded is not legal while the order is cancelled; legal now: none",
        ),
    ];
    for (history, short, detail) in cases {
        let verdict = judge(order_after_types(history).as_ref(), &envelope(event(event_type(short))));
        let (Verdict::Early(refusal) | Verdict::Never(refusal)) = verdict else {
            panic!("{short} after [{history}] was judged legal")
        };
        assert_eq!(refusal.detail, detail);
    }
}

#[test]
fn the_diagram_shows_the_table() {
    let expected = "\
stateDiagram-v2
    [*] --> pending: order_created
    pending --> pending: order_amended
    pending --> confirmed: order_confirmed
    pending --> cancelled: order_cancelled
    confirmed --> paid: order_paid
    confirmed --> cancelled: order_cancelled
    paid --> shipped: order_shipped
    paid --> cancelled_after_payment: order_cancelled
    shipped --> delivered: order_delivered
    delivered --> returned: order_returned
    returned --> refunded: order_refunded
    cancelled_after_payment --> refunded: order_refunded";
    assert_eq!(lifecycle::diagram(), expected);
}

#[test]
fn the_diagram_has_the_matrix_cells_and_no_other() {
    let legal = cells().into_iter().filter(|(.., cell)| !["early", "never"].contains(cell));
    let mut expected: Vec<_> = legal
        .map(|(from, event_type, to)| {
            let shown = |state| match state {
                "none" => "[*]",
                "cancelled_paid" => "cancelled_after_payment",
                other => other,
            };
            format!("{} --> {}: {event_type}", shown(from), shown(to))
        })
        .collect();
    let diagram = lifecycle::diagram();
    let mut shown: Vec<_> = diagram.lines().skip(1).map(str::trim).collect();
    expected.sort_unstable();
    shown.sort_unstable();
    assert_eq!(shown, expected);
}

#[test]
fn the_document_about_the_api_shows_the_table() {
    let document = include_str!("../../../docs/api.md");
    assert!(document.contains(&domain::lifecycle::diagram()), "renew it:\n{}", domain::lifecycle::diagram());
}
