//! How the parts of a deployment refer to each other: by address where they do not exist yet, by ARN, URL or name where
//! they do.

use super::value::Value;

/// By what something is known.
#[derive(Debug, Clone, Default)]
pub(super) struct Identity {
    /// Its address in the configuration; of live ones what it was asked by.
    pub(super) address: String,
    pub(super) name: Option<String>,
    /// ARN, id, URL: every other name that it has.
    pub(super) names: Vec<String>,
}

/// A reference to something, or any text.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Link {
    /// As it is written.
    pub(super) text: String,
    /// If the text is only known when it is applied: addresses of what it is made of.
    pub(super) refers: Vec<String>,
}

impl Link {
    pub(super) fn of(text: impl Into<String>) -> Self {
        Self { text: text.into(), refers: Vec::new() }
    }

    pub(super) fn of_value(value: &Value) -> Result<Self, String> {
        match value {
            Value::Unknown(unknown) if !unknown.refers.is_empty() => {
                Ok(Self { text: String::new(), refers: unknown.refers.clone() })
            }
            Value::Resource(address) => Ok(Self { text: format!("${{{address}.arn}}"), refers: Vec::new() }),
            other => other.to_text().map(Self::of).map_err(|unknown| unknown.why),
        }
    }

    /// Whether it refers to this; `None` if that cannot be told.
    pub(super) fn means(&self, identity: &Identity) -> Option<bool> {
        if !self.refers.is_empty() {
            let this = |refers: &String| belongs(refers, &identity.address);
            let only = |refers: &String| this(refers) || refers == &identity.address;
            // What is made of locals, variables or data can be anything.
            let opaque =
                |refers: &String| ["local.", "var.", "data."].iter().any(|kind| refers.starts_with(kind));
            return match self.refers.iter().any(this) {
                true if self.refers.iter().all(only) => Some(true),
                true => None,
                false if self.refers.iter().any(opaque) => None,
                false => Some(false),
            };
        }
        if let Some(rest) = self.text.strip_prefix("${") {
            let (inside, suffix) = rest.split_once('}')?;
            if suffix.is_empty() || suffix.starts_with([':', '/']) {
                return Some(belongs(inside, &identity.address));
            }
        }
        if identity.names.contains(&self.text) || identity.name.as_ref() == Some(&self.text) {
            return Some(true);
        }
        let last = self.text.rsplit([':', '/']).next().unwrap_or_default();
        if last.contains(['$', '}']) {
            return None;
        }
        // A name that is not known could be this one.
        identity.name.as_ref().map(|name| name == last)
    }

    /// Whether it may refer to something of this service of AWS, which resources of this type declare.
    pub(super) fn may_be(&self, service: &str, kind: &str) -> bool {
        // The type is the part of an address that names a provider: `module.a.aws_sqs_queue.main.arn`.
        let is_other = |address: &str| {
            let address = address.strip_prefix("data.").unwrap_or(address);
            address.split('.').any(|part| part.starts_with("aws_"))
                && !address.split('.').any(|part| part == kind)
        };
        if !self.refers.is_empty() {
            return !self.refers.iter().all(|address| is_other(address));
        }
        if let Some((inside, _)) = self.text.strip_prefix("${").and_then(|rest| rest.split_once('}')) {
            return !is_other(inside);
        }
        match self.text.strip_prefix("arn:") {
            Some(arn) => arn.split(':').nth(1) == Some(service),
            None => true,
        }
    }

    /// What comes after the reference: `/index/*`, `:*`.
    pub(super) fn suffix(&self) -> &str {
        let symbolic = self.text.strip_prefix("${").and_then(|rest| rest.split_once('}'));
        symbolic.map_or("", |(_, suffix)| suffix)
    }
}

/// Whether `reference` names an attribute of what has this address.
fn belongs(reference: &str, address: &str) -> bool {
    reference.strip_prefix(address).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

impl std::fmt::Display for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.refers.is_empty() { f.write_str(&self.text) } else { f.write_str(&self.refers.join(", ")) }
    }
}
