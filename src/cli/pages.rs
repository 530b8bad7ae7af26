//! `orders completions` and `orders man`, generated from the declaration of the command line.

use anyhow::Context;
use clap::{Args, Command, ValueEnum};
use clap_complete::Shell;

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell to write the script for. In bash, load it with `source <(orders completions bash)`.
    shell: CompletionShell,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum CompletionShell {
    Bash,
    Zsh,
    Fish,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The command, such as `dlq list`. Without it, the page of the program is printed. To read a page, run `orders man
    /// dlq list | man -l -`.
    command: Vec<String>,
}

/// The completion script for a shell.
pub(crate) fn completions(args: &CompletionsArgs, mut program: Command) -> anyhow::Result<String> {
    let shell = match args.shell {
        CompletionShell::Bash => Shell::Bash,
        CompletionShell::Zsh => Shell::Zsh,
        CompletionShell::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut program, "orders", &mut script);
    Ok(String::from_utf8(script)?)
}

/// The man page of a command, as troff source.
pub(crate) fn man(args: &ManArgs, mut program: Command) -> anyhow::Result<String> {
    // `build` gives commands their full names, such as `orders-dlq-list`.
    program.build();
    let command = args.command.iter().try_fold(&program, |command, name| {
        command
            .find_subcommand(name)
            .with_context(|| format!("there is no command `{}`", args.command.join(" ")))
    })?;
    let mut page = Vec::new();
    let source = concat!("orders ", env!("CARGO_PKG_VERSION"));
    clap_mangen::Man::new(command.clone()).source(source).render(&mut page)?;
    Ok(String::from_utf8(page)?)
}
