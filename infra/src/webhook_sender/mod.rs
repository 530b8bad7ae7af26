//! Posts events to the URLs of subscriptions, with signatures as defined by Standard Webhooks. The embedded service and
//! the webhook role on AWS use this module. The host name of a receiver is resolved and checked for each attempt
//! ([`resolver`], [`addresses`]).

mod addresses;
mod answer;
mod resolver;
mod target;
#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context;
use api::http_client;
use async_trait::async_trait;
use consumer::webhooks::ports::WebhookSender;
use consumer::webhooks::{Answer, EventPayload, PostError};
use domain::Subscription;
use reqwest::{Client, Url};

use crate::now;
use resolver::{CheckedAddresses, HostLookup, SystemLookup};
use target::Targets;

/// How long connecting to a receiver may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// The options of an [`HttpSender`].
#[derive(Debug, Clone, Copy)]
pub struct SenderOptions {
    /// Whether events may be sent to private addresses, and over http, which has no TLS.
    pub allow_private: bool,
    /// How long an attempt may take, from the lookup of the name to the end of the answer.
    pub timeout: Duration,
}

impl Default for SenderOptions {
    fn default() -> Self {
        Self { allow_private: false, timeout: Duration::from_secs(15) }
    }
}

/// Posts events with one HTTP client, which keeps connections open for a while.
pub struct HttpSender {
    options: SenderOptions,
    lookup: Arc<dyn HostLookup>,
    pinned: CheckedAddresses,
    targets: Targets,
    /// The HTTP client. The client is created at the first attempt, so that a sender without attempts never reads the
    /// system's certificates.
    client: OnceLock<Client>,
}

impl HttpSender {
    /// Creates a sender that resolves host names with the operating system's resolver.
    pub fn new(options: SenderOptions) -> Self {
        Self::with_lookup(options, Arc::new(SystemLookup))
    }

    fn with_lookup(options: SenderOptions, lookup: Arc<dyn HostLookup>) -> Self {
        Self {
            options,
            lookup,
            pinned: CheckedAddresses::default(),
            targets: Targets::default(),
            client: OnceLock::new(),
        }
    }

    fn client(&self) -> anyhow::Result<&Client> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let builder = http_client::builder()?
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .dns_resolver(self.pinned.clone());
        let client = builder.build().context("cannot set up the HTTP client")?;
        Ok(self.client.get_or_init(|| client))
    }

    async fn attempt(
        &self,
        subscription: &Subscription,
        payload: &EventPayload,
    ) -> Result<Answer, PostError> {
        let unsent = |error: anyhow::Error| failed(format!("{error:#}"));
        let target = self.targets.of(subscription).map_err(unsent)?;
        let url = &target.url;
        self.check(url).await?;
        let headers = target.headers(payload, now()).map_err(unsent)?;
        let client = self.client().map_err(unsent)?;
        let request = client.post(url.clone()).headers(headers).body(payload.body.clone());
        match request.send().await {
            Ok(response) => Ok(answer::read(response).await),
            Err(error) => Err(no_answer(url, error)),
        }
    }

    /// Checks that requests may be sent to the URL. Depends on the scheme of the URL and on the addresses of its host.
    async fn check(&self, url: &Url) -> Result<(), PostError> {
        let allow_private = self.options.allow_private;
        match url.scheme() {
            "https" => {}
            "http" if allow_private => {}
            "http" => {
                return Err(PostError::Refused(
                    "nothing is sent over http, which is not encrypted; ORDERS_WEBHOOKS_ALLOW_PRIVATE allows http".to_owned(),
                ));
            }
            _ => return Err(PostError::Refused("the URL must begin with https://".to_owned())),
        }
        let host = url.host_str().ok_or_else(|| failed("the URL has no host"))?;
        resolver::check(host, self.lookup.as_ref(), &self.pinned, allow_private).await
    }
}

#[async_trait]
impl WebhookSender for HttpSender {
    async fn post(&self, subscription: &Subscription, payload: &EventPayload) -> Result<Answer, PostError> {
        let timeout = self.options.timeout;
        let result = tokio::time::timeout(timeout, self.attempt(subscription, payload)).await;
        let result = result.unwrap_or_else(|_| {
            Err(PostError::TimedOut(format!("the receiver did not answer within {timeout:?}")))
        });
        if let Err(PostError::Refused(reason)) = &result {
            tracing::warn!(subscription = %subscription.id, reason, "a webhook was not sent");
        }
        result
    }
}

fn failed(reason: impl Into<String>) -> PostError {
    PostError::Failed(reason.into())
}

/// The error of a request without an answer. The error contains the host, but not the path, which may be a credential.
fn no_answer(url: &Url, error: reqwest::Error) -> PostError {
    let receiver = url.authority();
    let is_connect = error.is_connect();
    if error.is_timeout() {
        let what = if is_connect { "connected" } else { "answered" };
        return PostError::TimedOut(format!("the receiver at {receiver} has not {what} in time"));
    }
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let what = if is_connect { "cannot be reached" } else { "did not answer" };
    PostError::Failed(format!("the receiver at {receiver} {what}: {cause}"))
}
