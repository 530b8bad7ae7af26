//! The flags that describe the receiver of a subscription: event types, customer and headers. `add` and `update` share them.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use clap::Args;
use domain::EventType;
use serde_json::{Map, Value};

/// The maximum size of a file with headers. Ten headers with the longest allowed names and values need
/// 12 KiB.
const MAX_BYTES: u64 = 64 << 10;

/// Parses a list of event types, separated by commas.
pub(super) fn types(text: &str) -> Result<Vec<EventType>, String> {
    let one = |name: &str| {
        EventType::from_name(name.trim()).ok_or_else(|| {
            let all = EventType::ALL.map(EventType::as_str).join(", ");
            format!("{name:?} is not one of {all}")
        })
    };
    text.split(',').map(one).collect()
}

/// A list of event types that is one value of a flag. If the flag had a collection type, clap would require a separate
/// flag for each event type.
#[derive(Debug, Clone)]
pub(super) struct TypeList(pub(super) Vec<EventType>);

impl std::str::FromStr for TypeList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        types(text).map(Self)
    }
}

/// The additional headers of deliveries.
#[derive(Debug, Args)]
pub(crate) struct HeaderArgs {
    /// An additional header of each delivery, as `Name: value`. Repeat the flag for several headers. Other users of this
    /// machine can see flags: prefer --headers-file for credentials.
    #[arg(long = "header", value_name = "HEADER")]
    headers: Vec<String>,
    /// Read additional headers from this file, one `Name: value` on each line; `-` reads standard input.
    #[arg(long, value_name = "FILE")]
    headers_file: Option<PathBuf>,
}

impl HeaderArgs {
    /// The headers as members of the request body.
    pub(super) fn read(&self) -> anyhow::Result<Map<String, Value>> {
        let text = self.headers_file.as_deref().map(|path| {
            let mut text = String::new();
            let read = if path.as_os_str() == "-" {
                std::io::stdin().take(MAX_BYTES + 1).read_to_string(&mut text)
            } else {
                File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text))
            };
            read.with_context(|| format!("cannot read {}", path.display()))?;
            ensure!(text.len() as u64 <= MAX_BYTES, "{} is too long for headers", path.display());
            Ok(text)
        });
        let text = text.transpose()?.unwrap_or_default();
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let mut headers = Map::new();
        for line in self.headers.iter().map(String::as_str).chain(lines) {
            // The error does not show the line, which may contain a credential.
            let Some((name, value)) = line.split_once(':') else {
                bail!("a header has no colon: write `Name: value`")
            };
            if headers.insert(name.trim().to_owned(), value.trim().into()).is_some() {
                bail!("the header {:?} is given twice", name.trim());
            }
        }
        Ok(headers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_from_flags_and_a_file_and_errors_do_not_show_them() {
        let folder = tempfile::TempDir::new().unwrap();
        let file = folder.path().join("headers");
        std::fs::write(&file, "X-Key: a:b\n\nAuthorization: Bearer secret\n").unwrap();
        let read = |headers: &[&str]| {
            let headers = headers.iter().map(|header| (*header).to_owned()).collect();
            HeaderArgs { headers, headers_file: Some(file.clone()) }.read()
        };
        let all = serde_json::json!({ "X-A": "1", "X-Key": "a:b", "Authorization": "Bearer secret" });
        assert_eq!(Value::from(read(&["X-A:1"]).unwrap()), all);
        let error = read(&["Bearer secret"]).unwrap_err().to_string();
        assert!(error.contains("no colon") && !error.contains("secret"), "{error}");
        assert!(read(&["X-Key: 2"]).unwrap_err().to_string().contains("\"X-Key\" is given twice"));
    }

    #[test]
    fn types_are_separated_by_commas() {
        assert_eq!(types("order_paid, order_shipped").unwrap(), [EventType::Paid, EventType::Shipped]);
        assert!(types("order_paid,payed").unwrap_err().contains("\"payed\" is not one of order_created"));
    }
}
