//! Findings: damage that was seen and worked around. A finding is a line of a report, not an error.

use shosoin_protocol::VolumeId;

/// Something on media that is not as it should be, and where. Carries no payload.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// One copy of a volume's label is damaged, missing or older; the other one was used.
    Label {
        /// volume, by its good copy
        volume: VolumeId,
        /// which copy, relative to the volume
        path: String,
        /// what is wrong with it
        why: String,
    },
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Finding::Label { volume, path, why } => write!(f, "{path} of volume {volume} is not good: {why}"),
        }
    }
}
