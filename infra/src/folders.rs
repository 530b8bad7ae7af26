//! Creates folders so that they survive a power cut. Data folders and backups use it.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Creates the folder and its missing parents so that they survive a power cut. Each folder is an entry of its parent,
/// so the parent must be synced.
pub(crate) fn create_durably(path: &Path) -> io::Result<()> {
    let missing: Vec<_> = path.ancestors().take_while(|folder| !folder.exists()).collect();
    fs::create_dir_all(path)?;
    for folder in path.ancestors() {
        let above = folder.parent().filter(|above| !above.as_os_str().is_empty());
        let synced = File::open(above.unwrap_or(Path::new("."))).and_then(|above| above.sync_all());
        if missing.contains(&folder) {
            synced?;
        }
        // The sync of a parent that existed before may fail, because this user may lack the permission to read it.
        // Whoever created that parent had to sync it.
    }
    Ok(())
}
