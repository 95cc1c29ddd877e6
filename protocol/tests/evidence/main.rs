//! What evidence proves, that nothing else does, and that a text has one form.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod world;

use shosoin_protocol::answer::Outcome;
use shosoin_protocol::evidence::{Against, Class, Evidence, Keys, Part};
use shosoin_protocol::sign::SigningKey;
use shosoin_protocol::{Address, Digest, LogId, Suite};
use world::{IDS, Tree, World};

#[test]
fn every_class_is_proved_against_the_vault_and_the_two_without_accusation_are_not() {
    for suite in Suite::ALL {
        let world = World::new(suite);
        let all = world.one_of_each();
        assert_eq!(all.iter().map(|evidence| evidence.class).collect::<Vec<_>>(), Class::ALL);
        for evidence in all {
            let read = Evidence::parse(&evidence.render()).unwrap();
            assert_eq!(read, evidence);
            let verdict = read.judge(&world.keys()).unwrap_or_else(|error| panic!("{:?}: {error}", evidence.class));
            let accuses = !matches!(evidence.class, Class::Head | Class::Audit);
            assert_eq!(verdict.against == Against::Vault, accuses, "{:?}", evidence.class);
            assert_eq!(verdict.attested_by, Some(world.device_key.public().device_id()));
            assert!(!verdict.proves.is_empty() && !verdict.leaves_open.is_empty(), "{:?}", evidence.class);
        }
    }
}

#[test]
fn a_text_that_is_cut_or_has_any_byte_changed_is_refused() {
    for evidence in World::new(Suite::Default).one_of_each() {
        let text = evidence.render();
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] ^= 1;
            let read = String::from_utf8(changed).map(|changed| Evidence::parse(&changed));
            assert!(!matches!(read, Ok(Ok(_))), "{:?}: byte {at}", evidence.class);
        }
        for (at, _) in text.match_indices('\n') {
            assert!(Evidence::parse(&text[..at]).is_err(), "{:?}: cut before {at}", evidence.class);
            assert!(at + 1 == text.len() || Evidence::parse(&text[..=at]).is_err(), "{:?}: {at}", evidence.class);
        }
        assert!(Evidence::parse(&format!("{text}\n")).is_err());
        assert!(Evidence::parse(&text.replace('\n', "\r\n")).is_err());
    }
}

#[test]
fn evidence_that_was_made_up_without_the_vaults_key_is_refused() {
    let (world, forger) = (World::new(Suite::Default), World::new(Suite::Default));
    let forger = World { vault_key: SigningKey::from_seed(Suite::Default, &[50; 32].into()).unwrap(), ..forger };
    for evidence in forger.one_of_each() {
        assert!(evidence.judge(&world.keys()).is_err(), "{:?}", evidence.class);
    }
    for evidence in world.one_of_each() {
        let other = Keys { hospital_key: Some(forger.vault_key.public()), ..world.keys() };
        assert!(evidence.judge(&other).is_err(), "{:?}: attested for another hospital", evidence.class);
    }
}

/// Every part of every evidence is replaced by what an honest vault would have signed: nothing may be left of it.
#[test]
fn nothing_that_an_honest_vault_signs_is_evidence_against_it() {
    for suite in Suite::ALL {
        let world = World::new(suite);
        let (short, long) = (world.tree(1..4), world.tree(1..7));
        let (old, new) = (world.head(&short, 50), world.head(&long, 60));
        let summary = Address([3; 32]);
        let good = world.answer(&long, summary, Outcome::Given { len: 3, digest: Digest(summary.0) });
        let shelf = world.answer(&long, summary, Outcome::OnShelf);
        let receipt = |index, tree| Part::Receipt(world.receipt(tree, index, (40, 60)).encode());
        let entry = [Part::Entry(long.bytes(3)), Part::EntryPlace(long.place(3)), Part::Head(new.clone())];
        let with = |more: Vec<Part>| entry.iter().cloned().chain(more).collect::<Vec<_>>();
        let other = vec![Part::OtherEntry(long.bytes(4)), Part::OtherPlace(long.place(4))];
        let same = vec![Part::OtherPlace(long.place(3))];
        let cases = [
            (
                Class::Fork,
                vec![
                    Part::Remembered(old.clone()),
                    Part::Head(new.clone()),
                    world.consistency(&long, short.frontier.size()),
                ],
            ),
            (Class::Fork, vec![Part::Remembered(old.clone()), Part::Head(old.clone())]),
            (Class::Rollback, vec![Part::Remembered(old.clone()), Part::Head(new.clone())]),
            (
                Class::Omission,
                vec![
                    receipt(3, &short),
                    Part::Head(new.clone()),
                    Part::OtherEntry(long.bytes(3)),
                    Part::OtherPlace(long.place(3)),
                ],
            ),
            (
                Class::Omission,
                vec![
                    receipt(3, &short),
                    Part::Head(new.clone()),
                    Part::OtherEntry(long.bytes(4)),
                    Part::OtherPlace(long.place(4)),
                ],
            ),
            (Class::Omission, vec![receipt(3, &short), Part::Head(new.clone())]),
            (Class::Substitution, with(vec![good.clone()])),
            (Class::Loss, with(vec![good])),
            (Class::Loss, with(vec![shelf])),
            (Class::Replay, with(other)),
            (Class::Replay, with(same)),
            (Class::Downgrade, with(Vec::new())),
            (Class::Injection, with(vec![world.certificate()])),
            (Class::Time, vec![Part::Remembered(old), Part::Head(new)]),
            (Class::Time, vec![receipt(3, &long)]),
            (Class::FalseReceipt, vec![receipt(3, &long)]),
        ];
        for (number, (class, parts)) in cases.into_iter().enumerate() {
            let judged = world.evidence(class, parts).judge(&world.keys());
            assert!(judged.is_err(), "case {number}, {class:?}: {judged:?}");
        }
    }
}

