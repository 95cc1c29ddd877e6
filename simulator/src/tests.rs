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
