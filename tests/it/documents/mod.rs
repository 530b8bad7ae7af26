//! Checks the documents: links have targets, snippets run, and walks agree with the code.
//!
//! The tests check every Markdown file of the repository that readers start from. [`markdown`] reads these files.

mod commands;
mod configuration;
mod examples;
mod links;
mod markdown;
mod names;
mod receivers;
mod shell;
mod snippets;
mod walks;

use std::path::PathBuf;

/// A file or folder of the repository.
fn here(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}
