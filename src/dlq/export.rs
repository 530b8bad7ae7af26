//! `orders dlq export`: letters into files, as the archive on S3 has them.

use std::path::Path;

use anyhow::Context;
use domain::DeadLetter;
use indicatif::{ProgressBar, ProgressStyle};

use super::{FilterArgs, api};
use crate::client::{Client, segment};

pub(super) async fn export(client: &Client, filter: &FilterArgs, folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let (letters, _) = api::list(client, filter, None, usize::MAX).await?;
    let style = ProgressStyle::with_template("{bar:40} {pos} of {len} letters, {eta} left")?;
    let bar = ProgressBar::new(letters.len() as u64).with_style(style);
    let mut written = 0;
    for letter in letters {
        let path = format!("/v1/dead-letters/{}", segment(&letter.id));
        // One that was dealt with meanwhile is none any more.
        let Some(letter) = client.find::<DeadLetter>(&path).await? else { continue };
        let file = folder.join(format!("{}.json", letter.id));
        let json = serde_json::to_vec_pretty(&letter)?;
        std::fs::write(&file, json).with_context(|| format!("writing {}", file.display()))?;
        written += 1;
        bar.inc(1);
    }
    bar.finish_and_clear();
    crate::print(&format!("{written} dead letters written to {}", folder.display()))
}
