//! An interactive bash or zsh that runs lines as if a reader typed them.
//!
//! Interactive shells differ from shells that run scripts. An interactive zsh does not accept comments, and both shells
//! expand `!` between double quotes.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use crate::support::service::PATIENCE;

/// Marks the end of the output of the typed lines. Commands do not print this character.
const END: char = '\u{1e}';

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Bash,
    Zsh,
}

impl Kind {
    pub const ALL: [Self; 2] = [Self::Bash, Self::Zsh];

    fn command(self) -> Command {
        let (name, arguments): (_, &[&str]) = match self {
            Self::Bash => ("bash", &["--norc", "--noprofile", "-i"]),
            Self::Zsh => ("zsh", &["-f", "-i"]),
        };
        let mut command = Command::new(name);
        command.args(arguments);
        command
    }

    /// The lines that are typed first. They turn off prompts, and record each failed command in a file.
    fn prelude(self) -> &'static str {
        match self {
            Self::Bash => {
                "PS1= PS2=\nset -E -o pipefail\n\
                 trap 'printf \"status %s: %s\\n\" \"$?\" \"$BASH_COMMAND\" >> \"$SHELL_FAILURES\"' ERR\n"
            }
            Self::Zsh => {
                "PS1= PS2= PROMPT_EOL_MARK=\nsetopt pipe_fail\n\
                 TRAPZERR() { print -r -- \"status $?: $ZSH_DEBUG_CMD\" >> $SHELL_FAILURES }\n"
            }
        }
    }
}

/// A running shell. When this value is dropped, the shell gets the end of its input and is killed.
pub struct Shell {
    kind: Kind,
    child: Child,
    input: Option<ChildStdin>,
    output: Receiver<String>,
    failures: std::path::PathBuf,
    errors: std::path::PathBuf,
}

/// The result of typed lines.
#[derive(Debug)]
pub struct Ran {
    /// The text that the lines wrote to standard output.
    pub stdout: String,
    /// The commands that failed, and the shell's own error messages.
    pub failures: String,
}

impl Shell {
    /// Starts a shell in `folder` with these additional variables. In the shell, `orders` is the tested program.
    pub fn start(kind: Kind, folder: &Path, notes: &Path, variables: &[(&str, &str)]) -> Self {
        let (failures, errors) = (notes.join("failures"), notes.join("errors"));
        let programs = notes.join("programs");
        fs::create_dir_all(&programs).unwrap();
        let program = programs.join("orders");
        if !program.exists() {
            std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_orders"), &program).unwrap();
        }
        let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
        let mut command = kind.command();
        for (variable, _) in std::env::vars_os() {
            let name = variable.to_string_lossy();
            if ["ORDERS_", "AWS_", "OTEL_"].iter().any(|prefix| name.starts_with(prefix)) {
                command.env_remove(&variable);
            }
        }
        command.current_dir(folder).env("PATH", path).env("HOME", folder).env("SHELL_FAILURES", &failures);
        command.envs(variables.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(fs::File::create(&errors).unwrap());
        let mut child = command.spawn().unwrap_or_else(|error| {
            panic!("the tests of snippets need bash and zsh, but {kind:?} cannot be started ({error}): install it (Debian: apt-get install bash zsh)")
        });
        let stdout = child.stdout.take().unwrap();
        let (lines, output) = channel();
        // The thread ends when the shell exits.
        thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| lines.send(line))
        });
        let input = child.stdin.take();
        let mut shell = Self { kind, child, input, output, failures, errors };
        let ran = shell.type_lines(kind.prelude());
        assert!(ran.failures.is_empty(), "{ran:?}");
        shell
    }

    /// Types lines, and waits until they have run.
    pub fn type_lines(&mut self, text: &str) -> Ran {
        fs::write(&self.failures, "").unwrap();
        let seen = fs::read_to_string(&self.errors).unwrap().len();
        let input = self.input.as_mut().unwrap();
        writeln!(input, "{}\nprintf '\\036%s\\n' end", text.trim_end()).unwrap();
        let mut stdout = String::new();
        loop {
            match self.output.recv_timeout(PATIENCE) {
                // If the output does not end with a newline, the mark follows the output on the same line.
                Ok(line) => match line.split_once(END) {
                    None => stdout += &(line + "\n"),
                    Some((rest, _)) => {
                        stdout += rest;
                        break;
                    }
                },
                Err(error) => {
                    let errors = fs::read_to_string(&self.errors).unwrap();
                    panic!("{:?} does not finish {text}: {error}\n{stdout}\n{errors}", self.kind);
                }
            }
        }
        let mut failures = fs::read_to_string(&self.failures).unwrap();
        let errors = fs::read_to_string(&self.errors).unwrap().split_off(seen);
        let complaint = format!("{}: ", if self.kind == Kind::Bash { "bash" } else { "zsh" });
        let is_complaint = |line: &&str| {
            // Without a terminal, bash cannot stop and continue jobs, and prints a warning about that when it starts.
            line.contains(&complaint) && !line.contains("job control") && !line.contains("process group")
        };
        let complaints: Vec<_> = errors.lines().filter(is_complaint).collect();
        failures += &complaints.join("\n");
        if !failures.is_empty() {
            failures += &format!("\nstandard error: {errors}");
        }
        Ran { stdout, failures }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // The shell may already have exited at the end of its input. After `wait`, it has exited in any case.
        drop(self.input.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn what_fails_is_noticed() {
    for kind in Kind::ALL {
        let folder = tempfile::TempDir::new().unwrap();
        let mut shell = Shell::start(kind, folder.path(), folder.path(), &[]);
        let ran = shell.type_lines("x=1\necho \"$x\"; printf 2");
        assert_eq!((ran.stdout.as_str(), ran.failures.as_str()), ("1\n2", ""), "{kind:?}");
        for wrong in ["false", "false | cat", "no-such-command", "x=$(false)", "cat no-such-file"] {
            assert!(!shell.type_lines(wrong).failures.is_empty(), "{kind:?}: {wrong}");
        }
        assert_eq!(shell.type_lines("echo still here").stdout, "still here\n");
        // An interactive zsh treats these lines differently from bash when a reader pastes them.
        for wrong in ["echo a # a comment", "# a comment", "curl -s http://127.0.0.1:1/?a=b || true"] {
            let fails = !shell.type_lines(wrong).failures.is_empty();
            let is_right = fails || kind == Kind::Bash || wrong.starts_with("echo");
            assert!(is_right, "{kind:?}: {wrong}");
        }
    }
}
