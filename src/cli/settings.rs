//! The settings: every flag that has an environment variable. The configuration file, `orders config` and the generated
//! documentation use this list.

use clap::{Arg, ArgAction, Command};

/// The flag that names the configuration file. A configuration file cannot set this flag.
pub(super) const CONFIG: &str = "config";

/// A setting of one command.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    /// The words of the command, such as `["dlq", "list"]`. Empty for a setting of all commands.
    pub(crate) command: Vec<String>,
    /// The flag, with its variable, default and help.
    pub(crate) flag: Arg,
}

/// The settings of a command line, command by command, in the order in which they are declared.
pub(crate) fn settings(program: &Command) -> Vec<Setting> {
    let mut found = Vec::new();
    collect(program, &[], &mut found);
    found
}

fn collect(command: &Command, path: &[String], found: &mut Vec<Setting>) {
    let flags = command.get_arguments().filter(|flag| is_setting(flag));
    found.extend(flags.map(|flag| Setting { command: path.to_vec(), flag: flag.clone() }));
    for below in command.get_subcommands() {
        collect(below, &[path, &[below.get_name().to_owned()]].concat(), found);
    }
}

pub(super) fn is_setting(flag: &Arg) -> bool {
    flag.get_env().is_some() && flag.get_id() != CONFIG
}

/// The name of a setting: its flag without the dashes.
pub(super) fn name(flag: &Arg) -> &str {
    flag.get_long().unwrap_or_default()
}

/// Whether the value is a secret that must not be printed.
pub(super) fn is_secret(flag: &Arg) -> bool {
    flag.is_hide_env_values_set()
}

/// The type that the value must have in a configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueType {
    Boolean,
    Number,
    /// A rate, which is a number or a text such as `100/200`.
    NumberOrString,
    String,
}

impl ValueType {
    /// The type of a setting, derived from the value name of its flag.
    pub(super) fn of(flag: &Arg) -> Self {
        if matches!(flag.get_action(), ArgAction::SetTrue) {
            return Self::Boolean;
        }
        match flag.get_value_names().and_then(|names| names.first()).map_or("", |name| name.as_str()) {
            "BOOL" => Self::Boolean,
            "COUNT" | "MIB" | "PER SECOND" | "SECONDS" => Self::Number,
            "RATE[/BURST]" => Self::NumberOrString,
            _ => Self::String,
        }
    }

    pub(super) fn description(self) -> &'static str {
        match self {
            Self::Boolean => "true or false",
            Self::Number => "a number",
            Self::NumberOrString => "a number or a string",
            Self::String => "a string",
        }
    }
}
