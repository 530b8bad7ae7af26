//! Compares JSON Schemas. What clients send must still be accepted, and what they receive must still match what they
//! expect.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Comparison, Side, members, resolved};
use crate::spec::escaped;

/// Compares limits. For values that clients send, upper limits must not fall and lower limits must not rise.
const AT_MOST: [&str; 5] = ["maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"];
const AT_LEAST: [&str; 5] = ["minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"];

impl Comparison<'_> {
    /// Compares two schemas. `at` is the pointer to the new schema.
    pub(super) fn schema(&mut self, at: &str, old: &Value, new: &Value, side: Side) {
        let referred = is_reference(old) || is_reference(new);
        let ((old_at, old), (at, new)) = (resolved(self.old, at, old), resolved(self.new, at, new));
        if referred && !self.followed.insert((old_at, at.clone(), side)) {
            return;
        }
        let (old, new) = (&merged(self.old, old), &merged(self.new, new));
        let (old_types, new_types) = (by_type(old), by_type(new));
        let (mut olds, mut news) = (variants(old), variants(new));
        if olds.len() > 1 && news.len() == 1 {
            news = new_types.iter().collect();
        } else if news.len() > 1 && olds.len() == 1 {
            olds = old_types.iter().collect();
        }
        if olds.len() > 1 || news.len() > 1 {
            self.variants(&at, &olds, &news, side);
            return;
        }
        let (old, new) = (olds[0], news[0]);
        if is_reference(old) || is_reference(new) {
            return self.schema(&at, old, new, side);
        }
        self.types(&at, old, new, side);
        self.values(&at, old, new, side);
        if side == Side::Sent {
            self.limits(&at, old, new);
        }
        self.text(&at, old, new, side);
        self.members(&at, old, new, side);
        for part in ["items", "additionalProperties", "propertyNames"] {
            if old[part].is_object() && new[part].is_object() {
                self.schema(&format!("{at}/{part}"), &old[part], &new[part], side);
            }
        }
    }

    /// Compares variants. Each variant that clients may send must still be accepted by one of the new variants. Each
    /// new variant that clients may receive must match one of the old variants.
    fn variants(&mut self, at: &str, olds: &[&Value], news: &[&Value], side: Side) {
        let (wanted, among) = if side == Side::Sent { (olds, news) } else { (news, olds) };
        for variant in wanted {
            let tries: Vec<_> = among
                .iter()
                .map(|other| {
                    let (old, new) = if side == Side::Sent { (variant, other) } else { (other, variant) };
                    let mut trial = self.clone();
                    trial.found.clear();
                    trial.schema(at, old, new, side);
                    (variant["$ref"] == other["$ref"] && is_reference(variant), trial)
                })
                .collect();
            if tries.iter().any(|(_, trial)| trial.found.is_empty()) {
                continue;
            }
            // Variants with the same name most likely mean the same thing. So the differences between these variants
            // are reported, and not the removal of a variant.
            if let Some((_, trial)) = tries.into_iter().find(|(same, _)| *same) {
                self.found.extend(trial.found);
                continue;
            }
            let verb = if side == Side::Sent { "is no longer accepted" } else { "is new" };
            self.report(at, format!("the variant {variant} {verb}"));
        }
    }

    fn types(&mut self, at: &str, old: &Value, new: &Value, side: Side) {
        let (olds, news) = (list(&old["type"]), list(&new["type"]));
        let (from, to) = if side == Side::Sent { (&olds, &news) } else { (&news, &olds) };
        let within = |kind: &String| to.contains(kind) || kind == "\"integer\"" && to.contains("\"number\"");
        let fits = to.is_empty() || !from.is_empty() && from.iter().all(within);
        if !fits {
            let (was, is) = (joined(&olds), joined(&news));
            self.report(&format!("{at}/type"), format!("the type was {was} and is {is}"));
        }
    }

    fn values(&mut self, at: &str, old: &Value, new: &Value, side: Side) {
        let (olds, news) = (enumerated(old), enumerated(new));
        let at = format!("{at}/enum");
        match (side, olds, news) {
            (Side::Sent, None, Some(news)) => {
                self.report(
                    &at,
                    format!("only {} are accepted, but any value was accepted before", joined(&news)),
                );
            }
            (Side::Received, Some(olds), None) => {
                self.report(
                    &at,
                    format!("any value is possible, but only {} was possible before", joined(&olds)),
                );
            }
            (side, Some(olds), Some(news)) => {
                let (values, what) = match side {
                    Side::Sent => (&olds - &news, "no longer accepted"),
                    Side::Received => (&news - &olds, "not expected by clients, because they are new"),
                };
                if !values.is_empty() {
                    self.report(&at, format!("values that are {what}: {}", joined(&values)));
                }
            }
            _ => {}
        }
    }

    fn limits(&mut self, at: &str, old: &Value, new: &Value) {
        for (keywords, sign) in [(AT_MOST, 1.0), (AT_LEAST, -1.0)] {
            for keyword in keywords {
                let Some(limit) = new[keyword].as_f64() else { continue };
                if old[keyword].as_f64().is_none_or(|before| limit * sign < before * sign) {
                    let what = format!(
                        "{keyword} was {} and is {}, so fewer values are accepted",
                        old[keyword], new[keyword]
                    );
                    self.report(&format!("{at}/{keyword}"), what);
                }
            }
        }
    }

    /// Compares the syntax of strings. Any different pattern counts as a change, because the comparison cannot decide
    /// whether it is tighter.
    fn text(&mut self, at: &str, old: &Value, new: &Value, side: Side) {
        for keyword in ["pattern", "format"] {
            let kept = match side {
                Side::Sent => new[keyword].is_null() || old[keyword] == new[keyword],
                Side::Received => old[keyword].is_null() || old[keyword] == new[keyword],
            };
            if !kept {
                let what = format!("{keyword} was {} and is {}", old[keyword], new[keyword]);
                self.report(&format!("{at}/{keyword}"), what);
            }
        }
    }

    fn members(&mut self, at: &str, old: &Value, new: &Value, side: Side) {
        let (old_required, new_required) = (list(&old["required"]), list(&new["required"]));
        let quoted = |name: &str| format!("{name:?}");
        for (name, old_member) in members(&old["properties"]) {
            let at = format!("{at}/properties/{}", escaped(name));
            let new_member = &new["properties"][name];
            if new_member.is_null() {
                match side {
                    Side::Sent if new["additionalProperties"] != false => {}
                    Side::Sent => self.report(&at, format!("the member {name} is no longer accepted")),
                    Side::Received => self.report(&at, format!("the member {name} was removed")),
                }
                continue;
            }
            let lost = old_required.contains(&quoted(name)) && !new_required.contains(&quoted(name));
            if side == Side::Received && lost {
                self.report(
                    &at,
                    format!("the member {name} was always present before, but may now be absent"),
                );
            }
            self.schema(&at, old_member, new_member, side);
        }
        if side == Side::Received {
            return;
        }
        for name in &new_required - &old_required {
            self.report(&format!("{at}/required"), format!("the member {name} has become required"));
        }
        if new["additionalProperties"] == false && old["additionalProperties"] != false {
            let what = "members that are not described are no longer accepted";
            self.report(&format!("{at}/additionalProperties"), what);
        }
    }
}

