//! `shosoin-bench index`: the databases that can hold the vault's index, at millions of rows of the size it writes.
//!
//! Each backend is filled, read, closed, opened again and killed in processes of its own, so that memory is its own and
//! a kill is a kill. Rows are as the vault writes them for a record: a key of 49 bytes, a value of 37.

use crate::Failure;
use crate::measure::disk_bytes_below;
use crate::site::fresh_dir;
use serde::{Deserialize, Serialize};
use shosoin_store::IndexKind;
use shosoin_store::index::{self, Batch, Index};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Rows looked up, there and not there.
const GETS: u64 = 200_000;
/// Batches between two that the killed process reports as written.
const REPORT_BATCHES: u64 = 10;

/// Options of the subcommand.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// backends to measure
    #[arg(long, value_delimiter = ',', default_value = "fjall,sled")]
    backend: Vec<String>,
    /// rows to insert
    #[arg(long, default_value_t = 5_000_000)]
    keys: u64,
    /// rows of one batch
    #[arg(long, default_value_t = 100)]
    batch: u64,
    /// times a process is killed while it writes
    #[arg(long, default_value_t = 5)]
    kills: u64,
    /// where the databases go; the default is the directory for temporary files
    #[arg(long)]
    dir: Option<PathBuf>,
    /// what a child process does
    #[arg(long, hide = true)]
    phase: Option<Phase>,
}

/// What one process does with one database in `dir`.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Phase {
    Fill,
    Reopen,
    WriteUntilKilled,
    CountBatches,
}

impl Phase {
    fn name(self) -> &'static str {
        match self {
            Phase::Fill => "fill",
            Phase::Reopen => "reopen",
            Phase::WriteUntilKilled => "write-until-killed",
            Phase::CountBatches => "count-batches",
        }
    }
}

/// What filling and reading gave.
#[derive(Debug, Serialize, Deserialize)]
struct Filled {
    inserts_per_s: f64,
    batch_ms_p50: f64,
    batch_ms_p99: f64,
    batch_ms_max: f64,
    gets_per_s: f64,
    get_us_p50: f64,
    get_us_p99: f64,
    absent_us_p50: f64,
    absent_us_p99: f64,
    peak_resident_mib: u64,
}

/// What opening again gave.
#[derive(Debug, Serialize, Deserialize)]
struct Reopened {
    open_ms: f64,
    missing: u64,
    peak_resident_mib: u64,
}

/// Everything about one backend.
#[derive(Debug, Serialize)]
struct Report {
    backend: String,
    keys: u64,
    #[serde(flatten)]
    filled: Filled,
    disk_mib: u64,
    reopen_ms: f64,
    reopen_missing: u64,
    reopen_resident_mib: u64,
    kills: u64,
    batches_reported: u64,
    batches_lost: u64,
    batches_torn: u64,
}

/// Measures every backend; a line of JSON for each.
pub fn run(options: &Options) -> Result<(), Failure> {
    if let Some(phase) = options.phase {
        return child(options, phase);
    }
    for backend in &options.backend {
        let dir = fresh_dir(options.dir.as_deref(), &format!("index-{backend}"))?;
        println!("{}", serde_json::to_string(&measure(options, backend, &dir)?)?);
        std::fs::remove_dir_all(&dir)?;
    }
    Ok(())
}

fn measure(options: &Options, backend: &str, dir: &Path) -> Result<Report, Failure> {
    let rows = dir.join("rows");
    let filled: Filled = answer(options, backend, &rows, Phase::Fill)?;
    let disk_mib = disk_bytes_below(&rows)? >> 20;
    let reopened: Reopened = answer(options, backend, &rows, Phase::Reopen)?;
    let (mut batches_reported, mut batches_lost, mut batches_torn) = (0, 0, 0);
    for kill in 0..options.kills {
        let dir = dir.join(format!("killed-{kill}"));
        let reported = kill_while_writing(options, backend, &dir, Duration::from_millis(1000 + 300 * kill))?;
        let (whole, torn): (u64, u64) = answer(options, backend, &dir, Phase::CountBatches)?;
        batches_reported += reported;
        batches_lost += reported.saturating_sub(whole);
        batches_torn += torn;
    }
    Ok(Report {
        backend: backend.to_owned(),
        keys: options.keys,
        filled,
        disk_mib,
        reopen_ms: reopened.open_ms,
        reopen_missing: reopened.missing,
        reopen_resident_mib: reopened.peak_resident_mib,
        kills: options.kills,
        batches_reported,
        batches_lost,
        batches_torn,
    })
}

/// This program again, as a child that runs one phase.
fn command(options: &Options, backend: &str, dir: &Path, phase: Phase) -> Result<Command, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["index", "--phase", phase.name(), "--backend", backend]).arg("--dir").arg(dir);
    command.args(["--keys", &options.keys.to_string(), "--batch", &options.batch.to_string()]);
    command.stdout(Stdio::piped());
    Ok(command)
}

