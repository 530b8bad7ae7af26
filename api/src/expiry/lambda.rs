//! The expiry role as a Lambda function, which a schedule invokes every minute. The command for Lambda calls [`run`].

use std::time::{Duration, SystemTime};

use domain::Timestamp;
use lambda_http::lambda_runtime::{self, Diagnostic};
use lambda_http::{LambdaEvent, service_fn};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{DueQuery, ExpiryRole, Pass};
use crate::lambda::AfterEach;

/// How long before an invocation's deadline the role stops reading further pages.
const MARGIN: Duration = Duration::from_secs(5);

/// Serves invocations one at a time, until the runtime ends the process. The content of the event is ignored.
pub async fn run(role: &ExpiryRole, after_each: AfterEach) -> anyhow::Result<()> {
    let serve = |event: LambdaEvent<Box<RawValue>>| async move {
        let pass = invoke(role, event.context.deadline()).await;
        after_each().await;
        pass.map(summary).map_err(|error| Diagnostic {
            error_type: "orders::expiry".to_owned(),
            error_message: format!("{error:#}"),
        })
    };
    lambda_runtime::run(service_fn(serve)).await.map_err(anyhow::Error::from_boxed)
}

fn summary(pass: Pass) -> Value {
    json!({ "proposed": pass.proposed, "passed_over": pass.passed_over, "is_cut_short": pass.is_cut_short })
}

/// Proposes to cancel the orders that are due now or become due until shortly before `deadline`. If no order is due in
/// that time, returns immediately, so that an invocation takes only a few milliseconds.
pub async fn invoke(role: &ExpiryRole, deadline: SystemTime) -> anyhow::Result<Pass> {
    let left = deadline.duration_since(SystemTime::now()).unwrap_or_default().saturating_sub(MARGIN);
    let until = Instant::now() + left;
    let last = (role.clock)().micros().saturating_add(i64::try_from(left.as_micros()).unwrap_or(i64::MAX));
    let last = Timestamp::from_micros(last).unwrap_or((role.clock)());
    let mut total = Pass::default();
    loop {
        let pass = role.pass(Some(until)).await?;
        total.proposed += pass.proposed;
        total.passed_over += pass.passed_over;
        total.is_cut_short = pass.is_cut_short;
        let is_over = pass.is_cut_short || Instant::now() + role.tick >= until;
        if is_over || !role.has_due(last).await? {
            return Ok(total);
        }
        sleep(role.tick).await;
    }
}

impl ExpiryRole {
    /// Whether the index lists an order that is due at the time `by`.
    async fn has_due(&self, by: Timestamp) -> anyhow::Result<bool> {
        let query = DueQuery { now: by, unpaid_age_micros: self.unpaid_age_micros() };
        let mut after = None;
        loop {
            let page = self.due.due(&query, after.as_ref(), 1).await?;
            if !page.orders.is_empty() {
                return Ok(true);
            }
            let Some(next) = page.next else { return Ok(false) };
            after = Some(next);
        }
    }
}
