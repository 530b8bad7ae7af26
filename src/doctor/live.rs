//! Queues and table as they are, of the deployment that the environment names.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use domain::Currency;
use infra::aws::{self, SdkConfig};

use super::assemble::{redrive, redrive_allow};
use super::references::Identity;
use super::model::{Area, Attr, Deployment, Fault, Queue, Table};
use super::rules::WRONG;
use super::value::Value;

const HINT: &str =
    "it takes other APIs than those of SQS and DynamoDB; give the JSON of a plan or state instead";

/// The deployment that `QUEUE_URL`, `DLQ_URL` and `TABLE_NAME` name.
pub(super) async fn read() -> anyhow::Result<Deployment> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let (queue_url, dlq_url, table_name) =
        (variable("QUEUE_URL"), variable("DLQ_URL"), variable("TABLE_NAME"));
    if queue_url.is_none() && dlq_url.is_none() && table_name.is_none() {
        bail!("QUEUE_URL, DLQ_URL and TABLE_NAME are not set: there is nothing to look at");
    }
    let sdk = aws::config().await;
    if sdk.region().is_none() {
        bail!("AWS_REGION is not set, and no profile states a region");
    }
    let mut deployment = Deployment::default();
    for (url, dead_letters) in [(&queue_url, false), (&dlq_url, true)] {
        if let Some(url) = url {
            let queue = queue(&sdk, url, dead_letters)
                .await
                .with_context(|| format!("looking at the queue {url}"))?;
            deployment.queues.push(queue);
            deployment.seen.insert(Area::Queues);
        }
    }
    if let Some(name) = &table_name {
        deployment.tables.push(table(&sdk, name).await?);
        deployment.seen.insert(Area::Tables);
    }
    leads_elsewhere(&mut deployment);
    deployment.seen.insert(Area::Environment);
    let absent = [("QUEUE_URL", queue_url), ("DLQ_URL", dlq_url), ("TABLE_NAME", table_name)];
    let absent = absent.into_iter().filter(|(_, value)| value.is_none());
    deployment.unseen.extend(absent.map(|(name, _)| (name.to_owned(), "it is not set".to_owned())));
    for area in [Area::Functions, Area::Permissions, Area::Alarms] {
        deployment.blind.insert(area, HINT.to_owned());
    }
    Ok(deployment)
}

/// Dead letters that go where nobody of this environment looks.
fn leads_elsewhere(deployment: &mut Deployment) {
    let [queue, dead_letters] = deployment.queues.as_slice() else { return };
    let Some(target) = queue.redrive.is().and_then(|redrive| redrive.target.is()) else { return };
    if target.means(&dead_letters.identity) == Some(false) {
        let fault = format!("DLQ_URL is not {target}, where the redrive policy of QUEUE_URL leads");
        let (role, variable) = ("orders consumer".to_owned(), "DLQ_URL".to_owned());
        deployment.environment.push(Fault { rule: WRONG, role, variable, fault });
    }
}

async fn queue(sdk: &SdkConfig, url: &str, dead_letters: bool) -> anyhow::Result<Queue> {
    let attributes = aws::queue(sdk, url).attributes().await?;
    let get = |name: &str| attributes.get(name);
    let number = |name: &str| parsed(get(name));
    let document = |name: &str| match get(name) {
        None => Attr::Absent,
        Some(text) => match Value::text(text).into_document() {
            Value::Unknown(unknown) => Attr::Unknown(unknown.why),
            value => Attr::Is(value),
        },
    };
    let text = |name: &str| get(name).cloned().map_or(Attr::Absent, Attr::Is);
    let names = [Some(url.to_owned()), get("QueueArn").cloned()].into_iter().flatten().collect();
    let name = url.rsplit('/').next().map(str::to_owned);
    Ok(Queue {
        identity: Identity { address: url.to_owned(), name, names },
        dead_letters,
        fifo: parsed(get("FifoQueue")),
        visibility: number("VisibilityTimeout"),
        retention: number("MessageRetentionPeriod"),
        wait: number("ReceiveMessageWaitTimeSeconds"),
        max_size: number("MaximumMessageSize"),
        managed_encryption: parsed(get("SqsManagedSseEnabled")),
        key: text("KmsMasterKeyId"),
        redrive: redrive(document("RedrivePolicy"), Attr::Absent),
        redrive_allow: redrive_allow(document("RedriveAllowPolicy")),
        content_deduplication: parsed(get("ContentBasedDeduplication")),
        deduplication_scope: text("DeduplicationScope"),
        throughput_limit: text("FifoThroughputLimit"),
    })
}

fn parsed<T: std::str::FromStr>(text: Option<&String>) -> Attr<T> {
    match text {
        None => Attr::Absent,
        Some(text) => {
            text.parse().map_or_else(|_| Attr::Unknown(format!("{text:?} cannot be read")), Attr::Is)
        }
    }
}

async fn table(sdk: &SdkConfig, name: &str) -> anyhow::Result<Table> {
    // No item is read, so no currency is needed.
    let described = aws::table(sdk, name, Currency::parse("USD").context("a currency")?).describe().await?;
    let indexes: BTreeMap<_, _> = described.indexes;
    Ok(Table {
        identity: Identity { address: name.to_owned(), name: Some(name.to_owned()), names: Vec::new() },
        keys: Attr::Is(described.keys),
        indexes: Attr::Is(indexes),
        recovery: described.recovery.map_or_else(Attr::Unknown, Attr::Is),
        protection: Attr::Is(described.deletion_protection),
    })
}
