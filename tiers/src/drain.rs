//! Drain: copy everything on a volume elsewhere and release it, as a value that can be stored and stepped.
//!
//! Invariants
//! - First every shard gets a copy elsewhere; then, each after its new copy was read whole once more, the old ones go.
//! - The cursor only saves time. Where it is lost a new drain finds on media what the old one did: a shard that has a copy
//!   on another volume is not copied again.
//! - What cannot be moved stays, and is said; the drain goes on with the rest.
//! - A volume that could not be listed is not empty: a drain of it waits until it is.

use crate::copy_forward::Copied;
use crate::pace::Pace;
use crate::scrub::ShardRef;
use crate::{Error, Result, Tier};
use shosoin_protocol::codec::{Reader, Writer};
use shosoin_protocol::suite::sha256;
use shosoin_protocol::{Error as FormatError, HospitalId, SegmentId, VolumeId};

/// First bytes of every stored drain.
const MAGIC: [u8; 4] = *b"shjd";
/// Version of a stored drain.
const VERSION: u8 = 1;
/// Bytes of the checksum at its end.
const CHECKSUM_BYTES: usize = 32;

/// What a drain does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum DrainPhase {
    /// every shard gets a copy elsewhere
    Copy = 1,
    /// each new copy is read whole, then the old one is released
    Release = 2,
    /// nothing is left to try
    Ended = 3,
}

/// What a drain has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DrainCounters {
    /// shards copied
    pub copied: u64,
    /// bytes copied
    pub copied_bytes: u64,
    /// old copies released
    pub released: u64,
    /// bytes that freed
    pub released_bytes: u64,
    /// times that a shard could not be copied or released
    pub kept: u64,
}

/// Moving everything off one volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drain {
    /// the volume
    pub volume: VolumeId,
    /// when it began, in milliseconds since 1970
    pub started_ms: u64,
    /// what it does now
    pub phase: DrainPhase,
    /// the last shard of this phase that is done
    pub after: Option<ShardRef>,
    /// what it has done so far
    pub done: DrainCounters,
}

/// One step of a drain.
#[derive(Debug)]
pub enum DrainStep {
    /// a shard has a copy elsewhere, which is used now
    Copied(Copied),
    /// the old copy of a shard is gone
    Released {
        /// which shard
        shard: ShardRef,
        /// the volume it was on
        from: VolumeId,
        /// the volume with the verified copy
        verified_on: VolumeId,
        /// bytes that freed
        bytes: u64,
    },
    /// a shard stays where it is for now
    Kept {
        /// which shard
        shard: ShardRef,
        /// why
        why: Error,
    },
}

impl Drain {
    /// A drain that has not begun.
    pub fn new(volume: VolumeId, started_ms: u64) -> Self {
        Drain { volume, started_ms, phase: DrainPhase::Copy, after: None, done: DrainCounters::default() }
    }

    /// Does the next shard; `None` when the volume is empty, or what is left cannot be moved now
    /// ([`left_bytes`](Self::left_bytes) tells them apart). The volume gets no new shards from then on. After an error the
    /// cursor has not moved.
    pub fn step(&mut self, tier: &Tier, pace: &dyn Pace) -> Result<Option<DrainStep>> {
        self.step_of(None, tier, pace)
    }

    /// The same for the shards of one hospital, where one is given. A drain that was stepped so is not stepped otherwise: its
    /// cursor passed over the others.
    pub fn step_of(&mut self, only: Option<HospitalId>, tier: &Tier, pace: &dyn Pace) -> Result<Option<DrainStep>> {
        tier.set_draining(self.volume, true)?;
        tier.listed(self.volume)?;
        while self.phase != DrainPhase::Ended {
            let Some(shard) = self.next(only, tier) else {
                self.phase = match self.phase {
                    DrainPhase::Copy => DrainPhase::Release,
                    DrainPhase::Release | DrainPhase::Ended => DrainPhase::Ended,
                };
                self.after = None;
                continue;
            };
            let step = match self.phase {
                DrainPhase::Copy => self.copy(tier, shard, pace),
                DrainPhase::Release | DrainPhase::Ended => self.release(tier, shard, pace),
            };
            let step = match step {
                Err(Error::CopyUnknown { .. } | Error::SegmentUnknown { .. }) => None, // it went another way meanwhile
                Err(why) if keeps(&why) => Some(DrainStep::Kept { shard, why }),
                other => other?,
            };
            let once_more = self.phase == DrainPhase::Release && matches!(step, Some(DrainStep::Copied(_)));
            if !once_more {
                self.after = Some(shard);
            }
            if let Some(step) = step {
                self.count(&step);
                return Ok(Some(step));
            }
        }
        Ok(None)
    }

