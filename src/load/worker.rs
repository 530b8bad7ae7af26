//! A worker: sends one request of the mix whenever a request is due. `drive` starts one worker for each connection.

use std::sync::Arc;
use std::time::Instant;

use domain::OrderId;
use fastrand::Rng;

use super::LoadRun;
use super::client::{LoadClient, LoadRequest, LoadResponse};
use super::counts::CallCounts;
use super::findings::FindingKind;
use super::known_orders::{AcceptedEvent, EarlierEvent, ExpectedOutcome, PlannedEvent};
use super::measure::Acceptance;
use super::mix::RequestKind;
use super::receipt::ServiceReceipt;
use super::requests::{self, Creation, malformed};
use super::sent::SentEvent;
use super::steps::LifeStep;

/// How many idle orders a worker examines, at most, to find an order for which the event can be planned.
const TRIES: usize = 16;

/// The page size of the customer lists that workers read.
pub(super) const LIST_LIMIT: u32 = 10;

pub(super) struct LoadWorker {
    run: Arc<LoadRun>,
    client: LoadClient,
    rng: Rng,
}

/// The result of a write. A write is sent again until it is answered.
enum WriteResult {
    Accepted(Box<ServiceReceipt>, LoadResponse),
    /// The service refused the write, although the write is valid.
    Refused,
    /// There was no usable answer: the event may have been accepted.
    Unknown,
}

impl LoadWorker {
    pub(super) fn new(run: Arc<LoadRun>, number: u64) -> Self {
        // Each worker needs a different seed. Otherwise all workers would send the same requests.
        let rng = Rng::with_seed(run.args.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(number));
        Self { client: run.client(), run, rng }
    }

    /// Sends requests until the load ends.
    pub(super) async fn run(mut self) {
        while let Some(due) = self.run.arrivals.next().await {
            let kind = self.run.args.mix.choose(&mut self.rng);
            self.request(kind, due).await;
        }
    }

    /// Sends a request of this kind. If the kind needs an existing order and there is none, creates an order instead.
    async fn request(&mut self, kind: RequestKind, due: Instant) {
        let planned = match kind {
            RequestKind::Advance => self.run.orders().plan_step(&mut self.rng),
            RequestKind::Cancel | RequestKind::Illegal => self.plan(kind),
            RequestKind::Create | RequestKind::Read | RequestKind::Retry | RequestKind::Malformed => None,
        };
        if let Some(planned) = planned {
            let number = self.run.next_number();
            return self.propose(kind, due, number, planned).await;
        }
        if kind == RequestKind::Malformed {
            return self.malformed(due).await;
        }
        let earlier = (matches!(kind, RequestKind::Read | RequestKind::Retry))
            .then(|| self.run.orders().random_event(&mut self.rng));
        match earlier.flatten() {
            Some(earlier) if kind == RequestKind::Read => self.read(due, earlier).await,
            Some(earlier) => self.retry(due, earlier).await,
            None => self.create(due).await,
        }
    }

    /// Plans a cancellation or an illegal event of a random idle order.
    fn plan(&mut self, kind: RequestKind) -> Option<PlannedEvent> {
        let run = &self.run;
        for _ in 0..TRIES {
            let idle = match kind {
                RequestKind::Cancel => run.orders().take_open(&mut self.rng)?,
                _ => run.orders().take_idle(&mut self.rng)?,
            };
            let planned = match kind {
                RequestKind::Cancel => idle.plan_cancel(&run.requests),
                _ => idle.plan_illegal(&run.requests, run.args.unordered, &mut self.rng),
            };
            if planned.is_some() {
                return planned;
            }
            run.orders().release(idle.place());
        }
        None
    }

