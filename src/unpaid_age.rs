//! Parses the age at which unpaid orders expire. Every role that proposes to cancel these orders has a flag for the
//! age.

use std::time::Duration;

/// The maximum age. A longer age is refused, because it is probably a typo.
const MAX_AGE: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Parses an age such as `48h`, `30m` or `7days 12h`.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let age = humantime::parse_duration(text)
        .map_err(|error| format!("{error}; an age is written as 48h or 30m"))?;
    if age.is_zero() || age > MAX_AGE {
        return Err("the age must be longer than 0 seconds, and at most 100 years".to_owned());
    }
    Ok(age)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_units_and_limits() {
        let seconds = |text| parse(text).map(|age| age.as_secs());
        assert_eq!((seconds("48h"), seconds("1day 30m")), (Ok(172_800), Ok(88_200)));
        for wrong in ["", "48", "0s", "200years", "-1h", "soon"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
