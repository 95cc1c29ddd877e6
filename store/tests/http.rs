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
use shosoin_store::accounts::Caller;
use shosoin_store::applicability::{State, StatementRequest};
use shosoin_store::audit::{Action, AuditEvent, AuditQuery, Outcome};
use shosoin_store::http::{HttpOptions, Server};
use shosoin_store::network::LineConfig;
use shosoin_store::{Config, Error, IndexKind, Vault, VolumeSpec};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
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
        Served::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Config)) -> Served {
        let site = Site::on_disk(IndexKind::Memory).await;
        let mut config = Config::load(&site.path()).unwrap();
        change(&mut config);
        std::fs::write(site.path().join("vault.toml"), toml::to_string(&config).unwrap()).unwrap();
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
        self.connect_from("127.0.0.1", key).await.unwrap()
    }

    /// Connects from another address of this host.
    async fn connect_from(&self, from: &str, key: Option<&Key>) -> std::io::Result<TlsStream<TcpStream>> {
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
        let socket = TcpSocket::new_v4()?;
        socket.bind(format!("{from}:0").parse().unwrap())?;
        let stream = socket.connect(self.address).await?;
        let name = ServerName::try_from("vault").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    /// Sends a request on a connection of its own; its answer.
    async fn ask(&self, head: &str, body: &[u8]) -> Answer {
        let mut stream = self.connect(Some(&self.key)).await;
        stream.write_all(format!("{head}\r\nhost: vault\r\nconnection: close\r\n\r\n").as_bytes()).await.unwrap();
        stream.write_all(body).await.unwrap();
        Answer::read(&mut stream).await
    }

    /// What the audit log has of connections: by whom, from where, how it ended, why.
    fn connections(&self) -> Vec<(String, String, Outcome, String)> {
        let actions = vec![Action::Connected, Action::ConnectionRefused];
        let records = self.vault.audit().read(&AuditQuery { actions, ..AuditQuery::default() }).unwrap();
        let from = |source: Option<std::net::IpAddr>| source.map(|from| from.to_string()).unwrap_or_default();
        let event = |event: AuditEvent| (event.actor, from(event.source), event.outcome, event.reason);
        records.into_iter().map(|record| event(record.event)).collect()
    }

    /// Waits until somebody is on record who was turned away for this reason.
    async fn turned_away(&self, why: &str) -> (String, String) {
        let seen = async {
            loop {
                let refused = |(.., outcome, reason): &&(String, String, Outcome, String)| {
                    *outcome == Outcome::Refused && reason.contains(why)
                };
                if let Some((actor, from, ..)) = self.connections().iter().find(refused) {
                    return (actor.clone(), from.clone());
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), seen)
            .await
            .unwrap_or_else(|_| panic!("{why}: {:?}", self.connections()))
    }

    async fn control(&self, id: &str) -> (State, String) {
        let statement = self.vault.applicability(StatementRequest::default(), Caller::this_process()).await.unwrap();
        let line = statement.controls.into_iter().find(|line| line.id == id).unwrap();
        (line.state, line.evidence)
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

/// The line of the hospital that [`Served`] enrols.
fn line(from: &[&str], hours: &[&str]) -> LineConfig {
    let hours = serde_json::from_value(serde_json::json!(hours)).unwrap();
    LineConfig { hospital: "01".repeat(16), from: from.iter().map(|net| net.parse().unwrap()).collect(), hours }
}

const HELLO: &[u8] = b"GET /v1/hello HTTP/1.1\r\nhost: vault\r\n\r\n";

/// Sends a request on a connection that stays open; the first bytes of its answer.
async fn ask_on(stream: &mut TlsStream<TcpStream>) -> String {
    stream.write_all(HELLO).await.unwrap();
    let mut answer = vec![0; 4096];
    let len = stream.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..len]).into_owned()
}

#[tokio::test]
async fn a_hospital_is_answered_on_its_declared_line_alone_and_who_is_not_is_on_record_3_4_r3_7_6_6_m9() {
    let other = LineConfig { hospital: "07".repeat(16), ..line(&["127.0.0.3/32"], &[]) };
    let served = Served::with(|config| config.network.lines = vec![line(&["127.0.0.2/32"], &[]), other]).await;
    let key = Some(&served.key);
    let mut own = served.connect_from("127.0.0.2", key).await.unwrap();
    assert!(ask_on(&mut own).await.starts_with("HTTP/1.1 200"));

    served.connect_from("127.0.0.4", key).await.unwrap_err();
    let (actor, from) = served.turned_away("no line is declared from this address").await;
    assert_eq!((actor.as_str(), from.as_str()), ("unknown", "127.0.0.4"), "before anybody asked for a key");

    let mut astray = served.connect_from("127.0.0.3", key).await.unwrap();
    assert_eq!(astray.read_to_end(&mut Vec::new()).await.unwrap_or(0), 0, "no answer on the line of another hospital");
    let (actor, from) = served.turned_away("does not come from this address").await;
    assert!(actor.starts_with("device:") && from == "127.0.0.3", "{actor} {from}");
    let page = served.vault.metrics().await.unwrap();
    assert!(page.contains("shosoin_connections_refused_total{why=\"no-line\"} 1"), "{page}");
    assert!(page.contains("shosoin_connections_refused_total{why=\"other-line\"} 1"), "{page}");
    let network = served.vault.status().await.unwrap().network.unwrap();
    assert_eq!((network.lines.len(), network.connections), (2, 1));
    let findings = served.vault.status().await.unwrap().findings;
    assert_eq!(findings.iter().filter(|finding| finding.code == "line-of-nobody").count(), 1, "the other's");
    served.end().await;
}

#[tokio::test]
async fn outside_its_hours_a_line_is_closed_on_open_connections_too_7_6_6_m9() {
    let served = Served::with(|config| {
        config.network.lines = vec![line(&["127.0.0.0/8"], &["Sun-Sun 17:00-18:00"])]; // it is 17:46 in these tests
    })
    .await;
    let mut open = served.connect(Some(&served.key)).await;
    assert!(ask_on(&mut open).await.starts_with("HTTP/1.1 200"));
    served.site.clock.advance(15 * 60_000);
    let answer = ask_on(&mut open).await;
    assert!(answer.contains("off-line") && answer.contains("closed at this hour"), "{answer}");
    served.connect_from("127.0.0.1", Some(&served.key)).await.unwrap_err();
    served.turned_away("closed at this hour").await;
    served.end().await;
}

#[tokio::test]
async fn who_connects_is_on_record_before_they_are_answered_once_an_hour_with_a_count_and_so_is_who_may_not_7_6_6_m11()
{
    let served = Served::new().await;
    assert_eq!(served.control("7.6.6-M11").await.0, State::NotShown, "nobody connected yet");
    for _ in 0..5 {
        assert_eq!(served.ask("GET /v1/hello HTTP/1.1", b"").await.status, 200);
    }
    let device = format!("device:{}", served.hospital.device.id());
    let one = (device.clone(), "127.0.0.1".to_owned(), Outcome::Begun, String::new());
    assert_eq!(served.connections(), std::slice::from_ref(&one), "five connections are one record");
    let stranger = Key::new();
    let _ = served.connect(Some(&stranger)).await.read_to_end(&mut Vec::new()).await;
    served.turned_away("no enrolment names this key").await;
    let _ = served.connect(None).await.read_to_end(&mut Vec::new()).await;
    served.turned_away("no key was shown").await;
    let mut no_tls = TcpStream::connect(served.address).await.unwrap();
    no_tls.write_all(b"USER anonymous\r\n").await.unwrap();
    let _ = no_tls.read_to_end(&mut Vec::new()).await;
    assert_eq!(served.turned_away("no handshake in TLS 1.3").await.1, "127.0.0.1");
    for id in ["7.6.6-M11", "3.4-R3"] {
        let (_, evidence) = served.control(id).await;
        assert!(
            !evidence.contains("connection-log: does not hold") && !evidence.contains("no-ftp: does not hold"),
            "{evidence}"
        );
    }
    served.site.clock.advance(3_600_000);
    assert_eq!(served.ask("GET /v1/hello HTTP/1.1", b"").await.status, 200);
    let actions = vec![Action::Connected];
    let records = served.vault.audit().read(&AuditQuery { actions, ..AuditQuery::default() }).unwrap();
    let said: Vec<_> = records.iter().map(|record| (record.event.outcome, record.event.units)).collect();
    assert_eq!(said, [(Outcome::Begun, 0), (Outcome::Done, 5), (Outcome::Begun, 0)]);
    assert_eq!(records[1].event.hospital, Some(served.hospital.id));
    served.end().await;
}

#[tokio::test]
async fn the_vault_is_configured_to_reach_declared_servers_alone_7_6_6_m9() {
    let site = Site::on_disk(IndexKind::Memory).await;
    let path = site.path().join("vault.toml");
    let mut config = Config::load(&site.path()).unwrap();
    config.notify = vec![toml::from_str("name = 'desk'\nurl = 'https://alarm.example/hook'").unwrap()];
    config.network.outward = Some(vec!["alarm.example:443".to_owned()]);
    std::fs::write(&path, toml::to_string(&config).unwrap()).unwrap();
    let vault = site.open().await;
    let statement = vault.applicability(StatementRequest::default(), Caller::this_process()).await.unwrap();
    let line = statement.controls.into_iter().find(|line| line.id == "7.6.6-M9").unwrap();
    assert!(line.state == State::Met && line.evidence.contains("alarm.example:443"), "{}", line.evidence);
    vault.close().await.unwrap();
    drop(vault);
    config.volumes.push(VolumeSpec::in_store("s3://elsewhere/v07"));
    std::fs::write(&path, toml::to_string(&config).unwrap()).unwrap();
    let error = Vault::open(&site.path(), site.options.clone()).await.err().unwrap();
    assert!(matches!(&error, Error::Config { why, .. } if why.contains("s3://elsewhere")), "{error}");
}

/// Every file of the operator's crates that can open a connection by itself.
#[test]
fn connections_go_out_from_channels_of_alarms_and_archive_volumes_and_from_nowhere_else_7_6_6_m9() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = Vec::new();
    for folder in ["store/src", "tiers/src", "archive/src"] {
        for file in common::files(&root.join(folder)) {
            let text = std::fs::read_to_string(&file).unwrap();
            let reaches = [
                "reqwest::",
                "lettre::",
                "TcpStream::connect",
                "UdpSocket",
                "object_store::aws",
                "object_store::azure",
            ];
            if reaches.iter().any(|word| text.contains(word)) {
                found.push(file.strip_prefix(&root).unwrap().display().to_string());
            }
        }
    }
    found.sort_unstable();
    assert_eq!(found, ["archive/src/connect.rs", "archive/src/credentials.rs", "store/src/notify/channel.rs"]);
}
