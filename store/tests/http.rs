//! The vault API from outside: who gets past the handshake, and what each request that is not as it should be gets.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod common;

use bytes::Bytes;
use common::tls::AnyVault;
use common::{Hospital, NOW_MS, Site, address};
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use shosoin_protocol::act::agreement::{RetryRule, ScanRule, Scanning, Terms};
use shosoin_protocol::api::{DepositReplies, Enrolment, Hello, InlineRecord, Problem, code};
use shosoin_protocol::malware::{Engine, MalwareReport, ScanResult};
use shosoin_protocol::suite::sha256;
use shosoin_protocol::{Digest, ErrorKind, RecordKind, Suite};
use shosoin_store::audit::{Action, AuditQuery, Outcome};
use shosoin_store::http::{HttpOptions, Server};
use shosoin_store::{IndexKind, Vault};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A TLS key with its certificate, as a hospital has one.
struct Key {
    certificate: CertificateDer<'static>,
    pkcs8: Vec<u8>,
    pin: [u8; 32],
}

impl Key {
    fn new() -> Key {
        let made = rcgen::generate_simple_self_signed(["hospital".to_owned()]).unwrap();
        let info = rustls::server::ParsedCertificate::try_from(made.cert.der()).unwrap().subject_public_key_info();
        Key { certificate: made.cert.der().clone(), pkcs8: made.signing_key.serialize_der(), pin: sha256(&[&info]).0 }
    }
}

/// A served vault and one enrolled hospital.
struct Served {
    site: Site,
    vault: Vault,
    hospital: Hospital,
    key: Key,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

impl Served {
    async fn new() -> Served {
        let site = Site::on_disk(IndexKind::Memory).await;
        let vault = site.open().await;
        let (hospital, key) = (Hospital::new(Suite::Default, 1, vault.id()), Key::new());
        let enrolment = Enrolment {
            suite: hospital.suite,
            hospital: hospital.id,
            hospital_key: hospital.hospital_key.public(),
            device_key: hospital.device.key.public(),
            tls_pin: key.pin,
        };
        vault.enrol(&enrolment.sign(&hospital.hospital_key)).unwrap();
        let options = HttpOptions { stall_timeout: Duration::from_millis(300), ..HttpOptions::default() };
        let server = Server::bind(vault.clone(), "127.0.0.1:0".parse().unwrap(), options).await.unwrap();
        let address = server.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(server.run(async { stopped.await.unwrap_or_default() }));
        Served { site, vault, hospital, key, address, stop, running }
    }

    async fn connect(&self, key: Option<&Key>) -> TlsStream<TcpStream> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyVault));
        let config = match key {
            None => builder.with_no_client_auth(),
            Some(key) => {
                let pkcs8 = PrivatePkcs8KeyDer::from(key.pkcs8.clone());
                builder.with_client_auth_cert(vec![key.certificate.clone()], pkcs8.into()).unwrap()
            }
        };
        let stream = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::try_from("vault").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
    }

    /// Sends a request on a connection of its own; its answer.
    async fn ask(&self, head: &str, body: &[u8]) -> Answer {
        let mut stream = self.connect(Some(&self.key)).await;
        stream.write_all(format!("{head}\r\nhost: vault\r\nconnection: close\r\n\r\n").as_bytes()).await.unwrap();
        stream.write_all(body).await.unwrap();
        Answer::read(&mut stream).await
    }

    async fn end(self) {
        self.stop.send(()).unwrap();
        self.running.await.unwrap();
        self.vault.close().await.unwrap();
        drop(self.site);
    }
}

