//! Self-contained HTML pages: no script, no font, nothing from another site. `docs`, `asyncapi` and `problem` use them.

use axum::http::header;
use axum::response::{Html, IntoResponse, Response};

/// The content security policy of the pages, which load nothing and cannot be framed.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; frame-ancestors 'none'";

/// The icon in the tab of the browser: a box, as in the console.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E\
    %3Crect width='16' height='16' rx='4' fill='%232952cc'/%3E%3Cpath d='M4 6l4-2 4 2v4l-4 2-4-2z' fill='none' \
    stroke='white' stroke-width='1.2'/%3E%3C/svg%3E";

/// The style sheet of the pages. On a narrow screen, table cells are stacked and the table head is hidden.
const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;\
    color:#1b1f24;background:#fff}a{color:#0550ae}h1,h2,h3{line-height:1.25}table{border-collapse:collapse;\
    width:100%;margin:1rem 0}th,td{text-align:left;vertical-align:top;padding:.35rem .6rem;\
    border-bottom:1px solid #d0d7de}code,pre{font:14px/1.45 ui-monospace,monospace}pre{background:#f6f8fa;\
    padding:.8rem;overflow:auto}h1,h2,h3,td,th{overflow-wrap:anywhere}@media(max-width:40rem){\
    table,tbody,tr,th,td{display:block}tr{padding:.4rem 0;border-bottom:1px solid #d0d7de}\
    tr:has(th+th),td:empty{display:none}th,td{border:0;padding:.1rem 0}}@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}\
    a{color:#79c0ff}pre{background:#161b22}th,td,tr{border-color:#30363d}}\
    body:has(.columns){max-width:76rem;margin:1rem auto;font-size:15px}body:has(.columns) h1{font-size:1.6rem;margin:.4rem 0}\
    body:has(.columns) p{margin:.5rem 0}.columns{display:grid;grid-template-columns:1fr 1fr;gap:0 2.5rem}.columns>*{min-width:0}\
    .columns h2{font-size:1.1rem;margin:.9rem 0 .3rem}.members,.operations{list-style:none;padding:0;margin:.3rem 0}\
    .members .members{padding-left:1rem;border-left:2px solid #d0d7de}.members li,.operations li{padding:.1rem 0;overflow-wrap:anywhere}\
    .members,.operations{font-size:15px}.members i{font-style:normal;opacity:.75;font-size:13px}.members b{font-size:13px}\
    .members p{margin:.2rem 0 .2rem 1rem}.method{font:600 14px ui-monospace,monospace}summary{cursor:pointer}\
    pre.short{max-height:15rem;margin:.3rem 0}svg{max-width:100%;height:auto}\
    @media(max-width:48rem){.columns{grid-template-columns:1fr}}";

/// An HTML page with the title `title`. `body` is HTML and is not escaped.
pub(crate) fn page(title: &str, body: &str) -> Response {
    let title = escape(title);
    let html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{title}</title>\
         <link rel=\"icon\" href=\"{ICON}\"><style>{STYLE}</style></head>\n<body>\n<h1>{title}</h1>\n{body}\n</body></html>\n"
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
    format!("<pre tabindex=\"0\">{}</pre>", escape(&format!("{value:#}")))
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
            "<pre tabindex=\"0\">{\n  &quot;a&quot;: &quot;&lt;&quot;\n}</pre>"
        );
    }
}
