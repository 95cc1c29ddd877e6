//! A hospital that is enrolled and means no good, or whose software is broken: whatever it sends, nobody panics, no
//! answer is a failure of the vault's own, the log only grows by what was acknowledged, and the next good deposit is
//! taken.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::*;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use shosoin_protocol::api::{DepositBatch, Enrolment};
use shosoin_protocol::checkpoint::Checkpoint;
use shosoin_protocol::entry::{Entry, Seen};
use shosoin_protocol::suite::sha256;
use shosoin_protocol::{Suite, merkle};
use shosoin_store::http::{HttpOptions, Server};
use shosoin_store::{IndexKind, Vault};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_rustls::TlsConnector;

/// One step of damage; positions wrap around the length.
#[derive(Debug, Clone)]
enum Damage {
    Flip(usize, u8),
    Set(usize, u8),
    Cut(usize),
    Insert(usize, u8),
    Remove(usize),
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
            Damage::Remove(at) => drop(bytes.remove(at % len)),
        }
    }
}

/// Half of all damage is near the beginning, where the fields are.
fn damage() -> impl Strategy<Value = Damage> {
    let at = || prop_oneof![0..1_200usize, any::<usize>()];
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        (at(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        at().prop_map(Damage::Cut),
        (at(), any::<u8>()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
        at().prop_map(Damage::Remove),
    ]
}

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() })
}

/// The newest head, which must continue `before`.
async fn head_after(vault: &Vault, hospital: &Hospital, before: &Checkpoint) -> Checkpoint {
    let key = vault_key(vault, hospital.id).await;
    let head = Checkpoint::verify(&vault.checkpoint(hospital.id).await.unwrap(), &key).unwrap();
    let proof = vault.consistency(hospital.id, before.size, head.size).await.unwrap();
    merkle::verify_consistency((before.size, &before.root), (head.size, &head.root), &proof).unwrap();
    head
}

/// Takes up the device's chain where the vault says it stands.
async fn resume(vault: &Vault, hospital: &mut Hospital, head: &Checkpoint) {
    let standing = vault.device(hospital.id, hospital.device.id()).await.unwrap();
    (hospital.device.next_seq, hospital.device.prev) = (standing.next_seq, standing.prev);
    hospital.device.seen = Seen { size: head.size, root: head.root };
}

#[test]
fn a_damaged_deposit_is_refused_or_is_what_its_device_signed() {
    let runtime = Runtime::new().unwrap();
    let site = runtime.block_on(Site::on_disk(IndexKind::Fjall));
    let vault = runtime.block_on(site.open());
    let mut hospital = runtime.block_on(enrolled(&vault, Suite::Default, 1));
    let mut head = runtime.block_on(async {
        let key = vault_key(&vault, hospital.id).await;
        Checkpoint::verify(&vault.checkpoint(hospital.id).await.unwrap(), &key).unwrap()
    });
    let (mut refused, mut taken) = (0, 0);
    let steps = proptest::collection::vec(damage(), 0..3);
    let mut seen = std::collections::HashSet::new();
    let state = std::cell::RefCell::new((&mut hospital, &mut head, &mut refused, &mut taken, &mut seen));
    let outcome = runner(192).run(&steps, |steps| {
        let (hospital, head, refused, taken, evidence_seen) = &mut *state.borrow_mut();
        runtime.block_on(async {
            resume(&vault, hospital, head).await;
            let mut bytes = batch([hospital.small("name").1, hospital.marker("name").1]).encode();
            steps.iter().for_each(|step| step.apply(&mut bytes));
            let Ok(damaged) = DepositBatch::decode(&bytes.into()) else {
                **refused += 1;
                return Ok(());
            };
            let replies = vault.deposit(hospital.id, damaged.clone()).await.unwrap().replies;
            prop_assert_eq!(replies.len(), damaged.deposits.len());
            let (mut accepted, mut set_aside) = (0, 0);
            for (reply, deposit) in replies.iter().zip(&damaged.deposits) {
                match reply {
                    Ok(receipt) => {
                        let entry = Entry::decode(&deposit.entry).unwrap();
                        entry.verify(&hospital.device.key.public()).unwrap();
                        receipt.verify(&entry.leaf_hash(), &vault_key(&vault, hospital.id).await).unwrap();
                        accepted += 1;
                    }
                    Err(problem) => {
                        prop_assert!(problem.kind().http_status() != 500, "{problem:?}");
                        let evidence =
                            problem.message.split_once("quarantine as ").map(|(_, after)| after[..32].to_owned());
                        set_aside += usize::from(evidence.is_some_and(|id| evidence_seen.insert(id)));
                    }
                }
            }
            **refused += replies.len() - accepted;
            **taken += accepted;
            let after = head_after(&vault, hospital, head).await;
            prop_assert_eq!(after.size, head.size + (accepted + set_aside) as u64);
            **head = after;
            Ok(())
        })
    });
    outcome.unwrap();
    assert!(refused > 50 && taken > 50, "both happened often: {refused} refused, {taken} taken");
    runtime.block_on(async {
        resume(&vault, &mut hospital, &head).await;
        let (_, request) = hospital.small("after");
        accept(&vault, &mut hospital, [request]).await;
        assert_clean(&vault).await;
    });
}

