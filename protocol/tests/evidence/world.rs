//! A vault that signs whatever a test wants, the hospital it does it to, and one evidence of each class.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, dead_code, missing_docs, reason = "help for tests")]

use shosoin_protocol::answer::{Answer, Outcome, Said};
use shosoin_protocol::checkpoint::Checkpoint;
use shosoin_protocol::entry::{Body, DeviceChange, Entry, Expected, NameChange, Seen, Statement};
use shosoin_protocol::evidence::{Class, Evidence, Keys, Part, Place};
use shosoin_protocol::merkle::{self, Frontier};
use shosoin_protocol::receipt::{Durable, Inclusion, Receipt};
use shosoin_protocol::sign::SigningKey;
use shosoin_protocol::{Address, Digest, HospitalId, LogId, NameToken, Suite, VaultId, VersionId};
use std::collections::BTreeMap;

/// A vault that signs whatever the test wants, and the hospital it does it to.
pub struct World {
    pub suite: Suite,
    pub vault_key: SigningKey,
    pub hospital_key: SigningKey,
    pub device_key: SigningKey,
}

pub const VAULT: VaultId = VaultId([1; 16]);
pub const HOSPITAL: HospitalId = HospitalId([2; 16]);
pub const IDS: (VaultId, HospitalId) = (VAULT, HOSPITAL);

/// A ledger as a tree whose every node is known.
pub struct Tree {
    pub entries: Vec<Entry>,
    nodes: BTreeMap<merkle::Node, Digest>,
    pub frontier: Frontier,
}

impl Tree {
    pub fn of(entries: Vec<Entry>) -> Self {
        let (mut nodes, mut frontier) = (BTreeMap::new(), Frontier::default());
        for entry in &entries {
            frontier.push(entry.leaf_hash(), |node, hash| {
                nodes.insert(node, hash);
            });
        }
        Tree { entries, nodes, frontier }
    }

    pub fn place(&self, index: usize) -> Place {
        let proof = merkle::inclusion_proof(index as u64, self.frontier.size(), |node| {
            self.nodes.get(&node).copied().ok_or(())
        });
        Place { index: index as u64, proof: proof.unwrap() }
    }

    pub fn bytes(&self, index: usize) -> Vec<u8> {
        self.entries[index].bytes().to_vec()
    }
}

impl World {
    pub fn new(suite: Suite) -> Self {
        let key = |seed: u8| SigningKey::from_seed(suite, &[seed; 32].into()).unwrap();
        World { suite, vault_key: key(1), hospital_key: key(2), device_key: key(3) }
    }

    pub fn keys(&self) -> Keys {
        let hospital_key = Some(self.hospital_key.public());
        Keys { vault_key: self.vault_key.public(), hospital_key, least_suite: None }
    }

    pub fn log(&self) -> LogId {
        LogId::of(VAULT, HOSPITAL)
    }

    pub fn entry(&self, version: u8, device_seq: u64, key: &SigningKey) -> Entry {
        let change = NameChange {
            version: VersionId([version; 16]),
            expected: Expected::Any,
            name_token: NameToken([7; 32]),
            summary: Address([version; 32]),
        };
        self.state(Body::Marker(change), device_seq, key)
    }

    /// An entry that was made for another ledger.
    pub fn entry_for(&self, log: LogId, version: u8, device_seq: u64) -> Entry {
        let own = self.entry(version, device_seq, &self.device_key);
        Entry::sign(Statement { log, ..own.statement().clone() }, &self.device_key)
    }

    pub fn state(&self, body: Body, device_seq: u64, key: &SigningKey) -> Entry {
        let prev = Digest(if device_seq == 0 { [0; 32] } else { [9; 32] });
        let statement = Statement {
            suite: key.public().suite(),
            log: self.log(),
            hospital: HOSPITAL,
            device: self.device_key.public().device_id(),
            device_seq,
            prev,
            seen: Seen::nothing(),
            claimed_ms: 5,
            body,
        };
        Entry::sign(statement, key)
    }

    pub fn enrolment(&self) -> Entry {
        let change = DeviceChange::certify(self.log(), true, self.device_key.public(), &self.hospital_key);
        self.state(Body::Device(change), 0, &self.device_key)
    }

    pub fn certificate(&self) -> Part {
        match self.enrolment().body() {
            Body::Device(change) => Part::Device { key: change.key.clone(), certificate: change.certificate },
            _ => unreachable!(),
        }
    }

    /// A ledger that begins with the enrolment and goes on with these versions.
    pub fn tree(&self, versions: impl IntoIterator<Item = u8>) -> Tree {
        let marker = |(seq, version)| self.entry(version, seq, &self.device_key);
        Tree::of([self.enrolment()].into_iter().chain((1..).zip(versions).map(marker)).collect())
    }

    pub fn head(&self, tree: &Tree, time_ms: u64) -> String {
        let (size, root) = (tree.frontier.size(), tree.frontier.root());
        Checkpoint { vault: VAULT, hospital: HOSPITAL, size, root, time_ms, term: 1 }.sign(&self.vault_key)
    }

    pub fn receipt(&self, tree: &Tree, index: usize, (accepted_ms, time_ms): (u64, u64)) -> Receipt {
        let (leaf, Place { index, proof }) = (tree.entries[index].leaf_hash(), tree.place(index));
        let inclusion = Inclusion { index, accepted_ms, proof, checkpoint: self.head(tree, time_ms) };
        Receipt::sign(leaf, inclusion, Durable { level: 1, sites: 1, k: 4, m: 2 }, &self.vault_key)
    }

