//! `shosoin-bench yield`: what a scrub at full speed costs clients. Small PUTs and GETs through `shosoin up`, with and
//! without a scrub beside them, in turns, so that a noisy neighbour meets both.

use crate::Failure;
use crate::site::{Site, Source, fresh_dir};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use object_store::ObjectStoreExt as _;
use object_store::path::Path as Name;
use serde::Serialize;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Bytes of the objects that the scrub reads.
const BULK_BYTES: usize = 64 << 20;
/// Bytes of the objects of clients.
const SMALL_BYTES: usize = 16 << 10;
/// Small objects that are there before anything is measured.
const SMALL_FIRST: u64 = 512;
/// Numbers of small objects begin here.
const SMALL_FROM: u64 = 1_000_000;

/// Options of the subcommand.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// the binary to measure
    #[arg(long, default_value = "target/release/shosoin")]
    shosoin: PathBuf,
    /// where to put the site; the default is the directory for temporary files
    #[arg(long)]
    dir: Option<PathBuf>,
    /// objects of 64 MiB that are there to be scrubbed
    #[arg(long, default_value_t = 16)]
    bulk: u64,
    /// seconds of each turn
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    /// turns without a scrub, and as many with one
    #[arg(long, default_value_t = 4)]
    turns: u32,
    /// requests in flight
    #[arg(long, default_value_t = 8)]
    in_flight: usize,
    /// one line of JSON
    #[arg(long)]
    json: bool,
}

/// Latencies of one kind of turn.
#[derive(Debug, Default)]
struct Latencies {
    puts: Vec<Duration>,
    gets: Vec<Duration>,
}

/// Percentiles of one direction, and what the scrub made of them.
#[derive(Debug, Serialize)]
struct Figure {
    requests: usize,
    p50_ms: f64,
    p99_ms: f64,
    p50_scrub_ms: f64,
    p99_scrub_ms: f64,
    p50_ratio: f64,
    p99_ratio: f64,
}

#[derive(Debug, Serialize)]
struct Answer {
    in_flight: usize,
    put: Figure,
    get: Figure,
    scrub_mb_per_s: f64,
    scrub_alone_mb_per_s: f64,
}

/// Measures, and prints one answer.
pub async fn run(options: Options) -> Result<(), Failure> {
    let dir = fresh_dir(options.dir.as_deref(), "yield")?;
    let source = Source::new();
    let site = Site::start(&options.shosoin, &dir).await?;
    for number in 0..options.bulk {
        site.s3.put(&name(number), source.object(number, BULK_BYTES)).await?;
    }
    site.stop()?; // closes the segments
    let site = Site::start(&options.shosoin, &dir).await?;
    let next = AtomicU64::new(SMALL_FROM);
    for _ in 0..SMALL_FIRST {
        put(&site, &source, &next).await?;
    }
    let (begin, alone) = (Instant::now(), scrub(&options.shosoin, &dir).await?);
    let scrub_alone_mb_per_s = alone as f64 / begin.elapsed().as_secs_f64() / 1e6;
    let (mut quiet, mut busy, mut scrubbed) = (Latencies::default(), Latencies::default(), 0);
    for _ in 0..options.turns {
        turn(&options, &site, &source, &next, &mut quiet).await?;
        let until = Instant::now() + Duration::from_secs(options.seconds);
        let (turned, read) =
            tokio::join!(turn(&options, &site, &source, &next, &mut busy), scrub_until(&options.shosoin, &dir, until));
        turned?;
        scrubbed += read?;
    }
    site.stop()?;
    std::fs::remove_dir_all(&dir)?;
    let seconds = options.seconds as f64 * f64::from(options.turns);
    let answer = Answer {
        in_flight: options.in_flight,
        put: Figure::of(quiet.puts, busy.puts),
        get: Figure::of(quiet.gets, busy.gets),
        scrub_mb_per_s: scrubbed as f64 / seconds / 1e6,
        scrub_alone_mb_per_s,
    };
    print(&answer, options.json)
}

fn name(number: u64) -> Name {
    Name::from(format!("{:02}/{number:08}", number % 100))
}

async fn put(site: &Site, source: &Source, next: &AtomicU64) -> Result<Duration, Failure> {
    let number = next.fetch_add(1, Ordering::Relaxed);
    let begin = Instant::now();
    site.s3.put(&name(number), source.object(number, SMALL_BYTES)).await?;
    Ok(begin.elapsed())
}

