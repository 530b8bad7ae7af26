//! Runs the service under strace, which records system calls and injects faults into them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::eventually::eventually_blocking;
use crate::support::service::{Service, orders};

/// The calls that change files or folders, sync them, or send answers.
const RECORDED_CALLS: &str = "open,openat,creat,close,dup,dup2,dup3,fcntl,lseek,write,pwrite64,writev,pwritev,pwritev2,ftruncate,\
                     truncate,fallocate,rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,mkdir,\
                     mkdirat,rmdir,fsync,fdatasync,sync_file_range,sync,syncfs,copy_file_range,sendfile,splice,mmap,\
                     io_uring_setup,sendto,sendmsg";

/// A command that runs `program` under strace, which writes to `log`. The process of the command is `program` itself,
/// and strace is a separate process.
pub(super) fn traced(program: &Command, log: &Path, injections: &[&str]) -> Command {
    require_strace();
    let mut command = Command::new("strace");
    command.args(["-D", "-f", "-y", "--seccomp-bpf", "-s", "16777216", "-o"]).arg(log);
    command.arg(format!("--trace={RECORDED_CALLS}"));
    command.args(injections.iter().map(|injection| format!("--inject={injection}")));
    command.arg(program.get_program()).args(program.get_args()).stdin(Stdio::null());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

fn require_strace() {
    let found = Command::new("strace").arg("--version").output();
    assert!(
        found.is_ok_and(|output| output.status.success()),
        "strace is missing: the tests of power cuts and failing disks record system calls with it (Debian: apt-get install strace)"
    );
}

/// A service under strace.
pub(super) struct Traced {
    pub(super) service: Service,
    log: PathBuf,
}

impl Traced {
    /// Starts the service on `data`, with additional arguments and injected faults.
    pub(super) fn start(data: &Path, log: &Path, arguments: &[&str], injections: &[&str]) -> Self {
        let mut program = orders(&["serve", "--listen", "127.0.0.1:0", "--log-level", "warn,orders=info"]);
        program.env("ORDERS_MIN_FREE_DISK", "1").arg("--data").arg(data).args(arguments);
        Self { service: Service::spawn(traced(&program, log, injections)), log: log.to_owned() }
    }

    /// The recorded calls of a service that has ended. Waits until strace has written all of them.
    pub(super) fn calls(&self) -> String {
        let process = self.service.id().to_string();
        // The last line of a process is like `7 +++ exited with 0 +++`. strace pads the process number with spaces.
        let is_last = |line: &str| {
            let mut words = line.split_whitespace();
            words.next() == Some(&*process) && words.next() == Some("+++")
        };
        eventually_blocking("strace has written all calls", || {
            let text = String::from_utf8(fs::read(&self.log).unwrap()).unwrap();
            let tail = text.trim_end().rsplit('\n').take(20);
            let tail: Vec<_> = tail.map(str::to_owned).collect();
            if tail.iter().any(|line| is_last(line)) { Ok(text) } else { Err(tail) }
        })
    }
}
