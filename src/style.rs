//! Colours text if the output is a terminal and `NO_COLOR` is not set. Everything that prints for people uses this
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
