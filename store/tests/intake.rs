//! What intake refuses, each by its name, and that nothing stored has changed afterwards.
#![expect(clippy::unwrap_used, reason = "help for tests, which may panic")]

mod common;

use bytes::Bytes;
use common::*;
use shosoin_protocol::act::ActKind;
use shosoin_protocol::api::{DepositRequest, InlineRecord, Problem, code};
use shosoin_protocol::entry::{Body, Deposit, DeviceChange, Entry, Expected, Seen, Statement};
use shosoin_protocol::envelope::Context;
use shosoin_protocol::limits::{
    CLOCK_AHEAD_MS_MAX, DEPOSIT_BATCH_MAX, DEPOSIT_RECORDS_MAX, RECORD_BYTES_MAX, SUMMARY_BYTES_MAX,
};
use shosoin_protocol::manifest::AddressList;
use shosoin_protocol::{Address, Digest, ErrorKind, HospitalId, LogId, RecordKind, Suite, VaultId};
use shosoin_store::{Error, IndexKind, Vault};

struct Scene {
    _site: Site,
    vault: Vault,
    hospital: Hospital,
}

impl Scene {
    async fn new() -> Scene {
        let site = Site::on_media(IndexKind::Memory, as_media(&memory_volumes(6))).await;
        let vault = site.open().await;
        let hospital = enrolled(&vault, Suite::Default, 1).await;
        Scene { _site: site, vault, hospital }
    }

    /// Deposits one request, which must be refused without a trace but evidence, and gives the refusal.
    async fn refused(&self, request: DepositRequest) -> Problem {
        let before = (self.vault.counters(), self.entries().await);
        let replies = self.vault.deposit(self.hospital.id, batch([request])).await.unwrap().replies;
        let after = (self.vault.counters(), self.entries().await);
        let problem = replies.into_iter().next().unwrap().unwrap_err();
        assert_eq!(before.1, after.1, "something was stored");
        assert!(before.0 == after.0 || problem.message.contains("quarantine as"), "something was stored");
        problem
    }

    /// Entries of the log, what was set aside apart.
    async fn entries(&self) -> u64 {
        let head = self.vault.checkpoint(self.hospital.id).await.unwrap();
        let (head, _) = shosoin_protocol::checkpoint::Checkpoint::parse(&head).unwrap();
        let set_aside = self.vault.acts(self.hospital.id, &[ActKind::QuarantineIn]).await.unwrap();
        head.size - set_aside.len() as u64
    }

    /// The same, for a small deposit whose statement was changed before it was signed.
    async fn refused_statement(&mut self, change: impl FnOnce(&mut Statement)) -> Problem {
        let parcel = self.parcel();
        let mut statement = self.hospital.device.statement(&self.hospital.named(), parcel.body());
        change(&mut statement);
        let entry = Entry::sign(statement, &self.hospital.device.key);
        self.refused(request(&entry, &parcel)).await
    }

    /// The same, for a small deposit whose fields were changed before it was signed.
    async fn refused_deposit(&mut self, change: impl FnOnce(&mut Deposit)) -> Problem {
        let mut parcel = self.parcel();
        change(&mut parcel.deposit);
        self.refused_parcel(&parcel).await
    }

    async fn refused_parcel(&mut self, parcel: &Parcel) -> Problem {
        let statement = self.hospital.device.statement(&self.hospital.named(), parcel.body());
        let entry = Entry::sign(statement, &self.hospital.device.key);
        self.refused(request(&entry, parcel)).await
    }

    fn parcel(&mut self) -> Parcel {
        let chunk = self.hospital.chunk(2_000, 77);
        self.hospital.parcel("name", &[chunk])
    }

    /// The chain was not moved by what was refused: the next honest deposit is accepted.
    async fn still_takes_deposits(mut self) {
        let (_, request) = self.hospital.small("honest");
        accept(&self.vault, &mut self.hospital, [request]).await;
        assert_clean(&self.vault).await;
    }
}

