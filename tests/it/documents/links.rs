//! Checks that links between documents, and links to files of the repository, have a target.

use std::path::{Component, Path};

use regex::Regex;

use super::here;
use super::markdown::{Document, documents};

/// The path that a relative link of a document leads to, from the root of the repository.
fn target(document: &Document, link: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let folder = Path::new(&document.path).parent().unwrap();
    for part in folder.components().chain(Path::new(link).components()) {
        match part {
            Component::Normal(name) => parts.push(name.to_str().unwrap()),
            Component::ParentDir => drop(parts.pop()),
            _ => {}
        }
    }
    parts.join("/")
}

#[test]
fn every_relative_link_leads_to_a_file_and_a_heading() {
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let documents = documents();
    let (mut broken, mut count) = (Vec::new(), 0);
    for document in &documents {
        for (number, line) in document.prose() {
            for found in link.captures_iter(line) {
                let link = &found[1];
                if link.contains("://") || link.starts_with("mailto:") {
                    continue;
                }
                count += 1;
                let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
                let path = if path.is_empty() { document.path.clone() } else { target(document, path) };
                let has_anchor = || {
                    let there = documents.iter().find(|there| there.path == path);
                    there.is_some_and(|there| there.anchors().iter().any(|known| known == anchor))
                };
                if !here(&path).exists() || !(anchor.is_empty() || has_anchor()) {
                    broken.push(format!("{}:{number}: {link}", document.path));
                }
            }
        }
    }
    assert!(broken.is_empty(), "these links lead nowhere:\n{}", broken.join("\n"));
    assert!(count > 50, "{count} links were found");
}

#[test]
fn every_document_is_linked_from_another() {
    let documents = documents();
    let link = Regex::new(r"\]\(([^)#\s]+)").unwrap();
    for document in &documents {
        let is_linked = documents.iter().filter(|other| other.path != document.path).any(|other| {
            link.captures_iter(&other.text).any(|found| {
                let path = target(other, &found[1]);
                path == document.path || format!("{path}/README.md") == document.path
            })
        });
        assert!(is_linked || document.path == "README.md", "nothing links to {}", document.path);
    }
}

#[test]
fn the_readme_has_at_most_150_lines() {
    assert!(Document::read("README.md").text.lines().count() <= 150);
}
