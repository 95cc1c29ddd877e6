//! `docs/controls.md` against the catalogue of controls and against the tests that exist.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

use shosoin_store::applicability::{Catalogue, Duty};
use std::path::{Path, PathBuf};

struct Row {
    id: String,
    feature: String,
    tests: Vec<(PathBuf, String)>,
    missing: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn page() -> String {
    std::fs::read_to_string(root().join("docs/controls.md")).unwrap()
}

fn rows(page: &str) -> Vec<Row> {
    let lines = page.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let tests = cells[2].split('`').filter_map(|part| part.split_once("::"));
        Row {
            id: cells[0].to_owned(),
            feature: cells[1].to_owned(),
            tests: tests.map(|(file, test)| (root().join(file), test.to_owned())).collect(),
            missing: cells[3].to_owned(),
        }
    };
    lines.filter(|line| line.starts_with('|')).map(row).collect()
}

#[test]
fn every_control_of_the_product_has_a_row_with_tests_or_a_reason() {
    let page = page();
    let rows = rows(&page);
    let catalogue = Catalogue::edition_2().unwrap();
    let asked = catalogue.controls.iter().filter(|control| control.duty == Duty::Product);
    let asked: Vec<(&str, &str)> = asked.map(|control| (control.id.as_str(), control.feature.as_str())).collect();
    let found: Vec<(&str, &str)> = rows.iter().map(|row| (row.id.as_str(), row.feature.as_str())).collect();
    assert_eq!(found, asked, "the rows are the controls of the catalogue, in its order");
    for row in &rows {
        assert!(!row.tests.is_empty() || row.missing.starts_with("not yet: "), "{}", row.id);
    }
    let (none, part) = (
        rows.iter().filter(|row| row.tests.is_empty()).count(),
        rows.iter().filter(|row| !row.tests.is_empty() && !row.missing.is_empty()).count(),
    );
    let shown = rows.len() - none - part;
    let stated = format!("{shown} of {} are shown, {part} in part, {none} not yet.", rows.len());
    assert!(page.contains(&stated), "the page must say: {stated}");
}

#[test]
fn every_test_that_a_row_names_exists() {
    for row in rows(&page()) {
        for (file, test) in &row.tests {
            let source = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            let written = ["fn", "def"].iter().any(|word| source.contains(&format!("{word} {test}(")));
            assert!(written, "{}: {} has no test {test}", row.id, file.display());
        }
    }
}
