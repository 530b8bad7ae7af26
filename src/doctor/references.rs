//! References between the parts of a deployment. A reference is an ARN, a URL or a name; or a Terraform address, if the
//! part does not exist yet. The model stores these references, and the rules compare them.

use super::value::TerraformValue;

/// The names of a part of the deployment.
#[derive(Debug, Clone, Default)]
pub(super) struct ResourceIdentity {
    /// The address of the part in the configuration. For a part that was read from AWS: the URL or the name that was
    /// used to find the part.
    pub(super) address: String,
    pub(super) name: Option<String>,
    /// Other names of the part: ARN, id, URL.
    pub(super) names: Vec<String>,
}

/// A reference to a part of the deployment, or any other text.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct ResourceReference {
    /// The text as the configuration contains it.
    pub(super) text: String,
    /// The addresses that the text depends on, if the text is known only after apply.
    pub(super) refers: Vec<String>,
}

impl ResourceReference {
    pub(super) fn of(text: impl Into<String>) -> Self {
        Self { text: text.into(), refers: Vec::new() }
    }

    pub(super) fn of_value(value: &TerraformValue) -> Result<Self, String> {
        match value {
            TerraformValue::Unknown(unknown) if !unknown.refers.is_empty() => {
                Ok(Self { text: String::new(), refers: unknown.refers.clone() })
            }
            TerraformValue::Resource(address) => {
                Ok(Self { text: format!("${{{address}.arn}}"), refers: Vec::new() })
            }
            other => other.to_text().map(Self::of).map_err(|unknown| unknown.why),
        }
    }

    /// Whether the reference is to the part with this identity. `None` if that is unknown.
    pub(super) fn means(&self, identity: &ResourceIdentity) -> Option<bool> {
        if !self.refers.is_empty() {
            let this = |refers: &String| belongs(refers, &identity.address);
            let only = |refers: &String| this(refers) || refers == &identity.address;
            // A local, a variable or a data source may refer to any part.
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
        // If the name of this part is unknown, it may equal any name.
        identity.name.as_ref().map(|name| name == last)
    }

    /// Whether the reference may be to a resource of the AWS service `service` and of the Terraform type `kind`.
    pub(super) fn may_be(&self, service: &str, kind: &str) -> bool {
        // The type of a resource is the part of its address that begins with `aws_`, as in
        // `module.a.aws_sqs_queue.main.arn`.
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

    /// The text after the referenced address, such as `/index/*` or `:*`.
    pub(super) fn suffix(&self) -> &str {
        let symbolic = self.text.strip_prefix("${").and_then(|rest| rest.split_once('}'));
        symbolic.map_or("", |(_, suffix)| suffix)
    }
}

/// Whether `reference` is `address` or an attribute of `address`.
fn belongs(reference: &str, address: &str) -> bool {
    reference.strip_prefix(address).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

impl ResourceIdentity {
    /// The name of the part in messages to the user.
    pub(super) fn shown(&self) -> &str {
        &self.address
    }
}

impl std::fmt::Display for ResourceReference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.refers.is_empty() { f.write_str(&self.text) } else { f.write_str(&self.refers.join(", ")) }
    }
}
