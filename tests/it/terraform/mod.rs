//! Tests the AWS deployment: its settings ([`queues`], [`functions`], [`edges`], [`signals`], [`feed`],
//! [`webhooks`]), the [`examples`], the tasks of [`containers`], the permissions of each role ([`permissions`], derived from the
//! [`calls`] of its code), its documentation ([`descriptions`], [`readmes`]), what of it is billed ([`bill`]), and that the AWS
//! provider has every argument ([`schema`]).
//!
//! The tests compare evaluated resources and not the text of the configuration. [`module`] lets the doctor evaluate
//! the configuration for any values of the variables.

mod bill;
mod calls;
mod containers;
mod descriptions;
mod edges;
mod examples;
mod feed;
mod functions;
mod module;
mod permissions;
mod queues;
mod readmes;
mod schema;
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

/// The folders of modules and examples, relative to [`folder`].
const FOLDERS: [&str; 6] = [
    "modules/data",
    "modules/orders",
    "modules/containers",
    "examples/functions",
    "examples/functions-busy",
    "examples/containers",
];

/// Every file of configuration.
fn configuration_files() -> Vec<PathBuf> {
    let folders = FOLDERS.iter().map(|name| folder().join(name));
    let files: Vec<_> = folders.flat_map(|folder| module::files(&folder).collect::<Vec<_>>()).collect();
    assert!(files.len() > 40, "{files:?}");
    files
}

/// The Terraform module of the deployment as functions.
fn orders() -> &'static Module {
    static ORDERS: LazyLock<Module> = LazyLock::new(|| Module::read(&folder().join("modules/orders")));
    &ORDERS
}

/// Values for the variables without a default.
fn required() -> Vec<(&'static str, Json)> {
    vec![
        ("package", "bootstrap.zip".into()),
        ("jwt.issuer", "https://id.example".into()),
        ("jwt.audience", json!(["orders"])),
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
    static PLAN: LazyLock<Arc<Plan>> = LazyLock::new(|| plan_with(&[("queue.fifo", false.into())]));
    Arc::clone(&PLAN)
}
