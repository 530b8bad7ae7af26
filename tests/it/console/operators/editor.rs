//! Tests how the editor reads a text that may be no JSON.

use serde_json::json;
use tempfile::TempDir;

use crate::support::browser::Page;
use crate::support::service::Service;

/// Runs a script of the page with the functions of the editor as `json`.
async fn with_json(page: &Page, script: &str) -> serde_json::Value {
    let module = "import('/console/assets/json_text.js')";
    page.eval(&format!("{module}.then((json) => {{ {script} }})")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn layout_changes_no_value_and_every_fault_has_its_place() {
    let folder = TempDir::new().unwrap();
    let service = Service::start(&folder.path().join("data"), &[]);
    let page = Page::open(&format!("{}/console/dead-letters", service.url)).await;

    for (text, expected) in [
        (r#"{"a":1e400,"b":[1,{}]}"#, "{\n  \"a\": 1e400,\n  \"b\": [\n    1,\n    {}\n  ]\n}"),
        // What follows is no JSON, and stays as broken as it is.
        (r#"{"a":[1 2"#, "{\n  \"a\": [\n    1 2"),
        (r#"{"a":"b, {"#, "{\n  \"a\": \"b, {"),
        ("order 4711", "order 4711"),
    ] {
        assert_eq!(with_json(&page, &format!("return json.format({})", json!(text))).await, expected);
    }
    for (text, pointer, line) in [
        ("{\n\"a\":\n[1,\n2]}", "/a/1", 4),
        ("{\n\"a/b\":\n1}", "/a~1b", 2),
        // A member that is missing is shown at its parent.
        ("{\n\"a\":{\n}}", "/a/missing", 2),
        ("[\n1,\n2", "/1", 3),
    ] {
        let text = json!(text);
        let place = format!("json.placeOf(json.scan({text}).places, '{pointer}')");
        let found = with_json(&page, &format!("return json.lineOf({text}, {place}).line")).await;
        assert_eq!(found, line, "{text} {pointer}");
    }
    // Texts that are cut off and changed at random: the scanner agrees with the browser's parser, and layout keeps the value.
    let found = with_json(&page, RANDOM_TEXTS).await;
    assert_eq!(found, json!([]));
    page.assert_faultless();
}

const RANDOM_TEXTS: &str = r#"
    const whole = '{"type":"order_paid","data":{"items":[{"quantity":"x"},-1.5e+3,{}],"a/b~":"\\"y\\\\\\u00e9","n":12345678901234567890,"t":[true,false,null]}}';
    const valueOf = (text) => { try { return JSON.stringify(JSON.parse(text)); } catch { return undefined; } };
    let seed = 7;
    const random = (below) => { seed = (seed * 1103515245 + 12345) % 2147483648; return seed % below; };
    const wrong = [];
    for (let round = 0; round < 3000; round += 1) {
      let text = whole.slice(0, random(3) ? whole.length : random(whole.length));
      const at = random(text.length + 1);
      if (random(2)) text = text.slice(0, at) + '{}[],:" \n\\x1'[random(12)] + text.slice(at + random(2));
      const laidOut = json.format(text);
      const isJson = valueOf(text) !== undefined;
      if (isJson !== (json.scan(text).error === null)) wrong.push(["scan", text]);
      if (valueOf(text) !== valueOf(laidOut) || json.format(laidOut) !== laidOut) wrong.push(["format", text]);
    }
    return wrong;"#;
