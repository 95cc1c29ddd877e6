//! What is known of a shipment, `shipments/<id>` in the vault's folder. `docs/format.md` has the table ("Shipment file").

use crate::error::{Error, Result};
use crate::vault::Inner;
use shosoin_protocol::codec::{Reader, Writer};
use shosoin_protocol::medium::MediumKind;
use shosoin_protocol::suite::sha256;
use shosoin_protocol::{HospitalId, VersionId};
use shosoin_tiers::durable;
use shosoin_tiers::media::Media as _;

/// Folder of the files in the vault's folder.
const DIR: &str = "shipments";
/// First bytes of each.
const MAGIC: [u8; 4] = *b"shsp";
const VERSION: u8 = 1;
/// Media of one shipment.
pub(super) const MEDIA_MAX: usize = 1000;
/// Longest number of a seal, and name of a courier, in bytes.
pub(super) const TEXT_BYTES_MAX: usize = 120;
const CHECKSUM_BYTES: usize = 32;
const FILE_BYTES_MAX: usize = 512 + MEDIA_MAX * (TEXT_BYTES_MAX + 32);

/// How far a medium is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum MediumStep {
    /// the hospital said that it comes
    Announced = 1,
    /// people have it
    Received = 2,
    /// what is on it is in the ledger
    Taken = 3,
    /// it, or what is on it, was disposed of
    Disposed = 4,
}

impl MediumStep {
    const ALL: [MediumStep; 4] = [MediumStep::Announced, MediumStep::Received, MediumStep::Taken, MediumStep::Disposed];

    /// Its name for people and programs.
    pub fn name(self) -> &'static str {
        match self {
            MediumStep::Announced => "announced",
            MediumStep::Received => "received",
            MediumStep::Taken => "taken",
            MediumStep::Disposed => "disposed",
        }
    }

    fn from_code(code: u8) -> shosoin_protocol::Result<Self> {
        let unknown = shosoin_protocol::Error::Invalid { what: "step of a medium", why: "no such step" };
        Self::ALL.into_iter().find(|step| *step as u8 == code).ok_or(unknown)
    }
}

/// One medium of a shipment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnnouncedMedium {
    /// what kind
    pub kind: MediumKind,
    /// number of the seal of its container
    pub seal: String,
    /// how far it is
    pub step: MediumStep,
    /// since when, in milliseconds since 1970
    pub at_ms: u64,
}

/// A shipment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shipment {
    /// its id, as the hospital's `pack` gave it
    pub id: VersionId,
    /// whose
    pub hospital: HospitalId,
    /// when it should arrive, in milliseconds since 1970
    pub expected_ms: u64,
    /// who carries it
    pub courier: String,
    /// its media, the first one being number 1
    pub media: Vec<AnnouncedMedium>,
}

impl Shipment {
    /// Refuses a shipment of somebody else.
    pub(super) fn of_hospital(&self, hospital: HospitalId) -> Result<&Self> {
        match self.hospital == hospital {
            true => Ok(self),
            false => Err(Error::NotFound { what: "shipment", id: self.id.to_string() }),
        }
    }

    /// One of its media.
    pub(super) fn medium(&self, number: u16) -> Result<&AnnouncedMedium> {
        let found = usize::from(number).checked_sub(1).and_then(|at| self.media.get(at));
        found.ok_or_else(|| Error::NotFound { what: "medium", id: number.to_string() })
    }

    /// The next step of a medium; none is left out.
    pub(super) fn step(&mut self, number: u16, to: MediumStep, at_ms: u64) -> Result<()> {
        let before = self.medium(number)?.step;
        if before as u8 + 1 != to as u8 {
            let why = format!("is {}, and what comes next is not `{}`", before.name(), to.name());
            return Err(Error::AccountState { what: "medium", id: number.to_string(), why });
        }
        if let Some(medium) = usize::from(number).checked_sub(1).and_then(|at| self.media.get_mut(at)) {
            (medium.step, medium.at_ms) = (to, at_ms);
        }
        Ok(())
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(256);
        out.put(&MAGIC).u8(VERSION).zeros(3).put(&self.id.0).put(&self.hospital.0).u64(self.expected_ms);
        out.var(self.courier.as_bytes()).count(self.media.len());
        for medium in &self.media {
            out.u8(medium.kind.code()).u8(medium.step as u8).zeros(6).u64(medium.at_ms).var(medium.seal.as_bytes());
        }
        let mut bytes = out.finish();
        let checksum = sha256(&[&bytes]);
        bytes.extend_from_slice(&checksum.0);
        bytes
    }

