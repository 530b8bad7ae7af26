//! Checks the ids of dead letters before they become part of a URL path or a file path.

use anyhow::bail;

use crate::style::shortened;

/// Returns the id if it consists of 1–100 characters of `[A-Za-z0-9_-]`. Such an id is never a path, a device or a
/// control sequence of a terminal.
pub(super) fn checked_id(id: &str) -> anyhow::Result<&str> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if (1..=100).contains(&id.len()) && id.bytes().all(allowed) {
        return Ok(id);
    }
    bail!("{:?} is not a valid dead-letter id: 1–100 characters of [A-Za-z0-9_-]", shortened(id, 100))
}

#[cfg(test)]
mod tests {
    use super::checked_id;

    #[test]
    fn an_id_that_could_be_a_path_is_refused() {
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
            assert!(error.contains("is not a valid dead-letter id"), "{error}");
            assert!(!error.contains('\u{1b}') && !error.contains('\0'), "{error:?}");
        }
    }
}
