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
use bytes::Bytes;
use scene::Scene;
use shosoin_client::{Client, ClientOptions};
use shosoin_keyring::keyfile;
use shosoin_protocol::Suite;
use shosoin_protocol::act::SuitePolicy;
use shosoin_protocol::entry::{Body, Entry};
use shosoin_protocol::evidence::{Against, Class, Evidence, Keys};
use shosoin_protocol::manifest::Versioning;
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

/// A hospital that has moved on to the stronger suite has said so, signed. A stolen machine of the weaker suite and a vault that
/// helps it cannot add a deposit below that, which both of them sign.
#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_of_a_stolen_machine_below_the_signed_policy_is_refused_and_proved() {
    let (site, wire, client) = common::ward(Suite::Default, Versioning::Enabled).await;
    let machine = scene::stolen_machine(&site, &wire, &client).await;
    let byzantine = vault::Byzantine::new(wire, &site.dir.path().join("vault"), Suite::Default, machine);
    let keyring = keyfile::open(&site.further_machine(), b"test").unwrap();
    let options = ClientOptions::new(site.dir.path().join("other"));
    let other = Client::open(options, keyring, byzantine.clone()).await.unwrap();
    let policy = SuitePolicy { minimum: Suite::Cryptrec, successor: None };
    client.require_suite(policy).await.unwrap();
    let mut items = byzantine.entries().await;
    let last = byzantine.of_machine(&items).pop().unwrap().placed;
    let mut statement = last.entry.statement().clone();
    (statement.device_seq, statement.prev) = (statement.device_seq + 1, last.entry.leaf_hash());
    let Body::Deposit(deposit) = &mut statement.body else { panic!("its last entry is a deposit") };
    deposit.version.0[15] ^= 1;
    let signed = Entry::sign(statement, byzantine.machine().device_key());
    items.push(vault::item(signed, last.accepted_ms, Bytes::new()));
    let head = byzantine.head().await;
    byzantine.show(vault::Forged::new(&byzantine, items, (head.time_ms + 1, head.term)));
    let refused = other.refresh().await.unwrap_err();
    assert!(refused.to_string().contains("suite") || format!("{refused:?}").contains("Suite"), "{refused:?}");
    let kept: Vec<_> = std::fs::read_dir(site.dir.path().join("other/evidence")).unwrap().collect();
    let text = std::fs::read_to_string(kept[0].as_ref().unwrap().path()).unwrap();
    let hospital_key = Some(site.keyring().hospital_key().public());
    let keys =
        |least_suite| Keys { vault_key: byzantine.key().public(), hospital_key: hospital_key.clone(), least_suite };
    let judge = |least_suite| Evidence::parse(&text).unwrap().judge(&keys(least_suite));
    let verdict = judge(Some(Suite::Cryptrec)).unwrap();
    assert_eq!((kept.len(), verdict.class, verdict.against), (1, Class::Downgrade, Against::Vault), "{verdict:?}");
}
