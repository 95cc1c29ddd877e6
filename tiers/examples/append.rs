//! How fast records reach media: `cargo run --release -p shosoin-tiers --example append -- DIR [MIB]`, pinned with
//! `taskset -c 0` for the figure of one core. Prints the parts (gather, encode, digest, direct write), the ceiling that
//! follows from them, what appends of one and of eight 4 MiB records at a time reach, and how fast they are read back.

use bytes::Bytes;
use shosoin_protocol::suite::Hasher;
use shosoin_protocol::{HospitalId, RecordKind, Suite, VolumeId};
use shosoin_tiers::media::{FileMedia, FileOptions, Media, WriteUnit};
use shosoin_tiers::volume::{MediaClass, TierKind};
use shosoin_tiers::{
    AlignedBuf, Code, Erasure, Location, Record, SystemClock, SystemRandom, Tier, TierOptions, Volume, VolumeLabel,
};
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

const RECORD_BYTES: usize = 4 << 20;
const UNIT_BYTES: usize = RECORD_BYTES / 4;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let dir = args.next().ok_or("usage: append DIR [MIB]")?;
    let count = args.next().map_or(Ok(1024), |mib| mib.parse::<usize>())? / 4;
    let records: Vec<Bytes> = (0..16u8).map(|no| Bytes::from(vec![no; RECORD_BYTES])).collect();
    let parts = parts(Path::new(&dir), count, &records)?;
    let seconds: f64 = parts.iter().map(|(_, gbps)| 1.0 / gbps).sum();
    let (tier, records) = (tier(Path::new(&dir))?, with_addresses(&records));
    let mut stored = Vec::new();
    let one = append(&tier, count, &records[..1], &mut stored)?;
    let read = read(&tier, &records, &stored)?;
    let eight = append(&tier, count / 8, &records[..8], &mut stored)?;
    for (name, gbps) in parts {
        println!("{name:>16} {gbps:6.2} GB/s of payload");
    }
    println!("{:>16} {:6.2} GB/s", "ceiling", 1.0 / seconds);
    for (name, reached) in [("append of one", one), ("append of eight", eight)] {
        println!("{name:>16} {reached:6.2} GB/s = {:.0} % of the ceiling", reached * seconds * 100.0);
    }
    println!("{:>16} {read:6.2} GB/s", "read");
    Ok(())
}

/// Payload bytes a second, in GB, when `run` handles one record each of `count` times.
fn rate(count: usize, mut run: impl FnMut(usize) -> Result<(), Box<dyn Error>>) -> Result<f64, Box<dyn Error>> {
    let start = Instant::now();
    for no in 0..count {
        run(no)?;
    }
    Ok((count * RECORD_BYTES) as f64 / start.elapsed().as_secs_f64() / 1e9)
}

/// What each step costs by itself, over memory too large for the caches.
fn parts(dir: &Path, count: usize, records: &[Bytes]) -> Result<Vec<(&'static str, f64)>, Box<dyn Error>> {
    let erasure = Erasure::new(Code::parse("4+2")?)?;
    let mut stripe = AlignedBuf::default();
    stripe.resize(6 * UNIT_BYTES);
    let gather = rate(count, |no| {
        stripe[..RECORD_BYTES].copy_from_slice(&records[no % records.len()]);
        Ok(())
    })?;
    let encode = rate(count, |_| {
        let (data, parity) = stripe.split_at_mut(RECORD_BYTES);
        let data: Vec<&[u8]> = data.chunks_exact(UNIT_BYTES).collect();
        let mut parity: Vec<&mut [u8]> = parity.chunks_exact_mut(UNIT_BYTES).collect();
        Ok(erasure.encode(&data, &mut parity)?)
    })?;
    let digest = rate(count, |_| {
        for unit in stripe.chunks_exact(UNIT_BYTES) {
            let mut hasher = Hasher::new(Suite::Default);
            hasher.update(unit);
            std::hint::black_box(hasher.finish());
        }
        Ok(())
    })?;
    let write = direct_write(dir, count, &stripe)?;
    Ok(vec![("gather", gather), ("encode", encode), ("digest", digest), ("direct write", write)])
}

/// Six files, one unit to each and then one sync each, from six threads.
fn direct_write(dir: &Path, count: usize, stripe: &AlignedBuf) -> Result<f64, Box<dyn Error>> {
    let raw = dir.join("raw");
    std::fs::create_dir_all(&raw)?;
    let media = FileMedia::open(&raw, FileOptions::default())?;
    let name = |no: usize| format!("{no}.shard");
    let files: Vec<_> = (0..6).map(|no| media.create(&name(no), WriteUnit::Blocks)).collect::<Result<_, _>>()?;
    let start = Instant::now();
    std::thread::scope(|scope| {
        let writers: Vec<_> = files
            .iter()
            .zip(stripe.chunks_exact(UNIT_BYTES))
            .map(|(file, unit)| {
                scope.spawn(move || {
                    (0..count as u64).try_for_each(|no| {
                        file.write_at(no * UNIT_BYTES as u64, unit)?;
                        file.sync()
                    })
                })
            })
            .collect();
        writers.into_iter().try_for_each(|writer| writer.join().unwrap_or(Ok(())))
    })?;
    let rate = (count * RECORD_BYTES) as f64 / start.elapsed().as_secs_f64() / 1e9;
    (0..6).try_for_each(|no| media.remove(&name(no)))?;
    Ok(rate)
}

fn tier(dir: &Path) -> Result<Tier, Box<dyn Error>> {
    let mut volumes = Vec::new();
    for no in 0..6u8 {
        let root = dir.join(format!("v{no}"));
        std::fs::create_dir_all(&root)?;
        let mut label = VolumeLabel::new(VolumeId([no; 16]), TierKind::Hot, MediaClass::Ssd, 0);
        label.demo = true;
        volumes.push(Volume::create(Arc::new(FileMedia::open(&root, FileOptions::default())?), label)?);
    }
    let options = TierOptions { demo: true, ..TierOptions::new(Code::parse("4+2")?) };
    Ok(Tier::open(volumes, options, Arc::new(SystemClock), Arc::new(SystemRandom))?.0)
}

fn with_addresses(records: &[Bytes]) -> Vec<Record> {
    let address = |bytes: &Bytes| Suite::Default.address(bytes);
    let record = |bytes: &Bytes| Record { kind: RecordKind::Chunk, address: address(bytes), bytes: bytes.clone() };
    records.iter().map(record).collect()
}

fn append(tier: &Tier, count: usize, group: &[Record], stored: &mut Vec<Location>) -> Result<f64, Box<dyn Error>> {
    let mut store = |_| {
        stored.extend(tier.append(HospitalId([1; 16]), Suite::Default, group)?.locations);
        Ok(())
    };
    rate(8, &mut store)?; // memory and files warm
    Ok(group.len() as f64 * rate(count, store)?)
}

fn read(tier: &Tier, records: &[Record], stored: &[Location]) -> Result<f64, Box<dyn Error>> {
    rate(stored.len(), |no| {
        std::hint::black_box(tier.read(Suite::Default, &stored[no], &records[0].address)?);
        Ok(())
    })
}
