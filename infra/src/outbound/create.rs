//! Creates the outbound table for local use and for tests. In production, the deployment creates the table.

use std::time::Duration;

use anyhow::Context;
use aws_sdk_dynamodb::client::Waiters;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TimeToLiveSpecification,
};

use crate::sdk::explain;

use super::OutboundTable;

/// How long a table may take to become usable.
const PATIENCE: Duration = Duration::from_secs(300);

impl OutboundTable {
    /// Creates the table and waits until the table is active. Returns `false` if the table existed already.
    pub async fn create(&self) -> anyhow::Result<bool> {
        let mut call =
            self.client.create_table().table_name(&self.name).billing_mode(BillingMode::PayPerRequest);
        for (name, kind) in [("pk", KeyType::Hash), ("sk", KeyType::Range)] {
            let definition = AttributeDefinition::builder().attribute_name(name);
            call = call.attribute_definitions(definition.attribute_type(ScalarAttributeType::S).build()?);
            call = call.key_schema(KeySchemaElement::builder().attribute_name(name).key_type(kind).build()?);
        }
        match call.send().await {
            Ok(_) => {}
            Err(error)
                if error.as_service_error().is_some_and(|error| error.is_resource_in_use_exception()) =>
            {
                return Ok(false);
            }
            Err(error) => {
                return Err(explain(error)).with_context(|| format!("creating the table {}", self.name));
            }
        }
        let active = self.client.wait_until_table_exists().table_name(&self.name).wait(PATIENCE).await;
        active.with_context(|| format!("waiting for the table {}", self.name))?;
        let expiry = TimeToLiveSpecification::builder().attribute_name("expires_at").enabled(true).build()?;
        let call =
            self.client.update_time_to_live().table_name(&self.name).time_to_live_specification(expiry);
        call.send().await.map_err(explain).context("turning on the expiry of items")?;
        Ok(true)
    }
}
