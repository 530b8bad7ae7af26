//! Implements `orders dlq export`, which writes dead letters to files in the format of the S3 archive. Ids from the
//! service are checked before they become file names. Existing files are never replaced.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use anyhow::{Context, bail, ensure};
use domain::DeadLetter;
use indicatif::{ProgressBar, ProgressStyle};

use super::ids::checked_id;
use super::{FilterArgs, api, files, print_untrusted};
use crate::api_client::ApiClient;

pub(super) async fn export(client: &ApiClient, filter: &FilterArgs, folder: &Path) -> anyhow::Result<()> {
    // Dead letters contain customer data: only the owner may read the folder.
    let created = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    created.with_context(|| format!("cannot create {}", folder.display()))?;
    let (letters, _) = api::list(client, filter, None, usize::MAX).await?;
    let style = ProgressStyle::with_template("{bar:40} {pos} of {len} dead letters, {eta} left")?;
    let bar = ProgressBar::new(letters.len() as u64).with_style(style);
    let (mut written, mut refused) = (0, Vec::new());
    for letter in letters {
        match export_one(client, &letter.id, folder).await? {
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
    bail!("{} dead letters could not be written; see the list above", refused.len())
}

/// Writes one dead letter to a file. Returns the number of written files: 0 or 1. The inner error concerns only this
/// dead letter. The outer error ends the export.
async fn export_one(client: &ApiClient, id: &str, folder: &Path) -> anyhow::Result<anyhow::Result<u64>> {
    if let Err(error) = checked_id(id) {
        return Ok(Err(error.context("the service returned an id that cannot be a file name")));
    }
    // The dead letter may have been redriven or discarded since it was listed.
    let Some(letter) = client.find::<DeadLetter>(&api::dead_letter_path(id)?).await? else {
        return Ok(Ok(0));
    };
    if letter.id != id {
        return Ok(Err(anyhow::anyhow!("the service answered with {:?} to a request for {id}", letter.id)));
    }
    Ok(write(&folder.join(format!("{id}.json")), &serde_json::to_vec_pretty(&letter)?).map(|()| 1))
}

/// Creates a file. If the file exists with the same content, nothing needs to be done. If it exists with other content,
/// returns an error and does not change the file.
fn write(file: &Path, json: &[u8]) -> anyhow::Result<()> {
    let at = || format!("cannot write {}", file.display());
    // `create_new` fails if the path is a link, so links are not followed.
    let new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    match new {
        Ok(mut new) => new.write_all(json).with_context(|| {
            // A partly written file must not look like a dead letter.
            let _ = std::fs::remove_file(file);
            at()
        }),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let same = files::read(file).is_ok_and(|there| there == json);
            ensure!(
                same,
                "{} already exists with other content and was not replaced: choose another folder",
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
    fn no_file_is_replaced_and_no_link_is_followed() {
        let folder = tempfile::TempDir::new().unwrap();
        let file = folder.path().join("a.json");
        write(&file, b"{}").unwrap();
        write(&file, b"{}").unwrap();
        let error = write(&file, b"{ }").unwrap_err().to_string();
        assert!(error.contains("was not replaced"), "{error}");
        assert_eq!(std::fs::read(&file).unwrap(), b"{}");

        let (target, link) = (folder.path().join("target"), folder.path().join("b.json"));
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(write(&link, b"{}").is_err());
        assert!(!target.exists());
        std::fs::write(&target, "{}").unwrap();
        assert!(write(&link, b"{}").is_err(), "a link is refused even if its target has the same content");
    }
}
