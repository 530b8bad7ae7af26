//! Implements `orders restore --aws`. The backup is first restored into a scratch folder, with all checks of a restore.
//! AWS is then filled from that folder.

use infra::aws::fill::{Begun, Fill, FillReport, FillSource};
use infra::backup::source::BackupSource;
use infra::embedded::Embedded;
use infra::embedded::backup::BackupPace;
use infra::embedded::restore::RestoreReport;
use serde_json::json;

use super::DataArgs;
use super::restore::{QueueChoice, RestoreArgs, describe, print_report, restore_to};
use crate::aws::fill::{self, FillDisplay};
use crate::table::fields;

/// Restores to AWS, and prints what was restored.
pub(super) async fn restore(args: &RestoreArgs) -> anyhow::Result<()> {
    let target = fill::target(&args.table.table, &args.fill, args.data.default_currency).await?;
    let parent = args.scratch.clone().unwrap_or_else(std::env::temp_dir);
    let scratch = tempfile::Builder::new().prefix("orders-restore-").tempdir_in(&parent);
    let scratch = scratch
        .map_err(|error| anyhow::anyhow!("cannot make a scratch folder in {}: {error}", parent.display()))?;
    let data = scratch.path().join("data");
    let restored = restore_to(args, data.clone()).await?;
    let folder = DataArgs { data, default_currency: args.data.default_currency };
    let engine = super::open_existing(&folder).await?;
    let display = FillDisplay::new();
    let show = |progress| display.show(progress);
    let work = work_of(&restored, args.queue);
    let filled = match Fill::begin(target, engine.folder_name(), &work, &show).await? {
        Begun::Done { at, .. } => {
            return print_report(args, &format!("{work} was completed at {at}; there is nothing to do"));
        }
        Begun::Going(fill) => fill.complete(&ScratchFolder(engine), &work).await?,
    };
    drop(display);
    print_report(args, &text_of(args, &restored, &filled)?)
}

/// Identifies the restore by a text, which the marker in the table contains. A restore that was killed is continued
/// only by a restore with the same text.
fn work_of(restored: &RestoreReport, queue: QueueChoice) -> String {
    let state = match &restored.state {
        Some(state) => format!("with the state of increment {}", state.increment),
        None => "without other state".to_owned(),
    };
    let queue = match queue {
        QueueChoice::Again => "queued again",
        QueueChoice::List => "listed",
    };
    format!("a restore to position {} {state}, its messages {queue}", restored.position)
}

fn text_of(args: &RestoreArgs, restored: &RestoreReport, filled: &FillReport) -> anyhow::Result<String> {
    if args.json {
        return Ok(serde_json::to_string_pretty(&json!({ "restored": restored, "aws": filled }))?);
    }
    Ok(format!("{}\n{}", describe(restored), fields(fill::describe(filled)).join("\n")))
}

/// The scratch folder as the source of the fill. Nobody else uses the folder.
struct ScratchFolder(Embedded);

#[async_trait::async_trait]
impl FillSource for ScratchFolder {
    async fn open(&self) -> anyhow::Result<Box<dyn BackupSource>> {
        Ok(Box::new(self.0.backup_source(BackupPace::Alone)))
    }
}
