//! Reads the documents: their code blocks, their headings, and the text in between.

use std::fs;
use std::path::Path;

use super::here;

/// A Markdown file of the repository.
pub struct Document {
    /// The path from the root of the repository.
    pub path: String,
    pub text: String,
}

/// A fenced block of code.
#[derive(Debug)]
pub struct Block {
    /// The first word after the fence, such as `sh`.
    pub language: String,
    /// Whether the second word is `output`. Such a block shows what the previous block prints.
    pub is_output: bool,
    /// The HTML comment directly before the block, without its delimiters.
    pub mark: Option<String>,
    pub text: String,
    /// The line number of the fence, counted from 1.
    pub line: usize,
}

/// Every document of the repository.
pub fn documents() -> Vec<Document> {
    let mut paths = Vec::new();
    for (folder, is_deep) in [("", false), ("docs", true), ("examples", true), ("infra/terraform", true)] {
        add_files(folder, is_deep, &mut paths);
    }
    paths.sort();
    let read = |path: String| Document { text: fs::read_to_string(here(&path)).unwrap(), path };
    paths.into_iter().map(read).collect()
}

fn add_files(folder: &str, is_deep: bool, paths: &mut Vec<String>) {
    for entry in fs::read_dir(here(folder)).unwrap_or_else(|error| panic!("{folder}: {error}")) {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let path = Path::new(folder).join(&name).to_str().unwrap().to_owned();
        if name.ends_with(".md") {
            paths.push(path);
        } else if is_deep && here(&path).is_dir() {
            add_files(&path, is_deep, paths);
        }
    }
}

impl Document {
    /// The document with this path.
    pub fn read(path: &str) -> Self {
        Self { path: path.to_owned(), text: fs::read_to_string(here(path)).unwrap() }
    }

    pub fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        let (mut open, mut mark) = (None, None);
        for (number, line) in self.text.lines().enumerate() {
            let content = line.trim_start();
            let indent = line.len() - content.len();
            match (&mut open, content.strip_prefix("```")) {
                (None, Some(info)) => {
                    let mut words = info.split_whitespace();
                    let block = Block {
                        language: words.next().unwrap_or_default().to_owned(),
                        is_output: words.next() == Some("output"),
                        mark: mark.take(),
                        text: String::new(),
                        line: number + 1,
                    };
                    open = Some((block, indent));
                }
                (Some(_), Some(_)) => blocks.extend(open.take().map(|(block, _)| block)),
                (Some((block, indent)), None) => {
                    block.text.push_str(line.get(*indent..).unwrap_or(content));
                    block.text.push('\n');
                }
                (None, None) if content.is_empty() => {}
                (None, None) => {
                    let comment = content.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->"));
                    mark = comment.map(str::to_owned);
                }
            }
        }
        assert!(open.is_none(), "{}: a fence is not closed", self.path);
        blocks
    }

    /// The lines outside code blocks, each with its number.
    pub fn prose(&self) -> Vec<(usize, &str)> {
        let mut is_code = false;
        let lines = self.text.lines().enumerate().filter(|(_, line)| {
            let is_fence = line.trim_start().starts_with("```");
            is_code ^= is_fence;
            !is_code && !is_fence
        });
        lines.map(|(number, line)| (number + 1, line)).collect()
    }

    /// The anchors of the headings, as GitHub generates them.
    pub fn anchors(&self) -> Vec<String> {
        let mut anchors: Vec<String> = Vec::new();
        let headings = self.prose().into_iter().filter(|(_, line)| line.starts_with('#'));
        for (_, heading) in headings {
            let anchor = slug(heading.trim_start_matches('#').trim());
            let same = anchors.iter().filter(|known| **known == anchor).count();
            anchors.push(if same == 0 { anchor } else { format!("{anchor}-{same}") });
        }
        anchors
    }
}

fn slug(heading: &str) -> String {
    let kept = heading.to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn blocks_and_anchors_are_found() {
    let text = "# A `b`: c\n\n<!-- not run: why -->\n```sh\na\n  b\n```\n\n1. x\n\n   ```json output\n   {}\n   ```\n\n# A `b`: c\n";
    let document = Document { path: "x.md".to_owned(), text: text.to_owned() };
    let blocks = document.blocks();
    assert_eq!((blocks[0].text.as_str(), blocks[0].mark.as_deref()), ("a\n  b\n", Some("not run: why")));
    assert_eq!((blocks[1].text.as_str(), blocks[1].is_output, &blocks[1].mark), ("{}\n", true, &None));
    assert_eq!(document.anchors(), ["a-b-c", "a-b-c-1"]);
}
