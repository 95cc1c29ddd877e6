//! The vectors of this crate: valid forms over both suites, and one for each way to be wrong.
//!
//! Every key here is a published constant and protects nothing.

use super::run;
use super::vector::{Vector, describe};
use shosoin_protocol::checkpoint::Checkpoint;
use shosoin_protocol::entry::{Body, Deposit, DeviceChange, Entry, Expected, NameChange, Seen, Statement};
use shosoin_protocol::policy::{DepositPolicy, Label, RecordType, Retention};
use shosoin_protocol::sign::SigningKey;
use shosoin_protocol::{Address, Digest, HospitalId, LogId, NameToken, Suite, VaultId, VersionId, merkle};

mod act;
mod api;
mod disposal;
mod ledger;
mod medium;
mod proof;
mod sealed;
mod sign;
#[path = "../evidence/world.rs"]
mod world;

/// Every vector, in the order of the files that make them.
pub fn all() -> Vec<Vector> {
    let made = [
        sealed::all(),
        ledger::all(),
        act::all(),
        disposal::all(),
        sign::all(),
        api::all(),
        proof::all(),
        medium::all(),
    ]
    .concat();
    let (vectors, surprises): (Vec<Vector>, Vec<String>) = made.into_iter().map(Made::finish).unzip();
    let surprises: Vec<String> = surprises.into_iter().filter(|surprise| !surprise.is_empty()).collect();
    assert!(surprises.is_empty(), "not the errors these cases are about:\n{}", surprises.join("\n"));
    vectors
}

/// A vector whose expectation is stated in part: `ok`, or variant and field.
#[derive(Debug, Clone)]
struct Made {
    vector: Vector,
    expect: (&'static str, &'static str),
}

impl Made {
    fn new(name: impl Into<String>, structure: &str, note: &str, body: Vec<u8>) -> Self {
        let vector = Vector {
            name: name.into(),
            notes: vec![note.to_owned()],
            structure: structure.to_owned(),
            expect: "ok".to_owned(),
            fields: Default::default(),
            body,
        };
        Made { vector, expect: ("ok", "") }
    }

    fn with(mut self, key: &str, value: impl std::fmt::Display) -> Self {
        self.vector.fields.insert(key.to_owned(), value.to_string());
        self
    }

    /// The same with other bytes, refused with this variant and a text that begins with `what`.
    fn wrong(
        &self,
        name: &str,
        note: &str,
        expect: (&'static str, &'static str),
        edit: impl FnOnce(&mut Vec<u8>),
    ) -> Self {
        let mut made = self.clone();
        let (folder, _) = self.vector.name.split_once('/').expect("a vector is in a folder");
        made.vector.name = format!("{folder}/wrong-{name}");
        made.vector.notes = vec![note.to_owned()];
        made.expect = expect;
        edit(&mut made.vector.body);
        made
    }

    /// Fills in the whole text of the error, which must be the one this case is about; else says what came.
    fn finish(mut self) -> (Vector, String) {
        let found = match run::run(&self.vector).expect("cases are of structures known here") {
            Ok(_) => "ok".to_owned(),
            Err(error) => describe(&error),
        };
        let (variant, what) = self.expect;
        let stated = if variant == "ok" { "ok".to_owned() } else { format!("{variant}: ") };
        let as_stated = found.starts_with(&stated) && found.contains(what);
        let surprise = if as_stated { String::new() } else { format!("{}: {found}", self.vector.name) };
        self.vector.expect = found;
        (self.vector, surprise)
    }
}

/// One hospital, one vault, one device: everything that a ledger needs, from constants.
struct World {
    suite: Suite,
    vault: VaultId,
    hospital: HospitalId,
    log: LogId,
    hospital_key: SigningKey,
    device_key: SigningKey,
    vault_key: SigningKey,
}

impl World {
    fn both() -> [World; 2] {
        Suite::ALL.map(World::new)
    }

