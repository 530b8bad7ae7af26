//! The configuration file, in TOML. Its keys are the names of the flags. `Cli::of` reads the file and applies it to the
//! command line.
//!
//! A value of the file becomes the default of its flag before clap parses the command line. So clap itself prefers the
//! flag and its variable to the file, and the file to the built-in default. clap also parses a value of the file
//! exactly like a value of the flag.
//!
//! A key at the top level applies to every command that has the flag. A key in a table with the name of a command, such
//! as `[load]`, applies to that command only, and takes precedence there.

use std::error::Error;
use std::fmt::Display;
use std::path::{Path, PathBuf};

use clap::{Arg, Command};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::settings::{Setting, ValueType, is_secret, is_setting, name, settings};

/// A configuration file whose keys and values were checked.
#[derive(Debug)]
pub(super) struct ConfigFile {
    path: PathBuf,
    entries: Vec<ConfigEntry>,
}

#[derive(Debug)]
struct ConfigEntry {
    /// The command whose table contains the key, or `None` at the top level.
    command: Option<String>,
    key: String,
    /// The value as text, in the form that the flag accepts.
    text: String,
    line: usize,
}

impl ConfigFile {
    /// Reads a file for `program`. An error lists all problems, each with file, line and key. The error never contains
    /// the value of a secret.
    pub(super) fn read(path: &Path, program: &Command) -> Result<Self, String> {
        let shown = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read the configuration file {shown}: {error}"))?;
        let mut reader = EntryReader {
            text: &text,
            settings: settings(program),
            entries: Vec::new(),
            problems: Vec::new(),
        };
        reader.read();
        reader.problems.sort();
        let problems: Vec<_> = reader
            .problems
            .iter()
            .map(|(line, problem)| format!("{shown}, line {line}: {problem}"))
            .collect();
        match problems.is_empty() {
            true => Ok(Self { path: path.to_owned(), entries: reader.entries }),
            false => Err(problems.join("\n       ")),
        }
    }

    /// The command line with the values of the file as defaults.
    pub(super) fn apply(&self, program: Command) -> Command {
        let program = program.mut_args(|flag| self.with_default(flag, ""));
        program.mut_subcommands(|command| {
            let top = command.get_name().to_owned();
            self.apply_below(command, &top)
        })
    }

    fn apply_below(&self, command: Command, top: &str) -> Command {
        let command = command.mut_args(|flag| self.with_default(flag, top));
        command.mut_subcommands(|below| self.apply_below(below, top))
    }

    fn with_default(&self, flag: Arg, top: &str) -> Arg {
        match self.entry(&flag, top) {
            Some(entry) => flag.default_value(&entry.text),
            None => flag,
        }
    }

    /// The file name and the line that set the flag of a command, or `None` if the file does not set the flag.
    pub(super) fn place(&self, flag: &Arg, top: &str) -> Option<String> {
        self.entry(flag, top).map(|entry| format!("{}, line {}", self.path.display(), entry.line))
    }

    /// The entry that applies to a flag of a command. `top` is the first word of that command. An empty entry counts as
    /// absent, like an empty variable.
    fn entry(&self, flag: &Arg, top: &str) -> Option<&ConfigEntry> {
        let of_flag = |entry: &&ConfigEntry| entry.key == name(flag) && !entry.text.trim().is_empty();
        let entries = || self.entries.iter().filter(of_flag);
        let own = entries().find(|entry| entry.command.as_deref() == Some(top));
        own.or_else(|| entries().find(|entry| entry.command.is_none())).filter(|_| is_setting(flag))
    }
}

/// Reads the entries, and collects the problems with them.
struct EntryReader<'a> {
    text: &'a str,
    settings: Vec<Setting>,
    entries: Vec<ConfigEntry>,
    /// The problems that were found, each with its line number.
    problems: Vec<(usize, String)>,
}

