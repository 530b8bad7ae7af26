//! The search through all histories that consist of given events, which are called the alphabet. The search applies
//! each event in each state that it finds. Then it checks that each verdict is true for the later states.

use std::collections::HashMap;

use domain::{Event, Guard, Order, RecordedEvent, Verdict, allowed_events, judge};

use super::{invariants, witness};
use crate::given::{envelope, eur, log, recorded};

/// The events that a history may contain: the `order_created` event, and the events that may follow.
pub(super) struct Alphabet {
    pub(super) created: Event,
    pub(super) events: Vec<Event>,
}

/// How many states, steps between states, and 'early' and 'never' verdicts a search found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) states: usize,
    pub(super) steps: usize,
    pub(super) early: usize,
    pub(super) never: usize,
}

/// A state of the order that the search found. `verdicts` and `next` have one element for each event of the alphabet.
struct State {
    order: Order,
    /// The previous state and the event that led from it to this state, as indexes. `None` for the first
    /// state.
    from: Option<(usize, usize)>,
    verdicts: Vec<Promise>,
    next: Vec<usize>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Promise {
    Legal,
    Early,
    Never,
}

/// The slow checks, such as folding the whole log, run only for one of every `FOLDED` states.
const FOLDED: usize = 8;

/// Searches all histories that consist of events of the alphabet. `mutate` gets each verdict and the guard that
/// failed, and returns the verdict that the search uses. A test of the search itself returns wrong verdicts.
pub(super) fn search(
    alphabet: &Alphabet,
    mutate: impl Fn(Option<Guard>, Verdict) -> Verdict,
) -> Result<Found, String> {
    let first =
        canonical(Order::apply(None, &recorded(1, alphabet.created.clone())).map_err(|it| it.to_string())?);
    let mut known = HashMap::from([(key(&first), 0)]);
    let mut states = vec![State { order: first, from: None, verdicts: Vec::new(), next: Vec::new() }];
    let mut found = Found::default();
    let mut at = 0;
    while at < states.len() {
        let order = states[at].order.clone();
        invariants::check(&order).map_err(|error| format!("{error}: {}", history(alphabet, &states, at)))?;
        check_allowed(alphabet, &order)
            .map_err(|error| format!("{error}: {}", history(alphabet, &states, at)))?;
        for (index, event) in alphabet.events.iter().enumerate() {
            let promise = promise(&order, event, &mutate);
            states[at].verdicts.push(promise);
            let Promise::Legal = promise else { continue };
            found.steps += 1;
            let applied = apply(&order, event).map_err(|error| {
                format!(
                    "{event:?} was judged 'legal', but cannot be applied: {error}: {}",
                    history(alphabet, &states, at)
                )
            })?;
            let count = states.len();
            let next = *known.entry(key(&applied)).or_insert(count);
            if next == count {
                let from = Some((at, index));
                states.push(State { order: applied, from, verdicts: Vec::new(), next: Vec::new() });
            }
            states[at].next.push(next);
        }
        if at % FOLDED == 0 {
            check_fold(alphabet, &states, at)?;
        }
        at += 1;
    }
    found.states = states.len();
    check_promises(alphabet, &states, &mut found)?;
    Ok(found)
}

fn promise(order: &Order, event: &Event, mutate: &impl Fn(Option<Guard>, Verdict) -> Verdict) -> Promise {
    let verdict = judge(Some(order), None, &envelope(event.clone()));
    let guard = match &verdict {
        Verdict::Legal => None,
        Verdict::Early(refusal) | Verdict::Never(refusal) => refusal.violation.as_ref().map(|it| it.guard),
    };
    match mutate(guard, verdict) {
        Verdict::Legal => Promise::Legal,
        Verdict::Early(_) => Promise::Early,
        Verdict::Never(_) => Promise::Never,
    }
}

/// Applies the event to the order. Returns the new order in canonical form.
pub(super) fn apply(order: &Order, event: &Event) -> Result<Order, String> {
    let entry = recorded(order.version + 1, event.clone());
    Order::apply(Some(order.clone()), &entry).map(canonical).map_err(|error| error.to_string())
}

/// Replaces the version and the times of an order by fixed values, because no later event depends on them.
fn canonical(order: Order) -> Order {
    let (created_at, recorded_at) = (order.created_at, None);
    Order { version: 1, updated_at: created_at, recorded_at, ..order }
}

/// The key of a state. States with the same key allow the same later events. So the key omits the units of finished
/// shipments and returns, because the counters contain them. It also omits the reasons of finished returns, and
/// refunds that have no id and are no concession.
fn key(order: &Order) -> Vec<u8> {
    let mut order = order.clone();
    for shipment in
        order.shipments.iter_mut().filter(|it| it.state == domain::parcels::ShipmentState::Delivered)
    {
        shipment.items.clear();
    }
    for returned in order.returns.iter_mut().filter(|it| it.state == domain::parcels::ReturnState::Received) {
        returned.items.clear();
        returned.reason = None;
    }
    order.returns.sort_by(|one, other| one.return_id.as_str().cmp(other.return_id.as_str()));
    order.refunds.retain(|refund| refund.goodwill || refund.refund_id.is_some());
    order.encode()
}

/// Checks `allowed_events`: no event of the alphabet may be legal unless its type is listed, and the easiest event of
/// each listed type must be legal.
fn check_allowed(alphabet: &Alphabet, order: &Order) -> Result<(), String> {
    let allowed: Vec<_> = allowed_events(Some(order)).collect();
    let is_legal = |event: &Event| judge(Some(order), None, &envelope(event.clone())) == Verdict::Legal;
    for event in alphabet.events.iter().filter(|event| !allowed.contains(&event.event_type())) {
        if is_legal(event) {
            return Err(format!("{event:?} is legal, but its type is not allowed"));
        }
    }
    for event_type in allowed {
        let easiest = witness::easiest(order, event_type);
        if !easiest.as_ref().is_some_and(&is_legal) {
            return Err(format!("{event_type} is allowed, but {easiest:?} is not legal"));
        }
    }
    Ok(())
}

/// Checks that the log of the history folds to the state, and that an order is read back as it was stored.
fn check_fold(alphabet: &Alphabet, states: &[State], at: usize) -> Result<(), String> {
    let entries = log(path(states, at).into_iter().map(|index| match index {
        None => alphabet.created.clone(),
        Some(index) => alphabet.events[index].clone(),
    }));
    let read: Vec<_> =
        entries.iter().map(|entry| RecordedEvent::decode(&entry.encode(), eur()).unwrap()).collect();
    let folded = Order::fold(&read).map_err(|error| error.to_string())?.unwrap();
    let stored: Order = serde_json::from_slice(&folded.encode()).unwrap();
    // The search may have reached the state through another history. The orders of the two histories can
    // differ in the parts that the key omits. So only their keys are compared.
    if read != entries || stored != folded || key(&canonical(folded)) != key(&states[at].order) {
        return Err(format!("the log does not fold to the state: {}", history(alphabet, states, at)));
    }
    Ok(())
}

/// The events that lead to a state, as indexes into the alphabet. `None` stands for the `order_created`
/// event.
fn path(states: &[State], mut at: usize) -> Vec<Option<usize>> {
    let mut path = Vec::new();
    while let Some((before, event)) = states[at].from {
        path.push(Some(event));
        at = before;
    }
    path.push(None);
    path.reverse();
    path
}

fn history(alphabet: &Alphabet, states: &[State], at: usize) -> String {
    let events = path(states, at).into_iter().flatten().map(|index| format!("{:?}", alphabet.events[index]));
    format!(
        "after {}\nin {}",
        events.collect::<Vec<_>>().join("\n  "),
        String::from_utf8_lossy(&states[at].order.encode())
    )
}

/// Checks the verdicts: an event that was judged 'early' must be legal in some later state, and an event that was
/// judged 'never' must be legal in no later state.
fn check_promises(alphabet: &Alphabet, states: &[State], found: &mut Found) -> Result<(), String> {
    let mut before: Vec<Vec<usize>> = vec![Vec::new(); states.len()];
    for (at, state) in states.iter().enumerate() {
        state.next.iter().for_each(|next| before[*next].push(at));
    }
    for (index, event) in alphabet.events.iter().enumerate() {
        let mut is_reachable: Vec<bool> =
            states.iter().map(|it| it.verdicts[index] == Promise::Legal).collect();
        let mut open: Vec<usize> = (0..states.len()).filter(|at| is_reachable[*at]).collect();
        while let Some(at) = open.pop() {
            for earlier in &before[at] {
                if !std::mem::replace(&mut is_reachable[*earlier], true) {
                    open.push(*earlier);
                }
            }
        }
        for (at, state) in states.iter().enumerate() {
            match state.verdicts[index] {
                Promise::Legal => {}
                Promise::Early => {
                    found.early += 1;
                    if !is_reachable[at] && !witness::can_become_legal(&state.order, event) {
                        let history = history(alphabet, states, at);
                        return Err(format!("{event:?} was judged 'early', but is never legal: {history}"));
                    }
                }
                Promise::Never => {
                    found.never += 1;
                    if is_reachable[at]
                        || (at % FOLDED == 0 && witness::can_become_legal(&state.order, event))
                    {
                        let history = history(alphabet, states, at);
                        return Err(format!("{event:?} was judged 'never', but is legal later: {history}"));
                    }
                }
            }
        }
    }
    Ok(())
}
