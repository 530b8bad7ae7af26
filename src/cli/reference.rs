//! Generates `docs/configuration.md` from the declaration of the command line. The generator is a test, because the
//! page changes only with the options.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use clap::{Arg, ArgAction, Command, CommandFactory};

use super::Cli;

const INTRODUCTION: &str = "\
# Configuration

<!-- Generated from the declaration of the command line. To regenerate this page: UPDATE_DOCS=1 cargo test --all-features --bin orders reference -->

This page lists the options of all commands and their variables. `orders help COMMAND` prints the options of one command.

- A flag takes precedence over its variable, the variable over the [configuration file](#configuration-file), and the file over
  the default.
- An empty variable counts as unset.
- A switch takes `1`, `true`, `yes` and `on`, or `0`, `false`, `no` and `off`.
- Set secrets in a variable or a file: other users of a machine can see the flags of a process.
- The AWS roles report all errors in their configuration together.

Only builds with `--features aws` have the commands `api`, `consumer`, `dead-letters`, `expiry`, `relay`, `table` and `webhook-sender`.

## Configuration file

`--config FILE` (`ORDERS_CONFIG`) names a TOML file. The file can set every option that has a variable. Each key is the name of a
flag. A key in a table with the name of a command applies to that command only:

```toml
listen = \"127.0.0.1:9000\"
max-receives = 8

[load]
url = \"https://orders.example\"
```

The following command shows every setting, its value, and where the value comes from. Secrets are masked:

```sh
orders config
```
";

const OF_OTHERS: &str = "
## Variables of other programs

| variables | who reads them | what they do |
|---|---|---|
| `AWS_REGION`, `AWS_PROFILE`, credentials, `AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_S3` and the like | the AWS commands | As in every [AWS SDK](https://docs.aws.amazon.com/sdkref/latest/guide/environment-variables.html). |
| `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_S3` and those of containers and web identities | backups in a bucket | As in every AWS SDK. The files of the AWS command line are not read. |
| `OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER` and the like | builds with `--features otlp` | As in every [OpenTelemetry SDK](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/); see [traces](observability.md#traces). |
";

/// A command without subcommands.
struct Leaf {
    /// The words of the command without the program's name: `dlq list`.
    name: String,
    about: String,
    options: Vec<Row>,
}

/// An option, as a row of a table.
#[derive(Clone, PartialEq, Eq)]
struct Row {
    flag: String,
    variable: Option<String>,
    text: String,
}

fn leaves(command: &Command, path: &str, found: &mut Vec<Leaf>) {
    let subcommands = command.get_subcommands().filter(|sub| sub.get_name() != "help" && !sub.is_hide_set());
    let mut is_leaf = true;
    for sub in subcommands {
        is_leaf = false;
        leaves(sub, &format!("{path} {}", sub.get_name()), found);
    }
    // A command that takes values works by itself, even if it has subcommands.
    if is_leaf || (!path.is_empty() && command.get_positionals().next().is_some()) {
        let about = command.get_long_about().or(command.get_about()).map(ToString::to_string);
        let named = |arg: &&Arg| !["help", "version"].contains(&arg.get_id().as_str()) && !arg.is_hide_set();
        let options = command.get_arguments().filter(named).map(row).collect();
        let about = sentence(&about.unwrap_or_default());
        found.push(Leaf { name: path.trim().to_owned(), about, options });
    }
}

fn row(arg: &Arg) -> Row {
    let names = || arg.get_value_names().unwrap_or_default().iter().map(|name| format!("<{name}>"));
    let value = names().collect::<Vec<_>>().join(" ");
    let takes_value = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    let flag = match arg.get_long() {
        Some(long) if !takes_value => format!("--{long}"),
        Some(long) if arg.is_require_equals_set() => format!("--{long}[={value}]"),
        Some(long) => format!("--{long} {value}"),
        None => value,
    };
    let variable = arg.get_env().map(|name| name.to_string_lossy().into_owned());
    let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    let default =
        if takes_value && !defaults.is_empty() { format!("`{}`", defaults.join(" ")) } else { String::new() };
    let help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
    let mut help = sentence(&help);
    let values: Vec<_> =
        arg.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
    if takes_value && !values.is_empty() {
        let _ = write!(help, " One of {}.", values.join(", "));
    }
    let shown = variable.as_ref().map(|name| format!("`{name}`")).unwrap_or_default();
    Row { text: format!("| `{flag}` | {shown} | {default} | {} |", help.replace('|', "\\|")), flag, variable }
}

/// A help text as one line. Adds the full stop that clap removes.
fn sentence(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() || line.ends_with(['.', '?']) { line } else { line + "." }
}

fn table(rows: &[&Row]) -> String {
    let rows: Vec<_> = rows.iter().map(|row| row.text.as_str()).collect();
    format!("| option | variable | default | what it does |\n|---|---|---|---|\n{}\n", rows.join("\n"))
}

fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The commands of this build.
fn commands() -> Vec<Leaf> {
    let mut program = Cli::command();
    program.build();
    let mut found = Vec::new();
    leaves(&program, "", &mut found);
    found
}

fn page() -> String {
    let commands = commands();
    let mut users: Vec<(&Row, Vec<&str>)> = Vec::new();
    let mut variables: BTreeMap<&str, (Vec<&str>, Vec<&str>)> = BTreeMap::new();
    for command in &commands {
        for option in &command.options {
            match users.iter_mut().find(|(known, _)| *known == option) {
                Some((_, names)) => names.push(&command.name),
                None => users.push((option, vec![&command.name])),
            }
            if let Some(variable) = &option.variable {
                let (flags, names) = variables.entry(variable).or_default();
                if !flags.contains(&option.flag.as_str()) {
                    flags.push(&option.flag);
                }
                names.push(&command.name);
            }
        }
    }
    let mut groups: Vec<(&[&str], Vec<&Row>)> = Vec::new();
    for (option, names) in users.iter().filter(|(_, names)| names.len() > 1) {
        match groups.iter_mut().find(|(known, _)| known == names) {
            Some((_, rows)) => rows.push(option),
            None => groups.push((names, vec![option])),
        }
    }
    let mut page = INTRODUCTION.to_owned();
    page += "\n## Commands\n";
    for command in &commands {
        let own = |row: &&Row| users.iter().any(|(known, names)| known == row && names.len() == 1);
        let own: Vec<_> = command.options.iter().filter(own).collect();
        let _ = write!(page, "\n### `orders {}`\n\n{}\n", command.name, command.about);
        if !own.is_empty() {
            let _ = write!(page, "\n{}", table(&own));
        }
        let shared =
            groups.iter().enumerate().filter(|(_, (names, _))| names.contains(&command.name.as_str()));
        let shared: Vec<_> = shared.map(|(number, _)| format!("[{0}](#group-{0})", number + 1)).collect();
        let also = if own.is_empty() { "It takes" } else { "It also takes" };
        if !shared.is_empty() {
            let _ = writeln!(page, "\n{also} the options of the groups {}.", shared.join(", "));
        }
    }
    page += "\n## Options of several commands\n";
    for (number, (names, rows)) in groups.iter().enumerate() {
        let who = if names.len() == commands.len() { "every command".to_owned() } else { listed(names) };
        let _ = write!(page, "\n### Group {}\n\nOptions of {who}.\n\n{}", number + 1, table(rows));
    }
    page += "\n## Variables\n\n| variable | option | commands |\n|---|---|---|\n";
    for (variable, (flags, names)) in variables {
        let who = if names.len() == commands.len() { "every command".to_owned() } else { listed(&names) };
        let _ = writeln!(page, "| `{variable}` | {} | {who} |", listed(&flags));
    }
    page + OF_OTHERS
}

#[test]
fn the_reference_is_what_the_command_line_declares() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let has_everything = cfg!(all(
        feature = "aws",
        feature = "dlq",
        feature = "doctor",
        feature = "embedded",
        feature = "load"
    ));
    if has_everything && std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, page()).unwrap();
    }
    let renew = "docs/configuration.md is stale; renew it: UPDATE_DOCS=1 cargo test --all-features --bin orders reference";
    let checked_in = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(!has_everything || checked_in == page(), "{renew}");
    // A build with fewer features has fewer options than the page, so the test looks up only the options of this build.
    for option in commands().iter().flat_map(|command| &command.options) {
        assert!(checked_in.contains(&option.text), "{renew}\n{}", option.text);
    }
}
