//! `orders completions` and `orders man`, generated from the declaration of the command line.

use std::fs;
use std::path::{Path, PathBuf};

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
    /// Write the pages of the program and of all commands to this folder, as `orders.1`, `orders-dlq-list.1` and so on.
    #[arg(long, value_name = "FOLDER", conflicts_with = "command")]
    to: Option<PathBuf>,
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

/// The man page of a command, as troff source. `None` if the pages were written to a folder.
pub(crate) fn man(args: &ManArgs, mut program: Command) -> anyhow::Result<Option<String>> {
    // `build` gives commands their full names, such as `orders-dlq-list`.
    program.build();
    if let Some(folder) = &args.to {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        write_pages(&program, folder)?;
        return Ok(None);
    }
    let command = args.command.iter().try_fold(&program, |command, name| {
        command
            .find_subcommand(name)
            .with_context(|| format!("there is no command `{}`", args.command.join(" ")))
    })?;
    page(command).map(Some)
}

/// Writes the page of the command, and of all commands below it.
fn write_pages(command: &Command, folder: &Path) -> anyhow::Result<()> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    let file = folder.join(format!("{name}.1"));
    fs::write(&file, page(command)?).with_context(|| format!("cannot write {}", file.display()))?;
    let below = command.get_subcommands().filter(|below| below.get_name() != "help");
    below.into_iter().try_for_each(|below| write_pages(below, folder))
}

fn page(command: &Command) -> anyhow::Result<String> {
    let mut page = Vec::new();
    let source = concat!("orders ", env!("CARGO_PKG_VERSION"));
    clap_mangen::Man::new(command.clone()).source(source).render(&mut page)?;
    Ok(String::from_utf8(page)?)
}
