//! Names: what variables, locals, resources and modules stand for, each evaluated when it is first asked for.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::slice::Iter;

use hcl::expr::TraversalOperator;
use hcl::{Body, Expression};

use super::evaluate::{Bindings, Scope};
use super::module::{Module, attribute};
use super::operators::not_told;
use super::{blocks, defaults, installed};
use crate::doctor::value::Value;

/// Deeper than anybody nests modules; one that uses itself is deeper than any bound.
const DEEPEST: usize = 16;

/// One use of a module: the root, or a `module` block that is applied.
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) module: Rc<Module>,
    /// What addresses of its resources begin with: nothing, or `module.orders.`.
    pub(super) prefix: String,
    /// What `terraform init` calls it: nothing, or the names of the calls that lead to it, with dots between them.
    key: String,
    /// Who uses it, and with what inputs.
    caller: Option<(Scope, Rc<Body>)>,
}

/// A resource or data source that is there.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    pub(super) kind: String,
    pub(super) body: Rc<Body>,
    pub(super) scope: Scope,
}

/// Evaluates expressions, and keeps what it has found.
#[derive(Debug, Default)]
pub(super) struct Evaluator {
    /// By the address of the module and the name. `None` while it is being found: then it depends on itself.
    found: RefCell<HashMap<String, Option<Value>>>,
    pub(super) resources: RefCell<BTreeMap<String, Placed>>,
    pub(super) modules: RefCell<BTreeMap<String, Rc<Instance>>>,
    /// Where `terraform init` has put modules that are not part of the configuration, by their keys.
    installed: RefCell<BTreeMap<String, PathBuf>>,
    /// Folders that were read.
    folders: RefCell<HashMap<PathBuf, Rc<Module>>>,
    /// Parts of the configuration that cannot be seen, and why.
    pub(super) unseen: RefCell<Vec<(String, String)>>,
    /// Files that could not be read.
    pub(super) failed: RefCell<Option<anyhow::Error>>,
}

impl Evaluator {
    pub(super) fn root(&self, folder: &Path) -> anyhow::Result<Scope> {
        let module = Rc::new(Module::read(folder)?);
        *self.installed.borrow_mut() = installed::modules(folder);
        let instance = Instance { module, prefix: String::new(), key: String::new(), caller: None };
        Ok(Scope { instance: Rc::new(instance), bindings: Bindings::new() })
    }

    /// What a name stands for; takes the operators that belong to the name.
    pub(super) fn name(
        &self,
        name: &str,
        operators: &mut Iter<'_, TraversalOperator>,
        scope: &Scope,
    ) -> Value {
        if let Some(bound) = scope.bindings.get(name) {
            return bound.clone();
        }
        let mut next = || match operators.as_slice().first() {
            Some(TraversalOperator::GetAttr(part)) => {
                operators.next();
                Some(part.to_string())
            }
            _ => None,
        };
        let instance = &scope.instance;
        match name {
            "path" | "terraform" => {
                let part = next().unwrap_or_default();
                Value::Text(format!("${{{name}.{part}}}"))
            }
            "var" => next().map_or_else(incomplete, |name| self.variable(&name, instance)),
            "local" => next().map_or_else(incomplete, |name| self.local(&name, instance)),
            "module" => next().map_or_else(incomplete, |name| self.module(&name, instance)),
            "data" => match (next(), next()) {
                (Some(kind), Some(name)) => self.resource(&format!("data.{kind}"), &name, instance),
                _ => incomplete(),
            },
            kind => match next() {
                Some(name) => self.resource(kind, &name, instance),
                None => Value::unknown(format!("{kind} is not declared")),
            },
        }
    }

    fn once(&self, name: String, find: impl FnOnce() -> Value) -> Value {
        match self.found.borrow().get(&name) {
            Some(Some(found)) => return found.clone(),
            Some(None) => return Value::unknown(format!("{name} depends on itself")),
            None => {}
        }
        self.found.borrow_mut().insert(name.clone(), None);
        let value = find();
        self.found.borrow_mut().insert(name, Some(value.clone()));
        value
    }

