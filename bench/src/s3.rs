//! `shosoin-bench s3`: PUT and GET through `shosoin up` on loopback, for large, middling and small objects.

use crate::Failure;
use crate::site::{Counters, Site, Source, fresh_dir};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use object_store::ObjectStoreExt as _;
use object_store::path::Path as Name;
use serde::Serialize;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// One workload of the default series: object size, objects, requests in flight.
const SERIES: [(&str, usize, u64, usize); 3] =
    [("64 MiB", 64 << 20, 24, 2), ("1 MiB", 1 << 20, 512, 8), ("16 KiB", 16 << 10, 8192, 32)];

/// Options of the subcommand.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// the binary to measure
    #[arg(long, default_value = "target/release/shosoin")]
    shosoin: PathBuf,
    /// where to put the site; the default is the directory for temporary files
    #[arg(long)]
    dir: Option<PathBuf>,
    /// one line of JSON for each figure
    #[arg(long)]
    json: bool,
}

/// What one direction of one workload took.
#[derive(Debug, Serialize)]
struct Figure {
    workload: &'static str,
    direction: &'static str,
    in_flight: usize,
    objects: u64,
    mb_per_s: f64,
    objects_per_s: f64,
    p50_ms: f64,
    p99_ms: f64,
    cpu_s_per_gb: f64,
}

/// Runs the series, a fresh site for each workload.
pub async fn run(options: Options) -> Result<(), Failure> {
    let source = Source::new();
    if !options.json {
        println!(
            "{:<8} {:<4} {:>9} {:>8} {:>9} {:>10} {:>9} {:>9} {:>10}",
            "object", "", "in flight", "objects", "MB/s", "objects/s", "p50 ms", "p99 ms", "cpu s/GB"
        );
    }
    for (workload, size, objects, in_flight) in SERIES {
        let dir = fresh_dir(options.dir.as_deref(), "s3")?;
        let site = Site::start(&options.shosoin, &dir).await?;
        let shape = Shape { workload, size, objects, in_flight };
        for direction in ["PUT", "GET"] {
            let figure = shape.measure(&site, &source, direction).await?;
            print_figure(&figure, options.json)?;
        }
        let peak = site.peak_memory_bytes()?;
        print_counters(workload, objects, peak, site.stop()?, options.json)?;
        std::fs::remove_dir_all(&dir)?;
    }
    Ok(())
}

struct Shape {
    workload: &'static str,
    size: usize,
    objects: u64,
    in_flight: usize,
}

impl Shape {
    async fn measure(&self, site: &Site, source: &Source, direction: &'static str) -> Result<Figure, Failure> {
        let (begin, cpu) = (Instant::now(), site.cpu_seconds()?);
        let requests = stream::iter(0..self.objects).map(|number| async move {
            let begin = Instant::now();
            match direction {
                "PUT" => put(site, source, number, self.size).await?,
                _ => get(site, number, self.size).await?,
            }
            Ok::<_, Failure>(begin.elapsed())
        });
        let mut latencies: Vec<Duration> = requests.buffer_unordered(self.in_flight).try_collect().await?;
        let (elapsed, cpu) = (begin.elapsed().as_secs_f64(), site.cpu_seconds()? - cpu);
        latencies.sort_unstable();
        let at = |share: usize| latencies[(latencies.len() - 1) * share / 100].as_secs_f64() * 1e3;
        let bytes = self.size as f64 * self.objects as f64;
        Ok(Figure {
            workload: self.workload,
            direction,
            in_flight: self.in_flight,
            objects: self.objects,
            mb_per_s: bytes / elapsed / 1e6,
            objects_per_s: self.objects as f64 / elapsed,
            p50_ms: at(50),
            p99_ms: at(99),
            cpu_s_per_gb: cpu / (bytes / 1e9),
        })
    }
}

fn name(number: u64) -> Name {
    Name::from(format!("{:02}/{number:08}", number % 100))
}

async fn put(site: &Site, source: &Source, number: u64, size: usize) -> Result<(), Failure> {
    site.s3.put(&name(number), source.object(number, size)).await?;
    Ok(())
}

async fn get(site: &Site, number: u64, size: usize) -> Result<(), Failure> {
    let mut body = site.s3.get(&name(number)).await?.into_stream();
    let mut received = 0;
    while let Some(piece) = body.try_next().await? {
        received += piece.len();
    }
    if received == size { Ok(()) } else { Err(format!("{received} bytes instead of {size}").into()) }
}

fn print_figure(figure: &Figure, json: bool) -> Result<(), Failure> {
    if json {
        println!("{}", serde_json::to_string(figure)?);
        return Ok(());
    }
    let Figure { workload, direction, in_flight, objects, .. } = figure;
    println!(
        "{workload:<8} {direction:<4} {in_flight:>9} {objects:>8} {:>9.1} {:>10.1} {:>9.2} {:>9.2} {:>10.2}",
        figure.mb_per_s, figure.objects_per_s, figure.p50_ms, figure.p99_ms, figure.cpu_s_per_gb
    );
    Ok(())
}

fn print_counters(workload: &str, objects: u64, peak: u64, counters: Counters, json: bool) -> Result<(), Failure> {
    let syncs_per_object = counters.syncs as f64 / objects as f64;
    if json {
        let Counters { groups, records, deposits, syncs } = counters;
        let line = serde_json::json!({"workload": workload, "groups": groups, "records": records, "deposits": deposits,
            "syncs": syncs, "syncs_per_object": syncs_per_object, "peak_memory_bytes": peak});
        println!("{line}");
    } else {
        println!(
            "{workload:<8} {} stripes for {} deposits, {:.2} syncs of a shard file per object, peak memory {} MiB",
            counters.groups,
            counters.deposits,
            syncs_per_object,
            peak >> 20
        );
    }
    Ok(())
}
