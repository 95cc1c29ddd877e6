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
    let mut broken: std::collections::BTreeMap<Rule, Vec<String>> = std::collections::BTreeMap::new();
    let begun = std::time::Instant::now();
    for seed in first..first + env("SEEDS", 1) {
        let options = Options {
            scrub: env("NO_SCRUB", 0) == 0,
            beyond: env("BEYOND", 0) == 1,
            ..Options::new(seed, env("YEARS", 2), usize::try_from(env("VOLUMES", 12)).unwrap())
        };
        let outcome = run(&options);
        for violation in &outcome.violations {
            broken.entry(violation.rule).or_default().push(format!("seed {seed} {violation}"));
        }
        all.merge(outcome);
    }
    println!("{:?}", begun.elapsed());
    for (rule, cases) in broken {
        let seeds: std::collections::BTreeSet<&str> = cases.iter().filter_map(|case| case.split(' ').nth(1)).collect();
        println!("{} x {} in {} seeds", rule.name(), cases.len(), seeds.len());
        cases.iter().take(usize::try_from(env("SHOW", 3)).unwrap()).for_each(|case| println!("    {case}"));
    }
    let counts: Vec<String> = all.faults.iter().map(|(kind, count)| format!("{} {count}", kind.name())).collect();
    println!("{} faults: {}", all.faults.total(), counts.join(", "));
    all.violations.clear();
    println!("{all:?}");
}
