//! Implements `orders config`, which shows every setting, its value, and where the value comes from.

use std::collections::BTreeSet;
use std::ffi::OsString;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, CommandFactory};

use super::file::ConfigFile;
use super::settings::{is_secret, is_setting, name};
use super::{Cli, first_word, parse, with_command};

#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// The command line whose settings to show, such as `serve --listen 127.0.0.1:9000`. Without it, the settings of
    /// every command are shown.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND LINE")]
    line: Vec<OsString>,
}

#[derive(Debug, PartialEq)]
struct SettingRow {
    name: String,
    value: String,
    source: String,
}

/// The table of settings that `orders config` prints, for the command line of this process.
pub(crate) fn show(args: &ConfigArgs) -> Result<String, clap::Error> {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    // Removes the word `config`. The other arguments are the command line to explain, and may include the program's own
    // flags.
    first_word(&arguments).map(|place| arguments.remove(place));
    if !args.line.is_empty() {
        return Ok(table(&rows_of(&with_command(arguments))?, false));
    }
    let mut rows: Vec<(SettingRow, Vec<String>)> = Vec::new();
    for path in leaves(&Cli::command(), &[]) {
        let line: Vec<_> = arguments.iter().cloned().chain(path.iter().map(OsString::from)).collect();
        for (row, _) in rows_of(&line)? {
            match rows.iter_mut().find(|(known, _)| *known == row) {
                Some((_, commands)) if commands.contains(&path[0]) => {}
                Some((_, commands)) => commands.push(path[0].clone()),
                None => rows.push((row, vec![path[0].clone()])),
            }
        }
    }
    let all: BTreeSet<_> = leaves(&Cli::command(), &[]).into_iter().map(|path| path[0].clone()).collect();
    for (_, commands) in &mut rows {
        if commands.len() == all.len() {
            *commands = vec!["all".to_owned()];
        }
    }
    Ok(table(&rows, true))
}

/// The words of every command without subcommands.
fn leaves(command: &Command, path: &[String]) -> Vec<Vec<String>> {
    let below = command.get_subcommands().map(|it| leaves(it, &[path, &[it.get_name().to_owned()]].concat()));
    let below: Vec<_> = below.flatten().collect();
    if below.is_empty() { vec![path.to_vec()] } else { below }
}

/// The settings of one command line. Required arguments may be missing.
fn rows_of(line: &[OsString]) -> Result<Vec<(SettingRow, Vec<String>)>, clap::Error> {
    let (matches, file) = parse(line, lenient)?;
    let program = Cli::command();
    let (mut command, mut matches, mut top) = (&program, &matches, "");
    let mut rows = Vec::new();
    loop {
        let settings = command.get_arguments().filter(|flag| is_setting(flag));
        rows.extend(settings.map(|flag| (row(flag, matches, file.as_ref(), top), Vec::new())));
        let Some((name, below)) = matches.subcommand() else { return Ok(rows) };
        let Some(found) = command.find_subcommand(name) else { return Ok(rows) };
        top = if top.is_empty() { name } else { top };
        (command, matches) = (found, below);
    }
}

/// Makes all arguments optional and accepts any text as their value, so that `orders config` also shows settings that
/// the command would refuse.
fn lenient(command: Command) -> Command {
    let groups: Vec<_> = command.get_groups().map(|group| group.get_id().clone()).collect();
    let command =
        groups.into_iter().fold(command, |command, id| command.mut_group(id, |it| it.required(false)));
    let command = command.mut_args(|argument| match argument.get_action() {
        ArgAction::Set | ArgAction::Append => {
            argument.required(false).value_parser(clap::builder::ValueParser::os_string())
        }
        _ => argument,
    });
    command.subcommand_required(false).arg_required_else_help(false).mut_subcommands(lenient)
}

fn row(flag: &Arg, matches: &ArgMatches, file: Option<&ConfigFile>, top: &str) -> SettingRow {
    let id = flag.get_id().as_str();
    let source = match matches.value_source(id) {
        Some(ValueSource::CommandLine) => format!("flag --{}", name(flag)),
        Some(ValueSource::EnvVariable) => {
            format!("variable {}", flag.get_env().unwrap_or_default().to_string_lossy())
        }
        Some(_) => {
            let place = file.and_then(|file| file.place(flag, top));
            place.map_or_else(|| "default".to_owned(), |place| format!("file {place}"))
        }
        None => "not set".to_owned(),
    };
    let value = matches.get_raw(id).and_then(|mut values| values.next());
    let value = value.map_or_else(|| "-".to_owned(), |value| masked(flag, &value.to_string_lossy()));
    SettingRow { name: name(flag).to_owned(), value, source }
}

/// The value without its secrets. The secrets of a URL are its user, password and query.
fn masked(flag: &Arg, value: &str) -> String {
    let is_url = flag.get_value_names().is_some_and(|names| names.iter().any(|name| name == "URL"));
    match is_secret(flag) {
        true => "(hidden)".to_owned(),
        false if is_url => crate::redact::url(value),
        false => value.to_owned(),
    }
}

fn table(rows: &[(SettingRow, Vec<String>)], with_commands: bool) -> String {
    let headings = ("SETTING".to_owned(), "VALUE".to_owned(), "SOURCE".to_owned(), "COMMANDS".to_owned());
    let cells = rows.iter().map(|(row, commands)| {
        (row.name.clone(), row.value.clone(), row.source.clone(), commands.join(", "))
    });
    let cells: Vec<_> = std::iter::once(headings).chain(cells).collect();
    let width = |cell: fn(&(String, String, String, String)) -> &String| {
        cells.iter().map(|row| cell(row).chars().count()).max().unwrap_or_default()
    };
    let (names, values, sources) = (width(|row| &row.0), width(|row| &row.1), width(|row| &row.2));
    let lines = cells.iter().map(|(name, value, source, commands)| {
        let commands = if with_commands { commands.as_str() } else { "" };
        let line = format!("{name:names$}  {value:values$}  {source:sources$}  {commands}");
        line.trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}
