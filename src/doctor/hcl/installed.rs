//! Finds the modules of registries and repositories that `terraform init` installed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The folders of all installed modules, by key. The key of a module consists of the names of the nested `module`
/// blocks that lead to it, joined by dots. The map is empty if nothing is installed.
pub(super) fn modules(root: &Path) -> BTreeMap<String, PathBuf> {
    let text = std::fs::read(root.join(".terraform/modules/modules.json")).unwrap_or_default();
    let json: Value = serde_json::from_slice(&text).unwrap_or_default();
    let modules = json["Modules"].as_array().into_iter().flatten();
    let placed = modules.filter_map(|module| {
        let (key, folder) = (module["Key"].as_str()?, module["Dir"].as_str()?);
        Some((key.to_owned(), root.join(folder)))
    });
    placed.collect()
}
