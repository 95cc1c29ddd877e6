//! The monthly report on the record, and what the hospital remarks on it (guideline 4.2-R3): figures and digests. The report itself,
//! and the words of a remark, travel beside; whoever holds them holds what the ledger says they are.

use super::codes;
use crate::codec::{Reader, Writer};
use crate::reconciliation::Amount;
use crate::{Digest, Error, Result, VersionId};

codes! {
    /// What the hospital says of a report.
    RemarkWord, "word of a remark" {
        /// it agrees
        Agreed = 1 "agreed",
        /// it does not: its own account differs
        Objects = 2 "objects",
        /// it asks for more
        Asks = 3 "asks",
    }
}

/// The report of a month was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MonthReport {
    /// of which year
    pub year: u16,
    /// of which month, 1 to 12
    pub month: u8,
    /// SHA-256 of the report as it is kept
    pub digest: Digest,
    /// entries of the log when it was made
    pub log_size: u64,
    /// root over them
    pub log_root: Digest,
    /// what came in that month
    pub received: Amount,
    /// what is held, when it was made
    pub held: Amount,
    /// what was handed over until then
    pub given_out: Amount,
    /// what was disposed of until then
    pub disposed: Amount,
    /// incidents of the month
    pub incidents: u32,
}

/// What the hospital says of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remark {
    /// id of the report's act
    pub report: VersionId,
    /// in one word
    pub word: RemarkWord,
    /// SHA-256 of the text that the operator was sent beside; none: there is no text
    pub text: Option<Digest>,
}

impl MonthReport {
    pub(super) fn write(&self, out: &mut Writer) {
        out.u16(self.year).u8(self.month).zeros(1).u32(self.incidents).put(&self.digest.0);
        out.u64(self.log_size).put(&self.log_root.0);
        for amount in [self.received, self.held, self.given_out, self.disposed] {
            amount.write(out);
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let (year, month) = (reader.u16("year of the report")?, reader.u8("month of the report")?);
        if !(1..=12).contains(&month) {
            return Err(Error::Invalid { what: "month of the report", why: "a year has twelve" });
        }
        reader.zeros(1, "reserved byte of the report")?;
        let incidents = reader.u32("incidents of the month")?;
        let (digest, log_size, log_root) = (Digest::read(reader)?, reader.u64("log size")?, Digest::read(reader)?);
        let (received, held) = (Amount::read(reader)?, Amount::read(reader)?);
        let (given_out, disposed) = (Amount::read(reader)?, Amount::read(reader)?);
        Ok(MonthReport { year, month, digest, log_size, log_root, received, held, given_out, disposed, incidents })
    }
}

impl Remark {
    pub(super) fn write(&self, out: &mut Writer) {
        out.put(&self.report.0).u8(self.word.code()).zeros(7).put(&self.text.map_or([0; 32], |digest| digest.0));
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let report = VersionId::read(reader)?;
        let word = RemarkWord::from_code(reader.u8("word of the remark")?)?;
        reader.zeros(7, "reserved bytes of the remark")?;
        let text = Some(Digest::read(reader)?).filter(|digest| digest.0 != [0; 32]);
        Ok(Remark { report, word, text })
    }
}
