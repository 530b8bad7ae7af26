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

    /// Whether the module has this variable, or this attribute of a variable, as in `api.timeout`. Terraform ignores attributes
    /// that a type does not have, so a test with a misspelt one would test nothing.
    fn declares(&self, name: &str) -> bool {
        let (name, attribute) = name.split_once('.').map_or((name, None), |(name, rest)| (name, Some(rest)));
        let Some((_, block)) = self.blocks("variable").find(|(declared, _)| *declared == name) else {
            return false;
        };
        let Some(attribute) = attribute else { return true };
        match argument(block.body(), "type") {
            Some(Expression::FuncCall(call)) => match call.args.as_slice() {
                [Expression::Object(attributes)] => attributes.keys().any(|key| key.to_string() == attribute),
                _ => false,
            },
            _ => false,
        }
    }

    /// The resources with these values of variables, or the reasons why Terraform would refuse the values. A name with a dot is
    /// an attribute of a variable.
    pub(super) fn plan(&self, given: &[(&str, Json)]) -> Result<Plan, Vec<String>> {
        let unknown = given.iter().filter(|(name, _)| !self.declares(name));
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

    /// The output of the doctor for this folder with these variables. The folder and the modules are where they are in the
    /// repository, relative to each other.
    fn evaluated(&self, given: &[(&str, Json)]) -> Json {
        let temporary = TempDir::new().unwrap();
        let place = self.folder.strip_prefix(super::folder()).unwrap();
        let folder = temporary.path().join(place);
        fs::create_dir_all(&folder).unwrap();
        fs::create_dir_all(temporary.path().join("modules")).unwrap();
        for module in fs::read_dir(super::folder().join("modules")).unwrap() {
            let name = Path::new("modules").join(module.unwrap().file_name());
            if name != place {
                symlink(super::folder().join(&name), temporary.path().join(&name)).unwrap();
            }
        }
        for path in files(&self.folder) {
            symlink(&path, folder.join(path.file_name().unwrap())).unwrap();
        }
        let variables = values(given);
        let variables: String = variables.iter().map(|(name, value)| format!("{name} = {value}\n")).collect();
        fs::write(folder.join("terraform.tfvars"), variables).unwrap();
        let output = orders(&["doctor", "--resources", folder.to_str().unwrap()]).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{error}"))
    }
}

/// The values of the variables, of which some are given attribute by attribute. What comes later counts.
fn values(given: &[(&str, Json)]) -> BTreeMap<String, Json> {
    let mut variables = BTreeMap::<String, Json>::new();
    for (name, value) in given {
        match name.split_once('.') {
            None => drop(variables.insert((*name).to_owned(), value.clone())),
            Some((name, attribute)) => {
                variables.entry(name.to_owned()).or_insert_with(|| serde_json::json!({}))[attribute] =
                    value.clone();
            }
        }
    }
    variables
}

pub(super) fn files(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == "tf"))
}

/// Rewrites `${type.name["key"].attribute}` as `type.name[key].attribute`, and replaces the attributes of data sources
/// with their values. What modules/data contains has addresses as if the module that uses it contained it.
fn plain(text: &str) -> String {
    let text = &text.replace("module.data.", "");
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