/// An answer of HTTP/1.1 on a connection that then ends.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    async fn read(stream: &mut TlsStream<TcpStream>) -> Answer {
        let mut bytes = Vec::new();
        // a connection that ends without a TLS goodbye is an error after its last byte
        let _ = stream.read_to_end(&mut bytes).await;
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_ascii_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head, body: bytes[end + 4..].to_vec() }
    }

    /// Panics unless it is this problem, with the status of its kind.
    fn is_problem(&self, kind: ErrorKind, code: &str) {
        let problem: Problem = serde_json::from_slice(&self.body).unwrap();
        assert_eq!((problem.kind(), problem.code.as_str()), (kind, code), "{problem:?}");
        assert_eq!(self.status, kind.http_status());
        assert_eq!(self.head.contains("retry-after"), kind == ErrorKind::Unavailable);
    }
}

#[tokio::test]
async fn an_enrolled_hospital_is_greeted_as_itself() {
    let served = Served::new().await;
    let answer = served.ask("GET /v1/hello HTTP/1.1", b"").await;
    let hello: Hello = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((answer.status, hello.hospital), (200, served.hospital.id.to_string()));
    served.end().await;
}

#[tokio::test]
async fn a_key_without_an_enrolment_and_no_key_at_all_are_refused_in_the_handshake() {
    let served = Served::new().await;
    let stranger = Key::new();
    for (key, alert) in [(Some(&stranger), "AccessDenied"), (None, "CertificateRequired")] {
        let mut stream = served.connect(key).await;
        let error = stream.read_to_end(&mut Vec::new()).await.unwrap_err();
        assert!(format!("{error:?}").contains(alert), "{error:?}");
    }
    served.end().await;
}

#[tokio::test]
async fn what_is_not_in_the_table_is_not_found() {
    let served = Served::new().await;
    for head in ["GET /v2/hello HTTP/1.1", "DELETE /v1/hello HTTP/1.1", "GET / HTTP/1.1"] {
        served.ask(head, b"").await.is_problem(ErrorKind::NotFound, "no-route");
    }
    let zeros = "0".repeat(64);
    served.ask(&format!("GET /v1/records/{zeros} HTTP/1.1"), b"").await.is_problem(ErrorKind::NotFound, "not-found");
    served.end().await;
}

#[tokio::test]
async fn a_malformed_request_is_invalid() {
    let served = Served::new().await;
    for (head, body) in [
        ("GET /v1/records/ABCD HTTP/1.1", b"" as &[u8]),
        ("GET /v1/log/entries?from=x&size=1 HTTP/1.1", b""),
        ("POST /v1/chunks/missing HTTP/1.1\r\ncontent-length: 3", b"abc"),
        ("POST /v1/deposits HTTP/1.1\r\ncontent-length: 3", b"abc"),
    ] {
        served.ask(head, body).await.is_problem(ErrorKind::Invalid, "malformed");
    }
    served.end().await;
}

#[tokio::test]
async fn a_body_must_announce_its_length_and_keep_to_its_limit() {
    let served = Served::new().await;
    let path = format!("/v1/chunks/{}", "0".repeat(64));
    let chunked = served.ask(&format!("PUT {path} HTTP/1.1\r\ntransfer-encoding: chunked"), b"0\r\n\r\n").await;
    chunked.is_problem(ErrorKind::Invalid, "length-required");
    let endless = served.ask(&format!("PUT {path} HTTP/1.1\r\ncontent-length: 99999999999"), b"").await;
    endless.is_problem(ErrorKind::Invalid, "over-limit");
    served.end().await;
}

#[tokio::test]
async fn a_body_that_stops_coming_is_given_up_and_may_be_sent_again() {
    let served = Served::new().await;
    let head = format!("PUT /v1/chunks/{} HTTP/1.1\r\ncontent-length: 100", "0".repeat(64));
    served.ask(&head, b"only this").await.is_problem(ErrorKind::Unavailable, "body-cut");
    served.end().await;
}

#[tokio::test]
async fn a_chunk_comes_back_exact_and_one_under_a_wrong_address_is_refused() {
    let served = Served::new().await;
    let chunk = served.hospital.chunk(300_000, 7);
    let right = address(served.hospital.suite, &chunk);
    let put = |address: String| format!("PUT /v1/chunks/{address} HTTP/1.1\r\ncontent-length: {}", chunk.len());
    assert_eq!(served.ask(&put(right.to_string()), &chunk).await.status, 200);
    assert!(served.ask(&format!("GET /v1/records/{right} HTTP/1.1"), b"").await.body == chunk);
    let wrong = served.ask(&put("0".repeat(64)), &chunk).await;
    assert_eq!(wrong.status, ErrorKind::Invalid.http_status());
    served.end().await;
}

