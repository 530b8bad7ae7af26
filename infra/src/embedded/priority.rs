//! The priorities of threads that yield to the threads that serve requests. `orders serve` lowers the priority of
//! threads with [`lower`]. The store and the drills run work at a lower priority with [`run_at`].

use std::panic::resume_unwind;
use std::thread;

use rustix::process::setpriority_process;
use rustix::thread::gettid;

/// The priority of drills. On a busy machine, a drill gets a tenth of the processor time of a thread with normal
/// priority.
pub const DRILLS: i32 = 10;
/// The priority of `orders backup`, which compresses and hashes whole segments. Equal to the priority of drills.
pub const BACKUP_COMMAND: i32 = 10;
/// The priority of the continuous backup. It is not much lower than the normal priority, because other reads may wait
/// for their turn while a backup reads.
pub const BACKUPS: i32 = 5;

/// Lowers the priority of the calling thread. Threads that the calling thread starts later inherit the priority.
pub fn lower(niceness: i32) {
    // On Linux, each thread has its own priority. So the call accepts the id of a thread instead of a process.
    if let Err(error) = setpriority_process(Some(gettid()), niceness) {
        let thread = thread::current();
        tracing::warn!(%error, thread = thread.name(), "cannot lower the priority of a thread");
    }
}

/// Runs `work` on a new thread with the given priority, and waits for the result. The threads that `work` starts
/// inherit the priority.
pub fn run_at<R: Send>(niceness: i32, work: impl FnOnce() -> R + Send) -> R {
    let work = || {
        lower(niceness);
        work()
    };
    thread::scope(|scope| scope.spawn(work).join()).unwrap_or_else(|panic| resume_unwind(panic))
}