    fn variable(&self, name: &str, instance: &Rc<Instance>) -> Value {
        let address = format!("{}var.{name}", instance.prefix);
        self.once(address.clone(), || {
            let Some(declared) = instance.module.variables.get(name) else {
                return Value::unknown(format!("{address} is not declared"));
            };
            let here = Scope { instance: instance.clone(), bindings: Bindings::new() };
            let given = match &instance.caller {
                Some((caller, body)) => attribute(body, name).map(|given| self.evaluate(given, caller)),
                None => instance.module.settings.get(name).map(|given| self.evaluate(given, &here)),
            };
            let default = || declared.default.as_ref().map(|default| self.evaluate(default, &here));
            match given.or_else(default) {
                Some(value) => match &declared.kind {
                    Some(kind) => defaults::complete(value, kind, &|default| self.evaluate(default, &here)),
                    None => value,
                },
                None => Value::unknown(format!("{address} has no default and is not set")),
            }
        })
    }

    fn local(&self, name: &str, instance: &Rc<Instance>) -> Value {
        self.once(format!("{}local.{name}", instance.prefix), || match instance.module.locals.get(name) {
            Some(expression) => {
                let scope = Scope { instance: instance.clone(), bindings: Bindings::new() };
                self.evaluate(expression, &scope)
            }
            None => Value::unknown(format!("local.{name} is not declared")),
        })
    }

    /// The instances of a resource or data source.
    pub(super) fn resource(&self, kind: &str, name: &str, instance: &Rc<Instance>) -> Value {
        let address = format!("{}{kind}.{name}", instance.prefix);
        let Some(body) = instance.module.resources.get(&(kind.to_owned(), name.to_owned())) else {
            return Value::unknown(format!("{address} is not declared"));
        };
        let scope = Scope { instance: instance.clone(), bindings: Bindings::new() };
        self.once(address.clone(), || {
            self.repeated(&address, body, &scope, Value::Resource, &|address, scope| {
                let placed = Placed { kind: kind.to_owned(), body: body.clone(), scope };
                self.resources.borrow_mut().insert(address, placed);
            })
        })
    }

    /// The instances of a module.
    pub(super) fn module(&self, name: &str, instance: &Rc<Instance>) -> Value {
        let address = format!("{}module.{name}", instance.prefix);
        let Some(body) = instance.module.calls.get(name) else {
            return Value::unknown(format!("{address} is not declared"));
        };
        let scope = Scope { instance: instance.clone(), bindings: Bindings::new() };
        self.once(address.clone(), || {
            let key = match instance.key.as_str() {
                "" => name.to_owned(),
                outer => format!("{outer}.{name}"),
            };
            let module = match self.source(body, &scope, &key) {
                Ok(module) => module,
                Err(why) => {
                    self.unseen.borrow_mut().push((address.clone(), why.clone()));
                    return Value::unknown(why);
                }
            };
            self.repeated(&address, body, &scope, Value::Module, &|address, scope| {
                let prefix = format!("{address}.");
                let caller = Some((scope, body.clone()));
                let instance = Instance { module: module.clone(), prefix, key: key.clone(), caller };
                self.modules.borrow_mut().insert(address, Rc::new(instance));
            })
        })
    }

    fn source(&self, body: &Body, scope: &Scope, key: &str) -> Result<Rc<Module>, String> {
        if scope.instance.prefix.matches("module.").count() >= DEEPEST {
            return Err(format!("modules use each other more than {DEEPEST} deep"));
        }
        let source = match attribute(body, "source") {
            Some(Expression::String(source)) => source.clone(),
            _ => return Err("its source cannot be told".to_owned()),
        };
        if !(source.starts_with("./") || source.starts_with("../")) {
            return self.installed(&source, key);
        }
        let folder = scope.instance.module.folder.join(&source);
        if let Some(module) = self.folders.borrow().get(&folder) {
            return Ok(module.clone());
        }
        let module = Module::read(&folder).map_err(|error| {
            let why = format!("{error:#}");
            self.failed.borrow_mut().get_or_insert(error);
            why
        })?;
        let module = Rc::new(module);
        self.folders.borrow_mut().insert(folder, module.clone());
        Ok(module)
    }

