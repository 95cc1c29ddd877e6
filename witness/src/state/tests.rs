#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "tests")]

use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use shosoin_protocol::checkpoint::Checkpoint;
use shosoin_protocol::merkle::{self, Frontier, Node};
use shosoin_protocol::{HospitalId, VaultId};
use std::collections::HashMap;

/// A log that grows, of a vault whose key is `seed`.
struct Growing {
    key: SigningKey,
    frontier: Frontier,
    nodes: HashMap<Node, Digest>,
    roots: Vec<Digest>,
}

impl Growing {
    fn new(suite: Suite, salt: u8, leaves: u64) -> Self {
        let key = SigningKey::from_seed(suite, &[3; 32].into()).unwrap();
        let mut log = Growing { key, frontier: Frontier::default(), nodes: HashMap::new(), roots: Vec::new() };
        for leaf in 0..leaves {
            log.roots.push(log.frontier.root());
            let nodes = &mut log.nodes;
            let salt = if leaf < 3 { 0 } else { salt }; // two histories that begin alike
            log.frontier.push(merkle::leaf_hash(&[leaf as u8, salt]), |node, hash| {
                nodes.insert(node, hash);
            });
        }
        log.roots.push(log.frontier.root());
        log
    }

    fn checkpoint(&self, size: u64) -> Checkpoint {
        let (vault, hospital, root) = (VaultId([1; 16]), HospitalId([2; 16]), self.roots[size as usize]);
        Checkpoint { vault, hospital, size, root, time_ms: 5, term: 1 }
    }

    fn verifier(&self) -> VerifierKey {
        VerifierKey::of_log(&self.checkpoint(0).origin(), self.key.public())
    }

    fn request(&self, old: u64, size: u64) -> String {
        let proof = merkle::consistency_proof(old, size, |node| self.nodes.get(&node).copied().ok_or(())).unwrap();
        let lines: String = proof.iter().map(|hash| format!("{}\n", BASE64.encode(hash.0))).collect();
        format!("old {old}\n{lines}\n{}", self.checkpoint(size).sign(&self.key))
    }
}

fn witness(logs: &[&Growing]) -> (tempfile::TempDir, Witness) {
    let dir = tempfile::tempdir().unwrap();
    Witness::init(dir.path(), "witness.example/w1").unwrap();
    let mut witness = Witness::open(dir.path()).unwrap();
    logs.iter().for_each(|log| witness.add_log(&log.verifier()).unwrap());
    (dir, witness)
}

#[test]
fn a_log_that_grows_is_co_signed_and_every_other_answer_is_the_protocols() {
    for suite in Suite::ALL {
        let (log, forked) = (Growing::new(suite, 0, 12), Growing::new(suite, 1, 12));
        let (dir, witness) = witness(&[&log]);
        let public = witness.verifier_key().unwrap();
        let add = |body: &str| witness.add_checkpoint(body).unwrap();
        let line = add(&log.request(0, 5)).unwrap();
        let cosigned = format!("{}{line}", log.checkpoint(5).sign(&log.key));
        assert!(public.cosigned_at(&Note::parse(&cosigned).unwrap()).unwrap().is_some());
        assert_eq!(add(&log.request(0, 7)), Err(Refusal::OtherSize(5)));
        assert!(add(&log.request(5, 7)).is_ok());
        assert!(add(&log.request(7, 7)).is_ok(), "the same head once more");
        assert_eq!(add(&log.request(5, 7)), Err(Refusal::OtherSize(7)));
        assert_eq!(add(&log.request(7, 5)).unwrap_err().status(), 400);
        assert_eq!(add(&forked.request(7, 9)).unwrap_err().status(), 422);
        assert_eq!(add(&forked.request(7, 7)).unwrap_err().status(), 422, "the same size with another root");
        let mut stranger = Growing::new(suite, 0, 12);
        stranger.key = SigningKey::from_seed(suite, &[9; 32].into()).unwrap();
        assert_eq!(add(&stranger.request(7, 8)), Err(Refusal::NotTheLog));
        let tampered = log.request(7, 8).replace("term 1", "term 2");
        assert_eq!(add(&tampered), Err(Refusal::NotTheLog));
        assert_eq!(add(&log.request(7, 8).replace("shosoin/01", "shosoin/02")), Err(Refusal::UnknownLog));
        for malformed in ["", "old 07\n\nx", "old x\n\n", &log.request(7, 8).replace("old 7", "old 07")] {
            assert_eq!(add(malformed).unwrap_err().status(), 400, "{malformed:?}");
        }
        let nonsense = format!("old 7\n{}\n{}", format!("{}\n", BASE64.encode([1; 32])).repeat(64), "x");
        assert_eq!(add(&nonsense).unwrap_err().status(), 400);
        let (shown, latest) = (witness.logs().remove(0), log.checkpoint(7));
        assert_eq!((shown.latest.unwrap().0, shown.conflicts), (7, 2));
        let kept = witness.checkpoint(&origin_hash(&latest.origin())).unwrap();
        assert!(log.verifier().verify(&Note::parse(&kept).unwrap()).unwrap());
        assert!(matches!(Witness::open(dir.path()), Err(Error::InUse { .. })));
    }
}

