//! Creates the table for local use and for tests. In production, the deployment creates the table.

use anyhow::{Context, bail};
use aws_sdk_dynamodb::client::Waiters;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, StreamSpecification, StreamViewType, TableDescription, TableStatus,
};
use std::time::Duration;

use crate::sdk::explain;

use super::Table;
use super::due::DUE_INDEX;
use super::list::INDEX;
use super::search::{SEARCH_INDEX, SEARCH_KEYS, SEARCH_WORDS};

/// The indexes with their keys, the hash key first.
const INDEXES: [(&str, [&str; 2]); 2] =
    [(INDEX, ["customer_id", "listed_at"]), (DUE_INDEX, ["due_shard", "due_at"])];
/// How long to wait until a new table is active.
const PATIENCE: Duration = Duration::from_secs(300);

impl Table {
    /// Creates the table, with the search index if it is configured, and waits until the table is active. Returns
    /// `false` if the table existed already. It is an error if an existing table has other keys or indexes.
    pub async fn create(&self) -> anyhow::Result<bool> {
        let (name, string) = (&self.name, ScalarAttributeType::S);
        let mut call = self.client.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
        let searched: &[&str] = if self.search_index { &SEARCH_KEYS } else { &[] };
        for attribute in
            ["pk", "sk", "customer_id", "listed_at", "due_shard", "due_at"].iter().chain(searched)
        {
            let definition = AttributeDefinition::builder().attribute_name(*attribute);
            call = call.attribute_definitions(definition.attribute_type(string.clone()).build()?);
        }
        let mut call = call.set_key_schema(Some(keys("pk", "sk")?));
        for (index, [hash, range]) in INDEXES {
            let projection = Projection::builder().projection_type(ProjectionType::KeysOnly).build();
            let index = GlobalSecondaryIndex::builder().index_name(index).projection(projection);
            call = call.global_secondary_indexes(index.set_key_schema(Some(keys(hash, range)?)).build()?);
        }
        if self.search_index {
            call = call.global_secondary_indexes(search_index()?);
        }
        if self.stream {
            let stream = StreamSpecification::builder().stream_enabled(true);
            call = call.stream_specification(stream.stream_view_type(StreamViewType::NewImage).build()?);
        }
        let created = match call.send().await {
            Ok(_) => true,
            Err(error)
                if error.as_service_error().is_some_and(|error| error.is_resource_in_use_exception()) =>
            {
                false
            }
            Err(error) => return Err(explain(error)).with_context(|| format!("creating the table {name}")),
        };
        let active = self.client.wait_until_table_exists().table_name(name).wait(PATIENCE).await;
        active.with_context(|| format!("waiting for the table {name}"))?;
        self.check().await?;
        Ok(created)
    }

    /// Checks that the table is active and has the keys and the indexes that this program needs.
    async fn check(&self) -> anyhow::Result<()> {
        let name = &self.name;
        let answer = self.client.describe_table().table_name(name).send().await;
        let answer = answer.map_err(explain).with_context(|| format!("describing the table {name}"))?;
        let table = answer.table.with_context(|| format!("the description of the table {name} is empty"))?;
        if table.table_status() != Some(&TableStatus::Active) {
            bail!("the table {name} is not active");
        }
        let mut mismatches = mismatches(&table, self.search_index);
        if self.stream && stream_of(&table).is_none() {
            mismatches.push("the table has no change stream with new images".to_owned());
        }
        if mismatches.is_empty() {
            return Ok(());
        }
        bail!("this program cannot use the table {name}: {}", mismatches.join(", and "))
    }
}

/// The ARN of the table's change stream, if it has one that contains new images.
pub(super) fn stream_of(table: &TableDescription) -> Option<&str> {
    let stream = table.stream_specification().filter(|stream| stream.stream_enabled())?;
    let has_images =
        matches!(stream.stream_view_type(), Some(StreamViewType::NewImage | StreamViewType::NewAndOldImages));
    table.latest_stream_arn().filter(|_| has_images)
}

fn keys(hash: &str, range: &str) -> anyhow::Result<Vec<KeySchemaElement>> {
    let element = |name, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
    Ok(vec![element(hash, KeyType::Hash)?, element(range, KeyType::Range)?])
}

/// The names of the key attributes, the hash key first.
pub(super) fn names(schema: &[KeySchemaElement]) -> Vec<String> {
    schema.iter().map(|key| key.attribute_name().to_owned()).collect()
}

/// The search index. It copies the status words of orders, so that readers can skip entries without reading the orders.
fn search_index() -> anyhow::Result<GlobalSecondaryIndex> {
    let [list, at] = SEARCH_KEYS;
    let projection = Projection::builder().projection_type(ProjectionType::Include);
    let projection = projection.set_non_key_attributes(Some(SEARCH_WORDS.map(str::to_owned).into()));
    let index =
        GlobalSecondaryIndex::builder().index_name(SEARCH_INDEX).set_key_schema(Some(keys(list, at)?));
    Ok(index.projection(projection.build()).build()?)
}

/// Describes each difference between the table and what this program needs.
fn mismatches(table: &TableDescription, search_index: bool) -> Vec<String> {
    let mut mismatches = Vec::new();
    if names(table.key_schema()) != ["pk", "sk"] {
        mismatches.push("the table does not have the keys pk and sk".to_owned());
    }
    let searched = search_index.then_some((SEARCH_INDEX, SEARCH_KEYS));
    for (name, keys) in INDEXES.into_iter().chain(searched) {
        let index = table.global_secondary_indexes().iter().find(|index| index.index_name() == Some(name));
        if index.is_none_or(|index| names(index.key_schema()) != keys) {
            mismatches.push(format!("the table has no index {name} with the keys {}", keys.join(" and ")));
        }
    }
    mismatches
}
