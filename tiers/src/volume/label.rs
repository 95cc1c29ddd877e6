//! The label of a volume: who made the medium, how long it lasts, and what it may be lost together with.
//!
//! Written by hand through the one codec; `docs/format.md` has the table. Two rules hold for every version there will be:
//! magic and version come first, and the last 32 bytes are the SHA-256 of all before them. So a label that a newer release
//! wrote is told apart from one that is damaged.

use shosoin_protocol::codec::{Reader, Writer};
use shosoin_protocol::suite::sha256;
use shosoin_protocol::{Error, Result, VolumeId};

/// First bytes of every label.
pub const MAGIC: [u8; 4] = *b"shvl";
/// Version of the label format.
pub const VERSION: u8 = 1;
/// Longest text of a label, in bytes of UTF-8; with it a label stays below one block.
pub const TEXT_BYTES_MAX: usize = 240;

const CHECKSUM_BYTES: usize = 32;
const FLAG_DEMO: u8 = 1;

/// What a volume says about itself. Empty text means: not stated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeLabel {
    /// the volume, chosen at random when it is labelled
    pub id: VolumeId,
    /// raised by one each time the label is written, from 1; of two copies the higher one counts
    pub generation: u64,
    /// which tier it belongs to
    pub tier: TierKind,
    /// what it is
    pub class: MediaClass,
    /// labelled as part of a demo, where placement does not keep losses apart
    pub demo: bool,
    /// who made it
    pub vendor: String,
    /// maker's model
    pub model: String,
    /// maker's serial number
    pub serial: String,
    /// manufacturing lot: media of one lot die together
    pub lot: String,
    /// firmware revision: drives of one firmware fail together
    pub firmware: String,
    /// first use, in milliseconds since 1970
    pub first_use_ms: u64,
    /// how long its maker says it lasts
    pub rated_life: RatedLife,
    /// security label of what may be kept on it
    pub security_label: String,
    /// what it shares with other volumes
    pub domains: Domains,
}

/// What a volume shares with others. Empty text means: not stated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Domains {
    /// machine
    pub host: String,
    /// power feed
    pub power: String,
    /// rack
    pub rack: String,
    /// building
    pub site: String,
    /// physical device
    pub device: String,
}

/// Which tier a volume belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TierKind {
    /// fresh records, on solid-state or magnetic disk
    Hot = 1,
    /// closed segments that are read rarely
    Archive = 2,
}

/// What a medium is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum MediaClass {
    /// solid-state disk
    Ssd = 1,
    /// magnetic disk
    Hdd = 2,
    /// magnetic tape
    Tape = 3,
    /// optical disc
    Optical = 4,
    /// prefix in somebody's object store
    Cloud = 5,
}

/// How long a medium lasts, in the unit its maker states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RatedLife {
    /// nobody says
    NotStated,
    /// years from first use
    Years(u32),
    /// hours of running
    Hours(u32),
    /// passes over a head
    Passes(u32),
}

impl VolumeLabel {
    /// A label that states nothing but what must be stated.
    pub fn new(id: VolumeId, tier: TierKind, class: MediaClass, first_use_ms: u64) -> Self {
        let empty = String::new;
        VolumeLabel {
            id,
            generation: 1,
            tier,
            class,
            demo: false,
            vendor: empty(),
            model: empty(),
            serial: empty(),
            lot: empty(),
            firmware: empty(),
            first_use_ms,
            rated_life: RatedLife::NotStated,
            security_label: empty(),
            domains: Domains::default(),
        }
    }

