//! The source of an export: a data folder that no service is using, a running service, or a table on AWS.

use api::ports::export::{ExportReader, LogExport};
use infra::embedded::{Embedded, OpenError};

use super::args::ExportArgs;
use crate::embedded::open_existing;

pub(super) struct ExportSource {
    pub(super) reader: Box<dyn ExportReader>,
    /// The engine of the data folder. It is dropped after the reader, because its threads end only when nothing reads.
    _engine: Option<Embedded>,
    /// The approximate number of events, if it is known.
    pub(super) about: Option<u64>,
}

impl ExportSource {
    pub(super) async fn open(args: &ExportArgs) -> anyhow::Result<Self> {
        let filter = args.filter();
        #[cfg(feature = "dlq")]
        if let Some(url) = &args.service.url {
            let reader = super::remote::open(args, url, &filter).await?;
            return Ok(Self { reader: Box::new(reader), _engine: None, about: None });
        }
        #[cfg(feature = "aws")]
        if args.table.aws {
            let table = crate::aws::transfer_table(&args.table, args.data.default_currency).await?;
            return Ok(Self { reader: table.export(filter), _engine: None, about: None });
        }
        let engine = open_existing(&args.data).await.map_err(with_hint)?;
        let about = filter.customer_id.is_none().then(|| engine.approximate_events());
        Ok(Self { reader: engine.export(filter), _engine: Some(engine), about })
    }
}

/// Explains how to export from a folder that a service is using.
fn with_hint(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref::<OpenError>() {
        Some(OpenError::InUse(_)) if cfg!(feature = "dlq") => {
            error.context("a running service can export its events itself: add --url with its address")
        }
        _ => error,
    }
}
