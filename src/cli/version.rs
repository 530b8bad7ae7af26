//! The text of `orders --version`: version, commit and features. The declaration of the command line uses this text.

/// The commit that this program was built from. It is empty in a build from a source archive.
const COMMIT: &str = env!("ORDERS_COMMIT");

const FEATURES: [(&str, bool); 6] = [
    ("aws", cfg!(feature = "aws")),
    ("dlq", cfg!(feature = "dlq")),
    ("doctor", cfg!(feature = "doctor")),
    ("embedded", cfg!(feature = "embedded")),
    ("load", cfg!(feature = "load")),
    ("otlp", cfg!(feature = "otlp")),
];

pub(super) fn text() -> String {
    let features: Vec<_> = FEATURES.iter().filter(|(_, is_on)| *is_on).map(|(name, _)| *name).collect();
    let commit = if COMMIT.is_empty() { "unknown (built from a source archive)" } else { COMMIT };
    format!("{}\ncommit: {commit}\nfeatures: {}", env!("CARGO_PKG_VERSION"), features.join(", "))
}
