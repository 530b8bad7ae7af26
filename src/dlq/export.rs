//! `orders dlq export`: letters into files, as the archive on S3 has them. What the service names is checked before it is a
//! path, and no file that is there is replaced.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use anyhow::{Context, bail, ensure};
use domain::DeadLetter;
use indicatif::{ProgressBar, ProgressStyle};

use super::ids::checked_id;
use super::{FilterArgs, api, files, print_untrusted};
use crate::api_client::{ApiClient, segment};

pub(super) async fn export(client: &ApiClient, filter: &FilterArgs, folder: &Path) -> anyhow::Result<()> {
    // Letters are about customers.
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.with_context(|| format!("making {}", folder.display()))?;
    let (letters, _) = api::list(client, filter, None, usize::MAX).await?;
    let style = ProgressStyle::with_template("{bar:40} {pos} of {len} letters, {eta} left")?;
    let bar = ProgressBar::new(letters.len() as u64).with_style(style);
    let (mut written, mut refused) = (0, Vec::new());
    for letter in letters {
        match one(client, &letter.id, folder).await? {
            Ok(count) => written += count,
            Err(why) => refused.push(format!("{why:#}")),
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    crate::print(&format!("{written} dead letters written to {}", folder.display()))?;
    if refused.is_empty() {
        return Ok(());
    }
    refused.iter().try_for_each(|why| print_untrusted(&format!("not written: {why}")))?;
    bail!("{} could not be written; they are listed above", refused.len())
}

/// Writes one letter, and gives how many that were; the inner error is about this letter alone.
async fn one(client: &ApiClient, id: &str, folder: &Path) -> anyhow::Result<anyhow::Result<u64>> {
    if let Err(error) = checked_id(id) {
        return Ok(Err(error.context("the service named a letter so that it cannot be a file")));
    }
    // One that was dealt with meanwhile is none any more.
    let Some(letter) = client.find::<DeadLetter>(&format!("/v1/dead-letters/{}", segment(id))).await? else {
        return Ok(Ok(0));
    };
    if letter.id != id {
        return Ok(Err(anyhow::anyhow!("the service gave {:?} when it was asked for {id}", letter.id)));
    }
    Ok(write(&folder.join(format!("{id}.json")), &serde_json::to_vec_pretty(&letter)?).map(|()| 1))
}

/// Writes a file that is not there. One that is there with the same content is right; anything else is left alone.
fn write(file: &Path, json: &[u8]) -> anyhow::Result<()> {
    let at = || format!("writing {}", file.display());
    // A link is there, wherever it leads.
    let new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    match new {
        Ok(mut new) => new.write_all(json).with_context(|| {
            // Half a letter is none.
            let _ = std::fs::remove_file(file);
            at()
        }),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let same = files::read(file).is_ok_and(|there| there == json);
            ensure!(
                same,
                "{} is there already, with another content, and is left alone: choose another folder",
                file.display()
            );
            Ok(())
        }
        Err(error) => Err(error).with_context(at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_is_replaced_and_no_link_followed() {
        let folder = tempfile::TempDir::new().unwrap();
        let file = folder.path().join("a.json");
        write(&file, b"{}").unwrap();
        write(&file, b"{}").unwrap();
        let error = write(&file, b"{ }").unwrap_err().to_string();
        assert!(error.contains("left alone"), "{error}");
        assert_eq!(std::fs::read(&file).unwrap(), b"{}");

        let (target, link) = (folder.path().join("target"), folder.path().join("b.json"));
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(write(&link, b"{}").is_err());
        assert!(!target.exists());
        std::fs::write(&target, "{}").unwrap();
        assert!(write(&link, b"{}").is_err(), "also where the content would be the same");
    }
}
