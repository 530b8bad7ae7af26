//! `orders doctor`: checks a deployment by [`rules`] and says what would go wrong.
//!
//! Each kind of target has a reader that fills the same [`model`]: [`hcl`] and [`plan`] for Terraform, by way of
//! [`resources`] and [`assemble`]; `live` for AWS, [`web`] for a running API, [`environment`] for this process.
//! What cannot be told is reported as such: it is neither guessed nor passed.

mod assemble;
mod environment;
mod hcl;
mod references;
#[cfg(feature = "aws")]
mod live;
mod model;
mod plan;
mod report;
mod resources;
mod roles;
mod rules;
mod topology;
mod value;
mod web;

use std::path::Path;

use anyhow::{Context, bail};
use clap::Args;

use model::Deployment;
use resources::Configuration;
use rules::{Severity, Unchecked};

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// What to check: a folder with Terraform configuration; a file with the JSON of a plan or state (`terraform show
    /// -json`); the http(s) URL of a running API; or `live`, the queues and the table on AWS that QUEUE_URL, DLQ_URL and
    /// TABLE_NAME name (if built with `aws`). Without it, the environment of this process.
    target: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Print the rules, in Markdown, and check nothing.
    #[arg(long, conflicts_with_all = ["target", "json"])]
    rules: bool,
    /// Without a target: whose environment it is. If absent, DLQ_URL makes it the consumer's, QUEUE_URL or TABLE_NAME the
    /// API's.
    #[arg(long, conflicts_with = "target", value_name = "COMMAND")]
    role: Option<environment::Role>,
}

/// Checks the target, prints what was found, and fails if there are errors, or parts that could not be seen.
pub(crate) async fn doctor(args: &DoctorArgs, config: Option<&Path>) -> anyhow::Result<()> {
    if args.rules {
        return crate::print(&report::rules());
    }
    let (target, deployment) = match args.target.as_deref() {
        None => environment::read(args.role, config).await,
        Some(target) => (target.to_owned(), read(target).await?),
    };
    let mut verdicts = rules::judge(&deployment);
    let unseen = deployment.unseen.len();
    verdicts.unchecked.extend(deployment.unseen.into_iter().map(|(at, why)| Unchecked {
        rules: Vec::new(),
        at,
        attribute: String::new(),
        why,
    }));
    if args.json {
        crate::print(&serde_json::to_string_pretty(&report::json(&target, &verdicts, unseen == 0))?)?;
    } else {
        crate::print(&report::text(&target, &verdicts))?;
    }
    match report::count(&verdicts, Severity::Error) {
        // What nobody has looked at is not right.
        0 if unseen > 0 => bail!(
            "the check is incomplete: nothing was found, but {unseen} part{} of the deployment could not be seen at all",
            if unseen == 1 { "" } else { "s" }
        ),
        0 => Ok(()),
        1 => bail!("one error was found"),
        count => bail!("{count} errors were found"),
    }
}

async fn read(target: &str) -> anyhow::Result<Deployment> {
    if target.starts_with("http://") || target.starts_with("https://") {
        return web::read(target).await;
    }
    if target == "live" {
        #[cfg(feature = "aws")]
        return live::read().await;
        #[cfg(not(feature = "aws"))]
        bail!("this program was built without `--features aws`, and cannot look at queues and tables on AWS");
    }
    let path = Path::new(target);
    let configuration = if path.is_dir() { hcl::read(path)? } else { of_file(path)? };
    if !configuration.resources.iter().any(|resource| resource.kind == "aws_sqs_queue")
        && configuration.unseen.is_empty()
    {
        bail!("{target} has no queue (aws_sqs_queue): it is no deployment of orders");
    }
    Ok(assemble::deployment(configuration))
}

fn of_file(path: &Path) -> anyhow::Result<Configuration> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {shown}"))?;
    if path.extension().is_some_and(|extension| extension == "tf") {
        bail!("{shown} is one file of a Terraform configuration: give its folder");
    }
    let json = serde_json::from_str(&text)
        .with_context(|| format!("{shown} is no JSON; give the output of `terraform show -json`"))?;
    plan::read(&json).with_context(|| format!("{shown} cannot be checked"))
}
