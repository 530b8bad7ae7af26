//! Reads secrets from a flag, a variable or a file. Errors name the source of a secret and never contain the secret.
//! Commands that call the API read their tokens here, and `serve` reads the secret of the alert webhook here.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::Args;

/// The maximum size of a secret file. Every real token is smaller.
const MAX_BYTES: u64 = 64 << 10;

/// The flag for a file with the bearer token, for commands that call the API.
#[derive(Debug, Clone, Args)]
pub(crate) struct TokenFile {
    /// Read the token from this file. Make the file readable only by your user (mode 0600).
    #[arg(long, env = "ORDERS_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
}

impl TokenFile {
    /// The given token, or the content of the token file if no token is given.
    pub(crate) fn token_or_file(&self, token: Option<&String>) -> anyhow::Result<Option<String>> {
        read("ORDERS_TOKEN", token, self.token_file.as_deref())
    }
}

/// Reads the secret `name` from the value that is `given`, or from `file`. Returns `None` if both are absent. It is an
/// error if both are present.
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
    fn a_secret_comes_from_its_value_or_its_file() {
        let folder = tempfile::TempDir::new().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "abc\n").unwrap();
        let given = "xyz".to_owned();
        assert_eq!(read("T", None, None).unwrap(), None);
        assert_eq!(read("T", Some(&String::new()), None).unwrap(), None);
        assert_eq!(read("T", Some(&given), None).unwrap().as_deref(), Some("xyz"));
        assert_eq!(read("T", None, Some(&file)).unwrap().as_deref(), Some("abc"));
        let error = |given, file: &Path| format!("{:#}", read("T", given, Some(file)).unwrap_err());
        assert_eq!(error(Some(&given), &file), "T and T_FILE are both set: give one of them");
        assert!(error(None, &folder.path().join("none")).contains("No such file"));
        std::fs::write(&file, " \n").unwrap();
        assert!(error(None, &file).ends_with("it is empty"));
        std::fs::write(&file, "x".repeat(100_000)).unwrap();
        assert!(error(None, &file).ends_with("too long for a secret"));
    }
}