    pub fn answer(&self, tree: &Tree, address: Address, outcome: Outcome) -> Part {
        let (nonce, checkpoint) = ([4; 32], self.head(tree, 60));
        let said = Said { vault: VAULT, hospital: HOSPITAL, nonce, address, outcome, time_ms: 60, checkpoint };
        Part::Answer(Answer::sign(said, &self.vault_key).encode())
    }

    pub fn evidence(&self, class: Class, parts: Vec<Part>) -> Evidence {
        let certificate = match self.enrolment().body() {
            Body::Device(change) => change.certificate,
            _ => unreachable!(),
        };
        Evidence::new(class, IDS, 77, parts).attest(&self.device_key, certificate)
    }

    /// The consistency proof that a vault with this tree gives, in its whole form.
    pub fn consistency(&self, tree: &Tree, from: u64) -> Part {
        let to = tree.frontier.size();
        let get = |node| tree.nodes.get(&node).copied().ok_or(());
        let mut proof = merkle::consistency_proof(from, to, get).unwrap();
        if from.is_power_of_two() {
            proof.insert(0, get(merkle::Node { level: from.trailing_zeros() as u8, index: 0 }).unwrap());
        }
        Part::Consistency { from, to, proof }
    }

    /// Another key than the vault's.
    pub fn device_key_again(&self) -> SigningKey {
        SigningKey::from_seed(self.suite, &[3; 32].into()).unwrap()
    }

    /// One conclusive evidence of each class that accuses, and one of each that does not.
    pub fn one_of_each(&self) -> Vec<Evidence> {
        let (short, long) = (self.tree(1..4), self.tree(1..7));
        let forked = self.tree([1, 2, 13, 14, 15]);
        let (old, new, fork) = (self.head(&short, 50), self.head(&long, 60), self.head(&forked, 60));
        let given = Outcome::Given { len: 3, digest: Digest([0xee; 32]) };
        let of_entry = |index| [Part::Entry(long.bytes(index)), Part::EntryPlace(long.place(index))];
        let summary = Address([3; 32]);
        let twice = self.tree([1, 2, 2]);
        let stranger = SigningKey::from_seed(self.suite, &[99; 32].into()).unwrap();
        let injected = Tree::of(vec![self.enrolment(), self.entry(5, 1, &stranger)]);
        let other = if self.suite == Suite::Default { Suite::Cryptrec } else { Suite::Default };
        let weak = SigningKey::from_seed(other, &[3; 32].into()).unwrap();
        let downgraded = Tree::of(vec![self.enrolment(), self.entry(5, 1, &weak)]);
        let mut lying = self.receipt(&short, 2, (40, 50));
        lying.inclusion.proof[0].0[0] ^= 1;
        let lying = Receipt::sign(lying.leaf, lying.inclusion, lying.durable, &self.vault_key);
        let part_of = |tree: &Tree, index: usize| {
            vec![Part::Head(self.head(tree, 60)), Part::Entry(tree.bytes(index)), Part::EntryPlace(tree.place(index))]
        };
        let with = |mut parts: Vec<Part>, more: Vec<Part>| {
            parts.extend(more);
            parts
        };
        let receipt = Part::Receipt(self.receipt(&short, 3, (40, 50)).encode());
        vec![
            self.evidence(
                Class::Fork,
                vec![Part::Remembered(old.clone()), Part::Head(fork.clone()), self.consistency(&forked, 4)],
            ),
            self.evidence(Class::Rollback, vec![Part::Remembered(new.clone()), Part::Head(self.head(&short, 70))]),
            self.evidence(
                Class::Omission,
                vec![
                    receipt.clone(),
                    Part::Entry(short.bytes(3)),
                    Part::Head(fork),
                    Part::OtherEntry(forked.bytes(3)),
                    Part::OtherPlace(forked.place(3)),
                ],
            ),
            self.evidence(
                Class::Substitution,
                with(of_entry(3).to_vec(), vec![Part::Head(new.clone()), self.answer(&long, summary, given)]),
            ),
            self.evidence(
                Class::Replay,
                with(part_of(&twice, 2), vec![Part::OtherEntry(twice.bytes(3)), Part::OtherPlace(twice.place(3))]),
            ),
            self.evidence(Class::Downgrade, part_of(&downgraded, 1)),
            self.evidence(Class::Injection, with(part_of(&injected, 1), vec![self.certificate()])),
            self.evidence(
                Class::Loss,
                with(
                    of_entry(3).to_vec(),
                    vec![
                        Part::Head(new.clone()),
                        self.answer(&long, summary, Outcome::NotHeld),
                        Part::Receipt(self.receipt(&long, 3, (40, 60)).encode()),
                    ],
                ),
            ),
            self.evidence(
                Class::Time,
                vec![Part::Remembered(self.head(&short, 2_000_000)), Part::Head(self.head(&long, 60))],
            ),
            self.evidence(Class::FalseReceipt, vec![Part::Receipt(lying.encode())]),
            self.evidence(Class::Head, vec![Part::Head(new.clone())]),
            self.evidence(Class::Audit, vec![Part::Head(new), Part::Report(vec![("sample".into(), "12".into())])]),
        ]
    }
}
