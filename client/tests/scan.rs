//! The scan before sealing, against a peer that speaks ClamAV's protocol and misbehaves as no real one can be asked to. The
//! real daemon is in `tests/e2e/test_malware.py`.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, missing_docs, reason = "tests")]

mod common;

use bytes::Bytes;
use common::*;
use shosoin_client::scan::{Demand, ScanError, Scanner, ScannerAddress, ScannerOptions};
use shosoin_client::{Client, ClientOptions, Condition, Depositor, Enrolled, Error, Part, VerifyOptions};
use shosoin_protocol::Suite;
use shosoin_protocol::entry::{Body, Entry};
use shosoin_protocol::malware::{MalwareReport, ScanResult};
use shosoin_protocol::manifest::Versioning;
use shosoin_protocol::policy::Label;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

/// What the peer is like.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Nature {
    Honest,
    /// calls everything clean
    Blind,
    /// says something else
    Says(&'static str),
    /// hangs up without a word
    Mute,
}

/// Malware, as this peer knows it.
const BAD: &[u8] = b"~~ this is malware ~~";
/// Bytes that it scans.
const BYTES_MAX: u64 = 1 << 20;

/// A peer on a socket. What `BAD` or the EICAR string is in is infected.
fn peer(dir: &tempfile::TempDir, nature: Nature) -> PathBuf {
    let path = dir.path().join("clamd");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, nature));
        }
    });
    path
}

async fn answer(mut stream: UnixStream, nature: Nature) {
    let mut command = Vec::new();
    while command.last() != Some(&0) {
        let Ok(byte) = stream.read_u8().await else { return };
        command.push(byte);
    }
    if command == b"zVERSION\0" {
        stream.write_all(b"ClamAV 1.4.3\0").await.unwrap();
        return;
    }
    let mut seen = Vec::new();
    loop {
        let Ok(len) = stream.read_u32().await else { return };
        if len == 0 {
            break;
        }
        let mut frame = vec![0; len as usize];
        stream.read_exact(&mut frame).await.unwrap();
        seen.extend(frame);
        if seen.len() as u64 > BYTES_MAX {
            stream.write_all(b"INSTREAM size limit exceeded. ERROR\0").await.unwrap();
            return;
        }
    }
    let eicar = seen.windows(20).any(|window| window == b"STANDARD-ANTIVIRUS-T");
    let bad = seen.windows(BAD.len()).any(|window| window == BAD);
    let text: &[u8] = match (nature, eicar, bad) {
        (Nature::Honest, false, false) | (Nature::Blind, ..) => b"stream: OK\0",
        (Nature::Honest, true, _) => b"stream: Eicar FOUND\0",
        (Nature::Honest, _, true) => b"stream: Test.Malware FOUND\0",
        (Nature::Says(_), true, _) => b"stream: Eicar FOUND\0",
        (Nature::Says(text), ..) => text.as_bytes(),
        (Nature::Mute, true, _) => b"stream: Eicar FOUND\0",
        (Nature::Mute, ..) => return,
    };
    stream.write_all(text).await.unwrap();
}

fn options(dir: &tempfile::TempDir, path: PathBuf) -> ScannerOptions {
    let definitions = dir.path().join("definitions");
    std::fs::create_dir_all(&definitions).unwrap();
    std::fs::write(definitions.join("own.ndb"), "x").unwrap();
    ScannerOptions {
        definitions: Some(definitions),
        bytes_max: BYTES_MAX,
        ..ScannerOptions::new(ScannerAddress::Unix(path))
    }
}

/// A ward whose client scans with a peer of this nature.
async fn scanning_ward(dir: &tempfile::TempDir, nature: Nature) -> (Site, Arc<Wire>, Client) {
    let scanner = Scanner::new(options(dir, peer(dir, nature)));
    let site = Site::new(Suite::Default).await;
    let wire = site.wire("vault").await;
    let client_options = ClientOptions { scanner: Some(scanner), ..ClientOptions::new(site.state_dir()) };
    let client = Client::open(client_options, site.keyring(), wire.clone()).await.unwrap();
    client.create_bucket(bucket(Versioning::Off)).await.unwrap();
    (site, wire, client)
}

async fn put_result(client: &Client, name: &str, bytes: &[u8]) -> Result<(), Error> {
    let facts = client.bucket(BUCKET).unwrap().unwrap();
    let mut writer = client.writer(&facts, Label::Ordinary)?;
    for piece in bytes.chunks(70_000) {
        writer.push(Bytes::copy_from_slice(piece)).await?;
    }
    let content = writer.finish().await?;
    client.put_object(object(name), Part::single(content), Condition::Any).await.map(drop)
}

