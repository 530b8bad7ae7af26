//! Checks that `docs/configuration.md` lists all commands of the tested program. This must hold for any set of Cargo
//! features.
//!
//! A test in `src/cli` generates the page from the declaration of the command line. The tests here compare the page
//! with the help that users read.

use crate::support::service::orders;

use super::markdown::Document;

#[test]
fn the_page_and_the_readme_have_every_command_of_the_help() {
    let page = Document::read("docs/configuration.md").text;
    let readme = Document::read("README.md").text;
    let help = String::from_utf8(orders(&["--help"]).output().unwrap().stdout).unwrap();
    let (_, commands) = help.split_once("\nCommands:\n").unwrap();
    let names = commands.lines().take_while(|line| !line.is_empty());
    let names: Vec<_> = names.filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).collect();
    assert!(names.contains(&"openapi"), "{names:?}");
    for name in names.into_iter().filter(|name| !name.is_empty() && *name != "help") {
        let command = format!("`orders {name}");
        assert!(page.contains(&command), "docs/configuration.md does not contain {name}");
        assert!(readme.contains(&command), "README.md does not contain {name}");
    }
}

#[test]
fn the_example_of_a_configuration_file_is_one() {
    let page = Document::read("docs/configuration.md");
    let example = page.blocks().into_iter().find(|block| block.language == "toml").unwrap().text;
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("orders.toml");
    std::fs::write(&file, example).unwrap();
    let shown = orders(&["config", "--config", file.to_str().unwrap()]).output().unwrap();
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
    assert!(text.contains("127.0.0.1:9000") && text.contains("orders.example"), "{text}");
}
