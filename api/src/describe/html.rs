//! Self-contained HTML pages: no script, no font, nothing from another site. `docs`, `asyncapi` and `problem` use them.

use axum::http::header;
use axum::response::{Html, IntoResponse, Response};

/// The content security policy of the pages, which load nothing and cannot be framed.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'";

/// The style sheet of the pages. On a narrow screen, table cells are stacked and the table head is hidden.
const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;\
    color:#1b1f24;background:#fff}a{color:#0550ae}h1,h2,h3{line-height:1.25}table{border-collapse:collapse;\
    width:100%;margin:1rem 0}th,td{text-align:left;vertical-align:top;padding:.35rem .6rem;\
    border-bottom:1px solid #d0d7de}code,pre{font:14px/1.45 ui-monospace,monospace}pre{background:#f6f8fa;\
    padding:.8rem;overflow:auto}h1,h2,h3,td,th{overflow-wrap:anywhere}@media(max-width:40rem){\
    table,tbody,tr,th,td{display:block}tr{padding:.4rem 0;border-bottom:1px solid #d0d7de}\
    tr:has(th+th),td:empty{display:none}th,td{border:0;padding:.1rem 0}}@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}\
    a{color:#79c0ff}pre{background:#161b22}th,td,tr{border-color:#30363d}}";

/// An HTML page with the title `title`. `body` is HTML and is not escaped.
pub(crate) fn page(title: &str, body: &str) -> Response {
    let title = escape(title);
    let html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{title}</title>\
         <style>{STYLE}</style></head>\n<body>\n<h1>{title}</h1>\n{body}\n</body></html>\n"
    );
    ([(header::CONTENT_SECURITY_POLICY, POLICY)], Html(html)).into_response()
}

/// Escapes text for HTML.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Escapes text for HTML and turns text between backticks into code.
pub(crate) fn prose(text: &str) -> String {
    let parts = text.split('`').enumerate();
    parts
        .map(|(n, part)| match n % 2 {
            0 => escape(part),
            _ => format!("<code>{}</code>", escape(part)),
        })
        .collect()
}

/// JSON as a preformatted block.
pub(crate) fn json(value: &serde_json::Value) -> String {
    format!("<pre>{}</pre>", escape(&format!("{value:#}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(escape("<a b=\"c\">&"), "&lt;a b=&quot;c&quot;&gt;&amp;");
        assert_eq!(prose("see `a<b` & c"), "see <code>a&lt;b</code> &amp; c");
        assert_eq!(
            json(&serde_json::json!({ "a": "<" })),
            "<pre>{\n  &quot;a&quot;: &quot;&lt;&quot;\n}</pre>"
        );
    }
}
