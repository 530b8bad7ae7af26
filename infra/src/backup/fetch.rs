//! Reads the segments of a backup. While one segment is processed, the next segment is read. Restores and verifications
//! use this module on blocking threads.

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::BackupError;
use super::segment::SegmentRef;
use super::target::Target;

type Fetch = JoinHandle<Result<Vec<u8>, BackupError>>;

/// Reads segments, and returns their lines in order.
pub(crate) struct Segments<'a> {
    runtime: &'a Handle,
    source: &'a Target,
    rest: std::vec::IntoIter<(SegmentRef, String)>,
    next: Option<Fetch>,
}

impl<'a> Segments<'a> {
    /// Creates a reader of `segments`. Each segment has a description of its content, for errors.
    pub(crate) fn new(
        runtime: &'a Handle,
        source: &'a Target,
        segments: impl Iterator<Item = (SegmentRef, String)>,
    ) -> Self {
        let rest = segments.collect::<Vec<_>>().into_iter();
        let mut this = Self { runtime, source, rest, next: None };
        this.next = this.fetch();
        this
    }

    fn fetch(&mut self) -> Option<Fetch> {
        let (segment, holds) = self.rest.next()?;
        let source = self.source.clone();
        Some(self.runtime.spawn(async move { source.segment(&segment, &holds).await }))
    }
}

impl Iterator for Segments<'_> {
    type Item = Result<Vec<u8>, BackupError>;

    fn next(&mut self) -> Option<Self::Item> {
        let current = self.next.take()?;
        self.next = self.fetch();
        let result = self.runtime.block_on(current);
        Some(result.unwrap_or_else(|error| Err(BackupError::Source(error.into()))))
    }
}

impl Drop for Segments<'_> {
    fn drop(&mut self) {
        self.next.iter().for_each(JoinHandle::abort);
    }
}
