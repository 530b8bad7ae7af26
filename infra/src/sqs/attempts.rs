//! Follows the attempts of one SQS call for `publisher`. The error of a failed call describes only the last attempt.
//! This module detects whether an earlier attempt may have succeeded although its answer was lost.

use std::error::Error as StdError;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use aws_sdk_sqs::config::interceptors::{
    BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_sdk_sqs::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_sqs::error::BoxError;
use hyper_util::client::legacy;

/// Counts the attempts of a call, and the attempts with a known result. Clones share the counts.
#[derive(Debug, Clone, Default)]
pub(super) struct CallAttempts(Arc<AttemptCounts>);

#[derive(Debug, Default)]
struct AttemptCounts {
    /// The number of attempts that were sent or were about to be sent.
    sent: AtomicU32,
    /// The number of attempts with a known result. Such an attempt was answered by SQS, or changed nothing because no
    /// connection could be made.
    settled: AtomicU32,
}

impl CallAttempts {
    /// Whether SQS may have carried out an attempt whose answer was lost.
    pub(super) fn lost_an_answer(&self) -> bool {
        self.0.sent.load(Relaxed) > self.0.settled.load(Relaxed)
    }
}

impl Intercept for CallAttempts {
    fn name(&self) -> &'static str {
        "attempts"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.sent.fetch_add(1, Relaxed);
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let settled = match (context.output_or_error(), context.response()) {
            (Some(Ok(_)), _) => true,
            (Some(Err(_)), Some(response)) => is_refusal(response.status().as_u16()),
            (Some(Err(error)), None) => {
                error.as_connector_error().is_some_and(|error| was_unconnected(error))
            }
            (None, _) => false,
        };
        self.0.settled.fetch_add(u32::from(settled), Relaxed);
        Ok(())
    }
}

/// Whether a response with the given status means that SQS has not carried out the call. After a 408, which proxies
/// send, and after any 5xx, SQS may have carried out the call.
fn is_refusal(status: u16) -> bool {
    (400..500).contains(&status) && status != 408
}

/// Whether a request was not sent because no connection could be made. The SDK's connector reports a failed connection
/// as an error of hyper's legacy client.
fn was_unconnected(error: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.downcast_ref().is_some_and(legacy::Error::is_connect) {
            return true;
        }
        next = error.source();
    }
    false
}
