//! The name of a deployment, which every alert contains. The commands read it from their settings, and the sinks of alerts
//! keep it.

use std::fmt;
use std::str::FromStr;

/// The maximum length of a name. A subject line must have room for more than the name.
const MAX_LENGTH: usize = 40;

/// The name of a deployment, for people who receive the alerts of several: 1 to 40 printable ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment(String);

impl Deployment {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A name that is as close to `text` as possible, for names that the user did not choose. Characters that are not
    /// allowed are replaced, and an empty text becomes `unnamed`.
    pub fn closest_to(text: &str) -> Self {
        let allowed = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
        let name: String = text.trim().chars().map(allowed).take(MAX_LENGTH).collect();
        let name = name.trim_end();
        Self(if name.is_empty() { "unnamed" } else { name }.to_owned())
    }
}

impl FromStr for Deployment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.trim();
        let is_printable = name.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        if name.is_empty() || name.len() > MAX_LENGTH || !is_printable {
            return Err(format!("must consist of 1 to {MAX_LENGTH} printable ASCII characters"));
        }
        Ok(Self(name.to_owned()))
    }
}

impl fmt::Display for Deployment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_printable() {
        assert_eq!("shop-eu".parse(), Ok(Deployment("shop-eu".to_owned())));
        for wrong in ["", " ", "sh\u{f6}p", "two\nlines", &"x".repeat(41)] {
            assert!(wrong.parse::<Deployment>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn other_names_become_valid_ones() {
        let closest = |text: &str| Deployment::closest_to(text).0;
        assert_eq!(closest("db1.example"), "db1.example");
        assert_eq!(closest("sh\u{f6}p"), "sh?p");
        assert_eq!(closest(" \n"), "unnamed");
        assert_eq!(closest(&"x".repeat(41)), "x".repeat(40));
    }
}
