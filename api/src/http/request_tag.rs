//! The request tag: the first digits of a request's hash. Links to receipts contain the tag. So if two requests use the
//! same idempotency key, neither client is shown the receipt of the other request.

use std::fmt;

/// The number of hexadecimal digits of a tag.
const DIGITS: usize = 16;

/// The first 64 bits of the hash of a request with an idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RequestTag(u64);

impl RequestTag {
    /// The tag of the request whose hash is `hash`. `None` if `hash` does not begin with a tag.
    pub(crate) fn of(hash: &str) -> Option<Self> {
        Self::parse(hash.get(..DIGITS)?)
    }

    /// Parses a tag from its text form, which [`fmt::Display`] writes.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        let valid = text.len() == DIGITS && text.bytes().all(is_digit);
        valid.then(|| u64::from_str_radix(text, 16).ok().map(Self)).flatten()
    }
}

impl fmt::Display for RequestTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The hash of a request as text. Events and subscriptions store this text, so it must never change.
pub(crate) fn hash_text(hash: &[u8]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_the_first_16_digits_of_a_hash() {
        let hash = "00ff5e8c24a0b1d3".repeat(4);
        let tag = RequestTag::of(&hash).unwrap();
        assert_eq!(tag.to_string(), "00ff5e8c24a0b1d3");
        assert_eq!(RequestTag::parse("00ff5e8c24a0b1d3"), Some(tag));
        for no in ["", "00", "00FF5E8C24A0B1D3", "+0ff5e8c24a0b1d3", "00ff5e8c24a0b1d3a"] {
            assert_eq!(RequestTag::parse(no), None, "{no}");
        }
    }
}
