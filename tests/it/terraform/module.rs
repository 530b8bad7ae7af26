//! Reads a module, and computes what it makes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use hcl::eval::{Context, Evaluate};
use hcl::expr::Expression;
use hcl::{Block, Body, Map, Value};
use serde_json::json;

use super::expressions;

/// What a resource has besides its arguments: known to AWS only, so each is its own name here.
const COMPUTED: [&str; 11] = [
    "api_endpoint",
    "arn",
    "bucket",
    "execution_arn",
    "function_name",
    "id",
    "invoke_arn",
    "name",
    "region",
    "url",
    "uuid",
];
/// Arguments that Terraform keeps for itself.
const META: [&str; 3] = ["count", "depends_on", "for_each"];

/// All files of a folder.
pub(super) struct Module {
    blocks: Vec<Block>,
}

/// What a module makes: `type.name`, or `type.name[key]` if there are several, with its arguments. Blocks are lists.
pub(super) struct Plan {
    resources: BTreeMap<String, serde_json::Value>,
}

impl Plan {
    /// A resource that is there.
    pub(super) fn get(&self, address: &str) -> &serde_json::Value {
        self.find(address).unwrap_or_else(|| panic!("{address} is not made; {:?} are", self.addresses()))
    }

    pub(super) fn find(&self, address: &str) -> Option<&serde_json::Value> {
        self.resources.get(address)
    }

    pub(super) fn addresses(&self) -> Vec<&str> {
        self.resources.keys().map(String::as_str).collect()
    }

    /// All of a type.
    pub(super) fn all<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = (&'a str, &'a serde_json::Value)> {
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
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "tf") {
                let body = hcl::parse(&fs::read_to_string(&path).unwrap());
                let body = body.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                assert_eq!(body.attributes().count(), 0, "{}: an argument outside of blocks", path.display());
                blocks.extend(body.into_blocks());
            }
        }
        Self { blocks }
    }

    /// All blocks of a kind, each with its label.
    pub(super) fn blocks<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = (&'a str, &'a Block)> {
        let of_kind = self.blocks.iter().filter(move |block| block.identifier() == kind);
        of_kind.map(|block| (block.labels().first().map_or("", |label| label.as_str()), block))
    }

    /// What is made with these values of variables; or what is wrong with them.
    pub(super) fn plan(&self, given: &[(&str, Value)]) -> Result<Plan, Vec<String>> {
        let mut known = Known::new(self.variables(given)?);
        self.validate(&known)?;
        let mut pending: Vec<Pending<'_>> = self.pending().collect();
        // What stands on others waits for them. Terraform itself allows no circles.
        while !pending.is_empty() {
            let (before, context) = (pending.len(), known.context());
            let mut errors = Vec::new();
            pending.retain(|item| match known.learn(item, &context) {
                Ok(()) => false,
                Err(error) => {
                    errors.push(error);
                    true
                }
            });
            assert!(pending.len() < before, "cannot be computed:\n{}", errors.join("\n"));
        }
        Ok(Plan { resources: known.resources })
    }

    /// What the one module that this one calls is given.
    pub(super) fn call(
        &self,
        name: &str,
        given: &[(&str, Value)],
    ) -> Result<Vec<(String, Value)>, Vec<String>> {
        let known = Known::new(self.variables(given)?);
        self.validate(&known)?;
        let (_, block) = self.blocks("module").find(|(label, _)| *label == name).expect("it is called");
        let arguments = block.body().attributes().filter(|argument| argument.key() != "source");
        let context = known.context();
        Ok(arguments.map(|it| (it.key().to_owned(), it.expr().evaluate(&context).unwrap())).collect())
    }

    fn variables(&self, given: &[(&str, Value)]) -> Result<Map<String, Value>, Vec<String>> {
        let (mut values, mut errors) = (Map::new(), Vec::new());
        for (name, block) in self.blocks("variable") {
            let given = given.iter().find(|(given, _)| *given == name).map(|(_, value)| value.clone());
            let default = || argument(block.body(), "default")?.evaluate(&Context::new()).ok();
            match given.or_else(default) {
                Some(value) => drop(values.insert(name.to_owned(), value)),
                None => errors.push(format!("no value for {name}")),
            }
        }
        let unknown = given.iter().filter(|(name, _)| !values.contains_key(*name));
        errors.extend(unknown.map(|(name, _)| format!("no variable {name}")));
        if errors.is_empty() { Ok(values) } else { Err(errors) }
    }

    fn validate(&self, known: &Known) -> Result<(), Vec<String>> {
        let context = known.context();
        let of = |block: &Block, name| argument(block.body(), name).unwrap().evaluate(&context).unwrap();
        let validations = self.blocks("variable").flat_map(|(_, block)| block.body().blocks());
        let validations = validations.filter(|block| block.identifier() == "validation");
        let broken = validations.filter(|block| of(block, "condition") != Value::Bool(true));
        let errors: Vec<_> =
            broken.map(|block| of(block, "error_message").as_str().unwrap().to_owned()).collect();
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    fn pending(&self) -> impl Iterator<Item = Pending<'_>> {
        let locals = self.blocks("locals").flat_map(|(_, block)| block.body().attributes());
        let locals = locals.map(|local| Pending::Local(local.key(), local.expr()));
        let resources = self
            .blocks("resource")
            .map(|(kind, block)| Pending::Resource(kind, block.labels()[1].as_str(), block.body()));
        locals.chain(resources)
    }
}

/// What is still to be computed.
enum Pending<'a> {
    Local(&'a str, &'a Expression),
    Resource(&'a str, &'a str, &'a Body),
}

