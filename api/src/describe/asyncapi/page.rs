//! `/docs/events`: the AsyncAPI description as an HTML page.

use std::fmt::Write;

use axum::response::Response;
use serde_json::Value;

use crate::describe::html::{self, escape, prose};

/// Renders the description. Links are relative to `/docs/events`, so they work under any base path.
pub(crate) fn page(document: &Value) -> Response {
    let mut body = format!(
        "<p>{}</p>\n<p>Version {}. AsyncAPI document: <a href=\"../asyncapi.json\">asyncapi.json</a>. HTTP API: \
         <a href=\"./\">docs</a>. <a href=\"../problems\">All problems</a>.</p>\n",
        prose(text(&document["info"]["description"])),
        escape(text(&document["info"]["version"])),
    );
    for (_, channel) in members(&document["channels"]) {
        body += &channel_section(document, channel);
    }
    html::page(text(&document["info"]["title"]), &body)
}

fn channel_section(document: &Value, channel: &Value) -> String {
    let mut section = format!(
        "<h2>{}</h2>\n<p>{}</p>\n<table>",
        escape(text(&channel["title"])),
        prose(text(&channel["description"]))
    );
    for (name, value) in members(&channel["x-sqs"]) {
        section +=
            &format!("<tr><th>{}</th><td><code>{}</code></td></tr>", escape(name), escape(text(value)));
    }
    section += "</table>\n";
    for (name, message) in members(&channel["messages"]) {
        section += &message_section(document, name, resolved(document, message));
    }
    section
}

fn message_section(document: &Value, id: &str, message: &Value) -> String {
    let mut section =
        format!("<h3 id=\"{0}\">{0}</h3>\n<p>{1}</p>\n", escape(id), prose(text(&message["summary"])));
    let of_trait = resolved(document, &message["traits"][0]);
    let own_headers =
        if message["bindings"]["http"].is_object() { "HTTP headers" } else { "Message attributes" };
    for (title, schema) in [
        (own_headers, &message["headers"]),
        ("Message attributes", &of_trait["headers"]),
        ("Body", &message["payload"]),
    ] {
        let mut rows = String::new();
        fields(document, schema, "", &mut rows);
        if !rows.is_empty() {
            section += &format!(
                "<h4>{title}</h4>\n<table><tr><th>member</th><th></th><th>type</th><th></th></tr>\n{rows}</table>\n"
            );
        }
    }
    for example in message["examples"].as_array().into_iter().flatten() {
        section += &html::json(&example["payload"]);
    }
    section
}

/// Adds a table row for each member of the schema, including the members of nested objects and lists.
fn fields(document: &Value, schema: &Value, above: &str, rows: &mut String) {
    let schema = resolved(document, schema);
    let parts: Vec<_> = schema["allOf"]
        .as_array()
        .map_or_else(|| vec![schema], |all| all.iter().map(|s| resolved(document, s)).collect());
    let required = |name: &str| {
        let lists = parts.iter().filter_map(|part| part["required"].as_array());
        lists.flatten().any(|required| required == name)
    };
    let mut seen: Vec<&str> = vec![];
    // Several schemas of an `allOf` may describe the same member. The member's row is at the position of the first such
    // schema, and shows the description of the last one, which is the most specific.
    for name in parts.iter().flat_map(|part| members(&part["properties"])).map(|(name, _)| name.as_str()) {
        if seen.contains(&name) {
            continue;
        }
        seen.push(name);
        let described = parts.iter().rev().map(|part| &part["properties"][name]);
        let Some(member) = described.into_iter().find(|member| member.is_object()) else { continue };
        let path = format!("{above}{name}");
        let need = if required(name) { "required" } else { "" };
        row(rows, &path, need, member);
        fields(document, member, &format!("{path}."), rows);
        fields(document, &member["items"], &format!("{path}[]."), rows);
    }
}

fn row(rows: &mut String, path: &str, need: &str, member: &Value) {
    let kind = match member["enum"].as_array() {
        Some(values) => {
            values.iter().map(|v| format!("<code>{}</code>", escape(text(v)))).collect::<Vec<_>>().join(" ")
        }
        None => escape(&[text(&member["type"]), text(&member["format"])].join(" ")),
    };
    let description = prose(text(&member["description"]));
    let path = escape(path);
    // Writing to a string cannot fail.
    let _ = writeln!(
        rows,
        "<tr><td><code>{path}</code></td><td>{need}</td><td>{kind}{}</td><td>{description}</td></tr>",
        limits(member)
    );
}

fn limits(member: &Value) -> String {
    let names = ["minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "maxProperties"];
    let limit = |name: &&str| member.get(*name).map(|limit| format!("<br>{name} {limit}"));
    names.iter().filter_map(limit).collect()
}

/// Follows the references from `value` to their target. Returns `value` itself if it is not a reference.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let target = value["$ref"].as_str().and_then(|reference| document.pointer(reference.strip_prefix('#')?));
    match target {
        Some(target) => resolved(document, target),
        None => value,
    }
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
