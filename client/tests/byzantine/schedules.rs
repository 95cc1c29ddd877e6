//! Attacks at random among honest traffic. A schedule is a seed; `SHOSOIN_SCHEDULES` says how many, `SHOSOIN_SEED` from which.

use crate::attack::{ALL, Op};
use crate::scene::{EVERY_OP, Scene};
use shosoin_protocol::Suite;

/// Numbers from a seed (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap()
    }
}

fn from_env(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// What came of all schedules.
#[derive(Default)]
struct Tally {
    attacks: u64,
    honest: u64,
}

/// One schedule: honest work, then one to three attacks, each while the hospital does what meets it, or anything else.
async fn run(seed: u64, scene: &mut Scene, tally: &mut Tally) {
    let mut dice = Dice(seed);
    for _ in 0..dice.below(2) {
        let op = EVERY_OP[dice.below(4)];
        let outcome = scene.perform(op).await;
        assert!(!outcome.noticed() && !outcome.wrong_bytes, "seed {seed}: honest {op:?}: {outcome:?}");
        tally.honest += 1;
    }
    for _ in 0..=dice.below(3) {
        let (attack, name, op, ..) = ALL[dice.below(ALL.len())];
        let op = if dice.below(4) == 0 { EVERY_OP[dice.below(EVERY_OP.len())] } else { op };
        scene.grow().await;
        scene.byzantine.attack(Some(attack)).await;
        let outcome = scene.perform(op).await;
        let struck = scene.byzantine.struck();
        scene.byzantine.attack(None).await;
        let later = if op == Op::PutThenAudit { op } else { Op::Refresh };
        let outcome = scene.aftermath(later, outcome).await;
        assert!(!outcome.wrong_bytes, "seed {seed}: {name} during {op:?}: wrong bytes");
        tally.attacks += u64::from(struck > 0);
        if !outcome.noticed() && struck > 0 {
            scene.must_be_harmless(seed, name, op).await;
        }
        scene.new_evidence();
        scene.recover().await;
    }
}

/// Half of the schedules under each suite.
async fn run_all(suite: Suite) {
    let (schedules, first) = (from_env("SHOSOIN_SCHEDULES", 100) / 2, from_env("SHOSOIN_SEED", 1));
    let mut tally = Tally::default();
    let mut scene = Scene::new(suite).await;
    for seed in first..first + schedules {
        if (seed - first) % 50 == 49 {
            scene = Scene::new(suite).await; // histories stay short, so that many fit
        }
        run(seed * 2 + u64::from(suite.code()), &mut scene, &mut tally).await;
    }
    let Tally { attacks, honest } = tally;
    println!(
        "{schedules} schedules under {suite:?} from seed {first}: {attacks} attacks struck, {honest} honest operations"
    );
    assert!(attacks > schedules / 2, "most schedules did attack");
}

#[tokio::test(flavor = "multi_thread")]
async fn random_schedules_of_attacks_are_all_detected_under_suite_1() {
    run_all(Suite::Default).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn random_schedules_of_attacks_are_all_detected_under_suite_2() {
    run_all(Suite::Cryptrec).await;
}
