//! `shosoin-bench memory`: peak memory of vault plus gateway while multipart uploads run side by side.

use crate::Failure;
use crate::site::{Site, Source, fresh_dir};
use futures::future::try_join_all;
use object_store::ObjectStoreExt as _;
use object_store::path::Path as Name;
use std::path::PathBuf;

/// Bytes of one part.
const PART_BYTES: usize = 16 << 20;
/// The promise: vault and gateway together, in bytes.
const PEAK_BYTES_MAX: u64 = 400 << 20;

/// Options of the subcommand.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// the binary to measure
    #[arg(long, default_value = "target/release/shosoin")]
    shosoin: PathBuf,
    /// where to put the site; the default is the directory for temporary files
    #[arg(long)]
    dir: Option<PathBuf>,
    /// uploads at once
    #[arg(long, default_value_t = 8)]
    uploads: u64,
    /// size of each upload, in MiB
    #[arg(long, default_value_t = 1024)]
    mib: u64,
}

/// Runs the uploads and prints one line of JSON.
pub async fn run(options: Options) -> Result<(), Failure> {
    let dir = fresh_dir(options.dir.as_deref(), "memory")?;
    let source = Source::new();
    let site = Site::start(&options.shosoin, &dir).await?;
    let idle = site.peak_memory_bytes()?;
    let parts = (options.mib << 20) / PART_BYTES as u64;
    try_join_all((0..options.uploads).map(|upload| upload_one(&site, &source, upload, parts))).await?;
    let peak = site.peak_memory_bytes()?;
    site.stop()?;
    std::fs::remove_dir_all(&dir)?;
    let line = serde_json::json!({"uploads": options.uploads, "mib_each": options.mib, "idle_bytes": idle,
        "peak_bytes": peak, "limit_bytes": PEAK_BYTES_MAX, "within": peak <= PEAK_BYTES_MAX});
    println!("{line}");
    Ok(())
}

/// One upload, its parts one after the other, as one client sends them.
async fn upload_one(site: &Site, source: &Source, upload: u64, parts: u64) -> Result<(), Failure> {
    let mut multipart = site.s3.put_multipart(&Name::from(format!("upload-{upload}"))).await?;
    for part in 0..parts {
        multipart.put_part(source.object(upload << 32 | part, PART_BYTES)).await?;
    }
    multipart.complete().await?;
    Ok(())
}
