//! Tests the AWS deployment: its settings ([`queues`], [`functions`], [`edges`], [`signals`], [`feed`],
//! [`webhooks`]), the permissions of each role ([`permissions`], derived from the [`calls`] of its code), and its
//! documentation ([`descriptions`]); and what of it is billed ([`bill`]).
//!
//! The tests compare evaluated resources and not the text of the configuration. [`module`] lets the doctor evaluate
//! the configuration for any values of the variables.

mod bill;
mod calls;
mod descriptions;
mod edges;
mod feed;
mod functions;
mod module;
mod permissions;
mod queues;
mod signals;
mod webhooks;

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use module::{Module, Plan, document};
use serde_json::{Value as Json, json};

const KEY: &str = "arn:aws:kms:eu-central-1:123456789012:key/0199d3a0-0000-7000-8000-000000000001";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("infra/terraform")
}

/// The Terraform module of the deployment.
fn orders() -> &'static Module {
    static ORDERS: LazyLock<Module> = LazyLock::new(|| Module::read(&folder().join("modules/orders")));
    &ORDERS
}

/// Values for the variables without a default.
fn required() -> Vec<(&'static str, Json)> {
    vec![
        ("package", "bootstrap.zip".into()),
        ("jwt_issuer", "https://id.example".into()),
        ("jwt_audience", json!(["orders"])),
    ]
}

/// The resources of the deployment with these variables.
fn plan_with(variables: &[(&'static str, Json)]) -> Arc<Plan> {
    Arc::new(try_plan(variables).unwrap_or_else(|errors| panic!("{errors:?}")))
}

fn try_plan(variables: &[(&'static str, Json)]) -> Result<Plan, Vec<String>> {
    let all: Vec<_> = required().into_iter().chain(variables.iter().cloned()).collect();
    orders().plan(&all)
}

/// The resources of the deployment with default values for all variables that have one.
fn plan() -> Arc<Plan> {
    static PLAN: LazyLock<Arc<Plan>> = LazyLock::new(|| plan_with(&[]));
    Arc::clone(&PLAN)
}

/// The resources of the deployment with standard queues.
fn standard() -> Arc<Plan> {
    static PLAN: LazyLock<Arc<Plan>> = LazyLock::new(|| plan_with(&[("fifo", false.into())]));
    Arc::clone(&PLAN)
}
