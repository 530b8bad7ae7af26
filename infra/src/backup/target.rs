//! The target of a backup: a folder, or a prefix of an S3 bucket. Backups write to the target, and restores and
//! verifications read from it. A write returns when it is durable. In a folder, the file and its folder are synced.

use std::fmt;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::TryStreamExt;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ClientOptions, ObjectStore, ObjectStoreExt, PutMode, PutPayload};

use super::error::BackupError;
use super::local_folder;
use super::manifest::Manifest;
use super::segment::{FileHash, SegmentRef, unpack};

/// How long one request to a bucket may take. A segment has a size of a few MiB.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(120);

/// A folder or a prefix of a bucket. Cheap to clone.
#[derive(Clone)]
pub struct Target {
    location: Arc<str>,
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    /// The path of the target, if the target is a folder.
    folder: Option<PathBuf>,
}

/// A file of a backup, as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// The name of the file, without its folder.
    pub name: String,
    /// The size of the file.
    pub bytes: u64,
    /// When the file was written, by the clock of the target.
    pub written_at: SystemTime,
}

/// Keeps other backups on the machine from writing to the same folder. Buckets have no lock. If two backups write to a
/// bucket, the second backup fails to write its manifest.
#[derive(Debug)]
pub struct TargetLock {
    _lock: Option<File>,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.location)
    }
}

impl Target {
    /// Opens the target with the given name: `s3://bucket/prefix`, or the path of a folder that need not exist. For
    /// buckets, the environment variables `AWS_…` contain the credentials, the region and the endpoint.
    pub fn parse(location: &str) -> Result<Self, BackupError> {
        let wrong = |what: String| BackupError::Location { location: location.to_owned(), what };
        match location.split_once("://") {
            Some(("s3", rest)) => {
                let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
                if bucket.is_empty() {
                    return Err(wrong("it has no bucket. Write s3://bucket/prefix".to_owned()));
                }
                let prefix = Path::parse(prefix).map_err(|error| wrong(error.to_string()))?;
                let store = bucket_store(bucket).map_err(|error| wrong(error.to_string()))?;
                Ok(Self { location: location.into(), store, prefix, folder: None })
            }
            Some((scheme, _)) => {
                Err(wrong(format!("{scheme}:// is not supported. Write a path, or s3://bucket/prefix")))
            }
            None if location.is_empty() => Err(wrong("it is empty".to_owned())),
            None => {
                let path = local_folder::resolved(FilePath::new(location))
                    .map_err(|error| wrong(error.to_string()))?;
                let prefix = Path::from_absolute_path(&path).map_err(|error| wrong(error.to_string()))?;
                let store = Arc::new(LocalFileSystem::new().with_fsync(true));
                Ok(Self { location: location.into(), store, prefix, folder: Some(path) })
            }
        }
    }

    /// The name of the target, as given.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// Creates the folder if it does not exist, and locks it. Fails if another process is writing a backup to the
    /// folder.
    pub async fn lock(&self) -> Result<TargetLock, BackupError> {
        let Some(folder) = self.folder.clone() else { return Ok(TargetLock { _lock: None }) };
        let lock = move || {
            let opened = local_folder::open(&folder)?;
            let locked = opened.try_lock();
            if locked.is_ok() {
                local_folder::remove_incomplete(&folder)?;
            }
            io::Result::Ok((locked, opened))
        };
        let locked =
            tokio::task::spawn_blocking(lock).await.map_err(|error| self.error("open it", &error))?;
        match locked.map_err(|error| self.error("open it", &error))? {
            (Ok(()), lock) => Ok(TargetLock { _lock: Some(lock) }),
            (Err(TryLockError::WouldBlock), _) => Err(BackupError::Target {
                location: self.location.to_string(),
                what: "another backup is writing to it".to_owned(),
            }),
            // Some network file systems cannot lock folders.
            (Err(TryLockError::Error(_)), _) => Ok(TargetLock { _lock: None }),
        }
    }

    /// The numbers of the manifests, in ascending order. Empty if there is no backup yet.
    pub async fn manifests(&self) -> Result<Vec<u64>, BackupError> {
        let files = self.list("manifests").await?;
        let mut numbers: Vec<_> = files.iter().filter_map(|file| Manifest::number_in(&file.name)).collect();
        numbers.sort_unstable();
        if numbers.is_empty() {
            self.refuse_foreign().await?;
        }
        Ok(numbers)
    }

    /// The manifest with the given number, and the hash of its file.
    pub async fn manifest(&self, number: u64) -> Result<(Manifest, FileHash), BackupError> {
        let path = Manifest::path(number);
        let file = self.get(&path).await?.ok_or_else(|| self.missing(&path, ""))?;
        let manifest = Manifest::decode(&file, number).map_err(|flaw| BackupError::Manifest {
            location: self.location.to_string(),
            path,
            flaw,
        })?;
        Ok((manifest, FileHash::of(&file)))
    }

    /// The newest manifest and the hash of its file, or `None` if there is no backup yet.
    pub async fn newest_manifest(&self) -> Result<Option<(Manifest, FileHash)>, BackupError> {
        match self.manifests().await?.last() {
            Some(number) => self.manifest(*number).await.map(Some),
            None => Ok(None),
        }
    }

    /// Reads the lines of a segment, and checks its size and hash. `holds` describes the content of the segment for
    /// errors.
    pub async fn segment(&self, segment: &SegmentRef, holds: &str) -> Result<Vec<u8>, BackupError> {
        let path = segment.path();
        let file = self.get(&path).await?.ok_or_else(|| self.missing(&path, holds))?;
        unpack(segment, &file).map_err(|flaw| BackupError::Segment {
            location: self.location.to_string(),
            path,
            holds: holds.to_owned(),
            flaw,
        })
    }