impl EntryReader<'_> {
    fn read(&mut self) {
        let table = match DeTable::parse(self.text) {
            Ok(table) => table,
            // The parser's own error text is not used, because it shows the line, which may contain a secret.
            Err(error) => {
                let span = error.span().unwrap_or_default();
                let key = self.key_at(span.start);
                return self.problem(span.start, format_args!("{}{key}", error.message()));
            }
        };
        for (key, value) in table.get_ref() {
            match value.get_ref() {
                DeValue::Table(below) if self.has_command(key.get_ref()) => {
                    for (name, value) in below {
                        self.entry(Some(key.get_ref()), name, value);
                    }
                }
                _ => self.entry(None, key, value),
            }
        }
    }

    fn has_command(&self, name: &str) -> bool {
        self.settings.iter().any(|setting| setting.command.first().is_some_and(|first| first == name))
    }

    fn entry<K: AsRef<str>>(
        &mut self,
        command: Option<&str>,
        key: &Spanned<K>,
        value: &Spanned<DeValue<'_>>,
    ) {
        let (name_of_key, start) = (key.get_ref().as_ref(), key.span().start);
        let matches = |setting: &&Setting| {
            let first = setting.command.first().map(String::as_str);
            name(&setting.flag) == name_of_key && (command.is_none() || command == first)
        };
        let flags: Vec<_> =
            self.settings.iter().filter(matches).map(|setting| setting.flag.clone()).collect();
        let Some(flag) = flags.first() else {
            let of = command.map_or_else(String::new, |command| format!(" of `orders {command}`"));
            return self.problem(
                start,
                format_args!("`{name_of_key}` is not a setting{of}; a setting has the name of its flag, such as `listen`"),
            );
        };
        let expected = ValueType::of(flag);
        let Some(text) = text_of(value.get_ref(), expected) else {
            let (expected, found) = (expected.description(), described(value.get_ref()));
            return self.problem(start, format_args!("`{name_of_key}` must be {expected}, not {found}"));
        };
        if let Some(reason) = flags.iter().find_map(|flag| refusal(flag, &text)) {
            return self.problem(start, format_args!("`{name_of_key}` {reason}"));
        }
        let (command, key) = (command.map(str::to_owned), name_of_key.to_owned());
        let line = self.line_at(start);
        self.entries.push(ConfigEntry { command, key, text, line });
    }

    fn problem(&mut self, at: usize, problem: impl Display) {
        self.problems.push((self.line_at(at), problem.to_string()));
    }

    fn line_at(&self, at: usize) -> usize {
        self.text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
    }

    /// The key on the line that contains the offset `at`, for messages about syntax errors.
    fn key_at(&self, at: usize) -> String {
        let line = self.text.lines().nth(self.line_at(at) - 1).unwrap_or_default();
        match line.split_once('=') {
            Some((key, _)) => format!(" (`{}`)", key.trim()),
            None => String::new(),
        }
    }
}

fn described(value: &DeValue<'_>) -> String {
    let kind = value.type_str();
    let article = if kind.starts_with(['a', 'i']) { "an" } else { "a" };
    format!("{article} {kind}")
}

/// The value as text, in the form that a flag accepts, or `None` if the value has an unsuitable type.
fn text_of(value: &DeValue<'_>, expected: ValueType) -> Option<String> {
    use ValueType::{Boolean, Number, NumberOrString, String};
    match (value, expected) {
        (DeValue::Boolean(value), Boolean) => Some(value.to_string()),
        (DeValue::Integer(value), Number | NumberOrString) => {
            i64::from_str_radix(value.as_str(), value.radix()).ok().map(|value| value.to_string())
        }
        (DeValue::Float(value), Number | NumberOrString) => {
            value.as_str().parse().ok().map(|value: f64| value.to_string())
        }
        (DeValue::String(value), String | NumberOrString) => Some(value.to_string()),
        _ => None,
    }
}

/// The reason why the flag would refuse a value, or `None` if the flag accepts it.
fn refusal(flag: &Arg, text: &str) -> Option<String> {
    if text.trim().is_empty() {
        return None;
    }
    let alone = Arg::new("value").value_parser(flag.get_value_parser().clone()).allow_hyphen_values(true);
    let error = Command::new("").no_binary_name(true).arg(alone).try_get_matches_from([text]).err()?;
    if is_secret(flag) {
        return Some("has a value that cannot be used".to_owned());
    }
    let reason =
        error.source().map_or_else(|| "not one of the possible values".to_owned(), |it| it.to_string());
    // The secrets of a URL are not shown, because the URL may be refused for containing a password.
    let shown = if text.contains("://") { crate::redact::url(text) } else { text.to_owned() };
    Some(format!("cannot be {shown:?}: {reason}"))
}
