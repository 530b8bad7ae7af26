//! Prints the outcome of a check, as text or JSON, and the page of rules. `doctor::doctor` calls it.

use std::fmt::Write;

use serde_json::{Value, json};

use super::resources::TerraformResources;
use super::rules::{self, CheckResults, Severity};
use crate::style;

/// The number of findings of a severity.
pub(super) fn count(results: &CheckResults, severity: Severity) -> usize {
    results.findings.iter().filter(|finding| finding.rule.severity == severity).count()
}

pub(super) fn text(target: &str, results: &CheckResults) -> String {
    let mut text = String::new();
    for finding in &results.findings {
        let rule = finding.rule;
        let place = place(&finding.at, &finding.attribute);
        // Writing to a string never fails.
        let severity = style::on_stdout(style_of(rule.severity), &rule.severity.to_string());
        let _ = writeln!(text, "{severity} {}: {place}", rule.id);
        let _ = writeln!(text, "  found:     {}", finding.found);
        let _ = writeln!(text, "  harm:      {}", rule.harm);
        let _ = writeln!(text, "  remedy:    {}\n", rule.remedy);
    }
    if !results.unchecked.is_empty() {
        text.push_str("not checked, because the values are not known:\n");
        for unchecked in &results.unchecked {
            let rules =
                if unchecked.rules.is_empty() { "every rule".to_owned() } else { unchecked.rules.join(", ") };
            let place = place(&unchecked.at, &unchecked.attribute);
            let _ = writeln!(text, "  {place}: {} ({rules})", unchecked.why);
        }
        text.push('\n');
    }
    let number = |severity| {
        let count = count(results, severity);
        format!("{count} {severity}{}", if count == 1 { "" } else { "s" })
    };
    let [errors, warnings, notices] = [Severity::Error, Severity::Warning, Severity::Notice].map(number);
    let _ =
        write!(text, "{target}: {errors}, {warnings}, {notices}; {} not checked", results.unchecked.len());
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

pub(super) fn json(target: &str, results: &CheckResults, complete: bool) -> Value {
    let findings = results.findings.iter().map(|finding| {
        let rule = finding.rule;
        json!({
            "rule": rule.id, "severity": rule.severity.to_string(), "resource": finding.at,
            "attribute": finding.attribute, "found": finding.found, "harm": rule.harm, "remedy": rule.remedy,
        })
    });
    let unchecked = results
        .unchecked
        .iter()
        .map(|it| json!({ "rules": it.rules, "resource": it.at, "attribute": it.attribute, "why": it.why }));
    json!({
        "target": target,
        // Whether every part of the deployment could be examined. A part with unchecked rules counts as examined.
        "complete": complete,
        "findings": findings.collect::<Vec<_>>(),
        "unchecked": unchecked.collect::<Vec<_>>(),
        "summary": {
            "errors": count(results, Severity::Error), "warnings": count(results, Severity::Warning),
            "notices": count(results, Severity::Notice), "unchecked": results.unchecked.len(),
        },
    })
}

/// The resources of a configuration or plan, as JSON.
pub(super) fn resources(configuration: &TerraformResources) -> Value {
    let resources = configuration.resources.iter().map(|resource| {
        let values = resource.values.iter().map(|(name, value)| (name.clone(), value.to_json()));
        (resource.address.clone(), Value::Object(values.collect()))
    });
    let unseen = configuration.unseen.iter().map(|(at, why)| json!({ "resource": at, "why": why }));
    json!({
        "resources": resources.collect::<serde_json::Map<_, _>>(),
        "refused": configuration.refused,
        "unseen": unseen.collect::<Vec<_>>(),
    })
}

/// The rules, in Markdown.
pub(super) fn rules() -> String {
    let mut text = String::from(
        "# The rules of `orders doctor`\n\nPrinted by `orders doctor --rules`. A test checks that it is up to date.\n\n\
         An *error* loses orders, parks them without reason, handles them twice, or keeps the deployment from working. A \
         *warning* does no harm until something else fails. A *notice* is worth knowing.\n\n\
         | rule | severity | requirement | harm if violated | remedy |\n|---|---|---|---|---|\n",
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
