//! One worker: takes turns, and makes a request of the mix at each.

use std::sync::Arc;
use std::time::Instant;

use domain::{EventType, OrderId};
use fastrand::Rng;

use super::Run;
use super::book::{Accepted, Earlier, Expected, Planned};
use super::client::{Answer, Ask, Client};
use super::counts::Calls;
use super::findings::Fault;
use super::measure::Accept;
use super::mix::Kind;
use super::receipt::Receipt;
use super::requests::{self, malformed};

/// Orders on a page of a customer's list.
pub(super) const LIST_LIMIT: u32 = 10;

pub(super) struct Worker {
    run: Arc<Run>,
    client: Client,
    rng: Rng,
}

/// What came of sending a write.
enum Written {
    Accepted(Box<Receipt>, Answer),
    /// Refused, which it must not be.
    Refused,
    /// Nobody knows.
    Unknown,
}

impl Worker {
    pub(super) fn new(run: Arc<Run>, number: u64) -> Self {
        // Any mixing of the two will do, so that no two workers draw the same.
        let rng = Rng::with_seed(run.args.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(number));
        Self { client: run.client(), run, rng }
    }

    /// Works until there are no more turns.
    pub(super) async fn work(mut self) {
        while let Some(turn) = self.run.turns.next().await {
            let kind = self.run.args.mix.choose(&mut self.rng);
            self.request(kind, turn).await;
        }
    }

    /// Makes a request of this kind. What needs an order that is not there makes one instead.
    async fn request(&mut self, kind: Kind, turn: Instant) {
        let unordered = self.run.args.unordered;
        let planned = {
            let mut book = self.run.book();
            match kind {
                Kind::Advance => book.plan_step(&mut self.rng),
                Kind::Cancel => book.plan_cancel(&mut self.rng),
                Kind::Illegal => book.plan_illegal(unordered, &mut self.rng),
                Kind::Create | Kind::Read | Kind::Retry | Kind::Malformed => None,
            }
        };
        if let Some(planned) = planned {
            return self.propose(kind, turn, planned).await;
        }
        if kind == Kind::Malformed {
            return self.malformed(turn).await;
        }
        let earlier =
            (matches!(kind, Kind::Read | Kind::Retry)).then(|| self.run.book().some_event(&mut self.rng));
        match earlier.flatten() {
            Some(earlier) if kind == Kind::Read => self.read(turn, earlier).await,
            Some(earlier) => self.retry(turn, earlier).await,
            None => self.create(turn).await,
        }
    }

    async fn create(&mut self, turn: Instant) {
        let number = self.run.next_number();
        if let Written::Accepted(receipt, answer) = self.write(EventType::Created, number, None).await {
            let before = {
                let mut book = self.run.book();
                let before = book.accepted();
                book.created(receipt.order_id.clone(), self.accepted(&receipt, number, Expected::Recorded));
                before
            };
            self.done(Kind::Create, turn, Accept::New, &answer, |calls| &mut calls.creations);
            self.sample(&receipt, before).await;
        }
    }

    async fn propose(&mut self, kind: Kind, turn: Instant, planned: Planned) {
        let number = self.run.next_number();
        let Planned { place, order_id, creation, event_type, expected } = planned;
        match self.write(event_type, number, Some((&order_id, creation))).await {
            Written::Accepted(receipt, answer) => {
                let before = {
                    let mut book = self.run.book();
                    let before = book.accepted();
                    book.accepted_event(place, self.accepted(&receipt, number, expected));
                    before
                };
                self.done(kind, turn, Accept::New, &answer, |calls| &mut calls.events);
                if expected == Expected::Recorded {
                    self.sample(&receipt, before).await;
                }
            }
            Written::Refused => self.run.book().release(place),
            Written::Unknown => self.run.book().uncertain(place),
        }
    }

    async fn retry(&mut self, turn: Instant, earlier: Earlier) {
        let Earlier { order_id, creation, accepted } = earlier;
        let order = (accepted.event_type != EventType::Created).then_some((&order_id, creation));
        let Written::Accepted(receipt, answer) =
            self.write(accepted.event_type, accepted.number, order).await
        else {
            return;
        };
        self.done(Kind::Retry, turn, Accept::Again, &answer, |calls| &mut calls.retries);
        if (&receipt.order_id, receipt.event_id) != (&order_id, accepted.event_id) {
            let told = format!("event {} of order {}", receipt.event_id, receipt.order_id);
            let was = format!("event {} of order {order_id}", accepted.event_id);
            self.run.findings().add(Fault::RetryNotRecognised, format!("{was} sent again became {told}"));
        }
    }

