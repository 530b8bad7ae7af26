//! The AWS deployment says what the article and the rules of AWS ask for ([`queues`], [`functions`], [`edges`],
//! [`signals`]), each role may do what its code calls and no more ([`permissions`]), and everything is described
//! ([`descriptions`]).
//!
//! Nothing is searched for in the text: [`module`] reads the files as Terraform does, and gives every resource with its
//! values computed, for any values of the variables.

mod descriptions;
mod edges;
mod expressions;
mod functions;
mod module;
mod permissions;
mod queues;
mod signals;

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use hcl::Value;
use module::{Module, Plan};

const KEY: &str = "arn:aws:kms:eu-central-1:123456789012:key/0199d3a0-0000-7000-8000-000000000001";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("infra/terraform")
}

/// The module that is the deployment.
fn orders() -> &'static Module {
    static ORDERS: LazyLock<Module> = LazyLock::new(|| Module::read(&folder().join("modules/orders")));
    &ORDERS
}

/// What has no default.
fn required() -> Vec<(&'static str, Value)> {
    let audience: Value = vec!["orders"].into();
    vec![
        ("package", "bootstrap.zip".into()),
        ("jwt_issuer", "https://id.example".into()),
        ("jwt_audience", audience),
    ]
}

/// What is made, with these variables besides.
fn plan_with(variables: &[(&'static str, Value)]) -> Arc<Plan> {
    Arc::new(try_plan(variables).unwrap_or_else(|errors| panic!("{errors:?}")))
}

fn try_plan(variables: &[(&'static str, Value)]) -> Result<Plan, Vec<String>> {
    let all: Vec<_> = required().into_iter().chain(variables.iter().cloned()).collect();
    orders().plan(&all)
}

/// What is made by default.
fn plan() -> Arc<Plan> {
    static PLAN: LazyLock<Arc<Plan>> = LazyLock::new(|| plan_with(&[]));
    Arc::clone(&PLAN)
}

/// What is made with standard queues.
fn standard() -> Arc<Plan> {
    static PLAN: LazyLock<Arc<Plan>> = LazyLock::new(|| plan_with(&[("fifo", false.into())]));
    Arc::clone(&PLAN)
}
