//! What kinds of requests there are, and how often each is made.

use std::fmt;
use std::str::FromStr;

use fastrand::Rng;
use serde::{Serialize, Serializer};

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RequestKind {
    /// A new order.
    Create,
    /// The next step of an order's life: confirm, pay, ship, deliver; some are amended, some returned and refunded.
    Advance,
    /// An order called off.
    Cancel,
    /// A look at an order, a receipt, a history or a customer's list.
    Read,
    /// An earlier request once more, under its key.
    Retry,
    /// An event that is accepted, and that the rules forbid.
    Illegal,
    /// A request that is refused.
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

/// The weight of each kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RequestMix([u32; RequestKind::COUNT]);

impl Default for RequestMix {
    /// A shop: four steps follow most orders, somebody looks at what happens, and some clients are clumsy.
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
        unreachable!("what is left is less than the sum of the weights")
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
                    format!("{name:?} is not a kind of request; there are {kinds}")
                })?;
            let weight = weight.trim().parse().ok().filter(|weight| *weight <= 1_000_000);
            let weight =
                weight.ok_or_else(|| format!("the weight of {part:?} is not a number up to 1000000"))?;
            if weights[place].replace(weight).is_some() {
                return Err(format!("{name} is there twice"));
            }
        }
        let weights = weights.map(Option::unwrap_or_default);
        if weights.iter().all(|weight| *weight == 0) {
            return Err("nothing is to be done: every weight is 0".to_owned());
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
    fn a_mix_is_written_as_it_is_read() {
        for text in ["create=100", "create=15,advance=53,cancel=2,read=22,retry=4,illegal=2,malformed=2"] {
            assert_eq!(text.parse::<RequestMix>().unwrap().to_string(), text);
        }
        assert_eq!(" read = 1 , create=2".parse::<RequestMix>().unwrap().to_string(), "create=2,read=1");
    }

    #[test]
    fn what_is_wrong_with_a_mix_is_said() {
        for (text, expected) in [
            ("create", "is not KIND=WEIGHT"),
            ("crate=1", "there are create, advance"),
            ("create=-1", "not a number"),
            ("create=1,create=2", "create is there twice"),
            ("create=0", "every weight is 0"),
            ("", "every weight is 0"),
        ] {
            let error = text.parse::<RequestMix>().unwrap_err();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
    }

    #[test]
    fn kinds_come_by_their_weights_and_the_same_for_a_seed() {
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
