//! Tests random batches against a model, which predicts the disposition of each message and the logs at the end.

#![allow(clippy::unwrap_used, reason = "a test may panic, because a panic makes the test fail")]

mod support;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use consumer::ports::Message;
use consumer::{Disposition, HandledMessage};
use proptest::prelude::*;
use support::{Fake, consumer, message, word};

const LIFE: [&str; 5] = ["created", "confirmed", "shipped", "delivered", "returned"];
const ORDERS: [&str; 3] = ["a", "b", "c"];

/// The content of a message, apart from its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// The event with the given index in [`LIFE`].
    Event(usize),
    /// An unreadable message with a known order.
    Poison,
    /// An unreadable message without a known order.
    Noise,
}

#[derive(Debug, Clone, Copy)]
struct Sent {
    order: usize,
    what: What,
    /// Whether the message shares a group with messages of other orders, as in messages of v0 producers.
    shared: bool,
}

fn sent() -> impl Strategy<Value = Sent> {
    let what = prop_oneof![
        8 => (0..LIFE.len()).prop_map(What::Event),
        1 => Just(What::Poison),
        1 => Just(What::Noise),
    ];
    (0..ORDERS.len(), what, prop::bool::weighted(0.2)).prop_map(|(order, what, shared)| Sent {
        order,
        what,
        shared,
    })
}

/// Mixes random events with events in the order of [`LIFE`]. Events in that order reach later states than random events
/// would.
fn batch() -> impl Strategy<Value = Vec<Sent>> {
    let lives = prop::collection::vec((0..ORDERS.len(), 0..=LIFE.len()), 0..3).prop_map(|lives| {
        let life = |(order, length): (usize, usize)| {
            (0..length).map(move |place| Sent { order, what: What::Event(place), shared: false })
        };
        lives.into_iter().flat_map(life).collect::<Vec<_>>()
    });
    (lives, prop::collection::vec(sent(), 0..12)).prop_map(|(lives, others)| {
        // Mixes the events in the order of `LIFE` with the random events, so that the batch does not contain them as two blocks.
        let (mut lives, mut others) = (lives.into_iter(), others.into_iter());
        let mut all = Vec::new();
        loop {
            match (lives.next(), others.next()) {
                (None, None) => return all,
                (life, other) => all.extend(life.into_iter().chain(other)),
            }
        }
    })
}

fn messages(sent: &[Sent], ordered: bool) -> Vec<Message> {
    let one = |(number, sent): (usize, &Sent)| {
        let order = ORDERS[sent.order];
        let kind = match sent.what {
            What::Event(place) => LIFE[place],
            What::Poison | What::Noise => "poison",
        };
        let mut message = message(number, &format!("{kind}@{order}"));
        message.id = number.to_string();
        if sent.what == What::Noise {
            message.body = b"noise".to_vec();
        }
        let group = if sent.shared { "shared" } else { order };
        message.group = ordered.then(|| group.to_owned());
        message
    };
    sent.iter().enumerate().map(one).collect()
}

/// A model of the consumer, which handles the messages one after the other.
struct Model<'a> {
    recorded: [usize; ORDERS.len()],
    parked: [usize; ORDERS.len()],
    failing: &'a HashSet<&'static str>,
    dead_letters_fail: bool,
    stopped: HashSet<&'static str>,
}

impl Model<'_> {
    fn step(&mut self, sent: Sent) -> &'static str {
        let order = sent.order;
        let group = if sent.shared { "shared" } else { ORDERS[order] };
        if self.stopped.contains(group) {
            return "retry";
        }
        let word = match sent.what {
            What::Event(_) if self.failing.contains(ORDERS[order]) => "retry",
            What::Event(place) if place < self.recorded[order] => "illegal",
            What::Event(place) if self.parked[order] > 0 && place > 0 => "parked",
            What::Event(place) if place == self.recorded[order] => "recorded",
            What::Event(_) => "illegal",
            What::Poison | What::Noise => "parked",
        };
        match word {
            "recorded" => self.recorded[order] += 1,
            "parked" if self.dead_letters_fail => {
                self.stopped.insert(group);
                return "retry";
            }
            "parked" => self.parked[order] += usize::from(sent.what != What::Noise),
            "retry" => {
                self.stopped.insert(group);
            }
            _ => {}
        }
        word
    }
}

