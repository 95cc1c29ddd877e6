//! Decades on media that lie, seed by seed: what went wrong, what was repaired, and what was lost.

use crate::Failure;
use clap::Args;
use shosoin_simulator::{Options as Run, Outcome, run};
use std::time::Instant;

#[derive(Args)]
pub struct Options {
    /// how many runs
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// seed of the first one; the others follow
    #[arg(long, default_value_t = 1)]
    first_seed: u64,
    /// simulated years of each run
    #[arg(long, default_value_t = 50)]
    years: u64,
    /// hot volumes in use at one time; archive volumes come on top
    #[arg(long, default_value_t = 40)]
    volumes: usize,
    /// tour no volume: losses are expected then
    #[arg(long)]
    no_scrub: bool,
    /// stop the machine every few days, and let one write in twenty go astray
    #[arg(long)]
    storm: bool,
    /// ruin more than the code survives: exactly the lost must be named then
    #[arg(long)]
    beyond: bool,
    /// print one line of JSON for each run, and one for all of them at the end
    #[arg(long)]
    json: bool,
}

pub fn run_all(options: &Options) -> Result<(), Failure> {
    let begun = Instant::now();
    let mut all = Outcome::default();
    let mut slowest = 0.0f64;
    for seed in options.first_seed..options.first_seed.saturating_add(options.seeds) {
        let started = Instant::now();
        let kind = if options.storm { Run::storm } else { Run::new };
        let outcome = run(&Run {
            scrub: !options.no_scrub,
            beyond: options.beyond,
            ..kind(seed, options.years, options.volumes)
        });
        let seconds = started.elapsed().as_secs_f64();
        slowest = slowest.max(seconds);
        report_one(options, seed, &outcome, seconds);
        all.merge(outcome);
    }
    let seconds = begun.elapsed().as_secs_f64();
    match options.json {
        true => println!("{}", json(options, &all, seconds, slowest)),
        false => print_all(options, &all, seconds, slowest),
    }
    match all.violations.len() {
        0 => Ok(()),
        broken => Err(format!("{broken} broken rules; run a seed again by its number and this commit").into()),
    }
}

/// A run that broke a rule is named at once, and each says what it gave, so that what is done is not lost with the rest.
fn report_one(options: &Options, seed: u64, outcome: &Outcome, seconds: f64) {
    for violation in outcome.violations.iter().take(10) {
        eprintln!("seed {seed}: {violation}");
    }
    if options.json && options.seeds > 1 {
        println!("{}", json(&Options { seeds: 1, first_seed: seed, ..*options }, outcome, seconds, seconds));
    }
}

fn json(options: &Options, outcome: &Outcome, seconds: f64, slowest: f64) -> serde_json::Value {
    let by_kind: serde_json::Map<String, serde_json::Value> =
        outcome.faults.iter().map(|(kind, count)| (kind.name().to_owned(), count.into())).collect();
    serde_json::json!({
        "faults": outcome.faults.total(),
        "repaired": outcome.repaired,
        "lost": outcome.lost,
        "wrong": outcome.wrong,
        "years": options.years * options.seeds,
        "seeds": options.seeds,
        "first_seed": options.first_seed,
        "volumes": options.volumes,
        "scrub": !options.no_scrub,
        "storm": options.storm,
        "beyond_budget": options.beyond,
        "faults_by_kind": by_kind,
        "reported": outcome.reported,
        "records": outcome.records,
        "bytes": outcome.bytes,
        "refused_deposits": outcome.refused,
        "reads": outcome.reads,
        "copied": outcome.copied,
        "compacted": outcome.compacted,
        "segments_removed": outcome.removed,
        "segments_archived": outcome.archived,
        "volumes_retired": outcome.retired,
        "starts": outcome.starts,
        "scrubbed_bytes": outcome.scrubbed_bytes,
        "scrub_age_days": outcome.scrub_age_days,
        "copy_forward_late_days": outcome.copy_forward_late_days,
        "broken_rules": outcome.violations.len(),
        "calls": outcome.calls,
        "trace": format!("{:016x}", outcome.trace),
        "seconds": seconds,
        "slowest_seconds": slowest,
    })
}

fn print_all(options: &Options, outcome: &Outcome, seconds: f64, slowest: f64) {
    println!("{} runs of {} years on {} volumes", options.seeds, options.years, options.volumes);
    println!("faults {}", outcome.faults.total());
    for (kind, count) in outcome.faults.iter() {
        println!("  {:22}{count}", kind.name());
    }
    println!("records {} ({} bytes), read {} times", outcome.records, outcome.bytes, outcome.reads);
    println!("deposits refused {}", outcome.refused);
    println!("shards repaired {}, moved on {}, volumes retired {}", outcome.repaired, outcome.copied, outcome.retired);
    println!(
        "records compacted {}, segments removed {}, segments archived {}",
        outcome.compacted, outcome.removed, outcome.archived
    );
    println!("findings reported {}, starts {}", outcome.reported, outcome.starts);
    println!("scrubbed {} bytes, oldest tour {} days", outcome.scrubbed_bytes, outcome.scrub_age_days);
    println!("copy-forward late by {} days at most", outcome.copy_forward_late_days);
    println!("lost {}, wrong {}, broken rules {}", outcome.lost, outcome.wrong, outcome.violations.len());
    println!("{seconds:.1} s, slowest run {slowest:.2} s, trace {:016x}", outcome.trace);
}