    async fn create(&mut self, due: Instant) {
        let creation = self.run.next_creation();
        let sent = SentEvent { step: LifeStep::Create, number: creation.number };
        if let WriteResult::Accepted(receipt, answer) = self.write(sent, creation, None).await {
            let before = {
                let mut orders = self.run.orders();
                let before = orders.accepted_count();
                orders.add_order(
                    receipt.order_id.clone(),
                    creation,
                    self.run.requests.life(creation).steps,
                    self.accepted(&receipt, sent, ExpectedOutcome::Recorded),
                );
                before
            };
            self.done(RequestKind::Create, due, Acceptance::New, &answer, |calls| &mut calls.creations);
            self.sample(&receipt, before).await;
        }
    }

    async fn propose(&mut self, kind: RequestKind, due: Instant, number: u32, planned: PlannedEvent) {
        let PlannedEvent { place, order_id, creation, step, expected, rest } = planned;
        let sent = SentEvent { step, number };
        match self.write(sent, creation, Some(&order_id)).await {
            WriteResult::Accepted(receipt, answer) => {
                let before = {
                    let mut orders = self.run.orders();
                    let before = orders.accepted_count();
                    orders.add_event(place, rest, self.accepted(&receipt, sent, expected));
                    before
                };
                self.done(kind, due, Acceptance::New, &answer, |calls| &mut calls.events);
                if expected == ExpectedOutcome::Recorded {
                    self.sample(&receipt, before).await;
                }
            }
            WriteResult::Refused => self.run.orders().release(place),
            WriteResult::Unknown => self.run.orders().mark_uncertain(place),
        }
    }

    async fn retry(&mut self, due: Instant, earlier: EarlierEvent) {
        let EarlierEvent { order_id, creation, accepted } = earlier;
        let order = (accepted.step != LifeStep::Create).then_some(&order_id);
        let WriteResult::Accepted(receipt, answer) = self.write(accepted.sent(), creation, order).await
        else {
            return;
        };
        self.done(RequestKind::Retry, due, Acceptance::Again, &answer, |calls| &mut calls.retries);
        if (&receipt.order_id, receipt.event_id) != (&order_id, accepted.event_id) {
            let answered = format!("event {} of order {}", receipt.event_id, receipt.order_id);
            let sent = format!("event {} of order {order_id}", accepted.event_id);
            self.run.findings().add(
                FindingKind::RetryNotRecognised,
                format!("{sent} was sent again and answered as {answered}"),
            );
        }
    }

    /// Sends a write with its idempotency key until it is answered.
    async fn write(&mut self, sent: SentEvent, creation: Creation, order: Option<&OrderId>) -> WriteResult {
        let SentEvent { step, number } = sent;
        let run = &self.run;
        let path = run.args.url.path(&requests::path(order));
        let body = run.requests.body(step, number, creation);
        let request = LoadRequest { key: Some(run.requests.key(number)), ..LoadRequest::post(&path, body) };
        let failed = |result: &_| run.measure().failed(result, Instant::now());
        let result =
            self.client.send_until_answered(&request, run.args.patience(), &mut self.rng, failed).await;
        let answer = match result {
            Ok(answer) if !answer.is_retryable() => answer,
            Ok(answer) => return self.unanswered(&path, &answer.status.to_string()),
            Err(failure) => return self.unanswered(&path, &format!("{:#}", failure.error)),
        };
        if answer.status.as_u16() != 202 {
            self.unexpected(&format!("POST {path}"), &answer);
            return WriteResult::Refused;
        }
        match ServiceReceipt::decode(&answer.body) {
            Ok(receipt) if receipt.event_type == step.event_type() => {
                WriteResult::Accepted(Box::new(receipt), answer)
            }
            Ok(_) | Err(_) => {
                self.unexpected(&format!("POST {path}"), &answer);
                WriteResult::Unknown
            }
        }
    }

    fn unanswered(&self, path: &str, last: &str) -> WriteResult {
        self.run.measure().errors.unanswered += 1;
        self.run
            .findings()
            .add(FindingKind::NeverAnswered, format!("POST {path}: the last attempt ended with {last}"));
        WriteResult::Unknown
    }

