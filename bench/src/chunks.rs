//! `shosoin-bench chunks`: memory of a vault as it takes small chunks, millions of them, in this one process.
//!
//! The chunks are envelopes around noise: a vault cannot tell, since it never opens one.

use crate::Failure;
use crate::site::fresh_dir;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;
use shosoin_keyring::Keyring;
use shosoin_protocol::envelope::{Context, write_aad};
use shosoin_protocol::{Address, HospitalId, Suite};
use shosoin_store::{IndexKind, InitOptions, OpenOptions, Vault, VolumeSpec};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Noise in each chunk, in the place of sealed bytes and their tag.
const SEALED_LEN: u32 = 144;
/// Chunks on their way at once.
const IN_FLIGHT: usize = 512;

/// Options of the subcommand.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// where to put the vault; the default is the directory for temporary files
    #[arg(long)]
    dir: Option<PathBuf>,
    /// chunks at which to measure, ascending
    #[arg(long, value_delimiter = ',', default_value = "100000,500000,1000000,2000000")]
    milestones: Vec<u64>,
}

#[derive(Debug, Serialize)]
struct Milestone {
    chunks: u64,
    chunks_per_s: f64,
    resident_mib: u64,
    peak_mib: u64,
}

/// Runs the milestones, a line of JSON for each; then every thousandth chunk is read back.
pub async fn run(options: Options) -> Result<(), Failure> {
    let dir = fresh_dir(options.dir.as_deref(), "chunks")?;
    let (vault, hospital) = open(&dir).await?;
    let mut stored = 0;
    for chunks in &options.milestones {
        let begin = Instant::now();
        let puts = stream::iter(stored..*chunks).map(|number| {
            let (address, bytes) = chunk(hospital, number);
            vault.put_chunk(hospital, address, bytes)
        });
        puts.buffer_unordered(IN_FLIGHT).try_collect::<()>().await?;
        let chunks_per_s = (*chunks - stored) as f64 / begin.elapsed().as_secs_f64();
        stored = *chunks;
        let (resident_mib, peak_mib) = (own_memory_mib("VmRSS:")?, own_memory_mib("VmHWM:")?);
        println!("{}", serde_json::to_string(&Milestone { chunks: stored, chunks_per_s, resident_mib, peak_mib })?);
    }
    for number in (0..stored).step_by(1000) {
        let (address, bytes) = chunk(hospital, number);
        if vault.record(hospital, address).await? != bytes {
            return Err(format!("chunk {number} came back with other bytes").into());
        }
    }
    vault.close().await?;
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}

async fn open(dir: &Path) -> Result<(Vault, HospitalId), Failure> {
    let init = InitOptions {
        volumes: (1..=6).map(|no| VolumeSpec::at(format!("volumes/v{no:02}"))).collect(),
        code: "4+2".parse()?,
        demo: true,
        index: IndexKind::Fjall,
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
    };
    Vault::init(dir, init).await?;
    let vault = Vault::open(dir, OpenOptions::default()).await?;
    let hospital = vault.enrol(&Keyring::generate(Suite::Default)?.enrolment())?;
    Ok((vault, hospital))
}

/// The chunk with this number: the same bytes whenever it is asked for.
fn chunk(hospital: HospitalId, number: u64) -> (Address, Bytes) {
    let mut noise = [0; SEALED_LEN as usize];
    blake3::Hasher::new().update(&number.to_le_bytes()).finalize_xof().fill(&mut noise);
    let mut bytes = write_aad(Suite::Default, 0, hospital, &Context::Chunk, &[0; 32], SEALED_LEN);
    bytes.extend_from_slice(&noise);
    (Suite::Default.address(&bytes), bytes.into())
}

fn own_memory_mib(name: &str) -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such line in status")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? / 1024)
}
