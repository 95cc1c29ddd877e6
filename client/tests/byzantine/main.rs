//! A vault that lies in every way we could think of, in front of a real one. Each attack is met by a named check; no wrong
//! byte is ever accepted; what the vault signed against itself is kept, and honest vaults are never accused.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod attack;
#[path = "../common/mod.rs"]
mod common;
mod scene;
mod schedules;
mod vault;

use attack::{ALL, DEFEATED, Op, WANT_STANDING_STILL};
use scene::Scene;
use shosoin_protocol::Suite;
use shosoin_protocol::evidence::Against;
use std::collections::BTreeSet;

#[tokio::test(flavor = "multi_thread")]
async fn every_attack_is_caught_and_what_the_vault_signed_proves_it() {
    for suite in Suite::ALL {
        let mut scene = Scene::new(suite).await;
        let mut wrong = Vec::new();
        for (attack, name, op, caught, evidence) in ALL {
            match WANT_STANDING_STILL.contains(attack) {
                true => assert!(!scene.perform(Op::Refresh).await.noticed()),
                false => scene.grow().await,
            }
            scene.byzantine.attack(Some(*attack)).await;
            let outcome = scene.perform(*op).await;
            let struck = scene.byzantine.struck();
            scene.byzantine.attack(None).await;
            let outcome = scene.aftermath(*op, outcome).await;
            let kept = scene.new_evidence();
            let mut wrong = |why: String| wrong.push(format!("{suite:?} {name}: {why}; {outcome:?}"));
            match (struck > 0, outcome.noticed()) {
                (false, _) => wrong("the attack did not take place".into()),
                (true, false) if DEFEATED.contains(attack) => scene.must_be_harmless(0, name, *op).await,
                (true, false) => wrong(format!("nothing noticed it; {caught} should have")),
                (true, true) => {}
            }
            if outcome.wrong_bytes {
                wrong("wrong bytes were given out".into());
            }
            let of_class = |class| kept.iter().filter(move |verdict| verdict.class == class);
            match evidence {
                None if kept.is_empty() => {}
                Some((class, conclusive))
                    if of_class(*class).count() > 0
                        && of_class(*class).any(|verdict| verdict.against == Against::Vault) == *conclusive => {}
                expected => wrong(format!("expected {expected:?}, kept {kept:?}")),
            }
            scene.recover().await;
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

#[test]
fn at_least_25_attacks_are_named_and_the_page_names_the_same() {
    let named: BTreeSet<&str> = ALL.iter().map(|(_, name, ..)| *name).collect();
    assert_eq!(named.len(), ALL.len(), "each once");
    assert!(named.len() >= 25);
    let page = include_str!("../../../docs/threat-model.md");
    let section = page.split("## Attacks that are tried").nth(1).expect("the section is there");
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let on_page: BTreeSet<&str> = rows.collect();
    assert_eq!(on_page, named);
}

/// Everything that an honest vault and its hospital do, twice over with the client opened anew in between: no evidence.
#[tokio::test(flavor = "multi_thread")]
async fn an_honest_vault_is_never_accused() {
    for suite in Suite::ALL {
        let mut scene = Scene::new(suite).await;
        for _ in 0..3 {
            for op in scene::EVERY_OP {
                scene.grow().await;
                let outcome = scene.perform(op).await;
                let outcome = scene.aftermath(op, outcome).await;
                assert!(!outcome.noticed() && !outcome.wrong_bytes, "{op:?}: {outcome:?}");
            }
        }
        assert!(scene.new_evidence().is_empty());
        assert_eq!(scene.byzantine.struck(), 0);
    }
}