/// The schema, with the members of its `allOf` merged. Later parts override earlier ones.
fn merged(document: &Value, schema: &Value) -> Value {
    let Some(parts) = schema["allOf"].as_array() else { return schema.clone() };
    let mut whole = schema.as_object().cloned().unwrap_or_default();
    whole.remove("allOf");
    for part in parts {
        let part = merged(document, resolved(document, "", part).1);
        for (keyword, value) in members(&part) {
            match (keyword.as_str(), whole.get_mut(keyword)) {
                ("properties", Some(Value::Object(known))) => extend(known, value),
                ("required", Some(Value::Array(known))) => {
                    known.extend(value.as_array().into_iter().flatten().cloned());
                }
                _ => drop(whole.insert(keyword.clone(), value.clone())),
            }
        }
    }
    Value::Object(whole)
}

fn extend(known: &mut Map<String, Value>, more: &Value) {
    known.extend(members(more).map(|(name, value)| (name.clone(), value.clone())));
}

/// Splits a schema with a list of types into one schema for each type, because a list of types is equivalent to a
/// union.
fn by_type(schema: &Value) -> Vec<Value> {
    let Some(types) = schema["type"].as_array() else { return vec![schema.clone()] };
    let of = |kind: &Value| {
        let mut schema = schema.clone();
        schema["type"] = kind.clone();
        schema
    };
    types.iter().map(of).collect()
}

/// The variants of a union. A schema that is not a union is its own only variant. A union that only adds conditions to
/// the schema's own properties does not count as a union.
fn variants(schema: &Value) -> Vec<&Value> {
    let union = ["oneOf", "anyOf"].iter().find_map(|keyword| schema[*keyword].as_array());
    match union {
        Some(union) if schema["properties"].is_null() || schema["discriminator"].is_object() => {
            union.iter().collect()
        }
        _ => vec![schema],
    }
}

fn is_reference(schema: &Value) -> bool {
    schema["$ref"].is_string()
}

/// The values of a keyword that accepts one value or a list, each as JSON. Empty if the keyword is absent, because
/// then any value is valid.
fn list(value: &Value) -> BTreeSet<String> {
    match value {
        Value::Null => BTreeSet::new(),
        Value::Array(values) => values.iter().map(Value::to_string).collect(),
        value => BTreeSet::from([value.to_string()]),
    }
}

/// The possible values, if the schema lists them.
fn enumerated(schema: &Value) -> Option<BTreeSet<String>> {
    let listed = schema.get("enum").or(schema.get("const"))?;
    Some(list(listed))
}

fn joined(values: &BTreeSet<String>) -> String {
    if values.is_empty() {
        return "anything".to_owned();
    }
    values.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}
