//! Golden vectors as files: how one is read and written. `vectors/README.md` describes the form.
//!
//! Shared by every crate that checks vectors (as a module by path), so it depends on nothing but `hex`.

use std::collections::BTreeMap;
use std::fmt::{Debug, Display};
use std::path::Path;

/// One vector: bytes, what they claim to be, and what must come of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vector {
    /// folder and file name without its ending, as in `entry/wrong-kind`
    pub name: String,
    /// what a person should know, line by line
    pub notes: Vec<String>,
    /// which decoder reads the bytes
    pub structure: String,
    /// `ok`, or the error: its variant, a colon, its text
    pub expect: String,
    /// further facts the check needs, such as a key
    pub fields: BTreeMap<String, String>,
    /// the bytes
    pub body: Vec<u8>,
}

impl Vector {
    /// Reads the text of a vector file.
    pub fn parse(name: &str, text: &str) -> Result<Self, String> {
        let (head, body) = text.split_once("\n\n").ok_or(format!("{name}: no blank line before the body"))?;
        let (mut notes, mut fields) = (Vec::new(), BTreeMap::new());
        for line in head.lines() {
            if let Some(note) = line.strip_prefix("# ") {
                notes.push(note.to_owned());
                continue;
            }
            let (key, value) = line.split_once(": ").ok_or(format!("{name}: not a header line: {line}"))?;
            if fields.insert(key.to_owned(), value.to_owned()).is_some() {
                return Err(format!("{name}: {key} is there twice"));
            }
        }
        let mut need = |key: &str| fields.remove(key).ok_or(format!("{name}: no {key}"));
        let (structure, expect) = (need("structure")?, need("expect")?);
        let digits: String = body.split_whitespace().collect();
        let body = hex::decode(digits).map_err(|error| format!("{name}: {error}"))?;
        Ok(Vector { name: name.to_owned(), notes, structure, expect, fields, body })
    }

    /// The text of its file; [`Vector::parse`] reads it back.
    pub fn render(&self) -> String {
        let mut out: String = self.notes.iter().map(|note| format!("# {note}\n")).collect();
        out += &format!("structure: {}\nexpect: {}\n", self.structure, self.expect);
        for (key, value) in &self.fields {
            out += &format!("{key}: {value}\n");
        }
        out.push('\n');
        for line in self.body.chunks(32) {
            out += &hex::encode(line);
            out.push('\n');
        }
        out
    }

    /// A field that the check cannot do without.
    pub fn field(&self, key: &str) -> &str {
        self.fields.get(key).unwrap_or_else(|| panic!("{}: field {key} is needed", self.name))
    }
}

/// Every vector below `folder`, by name. A file that is not understood is an error.
pub fn load(folder: &Path) -> Result<Vec<Vector>, String> {
    let mut vectors = Vec::new();
    for group in entries(folder)?.into_iter().filter(|path| path.is_dir()) {
        for path in entries(&group)? {
            let name = path.strip_prefix(folder).map_err(|error| error.to_string())?.with_extension("");
            let name = name.to_string_lossy().replace('\\', "/");
            if path.extension().is_none_or(|ending| ending != "txt") {
                return Err(format!("{}: not a vector", path.display()));
            }
            let text = std::fs::read_to_string(&path).map_err(|error| format!("{name}: {error}"))?;
            vectors.push(Vector::parse(&name, &text)?);
        }
    }
    Ok(vectors)
}

fn entries(folder: &Path) -> Result<Vec<std::path::PathBuf>, String> {
    let listing = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let paths: Result<Vec<_>, _> = listing.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut paths = paths.map_err(|error| error.to_string())?;
    paths.sort();
    Ok(paths)
}

/// An error as vectors state it: `Variant: display`.
pub fn describe(error: &(impl Debug + Display)) -> String {
    let debug = format!("{error:?}");
    let variant: String = debug.chars().take_while(char::is_ascii_alphanumeric).collect();
    format!("{variant}: {error}")
}
