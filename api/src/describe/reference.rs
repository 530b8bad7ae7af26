//! The API reference: `/docs/` lists all operations, and `/docs/operations/{id}` shows one on one screen. `docs` serves them.
//! What is long can be opened. The pages need no script; requests can be tried in Swagger UI, which each operation links to.

use serde_json::Value;

use crate::describe::fields::{self, members, resolved, shortened, text};
use crate::describe::html::{escape, prose};

/// The headers that every operation takes or returns. They are described once, and only named elsewhere.
const COMMON: [&str; 3] = ["X-Correlation-Id", "traceparent", "tracestate"];

/// An operation of the description.
struct Operation<'a> {
    method: &'a str,
    path: &'a str,
    definition: &'a Value,
}

impl<'a> Operation<'a> {
    fn all(document: &'a Value) -> impl Iterator<Item = Self> {
        members(&document["paths"]).flat_map(|(path, item)| {
            let operations = members(item).filter(|(_, definition)| definition["operationId"].is_string());
            operations.map(move |(method, definition)| Self { method, path, definition })
        })
    }

    fn id(&self) -> &'a str {
        text(&self.definition["operationId"])
    }

    fn tag(&self) -> &'a str {
        text(&self.definition["tags"][0])
    }
}

/// The list of operations. Its links are relative to `/docs/`.
pub(super) fn index(document: &Value) -> String {
    let mut body = format!(
        "<div>{}</div>\n<p>OpenAPI document: <a href=\"../openapi.json\">openapi.json</a>. <a href=\"../try/\">Try requests</a> in \
         Swagger UI. <a href=\"events\">Events and messages</a>. <a href=\"../problems\">Problems</a>.</p>\n",
        introduction(text(&document["info"]["description"]))
    );
    for tag in document["tags"].as_array().into_iter().flatten() {
        let name = text(&tag["name"]);
        let rows: String =
            Operation::all(document).filter(|operation| operation.tag() == name).map(|it| row(&it)).collect();
        body += &format!(
            "<h2 id=\"{0}\">{0}</h2>\n<p>{1}</p>\n<ul class=\"operations\">{rows}</ul>\n",
            escape(name),
            prose(text(&tag["description"]))
        );
    }
    body
}

/// The description of the API. Each of its paragraphs begins with what it is about, which can be opened.
fn introduction(description: &str) -> String {
    let paragraph =
        |paragraph: &str| match paragraph.strip_prefix("**").and_then(|rest| rest.split_once("**")) {
            Some((subject, rest)) => {
                let (subject, start) = match subject.strip_suffix('.') {
                    Some(subject) => (subject, ""),
                    None => (subject, subject),
                };
                format!(
                    "<details><summary>{}</summary><p>{}{}</p></details>",
                    escape(subject),
                    escape(start),
                    linked(rest)
                )
            }
            None => format!("<p>{}</p>", linked(paragraph)),
        };
    description.split("\n\n").map(paragraph).collect()
}

/// Prose with the links `[text](address)` of Markdown. Addresses in the description are relative to `/docs/`.
fn linked(paragraph: &str) -> String {
    let mut result = String::new();
    let mut rest = paragraph;
    while let Some((before, after)) = rest.split_once('[') {
        let link = after.split_once("](").and_then(|(label, after)| Some((label, after.split_once(')')?)));
        let Some((label, (address, after))) = link else { break };
        result += &format!("{}<a href=\"{}\">{}</a>", prose(before), escape(address), prose(label));
        rest = after;
    }
    result + &prose(rest)
}

fn row(operation: &Operation<'_>) -> String {
    format!(
        "<li><a href=\"operations/{0}\"><b class=\"method\">{1}</b> <code>{2}</code></a> {3}</li>\n",
        escape(operation.id()),
        escape(&operation.method.to_uppercase()),
        escape(operation.path),
        escape(text(&operation.definition["summary"]))
    )
}

/// The page of an operation: its title and its body. Links are relative to `/docs/operations/`.
pub(super) fn operation(document: &Value, id: &str) -> Option<(String, String)> {
    let operation = Operation::all(document).find(|operation| operation.id() == id)?;
    let definition = operation.definition;
    let (first, rest) = shortened(text(&definition["description"]));
    let rest = rest.map(|rest| {
        let paragraphs: String =
            rest.split("\n\n").map(|paragraph| format!("<p>{}</p>", prose(paragraph))).collect();
        format!("<details><summary>More</summary>{paragraphs}</details>")
    });
    let body = format!(
        "<p><b class=\"method\">{}</b> <code>{}</code>{}</p>\n<p>{}</p>{}\n<div class=\"columns\"><section>\n{}{}</section>\n\
         <section>\n{}{}</section></div>\n<p><a href=\"../\">All operations</a> · \
         <a href=\"../../try/#/{}/{}\">Try it</a> · <a href=\"../../problems\">Problems</a></p>",
        escape(&operation.method.to_uppercase()),
        escape(operation.path),
        scope(definition),
        prose(first),
        rest.unwrap_or_default(),
        parameters(document, definition),
        request_body(document, definition),
        example(document, &operation),
        answers(document, definition),
        escape(operation.tag()),
        escape(id),
    );
    Some((text(&definition["summary"]).to_owned(), body))
}

