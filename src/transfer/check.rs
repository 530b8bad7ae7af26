//! Checks that a file is a whole export before anything of it is imported.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::{Context, bail};
use api::export::format::{ExportCheck, is_export_end};

use super::lines::{Line, LineReader};
use super::progress::Progress;

/// How to import a file that is not a whole export.
pub(super) const PARTIAL: &str = "to import it nevertheless, add --partial";

/// Checks the lines of one export, or of several exports one after the other.
#[derive(Default)]
pub(super) struct WholeCheck {
    check: ExportCheck,
    /// Whether at least one export has ended.
    has_ended: bool,
}

impl WholeCheck {
    pub(super) fn add(&mut self, line: &[u8]) -> Result<(), String> {
        if is_export_end(line) {
            self.has_ended = true;
            return self.check.finish(line);
        }
        self.check.add(line);
        Ok(())
    }

    /// Whether the lines so far end with the last line of an export.
    pub(super) fn is_whole(&self) -> bool {
        self.has_ended && !self.check.has_lines()
    }
}

/// Fails unless the file consists of one or several whole exports.
pub(super) fn check_file(path: &Path) -> anyhow::Result<()> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let length = file.metadata().ok().map(|data| data.len());
    let mut lines = LineReader::new(BufReader::with_capacity(1 << 20, file));
    let (mut check, mut progress) = (WholeCheck::default(), Progress::new("checking the file", length));
    loop {
        let number = lines.number() + 1;
        let added = match lines.next().with_context(|| format!("cannot read {}", path.display()))? {
            None => break,
            Some(Line::Whole(line)) => check.add(line),
            Some(Line::TooLong) => Err("the line is too long".to_owned()),
        };
        if let Err(reason) = added {
            bail!("line {number}: {reason}. Nothing was imported; {PARTIAL}");
        }
        if number.is_multiple_of(1024) {
            progress.show(number, lines.bytes());
        }
    }
    progress.end();
    if !check.is_whole() {
        bail!(
            "{} does not end with the last line of an export, so it may be cut off. Nothing was imported; {PARTIAL}",
            path.display()
        );
    }
    Ok(())
}