    /// The bytes. Refuses text over [`TEXT_BYTES_MAX`], which a label must be able to carry in one block.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let mut out = Writer::with_capacity(1024);
        out.put(&MAGIC).u8(VERSION).u8(if self.demo { FLAG_DEMO } else { 0 });
        out.u8(self.tier as u8).u8(self.class as u8);
        self.id.write(&mut out);
        out.u64(self.generation).u64(self.first_use_ms);
        let (unit, amount) = self.rated_life.parts();
        out.u8(unit).zeros(3).u32(amount);
        for (what, text) in self.texts() {
            if text.len() > TEXT_BYTES_MAX {
                return Err(Error::OverLimit { what, found: text.len() as u64, limit: TEXT_BYTES_MAX as u64 });
            }
            out.var(text.as_bytes());
        }
        let mut bytes = out.finish();
        let checksum = sha256(&[&bytes]);
        bytes.extend_from_slice(&checksum.0);
        Ok(bytes)
    }

    /// Parses and checks a label. [`Error::Version`] is given only for a label that a newer release wrote and that is not
    /// damaged.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(checked(bytes)?, "volume label");
        if reader.array::<4>("label magic")? != MAGIC {
            return Err(Error::Magic { what: "volume label" });
        }
        match reader.u8("label version")? {
            VERSION => {}
            found => return Err(Error::Version { what: "volume label", found, known: VERSION }),
        }
        let demo = match reader.u8("label flags")? {
            0 => false,
            FLAG_DEMO => true,
            _ => return Err(Error::Invalid { what: "label flags", why: "unknown flags must be zero" }),
        };
        let tier = TierKind::from_code(reader.u8("tier")?)?;
        let class = MediaClass::from_code(reader.u8("media class")?)?;
        let id = VolumeId::read(&mut reader)?;
        let generation = match reader.u64("label generation")? {
            0 => return Err(Error::Invalid { what: "label generation", why: "it counts from 1" }),
            generation => generation,
        };
        let first_use_ms = reader.u64("first use")?;
        let unit = reader.u8("rated life unit")?;
        reader.zeros(3, "label padding")?;
        let rated_life = RatedLife::from_parts(unit, reader.u32("rated life")?)?;
        let mut label = VolumeLabel { generation, demo, rated_life, ..VolumeLabel::new(id, tier, class, first_use_ms) };
        for (what, text) in label.texts_mut() {
            *text = reader.text(TEXT_BYTES_MAX, what)?;
        }
        reader.finish()?;
        Ok(label)
    }

    /// Every text, in the order of the format.
    fn texts(&self) -> [(&'static str, &str); 11] {
        [
            ("vendor", &self.vendor),
            ("model", &self.model),
            ("serial number", &self.serial),
            ("lot", &self.lot),
            ("firmware", &self.firmware),
            ("security label", &self.security_label),
            ("host", &self.domains.host),
            ("power feed", &self.domains.power),
            ("rack", &self.domains.rack),
            ("site", &self.domains.site),
            ("device", &self.domains.device),
        ]
    }

    /// [`texts`](Self::texts), to be filled in.
    fn texts_mut(&mut self) -> [(&'static str, &mut String); 11] {
        [
            ("vendor", &mut self.vendor),
            ("model", &mut self.model),
            ("serial number", &mut self.serial),
            ("lot", &mut self.lot),
            ("firmware", &mut self.firmware),
            ("security label", &mut self.security_label),
            ("host", &mut self.domains.host),
            ("power feed", &mut self.domains.power),
            ("rack", &mut self.domains.rack),
            ("site", &mut self.domains.site),
            ("device", &mut self.domains.device),
        ]
    }
}

/// The bytes before the checksum, if it is right.
fn checked(bytes: &[u8]) -> Result<&[u8]> {
    let truncated = Error::Truncated { what: "volume label", needed: CHECKSUM_BYTES, left: bytes.len() };
    let (content, checksum) = bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or(truncated)?;
    let found = sha256(&[content]);
    match found.0 == *checksum {
        true => Ok(content),
        false => {
            let expected = hex::encode(checksum);
            Err(Error::Mismatch { what: "checksum of the volume label", expected, found: found.to_string() })
        }
    }
}

impl TierKind {
    fn from_code(code: u8) -> Result<Self> {
        let known = [TierKind::Hot, TierKind::Archive].into_iter().find(|tier| *tier as u8 == code);
        known.ok_or(Error::Invalid { what: "tier", why: "no such code" })
    }
}

impl MediaClass {
    /// Every class, by code.
    pub const ALL: [MediaClass; 5] =
        [MediaClass::Ssd, MediaClass::Hdd, MediaClass::Tape, MediaClass::Optical, MediaClass::Cloud];

    fn from_code(code: u8) -> Result<Self> {
        let known = MediaClass::ALL.into_iter().find(|class| *class as u8 == code);
        known.ok_or(Error::Invalid { what: "media class", why: "no such code" })
    }
}

impl RatedLife {
    fn parts(self) -> (u8, u32) {
        match self {
            RatedLife::NotStated => (0, 0),
            RatedLife::Years(years) => (1, years),
            RatedLife::Hours(hours) => (2, hours),
            RatedLife::Passes(passes) => (3, passes),
        }
    }

    fn from_parts(unit: u8, amount: u32) -> Result<Self> {
        match (unit, amount) {
            (0, 0) => Ok(RatedLife::NotStated),
            (1, years) => Ok(RatedLife::Years(years)),
            (2, hours) => Ok(RatedLife::Hours(hours)),
            (3, passes) => Ok(RatedLife::Passes(passes)),
            _ => Err(Error::Invalid { what: "rated life", why: "no such unit" }),
        }
    }
}

#[cfg(test)]
mod tests;