/// The scopes that a token needs.
fn scope(definition: &Value) -> String {
    let scopes = definition["security"].as_array().into_iter().flatten().flat_map(members);
    let scopes = scopes.flat_map(|(_, scopes)| scopes.as_array().into_iter().flatten());
    let scopes: Vec<_> = scopes.map(|scope| format!("<code>{}</code>", escape(text(scope)))).collect();
    if scopes.is_empty() {
        " · needs no token".to_owned()
    } else {
        format!(" · scope {}", scopes.join(", "))
    }
}

/// The page of a kind of event, from the page of an operation.
fn event_page(name: &str) -> Option<String> {
    domain::EventType::from_name(name).map(|kind| format!("../events/{kind}"))
}

fn parameters(document: &Value, definition: &Value) -> String {
    let all = definition["parameters"].as_array().into_iter().flatten().map(|one| resolved(document, one));
    let (common, own): (Vec<_>, Vec<_>) = all.partition(|one| COMMON.contains(&text(&one["name"])));
    let item = |one: &&Value| {
        let need = if one["required"] == true { " <b>required</b>" } else { "" };
        let (first, rest) = shortened(text(&one["description"]));
        let head = format!(
            "<code>{}</code> <i>{}</i>{need} {}",
            escape(text(&one["name"])),
            escape(text(&one["in"])),
            prose(first)
        );
        match rest {
            Some(rest) => {
                format!("<li><details><summary>{head}</summary><p>{}</p></details></li>\n", prose(rest))
            }
            None => format!("<li>{head}</li>\n"),
        }
    };
    let list =
        |some: &[&Value]| format!("<ul class=\"members\">{}</ul>", some.iter().map(item).collect::<String>());
    let mut result = "<h2>Parameters</h2>\n".to_owned();
    if !own.is_empty() {
        result += &list(&own);
    }
    result + &format!("<details><summary>Headers of every request</summary>{}</details>\n", list(&common))
}

fn request_body(document: &Value, definition: &Value) -> String {
    let body = resolved(document, &definition["requestBody"]);
    let Some((kind, content)) = members(&body["content"]).next() else { return String::new() };
    let (first, _) = shortened(text(&body["description"]));
    format!(
        "<h2>Body</h2>\n<p>{}. <code>{}</code></p>\n{}",
        prose(first.trim_end_matches('.')),
        escape(kind),
        fields::list(document, &content["schema"], &event_page)
    )
}

/// A command that works when it is tried, with the first example of the body.
fn example(document: &Value, operation: &Operation<'_>) -> String {
    let body = resolved(document, &operation.definition["requestBody"]);
    let content = members(&body["content"]).next();
    let mut command = format!("curl -X {} $ORDERS_URL{}", operation.method.to_uppercase(), operation.path);
    if let Some((kind, content)) = content {
        let example = examples(content).min_by_key(|(_, value)| value.to_string().len());
        let example = example.map(|(_, value)| format!("{value:#}").replace('\'', "'\\''"));
        command += &format!(" \\\n  -H 'content-type: {kind}' \\\n  -d '{}'", example.unwrap_or_default());
    }
    format!("<h2>Example</h2>\n<pre class=\"short\" tabindex=\"0\">{}</pre>\n", escape(&command))
}

/// The examples of a content, with their summaries.
fn examples(content: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let several =
        members(&content["examples"]).map(|(_, example)| (text(&example["summary"]), &example["value"]));
    several.chain(content.get("example").map(|example| ("", example)))
}

fn answers(document: &Value, definition: &Value) -> String {
    let (mut successes, mut errors) = (String::new(), String::new());
    for (status, answer) in members(&definition["responses"]) {
        let own = resolved(document, answer);
        let description =
            [answer, own].map(|one| text(&one["description"])).into_iter().find(|it| !it.is_empty());
        let head = format!("<b>{}</b> {}", escape(status), prose(description.unwrap_or_default()));
        match status.starts_with(['2', '3']) {
            true => successes += &success(document, own, &head),
            false => errors += &format!("<li>{head}</li>"),
        }
    }
    format!(
        "<h2>Answers</h2>\n<ul class=\"members\">{successes}<li><details><summary>Errors</summary><p>Each is a \
         <a href=\"../../problems\">problem</a>.</p><ul class=\"members\">{errors}</ul></details></li></ul>\n"
    )
}

fn success(document: &Value, answer: &Value, head: &str) -> String {
    let content = members(&answer["content"]).next();
    let inside = content.map(|(_, content)| {
        let shown = examples(content).map(|(summary, value)| {
            format!(
                "<p>{}</p><pre class=\"short\" tabindex=\"0\">{}</pre>",
                escape(summary),
                escape(&format!("{value:#}"))
            )
        });
        let shown: String = shown.collect();
        let members = fields::list(document, &content["schema"], &event_page);
        [("Example", shown), ("Members", members)]
            .map(|(name, part)| match part.is_empty() {
                true => part,
                false => format!("<details><summary>{name}</summary>{part}</details>"),
            })
            .concat()
    });
    format!("<li>{head}{}</li>\n", inside.unwrap_or_default())
}