fn run(fake: &Arc<Fake>, messages: Vec<Message>) -> Vec<HandledMessage> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(consumer(fake).handle(messages))
}

fn by_number(handled: &[HandledMessage]) -> BTreeMap<usize, &'static str> {
    handled.iter().map(|it| (it.message.id.parse().unwrap(), word(&it.disposition))).collect()
}

/// Whether all messages of each order are in one group. If the events of an order were in two groups, they would not be
/// handled in order.
fn groups_are_apart(sent: &[Sent]) -> bool {
    let of = |shared: bool| sent.iter().filter(move |it| it.shared == shared).map(|it| it.order);
    let shared: HashSet<_> = of(true).collect();
    of(false).all(|order| !shared.contains(&order))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_batch_of_an_ordered_queue_gets_the_dispositions_of_the_model(
        sent in batch().prop_filter("all messages of an order are in one group", |sent| groups_are_apart(sent)),
        failing in prop::collection::hash_set(prop::sample::select(ORDERS.to_vec()), 0..=2),
        dead_letters_fail in prop::bool::weighted(0.2),
    ) {
        let fake = Arc::new(Fake { failing: failing.clone(), dead_letters_fail, ..Fake::default() });
        let handled = run(&fake, messages(&sent, true));
        let start = || Model {
            recorded: [0; 3], parked: [0; 3], failing: &failing, dead_letters_fail, stopped: HashSet::new(),
        };
        let mut model = start();
        let expected: BTreeMap<_, _> = sent.iter().map(|sent| model.step(*sent)).enumerate().collect();
        prop_assert_eq!(by_number(&handled), expected);

        // The retried messages are delivered again, without failures. The result must be the same as if no failure had
        // occurred.
        let mut fake = fake;
        let healthy = Arc::get_mut(&mut fake).unwrap();
        (healthy.failing, healthy.dead_letters_fail) = (HashSet::new(), false);
        let mut again: Vec<_> = handled
            .into_iter()
            .filter(|it| matches!(it.disposition, Disposition::Retry(_)))
            .map(|it| Message { receive_count: 2, ..it.message })
            .collect();
        again.sort_by_key(|message| message.id.parse::<usize>().unwrap());
        let second = run(&fake, again);
        prop_assert!(second.iter().all(|it| !matches!(it.disposition, Disposition::Retry(_))));
        let nothing = HashSet::new();
        let mut model = Model { failing: &nothing, dead_letters_fail: false, ..start() };
        sent.iter().for_each(|sent| { model.step(*sent); });
        for (order, count) in ORDERS.iter().zip(model.recorded) {
            prop_assert_eq!(fake.recorded(order), LIFE[..count].to_vec());
        }
        let parked = fake.sequences.lock().unwrap().values().map(Vec::len).sum::<usize>();
        prop_assert_eq!(parked, model.parked.iter().sum::<usize>());
    }

    #[test]
    fn on_a_queue_without_order_a_failure_affects_only_its_own_order(
        sent in batch(),
        failing in prop::sample::select(ORDERS.to_vec()),
    ) {
        let (healthy, one_fails) = (
            Arc::new(Fake::default()),
            Arc::new(Fake { failing: HashSet::from([failing]), ..Fake::default() }),
        );
        let expected = by_number(&run(&healthy, messages(&sent, false)));
        let found = by_number(&run(&one_fails, messages(&sent, false)));
        for (number, sent) in sent.iter().enumerate() {
            match sent.what {
                // The log cannot write the events of the failing order, so these events are retried. Events that follow
                // a parked message are parked instead.
                What::Event(_) if ORDERS[sent.order] == failing => {
                    prop_assert!(["retry", "parked"].contains(&found[&number]), "{}", found[&number]);
                }
                _ => prop_assert_eq!(found[&number], expected[&number]),
            }
        }
    }
}
