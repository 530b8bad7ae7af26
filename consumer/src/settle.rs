//! Finishes a batch after its events were appended: stores rejections, releases replays from the dead
//! letters, parks messages, and gives each message its disposition. `execute` calls this module at the end of
//! a batch.

use domain::{Envelope, OrderId, ParkReason, Receipt};

use crate::decide::Plan;
use crate::disposition::Disposition;
use crate::group::{DecodedMessage, MessageGroup};
use crate::handler::HandledMessage;
use crate::ports::{AppendError, Appended, DeadLetters, Message, OrderLog, ParkRequest};
use crate::spans;

/// The target of the log lines about handled messages. `docs/observability.md` documents this name, so that operators
/// can turn the lines off.
const LOG_TARGET: &str = "consumer::finish";
/// The target of the lines about events that need nobody's attention: recorded ones and duplicates. Lambda functions log them
/// only at the level `debug`.
pub(crate) const ROUTINE_LOG_TARGET: &str = "consumer::finish::routine";

/// A group whose plan was executed.
pub(crate) struct ExecutedGroup {
    pub(crate) group: MessageGroup,
    /// The plan of each message.
    pub(crate) plans: Vec<Plan>,
    /// The result of each append, with its order id.
    pub(crate) appended: Vec<(OrderId, Result<Appended, AppendError>)>,
}

impl ExecutedGroup {
    pub(crate) fn has_conflict(&self) -> bool {
        self.appended.iter().any(|(_, result)| {
            matches!(result, Err(AppendError::Conflict { .. } | AppendError::ReferenceTaken { .. }))
        })
    }

    /// Splits the group into its messages, and sets the dispositions that do not depend on storing or
    /// parking.
    fn into_pending(self, number: usize) -> impl Iterator<Item = PendingMessage> {
        let Self { group, plans, appended } = self;
        let failure = appended.iter().find_map(|(_, result)| result.as_ref().err()).map(explain);
        group.messages.into_iter().zip(plans).map(move |(decoded, plan)| {
            let disposition = match (&plan, &failure) {
                // The rules refused the event after earlier events that could not be appended, so the refusal
                // may be wrong. In an ordered group, the message is retried in any case.
                (Plan::Reject(_), Some(why)) if decoded.message.group.is_none() => {
                    Some(Disposition::Retry(why.clone()))
                }
                _ => after_append(&plan, decoded.order_id.as_ref(), &appended),
            };
            PendingMessage { decoded, plan, group: number, disposition }
        })
    }
}

/// A message that may still need its disposition.
struct PendingMessage {
    decoded: DecodedMessage,
    plan: Plan,
    /// The number of the message's group in the batch.
    group: usize,
    disposition: Option<Disposition>,
}

impl PendingMessage {
    fn is_ordered(&self) -> bool {
        self.decoded.message.group.is_some()
    }

    fn is_to_be_parked(&self) -> bool {
        self.disposition.is_none() && matches!(self.plan, Plan::Park(..))
    }

    /// The receipt to store for a rejected event.
    fn rejection(&self) -> Option<Receipt> {
        let (Plan::Reject(outcome), Ok(envelope)) = (&self.plan, &self.decoded.event) else { return None };
        let message = Some(self.decoded.message.dead_letter_id().to_owned());
        Some(Receipt { message, ..Receipt::of(envelope, Some(outcome.clone())) })
    }

    fn park_request(&self) -> Option<ParkRequest<'_>> {
        let Plan::Park(reason, detail) = &self.plan else { return None };
        Some(ParkRequest {
            message: &self.decoded.message,
            reason: *reason,
            detail: detail.clone(),
            event: self.decoded.event.as_ref().ok(),
            order_id: self.decoded.order_id.clone(),
        })
    }
}

/// Settles the groups of a batch.
pub(crate) struct Settler<'a> {
    pub(crate) log: &'a dyn OrderLog,
    pub(crate) dead_letters: &'a dyn DeadLetters,
    /// How often the queue delivers a message. See [`crate::Consumer::max_receives`].
    pub(crate) max_receives: Option<u32>,
}

