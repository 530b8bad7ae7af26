//! Rules about the permissions of Lambda functions. A function has all permissions that it needs, and no others.

mod needs;

use wildmatch::WildMatch;

use self::needs::{RequiredPermission, needs};
use super::{CheckResults, Rule, Severity};
use crate::doctor::model::{Area, Attribute, Deployment, IamRole, PolicyStatement};
use crate::doctor::references::ResourceIdentity;

const NEEDS: &[Area] = &[Area::Queues, Area::Functions, Area::Permissions];

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "permission-missing",
        severity: Severity::Error,
        needs: NEEDS,
        rule: "The role of a function allows every call that the function makes: to its queues and the table, and for logs and traces.",
        harm: "AWS refuses the calls: messages are retried until they are dead letters, or the function works without logs and traces.",
        remedy: "Allow the actions on the resource, in a policy of the function's role.",
        check: permission_missing,
    },
    Rule {
        id: "permission-too-wide",
        severity: Severity::Warning,
        needs: NEEDS,
        rule: "The role of a function allows no actions by wildcard. It allows an action on all resources only if the action does not support resource-level permissions.",
        harm: "An attacker who takes over the function can read, change and delete orders, queues and archives that the function does not need.",
        remedy: "Name the actions and the resources.",
        check: permission_too_wide,
    },
    Rule {
        id: "metrics-by-calls",
        severity: Severity::Notice,
        needs: NEEDS,
        rule: "Functions write metrics as log lines (EMF), not by PutMetricData.",
        harm: "A PutMetricData call for each batch costs time and money, and can fail. A log line needs no call.",
        remedy: "Remove cloudwatch:PutMetricData. The program needs no permission for its metrics.",
        check: metrics_by_calls,
    },
];

fn permission_missing(deployment: &Deployment, results: &mut CheckResults) {
    for function in &deployment.functions {
        let at = function.identity.shown();
        let Some(role) = deployment.role(function) else {
            results.leave_unchecked(at, "role", "the function's role is not part of the configuration");
            continue;
        };
        for need in needs(deployment, function) {
            let answers = need.actions.iter().map(|action| (*action, role.allows(action, &need)));
            let (missing, unsure): (Vec<_>, Vec<_>) = answers
                .filter(|(_, allowed)| *allowed != Some(true))
                .partition(|(_, allowed)| *allowed == Some(false));
            let list = |actions: &[(&str, Option<bool>)]| {
                actions.iter().map(|(action, _)| *action).collect::<Vec<_>>().join(", ")
            };
            let on = need.on.map_or_else(String::new, |on| format!(" on {}", on.shown()));
            let on = need.index.map_or(on.clone(), |index| format!("{on}/index/{index}"));
            if !missing.is_empty() {
                let found = format!("{} may not {}{on}", role.identity.shown(), list(&missing));
                results.found(at, "role", found);
            }
            if !unsure.is_empty() {
                let known = role.unknown.first();
                let (place, why) =
                    known.map_or((role.identity.shown(), "a policy resource is not known"), |(p, w)| (p, w));
                results.leave_unchecked(place, "policy", why);
            }
        }
    }
}

impl IamRole {
    /// Whether the role's policies allow the action. `None` if that is not known.
    fn allows(&self, action: &str, need: &RequiredPermission<'_>) -> Option<bool> {
        let mut answer = if self.unknown.is_empty() { Some(false) } else { None };
        for statement in self.statements.iter().filter(|statement| statement.mentions(action)) {
            let covers = statement.covers(need);
            match (statement.allow, covers) {
                // The conditions of statements are not evaluated. So a denial on all resources makes the answer
                // unknown, and any other denial is ignored.
                (false, _) if statement.resources.iter().all(|link| link.text != "*") => {}
                (false, _) => return None,
                (true, Some(true)) => return Some(true),
                (true, None) => answer = None,
                (true, Some(false)) => {}
            }
        }
        answer
    }
}

impl PolicyStatement {
    fn mentions(&self, action: &str) -> bool {
        self.inverted
            || self.actions.iter().any(|pattern| matches(&pattern.to_lowercase(), &action.to_lowercase()))
    }

