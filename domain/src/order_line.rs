//! A line of an order with its counters. [`crate::order`] contains the lines. [`crate::guard`] and [`crate::fold`] use
//! this module to find the units that an event concerns.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::lines::{LineId, LineItem, LineQuantity, Sku, line_id};
use crate::money::{Amount, Quantity};
use crate::value::Text;

/// A line of an order, with the numbers of its cancelled, shipped, delivered and returned units.
///
/// The counters always satisfy `cancelled + shipped ≤ quantity` and `returned ≤ delivered ≤ shipped`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderLine {
    /// The client's id of the line. If absent, the id is the number of the line ([`line_ids`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line_id: Option<LineId>,
    /// The product.
    pub sku: Sku,
    /// The product's name, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Text<200>>,
    /// The number of ordered units.
    pub quantity: Quantity,
    /// The price of one unit, in minor units. Absent only if a v0 producer stated a total without prices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_price: Option<Amount>,
    /// Units that were cancelled, and so will not be shipped.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cancelled: u32,
    /// Units that were shipped.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub shipped: u32,
    /// Shipped units that were delivered.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub delivered: u32,
    /// Delivered units that were returned.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub returned: u32,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl OrderLine {
    /// Units that can still be shipped or cancelled.
    pub fn left(&self) -> u32 {
        self.quantity.get().saturating_sub(self.cancelled).saturating_sub(self.shipped)
    }

    /// Units that were shipped and are not delivered.
    pub fn in_transit(&self) -> u32 {
        self.shipped.saturating_sub(self.delivered)
    }

    /// Units that can be returned.
    pub fn returnable(&self) -> u32 {
        self.delivered.saturating_sub(self.returned)
    }

    /// Units that are neither cancelled nor returned. The customer pays for these units.
    pub fn remaining(&self) -> u32 {
        self.quantity.get().saturating_sub(self.cancelled).saturating_sub(self.returned)
    }

    pub(crate) fn ordered_price(&self) -> i128 {
        i128::from(self.unit_price.map_or(0, Amount::minor)) * i128::from(self.quantity.get())
    }

    /// The price of the remaining units.
    pub(crate) fn price(&self) -> i128 {
        i128::from(self.unit_price.map_or(0, Amount::minor)) * i128::from(self.remaining())
    }
}

impl From<&LineItem> for OrderLine {
    fn from(item: &LineItem) -> Self {
        let LineItem { line_id, sku, name, quantity, unit_price } = item.clone();
        let (cancelled, shipped, delivered, returned) = (0, 0, 0, 0);
        Self { line_id, sku, name, quantity, unit_price, cancelled, shipped, delivered, returned }
    }
}

/// The id of each line, in the order of the lines: the client's id, or otherwise the number of the line.
pub fn line_ids(lines: &[OrderLine]) -> impl Iterator<Item = Cow<'_, str>> {
    lines.iter().enumerate().map(|(index, line)| line_id(line.line_id.as_ref(), index))
}

/// Finds lines by their ids. Each search starts after the line that was found last, because clients usually name lines
/// in order.
pub(crate) struct LineFinder<'a> {
    lines: &'a [OrderLine],
    next: usize,
}

impl<'a> LineFinder<'a> {
    pub(crate) fn new(lines: &'a [OrderLine]) -> Self {
        Self { lines, next: 0 }
    }

    /// The index of the line with the given id.
    pub(crate) fn find(&mut self, id: &str) -> Option<usize> {
        let indexes = (self.next..self.lines.len()).chain(0..self.next);
        let found = LineId::find(indexes.map(|index| (index, self.lines[index].line_id.as_ref())), id)?;
        self.next = found + 1;
        Some(found)
    }
}

/// Converts the units that an event concerns to pairs of a line's index and a number of units. If the event names no
/// units, it concerns all units that `available` counts. Returns `None` if the event names a line that does not
/// exist.
pub(crate) fn units(
    lines: &[OrderLine],
    given: Option<&[LineQuantity]>,
    available: fn(&OrderLine) -> u32,
) -> Option<Vec<(usize, u32)>> {
    let Some(given) = given else {
        let all = lines.iter().map(available).enumerate();
        return Some(all.filter(|(_, count)| *count > 0).collect());
    };
    let mut finder = LineFinder::new(lines);
    given.iter().map(|line| Some((finder.find(line.line_id.as_str())?, line.quantity.get()))).collect()
}

/// Converts pairs of a line's index and a number of units to the form that events and shipments contain.
pub(crate) fn line_quantities(lines: &[OrderLine], units: &[(usize, u32)]) -> Vec<LineQuantity> {
    let quantity = |(index, count): &(usize, u32)| {
        let id = line_id(lines[*index].line_id.as_ref(), *index);
        let line_id = LineId::parse(&id).ok()?;
        Some(LineQuantity { line_id, quantity: Quantity::parse(i64::from(*count)).ok()? })
    };
    units.iter().filter_map(quantity).collect()
}