#[tokio::test]
async fn who_reads_is_on_record_with_device_and_address_before_the_answer_7_6_12_s2() {
    let served = Served::new().await;
    let chunk = served.hospital.chunk(300_000, 7);
    let right = address(served.hospital.suite, &chunk);
    let put = format!("PUT /v1/chunks/{right} HTTP/1.1\r\ncontent-length: {}", chunk.len());
    assert_eq!(served.ask(&put, &chunk).await.status, 200);
    let reads = || {
        let query = AuditQuery { actions: vec![Action::RecordsRead], ..AuditQuery::default() };
        served.vault.audit().read(&query).unwrap()
    };
    assert!(reads().is_empty(), "to store is not to read");
    for _ in 0..3 {
        assert_eq!(served.ask(&format!("GET /v1/records/{right} HTTP/1.1"), b"").await.status, 200);
    }
    let begun = reads();
    assert_eq!(begun.len(), 1, "once in a minute");
    let event = &begun[0].event;
    assert_eq!((event.outcome, event.source), (Outcome::Begun, Some([127, 0, 0, 1].into())));
    let device = served.hospital.device.key.public().device_id();
    assert_eq!((&event.actor, event.hospital), (&format!("device:{device}"), Some(served.hospital.id)));
    served.site.clock.advance(61_000);
    assert_eq!(served.ask(&format!("GET /v1/records/{right} HTTP/1.1"), b"").await.status, 200);
    let all = reads();
    let outcomes: Vec<Outcome> = all.iter().map(|record| record.event.outcome).collect();
    assert_eq!(outcomes, [Outcome::Begun, Outcome::Done, Outcome::Begun]);
    let counted = &all[1].event;
    assert_eq!((counted.units, counted.bytes, counted.duration_ms), (3, 3 * chunk.len() as u64, 61_000));
    served.end().await;
}

