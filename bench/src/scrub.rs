//! `shosoin-bench scrub`: whether a scrub goes at the medium's own speed, on one core.
//!
//! Real shard files are written, then measured in turns: reading them directly and doing nothing else, digesting memory that
//! no cache holds and doing nothing else, and scrubbing them, as a tour does. The best round of each counts. A scrub
//! cannot be faster than the slower of the two.

use crate::Failure;
use crate::measure::{pin_to, shortest, time};
use crate::site::fresh_dir;
use crate::tier::{RECORD_BYTES, filled};
use serde::Serialize;
use shosoin_protocol::Suite;
use shosoin_protocol::suite::Hasher;
use shosoin_tiers::media::{FileMedia, FileOptions};
use shosoin_tiers::{AlignedBuf, Code, Media, Tier, Tour, Unpaced};
use std::hint::black_box;
use std::path::{Path, PathBuf};

/// Memory that is digested: more than fits any cache.
const COLD_BYTES: usize = 256 << 20;
/// Pieces that are read directly; the best of them is what the medium gives.
const PIECES_MIB: [usize; 3] = [1, 2, 4];

/// Options of the subcommand.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// end with one line of JSON
    #[arg(long)]
    json: bool,
    /// MiB of records that are stored before
    #[arg(long, default_value_t = 2048)]
    mib: usize,
    /// where the volumes go; the default is the directory for temporary files
    #[arg(long)]
    dir: Option<PathBuf>,
    /// core to stay on
    #[arg(long, default_value_t = 0)]
    core: usize,
    /// rounds; the best one counts, for each figure
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// 1 or 2
    #[arg(long, default_value_t = 1)]
    suite: u8,
    /// k+m
    #[arg(long, default_value = "4+2")]
    code: Code,
}

#[derive(Debug, Default, Serialize)]
struct Report {
    read_gbps: f64,
    digest_gbps: f64,
    scrub_gbps: f64,
    ratio: f64,
}

/// Measures reading, digesting and scrubbing in turns.
pub fn run(options: &Options) -> Result<(), Failure> {
    pin_to(options.core)?;
    let suite = Suite::try_from(options.suite)?;
    let dir = fresh_dir(options.dir.as_deref(), "scrub")?;
    let tier = filled(&dir, suite, options.code, options.mib)?;
    let cold = vec![0x5a; COLD_BYTES];
    let mut best = Report::default();
    for round in 0..options.rounds {
        best.read_gbps = best.read_gbps.max(read(&dir, &tier)?);
        best.digest_gbps = best.digest_gbps.max(digest(suite, &cold)?);
        let scrub_gbps = scrub(&tier)?;
        best.scrub_gbps = best.scrub_gbps.max(scrub_gbps);
        eprintln!("round {round}: scrub {scrub_gbps:.2} GB/s, reading alone {:.2} so far", best.read_gbps);
    }
    std::fs::remove_dir_all(&dir)?;
    best.ratio = best.scrub_gbps / best.read_gbps.min(best.digest_gbps);
    let mib = |gbps: f64| gbps * 1e9 / f64::from(1 << 20);
    println!("read     {:>7.2} GB/s = {:.0} MiB/s, direct, in order, one thread", best.read_gbps, mib(best.read_gbps));
    println!("digest   {:>7.2} GB/s = {:.0} MiB/s, from memory", best.digest_gbps, mib(best.digest_gbps));
    println!("scrub    {:>7.2} GB/s = {:.0} MiB/s", best.scrub_gbps, mib(best.scrub_gbps));
    println!("ratio    {:>7.2} of the slower of reading and digesting", best.ratio);
    if options.json {
        println!("{}", serde_json::to_string(&best)?);
    }
    Ok(())
}

/// GB in a second of reading every shard file of the tier directly, in order, in pieces of the best size.
fn read(dir: &Path, tier: &Tier) -> Result<f64, Failure> {
    let mut best: f64 = 0.0;
    for piece in PIECES_MIB {
        let (took, bytes) = time(|| read_all(dir, tier, piece << 20))?;
        best = best.max(bytes as f64 / took.as_secs_f64() / 1e9);
    }
    Ok(best)
}

fn read_all(dir: &Path, tier: &Tier, piece: usize) -> Result<u64, Failure> {
    let mut buffer = AlignedBuf::with_capacity(piece);
    let mut bytes = 0;
    for volume in tier.volumes() {
        let root = dir.join(format!("v{}", volume.id.0[0] - 1));
        let media = FileMedia::open(&root, FileOptions { exclusive: false, ..FileOptions::default() })?;
        for on in tier.shards_on(volume.id) {
            let shard = on.shard;
            let path = shosoin_tiers::layout::shard_path(shard.hospital, shard.segment, shard.shard);
            let file = media.open(&path)?;
            let len = file.len()?;
            for at in (0..len).step_by(piece) {
                file.read_past_cache(at, piece, &mut buffer)?;
                bytes += buffer.len() as u64;
            }
        }
    }
    Ok(bytes)
}

/// GB in a second of digesting units of the usual length.
fn digest(suite: Suite, cold: &[u8]) -> Result<f64, Failure> {
    let seconds = shortest(1, || {
        for unit in cold.chunks(RECORD_BYTES) {
            let mut hasher = Hasher::new(suite);
            hasher.update(black_box(unit));
            black_box(hasher.finish());
        }
        Ok(())
    })?;
    Ok(cold.len() as f64 / seconds / 1e9)
}

/// GB in a second of the tours of all volumes, one after the other. Findings would be a mistake of ours.
fn scrub(tier: &Tier) -> Result<f64, Failure> {
    let (took, bytes) = time(|| {
        let mut bytes = 0;
        for volume in tier.volumes() {
            let mut tour = Tour::new(volume.id, 0);
            while let Some(findings) = tour.step(tier, &Unpaced)? {
                findings.first().map_or(Ok(()), |finding| Err(finding.to_string()))?;
            }
            bytes += tour.done.read_bytes;
        }
        Ok(bytes)
    })?;
    Ok(bytes as f64 / took.as_secs_f64() / 1e9)
}
