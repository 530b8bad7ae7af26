//! Makes the table, for local use and tests. In production it belongs to the deployment.

use anyhow::{Context, bail};
use aws_sdk_dynamodb::client::Waiters;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, TableDescription, TableStatus,
};
use std::time::Duration;

use crate::aws::explain;

use super::Table;
use super::list::INDEX;

/// How long a table may take to become usable.
const PATIENCE: Duration = Duration::from_secs(300);

impl Table {
    /// Makes the table and waits until it can be used. Tells whether it was made: `false` if it was there, as it has
    /// to be; a table of this name that is made otherwise is an error.
    pub async fn create(&self) -> anyhow::Result<bool> {
        let (name, string) = (&self.name, ScalarAttributeType::S);
        let mut call = self.client.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
        for attribute in ["pk", "sk", "customer_id", "listed_at"] {
            let definition = AttributeDefinition::builder().attribute_name(attribute);
            call = call.attribute_definitions(definition.attribute_type(string.clone()).build()?);
        }
        let index = GlobalSecondaryIndex::builder()
            .index_name(INDEX)
            .set_key_schema(Some(keys("customer_id", "listed_at")?))
            .projection(Projection::builder().projection_type(ProjectionType::KeysOnly).build())
            .build()?;
        let call = call.set_key_schema(Some(keys("pk", "sk")?)).global_secondary_indexes(index);
        let created = match call.send().await {
            Ok(_) => true,
            Err(error)
                if error.as_service_error().is_some_and(|error| error.is_resource_in_use_exception()) =>
            {
                false
            }
            Err(error) => return Err(explain(error)).with_context(|| format!("creating the table {name}")),
        };
        let there = self.client.wait_until_table_exists().table_name(name).wait(PATIENCE).await;
        there.with_context(|| format!("waiting for the table {name}"))?;
        self.check().await?;
        Ok(created)
    }

    /// Checks that the table is made as this program needs it.
    async fn check(&self) -> anyhow::Result<()> {
        let name = &self.name;
        let asked = self.client.describe_table().table_name(name).send().await;
        let asked = asked.map_err(explain).with_context(|| format!("looking at the table {name}"))?;
        let table = asked.table.with_context(|| format!("the table {name} is not described"))?;
        if table.table_status() != Some(&TableStatus::Active) {
            bail!("the table {name} is not active");
        }
        let faults = faults(&table);
        if faults.is_empty() { Ok(()) } else { bail!("the table {name} {}", faults.join(", and ")) }
    }
}

fn keys(hash: &str, range: &str) -> anyhow::Result<Vec<KeySchemaElement>> {
    let element = |name, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
    Ok(vec![element(hash, KeyType::Hash)?, element(range, KeyType::Range)?])
}

/// The names of keys, the hash key first.
pub(super) fn names(schema: &[KeySchemaElement]) -> Vec<String> {
    schema.iter().map(|key| key.attribute_name().to_owned()).collect()
}

/// What is wrong with a table of ours.
fn faults(table: &TableDescription) -> Vec<String> {
    let mut faults = Vec::new();
    if names(table.key_schema()) != ["pk", "sk"] {
        faults.push("does not have the keys pk and sk".to_owned());
    }
    let index = table.global_secondary_indexes().iter().find(|index| index.index_name() == Some(INDEX));
    if index.is_none_or(|index| names(index.key_schema()) != ["customer_id", "listed_at"]) {
        faults.push(format!("has no index {INDEX} with the keys customer_id and listed_at"));
    }
    faults
}
