//! Prints orders as tables: one row for each order, for each of its lines, or for each of its payments. `export` passes
//! the events of each order to this module, which folds them.
//!
//! The format is RFC 4180: UTF-8, CRLF, a header row. Amounts are decimals in the currency's major unit. A text that begins
//! with `=`, `+`, `-`, `@`, a tab or a carriage return gets a `'` before it, because a spreadsheet would take it for a
//! formula.

use std::borrow::Cow;
use std::io::{Write, stdout};
use std::path::PathBuf;

use anyhow::{Context, ensure};
use csv::{Terminator, Writer, WriterBuilder};
use domain::order_line::line_ids;
use domain::{Amount, Currency, Order, RecordedEvent, Timestamp};
use tempfile::NamedTempFile;

use super::args::{CsvTable, ExportArgs};

const ORDERS: &[&str] = &[
    "order_id",
    "customer_id",
    "reference",
    "status",
    "payment_status",
    "fulfilment_status",
    "currency",
    "total",
    "captured",
    "refunded",
    "balance",
    "created_at",
    "updated_at",
    "version",
];
const LINES: &[&str] = &[
    "order_id",
    "customer_id",
    "line_id",
    "sku",
    "name",
    "currency",
    "unit_price",
    "quantity",
    "cancelled",
    "shipped",
    "delivered",
    "returned",
];
const PAYMENTS: &[&str] = &[
    "order_id",
    "customer_id",
    "payment_id",
    "method",
    "currency",
    "authorized",
    "voided",
    "captured",
    "refunded",
];

impl CsvTable {
    const ALL: [Self; 3] = [Self::Orders, Self::Lines, Self::Payments];

    fn name(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Lines => "lines",
            Self::Payments => "payments",
        }
    }

    fn header(self) -> &'static [&'static str] {
        match self {
            Self::Orders => ORDERS,
            Self::Lines => LINES,
            Self::Payments => PAYMENTS,
        }
    }

    fn rows(self, order: &Order) -> Vec<Vec<Cow<'_, str>>> {
        match self {
            Self::Orders => vec![order_row(order)],
            Self::Lines => line_rows(order),
            Self::Payments => payment_rows(order),
        }
    }
}

/// The tables, while they are written.
pub(super) struct CsvTables {
    tables: Vec<OpenTable>,
    from: Option<Timestamp>,
    /// The order whose events are being folded.
    order: Option<Order>,
    /// Whether an event of the order was recorded at `from` or later.
    is_selected: bool,
}

struct OpenTable {
    table: CsvTable,
    out: Writer<Box<dyn Write + Send>>,
    /// The file that is being written, and the path that it gets when it is complete.
    file: Option<(NamedTempFile, PathBuf)>,
}

impl CsvTables {
    pub(super) fn open(args: &ExportArgs) -> anyhow::Result<Self> {
        let tables = match (&args.folder, args.csv_table) {
            (Some(folder), _) => {
                std::fs::create_dir_all(folder)
                    .with_context(|| format!("cannot create {}", folder.display()))?;
                CsvTable::ALL
                    .iter()
                    .map(|table| OpenTable::in_folder(*table, folder))
                    .collect::<Result<_, _>>()?
            }
            (None, table) => {
                vec![OpenTable::new(table.unwrap_or(CsvTable::Orders), Box::new(stdout()), None)?]
            }
        };
        Ok(Self { tables, from: args.from, order: None, is_selected: false })
    }

    /// Adds the next event of the order that is being added, or the first event of the next order.
    pub(super) fn add(&mut self, event: &RecordedEvent) -> anyhow::Result<()> {
        let order_id = &event.envelope.order_id;
        if self.order.as_ref().is_some_and(|order| order.order_id != *order_id) {
            self.write()?;
        }
        let folded = Order::apply(self.order.take(), event);
        self.order = Some(folded.with_context(|| format!("order {order_id} cannot be folded"))?);
        self.is_selected |= self.from.is_none_or(|from| event.recorded_at >= from);
        Ok(())
    }

