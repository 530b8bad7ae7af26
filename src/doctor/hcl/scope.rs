//! The state of an evaluation, and the scope in which an expression is evaluated. The other files of this folder
//! implement the evaluator: expressions, names, blocks.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::rc::Rc;

use hcl::Body;

use super::module::TerraformModule;
use crate::doctor::value::TerraformValue;

/// The names that an expression can use besides those of its module: `each`, `count` and the names that `for` binds.
pub(super) type NameBindings = BTreeMap<String, TerraformValue>;

/// What the names in an expression refer to: the declarations of a module instance, and the bindings.
#[derive(Debug, Clone)]
pub(super) struct EvaluationScope {
    pub(super) instance: Rc<ModuleInstance>,
    pub(super) bindings: NameBindings,
}

impl EvaluationScope {
    /// The scope of a module's own declarations, without `each`, `count` and `for` names.
    pub(super) fn of(instance: &Rc<ModuleInstance>) -> Self {
        Self { instance: instance.clone(), bindings: NameBindings::new() }
    }

    pub(super) fn with(&self, name: &str, value: TerraformValue) -> Self {
        let mut scope = self.clone();
        scope.bindings.insert(name.to_owned(), value);
        scope
    }
}

/// One use of a module: the root, or one instance of a `module` block.
#[derive(Debug)]
pub(super) struct ModuleInstance {
    pub(super) module: Rc<TerraformModule>,
    /// The prefix of the addresses of this module's resources, such as `module.orders.`. Empty for the root.
    pub(super) prefix: String,
    /// The key of this module in the list that `terraform init` writes: the names of the nested `module` blocks that
    /// lead to it, joined by dots. Empty for the root.
    pub(super) key: String,
    /// The scope and the body of the `module` block that uses this module. The body contains the inputs. `None` for the
    /// root.
    pub(super) caller: Option<(EvaluationScope, Rc<Body>)>,
}

/// An instance of a resource or data source.
#[derive(Debug, Clone)]
pub(super) struct PlacedResource {
    pub(super) kind: String,
    pub(super) body: Rc<Body>,
    pub(super) scope: EvaluationScope,
}

/// Evaluates expressions, and remembers the results.
#[derive(Debug, Default)]
pub(super) struct HclEvaluator {
    /// The values of evaluated names, by address. `None` marks a name whose evaluation has not ended. If that
    /// evaluation uses the name again, the definition of the name is a cycle.
    pub(super) found: RefCell<HashMap<String, Option<TerraformValue>>>,
    pub(super) resources: RefCell<BTreeMap<String, PlacedResource>>,
    pub(super) modules: RefCell<BTreeMap<String, Rc<ModuleInstance>>>,
    /// The folders in which `terraform init` installed modules, by their keys.
    pub(super) installed: RefCell<BTreeMap<String, PathBuf>>,
    /// The modules that were read so far.
    pub(super) folders: RefCell<HashMap<PathBuf, Rc<TerraformModule>>>,
    /// The parts of the configuration that cannot be examined, each with its place and the reason.
    pub(super) unseen: RefCell<Vec<(String, String)>>,
    /// The first module folder that could not be read.
    pub(super) failed: RefCell<Option<anyhow::Error>>,
}
