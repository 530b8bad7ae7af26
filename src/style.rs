//! Colours text if the output is a terminal and `NO_COLOR` is not set, and removes control characters. Everything that prints for people uses this
//! module.

use std::io::stderr;
#[cfg(feature = "doctor")]
use std::io::stdout;

use anstream::{AutoStream, ColorChoice};
use anstyle::AnsiColor;

pub(crate) use anstyle::Style;

pub(crate) const ERROR: Style = AnsiColor::Red.on_default().bold();
#[cfg(feature = "doctor")]
pub(crate) const WARNING: Style = AnsiColor::Yellow.on_default().bold();
#[cfg(feature = "doctor")]
pub(crate) const NOTICE: Style = AnsiColor::Cyan.on_default().bold();

/// The text with its colours, for standard error.
pub(crate) fn on_stderr(style: Style, text: &str) -> String {
    painted(style, text, AutoStream::choice(&stderr()))
}

/// The text with its colours, for standard output.
#[cfg(feature = "doctor")]
pub(crate) fn on_stdout(style: Style, text: &str) -> String {
    painted(style, text, AutoStream::choice(&stdout()))
}

fn painted(style: Style, text: &str, choice: ColorChoice) -> String {
    match choice {
        ColorChoice::Never => text.to_owned(),
        _ => format!("{style}{text}{style:#}"),
    }
}

/// The text without control characters, so that data from a client cannot control the terminal.
#[cfg(any(feature = "dlq", feature = "embedded"))]
pub(crate) fn without_controls(text: &str) -> String {
    let harmless = |c: char| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c };
    text.chars().map(harmless).collect()
}

/// The first characters of the text, with an ellipsis if it is longer.
#[cfg(feature = "dlq")]
pub(crate) fn shortened(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A time (RFC 3339) up to its seconds.
#[cfg(feature = "dlq")]
pub(crate) fn to_seconds(time: &str) -> &str {
    time.get(.."2026-11-23T10:00:00".len()).unwrap_or(time)
}