    /// Writes the rows of the order whose events were added.
    fn write(&mut self) -> anyhow::Result<()> {
        let Some(order) = self.order.take() else { return Ok(()) };
        if std::mem::take(&mut self.is_selected) {
            for OpenTable { table, out, .. } in &mut self.tables {
                for row in table.rows(&order) {
                    out.write_record(row.iter().map(|cell| cell.as_bytes()))?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn end(mut self) -> anyhow::Result<()> {
        self.write()?;
        self.tables.into_iter().try_for_each(OpenTable::end)
    }
}

impl OpenTable {
    fn new(
        table: CsvTable,
        out: Box<dyn Write + Send>,
        file: Option<(NamedTempFile, PathBuf)>,
    ) -> anyhow::Result<Self> {
        let mut out = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(out);
        out.write_record(table.header())?;
        Ok(Self { table, out, file })
    }

    /// Creates a file that gets the table's name when it is complete.
    fn in_folder(table: CsvTable, folder: &std::path::Path) -> anyhow::Result<Self> {
        let name = folder.join(format!("{}.csv", table.name()));
        ensure!(
            !name.exists(),
            "{} already exists and was not replaced: choose another folder",
            name.display()
        );
        // The tables contain customer data: only the owner may read a temporary file, and nothing is left of an export that fails.
        let file = NamedTempFile::new_in(folder);
        let file = file.with_context(|| format!("cannot write into {}", folder.display()))?;
        let out = Box::new(file.reopen()?);
        Self::new(table, out, Some((file, name)))
    }

    fn end(mut self) -> anyhow::Result<()> {
        self.out.flush()?;
        if let Some((file, name)) = self.file {
            let cannot_write = || format!("cannot write {}", name.display());
            file.as_file().sync_all().with_context(cannot_write)?;
            file.persist_noclobber(&name).with_context(cannot_write)?;
        }
        Ok(())
    }
}

fn order_row(order: &Order) -> Vec<Cow<'_, str>> {
    let money = order.money();
    let amount = |minor| Cow::from(decimal(minor, order.currency));
    vec![
        text(order.order_id.as_str()),
        text(order.customer_id.as_str()),
        text(order.reference.as_ref().map_or("", |reference| reference.as_str())),
        order.status.as_str().into(),
        order.payment_status().as_str().into(),
        order.fulfilment_status().as_str().into(),
        order.currency.as_str().into(),
        amount(order.total.minor()),
        amount(money.captured),
        amount(money.refunded),
        amount(money.balance),
        order.created_at.to_string().into(),
        order.updated_at.to_string().into(),
        order.version.to_string().into(),
    ]
}

fn line_rows(order: &Order) -> Vec<Vec<Cow<'_, str>>> {
    let ids = line_ids(&order.items);
    let row = |(line, id): (&'_ domain::OrderLine, Cow<'_, str>)| {
        let count = |count: u32| Cow::from(count.to_string());
        vec![
            text(order.order_id.as_str()),
            text(order.customer_id.as_str()),
            Cow::from(text(&id).into_owned()),
            Cow::from(text(line.sku.as_str()).into_owned()),
            Cow::from(text(line.name.as_ref().map_or("", |name| name.as_str())).into_owned()),
            order.currency.as_str().into(),
            optional(line.unit_price, order.currency),
            count(line.quantity.get()),
            count(line.cancelled),
            count(line.shipped),
            count(line.delivered),
            count(line.returned),
        ]
    };
    order.items.iter().zip(ids).map(row).collect()
}

fn payment_rows(order: &Order) -> Vec<Vec<Cow<'_, str>>> {
    let row = |payment: &'_ domain::payments::Payment| {
        vec![
            text(order.order_id.as_str()),
            text(order.customer_id.as_str()),
            Cow::from(text(payment.payment_id.as_ref().map_or("", |id| id.as_str())).into_owned()),
            Cow::from(text(payment.method.as_ref().map_or("", |method| method.as_str())).into_owned()),
            order.currency.as_str().into(),
            optional(payment.authorized, order.currency),
            payment.voided.to_string().into(),
            decimal(payment.captured.minor(), order.currency).into(),
            decimal(payment.refunded.minor(), order.currency).into(),
        ]
    };
    order.payments.iter().map(row).collect()
}

/// Escapes a text from a client, so that no spreadsheet takes it for a formula.
fn text(text: &str) -> Cow<'_, str> {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}").into() } else { text.into() }
}

fn optional(amount: Option<Amount>, currency: Currency) -> Cow<'static, str> {
    amount.map_or(Cow::from(""), |amount| decimal(amount.minor(), currency).into())
}

/// An amount as a decimal in the currency's major unit.
fn decimal(minor: i64, currency: Currency) -> String {
    let decimals = usize::from(currency.decimals());
    let sign = if minor < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", minor.unsigned_abs(), width = decimals + 1);
    let (major, rest) = digits.split_at(digits.len() - decimals);
    if rest.is_empty() { format!("{sign}{major}") } else { format!("{sign}{major}.{rest}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_the_decimals_of_their_currency() {
        for (minor, code, shown) in [
            (450, "EUR", "4.50"),
            (5, "EUR", "0.05"),
            (0, "EUR", "0.00"),
            (-1234, "USD", "-12.34"),
            (500, "JPY", "500"),
            (12345, "BHD", "12.345"),
            (9_007_199_254_740_991, "EUR", "90071992547409.91"),
        ] {
            assert_eq!(decimal(minor, Currency::parse(code).unwrap()), shown);
        }
    }

    #[test]
    fn a_text_is_never_a_formula() {
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"] {
            assert_eq!(text(formula), format!("'{formula}"));
        }
        assert_eq!(text("tea = good"), "tea = good");
    }
}
