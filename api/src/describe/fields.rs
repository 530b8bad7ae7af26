//! The members of a JSON schema as HTML. The pages of operations and of messages use it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::describe::html::{escape, prose};

/// How deep members are shown. No schema of the descriptions is deeper.
const MAX_DEPTH: usize = 8;
/// How long a description may be before only its first sentence is shown outside of an element that can be opened.
const SHORT: usize = 160;

/// The members of a schema as a list. The members of nested objects and lists can be opened. `link` makes the address of the page
/// of a kind of event. Empty if the schema has no members.
pub(super) fn list(document: &Value, schema: &Value, link: &dyn Fn(&str) -> Option<String>) -> String {
    level(document, schema, link, 0)
}

fn level(document: &Value, schema: &Value, link: &dyn Fn(&str) -> Option<String>, depth: usize) -> String {
    let schema = resolved(document, schema);
    if depth >= MAX_DEPTH {
        return String::new();
    }
    match variants(document, schema)[..] {
        [] => {}
        // A value that may be null has the members of its other alternative.
        [only] => return level(document, only, link, depth),
        ref several => {
            let names: Vec<_> = several.iter().map(|variant| variant_name(document, variant, link)).collect();
            return format!("<p>One of {}</p>", names.join(", "));
        }
    }
    let parts: Vec<_> = match schema["allOf"].as_array() {
        Some(all) => all.iter().map(|part| resolved(document, part)).collect(),
        None => vec![schema],
    };
    let is_required = |name: &str| {
        let lists = parts.iter().filter_map(|part| part["required"].as_array());
        lists.flatten().any(|required| required == name)
    };
    let mut seen: Vec<&str> = vec![];
    let mut items = String::new();
    // Several schemas of an `allOf` may describe the same member. It is shown at the position of the first such schema, with the
    // description of the last one, which is the most specific.
    for name in parts.iter().flat_map(|part| members(&part["properties"])).map(|(name, _)| name.as_str()) {
        if seen.contains(&name) {
            continue;
        }
        seen.push(name);
        let described = parts.iter().rev().map(|part| &part["properties"][name]);
        let Some(member) = described.into_iter().find(|member| member.is_object()) else { continue };
        let own = resolved(document, member);
        let inner = level(document, own, link, depth + 1) + &level(document, &own["items"], link, depth + 1);
        items += &item(document, name, is_required(name), [member, own], &inner);
    }
    if items.is_empty() { items } else { format!("<ul class=\"members\">{items}</ul>") }
}

/// One member. `schemas` are its schema in the object, which may be a reference, and the schema that this resolves to.
fn item(document: &Value, name: &str, is_required: bool, schemas: [&Value; 2], inner: &str) -> String {
    let own = schemas[1];
    let need = if is_required { " <b>required</b>" } else { "" };
    let description = schemas.map(|schema| text(&schema["description"]));
    let description = description.into_iter().find(|text| !text.is_empty()).unwrap_or_default();
    let (first, rest) = shortened(description);
    let head = format!(
        "<code>{}</code> <i>{}</i>{need} {}",
        escape(name),
        escape(&[type_of(document, own), limits(own)].join("")),
        prose(first)
    );
    let values = own["enum"].as_array().filter(|values| values.len() > 1);
    let values = values.map(|values| {
        values.iter().map(|v| format!("<code>{}</code>", escape(text(v)))).collect::<Vec<_>>().join(" ")
    });
    let more =
        [rest.map(|rest| format!("<p>{}</p>", prose(rest))), values.map(|values| format!("<p>{values}</p>"))];
    let more: String = more.into_iter().flatten().collect::<String>() + inner;
    match more.is_empty() {
        true => format!("<li>{head}</li>\n"),
        false => format!("<li><details><summary>{head}</summary>{more}</details></li>\n"),
    }
}

/// The first sentence of a long text, and the rest.
pub(super) fn shortened(description: &str) -> (&str, Option<&str>) {
    if description.chars().count() <= SHORT {
        return (description, None);
    }
    let end = [". ", ".\n"].iter().filter_map(|end| description.find(end)).min();
    match end {
        Some(end) => (&description[..=end], Some(description[end + 1..].trim())),
        None => (description, None),
    }
}

/// The alternatives of a schema, without null.
fn variants<'a>(document: &'a Value, schema: &'a Value) -> Vec<&'a Value> {
    let all = ["oneOf", "anyOf"].iter().filter_map(|name| schema[*name].as_array()).flatten();
    all.filter(|variant| resolved(document, variant)["type"] != "null").collect()
}

/// A schema of an alternative: a link to its page if it is a kind of event, otherwise its name.
fn variant_name(document: &Value, variant: &Value, link: &dyn Fn(&str) -> Option<String>) -> String {
    let name = variant["$ref"].as_str().and_then(|reference| reference.rsplit('/').next());
    let own = resolved(document, variant);
    match name {
        Some(name) => match link(name) {
            Some(address) => format!("<a href=\"{}\"><code>{}</code></a>", escape(&address), escape(name)),
            None => format!("<code>{}</code>", escape(name)),
        },
        None => escape(&type_of(document, own)),
    }
}

fn type_of(document: &Value, schema: &Value) -> String {
    let alternatives = variants(document, schema);
    if !alternatives.is_empty() {
        let types: BTreeSet<_> =
            alternatives.iter().map(|one| type_of(document, resolved(document, one))).collect();
        return types.into_iter().collect::<Vec<_>>().join(" or ");
    }
    let kinds = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().map(text).collect::<Vec<_>>().join(" or "),
        kind => text(kind).to_owned(),
    };
    let format = text(&schema["format"]);
    // The widths of integers are stated by their limits.
    if format.is_empty() || format.starts_with("int") { kinds } else { format!("{kinds} ({format})") }
}

fn limits(schema: &Value) -> String {
    let limit = |name: &str| schema.get(name).map(ToString::to_string);
    let range = |least: &str, most: &str, unit: &str| match (limit(least), limit(most)) {
        (Some(least), Some(most)) => format!(", {least}–{most}{unit}"),
        (Some(least), None) => format!(", from {least}{unit}"),
        (None, Some(most)) => format!(", up to {most}{unit}"),
        (None, None) => String::new(),
    };
    [
        range("minimum", "maximum", ""),
        range("minLength", "maxLength", " characters"),
        range("minItems", "maxItems", " items"),
        range("minProperties", "maxProperties", " members"),
    ]
    .concat()
}

/// Follows the references from `value` to their target. Returns `value` itself if it is not a reference.
pub(super) fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let target = value["$ref"].as_str().and_then(|reference| document.pointer(reference.strip_prefix('#')?));
    match target {
        Some(target) => resolved(document, target),
        None => value,
    }
}

pub(super) fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