impl Settler<'_> {
    /// Stores rejections, releases replays, parks messages, and returns each message with its disposition.
    pub(crate) async fn settle(&self, groups: Vec<ExecutedGroup>) -> Vec<HandledMessage> {
        let groups = groups.into_iter().enumerate();
        let mut pending: Vec<_> = groups.flat_map(|(number, group)| group.into_pending(number)).collect();
        hold_back(&mut pending);
        self.store_rejections(&mut pending).await;
        hold_back(&mut pending);
        self.release_replays(&mut pending).await;
        hold_back(&mut pending);
        self.park_last_retries(&mut pending);
        while self.park_next(&mut pending).await {
            hold_back(&mut pending);
        }
        pending.into_iter().map(report).collect()
    }

    async fn store_rejections(&self, pending: &mut [PendingMessage]) {
        let open = pending.iter_mut().filter(|message| message.disposition.is_none());
        let (mut rejected, receipts): (Vec<_>, Vec<_>) = open
            .filter_map(|message| {
                let receipt = message.rejection()?;
                Some((message, receipt))
            })
            .unzip();
        if receipts.is_empty() {
            return;
        }
        let results = self.log.settle(&receipts).await;
        for ((message, receipt), result) in rejected.iter_mut().zip(receipts).zip(results) {
            message.disposition = Some(match (result, receipt.outcome) {
                (Ok(()), Some(outcome)) => outcome.into(),
                (Ok(()), None) => Disposition::Retry("the rejected event has no outcome".to_owned()),
                (Err(error), _) => Disposition::Retry(format!("{error:#}")),
            });
        }
    }

    /// Releases the dead letters whose replays are finished. If the release fails, the replay is handled again and
    /// has the same outcome.
    async fn release_replays(&self, pending: &mut [PendingMessage]) {
        let replays = pending.iter_mut().filter(|message| message.decoded.message.replayed().is_some());
        let mut done: Vec<&mut PendingMessage> = replays
            .filter(|message| message.disposition.as_ref().is_some_and(Disposition::is_acknowledged))
            .collect();
        let letters: Vec<_> = done
            .iter()
            .filter_map(|message| {
                Some((message.decoded.message.dead_letter_id(), message.disposition.as_ref()?))
            })
            .collect();
        if letters.is_empty() {
            return;
        }
        let results = self.dead_letters.release(&letters).await;
        for (message, result) in done.iter_mut().zip(results) {
            if let Err(error) = result {
                message.disposition = Some(Disposition::Retry(format!("{error:#}")));
            }
        }
    }

    /// Marks messages for parking if they must be retried, but the queue would not deliver them again.
    fn park_last_retries(&self, pending: &mut [PendingMessage]) {
        let Some(max_receives) = self.max_receives else { return };
        let mut group_with_failure = None;
        for message in pending {
            let receives = message.decoded.message.receive_count;
            let is_last = receives >= max_receives;
            let Some(Disposition::Retry(why)) = message.disposition.as_ref().filter(|_| is_last) else {
                continue;
            };
            let follows_failure = group_with_failure == Some(message.group) && message.is_ordered();
            let reason = if follows_failure { ParkReason::BehindParked } else { ParkReason::TriesExhausted };
            message.plan = Plan::Park(reason, format!("received {receives} times; the last error: {why}"));
            message.disposition = None;
            group_with_failure = Some(message.group);
        }
    }

    /// Parks messages. In each ordered group, parks only the first message that must be parked, so that the
    /// parked sequence keeps its order even if parking fails. In other groups, parks all messages. Returns
    /// whether more messages may have to be parked.
    async fn park_next(&self, pending: &mut [PendingMessage]) -> bool {
        let mut latest_group = None;
        let mut is_first_of_group = |message: &&mut PendingMessage| {
            !message.is_ordered() || latest_group.replace(message.group) != Some(message.group)
        };
        let mut parking: Vec<&mut PendingMessage> = pending
            .iter_mut()
            .filter(|message| message.is_to_be_parked())
            .filter(|message| is_first_of_group(message))
            .collect();
        if parking.is_empty() {
            return false;
        }
        let requests: Vec<_> = parking.iter().filter_map(|message| message.park_request()).collect();
        let results = self.dead_letters.park(&requests).await;
        let reasons: Vec<_> = requests.into_iter().map(|request| (request.reason, request.detail)).collect();
        for ((message, (reason, detail)), result) in parking.iter_mut().zip(reasons).zip(results) {
            message.disposition = Some(match result {
                Ok(()) => Disposition::Parked(reason, detail),
                Err(error) => Disposition::Retry(format!("{error:#}")),
            });
        }
        true
    }
}