    fn new(suite: Suite) -> Self {
        let (vault, hospital) = (VaultId([0x7a; 16]), HospitalId([0x40 + suite.code(); 16]));
        let key = |byte| SigningKey::from_seed(suite, &[byte; 32].into()).expect("a constant that is a scalar");
        World {
            suite,
            vault,
            hospital,
            log: LogId::of(vault, hospital),
            hospital_key: key(1),
            device_key: key(2),
            vault_key: key(3),
        }
    }

    fn statement(&self, body: Body) -> Statement {
        Statement {
            suite: self.suite,
            log: self.log,
            hospital: self.hospital,
            device: self.device_key.public().device_id(),
            device_seq: 1,
            prev: Digest([0x11; 32]),
            seen: Seen { size: 7, root: Digest([0x22; 32]) },
            claimed_ms: 1_767_225_600_000,
            body,
        }
    }

    fn deposit(&self) -> Entry {
        let policy = DepositPolicy {
            record_type: RecordType::from_code("T4-01").expect("a type of the table"),
            label: Label::Sensitive,
            retention: Retention::Term { term_days: 1827, start_ms: Some(1_767_225_600_000) },
        };
        let deposit = Deposit {
            version: VersionId::new(1_767_225_600_000, [5; 10]),
            expected: Expected::Version(VersionId::new(1_767_225_500_000, [4; 10])),
            name_token: NameToken([0x31; 32]),
            manifest: Address([0x32; 32]),
            address_root: Digest([0x33; 32]),
            address_list: Address([0x34; 32]),
            address_count: 3,
            stored_bytes: 12_582_912,
            dek_commit: Digest([0x35; 32]),
            wrap: Address([0x36; 32]),
            summary: Address([0x37; 32]),
            policy,
            report: None,
        };
        Entry::sign(self.statement(Body::Deposit(Box::new(deposit))), &self.device_key)
    }

    /// The same with a malware report.
    fn reported_deposit(&self) -> Entry {
        let mut statement = self.deposit().statement().clone();
        if let Body::Deposit(deposit) = &mut statement.body {
            deposit.report = Some(Address([0x39; 32]));
        }
        Entry::sign(statement, &self.device_key)
    }

    fn name_change(&self, expected: Expected) -> NameChange {
        let version = VersionId::new(1_767_225_700_000, [6; 10]);
        NameChange { version, expected, name_token: NameToken([0x31; 32]), summary: Address([0x38; 32]) }
    }

    fn enrolment_of_device(&self) -> Entry {
        let change = DeviceChange::certify(self.log, true, self.device_key.public(), &self.hospital_key);
        let mut statement = self.statement(Body::Device(change));
        (statement.device_seq, statement.prev, statement.seen) = (0, Digest([0; 32]), Seen::nothing());
        Entry::sign(statement, &self.device_key)
    }

    /// A tree of this many leaves, the deposit last, and the proof that it is there.
    fn tree(&self, size: u64) -> (Checkpoint, Vec<Digest>) {
        let (mut frontier, mut nodes) = (merkle::Frontier::default(), std::collections::BTreeMap::new());
        for index in 0..size {
            let filler = merkle::leaf_hash(&index.to_le_bytes());
            let leaf = if index + 1 == size { self.deposit().leaf_hash() } else { filler };
            frontier.push(leaf, |node, hash| {
                nodes.insert(node, hash);
            });
        }
        let proof = merkle::inclusion_proof(size - 1, size, |node| nodes.get(&node).copied().ok_or(()));
        let (time_ms, term) = (1_767_225_601_000, 1);
        let (vault, hospital, root) = (self.vault, self.hospital, frontier.root());
        (Checkpoint { vault, hospital, size, root, time_ms, term }, proof.expect("every node is complete"))
    }
}

fn put(at: usize, bytes: &'static [u8]) -> impl FnOnce(&mut Vec<u8>) {
    move |body| body[at..at + bytes.len()].copy_from_slice(bytes)
}

fn cut(count: usize) -> impl FnOnce(&mut Vec<u8>) {
    move |body| body.truncate(body.len() - count)
}

fn append(byte: u8) -> impl FnOnce(&mut Vec<u8>) {
    move |body| body.push(byte)
}

fn flip(at: usize) -> impl FnOnce(&mut Vec<u8>) {
    move |body| body[at] ^= 1
}
