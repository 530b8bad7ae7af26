//! The rules. One table says what each looks for, what goes wrong without it and how to put it right; the check stands
//! beside it. The table is what the program runs, what `docs/doctor.md` shows and what tests go through.

mod alarms;
mod fifo;
mod functions;
mod mappings;
mod permissions;
mod queues;
mod service;
mod tables;

pub(super) use service::{OPEN, RECEIVES, WRONG};

use std::fmt;

use super::model::{Area, Attr, Deployment};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    /// Orders are lost, parked for no reason or handled twice, or the deployment cannot work at all.
    Error,
    /// It works, until something else goes wrong.
    Warning,
    /// Worth knowing.
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

/// A rule.
#[derive(Debug)]
pub(super) struct Rule {
    /// Its name, which never changes.
    pub(super) id: &'static str,
    pub(super) severity: Severity,
    /// What has to be seen for it to be judged.
    pub(super) needs: &'static [Area],
    /// What has to hold.
    pub(super) rule: &'static str,
    /// What goes wrong otherwise.
    pub(super) harm: &'static str,
    /// How to put it right.
    pub(super) remedy: &'static str,
    pub(super) check: fn(&Deployment, &mut Verdicts),
}

/// Something that a rule has found.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) rule: &'static Rule,
    /// The resource.
    pub(super) at: String,
    /// The attribute of it, or nothing if it is about the whole.
    pub(super) attribute: String,
    /// What is there.
    pub(super) found: String,
}

/// Something that a rule could not judge.
#[derive(Debug, PartialEq)]
pub(super) struct Unchecked {
    pub(super) rules: Vec<&'static str>,
    pub(super) at: String,
    pub(super) attribute: String,
    pub(super) why: String,
}

/// What the rules have found.
#[derive(Debug, Default)]
pub(super) struct Verdicts {
    pub(super) findings: Vec<Finding>,
    pub(super) unchecked: Vec<Unchecked>,
    rule: Option<&'static Rule>,
}

impl Verdicts {
    fn found(&mut self, at: &str, attribute: &str, found: impl Into<String>) {
        let Some(rule) = self.rule else { return };
        let (at, attribute) = (at.to_owned(), attribute.to_owned());
        self.findings.push(Finding { rule, at, attribute, found: found.into() });
    }

    fn cannot_tell(&mut self, at: &str, attribute: &str, why: impl Into<String>) {
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

    /// The value of an attribute, or of its default; `None`, with a note, if it cannot be told.
    fn told<T: Clone>(&mut self, at: &str, attribute: &str, value: &Attr<T>, default: T) -> Option<T> {
        self.stated(at, attribute, value).map(|stated| stated.unwrap_or(default))
    }

    /// The value of an attribute, if there is one; `None`, with a note, if it cannot be told.
    fn stated<T: Clone>(&mut self, at: &str, attribute: &str, value: &Attr<T>) -> Option<Option<T>> {
        match value {
            Attr::Is(value) => Some(Some(value.clone())),
            Attr::Absent => Some(None),
            Attr::Unknown(why) => {
                self.cannot_tell(at, attribute, why);
                None
            }
        }
    }
}

/// Every rule.
pub(super) fn all() -> impl Iterator<Item = &'static Rule> {
    let groups = [
        queues::RULES,
        fifo::RULES,
        mappings::RULES,
        functions::RULES,
        permissions::RULES,
        tables::RULES,
        alarms::RULES,
        service::RULES,
    ];
    groups.into_iter().flatten()
}

/// Judges a deployment by every rule that is about what was looked at.
pub(super) fn judge(deployment: &Deployment) -> Verdicts {
    let mut verdicts = Verdicts::default();
    for rule in all() {
        verdicts.rule = Some(rule);
        let hidden = rule.needs.iter().find_map(|area| deployment.blind.get(area).map(|why| (*area, why)));
        if rule.needs.iter().all(|area| deployment.seen.contains(area)) {
            (rule.check)(deployment, &mut verdicts);
        } else if let Some((area, why)) = hidden {
            verdicts.cannot_tell(area.name(), "", why);
        }
    }
    verdicts.findings.sort_by_key(|finding| finding.rule.severity);
    verdicts
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

/// A number and its default, as messages show them.
fn shown(value: &Attr<f64>, default: f64, unit: &str) -> String {
    match value {
        Attr::Is(number) => format!("{number}{unit}"),
        _ => format!("not set, which means {default}{unit}"),
    }
}