#[tokio::test]
async fn a_drain_finishes_the_request_that_was_begun() {
    let served = Served::new().await;
    let chunk = served.hospital.chunk(100_000, 7);
    let address = address(served.hospital.suite, &chunk);
    let (first, rest) = chunk.split_at(50_000);
    let mut stream = served.connect(Some(&served.key)).await;
    let head = format!(
        "PUT /v1/chunks/{address} HTTP/1.1\r\nhost: vault\r\ncontent-length: {}\r\nexpect: 100-continue\r\n\r\n",
        chunk.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut begun = [0; 25]; // "HTTP/1.1 100 Continue\r\n\r\n": the vault is reading the body
    stream.read_exact(&mut begun).await.unwrap();
    stream.write_all(first).await.unwrap();
    let Served { vault, stop, running, .. } = served;
    stop.send(()).unwrap();
    stream.write_all(rest).await.unwrap();
    assert_eq!(Answer::read(&mut stream).await.status, 200);
    running.await.unwrap();
    vault.close().await.unwrap();
}

#[tokio::test]
async fn a_peer_that_goes_away_in_the_middle_of_a_body_is_one_failed_transfer_and_a_stop_is_told_over_the_line_7_6_8_m4d()
 {
    let mut served = Served::new().await;
    let first = served.hospital.first_entry();
    common::accept(&served.vault, &mut served.hospital, [first]).await;
    let retry = RetryRule { failures_max: 2, window_minutes: 60 };
    common::agree(&served.vault, &mut served.hospital, |terms| Terms { retry, ..terms }).await;
    let chunk = served.hospital.chunk(5000, 1);
    let head =
        format!("PUT /v1/chunks/{} HTTP/1.1\r\ncontent-length: {}", address(Suite::Default, &chunk), chunk.len());
    let failures = async |served: &Served| {
        let status = served.vault.status().await.unwrap();
        status.hospitals[0].line.as_ref().unwrap().failures
    };
    for _ in 0..3 {
        let mut stream = served.connect(Some(&served.key)).await;
        stream.write_all(format!("{head}\r\nhost: vault\r\n\r\n").as_bytes()).await.unwrap();
        stream.write_all(&chunk[..1000]).await.unwrap();
        stream.flush().await.unwrap();
        drop(stream);
    }
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while failures(&served).await == 0 {
        assert!(std::time::Instant::now() < deadline, "what was cut is not counted");
        tokio::task::yield_now().await;
    }
    assert_eq!(served.ask(&head, &chunk).await.status, 200);
    assert_eq!(failures(&served).await, 1, "three that were cut at once have one cause");
    let other = address(Suite::Default, &served.hospital.chunk(5000, 2));
    let head = format!("PUT /v1/chunks/{other} HTTP/1.1\r\ncontent-length: {}", chunk.len());
    served.ask(&head, &chunk).await.is_problem(ErrorKind::Invalid, "malformed");
    served.ask("GET /v1/hello HTTP/1.1", b"").await.is_problem(ErrorKind::Refused, "communication-stopped");
    served.end().await;
}

#[tokio::test]
async fn a_forged_malware_report_that_comes_over_the_line_stores_nothing_and_is_kept_as_evidence_3_4_p2_3_4_r7() {
    let mut served = Served::new().await;
    let first = served.hospital.first_entry();
    common::accept(&served.vault, &mut served.hospital, [first]).await;
    let scan =
        ScanRule { scanning: Scanning::Required, definitions_hours_max: 48, scan_hours_max: 12, packed_hours_max: 12 };
    common::agree(&served.vault, &mut served.hospital, |terms| Terms { scan, ..terms }).await;
    let hospital = &mut served.hospital;
    let (seq, prev) = (hospital.device.next_seq, hospital.device.prev);
    let mut parcel = hospital.parcel("never scanned", &[]);
    let report = MalwareReport {
        suite: hospital.suite,
        result: ScanResult::Clean,
        hospital: hospital.id,
        version: parcel.deposit.version,
        device: hospital.device.id(),
        engine: Engine { release: [1, 4, 3], definitions_version: 5, definitions_ms: NOW_MS - 3_600_000 },
        pieces: 1,
        scanned_ms: NOW_MS - 1000,
        content: Digest([3; 32]),
    };
    // the deposit itself is the device's; the report was made by somebody who never had its key
    let forged = Bytes::from(report.sign(&common::key(Suite::Default, 77)));
    parcel.deposit.report = Some(address(Suite::Default, &forged));
    parcel.records.push(InlineRecord { kind: RecordKind::Document, bytes: forged });
    let request = hospital.send(&parcel);
    (hospital.device.next_seq, hospital.device.prev) = (seq, prev);
    let body = common::batch([request]).encode();
    let head = format!("POST /v1/deposits HTTP/1.1\r\ncontent-length: {}", body.len());
    let answer = served.ask(&head, &body).await;
    assert_eq!(answer.status, 200, "a batch is answered deposit by deposit");
    let replies = DepositReplies::decode(&answer.body).unwrap().replies;
    let problem = replies.into_iter().next().unwrap().unwrap_err();
    assert_eq!((problem.kind(), problem.code.as_str()), (ErrorKind::Refused, code::MALWARE_REPORT));
    assert!(problem.message.contains("does not verify"), "{}", problem.message);
    let (id, version) = (served.hospital.id, parcel.deposit.version);
    assert_eq!(served.vault.version(id, version).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert!(served.vault.record(id, parcel.deposit.wrap).await.is_err(), "nothing of it is held");
    let held = served.vault.status().await.unwrap().hospitals[0].quarantine.unwrap().items;
    assert_eq!(held, 1, "what came is evidence");
    served.end().await;
}
