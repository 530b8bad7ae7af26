//! Prints lists on a terminal, as tables with aligned columns or as lines of JSON. The commands that list something use
//! this module.

#[cfg(feature = "dlq")]
use serde::Serialize;

use crate::style::without_controls;

/// A list to print.
#[cfg(feature = "dlq")]
pub(crate) struct Listing<'a, T> {
    pub(crate) items: &'a [T],
    /// Whether to print one line of JSON for each item.
    pub(crate) json: bool,
    /// The text for an empty list.
    pub(crate) nothing: &'a str,
    /// The `--limit` that the list has reached, if there are further items.
    pub(crate) reached: Option<usize>,
}

#[cfg(feature = "dlq")]
impl<T: Serialize> Listing<'_, T> {
    /// Prints the list. `table` makes the lines of the table.
    pub(crate) fn print(&self, table: impl Fn(&[T]) -> Vec<String>) -> anyhow::Result<()> {
        if self.json {
            return self.items.iter().try_for_each(|item| crate::print(&serde_json::to_string(item)?));
        }
        if self.items.is_empty() {
            return crate::print(self.nothing);
        }
        table(self.items).iter().try_for_each(|line| crate::print(line))?;
        match self.reached {
            Some(limit) => crate::print(&format!("… and more; list them with --limit {}", limit * 10)),
            None => Ok(()),
        }
    }
}

/// The lines of a table. Each column is as wide as its widest cell.
pub(crate) fn aligned<const N: usize>(
    head: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> Vec<String> {
    lines(std::iter::once(head.map(str::to_owned)).chain(rows))
}

/// The lines of a list of names and values. The values begin in the same column.
#[cfg(feature = "embedded")]
pub(crate) fn fields(rows: impl IntoIterator<Item = [String; 2]>) -> Vec<String> {
    lines(rows)
}

fn lines<const N: usize>(rows: impl IntoIterator<Item = [String; N]>) -> Vec<String> {
    let clean = |row: [String; N]| row.map(|cell| without_controls(&cell).replace('\n', " "));
    let rows: Vec<_> = rows.into_iter().map(clean).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..N).map(width).collect();
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}
