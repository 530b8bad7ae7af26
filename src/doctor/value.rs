//! A value of a Terraform configuration or plan. It may be unknown, for example if it is known only after apply. All
//! readers of Terraform produce such values.

use std::collections::BTreeMap;
use std::fmt;

/// A value of a Terraform configuration or plan.
///
/// A text may contain attributes that exist only after apply, in the form `${address.attribute}`. The address shows
/// which resource the text refers to.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum TerraformValue {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<TerraformValue>),
    Map(BTreeMap<String, TerraformValue>),
    /// A reference to a whole instance of a resource or data source. The text is the address of the instance.
    Resource(String),
    /// A reference to a whole instance of a module. The text is the address of the instance.
    Module(String),
    Unknown(UnknownValue),
}

/// A value that is not known before apply, or that this program does not evaluate.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct UnknownValue {
    /// The reason why the value is unknown, such as "var.timeout has no default and is not set".
    pub(super) why: String,
    /// The known addresses of resources that the value depends on. The value may depend on other resources too.
    pub(super) refers: Vec<String>,
    /// Whether the value is an attribute or element that does not exist. `try()` skips such values.
    pub(super) is_missing: bool,
}

impl TerraformValue {
    pub(super) fn unknown(why: impl Into<String>) -> Self {
        Self::Unknown(UnknownValue { why: why.into(), refers: Vec::new(), is_missing: false })
    }

    /// The value of an attribute or element that does not exist.
    pub(super) fn missing(name: &str) -> Self {
        Self::Unknown(UnknownValue {
            why: format!("there is no {name}"),
            refers: Vec::new(),
            is_missing: true,
        })
    }

    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(super) fn as_map(&self) -> Option<&BTreeMap<String, TerraformValue>> {
        if let Self::Map(map) = self { Some(map) } else { None }
    }

    /// Whether the value refers to something that exists only after apply.
    pub(super) fn is_symbolic(&self) -> bool {
        match self {
            Self::Text(text) => text.contains("${"),
            Self::Resource(_) | Self::Module(_) => true,
            _ => false,
        }
    }

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

    /// The value as JSON. An unknown value becomes an object with the reason, so that it never equals a known value.
    pub(super) fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(bool) => (*bool).into(),
            Self::Number(number) if number.fract() == 0.0 && number.abs() < 1e15 => (*number as i64).into(),
            Self::Number(number) => (*number).into(),
            Self::Text(text) => text.as_str().into(),
            Self::List(items) => items.iter().map(Self::to_json).collect(),
            Self::Map(entries) => entries.iter().map(|(key, value)| (key.clone(), value.to_json())).collect(),
            Self::Resource(address) | Self::Module(address) => format!("${{{address}}}").into(),
            Self::Unknown(unknown) => serde_json::json!({ "unknown": unknown.why }),
        }
    }

    /// Parses a text as JSON, such as a policy. Other values are returned unchanged.
    pub(super) fn into_document(self) -> Self {
        match self {
            Self::Text(text) => match serde_json::from_str(&text) {
                Ok(json) => Self::of_json(&json),
                Err(_) => Self::unknown(format!("{} is not valid JSON", shortened(&text))),
            },
            other => other,
        }
    }

    /// The text that a template inserts for this value.
    pub(super) fn to_text(&self) -> Result<String, UnknownValue> {
        match self {
            Self::Bool(bool) => Ok(bool.to_string()),
            Self::Number(number) => Ok(number.to_string()),
            Self::Text(text) => Ok(text.clone()),
            Self::Unknown(unknown) => Err(unknown.clone()),
            other => Err(UnknownValue {
                why: format!("{other} is not a string"),
                refers: Vec::new(),
                is_missing: false,
            }),
        }
    }
}

/// The beginning of a text, quoted, for messages.
pub(super) fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(80).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("{short:?}")
}

impl fmt::Display for TerraformValue {
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