    fn next(&self, only: Option<HospitalId>, tier: &Tier) -> Option<ShardRef> {
        let shards = tier.shards_on(self.volume).into_iter().map(|on| on.shard);
        let mut asked = shards.filter(|shard| only.is_none_or(|only| only == shard.hospital));
        asked.find(|shard| Some(*shard) > self.after)
    }

    /// Copies a shard, unless there is another copy already; that one is verified before this one is released.
    fn copy(&self, tier: &Tier, shard: ShardRef, pace: &dyn Pace) -> Result<Option<DrainStep>> {
        let copies = tier.segment(shard.segment)?.copies_of(shard.shard.into());
        match copies.iter().any(|mount| mount.id() != self.volume) {
            true => Ok(None),
            false => tier.copy_away(shard, self.volume, None, pace).map(|copied| Some(DrainStep::Copied(copied))),
        }
    }

    /// Verifies the other copy and releases this one. Where the other is not good, this one is copied once more.
    fn release(&self, tier: &Tier, shard: ShardRef, pace: &dyn Pace) -> Result<Option<DrainStep>> {
        let proof = match tier.verify_other_copy(shard, self.volume, pace) {
            Err(Error::Unproven { .. }) => {
                return tier.copy_away(shard, self.volume, None, pace).map(|copied| Some(DrainStep::Copied(copied)));
            }
            proof => proof?,
        };
        let verified_on = proof.volume();
        let bytes = tier.release_copy(shard, self.volume, proof)?;
        Ok(Some(DrainStep::Released { shard, from: self.volume, verified_on, bytes }))
    }

    fn count(&mut self, step: &DrainStep) {
        let done = &mut self.done;
        match step {
            DrainStep::Copied(copied) => {
                done.copied += 1;
                done.copied_bytes += copied.bytes;
            }
            DrainStep::Released { bytes, .. } => {
                done.released += 1;
                done.released_bytes += bytes;
            }
            DrainStep::Kept { .. } => done.kept += 1,
        }
    }

    /// Bytes that are still on the volume.
    pub fn left_bytes(&self, tier: &Tier) -> u64 {
        tier.shards_on(self.volume).iter().map(|on| on.len_bytes).sum()
    }

    /// The drain as it is stored.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(192);
        let none = ShardRef { hospital: HospitalId([0; 16]), segment: SegmentId([0; 16]), shard: 0 };
        let after = self.after.unwrap_or(none);
        out.put(&MAGIC).u8(VERSION).u8(self.phase as u8).u8(self.after.is_some().into()).u8(after.shard);
        out.put(&self.volume.0).u64(self.started_ms).put(&after.hospital.0).put(&after.segment.0);
        let DrainCounters { copied, copied_bytes, released, released_bytes, kept } = self.done;
        out.u64(copied).u64(copied_bytes).u64(released).u64(released_bytes).u64(kept);
        let mut bytes = out.finish();
        let checksum = sha256(&[&bytes]);
        bytes.extend_from_slice(&checksum.0);
        bytes
    }

    /// Parses and verifies a stored drain.
    pub fn decode(bytes: &[u8]) -> shosoin_protocol::Result<Self> {
        let mut reader = Reader::new(bytes, "stored drain");
        if reader.array::<4>("drain magic")? != MAGIC {
            return Err(FormatError::Magic { what: "stored drain" });
        }
        match reader.u8("drain version")? {
            VERSION => {}
            found => return Err(FormatError::Version { what: "stored drain", found, known: VERSION }),
        }
        let body = &bytes[..bytes.len().saturating_sub(CHECKSUM_BYTES)];
        crate::stripe::expect("drain checksum", &sha256(&[body]), &bytes[body.len()..])?;
        let drain = read_drain(&mut reader)?;
        reader.take(CHECKSUM_BYTES, "drain checksum")?;
        reader.finish()?;
        Ok(drain)
    }
}

