//! What is told: for people, for machines, and the rules themselves.

use std::fmt::Write;

use serde_json::{Value, json};

use super::rules::{self, Severity, Verdicts};
use crate::style;

/// How many findings of each severity there are.
pub(super) fn count(verdicts: &Verdicts, severity: Severity) -> usize {
    verdicts.findings.iter().filter(|finding| finding.rule.severity == severity).count()
}

/// For people.
pub(super) fn text(target: &str, verdicts: &Verdicts) -> String {
    let mut text = String::new();
    for finding in &verdicts.findings {
        let rule = finding.rule;
        let place = place(&finding.at, &finding.attribute);
        // Writing to a text never fails.
        let severity = style::on_stdout(style_of(rule.severity), &rule.severity.to_string());
        let _ = writeln!(text, "{severity} {}: {place}", rule.id);
        let _ = writeln!(text, "  found:     {}", finding.found);
        let _ = writeln!(text, "  harm:      {}", rule.harm);
        let _ = writeln!(text, "  put right: {}\n", rule.remedy);
    }
    if !verdicts.unchecked.is_empty() {
        text.push_str("not checked, because it cannot be told:\n");
        for unchecked in &verdicts.unchecked {
            let rules =
                if unchecked.rules.is_empty() { "every rule".to_owned() } else { unchecked.rules.join(", ") };
            let place = place(&unchecked.at, &unchecked.attribute);
            let _ = writeln!(text, "  {place}: {} ({rules})", unchecked.why);
        }
        text.push('\n');
    }
    let number = |severity| {
        let count = count(verdicts, severity);
        format!("{count} {severity}{}", if count == 1 { "" } else { "s" })
    };
    let [errors, warnings, notices] = [Severity::Error, Severity::Warning, Severity::Notice].map(number);
    let _ =
        write!(text, "{target}: {errors}, {warnings}, {notices}; {} not checked", verdicts.unchecked.len());
    text
}

fn style_of(severity: Severity) -> style::Style {
    match severity {
        Severity::Error => style::ERROR,
        Severity::Warning => style::WARNING,
        Severity::Notice => style::NOTICE,
    }
}

fn place(at: &str, attribute: &str) -> String {
    if attribute.is_empty() { at.to_owned() } else { format!("{at}, {attribute}") }
}

/// For machines.
pub(super) fn json(target: &str, verdicts: &Verdicts, complete: bool) -> Value {
    let findings = verdicts.findings.iter().map(|finding| {
        let rule = finding.rule;
        json!({
            "rule": rule.id, "severity": rule.severity.to_string(), "resource": finding.at,
            "attribute": finding.attribute, "found": finding.found, "harm": rule.harm, "remedy": rule.remedy,
        })
    });
    let unchecked = verdicts
        .unchecked
        .iter()
        .map(|it| json!({ "rules": it.rules, "resource": it.at, "attribute": it.attribute, "why": it.why }));
    json!({
        "target": target,
        // Whether every part of the deployment could be seen, whatever of it could be judged.
        "complete": complete,
        "findings": findings.collect::<Vec<_>>(),
        "unchecked": unchecked.collect::<Vec<_>>(),
        "summary": {
            "errors": count(verdicts, Severity::Error), "warnings": count(verdicts, Severity::Warning),
            "notices": count(verdicts, Severity::Notice), "unchecked": verdicts.unchecked.len(),
        },
    })
}

/// The rules, in Markdown.
pub(super) fn rules() -> String {
    let mut text = String::from(
        "# The rules of `orders doctor`\n\nMade by `orders doctor --rules`; a test checks that it is up to date.\n\n\
         An *error* loses orders, parks or handles them for no reason, or keeps the deployment from working; a *warning* \
         does no harm until something else goes wrong; a *notice* is worth knowing.\n\n\
         | rule | severity | what has to hold | what goes wrong otherwise | how to put it right |\n|---|---|---|---|---|\n",
    );
    for rule in rules::all() {
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {} |",
            rule.id, rule.severity, rule.rule, rule.harm, rule.remedy
        );
    }
    text.pop();
    text
}
