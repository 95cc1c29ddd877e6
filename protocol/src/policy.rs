//! What a deposit is, in closed vocabularies: record type, label, retention. Data, because law moves; never free text.
//!
//! Source of the record types: guideline tables 4 and 5 (controls 1-R1, 5.1-R2); codes are ours.

use crate::codec::{Reader, Writer};
use crate::{Error, Result};

/// Code of a record type; the number is stored, the text is for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordType(u16);

/// Number, code, meaning in English, whether it may be deposited; by number.
const RECORD_TYPES: [(u16, &str, &str, bool); 19] = [
    (0, "O-00", "other documents entrusted for like handling", true),
    (1, "T4-01", "doctor's treatment record", true),
    (2, "T4-02", "dentist's treatment record", true),
    (3, "T4-03", "midwifery record", true),
    (4, "T4-04", "medical corporation papers", true),
    (5, "T4-05", "clinical and hospital management records", true),
    (6, "T4-06", "dental technician's instruction", true),
    (7, "T4-07", "treatment record, foreign doctors in clinical training", true),
    (8, "T4-08", "emergency life-saving treatment record", true),
    (9, "T4-09", "registers of X-ray and similar equipment", true),
    (10, "T4-10", "records of insurance institutions", true),
    (11, "T4-11", "clinical laboratory documents", true),
    (12, "T4-12", "dental hygienist's work record", true),
    (13, "T4-13", "radiation exposure record", true),
    (32, "T5-01", "narcotics books and the like", true),
    (33, "T5-02", "document past its statutory term", true),
    (34, "T5-03", "reference images and records", true),
    (35, "T5-04", "documents needed to calculate fees", true),
    (64, "X-01", "dispensing record: may not be kept outside in this edition (1-R1)", false),
];

impl RecordType {
    /// O-00, the default.
    pub const OTHER: RecordType = RecordType(0);

    /// Every type that may be deposited, by number.
    pub fn all() -> impl Iterator<Item = RecordType> {
        RECORD_TYPES.iter().filter(|row| row.3).map(|row| RecordType(row.0))
    }

    /// By number; unknown numbers and types that may not be deposited are refused (5.1-R2).
    pub fn from_number(number: u16) -> Result<Self> {
        let place = RECORD_TYPES.binary_search_by_key(&number, |row| row.0).ok();
        match place.and_then(|place| RECORD_TYPES.get(place)) {
            Some((_, _, _, true)) => Ok(RecordType(number)),
            Some(_) => Err(Error::Invalid { what: "record type", why: "this type may not be deposited (1-R1)" }),
            None => Err(Error::Invalid { what: "record type", why: "no such type in the table (5.1-R2)" }),
        }
    }

    /// By code, as in `T4-01`.
    pub fn from_code(code: &str) -> Result<Self> {
        match RECORD_TYPES.iter().find(|row| row.1.eq_ignore_ascii_case(code)) {
            Some(row) => Self::from_number(row.0),
            None => Err(Error::Invalid { what: "record type", why: "no such code in the table (5.1-R2)" }),
        }
    }

    /// The code, as in `T4-01`.
    pub fn code(self) -> &'static str {
        RECORD_TYPES.iter().find(|row| row.0 == self.0).map_or("unknown", |row| row.1)
    }

    /// Its meaning in English.
    pub fn meaning(self) -> &'static str {
        RECORD_TYPES.iter().find(|row| row.0 == self.0).map_or("unknown", |row| row.2)
    }

    /// The stored number.
    pub fn number(self) -> u16 {
        self.0
    }
}

/// Confidentiality class of a deposit; copies inherit it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(u8)]
pub enum Label {
    /// ordinary medical information
    #[default]
    Ordinary = 0,
    /// sensitive: dedup is off
    Sensitive = 1,
    /// most sensitive
    Restricted = 2,
}

impl Label {
    /// Every label, the lowest first.
    pub const ALL: [Label; 3] = [Label::Ordinary, Label::Sensitive, Label::Restricted];

