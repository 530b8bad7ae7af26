//! The flags of `orders doctor`. The command line declares them.

use clap::{Args, ValueEnum};

use crate::base_url::BaseUrl;

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// What to check: a folder with Terraform configuration; a file with the JSON of a plan or state (`terraform show
    /// -json`); or `live` (in builds with `aws`), which checks the queues and the table that QUEUE_URL, DLQ_URL and
    /// TABLE_NAME name on AWS. Without a target and without --url, the command checks the settings of this process: its
    /// environment and its configuration file.
    pub(super) target: Option<String>,
    /// Check the running API at this URL. The URL may also be given as the target.
    #[arg(long, conflicts_with = "target", value_name = "URL")]
    pub(super) url: Option<BaseUrl>,
    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
    /// Print the rules in Markdown, and check nothing.
    #[arg(long, conflicts_with_all = ["target", "url", "json"])]
    pub(super) rules: bool,
    /// Print the resources of a Terraform configuration, plan or state as the rules see them, in JSON, and check
    /// nothing.
    #[arg(long, requires = "target", conflicts_with_all = ["json", "rules"])]
    pub(super) resources: bool,
    /// The command whose settings are checked if no target is given. By default, the variables that are set decide:
    /// ALERTS_TOPIC means `dead-letters`; DLQ_URL without DLQ_BUCKET means `consumer`; QUEUE_URL or TABLE_NAME means
    /// `api`; none of them means `serve`.
    #[arg(long, conflicts_with_all = ["target", "url"], value_name = "COMMAND")]
    pub(super) role: Option<ServiceRole>,
}

/// The command whose settings are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ServiceRole {
    /// The API and the consumer on one data folder.
    #[cfg(feature = "embedded")]
    Serve,
    /// The API on SQS and DynamoDB.
    #[cfg(feature = "aws")]
    Api,
    /// The consumer on SQS and DynamoDB.
    #[cfg(feature = "aws")]
    Consumer,
    /// The archiver of dead letters, with alerts.
    #[cfg(feature = "aws")]
    DeadLetters,
    /// The proposals to cancel unpaid orders.
    #[cfg(feature = "aws")]
    Expiry,
    /// The relay from the change stream to the feed.
    #[cfg(feature = "aws")]
    Relay,
    /// The deliveries of webhooks.
    #[cfg(feature = "aws")]
    WebhookSender,
}

impl ServiceRole {
    /// Guesses which role the environment configures. Some variables are read by only one role.
    pub(super) fn of_process() -> Self {
        #[cfg(feature = "aws")]
        {
            let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
            if set("ALERTS_TOPIC") {
                return Self::DeadLetters;
            }
            // `DLQ_URL` together with `DLQ_BUCKET` means the API, which counts dead letters that are not archived yet.
            if set("DLQ_URL") && !set("DLQ_BUCKET") {
                return Self::Consumer;
            }
            if set("QUEUE_URL") || set("TABLE_NAME") || cfg!(not(feature = "embedded")) {
                return Self::Api;
            }
        }
        #[cfg(feature = "embedded")]
        return Self::Serve;
        #[cfg(not(feature = "embedded"))]
        Self::Api
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            #[cfg(feature = "embedded")]
            Self::Serve => "serve",
            #[cfg(feature = "aws")]
            Self::Api => "api",
            #[cfg(feature = "aws")]
            Self::Consumer => "consumer",
            #[cfg(feature = "aws")]
            Self::DeadLetters => "dead-letters",
            #[cfg(feature = "aws")]
            Self::Expiry => "expiry",
            #[cfg(feature = "aws")]
            Self::Relay => "relay",
            #[cfg(feature = "aws")]
            Self::WebhookSender => "webhook-sender",
        }
    }
}