    /// A module of a registry or a repository, where `terraform init` has put it.
    fn installed(&self, source: &str, key: &str) -> Result<Rc<Module>, String> {
        let Some(folder) = self.installed.borrow().get(key).cloned() else {
            return Err(format!(
                "its source {source:?} is not in this folder: run `terraform init` first, which brings it here, or give \
                 the JSON of a plan instead"
            ));
        };
        if let Some(module) = self.folders.borrow().get(&folder) {
            return Ok(module.clone());
        }
        // It is somebody else's: what cannot be read of it is a gap here, not an error of this configuration.
        let module = Module::read(&folder).map_err(|error| {
            format!("{error:#}: run `terraform init` again, or give the JSON of a plan instead")
        })?;
        let module = Rc::new(module);
        self.folders.borrow_mut().insert(folder, module.clone());
        Ok(module)
    }

    /// The instances that `count` or `for_each` make, as a value; places each.
    fn repeated(
        &self,
        address: &str,
        body: &Body,
        scope: &Scope,
        value: fn(String) -> Value,
        place: &dyn Fn(String, Scope),
    ) -> Value {
        let placed = |address: String, name: &str, bound: Value| {
            place(address.clone(), scope.with(name, bound));
            value(address)
        };
        let entry = |name: &str, value: Value| Value::Map([(name.to_owned(), value)].into());
        let each = |key: &str, item: Value| {
            let each = Value::Map([("key".to_owned(), Value::text(key)), ("value".to_owned(), item)].into());
            (key.to_owned(), placed(format!("{address}[{key:?}]"), "each", each))
        };
        if let Some(count) = attribute(body, "count") {
            return match self.evaluate(count, scope) {
                Value::Number(count) => {
                    let at = |i| {
                        placed(
                            format!("{address}[{i}]"),
                            "count",
                            entry("index", Value::Number(f64::from(i))),
                        )
                    };
                    // More than can be meant.
                    Value::List((0..count.clamp(0.0, 1000.0) as u32).map(at).collect())
                }
                other => self.lost(address, "its count", other),
            };
        }
        let Some(for_each) = attribute(body, "for_each") else {
            place(address.to_owned(), scope.clone());
            return value(address.to_owned());
        };
        match self.evaluate(for_each, scope) {
            Value::Map(map) => Value::Map(map.into_iter().map(|(key, item)| each(&key, item)).collect()),
            Value::List(items) => {
                let keys = items.into_iter().filter_map(|item| item.to_text().ok());
                Value::Map(keys.map(|key| each(&key, Value::text(&key))).collect())
            }
            other => self.lost(address, "its for_each", other),
        }
    }

    fn lost(&self, address: &str, what: &str, value: Value) -> Value {
        let value = not_told(what, value);
        self.unseen.borrow_mut().push((address.to_owned(), format!("{what} is {value}")));
        value
    }

    pub(super) fn module_output(&self, address: &str, name: &str) -> Value {
        let Some(instance) = self.modules.borrow().get(address).cloned() else {
            return Value::unknown(format!("{address} is not there"));
        };
        self.once(format!("{address}.{name}"), || match instance.module.outputs.get(name) {
            Some(output) => {
                let scope = Scope { instance: instance.clone(), bindings: Bindings::new() };
                self.evaluate(output, &scope)
            }
            None => Value::unknown(format!("{address} has no output {name}")),
        })
    }

    /// What a resource says of itself, or else the name of what it will say once it is there.
    pub(super) fn resource_attribute(&self, address: &str, name: &str) -> Value {
        let symbol = || Value::Text(format!("${{{address}.{name}}}"));
        let Some(placed) = self.resources.borrow().get(address).cloned() else { return symbol() };
        self.once(format!("{address}.{name}"), || {
            if placed.kind == "data.aws_iam_policy_document" && matches!(name, "json" | "minified_json") {
                return self.policy_document(&placed);
            }
            if let Some(expression) = attribute(&placed.body, name) {
                return self.evaluate(expression, &placed.scope);
            }
            let inner = blocks::named(self, &placed.body, name, &placed.scope);
            if inner.is_empty() { symbol() } else { Value::List(inner) }
        })
    }
}

fn incomplete() -> Value {
    Value::unknown("a name is incomplete")
}
