//! Exports the logs of all orders, as the port [`LogExport`] defines. `orders export --aws` reads it.
//!
//! A scan finds the first log entry of each order, page by page. Then the log of each order is queried, strongly consistent.
//! DynamoDB has no snapshot: each log is whole, but the logs are read one after another while the service goes on. An order
//! that is created after the scan has passed its partition is missing.

use std::collections::VecDeque;

use anyhow::Context;
use api::ports::OrderReader;
use api::ports::export::{ExportFilter, ExportReader, LogExport};
use async_trait::async_trait;
use domain::{OrderId, RecordedEvent};

use crate::sdk::explain;

use super::Table;
use super::items::{TableItem, event_sk, order_of, text};

/// The number of logs that are read concurrently. Their events are in memory together.
const LOGS_PER_READ: usize = 16;

impl LogExport for Table {
    fn export(&self, filter: ExportFilter) -> Box<dyn ExportReader> {
        Box::new(TableExport { table: self.clone(), filter, orders: VecDeque::new(), next: NextPage::First })
    }
}

/// One export.
struct TableExport {
    table: Table,
    filter: ExportFilter,
    /// The orders whose logs are read next.
    orders: VecDeque<OrderId>,
    next: NextPage,
}

/// The next page of the scan.
enum NextPage {
    First,
    After(TableItem),
    None,
}

#[async_trait]
impl ExportReader for TableExport {
    async fn next(&mut self) -> anyhow::Result<Option<Vec<RecordedEvent>>> {
        if self.orders.is_empty() && !self.scan().await? {
            return Ok(None);
        }
        let count = self.orders.len().min(LOGS_PER_READ);
        let orders: Vec<_> = self.orders.drain(..count).collect();
        let logs =
            self.table.each(&orders, |order_id| Box::pin(self.table.events(order_id, 0, usize::MAX))).await;
        let mut events = Vec::new();
        for (order_id, log) in orders.iter().zip(logs) {
            let log = log.with_context(|| format!("order {order_id}"))?;
            events.extend(
                log.into_iter().filter(|event| self.filter.from.is_none_or(|from| event.recorded_at >= from)),
            );
        }
        Ok(Some(events))
    }
}

impl TableExport {
    /// Reads the next page of the scan. Returns `false` if there is none.
    async fn scan(&mut self) -> anyhow::Result<bool> {
        let start = match std::mem::replace(&mut self.next, NextPage::None) {
            NextPage::None => return Ok(false),
            NextPage::First => None,
            NextPage::After(key) => Some(key),
        };
        let mut scan = self
            .table
            .client
            .scan()
            .table_name(&self.table.name)
            .consistent_read(true)
            .projection_expression("pk")
            .expression_attribute_values(":first", event_sk(1))
            .set_exclusive_start_key(start);
        scan = match &self.filter.customer_id {
            None => scan.filter_expression("sk = :first"),
            Some(customer_id) => scan
                .filter_expression("sk = :first AND customer_id = :customer_id")
                .expression_attribute_values(":customer_id", text(customer_id.as_str())),
        };
        let page = Box::pin(scan.send()).await.map_err(explain).context("scanning the table")?;
        self.orders = page.items().iter().map(order_of).collect::<anyhow::Result<_>>()?;
        self.next = page.last_evaluated_key.map_or(NextPage::None, NextPage::After);
        Ok(true)
    }
}
