//! `shosoin-bench growth`: what grows with the number of objects. One site takes small objects, each a chunk of its
//! own, and is measured at milestones: resident memory, bytes of index and view on disk, the time of one page of a
//! listing; at the end the site is closed and opened again.

use crate::Failure;
use crate::measure::disk_bytes_below;
use crate::site::{Site, Source, fresh_dir};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use object_store::ObjectStoreExt as _;
use object_store::list::{PaginatedListOptions, PaginatedListStore as _};
use object_store::path::Path as Name;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Instant;

/// Bytes of one object: small enough that rows, not bytes, are what grows.
const OBJECT_BYTES: usize = 1024;
/// Requests in flight.
const IN_FLIGHT: usize = 128;
/// Pages measured at each milestone.
const PAGES: u64 = 50;

/// Options of the subcommand.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// the binary to measure
    #[arg(long, default_value = "target/release/shosoin")]
    shosoin: PathBuf,
    /// where to put the site; the default is the directory for temporary files
    #[arg(long)]
    dir: Option<PathBuf>,
    /// objects at which to measure, ascending
    #[arg(long, value_delimiter = ',', default_value = "100000,1000000,2000000")]
    milestones: Vec<u64>,
}

/// One milestone.
#[derive(Debug, Serialize)]
struct Milestone {
    objects: u64,
    puts_per_s: f64,
    resident_mib: u64,
    list_page_ms_p50: f64,
    list_page_ms_p99: f64,
    index_mib: u64,
    view_mib: u64,
}

/// Runs the milestones; a line of JSON for each, and one for opening again.
pub async fn run(options: Options) -> Result<(), Failure> {
    let dir = fresh_dir(options.dir.as_deref(), "growth")?;
    let source = Source::new();
    let site = Site::start(&options.shosoin, &dir).await?;
    let mut stored = 0;
    for objects in &options.milestones {
        let begin = Instant::now();
        put_range(&site, &source, stored, *objects).await?;
        let puts_per_s = (*objects - stored) as f64 / begin.elapsed().as_secs_f64();
        stored = *objects;
        let pages = list_pages(&site, stored).await?;
        let milestone = Milestone {
            objects: stored,
            puts_per_s,
            resident_mib: site.resident_bytes()? >> 20,
            list_page_ms_p50: pages[pages.len() / 2],
            list_page_ms_p99: pages[pages.len() * 99 / 100],
            index_mib: disk_bytes_below(&dir.join("vault/index"))? >> 20,
            view_mib: disk_bytes_below(&dir.join("hospital/view"))? >> 20,
        };
        println!("{}", serde_json::to_string(&milestone)?);
    }
    site.stop()?;
    let begin = Instant::now();
    let site = Site::start(&options.shosoin, &dir).await?;
    let (reopen_s, resident_mib) = (begin.elapsed().as_secs_f64(), site.resident_bytes()? >> 20);
    println!("{}", serde_json::json!({"objects": stored, "reopen_s": reopen_s, "resident_mib": resident_mib}));
    site.stop()?;
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}

/// Name of an object.
pub fn name(number: u64) -> Name {
    Name::from(format!("ward-{:03}/study-{number:08}.dcm", number % 1000))
}

/// Stores objects by number.
pub async fn put_range(site: &Site, source: &Source, from: u64, to: u64) -> Result<(), Failure> {
    let puts = stream::iter(from..to)
        .map(|number| async move { site.s3.put(&name(number), source.object(number, OBJECT_BYTES)).await.map(drop) });
    Ok(puts.buffer_unordered(IN_FLIGHT).try_collect().await?)
}

/// Times of pages of 1,000 names that begin all over the bucket, ascending, in milliseconds.
async fn list_pages(site: &Site, stored: u64) -> Result<Vec<f64>, Failure> {
    let mut times = Vec::new();
    for page in 0..PAGES {
        let offset = name(stored / PAGES * page).to_string();
        let options = PaginatedListOptions { offset: Some(offset), max_keys: Some(1000), ..Default::default() };
        let begin = Instant::now();
        let listed = site.s3.list_paginated(None, options).await?.result.objects.len();
        times.push(begin.elapsed().as_secs_f64() * 1e3);
        if listed == 0 {
            return Err("a page of names in the middle of the bucket is empty".into());
        }
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}