#[test]
fn what_was_co_signed_is_remembered_over_a_restart_and_a_file_that_was_changed_is_not_believed() {
    let (log, forked) = (Growing::new(Suite::Default, 0, 9), Growing::new(Suite::Default, 1, 9));
    let (dir, first) = witness(&[&log]);
    first.add_checkpoint(&log.request(0, 6)).unwrap().unwrap();
    drop(first);
    let again = Witness::open(dir.path()).unwrap();
    assert_eq!(again.add_checkpoint(&forked.request(0, 8)).unwrap(), Err(Refusal::OtherSize(6)));
    assert!(again.add_checkpoint(&forked.request(6, 8)).unwrap().is_err());
    assert!(again.add_checkpoint(&log.request(6, 8)).unwrap().is_ok());
    drop(again);
    let path = dir.path().join("logs").join(origin_hash(&log.checkpoint(0).origin()).to_string()).join("checkpoint");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("\n8\n", "\n2\n")).unwrap();
    assert!(matches!(Witness::open(dir.path()), Err(Error::Damaged { .. })));
}

#[test]
fn an_empty_log_is_co_signed_only_with_its_empty_root() {
    let log = Growing::new(Suite::Default, 0, 3);
    let (_dir, witness) = witness(&[&log]);
    assert!(witness.add_checkpoint(&log.request(0, 0)).unwrap().is_ok());
    let wrong = Checkpoint { root: Digest([1; 32]), ..log.checkpoint(0) }.sign(&log.key);
    assert_eq!(witness.add_checkpoint(&format!("old 0\n\n{wrong}")).unwrap().unwrap_err().status(), 422);
    let with_proof = log.request(0, 2).replace("old 0\n", &format!("old 0\n{}\n", BASE64.encode([1; 32])));
    assert_eq!(witness.add_checkpoint(&with_proof).unwrap().unwrap_err().status(), 422);
}

/// Bytes of the page of formats.
#[test]
fn the_key_file_is_as_the_page_says() {
    let dir = tempfile::tempdir().unwrap();
    Witness::init(dir.path(), "w").unwrap();
    let bytes = std::fs::read(dir.path().join("witness.key")).unwrap();
    assert_eq!((&bytes[..8], bytes.len()), (&b"shwk\x01\0\0\0"[..], 45));
    assert_eq!(&bytes[40..], b"\x01\0\0\0w");
    for at in 0..8 {
        let mut changed = bytes.clone();
        changed[at] ^= 0x80;
        std::fs::write(dir.path().join("witness.key"), &changed).unwrap();
        assert!(matches!(Witness::open(dir.path()), Err(Error::Damaged { .. })), "byte {at}");
    }
}
