//! Secrets: from a flag, a variable or a file, and never in a text that is printed or logged.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::Args;

/// More than any token has.
const MAX_BYTES: u64 = 64 << 10;

/// Where the bearer token of a command that calls the API is, beside its flag.
#[derive(Debug, Clone, Args)]
pub(crate) struct TokenFile {
    /// A file with the token, which other users of this machine need not be able to read.
    #[arg(long, env = "ORDERS_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
}

impl TokenFile {
    /// The token, by the flag or the variable if there is one, or else by the file.
    pub(crate) fn or(&self, token: Option<&String>) -> anyhow::Result<Option<String>> {
        read("ORDERS_TOKEN", token, self.token_file.as_deref())
    }
}

/// The secret of this name, given as such or in a file; `None` if it is given in neither way.
pub(crate) fn read(
    name: &str,
    given: Option<&String>,
    file: Option<&Path>,
) -> anyhow::Result<Option<String>> {
    let given = given.map(|given| given.trim()).filter(|given| !given.is_empty());
    let Some(file) = file else { return Ok(given.map(str::to_owned)) };
    if given.is_some() {
        bail!("{name} and {name}_FILE are both set: give one of them");
    }
    let at = || format!("{name}_FILE, {}", file.display());
    let mut text = String::new();
    let opened = File::open(file).with_context(at)?;
    opened.take(MAX_BYTES + 1).read_to_string(&mut text).with_context(at)?;
    ensure!(text.len() as u64 <= MAX_BYTES, "{}: it is too long for a secret", at());
    let secret = text.trim();
    ensure!(!secret.is_empty(), "{}: it is empty", at());
    Ok(Some(secret.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_comes_from_one_place() {
        let folder = tempfile::TempDir::new().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "abc\n").unwrap();
        let given = "xyz".to_owned();
        assert_eq!(read("T", None, None).unwrap(), None);
        assert_eq!(read("T", Some(&String::new()), None).unwrap(), None);
        assert_eq!(read("T", Some(&given), None).unwrap().as_deref(), Some("xyz"));
        assert_eq!(read("T", None, Some(&file)).unwrap().as_deref(), Some("abc"));
        let told = |given, file: &Path| format!("{:#}", read("T", given, Some(file)).unwrap_err());
        assert_eq!(told(Some(&given), &file), "T and T_FILE are both set: give one of them");
        assert!(told(None, &folder.path().join("none")).contains("No such file"));
        std::fs::write(&file, " \n").unwrap();
        assert!(told(None, &file).ends_with("it is empty"));
        std::fs::write(&file, "x".repeat(100_000)).unwrap();
        assert!(told(None, &file).ends_with("too long for a secret"));
    }
}
