//! The positions between the cursor and the last position that was read. `Deliveries` uses the window to move the
//! cursor.

use std::collections::BTreeSet;

/// The events that were read from the feed and are not finished.
#[derive(Debug, Clone, Default)]
pub(crate) struct Window {
    /// Every event up to this position was read.
    pub(crate) read_to: u64,
    /// The positions of events that were read and neither delivered nor handed to a held order.
    unfinished: BTreeSet<u64>,
}

impl Window {
    /// A window that begins after `position`.
    pub(crate) fn starting_at(position: u64) -> Self {
        Self { read_to: position, unfinished: BTreeSet::new() }
    }

    /// The position up to which every event is finished.
    pub(crate) fn cursor(&self) -> u64 {
        self.unfinished.first().map_or(self.read_to, |first| first - 1)
    }

    pub(crate) fn add(&mut self, position: u64) {
        self.unfinished.insert(position);
    }

    pub(crate) fn finish(&mut self, position: u64) {
        self.unfinished.remove(&position);
    }

    pub(crate) fn len(&self) -> usize {
        self.unfinished.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_stops_before_the_first_unfinished_event() {
        let mut window = Window::starting_at(10);
        assert_eq!(window.cursor(), 10);
        window.read_to = 15;
        [12, 14].into_iter().for_each(|position| window.add(position));
        assert_eq!(window.cursor(), 11);
        window.finish(14);
        assert_eq!(window.cursor(), 11);
        window.finish(12);
        assert_eq!(window.cursor(), 15);
    }
}
