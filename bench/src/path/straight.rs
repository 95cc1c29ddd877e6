//! The straight path in one process, with nothing but the code that hospital and vault run.

use super::{CHUNK_BYTES, Shape};
use crate::Failure;
use crate::measure::time;
use bytes::Bytes;
use shosoin_keyring::{Codec, Keyring, Scratch};
use shosoin_protocol::{Address, RecordKind, VolumeId};
use shosoin_tiers::media::{FileMedia, FileOptions};
use shosoin_tiers::volume::{MediaClass, TierKind};
use shosoin_tiers::{Clock as _, Location, Record, SystemClock, SystemRandom, Tier, TierOptions, Volume, VolumeLabel};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Chunks of plain text in turn: more than fit any cache, as they come from a network.
pub(super) const PLAINS: u64 = 24;

/// A hospital and a tier.
pub(super) struct Straight {
    shape: Shape,
    keyring: Keyring,
    scratch: Scratch,
    plains: Vec<Vec<u8>>,
    tier: Tier,
    /// the last group of each round, read back at the end
    kept: Vec<(Location, Address)>,
}

impl Straight {
    /// A fresh keyring, and a tier with one volume for each shard in `dir`.
    pub(super) fn new(dir: &Path, shape: Shape) -> Result<Self, Failure> {
        let volumes = (0..shape.code.shards()).map(|shard| volume(dir, shard)).collect::<Result<Vec<_>, Failure>>()?;
        let options = TierOptions { demo: true, ..TierOptions::new(shape.code) };
        let (tier, _) = Tier::open(volumes, options, Arc::new(SystemClock), Arc::new(SystemRandom))?;
        let plains = (0..PLAINS).map(noise).collect();
        let keyring = Keyring::generate(shape.suite)?;
        Ok(Straight { shape, keyring, scratch: Scratch::default(), plains, tier, kept: Vec::new() })
    }

    /// Takes `bytes` of plain text all the way; gives GB in a second.
    pub(super) fn run(&mut self, bytes: usize) -> Result<f64, Failure> {
        let groups = bytes.div_ceil(self.shape.group * CHUNK_BYTES);
        let mut took = Duration::ZERO;
        for group in 0..groups {
            self.change_plains(group)?;
            let (this, kept) = time(|| self.group(group))?;
            took += this;
            if group + 1 == groups {
                self.kept.extend(kept);
            }
        }
        let plain_bytes = groups * self.shape.group * CHUNK_BYTES;
        Ok(plain_bytes as f64 / took.as_secs_f64() / 1e9)
    }

    /// Everything that was kept must come back, verified by its address.
    pub(super) fn read_back(&self) -> Result<(), Failure> {
        for (location, address) in &self.kept {
            self.tier.read(self.shape.suite, location, address)?;
        }
        Ok(self.tier.close()?)
    }

    /// Makes the next group's chunks new, outside of what is timed.
    fn change_plains(&mut self, group: usize) -> Result<(), Failure> {
        for index in 0..self.shape.group {
            let slot = (group * self.shape.group + index) % self.plains.len();
            let stamp = self.plains[slot].first_chunk_mut::<8>().ok_or("a chunk is too short")?;
            *stamp = (u64::from_le_bytes(*stamp) + 1).to_le_bytes();
        }
        Ok(())
    }

    fn group(&mut self, group: usize) -> Result<Vec<(Location, Address)>, Failure> {
        let mut records = Vec::with_capacity(self.shape.group);
        for index in 0..self.shape.group {
            let plain = &self.plains[(group * self.shape.group + index) % self.plains.len()];
            // the hospital: seal, address, open again, compare
            let sealed = self.keyring.seal_chunk(self.shape.class, Codec::None, plain, &mut self.scratch)?;
            let (address, bytes) = (sealed.chunk.address, Bytes::from(sealed.bytes));
            // the vault: verify at intake
            self.shape.suite.verify(&address, &bytes)?;
            records.push(Record { kind: RecordKind::Chunk, address, bytes });
        }
        // gather, encode, digest, append, sync
        let committed = self.tier.append(self.keyring.hospital(), self.shape.suite, &records)?;
        Ok(committed.locations.into_iter().zip(records.iter().map(|record| record.address)).collect())
    }
}

fn volume(dir: &Path, shard: usize) -> Result<Volume, Failure> {
    let root = dir.join(format!("v{shard}"));
    std::fs::create_dir(&root)?;
    let media = FileMedia::open(&root, FileOptions::default())?;
    let id = VolumeId([u8::try_from(shard)? + 1; 16]);
    let label =
        VolumeLabel { demo: true, ..VolumeLabel::new(id, TierKind::Hot, MediaClass::Ssd, SystemClock.now_ms()) };
    Ok(Volume::create(Arc::new(media), label)?)
}

/// A chunk of plain text that does not compress.
pub(super) fn noise(seed: u64) -> Vec<u8> {
    let mut out = vec![0; CHUNK_BYTES];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut out);
    out
}
