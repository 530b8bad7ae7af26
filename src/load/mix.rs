//! The kinds of requests, and the weights by which workers choose among them.

use std::fmt;
use std::str::FromStr;

use fastrand::Rng;
use serde::{Serialize, Serializer};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RequestKind {
    /// Creates an order.
    Create,
    /// Sends the next event of an order's life: confirm, pay, ship, deliver. Some orders are amended, or returned and
    /// refunded.
    Advance,
    /// Cancels an order.
    Cancel,
    /// Reads an order, a receipt, a history or a customer's list.
    Read,
    /// Sends an earlier write again, with its idempotency key.
    Retry,
    /// Sends an event that the API accepts, but the rules forbid.
    Illegal,
    /// Sends an invalid request, which the API refuses.
    Malformed,
}

impl RequestKind {
    pub(super) const COUNT: usize = 7;
    pub(super) const ALL: [Self; Self::COUNT] =
        [Self::Create, Self::Advance, Self::Cancel, Self::Read, Self::Retry, Self::Illegal, Self::Malformed];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Advance => "advance",
            Self::Cancel => "cancel",
            Self::Read => "read",
            Self::Retry => "retry",
            Self::Illegal => "illegal",
            Self::Malformed => "malformed",
        }
    }
}

/// The weight of each kind of request, in the order of [`RequestKind::ALL`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RequestMix([u32; RequestKind::COUNT]);

impl Default for RequestMix {
    /// Weights like those of a shop: most orders get four further events, customers read their orders, and some clients
    /// make mistakes.
    fn default() -> Self {
        Self([15, 53, 2, 22, 4, 2, 2])
    }
}

impl RequestMix {
    pub(super) fn choose(&self, rng: &mut Rng) -> RequestKind {
        let mut left = rng.u32(..self.0.iter().sum::<u32>());
        for (kind, weight) in RequestKind::ALL.into_iter().zip(self.0) {
            if left < weight {
                return kind;
            }
            left -= weight;
        }
        unreachable!("the random number is less than the sum of the weights")
    }
}

impl FromStr for RequestMix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut weights = [None; RequestKind::COUNT];
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, weight) =
                part.split_once('=').ok_or_else(|| format!("{part:?} is not KIND=WEIGHT"))?;
            let place =
                RequestKind::ALL.iter().position(|kind| kind.as_str() == name.trim()).ok_or_else(|| {
                    let kinds = RequestKind::ALL.map(RequestKind::as_str).join(", ");
                    format!("{name:?} is not a kind of request; the kinds are {kinds}")
                })?;
            let weight = weight.trim().parse().ok().filter(|weight| *weight <= 1_000_000);
            let weight =
                weight.ok_or_else(|| format!("the weight of {part:?} is not a number up to 1000000"))?;
            if weights[place].replace(weight).is_some() {
                return Err(format!("{name} is given twice"));
            }
        }
        let weights = weights.map(Option::unwrap_or_default);
        if weights.iter().all(|weight| *weight == 0) {
            return Err("every weight is 0".to_owned());
        }
        Ok(Self(weights))
    }
}

impl fmt::Display for RequestMix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = RequestKind::ALL.iter().zip(self.0).filter(|(_, weight)| *weight > 0);
        let parts: Vec<_> = named.map(|(kind, weight)| format!("{}={weight}", kind.as_str())).collect();
        f.write_str(&parts.join(","))
    }
}

impl Serialize for RequestMix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_is_printed_as_it_was_parsed() {
        for text in ["create=100", "create=15,advance=53,cancel=2,read=22,retry=4,illegal=2,malformed=2"] {
            assert_eq!(text.parse::<RequestMix>().unwrap().to_string(), text);
        }
        assert_eq!(" read = 1 , create=2".parse::<RequestMix>().unwrap().to_string(), "create=2,read=1");
    }

    #[test]
    fn an_invalid_mix_is_refused_with_the_reason() {
        for (text, expected) in [
            ("create", "is not KIND=WEIGHT"),
            ("crate=1", "the kinds are create, advance"),
            ("create=-1", "not a number"),
            ("create=1,create=2", "create is given twice"),
            ("create=0", "every weight is 0"),
            ("", "every weight is 0"),
        ] {
            let error = text.parse::<RequestMix>().unwrap_err();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
    }

    #[test]
    fn kinds_are_chosen_by_weight_and_reproducibly_for_a_seed() {
        let mix: RequestMix = "create=30,read=70".parse().unwrap();
        let draw = || {
            let mut rng = Rng::with_seed(7);
            (0..10_000).map(|_| mix.choose(&mut rng)).collect::<Vec<_>>()
        };
        let drawn = draw();
        assert!(drawn.iter().all(|kind| matches!(kind, RequestKind::Create | RequestKind::Read)));
        let creates = drawn.iter().filter(|kind| **kind == RequestKind::Create).count();
        assert!((2_800..3_200).contains(&creates), "{creates}");
        assert_eq!(drawn, draw());
    }
}
