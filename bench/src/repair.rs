//! `shosoin-bench repair`: how fast a lost volume comes back, against copying the same files.
//!
//! Real shard files are written, one volume is taken away, and its shards are rebuilt onto an empty one. The ceiling is
//! what a repair cannot do without and nothing else: the same k shards read directly, piece by piece, from as many threads
//! at once, and one file of the same length written directly and synced; then that file read once more. The two are
//! measured in turns, and the best round of each counts. That every shard is read once is taken from the bytes that the
//! repair says it read.

use crate::Failure;
use crate::measure::{pin_to, time};
use crate::site::fresh_dir;
use crate::tier::{filled, volume};
use serde::Serialize;
use shosoin_protocol::{Suite, VolumeId};
use shosoin_tiers::layout::shard_path;
use shosoin_tiers::media::{FileMedia, FileOptions, WriteUnit};
use shosoin_tiers::{AlignedBuf, Code, Media, MediaFile, SegmentInfo, Tier, Unpaced};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes of each shard that the ceiling reads and writes in one go: a unit of a stripe of 8 MiB, in 4+2.
const PIECE_BYTES: usize = 2 << 20;

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
    /// core to stay on; all of them where it is not said
    #[arg(long)]
    core: Option<usize>,
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
    /// bytes of the shards that were on the lost volume
    lost_bytes: u64,
    /// MB of them rebuilt in a second, read back included
    repair_mbps: f64,
    /// the same for reading k and writing one
    copy_mbps: f64,
    /// the same with reading back what was written
    copy_reread_mbps: f64,
    /// repair against the ceiling that reads back too
    ratio: f64,
    /// bytes read from surviving shards for each byte rebuilt: k, and no more
    read_per_byte: f64,
    k: usize,
}

/// Measures repairing and copying in turns.
pub fn run(options: &Options) -> Result<(), Failure> {
    options.core.map_or(Ok(()), pin_to)?;
    let dir = fresh_dir(options.dir.as_deref(), "repair")?;
    let tier = filled(&dir, Suite::try_from(options.suite)?, options.code, options.mib)?;
    let lost = VolumeId([1; 16]);
    let of_lost: Vec<(SegmentInfo, u8)> = tier.segments().into_iter().filter_map(|info| on(info, lost)).collect();
    tier.detach(lost)?;
    let mut best = Report { k: options.code.k(), ..Report::default() };
    for round in 0..options.rounds {
        let (copy, reread, bytes) = copy(&dir, &of_lost)?;
        best.lost_bytes = bytes;
        best.copy_mbps = best.copy_mbps.max(copy);
        best.copy_reread_mbps = best.copy_reread_mbps.max(reread);
        let (repair, read_per_byte) = repair(&dir, &tier, &of_lost, options.code.shards() + 1 + round)?;
        best.repair_mbps = best.repair_mbps.max(repair);
        best.read_per_byte = read_per_byte;
        eprintln!("round {round}: repair {repair:.0} MB/s, copy {copy:.0}, copy and read back {reread:.0}");
    }
    std::fs::remove_dir_all(&dir)?;
    best.ratio = best.repair_mbps / best.copy_reread_mbps;
    println!("lost     {:>8.1} MB on one volume of {}", best.lost_bytes as f64 / 1e6, options.code);
    println!("repair   {:>8.0} MB/s, read back included", best.repair_mbps);
    println!("copy     {:>8.0} MB/s: {} shards read, one written", best.copy_mbps, best.k);
    println!("         {:>8.0} MB/s with reading it back", best.copy_reread_mbps);
    println!("ratio    {:>8.2} of that", best.ratio);
    println!("reads    {:>8.3} bytes for each byte rebuilt", best.read_per_byte);
    if options.json {
        println!("{}", serde_json::to_string(&best)?);
    }
    Ok(())
}

/// The segment and its shard that is on `volume`.
fn on(info: SegmentInfo, volume: VolumeId) -> Option<(SegmentInfo, u8)> {
    let shard = info.shards.iter().position(|on| *on == Some(volume))?;
    Some((info, u8::try_from(shard).ok()?))
}