fn read_drain(reader: &mut Reader<'_>) -> shosoin_protocol::Result<Drain> {
    let invalid = |what, why| Err(FormatError::Invalid { what, why });
    let phase = match reader.u8("drain phase")? {
        1 => DrainPhase::Copy,
        2 => DrainPhase::Release,
        3 => DrainPhase::Ended,
        _ => return invalid("drain phase", "no such code"),
    };
    let has_cursor = reader.u8("drain cursor")?;
    let shard = reader.u8("shard")?;
    let (volume, started_ms) = (VolumeId::read(reader)?, reader.u64("started time")?);
    let after = ShardRef { hospital: HospitalId::read(reader)?, segment: SegmentId::read(reader)?, shard };
    let is_zero = after.hospital.0 == [0; 16] && after.segment.0 == [0; 16] && shard == 0;
    let after = match (has_cursor, is_zero) {
        (1, _) => Some(after),
        (0, true) => None,
        (0, false) => return invalid("drain cursor", "an unused one must be zero"),
        _ => return invalid("drain cursor", "it is there or not"),
    };
    let done = DrainCounters {
        copied: reader.u64("copied")?,
        copied_bytes: reader.u64("copied bytes")?,
        released: reader.u64("released")?,
        released_bytes: reader.u64("released bytes")?,
        kept: reader.u64("kept")?,
    };
    Ok(Drain { volume, started_ms, phase, after, done })
}

/// Whether an error is about one shard, so that the drain may go on with the next.
pub(crate) fn keeps(error: &Error) -> bool {
    let of_this_shard = matches!(
        error,
        Error::Placement { .. }
            | Error::SegmentUnclosed { .. }
            | Error::SegmentUnreadable { .. }
            | Error::SegmentBusy { .. }
            | Error::ReadBack { .. }
            | Error::Unproven { .. }
    );
    of_this_shard || error.took_a_volume()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn drain(phase: DrainPhase, after: Option<ShardRef>) -> Drain {
        let done = DrainCounters { copied: 2, copied_bytes: 0x3000, released: 1, released_bytes: 0x1000, kept: 4 };
        Drain { volume: VolumeId([0x33; 16]), started_ms: 0x0123_4567_89ab, phase, after, done }
    }

    const AFTER: ShardRef = ShardRef { hospital: HospitalId([0x22; 16]), segment: SegmentId([0x11; 16]), shard: 5 };

    #[test]
    fn a_stored_drain_has_these_bytes() {
        let bytes = drain(DrainPhase::Release, Some(AFTER)).encode();
        let golden = "73686a64 01 02 01 05".to_owned()
            + &"33".repeat(16)
            + "ab89674523010000"
            + &"22".repeat(16)
            + &"11".repeat(16)
            + "0200000000000000 0030000000000000 0100000000000000 0010000000000000 0400000000000000"
            + GOLDEN_CHECKSUM;
        assert_eq!(hex::encode(bytes), golden.replace(' ', ""));
    }

    const GOLDEN_CHECKSUM: &str = "9b8c9f7fd875fdf6ca7302361434bb7e094a4823f40bd800c58f1decac0106f9";

    #[test]
    fn a_stored_drain_reads_back_and_one_with_any_byte_changed_does_not() {
        for phase in [DrainPhase::Copy, DrainPhase::Release, DrainPhase::Ended] {
            for after in [None, Some(AFTER)] {
                let drain = drain(phase, after);
                let good = drain.encode();
                assert_eq!(Drain::decode(&good).unwrap(), drain);
                for at in 0..good.len() {
                    let mut bad = good.clone();
                    bad[at] ^= 1;
                    assert!(Drain::decode(&bad).is_err(), "byte {at}");
                }
                assert!(Drain::decode(&good[..good.len() - 1]).is_err());
                assert!(Drain::decode(&[good.as_slice(), &[0]].concat()).is_err());
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_drain_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Drain::decode(&bytes).is_err());
        }
    }
}
