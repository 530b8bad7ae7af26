//! Evaluates names: variables, locals, resources, modules and their outputs. Each name is evaluated at its first use.

use std::path::Path;
use std::rc::Rc;
use std::slice::Iter;

use hcl::expr::TraversalOperator;
use hcl::{Body, Expression};

use super::module::{TerraformModule, attribute};
use super::operators::unexpected;
use super::scope::{EvaluationScope, HclEvaluator, ModuleInstance, PlacedResource};
use super::{defaults, installed};
use crate::doctor::value::TerraformValue;

/// The maximum nesting of modules. Real configurations stay far below it; only a module that uses itself exceeds it.
const DEEPEST: usize = 16;

impl HclEvaluator {
    pub(super) fn root(&self, folder: &Path) -> anyhow::Result<EvaluationScope> {
        let module = Rc::new(TerraformModule::read(folder)?);
        *self.installed.borrow_mut() = installed::modules(folder);
        let instance = ModuleInstance { module, prefix: String::new(), key: String::new(), caller: None };
        Ok(EvaluationScope::of(&Rc::new(instance)))
    }

    /// Evaluates a name. Also consumes the operators that belong to the name, such as attributes and indexes.
    pub(super) fn name(
        &self,
        name: &str,
        operators: &mut Iter<'_, TraversalOperator>,
        scope: &EvaluationScope,
    ) -> TerraformValue {
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
                TerraformValue::Text(format!("${{{name}.{part}}}"))
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
                None => TerraformValue::unknown(format!("{kind} is not declared")),
            },
        }
    }

    fn once(&self, name: String, find: impl FnOnce() -> TerraformValue) -> TerraformValue {
        match self.found.borrow().get(&name) {
            Some(Some(found)) => return found.clone(),
            Some(None) => return TerraformValue::unknown(format!("{name} depends on itself")),
            None => {}
        }
        self.found.borrow_mut().insert(name.clone(), None);
        let value = find();
        self.found.borrow_mut().insert(name, Some(value.clone()));
        value
    }

    fn variable(&self, name: &str, instance: &Rc<ModuleInstance>) -> TerraformValue {
        let address = format!("{}var.{name}", instance.prefix);
        self.once(address.clone(), || {
            let Some(declared) = instance.module.variables.get(name) else {
                return TerraformValue::unknown(format!("{address} is not declared"));
            };
            let here = EvaluationScope::of(instance);
            let given = match &instance.caller {
                Some((caller, body)) => attribute(body, name).map(|given| self.evaluate(given, caller)),
                None => instance.module.settings.get(name).map(|given| self.evaluate(given, &here)),
            };
            let default = || declared.default.as_ref().map(|default| self.evaluate(default, &here));
            let given = given.filter(|given| !(declared.never_null && *given == TerraformValue::Null));
            match given.or_else(default) {
                Some(value) => match &declared.kind {
                    Some(kind) => defaults::complete(value, kind, &|default| self.evaluate(default, &here)),
                    None => value,
                },
                None => TerraformValue::unknown(format!("{address} has no default and is not set")),
            }
        })
    }

    /// The reasons why Terraform would refuse the variables of a module: a variable has no value, or a validation
    /// fails.
    pub(super) fn refused_variables(&self, instance: &Rc<ModuleInstance>) -> Vec<String> {
        let scope = EvaluationScope::of(instance);
        let is_set = |name: &str| match &instance.caller {
            Some((_, body)) => attribute(body, name).is_some(),
            None => instance.module.settings.contains_key(name),
        };
        let mut refused = Vec::new();
        for (name, declared) in &instance.module.variables {
            if declared.default.is_none() && !is_set(name) {
                refused.push(format!("no value for {name}"));
            }
            let failed = declared
                .validations
                .iter()
                .filter(|(condition, _)| self.evaluate(condition, &scope) == TerraformValue::Bool(false));
            refused.extend(failed.map(|(_, message)| match self.evaluate(message, &scope) {
                TerraformValue::Text(text) => text,
                other => other.to_string(),
            }));
        }
        refused
    }

    fn local(&self, name: &str, instance: &Rc<ModuleInstance>) -> TerraformValue {
        self.once(format!("{}local.{name}", instance.prefix), || match instance.module.locals.get(name) {
            Some(expression) => {
                let scope = EvaluationScope::of(instance);
                self.evaluate(expression, &scope)
            }
            None => TerraformValue::unknown(format!("local.{name} is not declared")),
        })
    }

    /// The instances of a resource or data source.
    pub(super) fn resource(&self, kind: &str, name: &str, instance: &Rc<ModuleInstance>) -> TerraformValue {
        let address = format!("{}{kind}.{name}", instance.prefix);
        let Some(body) = instance.module.resources.get(&(kind.to_owned(), name.to_owned())) else {
            return TerraformValue::unknown(format!("{address} is not declared"));
        };
        let scope = EvaluationScope::of(instance);
        self.once(address.clone(), || {
            self.repeated(&address, body, &scope, TerraformValue::Resource, &|address, scope| {
                let placed = PlacedResource { kind: kind.to_owned(), body: body.clone(), scope };
                self.resources.borrow_mut().insert(address, placed);
            })
        })
    }

    /// The instances of a module.
    pub(super) fn module(&self, name: &str, instance: &Rc<ModuleInstance>) -> TerraformValue {
        let address = format!("{}module.{name}", instance.prefix);
        let Some(body) = instance.module.calls.get(name) else {
            return TerraformValue::unknown(format!("{address} is not declared"));
        };
        let scope = EvaluationScope::of(instance);
        self.once(address.clone(), || {
            let key = match instance.key.as_str() {
                "" => name.to_owned(),
                outer => format!("{outer}.{name}"),
            };
            let module = match self.source(body, &scope, &key) {
                Ok(module) => module,
                Err(why) => {
                    self.unseen.borrow_mut().push((address.clone(), why.clone()));
                    return TerraformValue::unknown(why);
                }
            };
            self.repeated(&address, body, &scope, TerraformValue::Module, &|address, scope| {
                let prefix = format!("{address}.");
                let caller = Some((scope, body.clone()));
                let instance = ModuleInstance { module: module.clone(), prefix, key: key.clone(), caller };
                self.modules.borrow_mut().insert(address, Rc::new(instance));
            })
        })
    }

    fn source(&self, body: &Body, scope: &EvaluationScope, key: &str) -> Result<Rc<TerraformModule>, String> {
        if scope.instance.prefix.matches("module.").count() >= DEEPEST {
            return Err(format!("modules are nested more than {DEEPEST} deep"));
        }
        let source = match attribute(body, "source") {
            Some(Expression::String(source)) => source.clone(),
            _ => return Err("the source of the module is not a constant".to_owned()),
        };
        if !(source.starts_with("./") || source.starts_with("../")) {
            return self.installed(&source, key);
        }
        let folder = scope.instance.module.folder.join(&source);
        if let Some(module) = self.folders.borrow().get(&folder) {
            return Ok(module.clone());
        }
        let module = TerraformModule::read(&folder).map_err(|error| {
            let why = format!("{error:#}");
            self.failed.borrow_mut().get_or_insert(error);
            why
        })?;
        let module = Rc::new(module);
        self.folders.borrow_mut().insert(folder, module.clone());
        Ok(module)
    }

    /// A module of a registry or a repository, read from the folder in which `terraform init` installed it.
    fn installed(&self, source: &str, key: &str) -> Result<Rc<TerraformModule>, String> {
        let Some(folder) = self.installed.borrow().get(key).cloned() else {
            return Err(format!(
                "the module's source {source:?} is not in this folder: run `terraform init` first, which installs it, or check \
                 the JSON of a plan instead"
            ));
        };
        if let Some(module) = self.folders.borrow().get(&folder) {
            return Ok(module.clone());
        }
        // The module is not part of this configuration, so a failure to read it is a gap in the check and not an error.
        let module = TerraformModule::read(&folder).map_err(|error| {
            format!("{error:#}: run `terraform init` again, or check the JSON of a plan instead")
        })?;
        let module = Rc::new(module);
        self.folders.borrow_mut().insert(folder, module.clone());
        Ok(module)
    }

    /// The instances that `count` or `for_each` produces, as a value. Calls `place` for each instance.
    fn repeated(
        &self,
        address: &str,
        body: &Body,
        scope: &EvaluationScope,
        value: fn(String) -> TerraformValue,
        place: &dyn Fn(String, EvaluationScope),
    ) -> TerraformValue {
        let placed = |address: String, name: &str, bound: TerraformValue| {
            place(address.clone(), scope.with(name, bound));
            value(address)
        };
        let entry =
            |name: &str, value: TerraformValue| TerraformValue::Map([(name.to_owned(), value)].into());
        let each = |key: &str, item: TerraformValue| {
            let each = TerraformValue::Map(
                [("key".to_owned(), TerraformValue::text(key)), ("value".to_owned(), item)].into(),
            );
            (key.to_owned(), placed(format!("{address}[{key:?}]"), "each", each))
        };
        if let Some(count) = attribute(body, "count") {
            return match self.evaluate(count, scope) {
                TerraformValue::Number(count) => {
                    let at = |i| {
                        placed(
                            format!("{address}[{i}]"),
                            "count",
                            entry("index", TerraformValue::Number(f64::from(i))),
                        )
                    };
                    // The count is limited, because a larger count is a mistake in the configuration and would exhaust
                    // the memory.
                    TerraformValue::List((0..count.clamp(0.0, 1000.0) as u32).map(at).collect())
                }
                other => self.unseen_because(address, "its count", other),
            };
        }
        let Some(for_each) = attribute(body, "for_each") else {
            place(address.to_owned(), scope.clone());
            return value(address.to_owned());
        };
        match self.evaluate(for_each, scope) {
            TerraformValue::Map(map) => {
                TerraformValue::Map(map.into_iter().map(|(key, item)| each(&key, item)).collect())
            }
            TerraformValue::List(items) => {
                let keys = items.into_iter().filter_map(|item| item.to_text().ok());
                TerraformValue::Map(keys.map(|key| each(&key, TerraformValue::text(&key))).collect())
            }
            other => self.unseen_because(address, "its for_each", other),
        }
    }

    fn unseen_because(&self, address: &str, what: &str, value: TerraformValue) -> TerraformValue {
        let value = unexpected(what, value);
        self.unseen.borrow_mut().push((address.to_owned(), format!("{what} is {value}")));
        value
    }

    pub(super) fn module_output(&self, address: &str, name: &str) -> TerraformValue {
        let Some(instance) = self.modules.borrow().get(address).cloned() else {
            return TerraformValue::unknown(format!("{address} does not exist"));
        };
        self.once(format!("{address}.{name}"), || match instance.module.outputs.get(name) {
            Some(output) => {
                let scope = EvaluationScope::of(&instance);
                self.evaluate(output, &scope)
            }
            None => TerraformValue::unknown(format!("{address} has no output {name}")),
        })
    }

    /// An attribute of a resource. The value of an attribute that exists only after apply is a text that contains the
    /// attribute's address.
    pub(super) fn resource_attribute(&self, address: &str, name: &str) -> TerraformValue {
        let symbol = || TerraformValue::Text(format!("${{{address}.{name}}}"));
        let Some(placed) = self.resources.borrow().get(address).cloned() else { return symbol() };
        self.once(format!("{address}.{name}"), || {
            if placed.kind == "data.aws_iam_policy_document" && matches!(name, "json" | "minified_json") {
                return self.policy_document(&placed);
            }
            if let Some(expression) = attribute(&placed.body, name) {
                return self.evaluate(expression, &placed.scope);
            }
            let inner = self.nested_blocks(&placed.body, name, &placed.scope);
            if inner.is_empty() { symbol() } else { TerraformValue::List(inner) }
        })
    }
}

fn incomplete() -> TerraformValue {
    TerraformValue::unknown("a reference is incomplete")
}