/// Rebuilds every lost shard onto a new volume; gives MB rebuilt in a second, and bytes read for each.
fn repair(dir: &Path, tier: &Tier, lost: &[(SegmentInfo, u8)], no: usize) -> Result<(f64, f64), Failure> {
    let spare = volume(dir, no)?;
    let id = spare.id();
    tier.attach(spare)?;
    let (mut read_bytes, mut written_bytes, mut stripe_bytes) = (0, 0, 0);
    let (took, ()) = time(|| {
        for (info, shard) in lost {
            let repaired = tier.repair_segment(info.id, &[*shard], &Unpaced)?;
            if repaired.rebuilt != [(*shard, id)] || repaired.reread_bytes != repaired.written_bytes {
                return Err(format!("not rebuilt: {repaired:?}").into());
            }
            read_bytes += repaired.read_bytes;
            written_bytes += repaired.written_bytes;
            stripe_bytes += info.end;
        }
        Ok(())
    })?;
    tier.detach(id)?;
    std::fs::remove_dir_all(dir.join(format!("v{no}")))?;
    Ok((written_bytes as f64 / took.as_secs_f64() / 1e6, read_bytes as f64 / stripe_bytes as f64))
}

/// Reads k shards of each segment and writes one file, directly; gives MB written in a second without and with reading it
/// back, and its bytes.
fn copy(dir: &Path, lost: &[(SegmentInfo, u8)]) -> Result<(f64, f64, u64), Failure> {
    let target = dir.join("copy");
    std::fs::create_dir(&target)?;
    let media = FileMedia::open(&target, FileOptions::default())?;
    let (mut copied, mut reread, mut bytes) = (0.0, 0.0, 0);
    for (info, shard) in lost {
        let others = (0u8..).zip(&info.shards).filter(|(no, _)| no != shard).take(info.code.k());
        let files = others.map(|(no, volume)| open(dir, info, no, *volume)).collect::<Result<Vec<_>, Failure>>()?;
        let name = info.id.to_string();
        let out = media.create(&name, WriteUnit::Blocks)?;
        let (took, len) = time(|| copy_one(&files, &*out))?;
        let (read, ()) = time(|| read_all(&*media.open(&name)?))?;
        copied += took.as_secs_f64();
        reread += read.as_secs_f64();
        bytes += len;
    }
    std::fs::remove_dir_all(&target)?;
    let mbps = |seconds: f64| bytes as f64 / seconds / 1e6;
    Ok((mbps(copied), mbps(copied + reread), bytes))
}

fn open(dir: &Path, info: &SegmentInfo, shard: u8, volume: Option<VolumeId>) -> Result<Arc<dyn MediaFile>, Failure> {
    let no = usize::from(volume.ok_or("a shard is missing")?.0[0]) - 1;
    let media =
        FileMedia::open(&dir.join(format!("v{no}")), FileOptions { exclusive: false, ..FileOptions::default() })?;
    Ok(media.open(&shard_path(info.hospital, info.id, shard))?)
}

fn copy_one(files: &[Arc<dyn MediaFile>], out: &dyn MediaFile) -> Result<u64, Failure> {
    let len = files.first().ok_or("nothing to read")?.len()?;
    let mut buffers: Vec<AlignedBuf> = files.iter().map(|_| AlignedBuf::with_capacity(PIECE_BYTES)).collect();
    for at in (0..len).step_by(PIECE_BYTES) {
        std::thread::scope(|scope| {
            let read =
                |file: &Arc<dyn MediaFile>, buffer: &mut AlignedBuf| file.read_past_cache(at, PIECE_BYTES, buffer);
            let readers: Vec<_> =
                files.iter().zip(&mut buffers).map(|(file, buffer)| scope.spawn(move || read(file, buffer))).collect();
            readers.into_iter().try_for_each(|reader| match reader.join() {
                Ok(read) => read.map_err(Failure::from),
                Err(_) => Err("a reader panicked".into()),
            })
        })?;
        out.write_at(at, &buffers[0])?;
    }
    out.sync()?;
    Ok(len)
}

fn read_all(file: &dyn MediaFile) -> Result<(), Failure> {
    let mut buffer = AlignedBuf::with_capacity(PIECE_BYTES);
    (0..file.len()?).step_by(PIECE_BYTES).try_for_each(|at| Ok(file.read_past_cache(at, PIECE_BYTES, &mut buffer)?))
}
