//! What `docs/` points at exists: files of this repository, pages, sections of pages, decisions.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every page of `docs/` with its text.
fn pages() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for folder in ["docs", "docs/decisions"] {
        let listing = std::fs::read_dir(root().join(folder)).expect("the folder is there");
        found.extend(listing.map(|entry| entry.expect("it can be listed").path()));
    }
    found.retain(|path| path.extension().is_some_and(|ending| ending == "md"));
    found.into_iter().map(|path| (path.clone(), std::fs::read_to_string(path).expect("a page is text"))).collect()
}

/// Text between backticks, code blocks left out.
fn quoted(text: &str) -> Vec<&str> {
    let prose = text.split("```").step_by(2);
    prose.flat_map(|prose| prose.split('`').skip(1).step_by(2)).collect()
}

#[test]
fn every_source_file_that_a_page_names_is_there() {
    for (page, text) in pages() {
        let paths = quoted(&text).into_iter().filter(|word| word.ends_with(".rs") && word.contains("/src/"));
        for path in paths.filter(|path| !path.contains('{')) {
            assert!(root().join(path).is_file(), "{}: {path}", page.display());
        }
    }
}

fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let keep = |letter: &char| letter.is_alphanumeric() || *letter == '-';
    headings
        .map(|heading| heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-"))
        .map(|anchor| anchor.chars().filter(keep).collect())
        .collect()
}

#[test]
fn every_link_between_pages_leads_somewhere() {
    for (page, text) in pages() {
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.contains("://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { page.clone() } else { page.parent().expect("a folder").join(file) };
            assert!(target.exists(), "{}: {link}", page.display());
            if !anchor.is_empty() {
                let text = std::fs::read_to_string(&target).expect("a page is text");
                assert!(anchors(&text).contains(anchor), "{}: {link}", page.display());
            }
        }
    }
}

/// A number is taken before its page is written, so there may be gaps for a while; none is taken twice.
#[test]
fn decisions_have_each_a_number_and_one_form() {
    let mut decisions: Vec<(String, String)> = pages()
        .into_iter()
        .filter(|(path, _)| path.parent().is_some_and(|folder| folder.ends_with("decisions")))
        .map(|(path, text)| (path.file_name().expect("a file").to_string_lossy().into_owned(), text))
        .collect();
    decisions.sort();
    let mut before = 0;
    for (name, text) in &decisions {
        let number: u32 = name.split('-').next().and_then(|number| number.parse().ok()).expect("a number first");
        assert!(number > before && name.starts_with(&format!("{number:04}-")), "{name} comes after {before}");
        before = number;
        assert!(text.starts_with(&format!("# {number}. ")), "{name} begins with its number and title");
        for section in ["Context", "Decision", "Consequences", "What would change our mind"] {
            assert_eq!(text.matches(&format!("\n## {section}\n")).count(), 1, "{name}: {section}");
        }
    }
}

#[test]
fn every_binary_form_has_first_bytes_of_its_own_and_the_table_has_them_all() {
    let text = std::fs::read_to_string(root().join("docs/format.md")).expect("the page is there");
    let (table, rest) = text.split_once("## Suites").expect("the table of first bytes ends at the suites");
    let (mut seen, known) = (BTreeSet::new(), quoted(table).into_iter().collect::<BTreeSet<_>>());
    for line in rest.lines().filter(|line| line.starts_with("| 0 | 4 | magic")) {
        let magic = line.split('`').nth(1).expect("a magic is quoted");
        assert!(seen.insert(magic), "{magic} begins two forms: nobody could tell them apart");
        assert!(known.contains(magic), "{magic} is not in the table of first bytes");
    }
    assert!(seen.len() > 30);
}
