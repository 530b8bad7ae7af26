//! The two rules for environment variables, applied to every argument before the command line is parsed: an empty variable
//! counts as unset, and switches take `1`, `true`, `yes` and `on`, or `0`, `false`, `no` and `off`.

use std::ffi::OsStr;

use clap::builder::Resettable;
use clap::{Arg, ArgAction, Command};

/// Applies the rules for empty variables and for switches to the command and all of its subcommands.
pub(crate) fn follow_rules(command: Command) -> Command {
    command.mut_args(follow_rules_in).mut_subcommands(follow_rules)
}

fn follow_rules_in(argument: Arg) -> Arg {
    let Some(variable) = argument.get_env() else { return argument };
    let argument = if is_empty(variable) { argument.env(Resettable::Reset) } else { argument };
    match argument.get_action() {
        ArgAction::SetTrue => argument.value_parser(switch),
        _ => argument,
    }
}

fn is_empty(variable: &OsStr) -> bool {
    std::env::var_os(variable).is_some_and(|value| value.to_str().is_some_and(|text| text.trim().is_empty()))
}

/// Parses the value of a switch.
pub(crate) fn switch(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "0" | "false" | "no" | "off" => Ok(false),
        _ => Err("neither 1, true, yes or on, nor 0, false, no or off".to_owned()),
    }
}
