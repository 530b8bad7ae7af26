//! `/problems` with a page for each kind of problem. The `type` of a problem is the path of its page.
//!
//! A `type` never contains a base path, so that it is the same in every deployment. If the API has a base path, the page is
//! at the base path followed by the `type`. Links between the pages are relative, so they work under any base path.

use axum::Router;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use domain::{EventType, Guard};

use crate::describe::html::{self, escape, prose};
use crate::problem::kinds::ProblemKind;
use crate::problem::{self, Problem};

/// Serves the index and the pages.
pub(crate) fn routes() -> Router {
    Router::new().route("/problems", get(async || index())).route("/problems/{name}", get(show))
}

fn index() -> Response {
    let rows: String = ProblemKind::ALL.iter().map(|kind| row(*kind)).collect();
    html::page(
        "Problems",
        &format!(
            "<p>Every error of this API is a problem (RFC 9457), of content type \
             <code>application/problem+json</code>. Its <code>type</code> is one of the following. New types may be \
             added: handle an unknown type by its status.</p>\n\
             <table><tr><th>type</th><th>status</th><th>title</th></tr>\n{rows}</table>\n\
             <p><a href=\"docs/\">The API</a></p>"
        ),
    )
}

fn row(kind: ProblemKind) -> String {
    let definition = kind.definition();
    format!(
        "<tr><td><a href=\"problems/{}\"><code>{}</code></a></td><td>{}</td><td>{}</td></tr>\n",
        kind.name(),
        definition.uri,
        definition.status.as_u16(),
        escape(definition.title)
    )
}

async fn show(name: Result<Path<String>, PathRejection>) -> Result<Response, Problem> {
    // A path segment that is not valid UTF-8 cannot name a kind of problem, so the answer is 404.
    let named = |name: &str| ProblemKind::ALL.iter().copied().find(|kind| kind.name() == name);
    let kind = name.ok().and_then(|Path(name)| named(&name));
    kind.map(page).ok_or_else(|| Problem::of_status(StatusCode::NOT_FOUND))
}

fn page(kind: ProblemKind) -> Response {
    let definition = kind.definition();
    html::page(
        definition.title,
        &format!(
            "<table><tr><th>type</th><td><code>{}</code></td></tr><tr><th>status</th><td>{}</td></tr></table>\n\
             <h2>What it means</h2>\n<p>{}</p>\n<h2>What to do</h2>\n<p>{}</p>\n{}<h2>Example</h2>\n{}\n\
             <p><a href=\"../problems\">All problems</a> · <a href=\"../docs/\">The API</a></p>",
            definition.uri,
            definition.status,
            prose(definition.meaning),
            prose(definition.advice),
            if kind == ProblemKind::IllegalTransition { guards() } else { String::new() },
            html::json(&problem::example(kind))
        ),
    )
}

/// An HTML table of all guards, with the events that each guard applies to.
fn guards() -> String {
    let row = |guard: &Guard| {
        let events = EventType::ALL.into_iter().filter(|event_type| event_type.guards().contains(guard));
        let events: Vec<_> = events.map(|event_type| format!("<code>{event_type}</code>")).collect();
        format!(
            "<tr><td><code>{guard}</code></td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
            prose(guard.rule()),
            events.join(" "),
            prose(guard.early()),
        )
    };
    let rows: String = Guard::ALL.iter().map(row).collect();
    format!(
        "<h2>Guards</h2>\n<p>An event is recorded only if it passes all guards of its type. An event that fails a guard is \
         <em>early</em> if a later event can make the condition true. A queue that does not keep the order of events retries \
         early events; all other queues reject them too.</p>\n\
         <table><tr><th>guard</th><th>condition</th><th>events</th><th>early</th></tr>\n{rows}</table>\n"
    )
}