    fn covers(&self, need: &RequiredPermission<'_>) -> Option<bool> {
        let Some(on) = need.on else { return Some(true) };
        if self.inverted {
            return None;
        }
        let each = self.resources.iter().map(|link| {
            if link.text == "*" {
                return Some(true);
            }
            let index = [link.suffix(), &link.text].into_iter().find_map(|text| text.split_once("/index/"));
            let wide = link.suffix() == "*" || link.suffix() == "/*";
            let is_right = match (index, need.index) {
                (Some((_, pattern)), Some(index)) => matches(pattern, index),
                (None, None) => true,
                _ => false,
            };
            if !is_right && !wide {
                return Some(false);
            }
            let indexes = index.is_some();
            if indexes && !link.text.starts_with("${") {
                let table = link.text.split("/index/").next().unwrap_or_default();
                return crate::doctor::references::ResourceReference::of(table).means(on);
            }
            by_pattern(&link.text, on).or_else(|| link.means(on))
        });
        let all: Vec<_> = each.collect();
        if all.contains(&Some(true)) {
            Some(true)
        } else if all.contains(&None) {
            None
        } else {
            Some(false)
        }
    }
}

/// Whether an ARN pattern matches. `None` if the text is not a pattern, or the ARN is not known.
fn by_pattern(pattern: &str, identity: &ResourceIdentity) -> Option<bool> {
    if pattern.contains("${") || !pattern.contains(['*', '?']) {
        return None;
    }
    let arn = identity.names.iter().find(|name| name.starts_with("arn:"));
    if let Some(arn) = arn {
        return Some(matches(pattern, arn));
    }
    let (last, name) = (pattern.rsplit([':', '/']).next()?, identity.name.as_ref()?);
    Some(matches(last, name))
}

/// Whether a text matches a pattern with `*` and `?`, as IAM policies use them.
fn matches(pattern: &str, text: &str) -> bool {
    WildMatch::new(pattern).matches(text)
}

/// Services whose actions support resource-level permissions.
const NAMED: [&str; 7] = ["sqs", "dynamodb", "s3", "sns", "kms", "lambda", "events"];

fn permission_too_wide(deployment: &Deployment, results: &mut CheckResults) {
    for role in used(deployment) {
        for statement in role.statements.iter().filter(|statement| statement.allow) {
            let wild: Vec<_> =
                statement.actions.iter().filter(|a| a.contains('*')).map(String::as_str).collect();
            let everywhere = statement.resources.iter().any(|link| link.text == "*");
            let service = |action: &&String| {
                NAMED.contains(&action.split(':').next().unwrap_or_default())
                    && !wild.contains(&action.as_str())
            };
            let on_all: Vec<_> = statement.actions.iter().filter(service).map(String::as_str).collect();
            if statement.inverted {
                results.found(
                    &statement.address,
                    "policy",
                    "NotAction or NotResource allows everything that it does not name",
                );
            } else if !wild.is_empty() {
                results.found(&statement.address, "policy", format!("the actions {}", wild.join(", ")));
            } else if everywhere && !on_all.is_empty() {
                results.found(
                    &statement.address,
                    "policy",
                    format!("{} on every resource", on_all.join(", ")),
                );
            }
        }
    }
}

/// The IAM roles that the functions of the deployment use.
fn used(deployment: &Deployment) -> impl Iterator<Item = &IamRole> {
    deployment.roles.iter().filter(|role| {
        let mut functions = deployment.functions.iter();
        functions.any(|function| match &function.role {
            Attribute::Known(link) => link.means(&role.identity) == Some(true),
            _ => false,
        })
    })
}

fn metrics_by_calls(deployment: &Deployment, results: &mut CheckResults) {
    for role in used(deployment) {
        for statement in role.statements.iter().filter(|statement| statement.allow) {
            if statement.actions.iter().any(|action| action.eq_ignore_ascii_case("cloudwatch:PutMetricData"))
            {
                results.found(&statement.address, "policy", "cloudwatch:PutMetricData");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn wildcards_match_as_in_policies() {
        for (pattern, text) in [
            ("sqs:*", "sqs:sendmessage"),
            ("*", ""),
            ("s?s:*e", "sqs:receive"),
            ("arn:*:orders*", "arn:aws:sqs:eu:1:orders.fifo"),
            ("a*b*c", "axxbyyc"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("sqs:*", "sns:publish"), ("", "a"), ("a?", "a"), ("a*b", "ac"), ("äö*", "ä")]
        {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }
}
