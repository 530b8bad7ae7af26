//! The AsyncAPI description as HTML pages: `/docs/events` lists the messages, and `/docs/events/{name}` shows one, with the
//! guards and the diagram of an event. `docs` serves them.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::LazyLock;

use domain::diagram::StatusChange;
use domain::{EventType, OrderStatus};
use serde_json::Value;

use crate::describe::fields::{self, members, resolved, text};
use crate::describe::html::{self, escape, prose};

/// The list of channels and their messages. Links are relative to `/docs/events`, so they work under any base path.
pub(crate) fn index(document: &Value) -> String {
    let mut body = format!(
        "<p>{}</p>\n<p>Version {}. AsyncAPI document: <a href=\"../asyncapi.json\">asyncapi.json</a>. HTTP API: \
         <a href=\"./\">docs</a>. <a href=\"../problems\">All problems</a>.</p>\n",
        prose(text(&document["info"]["description"])),
        escape(text(&document["info"]["version"])),
    );
    for (_, channel) in members(&document["channels"]) {
        body += &channel_section(document, channel);
    }
    body
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
    section += "</table>\n<ul class=\"operations\">";
    for (name, message) in members(&channel["messages"]) {
        section += &format!(
            "<li id=\"{0}\"><a href=\"events/{0}\"><code>{0}</code></a> {1}</li>\n",
            escape(name),
            prose(text(&resolved(document, message)["summary"]))
        );
    }
    section + "</ul>\n"
}

/// The body of the page of one message. Links are relative to `/docs/events/`.
pub(crate) fn message(document: &Value, name: &str) -> Option<String> {
    let channels = members(&document["channels"]);
    let message = channels.filter_map(|(_, channel)| channel["messages"].get(name)).next()?;
    let message = resolved(document, message);
    let mut body = format!("<p>{}</p>\n", prose(text(&message["summary"])));
    let kind = EventType::from_name(name);
    if let Some(kind) = kind {
        body += &format!(
            "<div class=\"columns\"><section>{}</section><section>{}</section></div>\n",
            guards(kind),
            changes(kind)
        );
    }
    let of_trait = resolved(document, &message["traits"][0]);
    let own_headers =
        if message["bindings"]["http"].is_object() { "HTTP headers" } else { "Message attributes" };
    body += "<div class=\"columns\"><section>";
    for (title, schema) in [
        ("Members", &message["payload"]),
        (own_headers, &message["headers"]),
        ("Message attributes", &of_trait["headers"]),
    ] {
        let list =
            fields::list(document, schema, &|name| EventType::from_name(name).map(|kind| kind.to_string()));
        if !list.is_empty() {
            body += &format!("<h2>{title}</h2>\n{list}\n");
        }
    }
    body += "</section><section>";
    for example in message["examples"].as_array().into_iter().flatten() {
        body += &format!("<h2>Example</h2>\n{}", html::json(&example["payload"]));
    }
    let propose = match kind {
        Some(EventType::Created) => "createOrder",
        _ => "proposeEvent",
    };
    body += "</section></div>\n";
    if kind.is_some() {
        let _ = writeln!(
            body,
            "<p>Clients send it with <a href=\"../operations/{propose}\"><code>{propose}</code></a>.</p>"
        );
    }
    body += "<p><a href=\"../events\">All messages</a> · <a href=\"../\">The API</a></p>";
    Some(body)
}

/// The guards of a kind of event.
fn guards(kind: EventType) -> String {
    let item = |guard: &domain::Guard| {
        format!(
            "<li><details><summary><code>{guard}</code> {}</summary><p>Early: {}</p></details></li>\n",
            prose(guard.rule()),
            prose(guard.early())
        )
    };
    let items: String = kind.guards().iter().map(item).collect();
    format!(
        "<h2>Guards</h2>\n<p>The event is recorded only if it passes all of them. Otherwise the answer is \
         <a href=\"../../problems/illegal-transition\">illegal-transition</a>.</p>\n<ul class=\"members\">{items}</ul>"
    )
}

/// The changes of the status that events can cause, found once.
static CHANGES: LazyLock<Vec<StatusChange>> = LazyLock::new(domain::diagram::status_changes);

/// How a kind of event changes the status of an order, as a diagram.
fn changes(kind: EventType) -> String {
    let of_kind = CHANGES.iter().filter(|change| change.events.contains(&kind));
    let arrow =
        |change: &StatusChange| (change.from.map_or("no order", OrderStatus::as_str), change.to.as_str());
    let arrows: BTreeSet<_> = of_kind.map(arrow).collect();
    if arrows.is_empty() {
        return "<h2>Status</h2>\n<p>The event does not change the status of an order.</p>".to_owned();
    }
    let spoken: Vec<_> = arrows.iter().map(|(from, to)| format!("{from} to {to}")).collect();
    let place = |names: BTreeSet<&'static str>| {
        names.into_iter().enumerate().map(|(row, name)| (name, 30 + 44 * row)).collect::<Vec<_>>()
    };
    let left = place(arrows.iter().map(|(from, _)| *from).collect());
    let right = place(arrows.iter().map(|(_, to)| *to).collect());
    let height = 16 + 44 * left.len().max(right.len());
    let row_of = |side: &[(&str, usize)], name: &str| {
        side.iter().find(|(other, _)| *other == name).map_or(30, |(_, row)| *row)
    };
    let mut svg = format!(
        "<svg viewBox=\"0 0 440 {height}\" width=\"440\" height=\"{height}\" role=\"img\" aria-label=\"{}\">\
         <defs><marker id=\"end\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\">\
         <path d=\"M0 0L8 4L0 8z\" fill=\"currentColor\"/></marker></defs>",
        escape(&spoken.join(", "))
    );
    for (from, to) in &arrows {
        let (y1, y2) = (row_of(&left, from), row_of(&right, to));
        let _ = write!(
            svg,
            "<path d=\"M160 {y1}C220 {y1} 220 {y2} 278 {y2}\" fill=\"none\" stroke=\"currentColor\" marker-end=\"url(#end)\"/>"
        );
    }
    for (x, side) in [(0, &left), (280, &right)] {
        for (name, y) in side {
            let _ = write!(
                svg,
                "<rect x=\"{x}\" y=\"{}\" width=\"160\" height=\"32\" rx=\"6\" fill=\"none\" stroke=\"currentColor\"/>\
                 <text x=\"{}\" y=\"{}\" text-anchor=\"middle\" fill=\"currentColor\" font-size=\"14\">{}</text>",
                y - 16,
                x + 80,
                y + 5,
                escape(name)
            );
        }
    }
    format!(
        "<h2>Status</h2>\n{svg}</svg>\n<p>How the event changes the status of a small order. In other statuses it changes other things, such as money.</p>"
    )
}