    fn decode(bytes: &[u8]) -> shosoin_protocol::Result<Self> {
        use shosoin_protocol::Error;
        let cut = Error::Truncated { what: "shipment file", needed: CHECKSUM_BYTES, left: bytes.len() };
        let (content, checksum) = bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or(cut)?;
        if sha256(&[content]).0 != *checksum {
            return Err(Error::Invalid { what: "shipment file", why: "its checksum is another" });
        }
        let mut reader = Reader::new(content, "shipment file");
        if reader.array::<4>("magic")? != MAGIC {
            return Err(Error::Magic { what: "shipment file" });
        }
        match reader.u8("version")? {
            VERSION => {}
            found => return Err(Error::Version { what: "shipment file", found, known: VERSION }),
        }
        reader.zeros(3, "reserved bytes of the shipment")?;
        let (id, hospital) = (VersionId::read(&mut reader)?, HospitalId::read(&mut reader)?);
        let (expected_ms, courier) = (reader.u64("expected")?, reader.text(TEXT_BYTES_MAX, "courier")?);
        let count = reader.count(MEDIA_MAX, "media of a shipment")?;
        let medium = |reader: &mut Reader<'_>| {
            let kind = MediumKind::from_code(reader.u8("kind of the medium")?)?;
            let step = MediumStep::from_code(reader.u8("step of the medium")?)?;
            reader.zeros(6, "reserved bytes of the medium")?;
            Ok(AnnouncedMedium {
                kind,
                step,
                at_ms: reader.u64("time of the step")?,
                seal: reader.text(TEXT_BYTES_MAX, "seal")?,
            })
        };
        let media = (0..count).map(|_| medium(&mut reader)).collect::<shosoin_protocol::Result<_>>()?;
        reader.finish()?;
        Ok(Shipment { id, hospital, expected_ms, courier, media })
    }
}

impl Inner {
    /// One shipment.
    pub(super) fn shipment(&self, id: VersionId) -> Result<Shipment> {
        let path = format!("{DIR}/{id}");
        let file = match self.folder.open(&path) {
            Err(shosoin_tiers::Error::NotFound { .. }) => {
                return Err(Error::NotFound { what: "shipment", id: id.to_string() });
            }
            file => file?,
        };
        let mut bytes = vec![0; usize::try_from(file.len()?).unwrap_or(usize::MAX).min(FILE_BYTES_MAX)];
        let read = file.read_at(0, &mut bytes)?;
        let damaged = |error: shosoin_protocol::Error| Error::Damaged {
            what: "shipment",
            id: id.to_string(),
            why: error.to_string(),
        };
        Shipment::decode(&bytes[..read]).map_err(damaged)
    }

    /// Every shipment there ever was.
    pub(super) fn shipments(&self) -> Result<Vec<Shipment>> {
        let listed = match self.folder.list(DIR) {
            Err(shosoin_tiers::Error::NotFound { .. }) => return Ok(Vec::new()),
            listed => listed?,
        };
        let ids = listed.iter().filter_map(|file| file.name.parse::<VersionId>().ok());
        ids.map(|id| self.shipment(id)).collect()
    }

    /// Writes it, durably.
    pub(super) fn keep_shipment(&self, shipment: &Shipment) -> Result<()> {
        self.folder.make_dir(DIR)?;
        Ok(durable::replace(&self.folder, &format!("{DIR}/{}", shipment.id), &shipment.encode())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Structure, byte_tables, compare, page};

    fn shipment() -> Shipment {
        let medium = |seal: &str| AnnouncedMedium {
            kind: MediumKind::Optical,
            seal: seal.to_owned(),
            step: MediumStep::Announced,
            at_ms: 5,
        };
        Shipment {
            id: VersionId([1; 16]),
            hospital: HospitalId([2; 16]),
            expected_ms: 3,
            courier: "Kuroneko".to_owned(),
            media: vec![medium("A-1"), medium("A-2")],
        }
    }

    #[test]
    fn a_shipment_reads_back_and_an_altered_file_is_refused() {
        let bytes = shipment().encode();
        assert_eq!(Shipment::decode(&bytes).unwrap(), shipment());
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert!(Shipment::decode(&flipped).is_err(), "byte {at}");
        }
        assert!((0..bytes.len()).all(|len| Shipment::decode(&bytes[..len]).is_err()));
    }

    #[test]
    fn no_step_of_a_medium_is_left_out_or_taken_back() {
        let mut shipment = shipment();
        assert!(shipment.step(1, MediumStep::Taken, 9).is_err());
        for step in [MediumStep::Received, MediumStep::Taken, MediumStep::Disposed] {
            shipment.step(1, step, 9).unwrap();
            assert!(shipment.step(1, step, 9).is_err());
        }
        assert_eq!((shipment.media[0].step, shipment.media[1].step), (MediumStep::Disposed, MediumStep::Announced));
        assert!(
            shipment.step(0, MediumStep::Received, 9).is_err() && shipment.step(3, MediumStep::Received, 9).is_err()
        );
    }

    #[test]
    fn the_table_of_the_page_is_what_is_written() {
        let encoded = shipment().encode();
        let (_, checksum) = encoded.split_last_chunk::<CHECKSUM_BYTES>().unwrap();
        let medium = |seal: &[u8]| [&[1, 1][..], &[0; 6], &5u64.to_le_bytes(), &[3, 0, 0, 0], seal].concat();
        let fields = vec![
            ("magic", b"shsp".to_vec()),
            ("version", vec![1]),
            ("reserved", vec![0; 3]),
            ("shipment", vec![1; 16]),
            ("hospital", vec![2; 16]),
            ("expected", 3u64.to_le_bytes().to_vec()),
            ("courier", [&[8, 0, 0, 0][..], b"Kuroneko"].concat()),
            ("media", [&[2, 0, 0, 0][..], &medium(b"A-1"), &medium(b"A-2")].concat()),
            ("checksum", checksum.to_vec()),
        ];
        let structure = Structure { encoded: encoded.clone(), begins_at: 0, ends_at: encoded.len(), fields };
        let tables = byte_tables(&page());
        compare(tables.iter().find(|table| table.title == "Shipment file").unwrap(), &structure);
    }
}
