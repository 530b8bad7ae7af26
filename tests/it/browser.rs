//! Tests the browser that the tests of pages use: it must notice what a page does wrong, and act as a person does.

use axum::Router;
use axum::http::header;
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use serde_json::json;
use tempfile::TempDir;

use crate::support::browser::{Page, Window};
use crate::support::eventually::eventually;
use crate::support::http;

/// Serves one page under a strict policy, and its script at `/script.js`.
async fn site(page: &'static str, script: &'static str) -> String {
    let policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src *";
    let page = async move || ([(header::CONTENT_SECURITY_POLICY, policy)], Html(page)).into_response();
    let script = async move || ([(header::CONTENT_TYPE, "text/javascript")], script);
    http::serve(Router::new().route("/", get(page)).route("/script.js", get(script))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_a_page_does_wrong_is_listed() {
    let other = http::serve(Router::new().route("/", get(async || "other"))).await;
    for (page, script, expected) in [
        ("<title>t</title><script src=script.js></script>", "", ""),
        ("<title>t</title><script src=script.js></script>", "console.error('broken')", "console.error"),
        ("<title>t</title><script src=script.js></script>", "throw new Error('lost')", "lost"),
        ("<title>t</title><script src=script.js></script>", "Promise.reject(new Error('late'))", "late"),
        ("<title>t</title><script src=script.js></script>", "fetch('OTHER')", "request to another origin"),
        ("<title>t</title><script src=missing.js></script>", "", "answers 404"),
        ("<title>t</title><p style='color: red'>red</p>", "", "violates its policy"),
        ("<title>t</title><script>document.title = 'x'</script>", "", "violates its policy"),
    ] {
        let script: &'static str = script.replace("OTHER", &other).leak();
        let page = Page::open(&site(page, script).await).await;
        if expected.is_empty() {
            page.assert_faultless();
            continue;
        }
        eventually(expected, async || {
            let faults = page.faults();
            if faults.iter().any(|fault| fault.contains(expected)) { Ok(()) } else { Err(faults) }
        })
        .await;
    }
}

const FORM: &str = r#"<!doctype html><html lang="en"><title>A form</title><main><h1>Form</h1>
    <label>Name <input id="name"></label><label for="note">Note</label><textarea id="note"></textarea>
    <button>Send</button><button hidden>Send</button><output></output></main><script src="script.js"></script>"#;
const FORM_SCRIPT: &str = r#"
    document.querySelector("button").addEventListener("click", (event) => {
      const scheme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
      const report = [event.isTrusted, document.getElementById("name").value, document.getElementById("note").value,
        scheme, innerWidth, sessionStorage.getItem("token")];
      document.querySelector("output").textContent = JSON.stringify(report);
      sessionStorage.setItem("token", "changed");
    });"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_page_gets_the_input_of_a_person() {
    let folder = TempDir::new().unwrap();
    let site = site(FORM, FORM_SCRIPT).await;
    let page = Page::blank(Window::PHONE.dark()).await;
    page.store("token", "t-1").await;
    page.go(&site).await;
    page.fill("input >> Name", "an old name").await;
    page.fill("input >> Name", "Ada +ß").await;
    page.click("textarea >> Note").await;
    page.type_text("{\"a\": [1]}\nend").await;
    page.click("button >> Send").await;
    let report = json!([true, "Ada +ß", "{\"a\": [1]}\nend", "dark", 390, "t-1"]);
    page.sees(&report.to_string()).await;
    assert_eq!((page.clicks(), page.text("textarea").await.as_str()), (2, "{\"a\": [1]}\nend"));

    // The keyboard alone, on a page with a profile of its own.
    let other = Page::open(&site).await;
    other.tab_to("textarea >> Note", 5).await;
    other.type_text("by keys").await;
    other.tab_to("button >> Send", 2).await;
    other.press("Enter").await;
    other.sees(&json!([true, "", "by keys", "light", 1280, null]).to_string()).await;
    let picture = folder.path().join("page.png");
    other.screenshot(&picture).await;
    assert!(std::fs::read(&picture).unwrap().starts_with(b"\x89PNG"));
    for page in [page, other] {
        page.assert_faultless();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_cannot_use_is_found() {
    let page = Page::open(&site(FORM, FORM_SCRIPT).await).await;
    assert_eq!(page.serious_findings().await, [""; 0]);
    let page = Page::open(&site("<title>t</title><main><input><img src=script.js></main>", "").await).await;
    let findings = page.serious_findings().await;
    for rule in ["html-has-lang", "image-alt", "label"] {
        assert!(findings.iter().any(|finding| finding.starts_with(rule)), "{rule}: {findings:#?}");
    }
}