/// A TLS client that takes the vault as it is and shows the certificate of a hospital.
struct Caller {
    connector: TlsConnector,
    address: SocketAddr,
}

impl Caller {
    /// Sends `bytes` on a connection of its own and gives everything that comes back until the vault closes it.
    async fn send(&self, bytes: &[u8]) -> Vec<u8> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::try_from("vault").unwrap();
        let mut stream = self.connector.connect(name, stream).await.unwrap();
        let _ = stream.write_all(bytes).await; // the vault may have answered and closed before all of it arrived
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        answer
    }
}

#[derive(Debug)]
struct AnyVault(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyVault {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.3 only".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Enrols a hospital whose TLS key the caller holds, and begins its log.
async fn calling(vault: &Vault, address: SocketAddr) -> (Hospital, Caller) {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["hospital".to_owned()]).unwrap().self_signed(&key).unwrap();
    let mut hospital = Hospital::new(Suite::Default, 1, vault.id());
    let enrolment = Enrolment {
        suite: hospital.suite,
        hospital: hospital.id,
        hospital_key: hospital.hospital_key.public(),
        device_key: hospital.device.key.public(),
        tls_pin: sha256(&[&rcgen::PublicKeyData::subject_public_key_info(&key)]).0,
    };
    vault.enrol(&enrolment.sign(&hospital.hospital_key)).unwrap();
    let first = hospital.first_entry();
    accept(vault, &mut hospital, [first]).await;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyVault(provider)))
        .with_client_auth_cert(vec![certificate.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
        .unwrap();
    (hospital, Caller { connector: TlsConnector::from(Arc::new(config)), address })
}

/// A request of the API, before it is damaged.
fn requests(hospital: &mut Hospital) -> Vec<Vec<u8>> {
    let chunk = hospital.chunk(300, 1);
    let address = hospital.suite.address(&chunk);
    let deposit = batch([hospital.small("name").1]).encode();
    let (version, seen) = (hospital.fresh_version(), address);
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: vault\r\nconnection: close\r\n\r\n").into_bytes();
    let with = |method: &str, path: &str, body: &[u8]| {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: vault\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        [head.as_bytes(), body].concat()
    };
    vec![
        get("/v1/hello"),
        get(&format!("/v1/records/{seen}")),
        get(&format!("/v1/versions/{version}")),
        get(&format!("/v1/names/{}", token("name"))),
        get(&format!("/v1/devices/{}", hospital.device.id())),
        get("/v1/log/checkpoint"),
        get("/v1/log/entries?from=0&size=10"),
        get("/v1/log/consistency?from=0&to=1"),
        with("POST", "/v1/chunks/missing", &shosoin_protocol::api::encode_addresses(&[address])),
        with("PUT", &format!("/v1/chunks/{address}"), &chunk),
        with("POST", "/v1/deposits", &deposit),
    ]
}

/// The API of a vault, until the runtime ends.
fn serve(runtime: &Runtime, vault: &Vault, options: HttpOptions) -> SocketAddr {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = runtime.block_on(Server::bind(vault.clone(), listen, options)).unwrap();
    let address = server.local_addr().unwrap();
    runtime.spawn(server.run(std::future::pending()));
    address
}

fn status_of(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|byte| *byte == b'\r').next()?;
    std::str::from_utf8(line).ok()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
}

#[test]
fn a_damaged_request_gets_an_answer_that_blames_the_caller_and_the_next_one_is_served() {
    let runtime = Runtime::new().unwrap();
    let site = runtime.block_on(Site::on_disk(IndexKind::Fjall));
    let vault = runtime.block_on(site.open());
    let (mut hospital, mut caller) = runtime.block_on(calling(&vault, serve(&runtime, &vault, HttpOptions::default())));
    let requests = requests(&mut hospital);
    for request in &requests {
        let status = status_of(&runtime.block_on(caller.send(request)));
        assert!(matches!(status, Some(200 | 404)), "{status:?} for {}", String::from_utf8_lossy(request));
    }
    let patience = Duration::from_millis(100); // for requests that announce more than they bring
    let options = HttpOptions { stall_timeout: patience, idle_timeout: patience, ..HttpOptions::default() };
    let patient = std::mem::replace(&mut caller.address, serve(&runtime, &vault, options));
    let cases = (0..requests.len(), proptest::collection::vec(damage(), 1..4));
    let outcome = runner(256).run(&cases, |(which, steps)| {
        let mut bytes = requests[which].clone();
        steps.iter().for_each(|step| step.apply(&mut bytes));
        let answer = runtime.block_on(caller.send(&bytes));
        let status = status_of(&answer);
        let blames_the_vault = matches!(status, Some(500 | 502 | 504 | 505..));
        prop_assert!(!blames_the_vault, "{status:?}: {}", String::from_utf8_lossy(&answer));
        prop_assert!(answer.is_empty() || status.is_some(), "no answer of HTTP: {}", String::from_utf8_lossy(&answer));
        Ok(())
    });
    outcome.unwrap();
    caller.address = patient;
    let answer = runtime.block_on(caller.send(&requests[0]));
    assert_eq!(status_of(&answer), Some(200));
    runtime.block_on(assert_clean(&vault));
}
