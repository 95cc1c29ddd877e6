//! Incidents: what the operator must tell the hospital at once (guideline 4.3-R1), with the scene as it was preserved
//! (4.3-R5).

use super::codes;
use crate::codec::{Reader, Writer};
use crate::{Digest, Result};

codes! {
    /// What happened.
    IncidentClass, "class of an incident" {
        /// records were lost beyond repair
        Loss = 1 "loss",
        /// a medium was lost or stolen
        MediumLost = 2 "medium-lost",
        /// somebody did what they may not do, or tried hard to
        Access = 3 "access",
        /// malware was found
        Malware = 4 "malware",
        /// service stood still
        Outage = 5 "outage",
        /// a record of what was done is damaged or was altered
        Tampering = 6 "tampering",
        /// anything else that was agreed to be told
        Other = 7 "other",
    }

    /// How grave it is.
    Severity, "severity of an incident" {
        /// nothing of the hospital's is affected, but it was agreed to be told
        Notice = 1 "notice",
        /// something of the hospital's may be affected
        Serious = 2 "serious",
        /// something of the hospital's is affected
        Grave = 3 "grave",
    }
}

/// Something happened that the hospital must know of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incident {
    /// what
    pub class: IncidentClass,
    /// how grave
    pub severity: Severity,
    /// when it was noticed, in milliseconds since 1970
    pub noticed_ms: u64,
    /// when it began, in milliseconds since 1970; none: not known
    pub began_ms: Option<u64>,
    /// digest of the scene that was preserved; none: there is none
    pub scene: Option<Digest>,
}

impl Incident {
    pub(super) fn write(&self, out: &mut Writer) {
        out.u8(self.class.code()).u8(self.severity.code()).zeros(6);
        out.u64(self.noticed_ms).u64(self.began_ms.unwrap_or(0)).put(&self.scene.map_or([0; 32], |digest| digest.0));
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let class = IncidentClass::from_code(reader.u8("class of the incident")?)?;
        let severity = Severity::from_code(reader.u8("severity of the incident")?)?;
        reader.zeros(6, "reserved bytes of the incident")?;
        let noticed_ms = reader.u64("time of the incident")?;
        let began_ms = Some(reader.u64("beginning of the incident")?).filter(|began_ms| *began_ms != 0);
        let scene = Some(Digest::read(reader)?).filter(|digest| digest.0 != [0; 32]);
        Ok(Incident { class, severity, noticed_ms, began_ms, scene })
    }
}
