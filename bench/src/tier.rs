//! A tier on real folders, with closed segments full of records, for workloads that measure the engine alone.

use crate::Failure;
use bytes::Bytes;
use shosoin_protocol::{HospitalId, RecordKind, Suite, VolumeId};
use shosoin_tiers::media::{FileMedia, FileOptions};
use shosoin_tiers::volume::{MediaClass, TierKind};
use shosoin_tiers::{Code, Record, SystemClock, SystemRandom, Tier, TierOptions, Volume, VolumeLabel};
use std::path::Path;
use std::sync::Arc;

/// Bytes of one record: what a full chunk takes.
pub const RECORD_BYTES: usize = shosoin_protocol::limits::CHUNK_PLAIN_BYTES_DEFAULT as usize;
/// Records of one append, which is one stripe.
const GROUP_RECORDS: usize = 4;

/// A tier with so many MiB of records in closed segments, on as many volumes as the code needs.
pub fn filled(dir: &Path, suite: Suite, code: Code, mib: usize) -> Result<Tier, Failure> {
    let volumes = (0..code.shards()).map(|no| volume(dir, no)).collect::<Result<Vec<_>, Failure>>()?;
    let options = TierOptions { demo: true, ..TierOptions::new(code) };
    let (tier, _) = Tier::open(volumes, options, Arc::new(SystemClock), Arc::new(SystemRandom))?;
    let mut hasher = blake3::Hasher::new();
    for group in 0..(mib << 20).div_ceil(GROUP_RECORDS * RECORD_BYTES) {
        let mut bytes = vec![0; GROUP_RECORDS * RECORD_BYTES];
        hasher.update(&u64::try_from(group)?.to_le_bytes()).finalize_xof().fill(&mut bytes);
        let bytes = Bytes::from(bytes);
        let record = |no: usize| {
            let bytes = bytes.slice(no * RECORD_BYTES..(no + 1) * RECORD_BYTES);
            Record { kind: RecordKind::Chunk, address: suite.address(&bytes), bytes }
        };
        tier.append(HospitalId([1; 16]), suite, &(0..GROUP_RECORDS).map(record).collect::<Vec<_>>())?;
    }
    tier.close()?;
    Ok(tier)
}

/// A new volume in a folder of its own.
pub fn volume(dir: &Path, no: usize) -> Result<Volume, Failure> {
    let root = dir.join(format!("v{no}"));
    std::fs::create_dir(&root)?;
    let media = FileMedia::open(&root, FileOptions::default())?;
    let id = VolumeId([u8::try_from(no)? + 1; 16]);
    let label = VolumeLabel { demo: true, ..VolumeLabel::new(id, TierKind::Hot, MediaClass::Ssd, 0) };
    Ok(Volume::create(Arc::new(media), label)?)
}
