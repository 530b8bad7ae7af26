//! Resources of a configuration or a plan, and how their attributes are read.

use std::collections::BTreeMap;

use super::references::{Identity, Link};
use super::model::Attr;
use super::value::{Unknown, Value};

/// What a reader of Terraform has found.
#[derive(Debug, Default)]
pub(super) struct Configuration {
    pub(super) resources: Vec<Resource>,
    /// Parts that cannot be seen: where and why.
    pub(super) unseen: Vec<(String, String)>,
}

/// A resource: an instance of one, where there are several.
#[derive(Debug)]
pub(super) struct Resource {
    pub(super) address: String,
    pub(super) kind: String,
    pub(super) values: BTreeMap<String, Value>,
}

/// Attributes of a resource, or of a block in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attributes<'a>(pub(super) &'a BTreeMap<String, Value>);

impl Resource {
    pub(super) fn attributes(&self) -> Attributes<'_> {
        Attributes(&self.values)
    }

    pub(super) fn identity(&self, name: &str) -> Identity {
        let known = |attribute: &str| match self.values.get(attribute) {
            Some(Value::Text(text)) if !text.contains("${") => Some(text.clone()),
            _ => None,
        };
        let names = ["arn", "id", "url", "invoke_arn"].into_iter().filter_map(known).collect();
        Identity { address: self.address.clone(), name: known(name), names }
    }
}

impl<'a> Attributes<'a> {
    pub(super) fn value(&self, name: &str) -> Attr<&'a Value> {
        match self.0.get(name) {
            None | Some(Value::Null) => Attr::Absent,
            // In a plan, texts that are not set are empty.
            Some(Value::Text(text)) if text.is_empty() => Attr::Absent,
            Some(Value::Unknown(unknown)) => Attr::Unknown(unknown.why.clone()),
            Some(value) => Attr::Is(value),
        }
    }

    pub(super) fn number(&self, name: &str) -> Attr<f64> {
        self.value(name).then(|value| match value {
            Value::Number(number) => Attr::Is(*number),
            Value::Text(text) => text.parse().map_or_else(|_| odd(value, "a number"), Attr::Is),
            other => odd(other, "a number"),
        })
    }

    pub(super) fn bool(&self, name: &str) -> Attr<bool> {
        self.value(name).then(|value| match value {
            Value::Bool(bool) => Attr::Is(*bool),
            Value::Text(text) => text.parse().map_or_else(|_| odd(value, "true or false"), Attr::Is),
            other => odd(other, "true or false"),
        })
    }

    pub(super) fn text(&self, name: &str) -> Attr<String> {
        self.value(name)
            .then(|value| value.to_text().map_or_else(|unknown| Attr::Unknown(unknown.why), Attr::Is))
    }

    pub(super) fn link(&self, name: &str) -> Attr<Link> {
        match self.0.get(name) {
            None => Attr::Absent,
            Some(Value::Text(text)) if text.is_empty() => Attr::Absent,
            Some(value) => link(value),
        }
    }

    /// A list, of which a single value is one as well; with what is unknown in it.
    pub(super) fn list(&self, name: &str) -> Attr<Vec<&'a Value>> {
        self.value(name).then(|value| match value {
            Value::List(items) => Attr::Is(items.iter().collect()),
            other => Attr::Is(vec![other]),
        })
    }

    /// Texts, all of which are known.
    pub(super) fn texts(&self, name: &str) -> Attr<Vec<String>> {
        self.list(name).then(|items| {
            let texts: Result<Vec<_>, Unknown> = items.into_iter().map(Value::to_text).collect();
            texts.map_or_else(|unknown| Attr::Unknown(unknown.why), Attr::Is)
        })
    }

    /// The blocks of this name.
    pub(super) fn blocks(&self, name: &str) -> Attr<Vec<Attributes<'a>>> {
        self.list(name).then(|items| {
            let mut blocks = Vec::new();
            for item in items {
                match item {
                    Value::Map(map) => blocks.push(Attributes(map)),
                    Value::Null => {}
                    Value::Unknown(unknown) => return Attr::Unknown(unknown.why.clone()),
                    other => return odd(other, "a block"),
                }
            }
            if blocks.is_empty() { Attr::Absent } else { Attr::Is(blocks) }
        })
    }

    /// The only block of this name.
    pub(super) fn block(&self, name: &str) -> Attr<Attributes<'a>> {
        self.blocks(name).then(|blocks| blocks.first().copied().map_or(Attr::Absent, Attr::Is))
    }

    /// A map of references.
    pub(super) fn links(&self, name: &str) -> Attr<BTreeMap<String, Attr<Link>>> {
        self.value(name).then(|value| match value {
            Value::Map(map) => Attr::Is(map.iter().map(|(key, value)| (key.clone(), link(value))).collect()),
            other => odd(other, "a map"),
        })
    }

    /// A document in JSON, as policies are.
    pub(super) fn document(&self, name: &str) -> Attr<Value> {
        self.value(name).then(|value| match value.clone().into_document() {
            Value::Unknown(unknown) => Attr::Unknown(unknown.why),
            value => Attr::Is(value),
        })
    }
}

pub(super) fn link(value: &Value) -> Attr<Link> {
    match value {
        Value::Null => Attr::Absent,
        value => Link::of_value(value).map_or_else(Attr::Unknown, Attr::Is),
    }
}

fn odd<T>(value: &Value, what: &str) -> Attr<T> {
    Attr::Unknown(match value {
        Value::Unknown(unknown) => unknown.why.clone(),
        other => format!("{other} is not {what}"),
    })
}
