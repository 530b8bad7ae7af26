//! Data folders of earlier formats. Opening such a folder keeps everything in it, and gives it the current format.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;

use crate::damage::copy;
use crate::support::service::{Service, order, run};

/// The order in the golden folder that was confirmed and paid.
const PAID: &str = "a43c4bc3-0e46-5b66-a079-1aa00e5fbf5c";

fn golden(format: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/golden/folders").join(format);
    copy(&golden, folder.path());
    // The service left a LOCK that is not locked, and a copy of the folder contains it.
    File::create(folder.path().join("LOCK")).unwrap();
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_format_3_is_upgraded_with_everything_in_it() {
    let folder = golden("format-3");
    let data = folder.path();
    fs::set_permissions(data.join("store"), fs::Permissions::from_mode(0o755)).unwrap();
    let mut service = Service::start(data, &[]);
    let (status, paid) = service.get(&format!("/v1/orders/{PAID}")).await;
    assert_eq!((status.as_u16(), &paid["status"], &paid["version"]), (200, &"paid".into(), &3.into()));
    let (_, pipeline) = service.get("/v1/pipeline").await;
    let ledger = &pipeline["ledger"];
    assert_eq!(
        (&ledger["accepted"], &ledger["recorded"], &ledger["rejected"]),
        (&6.into(), &5.into(), &1.into())
    );
    let receipt = service.accept("/v1/orders", &order("c-1")).await;
    assert_eq!(service.outcome(&receipt).await["state"], "recorded");
    assert!(service.terminate().success());

    assert_eq!(fs::read_to_string(data.join("FORMAT")).unwrap(), "orders data folder, format 4\n");
    assert_eq!(fs::metadata(data.join("store")).unwrap().permissions().mode() & 0o777, 0o700);
    let check = run(&["rebuild", "--check"], data);
    let text = String::from_utf8_lossy(&check.stdout).into_owned();
    assert!(check.status.success() && text.starts_with("6 events of 4 orders"), "{text}");

    // From now on the extent is stored, and covers older events too.
    let journal = File::options().write(true).open(data.join("store/0.jnl")).unwrap();
    journal.set_len(200).unwrap();
    let refused = run(&["export"], data);
    let error = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && error.contains("store/0.jnl cannot be read from byte"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_upgrade_continues_with_the_next_start() {
    let folder = golden("format-3");
    let data = folder.path();
    assert!(run(&["export"], data).status.success());
    // Simulates a power cut before FORMAT was replaced: EXTENT and the numbered commit exist already.
    fs::write(data.join("FORMAT"), "orders data folder, format 3\n").unwrap();
    for _ in 0..2 {
        let export = run(&["export"], data);
        assert_eq!(String::from_utf8(export.stdout).unwrap().lines().count(), 5);
        assert_eq!(fs::read_to_string(data.join("FORMAT")).unwrap(), "orders data folder, format 4\n");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_folder_is_readable_for_its_own_user_only() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("above").join("data");
    let mut service = Service::start(&data, &[]);
    service.accept("/v1/orders", &order("c-1")).await;
    assert!(service.terminate().success());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&data), mode(&data.join("store"))), (0o700, 0o700));
    for file in crate::damage::files(&data) {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}
