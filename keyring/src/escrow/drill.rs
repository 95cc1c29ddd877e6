//! A restore drill: holders met, put their sheets together, and the root that came of them was the right one. It was
//! compared and forgotten; what stays is this note, sealed under the root itself, so that nobody else can write one.
//!
//! ```text
//! body = version:u8 | needed:u8 | shares:u8 | sheets used:u8 | made:u32 | set:16 | held:u64
//! ```
//!
//! Source: a backup that was never restored is a hope.

use super::{Quorum, Restored, SetFacts};
use crate::{Error, Keyring, Result};
use shosoin_protocol::codec::{Reader, Writer};

const WHAT: &str = "escrow drill";
const VERSION: u8 = 1;
/// Label of the local file that keeps one.
const LABEL: &str = "escrow drill";
/// How long a drill counts: people leave, paper gets lost.
pub const AGE_MS_MAX: u64 = 365 * 86_400_000;

/// A drill that succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drill {
    /// how the root was shared out
    pub quorum: Quorum,
    /// sheets that were put together
    pub used: u8,
    /// day of the split, since 1970
    pub made_day: u32,
    /// which split
    pub set: [u8; 16],
    /// when it was held, milliseconds since 1970
    pub held_ms: u64,
}

impl Drill {
    /// The drill in which `restored` was brought back from `used` sheets. Refuses a root that is not `keyring`'s.
    pub fn held(keyring: &Keyring, restored: &Restored, used: usize, now_ms: u64) -> Result<Drill> {
        let SetFacts { quorum, made_day, set, .. } = restored.facts;
        match keyring.is_shared_by(&restored.facts) {
            true => Ok(Drill { quorum, used: u8::try_from(used).unwrap_or(u8::MAX), made_day, set, held_ms: now_ms }),
            false => Err(Error::OtherRoot),
        }
    }

    /// Whether it still counts. One from the future does not: then a clock is wrong.
    pub fn counts(&self, now_ms: u64) -> bool {
        self.held_ms <= now_ms && now_ms - self.held_ms <= AGE_MS_MAX
    }

    /// The local file that keeps it.
    pub fn seal(&self, keyring: &Keyring) -> Result<Vec<u8>> {
        keyring.seal_local(LABEL, &self.encode())
    }

    /// Opens what [`seal`](Self::seal) made.
    pub fn open(keyring: &Keyring, file: &[u8]) -> Result<Drill> {
        Self::decode(&keyring.open_local(LABEL, file)?)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u8(VERSION).u8(self.quorum.needed).u8(self.quorum.shares).u8(self.used);
        out.u32(self.made_day).put(&self.set).u64(self.held_ms);
        out.finish()
    }

    pub(crate) fn decode(body: &[u8]) -> Result<Drill> {
        let mut reader = Reader::new(body, WHAT);
        let drill = Self::read(&mut reader).and_then(|drill| reader.finish().map(|()| drill));
        let drill = drill.map_err(Error::form(WHAT))?;
        drill.quorum.check().map(|_| drill)
    }

    fn read(reader: &mut Reader<'_>) -> shosoin_protocol::Result<Drill> {
        match reader.u8("version")? {
            VERSION => {}
            found => return Err(shosoin_protocol::Error::Version { what: WHAT, found, known: VERSION }),
        }
        let quorum = Quorum { needed: reader.u8("shares needed")?, shares: reader.u8("shares")? };
        Ok(Drill {
            quorum,
            used: reader.u8("sheets used")?,
            made_day: reader.u32("day made")?,
            set: reader.array("set")?,
            held_ms: reader.u64("time held")?,
        })
    }
}