async fn get(site: &Site, number: u64) -> Result<Duration, Failure> {
    let begin = Instant::now();
    let bytes = site.s3.get(&name(number)).await?.bytes().await?;
    match bytes.len() {
        SMALL_BYTES => Ok(begin.elapsed()),
        other => Err(format!("{other} bytes instead of {SMALL_BYTES}").into()),
    }
}

/// Clients for one turn: each request a PUT or a GET, half of each.
async fn turn(
    options: &Options,
    site: &Site,
    source: &Source,
    next: &AtomicU64,
    into: &mut Latencies,
) -> Result<(), Failure> {
    let until = Instant::now() + Duration::from_secs(options.seconds);
    let requests = stream::iter(0u64..).take_while(|_| futures::future::ready(Instant::now() < until));
    let requests = requests.map(|number| async move {
        match number % 2 {
            0 => Ok::<_, Failure>((true, put(site, source, next).await?)),
            _ => Ok((false, get(site, SMALL_FROM + number % SMALL_FIRST).await?)),
        }
    });
    let done: Vec<(bool, Duration)> = requests.buffer_unordered(options.in_flight).try_collect().await?;
    for (was_put, took) in done {
        if was_put { into.puts.push(took) } else { into.gets.push(took) }
    }
    Ok(())
}

/// One scrub of everything; gives the bytes it read.
async fn scrub(shosoin: &Path, dir: &Path) -> Result<u64, Failure> {
    run_scrub(shosoin, dir, None).await
}

/// Scrubs again and again until the time is over; gives the bytes read.
async fn scrub_until(shosoin: &Path, dir: &Path, until: Instant) -> Result<u64, Failure> {
    let mut read = 0;
    while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        read += run_scrub(shosoin, dir, Some(left)).await?;
    }
    Ok(read)
}

async fn run_scrub(shosoin: &Path, dir: &Path, time: Option<Duration>) -> Result<u64, Failure> {
    let mut command = Command::new(shosoin);
    command.arg("scrub").arg("--dir").arg(dir).arg("--json");
    if let Some(time) = time {
        command.arg("--max-duration").arg(format!("{}ms", time.as_millis()));
    }
    command.stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let report: Value = serde_json::from_slice(&output.stdout)?;
    match report["findings"].as_u64() {
        Some(0) => Ok(report["read_bytes"].as_u64().unwrap_or(0)),
        _ => Err(format!("the scrub found damage: {report}").into()),
    }
}

impl Figure {
    fn of(quiet: Vec<Duration>, busy: Vec<Duration>) -> Figure {
        let requests = quiet.len() + busy.len();
        let (quiet, busy) = (sorted(quiet), sorted(busy));
        let at = |sorted: &[f64], share: usize| sorted.get((sorted.len().saturating_sub(1)) * share / 100).copied();
        let pick = |share| (at(&quiet, share).unwrap_or(0.0), at(&busy, share).unwrap_or(0.0));
        let ((p50_ms, p50_scrub_ms), (p99_ms, p99_scrub_ms)) = (pick(50), pick(99));
        let (p50_ratio, p99_ratio) = (p50_scrub_ms / p50_ms, p99_scrub_ms / p99_ms);
        Figure { requests, p50_ms, p99_ms, p50_scrub_ms, p99_scrub_ms, p50_ratio, p99_ratio }
    }
}

fn sorted(mut took: Vec<Duration>) -> Vec<f64> {
    took.sort_unstable();
    took.into_iter().map(|took| took.as_secs_f64() * 1e3).collect()
}

fn print(answer: &Answer, json: bool) -> Result<(), Failure> {
    if json {
        println!("{}", serde_json::to_string(answer)?);
        return Ok(());
    }
    println!(
        "{:<4} {:>9} {:>18} {:>18} {:>12}",
        "", "requests", "p50 quiet, scrub", "p99 quiet, scrub", "p99 grows to"
    );
    for (name, figure) in [("PUT", &answer.put), ("GET", &answer.get)] {
        let Figure { requests, p50_ms, p99_ms, p50_scrub_ms, p99_scrub_ms, p99_ratio, .. } = figure;
        println!(
            "{name:<4} {requests:>9} {p50_ms:>8.2} {p50_scrub_ms:>6.2} ms {p99_ms:>8.2} {p99_scrub_ms:>6.2} ms {p99_ratio:>11.2}x"
        );
    }
    println!(
        "scrub {:.0} MB/s beside {} requests in flight, {:.0} MB/s alone",
        answer.scrub_mb_per_s, answer.in_flight, answer.scrub_alone_mb_per_s
    );
    Ok(())
}
