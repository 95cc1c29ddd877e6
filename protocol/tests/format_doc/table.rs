//! The tables of `docs/format.md`, read from the page itself, and how bytes are held against them.
//!
//! Shared by every crate whose structures are on the page (as a module by path), so it depends on nothing but `hex`.

/// One row of a byte table.
#[derive(Debug, Clone)]
pub struct Row {
    /// offset in bytes, where it is fixed
    pub offset: Option<usize>,
    /// length in bytes, where it is fixed
    pub bytes: Option<usize>,
    /// name of the field
    pub name: String,
}

/// A byte table and the heading it stands under.
#[derive(Debug, Clone)]
pub struct Table {
    /// text of the heading
    pub title: String,
    /// its rows
    pub rows: Vec<Row>,
}

/// The page.
pub fn page() -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/format.md");
    std::fs::read_to_string(path).expect("docs/format.md is there")
}

/// Cells of a table line; `\|` is a bar inside a cell.
pub fn cells(line: &str) -> Vec<String> {
    let line = line.trim().trim_start_matches('|').trim_end_matches('|').replace("\\|", "\u{1}");
    line.split('|').map(|cell| cell.trim().replace('\u{1}', "|")).collect()
}

/// Every table whose first columns are offset, bytes and name.
pub fn byte_tables(page: &str) -> Vec<Table> {
    let (mut tables, mut title, mut inside): (Vec<Table>, _, _) = (Vec::new(), "", false);
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix("### ").or(line.strip_prefix("## ")) {
            title = heading;
        }
        if line.starts_with("| offset | bytes | name |") {
            tables.push(Table { title: title.to_owned(), rows: Vec::new() });
            inside = true;
        } else if !line.starts_with('|') {
            inside = false;
        } else if inside && !line.starts_with("|---") {
            let cells = cells(line);
            let row = Row { offset: cells[0].parse().ok(), bytes: cells[1].parse().ok(), name: cells[2].clone() };
            tables.last_mut().expect("rows follow a header").rows.push(row);
        }
    }
    tables
}

/// A structure: all of its bytes, which part of them a table is about, and what that part consists of.
pub struct Structure {
    /// bytes of the whole
    pub encoded: Vec<u8>,
    /// where the first field is
    pub begins_at: usize,
    /// where the last field ends
    pub ends_at: usize,
    /// names and bytes of the fields
    pub fields: Vec<(&'static str, Vec<u8>)>,
}

/// Walks rows and fields together; every number on the page must be the true one.
pub fn compare(table: &Table, structure: &Structure) {
    let title = &table.title;
    let names: Vec<&str> = table.rows.iter().map(|row| row.name.as_str()).collect();
    let fields: Vec<&str> = structure.fields.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, fields, "{title}: fields");
    let mut at = structure.begins_at;
    for (row, (name, bytes)) in table.rows.iter().zip(&structure.fields) {
        assert!(row.offset.is_none_or(|offset| offset == at), "{title}: {name} is at {at}");
        assert!(row.bytes.is_none_or(|count| count == bytes.len()), "{title}: {name} has {} bytes", bytes.len());
        let found = &structure.encoded[at..at + bytes.len()];
        assert_eq!(hex::encode(found), hex::encode(bytes), "{title}: {name} at {at}");
        at += bytes.len();
    }
    assert_eq!(at, structure.ends_at, "{title}: bytes that no row tells of");
}
