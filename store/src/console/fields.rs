//! What a form or a query says: names and values, each once, bounded, of which anything that was not asked for is refused.
//!
//! Garbage is refused with the name of the field, never with its value: nothing that came in goes out again through an error.

use crate::error::{Error, Result};
use std::str::FromStr;

/// Bytes of a form.
pub(super) const FORM_BYTES_MAX: usize = 16 * 1024;
/// Bytes of a path with its query.
pub(super) const TARGET_BYTES_MAX: usize = 4 * 1024;
/// Fields of a form.
const FIELDS_MAX: usize = 64;

/// Fields that were read.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads a form or query. A field that is not among `known` is refused; those that end in `*` may come several times.
    pub(super) fn read(text: &[u8], known: &[&'static str]) -> Result<Self> {
        let mut fields: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(text) {
            if fields.len() >= FIELDS_MAX {
                return refused("form", "it has too many fields");
            }
            let several = known.iter().any(|known| known.strip_suffix('*') == Some(&name));
            if !several && !known.contains(&name.as_ref()) {
                return refused("form", "it has a field that was not asked for");
            }
            if !several && fields.iter().any(|(other, _)| *other == name) {
                return refused("form", "it has a field twice");
            }
            fields.push((name.into_owned(), value.into_owned()));
        }
        Ok(Fields(fields))
    }

    /// The value of a field; nothing where it is missing or empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// Every value of a field.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(other, value)| other == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// The value of a field that must be there.
    pub(super) fn must(&self, name: &'static str) -> Result<&str> {
        self.get(name).map_or_else(|| refused(name, "it is missing"), Ok)
    }

    /// Whether a box is ticked.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// A field as what it stands for.
    pub(super) fn parsed<T: FromStr>(&self, name: &'static str) -> Result<Option<T>> {
        let Some(text) = self.get(name) else { return Ok(None) };
        text.trim().parse().map(Some).or_else(|_| refused(name, "it is not what is asked for"))
    }

    /// A field through a table of names.
    pub(super) fn named<T>(&self, name: &'static str, of: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>> {
        let Some(text) = self.get(name) else { return Ok(None) };
        of(text).map_or_else(|| refused(name, "there is no such"), |value| Ok(Some(value)))
    }
}

fn refused<T>(what: &'static str, why: &str) -> Result<T> {
    Err(Error::Argument { what, why: why.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garbage_is_refused_by_the_name_of_its_field_and_nothing_of_it_comes_back() {
        let fields = Fields::read(b"job=scrub&volume=&role=keeper&role=media", &["job", "volume", "role*"]).unwrap();
        assert_eq!((fields.get("job"), fields.get("volume")), (Some("scrub"), None));
        assert_eq!(fields.all("role").collect::<Vec<_>>(), ["keeper", "media"]);
        let many = "a=1&".repeat(FIELDS_MAX + 1);
        for (text, why) in [
            ("job=a&job=b", "twice"),
            ("j%00b=1", "not asked for"),
            ("..%2f..%2fetc=passwd", "not asked for"),
            (many.as_str(), "too many"),
        ] {
            let known = if text == many { ["a*"] } else { ["job"] };
            let told = Fields::read(text.as_bytes(), &known).unwrap_err().to_string();
            assert!(told.contains(why) && !told.contains("passwd"), "{told}");
        }
        let odd = Fields::read(b"number=7%0d%0aSet-Cookie:x&bytes=%ff%fe", &["number", "bytes"]).unwrap();
        let told = odd.parsed::<u64>("number").unwrap_err().to_string();
        assert!(told.contains("number") && !told.contains("Cookie"), "{told}");
        assert!(odd.parsed::<u64>("bytes").is_err());
    }
}
