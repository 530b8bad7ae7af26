//! Ids of dead letters, before they are anything else: a part of a path, an id in a data folder.

use anyhow::bail;

/// The id, if it can be one: 1–100 characters of `[A-Za-z0-9_-]`. So it is no path, no device and nothing that a terminal
/// obeys.
pub(super) fn checked_id(id: &str) -> anyhow::Result<&str> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if (1..=100).contains(&id.len()) && id.bytes().all(allowed) {
        return Ok(id);
    }
    let shown: String = id.chars().take(100).collect();
    bail!("{shown:?} cannot be the id of a dead letter: 1–100 characters of [A-Za-z0-9_-]")
}

#[cfg(test)]
mod tests {
    use super::checked_id;

    #[test]
    fn what_could_be_a_path_is_no_id() {
        let longest = "x".repeat(100);
        for id in ["m-1", "4-7c2e90ab", "CON", &longest] {
            assert_eq!(checked_id(id).unwrap(), id);
        }
        let too_long = "x".repeat(101);
        for id in [
            "",
            ".",
            "..",
            "../escaped",
            "/etc/passwd",
            "a/b",
            "a\\b",
            "a.json",
            "a\0b",
            "a b",
            "ä",
            "\u{1b}[2J",
            &too_long,
        ] {
            let error = checked_id(id).unwrap_err().to_string();
            assert!(error.contains("cannot be the id"), "{error}");
            assert!(!error.contains('\u{1b}') && !error.contains('\0'), "{error:?}");
        }
    }
}
