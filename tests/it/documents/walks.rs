//! Checks that the walks of `docs/architecture.md` agree with the code.
//!
//! A step of a walk is an item of a numbered list that names a file and a function: `path/to/file.rs`, `function`. The
//! file must exist and define the function. The function must be mentioned in the body of a function of an earlier
//! step, which is usually the previous step or its caller. A step that is reached without a call (by a queue, a thread
//! or the network) needs no mention. The previous step then shows after an arrow how the step is reached: `→ by …`.
//! For the steps after the arrow, mentions before the arrow do not count. A new list begins a new walk.

use std::fs;

use regex::Regex;

use super::here;
use super::markdown::Document;

#[derive(Debug)]
struct Step {
    line: usize,
    file: String,
    function: String,
    /// Whether the next step is reached without a call.
    hands_over: bool,
}

/// The walks of the document, each with its steps.
fn walks(document: &Document) -> Vec<Vec<Step>> {
    let item = Regex::new(r"^(\d+)\. `([\w/.-]+\.rs)`,? `(\w+)`").unwrap();
    let mut walks: Vec<Vec<Step>> = Vec::new();
    let mut is_step = false;
    for (line, text) in document.prose() {
        if let Some(found) = item.captures(text) {
            if &found[1] == "1" {
                walks.push(Vec::new());
            }
            let (file, function) = (found[2].to_owned(), found[3].to_owned());
            let hands_over = text.contains("→ by ");
            walks.last_mut().unwrap().push(Step { line, file, function, hands_over });
            is_step = true;
        } else if text.starts_with(' ') && is_step {
            let step = walks.last_mut().unwrap().last_mut().unwrap();
            step.hands_over |= text.contains("→ by ");
        } else {
            is_step = false;
        }
    }
    walks
}

/// The bodies of all functions with this name in a file. rustfmt must have formatted the file.
fn bodies(text: &str, function: &str) -> Vec<String> {
    let starts = Regex::new(&format!(r"\bfn {function}\b")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let mut bodies = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let is_comment = line.trim_start().starts_with("//");
        if is_comment || !starts.is_match(line) {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let end = format!("{}}}", " ".repeat(indent));
        let is_whole = line.ends_with('}');
        let length = lines[number..].iter().position(|line| *line == end).unwrap_or(0);
        let last = if is_whole { number } else { number + length };
        bodies.push(lines[number..=last].join("\n"));
    }
    bodies
}

#[test]
fn each_step_of_a_walk_is_called_by_an_earlier_one() {
    let document = Document::read("docs/architecture.md");
    let walks = walks(&document);
    let mut wrong = Vec::new();
    for walk in &walks {
        // The bodies of the functions since the start of the walk, or since the last step with an arrow. One of them
        // must mention the function of the next step.
        let mut callers = String::new();
        let mut is_called = false;
        for Step { line, file, function, hands_over } in walk {
            let text = fs::read_to_string(here(file)).unwrap_or_default();
            let bodies = bodies(&text, function);
            if bodies.is_empty() {
                wrong.push(format!("line {line}: {file} has no function {function}"));
            }
            let mention = Regex::new(&format!(r"\b{function}\b")).unwrap();
            if is_called && !mention.is_match(&callers) {
                wrong.push(format!("line {line}: no earlier step calls {function} in {file}"));
            }
            let inside = bodies.iter().filter_map(|body| Some(body.split_once('\n')?.1));
            callers.extend(inside);
            if *hands_over {
                callers.clear();
            }
            is_called = !hands_over;
        }
    }
    assert!(wrong.is_empty(), "docs/architecture.md does not follow the code:\n{}", wrong.join("\n"));
    assert!(walks.len() >= 4 && walks.iter().all(|walk| walk.len() >= 3), "{walks:#?}");
}

#[test]
fn the_body_of_a_function_ends_where_it_ends() {
    let text = "impl A {\n    fn a(&self) {\n        b();\n    }\n\n    fn aa() { c() }\n\n    fn a_b() {\n        d();\n    }\n}\n";
    assert_eq!(bodies(text, "a"), ["    fn a(&self) {\n        b();\n    }"]);
    assert_eq!(bodies(text, "aa"), ["    fn aa() { c() }"]);
}
