//! The webhook subscriptions of an API on AWS. `containers` and `lambda` call this module.

use std::sync::Arc;

use api::ports::webhooks::WebhookStore;
use infra::aws::{self as adapters, AwsWebhookStore, SdkConfig};
use infra::dynamodb::Table;
use infra::outbound::{JobQueue, TableFeed};
use infra::webhook_sender::HttpSender;

use super::settings::ApiSettings;

/// The store of webhook subscriptions, or `None` if webhooks are not configured.
pub(super) fn store(sdk: &SdkConfig, settings: &ApiSettings, log: &Table) -> Option<Arc<dyn WebhookStore>> {
    let webhooks = settings.webhooks.as_ref()?;
    Some(Arc::new(AwsWebhookStore {
        table: adapters::outbound(sdk, &webhooks.table),
        log: log.clone(),
        queue: JobQueue(adapters::queue(sdk, &webhooks.queue)),
        sender: Arc::new(HttpSender::new(webhooks.sender)),
        source: webhooks.source.clone(),
        feed: settings
            .feed
            .as_ref()
            .map(|feed| TableFeed::new(adapters::outbound(sdk, &feed.table), log.clone(), feed.partitions)),
    }))
}
