//! The text of `orders --version`: version, commit and features. The declaration of the command line uses it, and so does the
//! metric of the build.

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
    let commit = commit().unwrap_or("unknown (built from a source archive)");
    format!("{}\ncommit: {commit}\nfeatures: {}", env!("CARGO_PKG_VERSION"), features())
}

/// The commit that this program was built from, if it is known.
pub(crate) fn commit() -> Option<&'static str> {
    Some(COMMIT).filter(|commit| !commit.is_empty())
}

/// The features of this build, separated by commas.
pub(crate) fn features() -> String {
    let features: Vec<_> = FEATURES.iter().filter(|(_, is_on)| *is_on).map(|(name, _)| *name).collect();
    features.join(", ")
}
