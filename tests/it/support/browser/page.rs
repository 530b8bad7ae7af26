//! A page of the browser: opening it, looking at it, waiting for it. Tests of pages call it; [`super::input`] has what a
//! person does with it.

use std::path::Path;
use std::sync::atomic::AtomicUsize;

use base64::Engine;
use serde_json::{Value, json};

use super::connection::Connection;
use super::faults::Faults;
use crate::support::eventually::eventually;

/// Functions that find elements as a person does, for [`Page::eval`] and for the input events.
const FIND: &str = include_str!("find.js");

/// How a page is shown.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    pub width: u32,
    pub height: u32,
    /// Whether the person prefers dark pages.
    pub dark: bool,
}

impl Window {
    pub const WIDE: Self = Self { width: 1280, height: 900, dark: false };
    pub const PHONE: Self = Self { width: 390, height: 844, dark: false };

    pub const fn dark(self) -> Self {
        Self { dark: true, ..self }
    }
}

/// An open page. Its profile is removed when this value is dropped.
pub struct Page {
    connection: Connection,
    session: String,
    pub(super) faults: Faults,
    pub(super) clicks: AtomicUsize,
}

impl Page {
    /// Opens a page at this address, in a wide window.
    pub async fn open(address: &str) -> Self {
        let page = Self::blank(Window::WIDE).await;
        page.go(address).await;
        page
    }

    /// An empty page with a profile of its own.
    pub async fn blank(window: Window) -> Self {
        let faults = Faults::default();
        let noting = faults.clone();
        let connection = Connection::open(move |event| noting.note(event)).await;
        let call = async |method: &str, params| connection.call(None, method, params).await.unwrap();
        let profile = call("Target.createBrowserContext", json!({ "disposeOnDetach": true })).await;
        let profile = &profile["browserContextId"];
        let target = json!({ "url": "about:blank", "browserContextId": profile, "newWindow": true });
        let target = call("Target.createTarget", target).await;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = call("Target.attachToTarget", attach).await["sessionId"].as_str().unwrap().to_owned();
        let page = Self { connection, session, faults, clicks: AtomicUsize::new(0) };
        for domain in ["Page", "Runtime", "Log", "Network", "Audits"] {
            page.call(&format!("{domain}.enable"), json!({})).await;
        }
        // Otherwise only one page of the browser has the focus.
        page.call("Emulation.setFocusEmulationEnabled", json!({ "enabled": true })).await;
        page.call("Page.addScriptToEvaluateOnNewDocument", json!({ "source": FIND })).await;
        page.show_in(window).await;
        page
    }

    /// Calls a method of the protocol that must succeed.
    pub(super) async fn call(&self, method: &str, params: Value) -> Value {
        self.connection.call(Some(&self.session), method, params).await.unwrap()
    }

    /// Opens an address, and waits until the page and its scripts are loaded.
    pub async fn go(&self, address: &str) {
        self.faults.allow(address);
        let answer = self.call("Page.navigate", json!({ "url": address })).await;
        assert!(answer["errorText"].is_null(), "{address}: {answer}");
        self.wait_for(
            &format!("{address} is loaded"),
            "document.readyState === 'complete' && location.href !== 'about:blank'",
        )
        .await;
    }

    /// Changes the size of the window, and whether the person prefers dark pages.
    pub async fn show_in(&self, window: Window) {
        let Window { width, height, dark } = window;
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", metrics).await;
        let scheme = json!({ "name": "prefers-color-scheme", "value": if dark { "dark" } else { "light" } });
        // Motion is an extra for people; a test need not wait for it.
        let motion = json!({ "name": "prefers-reduced-motion", "value": "reduce" });
        self.call("Emulation.setEmulatedMedia", json!({ "features": [scheme, motion] })).await;
    }

    /// Stores an item in the session storage of every page of this origin, before its scripts run.
    pub async fn store(&self, key: &str, value: &str) {
        let source = format!("sessionStorage.setItem({}, {})", json!(key), json!(value));
        self.call("Page.addScriptToEvaluateOnNewDocument", json!({ "source": source })).await;
    }

    /// The value of an expression in the page, or what it threw. Waits for a promise.
    pub async fn try_eval(&self, script: &str) -> Result<Value, String> {
        let params = json!({ "expression": script, "awaitPromise": true, "returnByValue": true });
        // A navigation interrupts a call.
        let mut answer = self.connection.call(Some(&self.session), "Runtime.evaluate", params).await?;
        match answer.get("exceptionDetails") {
            Some(details) => Err(format!("{} {}", details["text"], details["exception"]["description"])),
            None => Ok(answer["result"]["value"].take()),
        }
    }

    /// The value of an expression in the page, which must not throw. Waits for a promise.
    pub async fn eval(&self, script: &str) -> Value {
        self.try_eval(script).await.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// Waits until the expression is true, or anything else that counts as true. Returns its value.
    pub async fn wait_for(&self, what: &str, script: &str) -> Value {
        eventually(what, async || match self.try_eval(script).await {
            Ok(Value::Null | Value::Bool(false)) => Err(self.situation().await),
            Ok(Value::String(text)) if text.is_empty() => Err(self.situation().await),
            Ok(value) => Ok(value),
            // The page may be on its way to another address.
            Err(error) => Err(error),
        })
        .await
    }

    /// What a failed test shows: the address, the visible text and the faults.
    async fn situation(&self) -> String {
        let text = self.try_eval("location.href + '\\n' + document.body?.innerText").await;
        format!("{}\n{:#?}", text.as_ref().ok().and_then(Value::as_str).unwrap_or("?"), self.faults.list())
    }

    /// Waits until the page shows this text.
    pub async fn sees(&self, text: &str) {
        let script = format!("document.body.innerText.includes({})", json!(text));
        self.wait_for(&format!("the page shows {text:?}"), &script).await;
    }

    /// Waits until one visible element matches (see `find.js`), and returns its text, or the value of a form field.
    pub async fn text(&self, element: &str) -> String {
        // The text may be empty, so it comes in a list.
        let script = format!("testing.text({})?.split('\\n')", json!(element));
        let lines = self.wait_for(&format!("{element} is there"), &script).await;
        lines.as_array().unwrap().iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
    }

    /// How many visible elements match (see `find.js`).
    pub async fn count(&self, element: &str) -> u64 {
        self.eval(&format!("testing.all({}).length", json!(element))).await.as_u64().unwrap()
    }

    /// The elements of the page as HTML.
    pub async fn html(&self) -> String {
        self.eval("document.documentElement.outerHTML").await.as_str().unwrap().to_owned()
    }

    /// The width of the window, and the width and height of all that is in it.
    pub async fn size(&self) -> [u64; 3] {
        let root = "(({ clientWidth, scrollWidth, scrollHeight }) => [clientWidth, scrollWidth, scrollHeight])(document.documentElement)";
        serde_json::from_value(self.eval(root).await).unwrap()
    }

    /// Stores a picture of the whole page as a PNG file.
    pub async fn screenshot(&self, file: &Path) {
        let picture = self.call("Page.captureScreenshot", json!({ "captureBeyondViewport": true })).await;
        let picture = base64::prelude::BASE64_STANDARD.decode(picture["data"].as_str().unwrap()).unwrap();
        std::fs::write(file, picture).unwrap();
    }

    /// What the page did wrong so far: errors and warnings of the console, exceptions, requests to other origins, parts
    /// that are missing, and violations of its content security policy.
    pub fn faults(&self) -> Vec<String> {
        self.faults.list()
    }

    #[track_caller]
    pub fn assert_faultless(&self) {
        assert_eq!(self.faults(), [""; 0]);
    }
}
