//! Reads what is before and around the program from Terraform resources: the authorizer and routes of an HTTP API, and the
//! containers of tasks. `assemble` calls it.

use std::collections::BTreeMap;

use crate::doctor::model::{Attribute, JwtAuthorizer, ScopedRoute, TaskContainer};
use crate::doctor::resources::{AttributeReader, TerraformResource, link};
use crate::doctor::value::TerraformValue;

pub(super) fn authorizer(resource: &TerraformResource) -> JwtAuthorizer {
    let issuer = resource.attributes().block("jwt_configuration").then(|jwt| jwt.text("issuer"));
    JwtAuthorizer { address: resource.address.clone(), issuer }
}

/// The route, if it requires scopes.
pub(super) fn scoped_route(resource: &TerraformResource) -> Option<ScopedRoute> {
    let scopes = resource.attributes().texts("authorization_scopes");
    let requires = scopes != Attribute::Absent && scopes != Attribute::Known(Vec::new());
    requires.then(|| ScopedRoute { address: resource.address.clone(), scopes })
}

/// The containers of a task definition.
pub(super) fn containers(resource: &TerraformResource) -> Vec<TaskContainer> {
    match resource.attributes().document("container_definitions") {
        Attribute::Known(TerraformValue::List(definitions)) => definitions
            .iter()
            .filter_map(TerraformValue::as_map)
            .map(|map| container(AttributeReader(map)))
            .collect(),
        _ => Vec::new(),
    }
}

fn container(definition: AttributeReader<'_>) -> TaskContainer {
    let command = definition
        .texts("command")
        .then(|words| words.into_iter().next().map_or(Attribute::Absent, Attribute::Known));
    let mut environment = BTreeMap::new();
    if let Attribute::Known(variables) = definition.blocks("environment") {
        for variable in variables {
            let Attribute::Known(name) = variable.text("name") else { continue };
            let value = variable.value("value").known().map_or(Attribute::Absent, |value| link(value));
            environment.insert(name, value);
        }
    }
    TaskContainer { command, environment }
}
