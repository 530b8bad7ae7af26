//! The files of the console, compiled into the binary, and the diagram of statuses. The parent module serves them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::LazyLock;

use axum::body::Bytes;
use domain::diagram::status_changes;
use sha2::{Digest, Sha256};

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

/// A row of the table: the path below `/console/assets/`, and the content of the file of the same path in `api/console`.
macro_rules! file {
    ($path:literal, $kind:expr) => {
        ($path, $kind, include_bytes!(concat!("../../console/", $path)))
    };
}

/// A file: its path, its content type, and its content.
type File = (&'static str, &'static str, &'static [u8]);

const FILES: &[File] = &[
    file!("api.js", SCRIPT),
    file!("app.js", SCRIPT),
    file!("console.css", STYLE),
    file!("editor.js", SCRIPT),
    file!("icon.svg", IMAGE),
    file!("json_text.js", SCRIPT),
    file!("lib.js", SCRIPT),
    file!("nav.js", SCRIPT),
    file!("operators.css", STYLE),
    file!("order/actions.js", SCRIPT),
    file!("order/diagram.js", SCRIPT),
    file!("order/fields.js", SCRIPT),
    file!("order/parts.js", SCRIPT),
    file!("order/schema.js", SCRIPT),
    file!("order/states.js", SCRIPT),
    file!("order/timeline.js", SCRIPT),
    file!("pages/dead_letter.js", SCRIPT),
    file!("pages/dead_letters.js", SCRIPT),
    file!("pages/order.js", SCRIPT),
    file!("pages/orders.js", SCRIPT),
    file!("pages/pipeline.js", SCRIPT),
    file!("pages/sign_in.js", SCRIPT),
    file!("pages/webhook.js", SCRIPT),
    file!("pages/webhooks.js", SCRIPT),
    file!("pipeline.js", SCRIPT),
    file!("plots.js", SCRIPT),
    file!("redrive.js", SCRIPT),
    file!("session.js", SCRIPT),
    file!("subscription.js", SCRIPT),
    file!("ui.js", SCRIPT),
    file!("vendor/hooks.mjs", SCRIPT),
    file!("vendor/htm.mjs", SCRIPT),
    file!("vendor/preact.mjs", SCRIPT),
    file!("vendor/uplot.css", STYLE),
    file!("vendor/uplot.mjs", SCRIPT),
];

/// A file as it is sent.
pub(super) struct Asset {
    pub(super) kind: &'static str,
    pub(super) content: Bytes,
    /// An entity tag that changes with the content.
    pub(super) etag: String,
}

impl Asset {
    pub(super) fn of(kind: &'static str, content: impl Into<Bytes>) -> Self {
        let content = content.into();
        let hash = Sha256::digest(&content);
        let mut etag = String::from('"');
        for byte in &hash[..16] {
            // Writing to a string cannot fail.
            let _ = write!(etag, "{byte:02x}");
        }
        etag.push('"');
        Self { kind, content, etag }
    }
}

/// The document of the console, with the placeholder for the base path.
static TEMPLATE: &str = include_str!("../../console/index.html");

static DOCUMENT: LazyLock<Asset> =
    LazyLock::new(|| Asset::of(HTML, TEMPLATE.replace(super::BASE, "").into_bytes()));

static ASSETS: LazyLock<BTreeMap<&str, Asset>> = LazyLock::new(|| {
    let files = FILES.iter().map(|(path, kind, content)| (*path, Asset::of(kind, *content)));
    files.chain([("diagram.json", diagram())]).collect()
});

/// The changes of an order's status, generated from the rules, for the diagram of an order.
fn diagram() -> Asset {
    let changes = serde_json::to_vec(&status_changes()).expect("the changes are plain JSON");
    Asset::of("application/json", changes)
}

/// The document at the root, without a base path.
pub(super) fn document() -> &'static Asset {
    &DOCUMENT
}

/// The document under a base path.
pub(super) fn document_under(base: &str) -> Asset {
    Asset::of(HTML, TEMPLATE.replace(super::BASE, base).into_bytes())
}

/// The asset with this path below `/console/assets/`.
pub(super) fn find(path: &str) -> Option<&'static Asset> {
    ASSETS.get(path)
}
