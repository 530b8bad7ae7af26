//! What a configuration says of something: a value, as far as it can be told.

use std::collections::BTreeMap;
use std::fmt;

/// A value of a Terraform configuration or plan.
///
/// A text may name attributes of resources that only exist once the configuration is applied, as `${address.attribute}`:
/// enough to tell what refers to what.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Value>),
    Map(BTreeMap<String, Value>),
    /// One instance of a resource or data source as a whole, by its address.
    Resource(String),
    /// One instance of a module as a whole, by its address.
    Module(String),
    Unknown(Unknown),
}

/// A value that cannot be told.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Unknown {
    /// Why not, as the end of a sentence that begins with "it cannot be told:".
    pub(super) why: String,
    /// Addresses of the resources that it is made of, as far as they are known.
    pub(super) refers: Vec<String>,
}

impl Value {
    pub(super) fn unknown(why: impl Into<String>) -> Self {
        Self::Unknown(Unknown { why: why.into(), refers: Vec::new() })
    }

    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(super) fn as_map(&self) -> Option<&BTreeMap<String, Value>> {
        if let Self::Map(map) = self { Some(map) } else { None }
    }

    /// Whether it names something that only exists once the configuration is applied.
    pub(super) fn is_symbolic(&self) -> bool {
        match self {
            Self::Text(text) => text.contains("${"),
            Self::Resource(_) | Self::Module(_) => true,
            _ => false,
        }
    }

    /// The value of JSON.
    pub(super) fn of_json(json: &serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(bool) => Self::Bool(*bool),
            serde_json::Value::Number(number) => number.as_f64().map_or(Self::Null, Self::Number),
            serde_json::Value::String(text) => Self::text(text),
            serde_json::Value::Array(items) => Self::List(items.iter().map(Self::of_json).collect()),
            serde_json::Value::Object(entries) => {
                Self::Map(entries.iter().map(|(key, value)| (key.clone(), Self::of_json(value))).collect())
            }
        }
    }

    /// What is written in a text of JSON, as policies are; other values are themselves.
    pub(super) fn into_document(self) -> Self {
        match self {
            Self::Text(text) => match serde_json::from_str(&text) {
                Ok(json) => Self::of_json(&json),
                Err(_) => Self::unknown(format!("{} is no JSON that can be read here", shortened(&text))),
            },
            other => other,
        }
    }

    /// The text that a template makes of it.
    pub(super) fn to_text(&self) -> Result<String, Unknown> {
        match self {
            Self::Bool(bool) => Ok(bool.to_string()),
            Self::Number(number) => Ok(number.to_string()),
            Self::Text(text) => Ok(text.clone()),
            Self::Unknown(unknown) => Err(unknown.clone()),
            other => Err(Unknown { why: format!("{other} is no text"), refers: Vec::new() }),
        }
    }
}

/// A text that is short enough for a line.
pub(super) fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(80).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("{short:?}")
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(bool) => write!(f, "{bool}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => write!(f, "{}", shortened(text)),
            Self::List(items) => {
                let items: Vec<_> = items.iter().map(ToString::to_string).collect();
                write!(f, "[{}]", items.join(", "))
            }
            Self::Map(entries) => {
                let entries: Vec<_> = entries.iter().map(|(key, value)| format!("{key} = {value}")).collect();
                write!(f, "{{{}}}", entries.join(", "))
            }
            Self::Resource(address) | Self::Module(address) => f.write_str(address),
            Self::Unknown(unknown) => write!(f, "unknown ({})", unknown.why),
        }
    }
}