/// Runs a phase to its end and reads the one line it answers with.
fn answer<T: for<'a> Deserialize<'a>>(
    options: &Options,
    backend: &str,
    dir: &Path,
    phase: Phase,
) -> Result<T, Failure> {
    let output = command(options, backend, dir, phase)?.spawn()?.wait_with_output()?;
    if !output.status.success() {
        return Err(format!("{backend}: {} ended with {}", phase.name(), output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Kills a writing process with SIGKILL after `after`; gives the batches it had reported as written.
fn kill_while_writing(options: &Options, backend: &str, dir: &Path, after: Duration) -> Result<u64, Failure> {
    let mut child = command(options, backend, dir, Phase::WriteUntilKilled)?.spawn()?;
    let stdout = child.stdout.take().ok_or("the child has no stdout")?;
    let begin = Instant::now();
    let mut reported = 0;
    for line in BufReader::new(stdout).lines() {
        // what was sent before the kill still counts after it
        reported = line?.parse()?;
        if begin.elapsed() > after {
            child.kill()?;
        }
    }
    child.wait()?;
    Ok(reported)
}

fn child(options: &Options, phase: Phase) -> Result<(), Failure> {
    let kind: IndexKind = serde_json::from_value(options.backend.concat().into())?;
    let dir = options.dir.as_deref().ok_or("a phase needs --dir")?;
    std::fs::create_dir_all(dir)?;
    let begin = Instant::now();
    let index = index::open(kind, dir)?;
    let open_ms = begin.elapsed().as_secs_f64() * 1e3;
    match phase {
        Phase::Fill => println!("{}", serde_json::to_string(&fill(options, &*index)?)?),
        Phase::Reopen => {
            let missing = missing(options, &*index)?;
            let reopened = Reopened { open_ms, missing, peak_resident_mib: peak_resident_mib()? };
            println!("{}", serde_json::to_string(&reopened)?);
        }
        Phase::WriteUntilKilled => write_until_killed(options, &*index)?,
        Phase::CountBatches => println!("{}", serde_json::to_string(&count_batches(options, &*index)?)?),
    }
    Ok(())
}

fn fill(options: &Options, index: &dyn Index) -> Result<Filled, Failure> {
    let begin = Instant::now();
    let batches = options.keys.div_ceil(options.batch);
    let batch_ms = Times::of(batches, 1e3, |no| Ok(index.write(batch(options, no))?))?;
    let inserts_per_s = (batches * options.batch) as f64 / begin.elapsed().as_secs_f64();
    let begin = Instant::now();
    let there = Times::of(GETS, 1e6, |no| match index.get(&key(scattered(no, options.keys)))? {
        Some(_) => Ok(()),
        None => Err("a row is missing".into()),
    })?;
    let gets_per_s = GETS as f64 / begin.elapsed().as_secs_f64();
    let absent = Times::of(GETS, 1e6, |no| Ok(index.get(&key(u64::MAX - no)).map(drop)?))?;
    Ok(Filled {
        inserts_per_s,
        batch_ms_p50: batch_ms.at(500),
        batch_ms_p99: batch_ms.at(990),
        batch_ms_max: batch_ms.at(1000),
        gets_per_s,
        get_us_p50: there.at(500),
        get_us_p99: there.at(990),
        absent_us_p50: absent.at(500),
        absent_us_p99: absent.at(990),
        peak_resident_mib: peak_resident_mib()?,
    })
}

/// How many of the rows looked up are gone.
fn missing(options: &Options, index: &dyn Index) -> Result<u64, Failure> {
    let mut missing = 0;
    for no in 0..GETS {
        missing += u64::from(index.get(&key(scattered(no, options.keys)))?.is_none());
    }
    Ok(missing)
}

fn write_until_killed(options: &Options, index: &dyn Index) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    for no in 0.. {
        index.write(batch(options, no))?;
        if (no + 1) % REPORT_BATCHES == 0 {
            writeln!(stdout, "{}", no + 1)?;
            stdout.flush()?;
        }
    }
    Ok(())
}

/// Batches that are there whole, counted from the first, and batches that are there in part.
fn count_batches(options: &Options, index: &dyn Index) -> Result<(u64, u64), Failure> {
    let (mut whole, mut torn) = (0, 0);
    for no in 0.. {
        let mut rows = 0;
        for row in no * options.batch..(no + 1) * options.batch {
            rows += u64::from(index.get(&key(row))?.is_some());
        }
        match rows {
            0 => break,
            _ if rows == options.batch => whole += 1,
            _ => torn += 1,
        }
    }
    Ok((whole, torn))
}

/// Batch number `no`.
fn batch(options: &Options, no: u64) -> Batch {
    let mut batch = Batch::default();
    for row in no * options.batch..(no + 1) * options.batch {
        batch.put(key(row), blake3::hash(&row.to_le_bytes()).as_bytes().repeat(2)[..37].to_vec());
    }
    batch
}

/// The key of a row: table, hospital, an address that is as random as addresses are.
fn key(row: u64) -> Vec<u8> {
    [&[1; 17][..], blake3::hash(&row.to_be_bytes()).as_bytes()].concat()
}

/// Row numbers all over the range, the same ones every time.
fn scattered(no: u64, keys: u64) -> u64 {
    no.wrapping_mul(0x9e37_79b9_7f4a_7c15) % keys
}

/// How long each of many calls took, ascending.
struct Times(Vec<f64>);

impl Times {
    /// Calls `work` with 0 to `count` - 1; times are in seconds times `unit`.
    fn of(count: u64, unit: f64, mut work: impl FnMut(u64) -> Result<(), Failure>) -> Result<Self, Failure> {
        let mut times = Vec::new();
        for no in 0..count {
            let begin = Instant::now();
            work(no)?;
            times.push(begin.elapsed().as_secs_f64() * unit);
        }
        times.sort_by(f64::total_cmp);
        Ok(Times(times))
    }

    /// The time that this many of a thousand calls stay below.
    fn at(&self, permille: usize) -> f64 {
        let index = self.0.len().saturating_sub(1) * permille / 1000;
        self.0.get(index).copied().unwrap_or_default()
    }
}

/// Most memory this process ever held, from `/proc/self/status`.
fn peak_resident_mib() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.split_whitespace().next().ok_or("an empty VmHWM")?.parse::<u64>()? >> 10)
}