/// The disposition of a message after the planned events were appended. `None` if the message must first be
/// stored as rejected or moved to the dead letters.
fn after_append(
    plan: &Plan,
    order_id: Option<&OrderId>,
    appended: &[(OrderId, Result<Appended, AppendError>)],
) -> Option<Disposition> {
    match plan {
        Plan::Record { version } => {
            let result = appended.iter().find(|(appended_id, _)| Some(appended_id) == order_id);
            Some(match result {
                Some((_, Ok(Appended::New | Appended::Already))) => Disposition::Recorded(*version),
                Some((_, Err(error))) => Disposition::Retry(explain(error)),
                None => Disposition::Retry("the store returned no result for the append".to_owned()),
            })
        }
        Plan::AlreadyHandled(outcome) => Some(outcome.clone().into()),
        Plan::Duplicate => Some(Disposition::Duplicate),
        Plan::Retry(why) => Some(Disposition::Retry(why.clone())),
        Plan::Reject(_) | Plan::Park(..) => None,
    }
}

fn explain(error: &AppendError) -> String {
    match error {
        AppendError::Unavailable(source) => format!("{error}: {source:#}"),
        AppendError::Conflict { .. } | AppendError::ReferenceTaken { .. } => error.to_string(),
    }
}

/// In an ordered group, retries every message that follows a message to retry. A message that is already parked has
/// left the queue, and stays parked.
fn hold_back(pending: &mut [PendingMessage]) {
    let mut stopped_group = None;
    for message in pending {
        if stopped_group == Some(message.group)
            && !matches!(message.disposition, Some(Disposition::Parked(..) | Disposition::Retry(_)))
        {
            let why = "an earlier event of the same group must be retried first".to_owned();
            message.disposition = Some(Disposition::Retry(why));
        }
        if message.is_ordered() && matches!(message.disposition, Some(Disposition::Retry(_))) {
            stopped_group = Some(message.group);
        }
    }
}

pub(crate) fn log_recorded(envelope: &Envelope, version: u64, trace_id: Option<&str>) {
    let (order_id, event_id) = (envelope.order_id.as_str(), envelope.event_id);
    let (kind, correlation_id) = (envelope.event.event_type(), envelope.correlation_id.as_str());
    tracing::info!(target: ROUTINE_LOG_TARGET, order_id, %event_id, correlation_id, trace_id, %kind, version, "recorded");
}

/// Reports the disposition to the trace and the log. The log gets one line for each message.
fn report(pending: PendingMessage) -> HandledMessage {
    let disposition =
        pending.disposition.unwrap_or_else(|| Disposition::Retry("the message was not settled".to_owned()));
    let DecodedMessage { message, event, span, .. } = pending.decoded;
    spans::end(&span, &disposition);
    let _entered = span.enter();
    match &event {
        Ok(envelope) => log_disposition(envelope, &message, &disposition),
        Err(_) => {
            let id = message.id.as_str();
            tracing::error!(target: LOG_TARGET, message_id = id, outcome = ?disposition, "a message does not contain an event");
        }
    }
    HandledMessage { message, disposition, delay: None }
}

fn log_disposition(envelope: &Envelope, message: &Message, disposition: &Disposition) {
    let (order_id, event_id) = (envelope.order_id.as_str(), envelope.event_id);
    let (kind, correlation_id) = (envelope.event.event_type(), envelope.correlation_id.as_str());
    let trace_id = spans::trace_id(message);
    let trace_id = trace_id.as_deref();
    match disposition {
        Disposition::Recorded(version) => log_recorded(envelope, *version, trace_id),
        Disposition::Rejected(reason, detail) => {
            let reason = reason.as_str();
            tracing::info!(target: LOG_TARGET, order_id, %event_id, correlation_id, trace_id, %kind, reason, detail, "rejected");
        }
        Disposition::Duplicate => {
            tracing::info!(target: ROUTINE_LOG_TARGET, order_id, %event_id, correlation_id, trace_id, %kind, "duplicate");
        }
        Disposition::Parked(reason, detail) => {
            let reason = reason.as_str();
            tracing::error!(target: LOG_TARGET, order_id, %event_id, correlation_id, trace_id, %kind, reason, detail, "parked");
        }
        Disposition::Retry(why) => {
            let receives = message.receive_count;
            tracing::warn!(target: LOG_TARGET, order_id, %event_id, correlation_id, trace_id, %kind, receives, why, "to be retried");
        }
        Disposition::Archived | Disposition::Completed => {}
    }
}