/// What is computed already.
struct Known {
    variables: Map<String, Value>,
    locals: Map<String, Value>,
    /// By type and name, for references.
    references: Map<String, Map<String, Value>>,
    resources: BTreeMap<String, serde_json::Value>,
}

impl Known {
    fn new(variables: Map<String, Value>) -> Self {
        Self { variables, locals: Map::new(), references: Map::new(), resources: BTreeMap::new() }
    }

    fn context(&self) -> Context<'static> {
        let mut context = Context::new();
        expressions::declare(&mut context);
        context.declare_var("var", Value::Object(self.variables.clone()));
        context.declare_var("local", Value::Object(self.locals.clone()));
        let data = json!({
            "aws_caller_identity": { "current": { "account_id": "123456789012" } },
            "aws_partition": { "current": { "partition": "aws" } },
            "aws_region": { "current": { "region": "eu-central-1" } },
        });
        context.declare_var("data", hcl::to_value(data).unwrap());
        for (kind, named) in &self.references {
            context.declare_var(kind.as_str(), Value::Object(named.clone()));
        }
        context
    }

    fn learn(&mut self, item: &Pending<'_>, context: &Context<'_>) -> Result<(), String> {
        match item {
            Pending::Local(name, expression) => {
                let value =
                    evaluate(expression, context).map_err(|error| format!("local.{name}: {error}"))?;
                self.locals.insert((*name).to_owned(), value);
            }
            Pending::Resource(kind, name, content) => {
                let address = format!("{kind}.{name}");
                let (reference, made) =
                    instances(&address, content, context).map_err(|error| format!("{address}: {error}"))?;
                self.references.entry((*kind).to_owned()).or_default().insert((*name).to_owned(), reference);
                self.resources.extend(made);
            }
        }
        Ok(())
    }
}

type Made = (Value, Vec<(String, serde_json::Value)>);

/// A resource as others refer to it, and each of its instances.
fn instances(address: &str, content: &Body, context: &Context<'_>) -> Result<Made, String> {
    let one = |address: String, each: Option<(Value, Value)>| -> Result<(Value, Value, String), String> {
        let mut own = context.clone();
        if let Some((key, value)) = each {
            own.declare_var(
                "each",
                Value::Object([("key".to_owned(), key), ("value".to_owned(), value)].into()),
            );
        }
        let made = body(content, &own)?;
        let Value::Object(mut reference) = made.clone() else { return Err("it is no object".to_owned()) };
        for name in COMPUTED {
            reference.entry(name.to_owned()).or_insert_with(|| format!("{address}.{name}").into());
        }
        Ok((Value::Object(reference), made, address))
    };
    if let Some(each) = argument(content, "for_each") {
        let (mut references, mut all) = (Map::new(), Vec::new());
        for (key, value) in pairs(&evaluate(each, context)?)? {
            let name = key.as_str().ok_or("a key is no string")?.to_owned();
            let (reference, made, address) = one(format!("{address}[{name}]"), Some((key, value)))?;
            references.insert(name, reference);
            all.push((address, expressions::json(&made)));
        }
        return Ok((Value::Object(references), all));
    }
    if let Some(count) = argument(content, "count") {
        let (mut references, mut all) = (Vec::new(), Vec::new());
        for place in 0..evaluate(count, context)?.as_u64().ok_or("a count is no number")? {
            let (reference, made, address) = one(format!("{address}[{place}]"), None)?;
            references.push(reference);
            all.push((address, expressions::json(&made)));
        }
        return Ok((Value::Array(references), all));
    }
    let (reference, made, address) = one(address.to_owned(), None)?;
    Ok((reference, vec![(address, expressions::json(&made))]))
}

/// The arguments of a block, with its blocks as lists.
fn body(content: &Body, context: &Context<'_>) -> Result<Value, String> {
    let mut members = Map::new();
    for argument in content.attributes().filter(|argument| !META.contains(&argument.key())) {
        members.insert(argument.key().to_owned(), evaluate(argument.expr(), context)?);
    }
    let mut blocks: Map<String, Vec<Value>> = Map::new();
    for block in content.blocks() {
        if block.identifier() != "dynamic" {
            blocks.entry(block.identifier().to_owned()).or_default().push(body(block.body(), context)?);
            continue;
        }
        let name = block.labels()[0].as_str();
        let each = argument(block.body(), "for_each").ok_or("a dynamic block without for_each")?;
        let inner = block.body().blocks().next().ok_or("a dynamic block without content")?;
        for (key, value) in pairs(&evaluate(each, context)?)? {
            let mut own = context.clone();
            own.declare_var(
                name,
                Value::Object([("key".to_owned(), key), ("value".to_owned(), value)].into()),
            );
            blocks.entry(name.to_owned()).or_default().push(body(inner.body(), &own)?);
        }
    }
    members.extend(blocks.into_iter().map(|(name, blocks)| (name, Value::Array(blocks))));
    Ok(Value::Object(members))
}

/// The keys and values of an object; an element of a list, or of a set, is its own key.
fn pairs(value: &Value) -> Result<Vec<(Value, Value)>, String> {
    match value {
        Value::Object(members) => {
            Ok(members.iter().map(|(key, value)| (key.clone().into(), value.clone())).collect())
        }
        Value::Array(items) => Ok(items.iter().map(|item| (item.clone(), item.clone())).collect()),
        other => Err(format!("{other} is nothing to repeat for")),
    }
}

fn evaluate(expression: &Expression, context: &Context<'_>) -> Result<Value, String> {
    expression.evaluate(context).map_err(|error| error.to_string())
}

/// An argument of a block.
pub(super) fn argument<'a>(body: &'a Body, name: &str) -> Option<&'a Expression> {
    body.attributes().find(|argument| argument.key() == name).map(hcl::Attribute::expr)
}