/// What a vault took over was made for the ledger of the vault before it, and is no replay; an entry like that behind one of
/// its own is.
#[test]
fn what_a_vault_took_over_is_no_evidence_against_it() {
    for suite in Suite::ALL {
        let world = World::new(suite);
        let foreign = |version, seq| world.entry_for(LogId([0xee; 16]), version, seq);
        let entries = vec![foreign(1, 0), world.entry(2, 1, &world.device_key_again()), foreign(3, 2), foreign(4, 3)];
        let tree = Tree::of(entries);
        let about = |index: usize, other: Option<usize>| {
            let mut parts = vec![
                Part::Head(world.head(&tree, 60)),
                Part::Entry(tree.bytes(index)),
                Part::EntryPlace(tree.place(index)),
            ];
            parts.extend(other.iter().map(|other| Part::OtherEntry(tree.bytes(*other))));
            parts.extend(other.iter().map(|other| Part::OtherPlace(tree.place(*other))));
            parts
        };
        let judged = |class, parts| world.evidence(class, parts).judge(&world.keys());
        assert_eq!(judged(Class::Replay, about(2, Some(1))).unwrap().against, Against::Vault);
        let alone = judged(Class::Replay, about(0, None)).unwrap();
        assert_eq!(alone.against, Against::Nobody);
        assert!(alone.leaves_open[0].contains("took the ledger over"), "{alone:?}");
        for (index, other) in [(0, 1), (2, 3), (0, 2)] {
            assert!(judged(Class::Replay, about(index, Some(other))).is_err(), "{index} {other}");
        }
        for index in [0, 2] {
            assert!(judged(Class::Injection, about(index, None)).is_err(), "{index}");
        }
    }
}

#[test]
fn what_is_not_signed_is_only_the_word_of_the_device() {
    let world = World::new(Suite::Default);
    let (short, forked) = (world.tree(1..4), world.tree([1, 2, 13, 14, 15]));
    let (old, fork) = (world.head(&short, 50), world.head(&forked, 60));
    let nonsense = Part::Consistency { from: 4, to: 6, proof: vec![Digest([1; 32]); 3] };
    let parts = vec![Part::Remembered(old), Part::Head(fork), nonsense];
    let verdict = world.evidence(Class::Fork, parts.clone()).judge(&world.keys()).unwrap();
    assert_eq!(verdict.against, Against::Nobody);
    assert!(verdict.attested_by.is_some());
    let alone = Evidence::new(Class::Fork, IDS, 77, parts).judge(&world.keys()).unwrap();
    assert!(alone.leaves_open.iter().any(|open| open.contains("attestation")), "{alone:?}");
    let received = Part::Received { address: Address([3; 32]), len: 4, digest: Digest([5; 32]) };
    let verdict = world.evidence(Class::Substitution, vec![received]).judge(&world.keys()).unwrap();
    assert_eq!(verdict.against, Against::Nobody);
}

#[test]
fn timestamps_cover_everything_before_them() {
    let world = World::new(Suite::Default);
    let mut evidence = world.one_of_each().remove(0);
    let before = evidence.to_be_timestamped();
    evidence.timestamps.push(vec![1; 100]);
    assert_eq!(evidence.timestamped(0), before);
    assert!(evidence.to_be_timestamped().starts_with(&before) && evidence.to_be_timestamped().len() > before.len());
    assert_eq!(Evidence::parse(&evidence.render()).unwrap(), evidence);
    assert!(evidence.judge(&world.keys()).is_ok(), "a timestamp changes nothing of what is attested");
}
