//! Tests the command line: suggestions, version, completions, man pages and colours.

use std::process::Command;

use crate::support::service::orders;

fn printed(arguments: &[&str]) -> String {
    let output = orders(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_misspelt_command_is_answered_with_a_suggestion() {
    for (arguments, suggestion) in [
        (&["lod"][..], "'load'"),
        (&["--config", "orders.toml", "--log-level=warn", "srve"], "'serve'"),
        (&["completions", "bsh"], "'bash'"),
    ] {
        let output = orders(arguments).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(suggestion), "{arguments:?}: {error}");
    }
}

#[test]
fn the_version_names_commit_and_features() {
    let text = printed(&["--version"]);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(
        lines[0],
        format!("orders {}", env!("CARGO_PKG_VERSION")),
        "the first line contains only the version, because scripts read it"
    );
    let commit = lines[1].strip_prefix("commit: ").unwrap();
    let is_hash = commit.len() == 12 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(is_hash || commit == "unknown (built from a source archive)", "{commit}");
    let features: Vec<_> = lines[2].strip_prefix("features: ").unwrap().split(", ").collect();
    for (name, is_on) in [
        ("aws", cfg!(feature = "aws")),
        ("doctor", cfg!(feature = "doctor")),
        ("embedded", cfg!(feature = "embedded")),
        ("otlp", cfg!(feature = "otlp")),
    ] {
        assert_eq!(features.contains(&name), is_on, "{name}: {features:?}");
    }
    assert_eq!(printed(&["-V"]).trim_end(), lines[0]);
}

#[test]
fn bash_completes_commands_and_flags() {
    let script = printed(&["completions", "bash"]);
    for (words, expected) in
        [(&["lo"][..], "load"), (&["dlq", "redr"], "redrive"), (&["serve", "--max-q"], "--max-queue-depth")]
    {
        let line = format!(
            "{script}\nCOMP_WORDS=(orders {}); COMP_CWORD={}; _orders orders {} x; echo \"${{COMPREPLY[@]}}\"",
            words.join(" "),
            words.len(),
            words.last().unwrap()
        );
        // The script is too long for an argument.
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), line).unwrap();
        let output = Command::new("bash").arg(file.path()).output().unwrap();
        let completed = String::from_utf8(output.stdout).unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(completed.trim(), expected, "{words:?}: {error}");
    }
}

#[test]
fn zsh_and_fish_get_scripts_with_every_command() {
    for (shell, beginning) in [("zsh", "#compdef orders"), ("fish", "# Print an optspec")] {
        let script = printed(&["completions", shell]);
        assert!(script.starts_with(beginning), "{shell}: {}", &script[..100]);
        for command in ["serve", "load", "doctor", "completions"] {
            assert!(script.contains(command), "{shell}: {command}");
        }
        // If the shell is installed, it must be able to parse the script.
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), script).unwrap();
        if let Ok(output) = Command::new(shell).arg("-n").arg(file.path()).output() {
            assert!(output.status.success(), "{shell}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

#[test]
fn man_pages_describe_the_program_and_each_command() {
    let program = printed(&["man"]);
    assert!(program.contains(".TH orders 1"), "{program}");
    for part in ["orders\\-serve(1)", "\\-\\-config", "ORDERS_CONFIG"] {
        assert!(program.contains(part), "{part}: {program}");
    }
    let list = printed(&["man", "dlq", "list"]);
    assert!(list.contains(".TH orders-dlq-list 1"), "{list}");
    assert!(list.contains("\\-\\-limit") && list.contains("ORDERS_URL"), "{list}");
    let output = orders(&["man", "dlq", "lst"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no command `dlq lst`"));
}

/// The text that a command prints to a terminal.
fn on_a_terminal(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let spawn = "import pty, sys; pty.spawn(sys.argv[1:])";
    let program = orders(&[]);
    let mut command = Command::new("python3");
    command.args(["-c", spawn]).arg(program.get_program()).args(arguments);
    command.env_remove("NO_COLOR").env("TERM", "xterm").envs(variables.iter().copied());
    String::from_utf8(command.output().unwrap().stdout).unwrap()
}

#[test]
fn colours_are_for_terminals_and_not_with_no_color() {
    let is_coloured = |text: &str| text.contains("\u{1b}[");
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/doctor/flawed");
    let missing = ["export", "--data", "/dev/null/data"];
    for arguments in [&["--help"][..], &["lod"], &["doctor", fixture], &missing] {
        let coloured = on_a_terminal(arguments, &[]);
        assert!(is_coloured(&coloured), "{arguments:?}: {coloured}");
        let plain = on_a_terminal(arguments, &[("NO_COLOR", "1")]);
        assert!(!plain.is_empty() && !is_coloured(&plain), "{arguments:?}: {plain}");
        let piped = orders(arguments).env("TERM", "xterm").output().unwrap();
        let piped = String::from_utf8([piped.stdout, piped.stderr].concat()).unwrap();
        assert!(!piped.is_empty() && !is_coloured(&piped), "{arguments:?}: {piped}");
    }
}