/// The malware report of an object, verified against the key that signed its entry.
async fn report_of(wire: &Wire, client: &Client, name: &str) -> MalwareReport {
    let row = client.lookup(BUCKET, name, None).unwrap().unwrap();
    let reply = wire.vault.version(wire.hospital, row.version).await.unwrap();
    let entry = Entry::decode(&reply.entry).unwrap();
    let Body::Deposit(deposit) = entry.body() else { panic!("a deposit") };
    let bytes = wire.vault.record(wire.hospital, deposit.report.unwrap()).await.unwrap();
    MalwareReport::verify(&bytes, &client.keyring().device_key().public()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn clean_content_of_every_size_is_deposited_with_a_report_that_verifies() {
    let dir = tempfile::tempdir().unwrap();
    let (_site, wire, client) = scanning_ward(&dir, Nature::Honest).await;
    for (name, len) in [("none", 0), ("small", 60_000), ("whole", 1 << 20), ("many", (1 << 20) + 1), ("more", 3 << 20)]
    {
        let bytes = noise(len as u64 + 5, len);
        put_result(&client, name, &bytes).await.unwrap();
        assert_eq!(get(&client, name).await.unwrap(), bytes);
        let report = report_of(&wire, &client, name).await;
        let pieces = (len as u64).div_ceil(BYTES_MAX).max(1);
        assert_eq!(u64::from(report.pieces), pieces, "{name}");
        let expected = if pieces == 1 { ScanResult::Clean } else { ScanResult::NotScannable };
        assert_eq!((report.result, report.engine.release), (expected, [1, 4, 3]));
        let proof = client.verify(BUCKET, name, None, VerifyOptions { content: true }).await.unwrap();
        assert_eq!(proof.scan.unwrap().result, expected.name());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn infected_content_is_refused_and_nothing_small_of_it_leaves_the_hospital() {
    let dir = tempfile::tempdir().unwrap();
    let (_site, wire, client) = scanning_ward(&dir, Nature::Honest).await;
    let before = Counts::get(&wire.counts.deposits);
    let small = [noise(1, 5000), BAD.to_vec(), noise(2, 9000)].concat();
    let error = put_result(&client, "small", &small).await.unwrap_err();
    assert!(matches!(&error, Error::Scan(ScanError::Infected { found }) if found == "Test.Malware"), "{error}");
    assert_eq!(Counts::get(&wire.counts.chunks), 0, "a small content is not even sealed");
    let large = [noise(3, 900_000), BAD.to_vec(), noise(4, 2_000_000)].concat();
    let error = put_result(&client, "large", &large).await.unwrap_err();
    assert!(matches!(error, Error::Scan(ScanError::Infected { .. })), "{error}");
    assert_eq!(Counts::get(&wire.counts.deposits), before);
    assert!(client.lookup(BUCKET, "small", None).unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn malware_that_is_cut_at_the_boundary_of_two_parts_is_found_when_they_are_joined() {
    let dir = tempfile::tempdir().unwrap();
    let (_site, wire, client) = scanning_ward(&dir, Nature::Honest).await;
    let (head, tail) = BAD.split_at(9);
    let first = write(&client, &[noise(5, 300_000), head.to_vec()].concat()).await;
    let second = write(&client, &[tail.to_vec(), noise(6, 1000)].concat()).await;
    assert!(first.scanned.is_some() && second.scanned.is_some(), "each alone is clean");
    let part = |number, content| Part { number, content, checksum: None };
    let multipart = shosoin_client::NewObject { multipart: true, ..object("joined") };
    let stored = client.put_object(multipart, vec![part(1, first), part(2, second)], Condition::Any).await;
    assert!(matches!(stored, Err(Error::Scan(ScanError::Infected { .. }))));
    let harmless = write(&client, &noise(7, 300_000)).await;
    let more = write(&client, &noise(8, 1000)).await;
    let multipart = shosoin_client::NewObject { multipart: true, ..object("joined") };
    client.put_object(multipart, vec![part(1, harmless), part(2, more)], Condition::Any).await.unwrap();
    assert_eq!(report_of(&wire, &client, "joined").await.result, ScanResult::Clean);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_scanned_again_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let (_site, wire, client) = scanning_ward(&dir, Nature::Honest).await;
    put_result(&client, "original", &noise(9, 700_000)).await.unwrap();
    let facts = client.bucket(BUCKET).unwrap().unwrap();
    let opened = client.open_object(BUCKET, "original", None).await.unwrap();
    let parts = opened.copy_parts(&facts, Label::Ordinary).await.unwrap();
    client.put_object(object("copy"), parts, Condition::Any).await.unwrap();
    let (of_copy, of_original) = (report_of(&wire, &client, "copy").await, report_of(&wire, &client, "original").await);
    assert_ne!(of_copy.content, of_original.content, "equal contents do not meet in their marks");
    assert_eq!(of_copy.result, ScanResult::Clean);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scanner_that_is_blind_mute_failing_or_not_there_lets_nothing_through() {
    let natures = [
        (Nature::Blind, "blind"),
        (Nature::Mute, "does not answer"),
        (Nature::Says("stream: Can't allocate memory ERROR\0"), "memory"),
        (Nature::Says("PONG\0"), "PONG"),
        (Nature::Says("stream: ok\0"), "ok"),
    ];
    for (nature, why) in natures {
        let dir = tempfile::tempdir().unwrap();
        let (_site, wire, client) = scanning_ward(&dir, nature).await;
        let before = Counts::get(&wire.counts.deposits);
        let error = put_result(&client, "a", &noise(1, 2000)).await.unwrap_err();
        let text = format!("{error}: {}", std::error::Error::source(&error).unwrap());
        assert!(matches!(error, Error::Scan(_)) && text.contains(why), "{nature:?}: {text}");
        assert_eq!(Counts::get(&wire.counts.deposits), before);
    }
    let dir = tempfile::tempdir().unwrap();
    let (_site, _wire, client) = scanning_ward(&dir, Nature::Honest).await;
    std::fs::remove_file(dir.path().join("clamd")).unwrap();
    let error = put_result(&client, "a", &noise(1, 2000)).await.unwrap_err();
    assert!(matches!(error, Error::Scan(ScanError::Unreachable { .. })), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn definitions_that_are_too_old_or_of_no_known_age_let_nothing_through_7_6_3_m3() {
    let dir = tempfile::tempdir().unwrap();
    let path = peer(&dir, Nature::Honest);
    let fresh = options(&dir, path.clone());
    let demand = Demand { definitions_hours_max: 0, in_pieces: false };
    let error = Scanner::new(fresh.clone()).begin(demand).await.unwrap_err();
    assert!(matches!(error, ScanError::Outdated { age_hours: 0, limit_hours: 0 }), "{error}");
    let undated = ScannerOptions { definitions: None, ..fresh.clone() };
    let demand = Demand { definitions_hours_max: 72, in_pieces: false };
    assert!(matches!(Scanner::new(undated).begin(demand).await, Err(ScanError::NoDate)));
    Scanner::new(fresh).begin(demand).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_over_the_limit_is_its_own_result_and_a_scanner_that_scans_less_than_it_should_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let path = peer(&dir, Nature::Honest);
    let scanner = Scanner::new(options(&dir, path.clone()));
    let demand = Demand { definitions_hours_max: 72, in_pieces: false };
    let mut scan = scanner.begin(demand).await.unwrap();
    let over = vec![0; BYTES_MAX as usize + 1];
    assert!(matches!(scan.push(&over).await, Err(ScanError::TooLong { limit: BYTES_MAX })));
    let mut scan = scanner.begin(Demand { in_pieces: true, ..demand }).await.unwrap();
    scan.push(&over).await.unwrap();
    assert_eq!(scan.finish().await.unwrap().pieces, 2);
    let hopeful = ScannerOptions { bytes_max: 2 * BYTES_MAX, ..options(&dir, path) };
    assert!(matches!(Scanner::new(hopeful).begin(demand).await, Err(ScanError::ShortSighted { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_only_deposits_has_its_content_scanned_and_the_hospital_checks_whose_content_that_was_7_6_3() {
    for suite in Suite::ALL {
        let dir = tempfile::tempdir().unwrap();
        let (site, wire, client) = ward(suite, Versioning::Off).await;
        let Enrolled { keyring, terms, enrolment } = client.enrol_depositor(BUCKET, "machine/", None).await.unwrap();
        wire.vault.enrol(&enrolment).unwrap();
        let device_key = keyring.device_key().public();
        let scanner = Some(Scanner::new(options(&dir, peer(&dir, Nature::Honest))));
        let machine_options = ClientOptions { scanner, ..ClientOptions::new(site.dir.path().join("machine")) };
        let mut machine = Depositor::open(machine_options, keyring, terms, wire.clone()).await.unwrap();
        let content = async |machine: &Depositor, bytes: &[u8]| {
            let mut writer = machine.writer()?;
            writer.push(Bytes::copy_from_slice(bytes)).await?;
            writer.finish().await
        };
        let clean = content(&machine, &noise(1, 300_000)).await.unwrap();
        machine.deposit("machine/clean", clean).await.unwrap();
        let deposits = Counts::get(&wire.counts.deposits);
        let infected = content(&machine, BAD).await;
        assert!(matches!(infected, Err(Error::Scan(ScanError::Infected { .. }))));
        assert_eq!(Counts::get(&wire.counts.deposits), deposits);

        client.refresh().await.unwrap();
        let proof = client.verify(BUCKET, "machine/clean", None, VerifyOptions { content: true }).await.unwrap();
        assert_eq!(proof.scan.unwrap().result, ScanResult::Clean.name());
        let row = client.lookup(BUCKET, "machine/clean", None).unwrap().unwrap();
        let reply = wire.vault.version(wire.hospital, row.version).await.unwrap();
        let Body::Deposit(deposit) = Entry::decode(&reply.entry).unwrap().body().clone() else { panic!("a deposit") };
        let report = wire.vault.record(wire.hospital, deposit.report.unwrap()).await.unwrap();
        MalwareReport::verify(&report, &device_key).unwrap();
    }
}
