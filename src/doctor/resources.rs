//! The resources that the Terraform readers produce, and typed access to their attributes. `assemble` and `roles` read
//! them.

use std::collections::BTreeMap;

use super::model::Attribute;
use super::references::{ResourceIdentity, ResourceReference};
use super::value::{TerraformValue, UnknownValue};

/// The resources of a configuration or a plan.
#[derive(Debug, Default)]
pub(super) struct TerraformResources {
    pub(super) resources: Vec<TerraformResource>,
    /// The parts of the configuration that the reader cannot examine. Each entry has the part's name and the reason.
    pub(super) unseen: Vec<(String, String)>,
    /// The reasons why Terraform would refuse the variables of the configuration.
    pub(super) refused: Vec<String>,
}

/// An instance of a resource.
#[derive(Debug)]
pub(super) struct TerraformResource {
    pub(super) address: String,
    pub(super) kind: String,
    pub(super) values: BTreeMap<String, TerraformValue>,
}

/// Typed access to the attributes of a resource, or of a block in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct AttributeReader<'a>(pub(super) &'a BTreeMap<String, TerraformValue>);

impl TerraformResource {
    pub(super) fn attributes(&self) -> AttributeReader<'_> {
        AttributeReader(&self.values)
    }

    pub(super) fn identity(&self, name: &str) -> ResourceIdentity {
        let known = |attribute: &str| match self.values.get(attribute) {
            Some(TerraformValue::Text(text)) if !text.contains("${") => Some(text.clone()),
            _ => None,
        };
        let names = ["arn", "id", "url", "invoke_arn"].into_iter().filter_map(known).collect();
        ResourceIdentity { address: self.address.clone(), name: known(name), names }
    }
}

impl<'a> AttributeReader<'a> {
    pub(super) fn value(&self, name: &str) -> Attribute<&'a TerraformValue> {
        match self.0.get(name) {
            None | Some(TerraformValue::Null) => Attribute::Absent,
            // In a plan, a string that is not set is an empty string.
            Some(TerraformValue::Text(text)) if text.is_empty() => Attribute::Absent,
            Some(TerraformValue::Unknown(unknown)) => Attribute::Unknown(unknown.why.clone()),
            Some(value) => Attribute::Known(value),
        }
    }

    pub(super) fn number(&self, name: &str) -> Attribute<f64> {
        self.value(name).then(|value| match value {
            TerraformValue::Number(number) => Attribute::Known(*number),
            TerraformValue::Text(text) => {
                text.parse().map_or_else(|_| odd(value, "a number"), Attribute::Known)
            }
            other => odd(other, "a number"),
        })
    }

    pub(super) fn bool(&self, name: &str) -> Attribute<bool> {
        self.value(name).then(|value| match value {
            TerraformValue::Bool(bool) => Attribute::Known(*bool),
            TerraformValue::Text(text) => {
                text.parse().map_or_else(|_| odd(value, "true or false"), Attribute::Known)
            }
            other => odd(other, "true or false"),
        })
    }

    pub(super) fn text(&self, name: &str) -> Attribute<String> {
        self.value(name).then(|value| {
            value.to_text().map_or_else(|unknown| Attribute::Unknown(unknown.why), Attribute::Known)
        })
    }

    pub(super) fn link(&self, name: &str) -> Attribute<ResourceReference> {
        match self.0.get(name) {
            None => Attribute::Absent,
            Some(TerraformValue::Text(text)) if text.is_empty() => Attribute::Absent,
            Some(value) => link(value),
        }
    }

    /// A list, which may contain unknown elements. A single value becomes a list with one element.
    pub(super) fn list(&self, name: &str) -> Attribute<Vec<&'a TerraformValue>> {
        self.value(name).then(|value| match value {
            TerraformValue::List(items) => Attribute::Known(items.iter().collect()),
            other => Attribute::Known(vec![other]),
        })
    }

    /// A list of strings. Unknown if any of the strings is unknown.
    pub(super) fn texts(&self, name: &str) -> Attribute<Vec<String>> {
        self.list(name).then(|items| {
            let texts: Result<Vec<_>, UnknownValue> =
                items.into_iter().map(TerraformValue::to_text).collect();
            texts.map_or_else(|unknown| Attribute::Unknown(unknown.why), Attribute::Known)
        })
    }

    /// The nested blocks with this name.
    pub(super) fn blocks(&self, name: &str) -> Attribute<Vec<AttributeReader<'a>>> {
        self.list(name).then(|items| {
            let mut blocks = Vec::new();
            for item in items {
                match item {
                    TerraformValue::Map(map) => blocks.push(AttributeReader(map)),
                    TerraformValue::Null => {}
                    TerraformValue::Unknown(unknown) => return Attribute::Unknown(unknown.why.clone()),
                    other => return odd(other, "a block"),
                }
            }
            if blocks.is_empty() { Attribute::Absent } else { Attribute::Known(blocks) }
        })
    }

    /// The first block of this name.
    pub(super) fn block(&self, name: &str) -> Attribute<AttributeReader<'a>> {
        self.blocks(name).then(|blocks| blocks.first().copied().map_or(Attribute::Absent, Attribute::Known))
    }

    /// A map of references.
    pub(super) fn links(&self, name: &str) -> Attribute<BTreeMap<String, Attribute<ResourceReference>>> {
        self.value(name).then(|value| match value {
            TerraformValue::Map(map) => {
                Attribute::Known(map.iter().map(|(key, value)| (key.clone(), link(value))).collect())
            }
            other => odd(other, "a map"),
        })
    }

    /// An attribute that contains a JSON document, such as a policy.
    pub(super) fn document(&self, name: &str) -> Attribute<TerraformValue> {
        self.value(name).then(|value| match value.clone().into_document() {
            TerraformValue::Unknown(unknown) => Attribute::Unknown(unknown.why),
            value => Attribute::Known(value),
        })
    }
}

pub(super) fn link(value: &TerraformValue) -> Attribute<ResourceReference> {
    match value {
        TerraformValue::Null => Attribute::Absent,
        value => ResourceReference::of_value(value).map_or_else(Attribute::Unknown, Attribute::Known),
    }
}

fn odd<T>(value: &TerraformValue, what: &str) -> Attribute<T> {
    Attribute::Unknown(match value {
        TerraformValue::Unknown(unknown) => unknown.why.clone(),
        other => format!("{other} is not {what}"),
    })
}
