//! Implements `orders doctor`, which checks a deployment by [`rules`] and reports faults that would lose, duplicate or
//! stop orders.
//!
//! Each kind of target has a reader that fills the same [`model`]: [`hcl`] and [`plan`] for Terraform, through
//! [`resources`] and [`assemble`]; `live` for AWS, [`web`] for a running API, [`environment`] for this process. A check
//! that needs an unknown value is reported as unchecked. It does not pass, and the value is not guessed.

pub(crate) mod args;
mod assemble;
mod environment;
mod hcl;
#[cfg(feature = "aws")]
mod live;
mod model;
mod plan;
mod references;
mod report;
mod resources;
mod roles;
mod rules;
mod topology;
mod value;
mod web;

use std::path::Path;

use anyhow::{Context, bail};

use crate::base_url::BaseUrl;
use args::DoctorArgs;
use model::Deployment;
use resources::TerraformResources;
use rules::{Severity, Unchecked};

/// Checks the target and prints the findings. Fails if there are errors or if parts of the deployment could not be
/// seen.
pub(crate) async fn doctor(args: &DoctorArgs, config: Option<&Path>) -> anyhow::Result<()> {
    if args.rules {
        return crate::print(&report::rules());
    }
    if let Some(target) = args.target.as_deref().filter(|_| args.resources) {
        let resources = report::resources(&read_terraform(Path::new(target))?);
        return crate::print(&serde_json::to_string_pretty(&resources)?);
    }
    let (target, deployment) = match (&args.url, args.target.as_deref()) {
        (Some(url), _) => (url.to_string(), web::read(url).await?),
        (None, Some(target)) => (target.to_owned(), read(target).await?),
        (None, None) => environment::read(args.role, config).await,
    };
    let mut results = rules::judge(&deployment);
    let unseen = deployment.unseen.len();
    results.unchecked.extend(deployment.unseen.into_iter().map(|(at, why)| Unchecked {
        rules: Vec::new(),
        at,
        attribute: String::new(),
        why,
    }));
    if args.json {
        crate::print(&serde_json::to_string_pretty(&report::json(&target, &results, unseen == 0))?)?;
    } else {
        crate::print(&report::text(&target, &results))?;
    }
    match report::count(&results, Severity::Error) {
        // A part that was not checked must not count as passed.
        0 if unseen > 0 => bail!(
            "the check is incomplete: there are no errors, but {unseen} part{} of the deployment could not be seen",
            if unseen == 1 { "" } else { "s" }
        ),
        0 => Ok(()),
        1 => bail!("one error was found"),
        count => bail!("{count} errors were found"),
    }
}

async fn read(target: &str) -> anyhow::Result<Deployment> {
    if target.starts_with("http://") || target.starts_with("https://") {
        let url: Result<BaseUrl, _> = target.parse();
        let url =
            url.map_err(|reason| anyhow::anyhow!("invalid URL '{}': {reason}", crate::redact::url(target)))?;
        return web::read(&url).await;
    }
    if target == "live" {
        #[cfg(feature = "aws")]
        return live::read().await;
        #[cfg(not(feature = "aws"))]
        bail!("this program was built without `--features aws`, so it cannot check queues and tables on AWS");
    }
    let configuration = read_terraform(Path::new(target))?;
    if !configuration.resources.iter().any(|resource| resource.kind == "aws_sqs_queue")
        && configuration.unseen.is_empty()
    {
        bail!("{target} has no queue (aws_sqs_queue), so it is not a deployment of orders");
    }
    Ok(assemble::deployment(configuration))
}

fn read_terraform(path: &Path) -> anyhow::Result<TerraformResources> {
    if path.is_dir() { hcl::read(path) } else { read_file(path) }
}

fn read_file(path: &Path) -> anyhow::Result<TerraformResources> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
    if path.extension().is_some_and(|extension| extension == "tf") {
        bail!("{shown} is one file of a Terraform configuration: check its folder instead");
    }
    let json = serde_json::from_str(&text).with_context(|| {
        format!("{shown} is not valid JSON; the doctor reads the output of `terraform show -json`")
    })?;
    plan::read(&json).with_context(|| format!("{shown} cannot be checked"))
}
