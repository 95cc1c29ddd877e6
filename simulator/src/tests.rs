//! Whole runs.

use super::*;

fn seed_of_the_day(usual: u64) -> u64 {
    std::env::var("SHOSOIN_SEED").map_or(usual, |seed| seed.parse().unwrap())
}

#[test]
fn one_seed_is_one_run() {
    let options = Options::new(seed_of_the_day(7), 2, 12);
    let (first, second) = (run(&options), run(&options));
    assert_eq!(first, second);
    assert_ne!(first.trace, run(&Options::new(options.seed + 1, 2, 12)).trace);
}

#[test]
#[ignore = "a look at one seed"]
fn look() {
    let env = |name: &str, usual: u64| std::env::var(name).map_or(usual, |text| text.parse().unwrap());
    let first = seed_of_the_day(1);
    let mut all = Outcome::default();
    for seed in first..first + env("SEEDS", 1) {
        let begun = std::time::Instant::now();
        let options = Options {
            scrub: env("NO_SCRUB", 0) == 0,
            beyond: env("BEYOND", 0) == 1,
            ..Options::new(seed, env("YEARS", 2), usize::try_from(env("VOLUMES", 12)).unwrap())
        };
        let outcome = run(&options);
        if !outcome.violations.is_empty() || env("SEEDS", 1) == 1 {
            println!("seed {seed}: {:?}", begun.elapsed());
            outcome.violations.iter().take(5).for_each(|violation| println!("  {violation}"));
        }
        all.merge(outcome);
    }
    all.faults.iter().for_each(|(kind, count)| println!("{:20} {count}", kind.name()));
    println!("{} faults, {} violations", all.faults.total(), all.violations.len());
    all.violations.clear();
    println!("{all:?}");
}
