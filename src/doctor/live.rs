//! Reads the queues and the table on AWS that the environment names. `doctor::read` calls it for `orders doctor live`.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use domain::Currency;
use infra::aws::{self, SdkConfig};

use super::assemble::{redrive, redrive_allow};
use super::model::{Area, Attribute, Deployment, DynamoTable, EnvironmentProblem, SqsQueue};
use super::references::ResourceIdentity;
use super::rules::WRONG;
use super::value::TerraformValue;

const HINT: &str = "the doctor calls only SQS and DynamoDB on AWS; check the JSON of a plan or state instead";

/// The deployment that `QUEUE_URL`, `DLQ_URL`, `TABLE_NAME` and, if there are webhooks, `WEBHOOK_QUEUE_URL` name.
pub(super) async fn read() -> anyhow::Result<Deployment> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let (queue_url, dlq_url, table_name) =
        (variable("QUEUE_URL"), variable("DLQ_URL"), variable("TABLE_NAME"));
    if queue_url.is_none() && dlq_url.is_none() && table_name.is_none() {
        bail!("QUEUE_URL, DLQ_URL and TABLE_NAME are not set: there is nothing to check");
    }
    let sdk = aws::config().await;
    if sdk.region().is_none() {
        bail!("AWS_REGION is not set, and no profile has a region");
    }
    let mut deployment = Deployment::default();
    for (url, dead_letters) in [(&queue_url, false), (&dlq_url, true)] {
        if let Some(url) = url {
            let queue = queue(&sdk, url, dead_letters)
                .await
                .with_context(|| format!("cannot read the queue {url}"))?;
            deployment.queues.push(queue);
            deployment.seen.insert(Area::Queues);
        }
    }
    if let Some(name) = &table_name {
        deployment.tables.push(table(&sdk, name).await?);
        deployment.seen.insert(Area::Tables);
    }
    let search_index = variable("ORDERS_SEARCH_INDEX").map(|value| crate::variables::switch(&value));
    deployment.search_index = search_index == Some(Ok(true));
    check_redrive_target(&mut deployment);
    if let Some(url) = variable("WEBHOOK_QUEUE_URL") {
        let queue = queue(&sdk, &url, false).await.with_context(|| format!("cannot read the queue {url}"))?;
        deployment.queues.push(SqsQueue { webhook_jobs: true, ..queue });
        deployment.seen.insert(Area::Queues);
    }
    deployment.seen.insert(Area::Environment);
    let absent = [("QUEUE_URL", queue_url), ("DLQ_URL", dlq_url), ("TABLE_NAME", table_name)];
    let absent = absent.into_iter().filter(|(_, value)| value.is_none());
    deployment.unseen.extend(absent.map(|(name, _)| (name.to_owned(), "the variable is not set".to_owned())));
    for area in [Area::Functions, Area::Permissions, Area::Alarms] {
        deployment.blind.insert(area, HINT.to_owned());
    }
    Ok(deployment)
}

/// Reports a redrive policy whose target differs from the queue that DLQ_URL names.
fn check_redrive_target(deployment: &mut Deployment) {
    let [queue, dead_letters] = deployment.queues.as_slice() else { return };
    let Some(target) = queue.redrive.known().and_then(|redrive| redrive.target.known()) else { return };
    if target.means(&dead_letters.identity) == Some(false) {
        let problem = format!("DLQ_URL is not {target}, the target of the redrive policy of QUEUE_URL");
        let (role, variable) = ("orders consumer".to_owned(), "DLQ_URL".to_owned());
        deployment.environment.push(EnvironmentProblem { rule: WRONG, role, variable, problem });
    }
}

async fn queue(sdk: &SdkConfig, url: &str, dead_letters: bool) -> anyhow::Result<SqsQueue> {
    let attributes = aws::queue(sdk, url).attributes().await?;
    let get = |name: &str| attributes.get(name);
    let number = |name: &str| parsed(get(name));
    let document = |name: &str| match get(name) {
        None => Attribute::Absent,
        Some(text) => match TerraformValue::text(text).into_document() {
            TerraformValue::Unknown(unknown) => Attribute::Unknown(unknown.why),
            value => Attribute::Known(value),
        },
    };
    let text = |name: &str| get(name).cloned().map_or(Attribute::Absent, Attribute::Known);
    let names = [Some(url.to_owned()), get("QueueArn").cloned()].into_iter().flatten().collect();
    let name = url.rsplit('/').next().map(str::to_owned);
    Ok(SqsQueue {
        identity: ResourceIdentity { address: url.to_owned(), name, names },
        dead_letters,
        webhook_jobs: false,
        fifo: parsed(get("FifoQueue")),
        visibility: number("VisibilityTimeout"),
        retention: number("MessageRetentionPeriod"),
        wait: number("ReceiveMessageWaitTimeSeconds"),
        max_size: number("MaximumMessageSize"),
        managed_encryption: parsed(get("SqsManagedSseEnabled")),
        key: text("KmsMasterKeyId"),
        redrive: redrive(document("RedrivePolicy"), Attribute::Absent),
        redrive_allow: redrive_allow(document("RedriveAllowPolicy")),
        content_deduplication: parsed(get("ContentBasedDeduplication")),
        deduplication_scope: text("DeduplicationScope"),
        throughput_limit: text("FifoThroughputLimit"),
    })
}

fn parsed<T: std::str::FromStr>(text: Option<&String>) -> Attribute<T> {
    match text {
        None => Attribute::Absent,
        Some(text) => text
            .parse()
            .map_or_else(|_| Attribute::Unknown(format!("{text:?} cannot be parsed")), Attribute::Known),
    }
}

async fn table(sdk: &SdkConfig, name: &str) -> anyhow::Result<DynamoTable> {
    // The currency matters only when items are read, and the doctor reads none.
    let described = aws::table(sdk, name, Currency::parse("USD").context("a currency")?).describe().await?;
    let indexes: BTreeMap<_, _> = described.indexes;
    Ok(DynamoTable {
        identity: ResourceIdentity {
            address: name.to_owned(),
            name: Some(name.to_owned()),
            names: Vec::new(),
        },
        keys: Attribute::Known(described.keys),
        indexes: Attribute::Known(indexes),
        // What a table takes at once grows with use, so only what a configuration asks for is judged.
        warm: Attribute::Absent,
        warm_indexes: BTreeMap::new(),
        recovery: described.recovery.map_or_else(Attribute::Unknown, Attribute::Known),
        protection: Attribute::Known(described.deletion_protection),
        // The rule about the stream needs Lambda functions, which this reader does not see. So the stream is not read.
        stream: Attribute::Unknown("the stream was not read".to_owned()),
    })
}
