//! Implements `orders export` and `orders import`. `main` calls them.
//!
//! An export reads a [`source`]: a data folder that no service is using, a running service, or a table on AWS. An
//! export writes the lines that `api::export::format` defines, or [`csv_tables`]. An import reads [`lines`], plans each
//! batch with `consumer::import`, and ends with an [`audit`].

mod args;
mod audit;
mod check;
mod csv_tables;
mod export;
mod import;
mod lines;
mod progress;
#[cfg(feature = "dlq")]
mod remote;
mod source;

pub(crate) use args::{ExportArgs, ImportArgs};
pub(crate) use export::export;
pub(crate) use import::import;
