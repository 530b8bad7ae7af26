//! Divides a limited number of slots among networks, so that one address cannot keep others out. The slots for
//! connections and for streams of events use this module.

/// A number of slots, the last of which are reserved for networks with less than their share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FairShare {
    max: usize,
    share: usize,
    reserve: usize,
}

impl FairShare {
    /// Allows `max` slots. While less than an eighth of them is free, one network gets at most `share` slots.
    pub(crate) fn new(max: usize, share: usize) -> Self {
        let share = share.clamp(1, max.max(1));
        // Slots are reserved only if the share of a network is limited.
        Self { max, share, reserve: if share < max { max / 8 } else { 0 } }
    }

    /// The number of slots.
    pub(crate) fn max(self) -> usize {
        self.max
    }

    /// How many slots a network may have while only reserved slots are free.
    pub(crate) fn share(self) -> usize {
        self.share
    }

    /// Whether a network with `held` slots has used up its share. If shares are not limited, the result is false.
    pub(crate) fn is_used_up(self, held: usize) -> bool {
        held >= self.share && self.share < self.max
    }

    /// Whether a network that has `held` of the `used` slots may take another one.
    pub(crate) fn has_room(self, used: usize, held: usize) -> bool {
        let reserve = if self.is_used_up(held) { self.reserve } else { 0 };
        self.max.saturating_sub(used) > reserve
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_eighth_is_for_networks_with_less_than_their_share() {
        let slots = FairShare::new(16, 4);
        for (used, held, has_room) in
            [(13, 13, true), (14, 14, false), (14, 4, false), (14, 3, true), (15, 0, true), (16, 0, false)]
        {
            assert_eq!(slots.has_room(used, held), has_room, "{used}, {held}");
        }
    }

    #[test]
    fn nothing_is_reserved_if_a_network_may_have_all() {
        let slots = FairShare::new(16, 16);
        assert!(slots.has_room(15, 15) && !slots.has_room(16, 16) && !slots.is_used_up(16));
        assert_eq!(FairShare::new(16, 99), slots);
        assert!(!FairShare::new(0, 1).has_room(0, 0));
    }
}
