//! Reads the declarations of a module, and lets `orders doctor --resources` evaluate its resources.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use hcl::expr::Expression;
use hcl::{Block, Body};
use regex::Regex;
use serde_json::Value as Json;
use tempfile::TempDir;

use crate::support::service::orders;

/// The values of attributes of data sources. Terraform reads the values from AWS, but the tests supply them.
const DATA: [(&str, &str); 3] = [
    ("data.aws_caller_identity.current.account_id", "123456789012"),
    ("data.aws_partition.current.partition", "aws"),
    ("data.aws_region.current.region", "eu-central-1"),
];

/// A folder of Terraform configuration.
pub(super) struct Module {
    folder: PathBuf,
    blocks: Vec<Block>,
}

/// The resources of a module, with their arguments. The key is `type.name`, or `type.name[key]` if there are several
/// instances. Blocks are lists. If the value of an attribute is unknown before `terraform apply`, the value
/// is the address of the attribute, as a text.
pub(super) struct Plan {
    resources: BTreeMap<String, Json>,
}

impl Plan {
    /// A resource that must exist.
    pub(super) fn get(&self, address: &str) -> &Json {
        self.find(address)
            .unwrap_or_else(|| panic!("{address} does not exist; the resources are {:?}", self.addresses()))
    }

    pub(super) fn find(&self, address: &str) -> Option<&Json> {
        self.resources.get(address)
    }

    pub(super) fn addresses(&self) -> Vec<&str> {
        self.resources.keys().map(String::as_str).collect()
    }

    /// All resources of a type.
    pub(super) fn all<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = (&'a str, &'a Json)> {
        let of_kind = move |address: &str| address.split_once('.').is_some_and(|(found, _)| found == kind);
        self.resources
            .iter()
            .filter(move |(address, _)| of_kind(address))
            .map(|(address, it)| (address.as_str(), it))
    }
}

impl Module {
    pub(super) fn read(folder: &Path) -> Self {
        let mut blocks = Vec::new();
        for path in files(folder) {
            let body = hcl::parse(&fs::read_to_string(&path).unwrap());
            let body = body.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert_eq!(body.attributes().count(), 0, "{}: an argument outside of blocks", path.display());
            blocks.extend(body.into_blocks());
        }
        Self { folder: folder.to_owned(), blocks }
    }

    /// All blocks of one kind, each with its label.
    pub(super) fn blocks<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = (&'a str, &'a Block)> {
        let of_kind = self.blocks.iter().filter(move |block| block.identifier() == kind);
        of_kind.map(|block| (block.labels().first().map_or("", |label| label.as_str()), block))
    }

    /// The resources with these values of variables, or the reasons why Terraform would refuse the values.
    pub(super) fn plan(&self, given: &[(&str, Json)]) -> Result<Plan, Vec<String>> {
        let declared: Vec<_> = self.blocks("variable").map(|(name, _)| name).collect();
        let unknown = given.iter().filter(|(name, _)| !declared.contains(name));
        let unknown: Vec<_> = unknown.map(|(name, _)| format!("no variable {name}")).collect();
        if !unknown.is_empty() {
            return Err(unknown);
        }
        let evaluated = self.evaluated(given);
        let refused: Vec<String> = serde_json::from_value(evaluated["refused"].clone()).unwrap();
        if !refused.is_empty() {
            return Err(refused);
        }
        assert_eq!(evaluated["unseen"], serde_json::json!([]));
        let resources = evaluated["resources"].as_object().unwrap().iter();
        let resources = resources.map(|(address, values)| (plain(address), with_plain_texts(values)));
        Ok(Plan { resources: resources.collect() })
    }

    /// The output of the doctor for this folder with these variables.
    fn evaluated(&self, given: &[(&str, Json)]) -> Json {
        let folder = TempDir::new().unwrap();
        for path in files(&self.folder).chain([self.folder.join("modules")]).filter(|path| path.exists()) {
            symlink(&path, folder.path().join(path.file_name().unwrap())).unwrap();
        }
        let variables: String = given.iter().map(|(name, value)| format!("{name} = {value}\n")).collect();
        fs::write(folder.path().join("terraform.tfvars"), variables).unwrap();
        let output = orders(&["doctor", "--resources", folder.path().to_str().unwrap()]).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{error}"))
    }
}

fn files(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == "tf"))
}

/// Rewrites `${type.name["key"].attribute}` as `type.name[key].attribute`, and replaces the attributes of data sources
/// with their values.
fn plain(text: &str) -> String {
    let key = Regex::new(r#"\["([^"]*)"\]"#).unwrap();
    let reference = Regex::new(r"\$\{([^}]*)\}").unwrap();
    let text = key.replace_all(text, "[$1]");
    let text = reference.replace_all(&text, |found: &regex::Captures<'_>| {
        let known = DATA.iter().find(|(name, _)| found[1].ends_with(name));
        known.map_or_else(|| found[1].to_owned(), |(_, value)| (*value).to_owned())
    });
    text.into_owned()
}

fn with_plain_texts(value: &Json) -> Json {
    match value {
        Json::String(text) => plain(text).into(),
        Json::Array(items) => items.iter().map(with_plain_texts).collect(),
        Json::Object(members) => {
            let members = members.iter().map(|(name, value)| (name.clone(), with_plain_texts(value)));
            Json::Object(members.collect())
        }
        other => other.clone(),
    }
}

/// Returns the JSON document in an argument. The argument is a JSON text, or the value that `jsonencode` was called
/// with.
pub(super) fn document(argument: &Json) -> Json {
    match argument {
        Json::String(text) => serde_json::from_str(text).unwrap(),
        other => other.clone(),
    }
}

/// An argument of a block.
pub(super) fn argument<'a>(body: &'a Body, name: &str) -> Option<&'a Expression> {
    body.attributes().find(|argument| argument.key() == name).map(hcl::Attribute::expr)
}
