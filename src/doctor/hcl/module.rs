//! Reads the declarations in a folder of Terraform configuration, without evaluating them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context, bail};
use hcl::{Block, Body, Expression};

/// The declarations of one folder.
#[derive(Debug, Default)]
pub(super) struct TerraformModule {
    pub(super) folder: PathBuf,
    pub(super) variables: BTreeMap<String, VariableDeclaration>,
    pub(super) locals: BTreeMap<String, Expression>,
    pub(super) outputs: BTreeMap<String, Expression>,
    /// The resources and data sources, by type and name. The type of a data source begins with `data.`.
    pub(super) resources: BTreeMap<(String, String), Rc<Body>>,
    pub(super) calls: BTreeMap<String, Rc<Body>>,
    /// The variables that `*.tfvars` files set.
    pub(super) settings: BTreeMap<String, Expression>,
    /// The files of the configuration that are not read.
    pub(super) unread: Vec<PathBuf>,
}

#[derive(Debug, Default)]
pub(super) struct VariableDeclaration {
    pub(super) default: Option<Expression>,
    pub(super) kind: Option<Expression>,
    /// Whether `nullable = false` is set, so that the default replaces null.
    pub(super) never_null: bool,
    /// The condition and the error message of each `validation` block.
    pub(super) validations: Vec<(Expression, Expression)>,
}

impl TerraformModule {
    /// Reads every file of the folder. Like Terraform, it ignores subfolders.
    pub(super) fn read(folder: &Path) -> anyhow::Result<Self> {
        let mut files = Vec::new();
        let entries = std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
        for entry in entries {
            files.push(entry.with_context(|| format!("reading {}", folder.display()))?.path());
        }
        files.sort();
        let mut module = Self { folder: folder.to_owned(), ..Self::default() };
        let mut count = 0;
        for file in files {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let variables = name == "terraform.tfvars" || name.ends_with(".auto.tfvars");
            if name.ends_with(".tf.json") || name.ends_with(".tfvars.json") {
                module.unread.push(file);
            } else if name.ends_with(".tf") {
                module.declare(parse(&file)?)?;
                count += 1;
            } else if variables {
                let body = parse(&file)?;
                module.settings.extend(body.into_attributes().map(|a| (a.key.to_string(), a.expr)));
            }
        }
        if count == 0 {
            bail!("{} has no Terraform configuration (*.tf)", folder.display());
        }
        Ok(module)
    }

    fn declare(&mut self, body: Body) -> anyhow::Result<()> {
        for block in body.into_blocks() {
            let kind = block.identifier.to_string();
            let labels: Vec<String> = block.labels.iter().map(|label| label.as_str().to_owned()).collect();
            match (kind.as_str(), labels.as_slice()) {
                ("locals", []) => {
                    self.locals.extend(block.body.into_attributes().map(|a| (a.key.to_string(), a.expr)));
                }
                ("variable", [name]) => {
                    let variable = VariableDeclaration {
                        default: attribute(&block.body, "default").cloned(),
                        kind: attribute(&block.body, "type").cloned(),
                        never_null: attribute(&block.body, "nullable") == Some(&Expression::Bool(false)),
                        validations: block.body.blocks().filter_map(validation).collect(),
                    };
                    self.variables.insert(name.clone(), variable);
                }
                ("output", [name]) => {
                    if let Some(value) = attribute(&block.body, "value") {
                        self.outputs.insert(name.clone(), value.clone());
                    }
                }
                ("resource", [kind, name]) => self.resource(kind.clone(), name, block),
                ("data", [kind, name]) => self.resource(format!("data.{kind}"), name, block),
                ("module", [name]) => {
                    self.calls.insert(name.clone(), Rc::new(block.body));
                }
                ("resource" | "data" | "module" | "variable" | "output", _) => {
                    bail!("{}: a block `{kind}` has {} labels", self.folder.display(), labels.len());
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn resource(&mut self, kind: String, name: &str, block: Block) {
        self.resources.insert((kind, name.to_owned()), Rc::new(block.body));
    }
}

fn validation(block: &Block) -> Option<(Expression, Expression)> {
    let part = |name| attribute(&block.body, name).cloned();
    (block.identifier.as_str() == "validation").then(|| part("condition").zip(part("error_message")))?
}

/// The value of the attribute with this name.
pub(super) fn attribute<'a>(body: &'a Body, name: &str) -> Option<&'a Expression> {
    body.attributes().find(|attribute| attribute.key.as_str() == name).map(|attribute| &attribute.expr)
}

fn parse(file: &Path) -> anyhow::Result<Body> {
    let text = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    hcl::parse(&text).map_err(|error| match error {
        hcl::Error::Parse(error) => {
            let (line, column) = (error.location().line(), error.location().column());
            anyhow::anyhow!("{}:{line}:{column}: not valid HCL: {}", file.display(), error.message())
        }
        error => anyhow::anyhow!("{}: not valid HCL: {error}", file.display()),
    })
}