    /// Writes a manifest. Fails if a manifest with the same number exists.
    pub async fn put_manifest(&self, manifest: &Manifest) -> Result<FileHash, BackupError> {
        let (path, file) = (Manifest::path(manifest.number), manifest.encode());
        let hash = FileHash::of(&file);
        let concurrent =
            || BackupError::Concurrent { location: self.location.to_string(), path: path.clone() };
        // In a folder, the lock excludes other writers, so the size can be checked before the write. An atomic check
        // needs hard links, which some file systems do not have.
        let mode = match self.folder {
            Some(_) if self.size(&path).await?.is_some() => return Err(concurrent()),
            Some(_) => PutMode::Overwrite,
            None => PutMode::Create,
        };
        match self.store.put_opts(&self.at(&path), PutPayload::from(file), mode.into()).await {
            Ok(_) => Ok(hash),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                Err(concurrent())
            }
            Err(error) => Err(self.error(&format!("write {path}"), &error)),
        }
    }

    /// Writes a segment, unless the target already has it. Returns whether the segment was written.
    pub async fn put_segment(&self, segment: &SegmentRef, file: Vec<u8>) -> Result<bool, BackupError> {
        let path = segment.path();
        if self.size(&path).await? == Some(segment.bytes) {
            return Ok(false);
        }
        let put = self.store.put(&self.at(&path), PutPayload::from(file)).await;
        put.map(|_| true).map_err(|error| self.error(&format!("write {path}"), &error))
    }

    /// Reads a file. Returns `None` if the file does not exist.
    pub async fn get(&self, path: &str) -> Result<Option<Vec<u8>>, BackupError> {
        let read = async { self.store.get(&self.at(path)).await?.bytes().await };
        match read.await {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.error(&format!("read {path}"), &error)),
        }
    }

    /// The files in a folder of the target. Empty if the folder does not exist.
    pub async fn list(&self, folder: &str) -> Result<Vec<StoredFile>, BackupError> {
        let files = self.store.list(Some(&self.at(folder))).try_filter_map(|file| async move {
            let Some(name) = file.location.filename().map(str::to_owned) else { return Ok(None) };
            Ok(Some(StoredFile { name, bytes: file.size, written_at: file.last_modified.into() }))
        });
        match files.try_collect().await {
            Ok(files) => Ok(files),
            Err(object_store::Error::NotFound { .. }) => Ok(Vec::new()),
            Err(error) => Err(self.error(&format!("list {folder}"), &error)),
        }
    }

    /// Removes a file. It is no error if the file does not exist.
    pub async fn remove(&self, path: &str) -> Result<(), BackupError> {
        match self.store.delete(&self.at(path)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.error(&format!("remove {path}"), &error)),
        }
    }

    /// The path of the target, if the target is a folder.
    pub fn folder(&self) -> Option<&FilePath> {
        self.folder.as_deref()
    }

    /// The error for a missing file.
    pub fn missing(&self, path: &str, holds: &str) -> BackupError {
        BackupError::Missing {
            location: self.location.to_string(),
            path: path.to_owned(),
            holds: holds.to_owned(),
        }
    }

    /// The size of a file, or `None` if it does not exist.
    async fn size(&self, path: &str) -> Result<Option<u64>, BackupError> {
        match self.store.head(&self.at(path)).await {
            Ok(file) => Ok(Some(file.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.error(&format!("look for {path}"), &error)),
        }
    }

    /// Fails if the target contains files that do not belong to a backup.
    async fn refuse_foreign(&self) -> Result<(), BackupError> {
        let listed = match self.store.list_with_delimiter(Some(&self.prefix)).await {
            Ok(listed) => listed,
            Err(object_store::Error::NotFound { .. }) => return Ok(()),
            Err(error) => return Err(self.error("list it", &error)),
        };
        let files = listed.objects.iter().map(|file| &file.location);
        let names = listed.common_prefixes.iter().chain(files).filter_map(Path::filename);
        // The root of a new ext4 file system contains `lost+found`.
        let mut others = names.filter(|name| !["segments", "manifests", "lost+found"].contains(name));
        others.next().map_or(Ok(()), |found| {
            Err(BackupError::Foreign { location: self.location.to_string(), found: found.to_owned() })
        })
    }

    fn at(&self, path: &str) -> Path {
        path.split('/').fold(self.prefix.clone(), |path, part| path.join(part))
    }

    fn error(&self, attempt: &str, error: &(dyn std::error::Error + 'static)) -> BackupError {
        let mut what = format!("cannot {attempt}: {error}");
        let mut cause = error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !what.contains(&text) {
                what = format!("{what}: {text}");
            }
            cause = error.source();
        }
        BackupError::Target { location: self.location.to_string(), what }
    }
}

fn bucket_store(bucket: &str) -> object_store::Result<Arc<dyn ObjectStore>> {
    // The object store creates an HTTP client, which needs a TLS provider.
    api::http_client::install_tls_provider();
    let endpoint = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"].map(std::env::var);
    // An endpoint without TLS is allowed if it is named explicitly, for an emulator or a store on the same machine.
    let is_plain = endpoint.into_iter().flatten().next().is_some_and(|url| url.starts_with("http://"));
    let client = ClientOptions::new().with_timeout(REQUEST_TIMEOUT).with_allow_http(is_plain);
    let builder = AmazonS3Builder::from_env().with_bucket_name(bucket).with_client_options(client);
    Ok(Arc::new(builder.build()?))
}
