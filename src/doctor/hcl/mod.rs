//! Reads the resources of a folder of Terraform configuration. A value that is known only after apply is marked as
//! unknown. `doctor::read` calls it.

mod blocks;
mod defaults;
mod evaluate;
mod functions;
mod installed;
mod module;
mod names;
mod operators;
mod scope;

use std::path::Path;
use std::rc::Rc;

use super::resources::{TerraformResource, TerraformResources};
use scope::{HclEvaluator, ModuleInstance};

/// Every resource of the configuration in this folder, and of the modules that it uses.
pub(super) fn read(folder: &Path) -> anyhow::Result<TerraformResources> {
    let evaluator = HclEvaluator::default();
    let root = evaluator.root(folder)?.instance;
    let mut configuration = TerraformResources::default();
    place(&evaluator, &root, &mut configuration);
    let placed = evaluator.resources.borrow().clone();
    for (address, placed) in placed {
        if placed.kind.starts_with("data.") {
            continue;
        }
        let values = evaluator.block_values(&placed.body, &placed.scope);
        configuration.resources.push(TerraformResource { address, kind: placed.kind, values });
    }
    // The error is about a local module. Terraform could not read that module either, so this is
    // an error and not a gap in the check.
    if let Some(error) = evaluator.failed.borrow_mut().take() {
        return Err(error);
    }
    let mut unseen = evaluator.unseen.take();
    unseen.sort();
    unseen.dedup();
    configuration.unseen.extend(unseen);
    Ok(configuration)
}

/// Adds the instances of all resources of this module and of the modules that it uses.
fn place(evaluator: &HclEvaluator, instance: &Rc<ModuleInstance>, configuration: &mut TerraformResources) {
    let why = "files in JSON are not read; check the JSON of a plan instead";
    let unread = instance.module.unread.iter().map(|file| (file.display().to_string(), why.to_owned()));
    configuration.unseen.extend(unread);
    configuration.refused.extend(evaluator.refused_variables(instance));
    for (kind, name) in instance.module.resources.keys() {
        evaluator.resource(kind, name, instance);
    }
    for name in instance.module.calls.keys() {
        evaluator.module(name, instance);
        let (single, many) =
            (format!("{}module.{name}", instance.prefix), format!("{}module.{name}[", instance.prefix));
        let modules = evaluator.modules.borrow().clone();
        let ours = modules.into_iter().filter(|(address, _)| {
            *address == single
                || (address.starts_with(&many)
                    && address.ends_with(']')
                    && !address[many.len()..].contains("].module."))
        });
        for (_, child) in ours {
            place(evaluator, &child, configuration);
        }
    }
}
