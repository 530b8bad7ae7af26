//! The AWS emulator for tests and benchmarks. It runs as a process, and is called without an SDK.
//!
//! The emulator is a Python package, which is installed in the target folder when a test first needs it. Without
//! Python, these tests fail and are not skipped.

pub mod aws;
pub mod lambda;
mod process;
pub mod proxy;
pub mod python;
pub mod queues;
pub mod stream;

use std::ops::Deref;
use std::sync::OnceLock;

use serde_json::Value;

pub use aws::Aws;
use process::Process;

/// A running emulator, empty at first. [`Aws`] makes the calls. The emulator is stopped when this value is dropped.
pub struct Emulator {
    aws: Aws,
    process: Process,
}

impl Emulator {
    /// The emulator that all tests of this process share. Unique names keep their resources apart.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Result<Emulator, String>> = OnceLock::new();
        // If the emulator fails to start, the error is kept. The start is not repeated, and every test reports the
        // same error.
        SHARED.get_or_init(Self::start).as_ref().unwrap_or_else(|error| panic!("{error}"))
    }

    /// Starts an emulator with separate state.
    pub fn start() -> Result<Self, String> {
        let process = Process::start("ministack", &[])?;
        process.wait_until_healthy("/_ministack/health")?;
        Ok(Self { aws: process.aws("127.0.0.1"), process })
    }

    /// The id of the emulator's process, which is also the id of its process group. All processes that the emulator
    /// starts are in that group.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Sends `events`, each as `{type, data}`, in the way a v0 producer does. Returns the ids of the messages.
    pub fn produce_v0(&self, queue_url: &str, events: &[Value]) -> Vec<String> {
        let lines: String = events.iter().map(|event| format!("{event}\n")).collect();
        let environment = [
            ("AWS_ENDPOINT_URL", self.endpoint.as_str()),
            ("AWS_CONFIG_FILE", "/dev/null"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
            ("AWS_DEFAULT_REGION", aws::REGION),
            ("AWS_ACCESS_KEY_ID", aws::ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", aws::SECRET_KEY),
        ];
        let ids = python::run_script("v0_producer.py", &[queue_url.as_ref()], &environment, &lines);
        ids.lines().map(str::to_owned).collect()
    }
}

impl Deref for Emulator {
    type Target = Aws;

    fn deref(&self) -> &Aws {
        &self.aws
    }
}
