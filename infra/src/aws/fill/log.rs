//! Imports recorded events into the table in the order of their positions, and compares the events with the table. The
//! parent module calls these functions.

use std::collections::HashMap;

use anyhow::{bail, ensure};
use consumer::import::{ImportLine, plan};
use domain::EventId;

use crate::backup::record::LogRecord;
use crate::embedded::backup::decode;

use super::{Fill, FillStep};

/// The events of a part of the source.
struct EventLines {
    /// The events to import, each with its position.
    lines: Vec<ImportLine>,
    messages: HashMap<EventId, String>,
}

impl Fill<'_> {
    /// Imports the events of a part, and records in the marker that the table contains them. `end` is the last position
    /// of the source.
    pub(super) async fn import(&mut self, records: &[LogRecord], end: u64) -> anyhow::Result<()> {
        let EventLines { mut lines, messages } = self.lines(records)?;
        while !lines.is_empty() {
            let plan = plan(&self.target.table, lines.clone(), true).await?;
            self.target.table.import_included(&plan.appends, &messages).await?;
            let done = plan.accepted.len();
            match plan.refused.into_iter().next() {
                None => break,
                // A reference can move from one order to another within a part. The import of the second order is
                // refused until the first order has given up the reference.
                Some(_) if done > 0 => lines.drain(..done).for_each(drop),
                Some(refused) => bail!("position {}: {}", refused.number, refused.reason),
            }
        }
        let Some(last) = records.last() else { return Ok(()) };
        self.marker.copied = last.last();
        self.target.table.put_fill_marker(&self.marker).await?;
        self.show(FillStep::Events, self.marker.copied, end);
        Ok(())
    }

    fn lines(&self, records: &[LogRecord]) -> anyhow::Result<EventLines> {
        let (mut lines, mut messages) = (Vec::with_capacity(records.len()), HashMap::new());
        for record in records {
            let LogRecord::Event(record) = record else { continue };
            let (event, message) = decode::event(record, self.target.default_currency)?;
            messages.extend(message.map(|message| (event.envelope.event_id, message)));
            lines.push(ImportLine { number: record.position, event });
        }
        Ok(EventLines { lines, messages })
    }

    /// Compares the events of a part with the table. Returns the number of events.
    pub(super) async fn compare_part(&self, records: &[LogRecord]) -> anyhow::Result<u64> {
        let EventLines { lines, .. } = self.lines(records)?;
        let wanted: Vec<_> =
            lines.iter().map(|line| (line.event.envelope.order_id.clone(), line.event.version)).collect();
        let found = self.target.table.log_entries(&wanted).await?;
        for (line, found) in lines.iter().zip(&found) {
            let (order_id, version) = (&line.event.envelope.order_id, line.event.version);
            ensure!(
                line.event == *found,
                "position {}: version {version} of order {order_id} differs from the source",
                line.number
            );
        }
        Ok(lines.len() as u64)
    }

    /// Fails if the table has log entries that were not compared.
    pub(super) async fn check_count(&self, events: u64) -> anyhow::Result<()> {
        let found = self.target.table.count_log_entries().await?;
        ensure!(found == events, "the table has {found} log entries, and the source {events}");
        Ok(())
    }
}
