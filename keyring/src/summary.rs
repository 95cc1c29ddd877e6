//! Summaries, under the view key: what a gateway rebuilds its list of names from.

use crate::seal::{Aead, AwsLc};
use crate::{Error, Keyring, Result, derive, secret};
use shosoin_protocol::VersionId;
use shosoin_protocol::envelope::{Context, EnvelopeType};
use shosoin_protocol::limits::SUMMARY_BYTES_MAX;
use shosoin_protocol::manifest::Summary;

const WHAT: &str = "summary";

impl Keyring {
    /// Seals the summary of `version`; refuses one that could not be read back, or above [`SUMMARY_BYTES_MAX`] when
    /// sealed.
    pub fn seal_summary(&self, version: VersionId, summary: &Summary) -> Result<Vec<u8>> {
        match self.deposits_to() {
            Some(to) => self.seal_summary_to_hospital(to, version, summary),
            None => self.seal_summary_as::<AwsLc>(version, secret::random()?, summary),
        }
    }

    /// Opens the summary of `version`.
    pub fn open_summary(&self, version: VersionId, stored: &[u8]) -> Result<Summary> {
        self.open_summary_as::<AwsLc>(version, stored)
    }

    pub(crate) fn seal_summary_as<A: Aead>(
        &self,
        version: VersionId,
        salt: [u8; 32],
        summary: &Summary,
    ) -> Result<Vec<u8>> {
        let plain = summary.encode();
        Summary::decode(&plain).map_err(|source| Error::Unreadable { what: WHAT, source })?;
        let secret = derive::summary(self.view_key(), &salt, version);
        let stored = self.seal_padded::<A>(WHAT, Context::Summary { version, salt }, &secret, &plain)?;
        match stored.len() {
            0..=SUMMARY_BYTES_MAX => Ok(stored),
            found => Err(Error::TooLong { what: WHAT, found, limit: SUMMARY_BYTES_MAX }),
        }
    }

    pub(crate) fn open_summary_as<A: Aead>(&self, version: VersionId, stored: &[u8]) -> Result<Summary> {
        if EnvelopeType::HospitalSummary.is_of(stored) {
            let envelope = self.parse(WHAT, EnvelopeType::HospitalSummary, stored)?;
            return Summary::decode(&self.open_to_hospital::<A>(version, &envelope)?).map_err(Error::form(WHAT));
        }
        let envelope = self.parse(WHAT, EnvelopeType::Summary, stored)?;
        let secret = match envelope.context {
            Context::Summary { version: found, salt } if found == version => {
                derive::summary(self.view_key(), &salt, version)
            }
            _ => return Err(Error::misplaced(WHAT, "it is of another version")),
        };
        Summary::decode(&self.open_padded::<A>(WHAT, &envelope, &secret)?).map_err(Error::form(WHAT))
    }
}
