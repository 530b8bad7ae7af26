//! Creates folders that survive a power cut. Data folders and backups are created with this module.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Creates the folder and its missing parents, and syncs them so that they survive a power cut. A folder is an entry of
/// its parent, so the parent is synced too.
pub(crate) fn create_durably(path: &Path) -> io::Result<()> {
    let missing: Vec<_> = path.ancestors().take_while(|folder| !folder.exists()).collect();
    fs::create_dir_all(path)?;
    for folder in path.ancestors() {
        let above = folder.parent().filter(|above| !above.as_os_str().is_empty());
        let synced = File::open(above.unwrap_or(Path::new("."))).and_then(|above| above.sync_all());
        if missing.contains(&folder) {
            synced?;
        }
        // Syncing a parent that existed before may fail, if the user of this process may not read it. Such a failure is
        // ignored, because the creator of the parent had to sync it.
    }
    Ok(())
}
