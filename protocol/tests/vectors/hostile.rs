//! Bytes nobody meant: every decoder over noise and over valid bytes that were damaged. Nothing may panic, and
//! whatever is still accepted must be in its one form.

use super::committed;
use super::run::run;
use super::vector::Vector;
use proptest::prelude::*;

/// One step of damage; positions wrap around the length.
#[derive(Debug, Clone)]
enum Damage {
    Flip(usize, u8),
    Set(usize, u8),
    Cut(usize),
    Insert(usize, u8),
    Remove(usize),
    Repeat(usize, usize),
    Swap(usize, usize),
}

impl Damage {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let len = bytes.len();
        match *self {
            Damage::Insert(at, byte) => bytes.insert(at % (len + 1), byte),
            _ if len == 0 => {}
            Damage::Flip(at, bit) => bytes[at % len] ^= 1 << (bit % 8),
            Damage::Set(at, byte) => bytes[at % len] = byte,
            Damage::Cut(at) => bytes.truncate(at % len),
            Damage::Remove(at) => drop(bytes.drain(at % len..at % len + 1)),
            Damage::Repeat(at, count) => {
                let from = at % len;
                let piece = bytes[from..len.min(from + count % 64)].to_vec();
                bytes.splice(from..from, piece);
            }
            Damage::Swap(a, b) => bytes.swap(a % len, b % len),
        }
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<usize>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        (at(), prop_oneof![Just(0), Just(0xff), any::<u8>()]).prop_map(|(at, byte)| Damage::Set(at, byte)),
        at().prop_map(Damage::Cut),
        (at(), any::<u8>()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
        at().prop_map(Damage::Remove),
        (at(), at()).prop_map(|(at, count)| Damage::Repeat(at, count)),
        (at(), at()).prop_map(|(a, b)| Damage::Swap(a, b)),
    ]
}

fn accepted_only_in_its_one_form(vector: &Vector) -> Result<(), TestCaseError> {
    if let Some(Ok(again)) = run(vector) {
        prop_assert_eq!(again, vector.body.clone(), "{} has a second form", vector.structure);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn noise_is_refused_or_in_its_one_form(noise in proptest::collection::vec(any::<u8>(), 0..600)) {
        for mut vector in one_of_each_structure() {
            vector.body.clone_from(&noise);
            accepted_only_in_its_one_form(&vector)?;
        }
    }

    #[test]
    fn noise_behind_a_true_beginning_is_refused_or_in_its_one_form(
        keep in 0..600usize,
        noise in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        for mut vector in one_of_each_structure() {
            vector.body.truncate(keep);
            vector.body.extend_from_slice(&noise);
            accepted_only_in_its_one_form(&vector)?;
        }
    }

    #[test]
    fn damaged_bytes_are_refused_or_in_their_one_form(steps in proptest::collection::vec(damage(), 1..4)) {
        for mut vector in valid() {
            steps.iter().for_each(|step| step.apply(&mut vector.body));
            accepted_only_in_its_one_form(&vector)?;
        }
    }
}

fn valid() -> Vec<Vector> {
    static VALID: std::sync::OnceLock<Vec<Vector>> = std::sync::OnceLock::new();
    let kept = VALID.get_or_init(|| {
        committed().into_iter().filter(|vector| vector.expect == "ok" && run(vector).is_some()).collect()
    });
    kept.clone()
}

fn one_of_each_structure() -> Vec<Vector> {
    let mut vectors = valid();
    vectors.dedup_by(|a, b| a.structure == b.structure);
    vectors
}

/// Signatures, tags and digests cover every bit of what they cover: no single flip of these passes.
#[test]
fn no_signed_structure_survives_a_flip() {
    let signed = ["entry", "checkpoint", "receipt", "enrolment", "share-card", "medium-manifest", "medium-check"];
    for vector in valid().into_iter().filter(|vector| signed.contains(&vector.structure.as_str())) {
        for at in 0..vector.body.len() {
            let mut wrong = vector.clone();
            wrong.body[at] ^= 1 << (at % 8);
            if vector.name == "checkpoint/valid-cosigned" && at > vector.body.len() - 50 {
                continue; // the line of a signer we do not know is not ours to judge
            }
            assert!(!matches!(run(&wrong), Some(Ok(_))), "{} took a flip at {at}", vector.name);
        }
    }
}
