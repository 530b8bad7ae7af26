//! The rules, as tables. Each entry has the requirement, the harm that a violation causes, the remedy, and the check
//! itself. The doctor runs the tables, `docs/doctor.md` is printed from them, and a test requires an example of each
//! rule.

mod alarms;
mod expiry;
mod feed;
mod fifo;
mod functions;
mod mappings;
mod permissions;
mod pollers;
mod queues;
mod scopes;
mod service;
mod tables;
mod warm;
mod webhooks;

pub(super) use service::{OPEN, RECEIVES, WRONG};

use std::fmt;

use super::model::{Area, Attribute, Deployment};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    /// A violation loses orders, parks them without reason, handles them twice, or keeps the deployment from working.
    Error,
    /// A violation does no harm until something else fails.
    Warning,
    /// A violation does no harm, but the operator should know about it.
    Notice,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Notice => "notice",
        })
    }
}

#[derive(Debug)]
pub(super) struct Rule {
    /// The name of the rule. Users rely on it, so it never changes.
    pub(super) id: &'static str,
    pub(super) severity: Severity,
    /// The areas that the check examines.
    pub(super) needs: &'static [Area],
    /// What the rule requires.
    pub(super) rule: &'static str,
    /// The consequence of violating the requirement.
    pub(super) harm: &'static str,
    /// How to fix a violation.
    pub(super) remedy: &'static str,
    pub(super) check: fn(&Deployment, &mut CheckResults),
}

/// A violation of a rule.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) rule: &'static Rule,
    /// The address of the resource.
    pub(super) at: String,
    /// The attribute. Empty if the finding is about the whole resource.
    pub(super) attribute: String,
    /// The value of the attribute that violates the rule.
    pub(super) found: String,
}

/// A part of the deployment that rules could not check.
#[derive(Debug, PartialEq)]
pub(super) struct Unchecked {
    pub(super) rules: Vec<&'static str>,
    pub(super) at: String,
    pub(super) attribute: String,
    pub(super) why: String,
}

/// The outcome of all rules.
#[derive(Debug, Default)]
pub(super) struct CheckResults {
    pub(super) findings: Vec<Finding>,
    pub(super) unchecked: Vec<Unchecked>,
    rule: Option<&'static Rule>,
}

impl CheckResults {
    fn found(&mut self, at: &str, attribute: &str, found: impl Into<String>) {
        let Some(rule) = self.rule else { return };
        let (at, attribute) = (at.to_owned(), attribute.to_owned());
        self.findings.push(Finding { rule, at, attribute, found: found.into() });
    }

    fn leave_unchecked(&mut self, at: &str, attribute: &str, why: impl Into<String>) {
        let rules: Vec<_> = self.rule.iter().map(|rule| rule.id).collect();
        let why = why.into();
        let same = |it: &&mut Unchecked| it.at == at && it.attribute == attribute && it.why == why;
        match self.unchecked.iter_mut().find(same) {
            Some(there) if rules.iter().all(|rule| there.rules.contains(rule)) => {}
            Some(there) => there.rules.extend(rules),
            None => {
                let (at, attribute) = (at.to_owned(), attribute.to_owned());
                self.unchecked.push(Unchecked { rules, at, attribute, why });
            }
        }
    }

    /// The value of an attribute, or its default. If the value is unknown, returns `None` and leaves the rule unchecked
    /// for this resource.
    fn value_or<T: Clone>(
        &mut self,
        at: &str,
        attribute: &str,
        value: &Attribute<T>,
        default: T,
    ) -> Option<T> {
        self.stated(at, attribute, value).map(|stated| stated.unwrap_or(default))
    }

    /// The value of an attribute, or `Some(None)` if the attribute is absent. If the value is unknown, returns `None`
    /// and leaves the rule unchecked for this resource.
    fn stated<T: Clone>(&mut self, at: &str, attribute: &str, value: &Attribute<T>) -> Option<Option<T>> {
        match value {
            Attribute::Known(value) => Some(Some(value.clone())),
            Attribute::Absent => Some(None),
            Attribute::Unknown(why) => {
                self.leave_unchecked(at, attribute, why);
                None
            }
        }
    }
}

pub(super) fn all() -> impl Iterator<Item = &'static Rule> {
    let groups = [
        queues::RULES,
        fifo::RULES,
        mappings::RULES,
        pollers::RULES,
        functions::RULES,
        scopes::RULES,
        permissions::RULES,
        tables::RULES,
        warm::RULES,
        expiry::RULES,
        feed::RULES,
        webhooks::RULES,
        alarms::RULES,
        service::RULES,
    ];
    groups.into_iter().flatten()
}

/// Checks a deployment by every rule whose areas the reader has examined.
pub(super) fn judge(deployment: &Deployment) -> CheckResults {
    let mut results = CheckResults::default();
    for rule in all() {
        results.rule = Some(rule);
        let hidden = rule.needs.iter().find_map(|area| deployment.blind.get(area).map(|why| (*area, why)));
        if rule.needs.iter().all(|area| deployment.seen.contains(area)) {
            (rule.check)(deployment, &mut results);
        } else if let Some((area, why)) = hidden {
            results.leave_unchecked(area.name(), "", why);
        }
    }
    results.findings.sort_by_key(|finding| finding.rule.severity);
    results
}

impl Area {
    fn name(self) -> &'static str {
        match self {
            Self::Queues => "queues",
            Self::Functions => "functions and event source mappings",
            Self::Permissions => "permissions",
            Self::Tables => "the table",
            Self::Alarms => "alarms",
            Self::Service => "the service",
            Self::Environment => "the environment",
        }
    }
}

/// The text that a finding shows for a number: the number itself, or its default if the attribute is not set.
fn shown(value: &Attribute<f64>, default: f64, unit: &str) -> String {
    match value {
        Attribute::Known(number) => format!("{number}{unit}"),
        _ => format!("not set, which means {default}{unit}"),
    }
}