fn kind_and_code(problem: &Problem) -> (ErrorKind, &str) {
    (problem.kind(), &problem.code)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hospital_that_is_not_enrolled_is_unknown() {
    let scene = Scene::new().await;
    let stranger = HospitalId([99; 16]);
    let error = scene.vault.deposit(stranger, batch([])).await.unwrap_err();
    assert!(matches!(error, Error::UnknownHospital { hospital } if hospital == stranger));
    assert_eq!(error.problem().code, code::UNKNOWN_HOSPITAL);
    assert!(matches!(scene.vault.hello(stranger).await, Err(Error::UnknownHospital { .. })));
    let chunk = scene.hospital.chunk(10, 1);
    let put = scene.vault.put_chunk(stranger, scene.hospital.suite.address(&chunk), chunk).await;
    assert!(matches!(put, Err(Error::UnknownHospital { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_begins_with_the_device_of_the_enrolment_and_nothing_else() {
    let site = Site::on_media(IndexKind::Memory, as_media(&memory_volumes(6))).await;
    let vault = site.open().await;
    let mut hospital = Hospital::new(Suite::Default, 1, vault.id());
    vault.enrol(&hospital.enrolment()).unwrap();
    let mut other = Device::new(Suite::Default, 55);
    let change = DeviceChange::certify(hospital.log, true, other.key.public(), &hospital.hospital_key);
    let foreign = bare(other.sign(&hospital.named(), Body::Device(change)));
    let (_, early) = hospital.small("early");
    hospital.device = Device::new(Suite::Default, 101);
    for request in [foreign, early] {
        let reply = vault.deposit(hospital.id, batch([request])).await.unwrap().replies.remove(0);
        assert_eq!(kind_and_code(&reply.unwrap_err()), (ErrorKind::Refused, code::UNKNOWN_DEVICE));
    }
    let first = hospital.first_entry();
    accept(&vault, &mut hospital, [first]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_is_not_enrolled_or_was_revoked_is_refused_and_may_not_come_back() {
    let mut scene = Scene::new().await;
    let mut second = Device::new(Suite::Default, 55);
    let named = scene.hospital.named();
    let parcel = scene.parcel();
    let unknown = request(&Entry::sign(second.statement(&named, parcel.body()), &second.key), &parcel);
    assert_eq!(kind_and_code(&scene.refused(unknown).await), (ErrorKind::Refused, code::UNKNOWN_DEVICE));

    let certify = |scene: &Scene, enrol| {
        let hospital = &scene.hospital;
        Body::Device(DeviceChange::certify(hospital.log, enrol, second_key().public(), &hospital.hospital_key))
    };
    let joins = bare(second.sign(&named, certify(&scene, true)));
    accept(&scene.vault, &mut scene.hospital, [joins]).await;
    second.seen = scene.hospital.device.seen;
    let accepted = request(&second.sign(&named, parcel.body()), &parcel);
    accept(&scene.vault, &mut scene.hospital, [accepted]).await;
    let body = certify(&scene, false);
    let revokes = bare(scene.hospital.device.sign(&named, body));
    accept(&scene.vault, &mut scene.hospital, [revokes]).await;

    let parcel = scene.parcel();
    let late = request(&Entry::sign(second.statement(&named, parcel.body()), &second.key), &parcel);
    assert_eq!(kind_and_code(&scene.refused(late).await), (ErrorKind::Refused, code::UNKNOWN_DEVICE));
    let again = bare(Entry::sign(second.statement(&named, certify(&scene, true)), &second.key));
    assert_eq!(kind_and_code(&scene.refused(again).await), (ErrorKind::Refused, code::UNKNOWN_DEVICE));
    scene.still_takes_deposits().await;
}

fn second_key() -> shosoin_protocol::sign::SigningKey {
    key(Suite::Default, 55)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_without_the_hospitals_certificate_is_refused() {
    let scene = Scene::new().await;
    let second = Device::new(Suite::Default, 55);
    let forged = DeviceChange::certify(scene.hospital.log, true, second.key.public(), &second.key);
    let other_log = LogId::of(VaultId([1; 16]), scene.hospital.id);
    let elsewhere = DeviceChange::certify(other_log, true, second.key.public(), &scene.hospital.hospital_key);
    let named = scene.hospital.named();
    for change in [forged, elsewhere] {
        let entry = Entry::sign(second.statement(&named, Body::Device(change)), &second.key);
        assert_eq!(kind_and_code(&scene.refused(bare(entry)).await), (ErrorKind::Invalid, "malformed"));
    }
    let own = scene.hospital.device.key.public();
    let twice = DeviceChange::certify(scene.hospital.log, true, own, &scene.hospital.hospital_key);
    let entry = scene.hospital.device.statement(&named, Body::Device(twice));
    let entry = Entry::sign(entry, &scene.hospital.device.key);
    assert_eq!(kind_and_code(&scene.refused(bare(entry)).await), (ErrorKind::Invalid, "invalid"));
    scene.still_takes_deposits().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_or_out_of_order_entry_is_out_of_sequence() {
    let mut scene = Scene::new().await;
    let (_, first) = scene.hospital.small("first");
    accept(&scene.vault, &mut scene.hospital, [first.clone()]).await;
    assert_eq!(scene.refused(first).await.code, code::OUT_OF_SEQUENCE);
    assert_eq!(scene.refused_statement(|statement| statement.device_seq += 1).await.code, code::OUT_OF_SEQUENCE);
    assert_eq!(scene.refused_statement(|statement| statement.device_seq -= 1).await.code, code::OUT_OF_SEQUENCE);
    let problem = scene.refused_statement(|statement| statement.prev = Digest([1; 32])).await;
    assert_eq!(kind_and_code(&problem), (ErrorKind::Invalid, code::OUT_OF_SEQUENCE));
    scene.still_takes_deposits().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_meant_for_another_log_hospital_or_suite_is_refused() {
    let mut scene = Scene::new().await;
    let other_log = LogId::of(VaultId([9; 16]), scene.hospital.id);
    for (what, problem) in [
        ("log", scene.refused_statement(|statement| statement.log = other_log).await),
        ("hospital", scene.refused_statement(|statement| statement.hospital = HospitalId([2; 16])).await),
        ("suite", scene.refused_statement(|statement| statement.suite = Suite::Cryptrec).await),
    ] {
        assert_eq!(kind_and_code(&problem), (ErrorKind::Invalid, "invalid"), "{what}: {}", problem.message);
    }
    scene.still_takes_deposits().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_with_one_bit_changed_or_another_devices_signature_is_refused() {
    let mut scene = Scene::new().await;
    let parcel = scene.parcel();
    let named = scene.hospital.named();
    let statement = scene.hospital.device.statement(&named, parcel.body());
    let good = request(&Entry::sign(statement.clone(), &scene.hospital.device.key), &parcel);
    for at in (0..good.entry.len()).step_by(13) {
        let mut entry = good.entry.to_vec();
        entry[at] ^= 0x10;
        let problem = scene.refused(DepositRequest { entry: Bytes::from(entry), records: good.records.clone() }).await;
        assert_ne!(problem.kind(), ErrorKind::Bug, "byte {at}: {}", problem.message);
    }
    let forged = request(&Entry::sign(statement, &second_key()), &parcel);
    assert_eq!(kind_and_code(&scene.refused(forged).await), (ErrorKind::Invalid, "malformed"));
    let truncated = DepositRequest { entry: good.entry.slice(..good.entry.len() - 1), records: good.records.clone() };
    assert_eq!(scene.refused(truncated).await.code, "malformed");
    scene.still_takes_deposits().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_the_log_never_had_is_refused() {
    let mut scene = Scene::new().await;
    let now = scene.hospital.device.seen;
    let ahead = Seen { size: now.size + 1, root: now.root };
    let other = Seen { size: now.size, root: Digest([1; 32]) };
    for seen in [ahead, other, Seen { size: u64::MAX, root: now.root }] {
        let problem = scene.refused_statement(|statement| statement.seen = seen).await;
        assert_eq!(kind_and_code(&problem), (ErrorKind::Refused, "foreign-history"));
    }
    let (_, request) = scene.hospital.small("older heads are fine");
    scene.hospital.device.seen = now;
    accept(&scene.vault, &mut scene.hospital, [request]).await;
    scene.hospital.device.seen = Seen::nothing();
    scene.still_takes_deposits().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_ahead_is_refused_at_its_limit_and_one_behind_is_not() {
    let mut scene = Scene::new().await;
    let problem = scene.refused_statement(|statement| statement.claimed_ms = NOW_MS + CLOCK_AHEAD_MS_MAX + 1).await;
    assert_eq!(kind_and_code(&problem), (ErrorKind::Refused, code::CLOCK_SKEW));
    for claimed_ms in [NOW_MS + CLOCK_AHEAD_MS_MAX, 0] {
        let parcel = scene.parcel();
        let mut statement = scene.hospital.device.statement(&scene.hospital.named(), parcel.body());
        statement.claimed_ms = claimed_ms;
        let entry = Entry::sign(statement, &scene.hospital.device.key);
        scene.hospital.device.next_seq += 1;
        scene.hospital.device.prev = entry.leaf_hash();
        accept(&scene.vault, &mut scene.hospital, [request(&entry, &parcel)]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_on_a_name_hold_or_the_deposit_is_refused() {
    let mut scene = Scene::new().await;
    let stale = scene.hospital.fresh_version();
    let expected = |expected| move |deposit: &mut Deposit| deposit.expected = expected;
    let problem = scene.refused_deposit(expected(Expected::Version(stale))).await;
    assert_eq!(kind_and_code(&problem), (ErrorKind::Refused, code::EXPECTED_VERSION));

    let mut first = scene.parcel();
    first.deposit.expected = Expected::Absent;
    let request = scene.hospital.send(&first);
    accept(&scene.vault, &mut scene.hospital, [request]).await;
    assert_eq!(scene.refused_deposit(expected(Expected::Absent)).await.code, code::EXPECTED_VERSION);
    assert_eq!(scene.refused_deposit(expected(Expected::Version(stale))).await.code, code::EXPECTED_VERSION);

    let mut second = scene.parcel();
    second.deposit.expected = Expected::Version(first.deposit.version);
    let request = scene.hospital.send(&second);
    let (_, gone) = scene.hospital.marker("name");
    accept(&scene.vault, &mut scene.hospital, [request, gone]).await;
    let newest = expected(Expected::Version(second.deposit.version));
    assert_eq!(scene.refused_deposit(newest).await.code, code::EXPECTED_VERSION);
    let mut third = scene.parcel();
    third.deposit.expected = Expected::Absent; // a marker is as good as nothing
    let request = scene.hospital.send(&third);
    accept(&scene.vault, &mut scene.hospital, [request]).await;
    scene.still_takes_deposits().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_id_is_used_once() {
    let mut scene = Scene::new().await;
    let first = scene.parcel();
    let request = scene.hospital.send(&first);
    accept(&scene.vault, &mut scene.hospital, [request]).await;
    let problem = scene.refused_parcel(&first).await;
    assert_eq!(kind_and_code(&problem), (ErrorKind::Refused, "version-exists"));
    scene.still_takes_deposits().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incomplete_deposit_names_what_is_missing() {
    let mut scene = Scene::new().await;
    let parcel = scene.parcel();
    for left_out in 0..parcel.records.len() {
        let mut incomplete = parcel.clone();
        incomplete.records.remove(left_out);
        let problem = scene.refused_parcel(&incomplete).await;
        assert_eq!(kind_and_code(&problem), (ErrorKind::Invalid, code::MISSING_ADDRESSES));
    }
    let missing = scene.hospital.suite.address(&parcel.chunks[0]);
    let problem = scene.refused_parcel(&Parcel { chunks: Vec::new(), ..parcel }).await;
    assert_eq!(problem.code, code::MISSING_ADDRESSES);
    assert!(problem.message.contains(&missing.to_string()), "{}", problem.message);
    scene.still_takes_deposits().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_entry_says_of_its_address_list_must_be_so() {
    let mut scene = Scene::new().await;
    for problem in [
        scene.refused_deposit(|deposit| deposit.address_count += 1).await,
        scene.refused_deposit(|deposit| deposit.address_root = Digest([1; 32])).await,
        scene.refused_deposit(|deposit| deposit.stored_bytes += 1).await,
        scene.refused_deposit(|deposit| deposit.stored_bytes = 0).await,
    ] {
        assert_eq!(kind_and_code(&problem), (ErrorKind::Invalid, "invalid"), "{}", problem.message);
    }
    // a list out of its canonical order
    let (a, b) = (scene.hospital.chunk(100, 1), scene.hospital.chunk(100, 2));
    let mut parcel = scene.hospital.parcel("name", &[a, b]);
    let mut list = parcel.records[1].bytes.to_vec();
    let (first, second) = list[4..].split_at_mut(32);
    first.swap_with_slice(second);
    parcel.records[1].bytes = Bytes::from(list);
    parcel.deposit.address_list = scene.hospital.suite.address(&parcel.records[1].bytes);
    assert_eq!(scene.refused_parcel(&parcel).await.code, "malformed");
    scene.still_takes_deposits().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_may_name_chunks_and_pages_only() {
    let mut scene = Scene::new().await;
    let mut parcel = scene.parcel();
    let list = AddressList::new(vec![parcel.deposit.wrap]);
    let bytes = Bytes::from(list.encode());
    parcel.deposit.address_list = scene.hospital.suite.address(&bytes);
    parcel.deposit.address_root = list.root();
    parcel.records[1].bytes = bytes;
    parcel.chunks.clear();
    let problem = scene.refused_parcel(&parcel).await;
    assert_eq!(kind_and_code(&problem), (ErrorKind::Invalid, "invalid"), "{}", problem.message);
    assert!(problem.message.contains("no chunk"), "{}", problem.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envelope_of_another_hospital_version_type_or_suite_is_refused() {
    let mut scene = Scene::new().await;
    let foreign = HospitalId([42; 16]);
    let (suite, own) = (scene.hospital.suite, scene.hospital.id);
    let version = scene.hospital.fresh_version();
    let page = |of| Context::Manifest { version: of, page: 0, pages: 1, salt: [5; 32] };
    let wrap = |of| Context::Wrap { version: of, epoch: 1, wrap_no: 0, salt: [1; 32] };
    let summary = |of| Context::Summary { version: of, salt: [2; 32] };
    let parcel = scene.parcel();
    let this = parcel.deposit.version;
    let cases: Vec<(&str, usize, Bytes)> = vec![
        ("manifest of another hospital", 0, sealed(suite, foreign, page(this), 50, 1)),
        ("manifest of another version", 0, sealed(suite, own, page(version), 50, 1)),
        ("summary as manifest", 0, sealed(suite, own, summary(this), 50, 1)),
        ("manifest of another suite", 0, sealed(Suite::Cryptrec, own, page(this), 50, 1)),
        ("wrap of another hospital", 2, sealed(suite, foreign, wrap(this), 50, 1)),
        ("wrap of another version", 2, sealed(suite, own, wrap(version), 50, 1)),
        ("summary of another hospital", 3, sealed(suite, foreign, summary(this), 50, 1)),
        ("summary of another version", 3, sealed(suite, own, summary(version), 50, 1)),
        ("noise as summary", 3, Bytes::from_static(b"noise")),
    ];
    for (what, which, bytes) in cases {
        let mut wrong = parcel.clone();
        let address = suite.address(&bytes);
        match which {
            0 => wrong.deposit.manifest = address,
            2 => wrong.deposit.wrap = address,
            _ => wrong.deposit.summary = address,
        }
        wrong.records[which].bytes = bytes;
        let problem = scene.refused_parcel(&wrong).await;
        assert!(matches!(problem.code.as_str(), "malformed" | "invalid"), "{what}: {}", problem.message);
    }
    let foreign_chunk = sealed(suite, foreign, Context::Chunk, 50, 1);
    let wrong = scene.hospital.parcel("name", &[foreign_chunk]);
    assert_eq!(scene.refused_parcel(&wrong).await.code, "malformed");
    scene.still_takes_deposits().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_the_entry_does_not_name_are_refused() {
    let mut scene = Scene::new().await;
    let mut parcel = scene.parcel();
    let stray = scene.hospital.chunk(64, 5);
    parcel.records.push(InlineRecord { kind: RecordKind::Chunk, bytes: stray });
    let problem = scene.refused_parcel(&parcel).await;
    assert_eq!(kind_and_code(&problem), (ErrorKind::Invalid, "invalid"));
    assert!(problem.message.contains("does not name"), "{}", problem.message);
    let mut disguised = scene.parcel();
    disguised.records[2].kind = RecordKind::Summary;
    assert_eq!(scene.refused_parcel(&disguised).await.code, "invalid");
    scene.still_takes_deposits().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_must_be_what_its_address_says_and_of_this_hospital() {
    let scene = Scene::new().await;
    let suite = scene.hospital.suite;
    let before = scene.entries().await;
    let chunk = scene.hospital.chunk(5_000, 3);
    let mut flipped = chunk.to_vec();
    flipped[4_000] ^= 1;
    let foreign = sealed(suite, HospitalId([42; 16]), Context::Chunk, 100, 1);
    let noise = Bytes::from_static(b"not an envelope");
    let wrap = scene.hospital.sealed(
        Context::Wrap { version: shosoin_protocol::VersionId([1; 16]), epoch: 1, wrap_no: 0, salt: [0; 32] },
        40,
        1,
    );
    for (what, address, bytes) in [
        ("wrong digest", suite.address(&chunk), Bytes::from(flipped)),
        ("wrong address", Address([0; 32]), chunk.clone()),
        ("foreign hospital", suite.address(&foreign), foreign),
        ("no envelope", suite.address(&noise), noise),
        ("not a chunk", suite.address(&wrap), wrap),
    ] {
        let error = scene.vault.put_chunk(scene.hospital.id, address, bytes).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{what}: {error}");
    }
    let huge = Bytes::from(vec![0; RECORD_BYTES_MAX + 1]);
    let error = scene.vault.put_chunk(scene.hospital.id, suite.address(&huge), huge).await.unwrap_err();
    assert_eq!(error.problem().code, "malformed");
    assert_eq!(scene.entries().await, before);
    let set_aside = scene.vault.acts(scene.hospital.id, &[ActKind::QuarantineIn]).await.unwrap();
    assert_eq!(set_aside.len(), 3, "wrong digest, wrong address, foreign hospital");
    scene.still_takes_deposits().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_a_limit_is_refused_whole() {
    let mut scene = Scene::new().await;
    let before = scene.vault.counters();
    let too_many = vec![bare_entry(&scene.hospital); DEPOSIT_BATCH_MAX + 1];
    let error = scene.vault.deposit(scene.hospital.id, batch(too_many)).await.unwrap_err();
    assert_eq!(error.problem().code, "malformed");
    let addresses = vec![Address([0; 32]); 5_000];
    assert_eq!(scene.vault.missing(scene.hospital.id, &addresses).await.unwrap_err().problem().code, "malformed");
    let mut parcel = scene.parcel();
    let record = InlineRecord { kind: RecordKind::Chunk, bytes: Bytes::from_static(b"x") };
    parcel.records = vec![record; DEPOSIT_RECORDS_MAX + 1];
    assert_eq!(scene.refused_parcel(&parcel).await.code, "malformed");
    let mut parcel = scene.parcel();
    let version = parcel.deposit.version;
    let large = scene.hospital.sealed(
        Context::Summary { version, salt: [2; 32] },
        u32::try_from(SUMMARY_BYTES_MAX).unwrap(),
        1,
    );
    parcel.deposit.summary = scene.hospital.suite.address(&large);
    parcel.records[3].bytes = large;
    let problem = scene.refused_parcel(&parcel).await;
    assert!(problem.message.contains("1,088 KiB"), "{}", problem.message);
    assert_eq!(scene.vault.counters(), before);
    scene.still_takes_deposits().await;
}

fn bare_entry(hospital: &Hospital) -> DepositRequest {
    let change = DeviceChange::certify(hospital.log, true, hospital.device.key.public(), &hospital.hospital_key);
    bare(Entry::sign(hospital.device.statement(&hospital.named(), Body::Device(change)), &hospital.device.key))
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_refusal_the_rest_of_a_batch_is_out_of_sequence_and_what_came_before_stays() {
    let mut scene = Scene::new().await;
    let (kept, first) = scene.hospital.small("kept");
    let mut refused = scene.parcel();
    refused.deposit.expected = Expected::Version(scene.hospital.fresh_version());
    let second = scene.hospital.send(&refused);
    let (never, third) = scene.hospital.small("never");
    let replies = scene.vault.deposit(scene.hospital.id, batch([first, second, third])).await.unwrap().replies;
    assert!(replies[0].is_ok());
    assert_eq!(replies[1].as_ref().unwrap_err().code, code::EXPECTED_VERSION);
    assert_eq!(replies[2].as_ref().unwrap_err().code, code::OUT_OF_SEQUENCE);
    assert!(scene.vault.version(scene.hospital.id, kept.deposit.version).await.is_ok());
    let gone = scene.vault.version(scene.hospital.id, never.deposit.version).await;
    assert!(matches!(gone, Err(Error::NotFound { .. })));
    let chain = scene.vault.device(scene.hospital.id, scene.hospital.device.id()).await.unwrap();
    assert_eq!(chain.next_seq, 2);
    (scene.hospital.device.next_seq, scene.hospital.device.prev) = (chain.next_seq, chain.prev);
    scene.still_takes_deposits().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_may_count_on_records_of_the_one_before_it_in_its_batch() {
    let mut scene = Scene::new().await;
    let chunk = scene.hospital.chunk(9_000, 3);
    let first = scene.hospital.parcel("first", std::slice::from_ref(&chunk));
    let second = scene.hospital.parcel("second", &[chunk]);
    let requests = [scene.hospital.send(&first), {
        let entry = scene.hospital.device.sign(&scene.hospital.named(), second.body());
        request(&entry, &Parcel { chunks: Vec::new(), ..second.clone() })
    }];
    accept(&scene.vault, &mut scene.hospital, requests).await;
    assert_holds(&scene.vault, &scene.hospital, &[first, second]).await;
    scene.still_takes_deposits().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_of_one_batch_must_follow_each_other() {
    let mut scene = Scene::new().await;
    let (_, first) = scene.hospital.small("first");
    let start = Device { seen: scene.hospital.device.seen, ..Device::new(Suite::Default, 101) };
    let after = std::mem::replace(&mut scene.hospital.device, start);
    let chain = scene.vault.device(scene.hospital.id, scene.hospital.device.id()).await.unwrap();
    (scene.hospital.device.next_seq, scene.hospital.device.prev) = (chain.next_seq, chain.prev);
    let (_, rival) = scene.hospital.small("rival for the same place in the chain");
    let replies = scene.vault.deposit(scene.hospital.id, batch([first, rival])).await.unwrap().replies;
    assert!(replies[0].is_ok());
    assert_eq!(replies[1].as_ref().unwrap_err().code, code::OUT_OF_SEQUENCE);
    scene.hospital.device = after;
    scene.still_takes_deposits().await;
}
