//! The archive of dead letters in an S3 bucket. For each dead letter, the archive keeps two objects: the dead letter as
//! it was first parked, which is never overwritten, and the latest repair.
//!
//! | key | holds |
//! |---|---|
//! | `failed/{yyyy}/{mm}/{dd}/{id}.json` | the dead letter as it was first parked; written once |
//! | `repaired/{yyyy}/{mm}/{dd}/{id}.json` | the latest repair, with the original body |
//!
//! The date is the day on which the message was sent, so that a dead letter has the same key each time it is archived.

use anyhow::{Context, bail, ensure};
use api::ports::Health;
use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::primitives::ByteStream;
use domain::DeadLetter;
use futures_util::{StreamExt, stream};

use crate::sdk::{check_reachable, explain};

/// The maximum number of concurrent reads of objects.
pub(crate) const CONCURRENCY: usize = 16;

/// A client for the bucket `name`. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Bucket {
    client: Client,
    name: String,
}

impl Bucket {
    /// Creates a client for the bucket called `name`.
    pub fn new(client: Client, name: impl Into<String>) -> Self {
        Self { client, name: name.into() }
    }

    /// Returns an error sentence if the bucket does not exist or S3 does not answer.
    pub(crate) async fn check_reachable(&self) -> Result<(), String> {
        let answer = self.client.head_bucket().bucket(&self.name).send().await;
        check_reachable(&format!("the bucket {}", self.name), answer)
    }

    /// Archives a dead letter as it was first parked, unless the archive already contains that object. Returns the key
    /// of the object.
    pub(crate) async fn keep(&self, letter: &DeadLetter) -> anyhow::Result<String> {
        let key = key("failed", letter);
        let put = self.client.put_object().bucket(&self.name).key(&key).if_none_match("*");
        let put = put.content_type("application/json").body(ByteStream::from(serde_json::to_vec(letter)?));
        match put.send().await {
            Ok(_) => Ok(key),
            Err(error) if error.code() == Some("PreconditionFailed") => Ok(key),
            Err(error) => Err(explain(error)).with_context(|| format!("archiving s3://{}/{key}", self.name)),
        }
    }

    /// Archives a repaired dead letter. Returns the key of the object.
    pub(crate) async fn keep_repaired(&self, letter: &DeadLetter) -> anyhow::Result<String> {
        let key = key("repaired", letter);
        let put = self.client.put_object().bucket(&self.name).key(&key).content_type("application/json");
        let put = put.body(ByteStream::from(serde_json::to_vec(letter)?)).send();
        put.await.map_err(explain).with_context(|| format!("archiving s3://{}/{key}", self.name))?;
        Ok(key)
    }

    pub(crate) async fn letter(&self, key: &str) -> anyhow::Result<DeadLetter> {
        let at = || format!("reading s3://{}/{key}", self.name);
        let object = self.client.get_object().bucket(&self.name).key(key).send();
        let object = object.await.map_err(explain).with_context(at)?;
        let bytes = object.body.collect().await.with_context(at)?.into_bytes();
        serde_json::from_slice(&bytes)
            .with_context(|| format!("s3://{}/{key} is not a dead letter", self.name))
    }

    /// Calls `each` for every object whose key begins with `prefix`, in the order of keys. `each` gets the key, the
    /// content (or the reason why the content cannot be read), and the total number of objects. Objects of more than
    /// `max_bytes` are not read.
    pub async fn each_object(
        &self,
        prefix: &str,
        max_bytes: u64,
        mut each: impl FnMut(&str, anyhow::Result<Vec<u8>>, usize) + Send,
    ) -> anyhow::Result<()> {
        let keys = self.keys(prefix).await?;
        let reads = keys.iter().map(|key| self.object(key, max_bytes));
        let mut reads = stream::iter(reads).buffered(CONCURRENCY).zip(stream::iter(&keys));
        while let Some((bytes, key)) = reads.next().await {
            each(key, bytes, keys.len());
        }
        Ok(())
    }

    async fn object(&self, key: &str, max_bytes: u64) -> anyhow::Result<Vec<u8>> {
        let object = self.client.get_object().bucket(&self.name).key(key).send().await.map_err(explain)?;
        let bytes = object.content_length().and_then(|bytes| u64::try_from(bytes).ok());
        ensure!(
            bytes.is_none_or(|bytes| bytes <= max_bytes),
            "the object is larger than {} MiB",
            max_bytes >> 20
        );
        Ok(object.body.collect().await?.to_vec())
    }

    async fn keys(&self, prefix: &str) -> anyhow::Result<Vec<String>> {
        let (mut keys, mut token) = (Vec::new(), None);
        loop {
            let list = self.client.list_objects_v2().bucket(&self.name).prefix(prefix);
            let page = list.set_continuation_token(token).send().await.map_err(explain);
            let page = page.with_context(|| format!("listing s3://{}/{prefix}", self.name))?;
            token = page.next_continuation_token;
            let objects = page.contents.unwrap_or_default();
            // AWS consoles create an empty object for each folder that they show.
            keys.extend(
                objects.into_iter().filter_map(|object| object.key).filter(|key| !key.ends_with('/')),
            );
            if page.is_truncated != Some(true) {
                return Ok(keys);
            }
            if token.is_none() {
                bail!(
                    "s3://{}/{prefix} has more objects, but S3 returned no token for the next page",
                    self.name
                );
            }
        }
    }
}

/// Checks that the bucket exists and S3 answers. Archiving needs no permission to describe the bucket, so the check
/// passes even if that permission is missing.
#[async_trait]
impl Health for Bucket {
    async fn ready(&self) -> Result<(), String> {
        self.check_reachable().await
    }
}

fn key(folder: &str, letter: &DeadLetter) -> String {
    // A time in RFC 3339 format begins with the date.
    let sent = letter.sent_at.unwrap_or(letter.parked_at).to_string();
    let day = sent.get(..10).unwrap_or("0000-00-00").replace('-', "/");
    format!("{folder}/{day}/{}.json", letter.id)
}
