use std::path::{Path, PathBuf};

use clap::error::ErrorKind;

use super::*;

/// The files below a folder whose names have one of these extensions.
fn files(folder: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let below = entries.flat_map(|path| if path.is_dir() { files(&path, extensions) } else { vec![path] });
    let wanted =
        |path: &PathBuf| path.extension().is_some_and(|it| extensions.iter().any(|known| it == *known));
    below.filter(wanted).collect()
}

/// The commands of this program that a text shows in backquotes or in code blocks.
fn commands(text: &str) -> Vec<String> {
    let quoted = text.split('`').skip(1).step_by(2).filter(|quoted| !quoted.contains('\n'));
    let blocks = text.split("```").skip(1).step_by(2).flat_map(str::lines);
    let typed = blocks.map(|line| line.trim().trim_start_matches("$ "));
    let all = quoted.chain(typed).filter(|command| command.starts_with("orders "));
    let cut = |command: &str| {
        let end = [" #", " >", " |", " \\|", " &&"].iter().filter_map(|mark| command.find(mark)).min();
        command[..end.unwrap_or(command.len())].to_owned()
    };
    // An example with a placeholder is not a complete command.
    let whole =
        |command: &String| !command.contains(['…', '<', '[', '=']) && !command.starts_with("orders {");
    all.map(cut).chain(advised(text)).filter(whole).collect()
}

/// The commands in the string literals of a source file. In a literal, a command begins at the start of the text or
/// after a colon, and extends to the end of the line.
fn advised(text: &str) -> Vec<String> {
    let joined = regex::Regex::new(r"\\\n\s*").unwrap().replace_all(text, "").into_owned();
    let command = regex::Regex::new("(?:^|: |^ +)(orders [a-z-]+(?: .*)?)$").unwrap();
    let literals = joined.split('"').skip(1).step_by(2).filter(|literal| !literal.contains('\n'));
    let lines = literals.flat_map(|literal| literal.split("\\n"));
    let advised = lines.filter_map(|line| Some(command.captures(line)?[1].to_owned()));
    let cut = |command: String| command.split(" > ").next().unwrap_or_default().to_owned();
    let program = Cli::command();
    let is_command = |text: &String| {
        let name = text.split(' ').nth(1);
        name.is_some_and(|name| program.find_subcommand(name).is_some())
    };
    advised.map(cut).filter(is_command).collect()
}

/// The words of a command, split as a shell splits them.
fn words(command: &str) -> Vec<OsString> {
    let parts = command.split('"').enumerate();
    let words = parts.flat_map(|(place, part)| match place % 2 {
        0 => part.split_whitespace().collect(),
        _ => vec![part],
    });
    words.map(Into::into).collect()
}

/// Tests that the program can parse every command that it prints or that the documents show.
#[test]
fn every_printed_command_parses() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["src", "api/src", "consumer/src", "infra/src"];
    let mut all: Vec<_> = folders.iter().flat_map(|folder| files(&root.join(folder), &["rs"])).collect();
    all.extend(files(&root.join("docs"), &["md"]));
    all.extend(files(&root.join("examples"), &["md"]));
    all.extend(["README.md", "CONTRIBUTING.md", "SECURITY.md"].map(|name| root.join(name)));
    let mut count = 0;
    for file in all {
        for command in commands(&std::fs::read_to_string(&file).unwrap()) {
            // In the documents, `COMMAND` stands for any command.
            let words = words(&command.replace("COMMAND", "serve"));
            match Cli::try_parse_from(with_command(words)) {
                Ok(_) => count += 1,
                Err(error) => match error.kind() {
                    ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => count += 1,
                    // The command is a group, such as `orders dlq`, and needs a subcommand.
                    ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {}
                    _ if command.split(' ').count() <= 3
                        && error.kind() == ErrorKind::MissingRequiredArgument => {}
                    _ if cfg!(not(feature = "aws")) && error.kind() == ErrorKind::InvalidSubcommand => {}
                    _ => panic!("{}: `{command}`: {error}", file.display()),
                },
            }
        }
    }
    assert!(count > 20, "{count} commands were found");
}