    /// By stored byte.
    #[inline]
    pub fn from_code(code: u8) -> Result<Self> {
        match code {
            0 => Ok(Label::Ordinary),
            1 => Ok(Label::Sensitive),
            2 => Ok(Label::Restricted),
            _ => Err(Error::Invalid { what: "label", why: "no such label" }),
        }
    }

    /// By name.
    pub fn from_name(name: &str) -> Result<Self> {
        match name {
            "ordinary" => Ok(Label::Ordinary),
            "sensitive" => Ok(Label::Sensitive),
            "restricted" => Ok(Label::Restricted),
            _ => Err(Error::Invalid { what: "label", why: "labels are ordinary, sensitive, restricted" }),
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Label::Ordinary => "ordinary",
            Label::Sensitive => "sensitive",
            Label::Restricted => "restricted",
        }
    }
}

/// Minimum keeping time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Retention {
    /// none was set
    #[default]
    None,
    /// `term_days` from a start; without a start there is no end (controls 1.1-R1, 6.3-R6)
    Term {
        /// days to keep after the start
        term_days: u32,
        /// start, in milliseconds since 1970, once the hospital knows it
        start_ms: Option<u64>,
    },
}

/// Record type, label and retention of one deposit, or the default of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DepositPolicy {
    /// what kind of document
    pub record_type: RecordType,
    /// confidentiality class
    pub label: Label,
    /// minimum keeping time
    pub retention: Retention,
}

impl Default for DepositPolicy {
    fn default() -> Self {
        DepositPolicy { record_type: RecordType::OTHER, label: Label::Ordinary, retention: Retention::None }
    }
}

impl DepositPolicy {
    /// Writes 16 bytes: type, label, retention kind, term, start.
    pub fn write(&self, out: &mut Writer) {
        out.u16(self.record_type.0).u8(self.label as u8);
        match self.retention {
            Retention::None => out.u8(0).u32(0).u64(0),
            Retention::Term { term_days, start_ms: None } => out.u8(1).u32(term_days).u64(0),
            Retention::Term { term_days, start_ms: Some(start_ms) } => out.u8(2).u32(term_days).u64(start_ms),
        };
    }

    /// Reads what [`write`](Self::write) wrote.
    #[inline]
    pub fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let record_type = RecordType::from_number(reader.u16("record type")?)?;
        let label = Label::from_code(reader.u8("label")?)?;
        let (kind, term_days, start_ms) =
            (reader.u8("retention kind")?, reader.u32("retention term")?, reader.u64("retention start")?);
        let retention = match (kind, term_days, start_ms) {
            (0, 0, 0) => Retention::None,
            (1, _, 0) => Retention::Term { term_days, start_ms: None },
            (2, _, _) => Retention::Term { term_days, start_ms: Some(start_ms) },
            _ => return Err(Error::Invalid { what: "retention", why: "unused fields must be zero" }),
        };
        Ok(DepositPolicy { record_type, label, retention })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_type_but_dispensing_is_accepted_by_code_and_number() {
        for (number, code, _, accepted) in RECORD_TYPES {
            assert_eq!(RecordType::from_number(number).is_ok(), accepted, "{code}");
            assert_eq!(RecordType::from_code(code).is_ok(), accepted, "{code}");
        }
        assert_eq!(RecordType::from_code("t4-01"), RecordType::from_number(1));
        assert!(RecordType::from_code("T9-99").is_err());
        assert!(RecordType::from_number(14).is_err());
    }

    #[test]
    fn no_record_type_is_in_the_table_twice() {
        for (at, row) in RECORD_TYPES.iter().enumerate() {
            assert!(RECORD_TYPES[..at].iter().all(|other| other.0 < row.0 && other.1 != row.1), "{}", row.1);
        }
    }

    #[test]
    fn every_label_is_found_by_its_name_and_code() {
        for label in [Label::Ordinary, Label::Sensitive, Label::Restricted] {
            assert_eq!(Label::from_name(label.name()), Ok(label));
            assert_eq!(Label::from_code(label as u8), Ok(label));
        }
        assert!(Label::from_name("Ordinary").is_err());
    }
}
