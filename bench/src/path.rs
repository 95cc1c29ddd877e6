//! `shosoin-bench path`: how much of what one core can do the straight path uses.
//!
//! First the parts alone, at the best speed this machine has for them; then the whole path in one process, with the
//! code that a hospital and its vault run: seal, open again and compare, address, verify at intake, gather, encode,
//! digest every unit, append to k + m files and sync. One thread does one thing at a time, so the ceiling is the
//! harmonic sum of the parts: what would be left if nothing cost anything but them.
//!
//! | part | bytes it touches for each byte of plain text |
//! |---|---|
//! | prf | 1: dedup secret of the class over the payload; not in class 0 |
//! | seal | 1 |
//! | address | 1, over the sealed bytes |
//! | open | 1 |
//! | compare | 1, what was opened with what was sealed |
//! | verify | 1: the vault computes the address again |
//! | gather | 1: the one copy, from the record to where it is written from |
//! | encode | 1 of data read, m / k of parity written; counted by data |
//! | digest | (k + m) / k: every unit, parity too |
//! | write | (k + m) / k: k + m files, direct, each synced, from a thread each |

mod ceilings;
mod straight;

use crate::Failure;
use crate::measure::pin_to;
use crate::site::fresh_dir;
use serde::Serialize;
use shosoin_protocol::Suite;
use shosoin_tiers::Code;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Plain bytes of one chunk.
const CHUNK_BYTES: usize = shosoin_protocol::limits::CHUNK_PLAIN_BYTES_DEFAULT as usize;

/// Options of the subcommand.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// end with one line of JSON
    #[arg(long)]
    json: bool,
    /// MiB of plain text in each round
    #[arg(long, default_value_t = 512)]
    mib: usize,
    /// where the six files go; the default is the directory for temporary files
    #[arg(long)]
    dir: Option<PathBuf>,
    /// core to stay on
    #[arg(long, default_value_t = 0)]
    core: usize,
    /// rounds; the best one counts, for each part and for the path
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// 1 or 2
    #[arg(long, default_value_t = 1)]
    suite: u8,
    /// dedup class; 0 turns dedup off
    #[arg(long, default_value_t = 1)]
    class: u8,
    /// k+m
    #[arg(long, default_value = "4+2")]
    code: Code,
    /// chunks that wait together and share a stripe
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=7))]
    group: u8,
}

/// What is measured, the same for parts and path.
#[derive(Debug, Clone, Copy)]
struct Shape {
    suite: Suite,
    class: u8,
    code: Code,
    group: usize,
}

/// One part at its best.
#[derive(Debug, Clone, Copy, Serialize)]
struct Part {
    /// bytes it touches for each byte of plain text
    touches: f64,
    /// GB of those bytes in a second
    gbps: f64,
}

impl Part {
    fn ns_per_plain_byte(self) -> f64 {
        self.touches / self.gbps
    }
}

/// The parts by name, best of all rounds so far.
#[derive(Debug, Default)]
struct Parts(BTreeMap<&'static str, Part>);

impl Parts {
    fn keep_best(&mut self, name: &'static str, touches: f64, gbps: f64) {
        let best = self.0.get(name).map_or(gbps, |part| part.gbps.max(gbps));
        self.0.insert(name, Part { touches, gbps: best });
    }

    /// GB of plain text in a second if nothing cost anything but the parts.
    fn ceiling_gbps(&self) -> f64 {
        1.0 / self.0.values().map(|part| part.ns_per_plain_byte()).sum::<f64>()
    }
}

#[derive(Debug, Serialize)]
struct Report {
    ceiling_gbps: f64,
    path_gbps: f64,
    ratio: f64,
    parts: BTreeMap<&'static str, Part>,
}

/// Measures parts and path in turns.
pub fn run(options: &Options) -> Result<(), Failure> {
    pin_to(options.core)?;
    let suite = Suite::try_from(options.suite)?;
    let shape = Shape { suite, class: options.class, code: options.code, group: options.group.into() };
    let dir = fresh_dir(options.dir.as_deref(), "path")?;
    let mut parts = Parts::default();
    let mut path_gbps: f64 = 0.0;
    let mut straight = straight::Straight::new(&dir, shape)?;
    let mut ceilings = ceilings::Ceilings::new(&dir, shape)?;
    for round in 0..options.rounds {
        ceilings.measure(&mut parts)?;
        let gbps = straight.run(options.mib << 20)?;
        path_gbps = path_gbps.max(gbps);
        eprintln!("round {round}: path {gbps:.3} GB/s, ceiling so far {:.3} GB/s", parts.ceiling_gbps());
    }
    straight.read_back()?;
    std::fs::remove_dir_all(&dir)?;
    let ceiling_gbps = parts.ceiling_gbps();
    report(options, &Report { ceiling_gbps, path_gbps, ratio: path_gbps / ceiling_gbps, parts: parts.0 })
}

fn report(options: &Options, report: &Report) -> Result<(), Failure> {
    for (name, part) in &report.parts {
        let ns = part.ns_per_plain_byte();
        println!("{name:<8} {:>7.2} GB/s x {:.2} bytes touched = {ns:.3} ns per plain byte", part.gbps, part.touches);
    }
    let Report { ceiling_gbps, path_gbps, ratio, .. } = report;
    println!("ceiling  {ceiling_gbps:>7.3} GB/s = {:.3} ns per plain byte", 1.0 / ceiling_gbps);
    println!("path     {path_gbps:>7.3} GB/s = {:.3} ns per plain byte, {:.1} %", 1.0 / path_gbps, ratio * 100.0);
    if options.json {
        println!("{}", serde_json::to_string(report)?);
    }
    Ok(())
}
