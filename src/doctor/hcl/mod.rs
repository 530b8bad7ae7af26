//! A folder of Terraform configuration: what its resources will be, as far as that can be told without applying it.

mod blocks;
mod defaults;
mod evaluate;
mod functions;
mod installed;
mod names;
mod module;
mod operators;

use std::path::Path;
use std::rc::Rc;

use super::resources::{Configuration, Resource};
use names::{Evaluator, Instance};

/// Every resource of the configuration in this folder and of the modules that it uses.
pub(super) fn read(folder: &Path) -> anyhow::Result<Configuration> {
    let evaluator = Evaluator::default();
    let root = evaluator.root(folder)?.instance;
    let mut configuration = Configuration::default();
    place(&evaluator, &root, &mut configuration);
    let placed = evaluator.resources.borrow().clone();
    for (address, placed) in placed {
        if placed.kind.starts_with("data.") {
            continue;
        }
        let values = blocks::all(&evaluator, &placed.body, &placed.scope);
        configuration.resources.push(Resource { address, kind: placed.kind, values });
    }
    // A module that Terraform could not read either is an error, not a gap.
    if let Some(error) = evaluator.failed.borrow_mut().take() {
        return Err(error);
    }
    let mut unseen = evaluator.unseen.take();
    unseen.sort();
    unseen.dedup();
    configuration.unseen.extend(unseen);
    Ok(configuration)
}

/// Finds out which instances of resources there are, here and in the modules that are used here.
fn place(evaluator: &Evaluator, instance: &Rc<Instance>, configuration: &mut Configuration) {
    let why = "files in JSON are not read; give the JSON of a plan instead";
    let unread = instance.module.unread.iter().map(|file| (file.display().to_string(), why.to_owned()));
    configuration.unseen.extend(unread);
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
