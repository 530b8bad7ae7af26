//! Checks that the files, folders and tests that documents name exist.
//!
//! Only names between backquotes are checked. A test is named by its file and its function, as in
//! `tests/it/crash.rs::nothing_accepted_is_lost_by_kill_9`.

use std::fs;
use std::path::Path;

use regex::Regex;

use super::here;
use super::markdown::{Document, documents};

#[test]
fn files_and_tests_that_are_named_exist() {
    let name = Regex::new(
        r"`((?:api|benches|consumer|docs|domain|examples|infra|monitoring|openapi|packaging|scripts|src|tests|\.ci)/[\w./-]+)(?:::(\w+))?`",
    )
    .unwrap();
    let (mut wrong, mut tests) = (Vec::new(), 0);
    for document in documents() {
        for (number, line) in document.prose() {
            for found in name.captures_iter(line) {
                let file = here(found[1].trim_end_matches('/'));
                let exists = match found.get(2) {
                    None => file.exists(),
                    Some(function) => {
                        tests += 1;
                        let text = fs::read_to_string(&file).unwrap_or_default();
                        text.contains(&format!("fn {}(", function.as_str()))
                    }
                };
                if !exists {
                    wrong.push(format!("{}:{number}: {}", document.path, &found[0]));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "documents name files or tests that do not exist:\n{}", wrong.join("\n"));
    assert!(tests > 10, "{tests} tests were found");
}

/// The text of all source files below a folder.
fn sources(folder: &Path) -> String {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let texts = entries.map(|path| match path.is_dir() {
        true => sources(&path),
        false => fs::read_to_string(&path).unwrap(),
    });
    texts.collect()
}

#[test]
fn types_that_the_glossary_names_exist() {
    let name = Regex::new(r"`(api|consumer|domain|infra)::(?:[a-z_]+::)*([A-Z]\w+)`").unwrap();
    let glossary = Document::read("docs/glossary.md").text;
    let mut count = 0;
    for found in name.captures_iter(&glossary) {
        let declared = Regex::new(&format!(r"pub (?:enum|struct|trait) {}\b", &found[2])).unwrap();
        assert!(declared.is_match(&sources(&here(&found[1]).join("src"))), "there is no {}", &found[0]);
        count += 1;
    }
    assert!(count >= 4, "{count} types were found");
}

#[test]
fn integrators_find_every_kind_of_problem_and_event() {
    let document = Document::read("docs/api.md").text;
    let description = fs::read_to_string(here("openapi/openapi.json")).unwrap();
    let kind = Regex::new("/problems/([a-z-]+)").unwrap();
    let kinds = kind.captures_iter(&description).map(|found| found[1].to_owned());
    let events = domain::EventType::ALL.into_iter().map(|event| event.as_str().to_owned());
    for name in kinds.chain(events) {
        assert!(document.contains(&format!("`{name}`")), "docs/api.md does not contain {name}");
    }
}

#[test]
fn the_files_of_each_change_are_counted() {
    let contributing = Document::read("CONTRIBUTING.md").text;
    let (_, table) = contributing.split_once("| change | files before | files after | where |").unwrap();
    let rows: Vec<Vec<&str>> = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split(" | ").collect())
        .collect();
    let file = Regex::new(r"`([\w.-]*/[\w./-]*|[\w.-]+\.(?:md|toml))`").unwrap();
    for row in &rows {
        let files: Vec<_> = file.captures_iter(row[3]).map(|found| found[1].to_owned()).collect();
        let missing: Vec<_> = files.iter().filter(|name| !here(name).exists()).collect();
        assert!(missing.is_empty(), "{}: {missing:?} do not exist", row[0]);
        assert_eq!(row[2].trim().parse(), Ok(files.len()), "{}", row[0]);
    }
    assert_eq!(rows.len(), 12);
}