    async fn malformed(&mut self, due: Instant) {
        let number = self.run.next_number();
        let order = OrderId::parse("orders-load").expect("letters and a dash form a valid order id");
        let creations = self.run.args.url.path(&requests::path(None));
        let events = self.run.args.url.path(&requests::path(Some(&order)));
        let request = malformed(number, &creations, &events);
        self.once(RequestKind::Malformed, due, &request, &[400, 413, 415, 422], |calls| &mut calls.refused)
            .await;
    }

    async fn read(&mut self, due: Instant, earlier: EarlierEvent) {
        let url = &self.run.args.url;
        let EarlierEvent { order_id, creation, accepted } = earlier;
        // A 404 is also correct, because the order may not be recorded yet.
        let maybe_not_yet: &[u16] = &[200, 404];
        let (path, statuses, calls): (_, _, fn(&mut CallCounts) -> &mut u64) = match self.rng.u8(..4) {
            0 => (url.path(&format!("/v1/orders/{order_id}")), maybe_not_yet, |calls| &mut calls.orders),
            1 => (url.path(&requests::path(Some(&order_id))), maybe_not_yet, |calls| &mut calls.histories),
            2 => {
                let customer = self.run.requests.customer(creation.number);
                let path = url.path(&format!("/v1/orders?customer_id={customer}&limit={LIST_LIMIT}"));
                (path, &[200], |calls| &mut calls.lists)
            }
            _ => {
                let path = accepted.receipt.path(url, &order_id, accepted.event_id, accepted.event_type());
                (path, &[200], |calls| &mut calls.receipts)
            }
        };
        self.once(RequestKind::Read, due, &LoadRequest::get(&path), statuses, calls).await;
    }

    /// Sends a request once. A correct answer has one of these statuses.
    async fn once(
        &mut self,
        kind: RequestKind,
        due: Instant,
        request: &LoadRequest<'_>,
        statuses: &[u16],
        calls: fn(&mut CallCounts) -> &mut u64,
    ) {
        match self.client.send(request).await {
            Ok(answer) if statuses.contains(&answer.status.as_u16()) => {
                self.done(kind, due, Acceptance::No, &answer, calls);
            }
            Ok(answer) if !answer.is_retryable() => self.unexpected(request.path, &answer),
            result => self.run.measure().failed(&result, Instant::now()),
        }
    }

    /// Adds an answered request to the measurements.
    fn done(
        &self,
        kind: RequestKind,
        due: Instant,
        accept: Acceptance,
        answer: &LoadResponse,
        calls: fn(&mut CallCounts) -> &mut u64,
    ) {
        let mut measure = self.run.measure();
        measure.answered(kind, due, Instant::now(), accept);
        *calls(&mut measure.calls) += 1;
        measure.calls.bytes_out += answer.bytes;
        measure.replayed += u64::from(answer.replayed && accept == Acceptance::Again);
        measure.recovered += u64::from(answer.replayed && accept == Acceptance::New);
    }

    fn unexpected(&self, what: &str, answer: &LoadResponse) {
        self.run.measure().unexpected(Instant::now());
        let body = String::from_utf8_lossy(&answer.body);
        self.run
            .findings()
            .add(FindingKind::UnexpectedAnswer, format!("{what}: {} {body:.300}", answer.status));
    }

    fn accepted(
        &self,
        receipt: &ServiceReceipt,
        sent: SentEvent,
        expected: ExpectedOutcome,
    ) -> AcceptedEvent {
        let location = receipt.location(&self.run.args.url);
        let SentEvent { step, number } = sent;
        AcceptedEvent { event_id: receipt.event_id, number, step, expected, receipt: location }
    }

    /// Follows the event to its outcome, if a sample is due. `before` is the number of events accepted before this
    /// event.
    async fn sample(&self, receipt: &ServiceReceipt, before: u64) {
        let now = Instant::now();
        if self.run.samples.is_sample(now.saturating_duration_since(self.run.start)) {
            let url = &self.run.args.url;
            let path =
                receipt.location(url).path(url, &receipt.order_id, receipt.event_id, receipt.event_type);
            self.run.samples.follow(self.run.clone(), path, now, before).await;
        }
    }
}