    /// Sends a write under its key until it is answered.
    async fn write(&mut self, event_type: EventType, number: u32, order: Option<(&OrderId, u32)>) -> Written {
        let run = &self.run;
        let path = run.args.url.path(&requests::path(order.map(|(id, _)| id)));
        let creation = order.map_or(number, |(_, creation)| creation);
        let body = run.requests.body(event_type, number, creation);
        let ask = Ask { key: Some(run.requests.key(number)), ..Ask::post(&path, body) };
        let failed = |result: &_| run.measure().failed(result, Instant::now());
        let sent = self.client.send_until_answered(&ask, run.args.patience(), &mut self.rng, failed).await;
        let answer = match sent {
            Ok(answer) if !answer.is_for_later() => answer,
            Ok(answer) => return self.unanswered(&path, &answer.status.to_string()),
            Err(failure) => return self.unanswered(&path, &format!("{:#}", failure.error)),
        };
        if answer.status.as_u16() != 202 {
            self.unexpected(&format!("POST {path}"), &answer);
            return Written::Refused;
        }
        match Receipt::read(&answer.body) {
            Ok(receipt) if receipt.event_type == event_type => Written::Accepted(Box::new(receipt), answer),
            Ok(_) | Err(_) => {
                self.unexpected(&format!("POST {path}"), &answer);
                Written::Unknown
            }
        }
    }

    fn unanswered(&self, path: &str, last: &str) -> Written {
        self.run.measure().errors.unanswered += 1;
        self.run.findings().add(Fault::NeverAnswered, format!("POST {path}: at last {last}"));
        Written::Unknown
    }

    async fn malformed(&mut self, turn: Instant) {
        let number = self.run.next_number();
        let order = OrderId::parse("orders-load").expect("letters and a dash");
        let creations = self.run.args.url.path(&requests::path(None));
        let events = self.run.args.url.path(&requests::path(Some(&order)));
        let ask = malformed(number, &creations, &events);
        self.once(Kind::Malformed, turn, &ask, &[400, 413, 415, 422], |calls| &mut calls.refused).await;
    }

    async fn read(&mut self, turn: Instant, earlier: Earlier) {
        let url = &self.run.args.url;
        let Earlier { order_id, creation, accepted } = earlier;
        // What was only just accepted may not be there yet.
        let not_yet: &[u16] = &[200, 404];
        let (path, statuses, calls): (_, _, fn(&mut Calls) -> &mut u64) = match self.rng.u8(..4) {
            0 => (url.path(&format!("/v1/orders/{order_id}")), not_yet, |calls| &mut calls.orders),
            1 => (url.path(&requests::path(Some(&order_id))), not_yet, |calls| &mut calls.histories),
            2 => {
                let customer = self.run.requests.customer(creation);
                let path = url.path(&format!("/v1/orders?customer_id={customer}&limit={LIST_LIMIT}"));
                (path, &[200], |calls| &mut calls.lists)
            }
            _ => {
                let path = accepted.link.path(url, &order_id, accepted.event_id, accepted.event_type);
                (path, &[200], |calls| &mut calls.receipts)
            }
        };
        self.once(Kind::Read, turn, &Ask::get(&path), statuses, calls).await;
    }

    /// Sends a request once, which must be answered with one of these statuses.
    async fn once(
        &mut self,
        kind: Kind,
        turn: Instant,
        ask: &Ask<'_>,
        statuses: &[u16],
        calls: fn(&mut Calls) -> &mut u64,
    ) {
        match self.client.send(ask).await {
            Ok(answer) if statuses.contains(&answer.status.as_u16()) => {
                self.done(kind, turn, Accept::No, &answer, calls);
            }
            Ok(answer) if !answer.is_for_later() => self.unexpected(ask.path, &answer),
            result => self.run.measure().failed(&result, Instant::now()),
        }
    }

    fn done(
        &self,
        kind: Kind,
        turn: Instant,
        accept: Accept,
        answer: &Answer,
        calls: fn(&mut Calls) -> &mut u64,
    ) {
        let mut measure = self.run.measure();
        measure.answered(kind, turn, Instant::now(), accept);
        *calls(&mut measure.calls) += 1;
        measure.calls.bytes_out += answer.bytes;
        measure.replayed += u64::from(answer.replayed && accept == Accept::Again);
        measure.recovered += u64::from(answer.replayed && accept == Accept::New);
    }

    fn unexpected(&self, what: &str, answer: &Answer) {
        self.run.measure().unexpected(Instant::now());
        let body = String::from_utf8_lossy(&answer.body);
        self.run.findings().add(Fault::UnexpectedAnswer, format!("{what}: {} {body:.300}", answer.status));
    }

    fn accepted(&self, receipt: &Receipt, number: u32, expected: Expected) -> Accepted {
        let link = receipt.link(&self.run.args.url);
        Accepted { event_id: receipt.event_id, number, event_type: receipt.event_type, expected, link }
    }

    async fn sample(&self, receipt: &Receipt, before: u64) {
        let now = Instant::now();
        if self.run.samples.is_sample(now.saturating_duration_since(self.run.start)) {
            let url = &self.run.args.url;
            let path = receipt.link(url).path(url, &receipt.order_id, receipt.event_id, receipt.event_type);
            self.run.samples.follow(self.run.clone(), path, now, before).await;
        }
    }
}
