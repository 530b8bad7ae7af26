//! Checkpoints and leases of the shards of a change stream: the [`ShardLeases`] of relays in containers.

use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::ReturnValue;
use consumer::relay::{Checkpoint, ShardLeases};

use crate::sdk::{condition_met, explain};

use super::{Item, OutboundTable, integer, string, text};

/// How long a checkpoint is kept after its last change. The stream keeps records for 24 hours.
const KEPT_SECONDS: i64 = 7 * 24 * 60 * 60;
/// The stored checkpoint of a shard that is completely relayed. `END` differs from every sequence number, because
/// sequence numbers consist of digits.
const END: &str = "END";

/// The leases of one change stream.
#[derive(Debug, Clone)]
pub struct Leases {
    table: OutboundTable,
    stream: String,
}

impl Leases {
    /// Creates the leases of the stream with the given ARN.
    pub fn new(table: OutboundTable, stream: impl Into<String>) -> Self {
        Self { table, stream: stream.into() }
    }

    fn key(&self, shard: &str) -> Item {
        let pk = text(format!("SHARDS#{}", self.stream));
        Item::from([("pk".to_owned(), pk), ("sk".to_owned(), text(shard))])
    }

    /// Prepares an update that gives the lease of a shard to `owner` for `time`. The update succeeds only if the lease
    /// is free or `owner` already has it.
    fn update(&self, shard: &str, owner: &str, time: Duration) -> UpdateItemFluentBuilder {
        let now = crate::now().micros();
        let ends = now.saturating_add(i64::try_from(time.as_micros()).unwrap_or(i64::MAX));
        self.table
            .client
            .update_item()
            .table_name(&self.table.name)
            .set_key(Some(self.key(shard)))
            .condition_expression("attribute_not_exists(#owner) OR #owner = :owner OR ends < :now")
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_values(":owner", text(owner))
            .expression_attribute_values(":now", integer(now))
            .expression_attribute_values(":ends", integer(ends))
            .expression_attribute_values(":expires", integer(now / 1_000_000 + KEPT_SECONDS))
    }
}

fn checkpoint_of(item: Option<&Item>) -> Checkpoint {
    match item.and_then(|item| string(item, "checkpoint").ok()) {
        None => Checkpoint::Start,
        Some(END) => Checkpoint::End,
        Some(sequence) => Checkpoint::After(sequence.to_owned()),
    }
}

#[async_trait]
impl ShardLeases for Leases {
    async fn checkpoint(&self, shard: &str) -> anyhow::Result<Checkpoint> {
        let call = self.table.client.get_item().table_name(&self.table.name).consistent_read(true);
        let answer = Box::pin(call.set_key(Some(self.key(shard))).send()).await;
        let answer = answer.map_err(explain).context("reading a checkpoint")?;
        Ok(checkpoint_of(answer.item()))
    }

    async fn take(&self, shard: &str, owner: &str, time: Duration) -> anyhow::Result<Option<Checkpoint>> {
        let call = self.update(shard, owner, time).return_values(ReturnValue::AllNew);
        let call = call.update_expression("SET #owner = :owner, ends = :ends, expires_at = :expires");
        match Box::pin(call.send()).await {
            Ok(answer) => Ok(Some(checkpoint_of(answer.attributes()))),
            Err(error) if error.code() == Some("ConditionalCheckFailedException") => Ok(None),
            Err(error) => Err(explain(error)).context("taking a lease"),
        }
    }

    async fn store(
        &self,
        shard: &str,
        owner: &str,
        checkpoint: &Checkpoint,
        time: Duration,
    ) -> anyhow::Result<bool> {
        let place = match checkpoint {
            Checkpoint::Start => None,
            Checkpoint::After(sequence) => Some(sequence.as_str()),
            Checkpoint::End => Some(END),
        };
        let mut call = self.update(shard, owner, time);
        let mut expression = "SET #owner = :owner, ends = :ends, expires_at = :expires".to_owned();
        if let Some(place) = place {
            expression.push_str(", #checkpoint = :checkpoint");
            call = call.expression_attribute_names("#checkpoint", "checkpoint");
            call = call.expression_attribute_values(":checkpoint", text(place));
        }
        condition_met(Box::pin(call.update_expression(expression).send()).await)
            .context("storing a checkpoint")
    }

    async fn release(&self, shard: &str, owner: &str) -> anyhow::Result<()> {
        let call =
            self.table.client.update_item().table_name(&self.table.name).set_key(Some(self.key(shard)));
        let call = call.update_expression("REMOVE #owner, ends").condition_expression("#owner = :owner");
        let call = call.expression_attribute_names("#owner", "owner");
        let call = call.expression_attribute_values(":owner", text(owner));
        condition_met(Box::pin(call.send()).await).context("giving up a lease")?;
        Ok(())
    }
}
