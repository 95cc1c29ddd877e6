//! The vault at the other end of a wire that breaks: what is repeated, what is not, and what each failure is called.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

use bytes::Bytes;
use rcgen::{CertifiedKey, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivatePkcs8KeyDer;
use shosoin_client::{Error, HttpOptions, HttpTransport, Transport as _};
use shosoin_protocol::api::DepositBatch;
use shosoin_protocol::suite::sha256;
use shosoin_protocol::{Address, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What the other end does with one request.
#[derive(Clone, Copy)]
enum Act {
    /// answers and keeps the connection
    Answer(&'static str),
    /// answers and closes without saying so beforehand
    AnswerAndLeave(&'static str),
    /// closes before a byte of an answer
    Leave,
    /// says nothing
    Wait,
}

const EMPTY: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const BUSY: &str =
    "HTTP/1.1 503 Busy\r\ncontent-length: 49\r\n\r\n{\"kind\":\"unavailable\",\"code\":\"busy\",\"message\":\"\"}";

/// Something that speaks TLS with a key of its own and acts by a script.
struct Other {
    url: String,
    pin: [u8; 32],
    requests: Arc<AtomicUsize>,
}

fn key() -> CertifiedKey<KeyPair> {
    rcgen::generate_simple_self_signed(["vault".to_owned()]).unwrap()
}

impl Other {
    async fn start(script: Vec<Act>) -> Other {
        let made = key();
        let info = rustls::server::ParsedCertificate::try_from(made.cert.der()).unwrap().subject_public_key_info();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![made.cert.der().clone()],
                PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()).into(),
            )
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicUsize::new(0));
        tokio::spawn(act(listener, TlsAcceptor::from(Arc::new(config)), script, requests.clone()));
        Other { url, pin: sha256(&[&info]).0, requests }
    }

    fn transport(&self, pin: [u8; 32]) -> HttpTransport {
        let ours = key();
        let mut options = HttpOptions::new(&self.url, pin, ours.cert.der(), &ours.signing_key.serialize_der());
        options.reply_timeout = Duration::from_millis(500);
        HttpTransport::new(options).unwrap()
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// One connection after the other; the script goes on over all of them.
async fn act(listener: TcpListener, acceptor: TlsAcceptor, script: Vec<Act>, requests: Arc<AtomicUsize>) {
    let mut script = script.into_iter();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let Ok(mut stream) = acceptor.accept(stream).await else { continue };
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(1..) = stream.read(&mut buffer).await {
            requests.fetch_add(1, Ordering::SeqCst);
            match script.next() {
                Some(Act::Answer(text)) => stream.write_all(text.as_bytes()).await.unwrap(),
                Some(Act::AnswerAndLeave(text)) => {
                    stream.write_all(text.as_bytes()).await.unwrap();
                    stream.shutdown().await.unwrap();
                    break;
                }
                Some(Act::Leave) | None => break,
                Some(Act::Wait) => std::future::pending().await,
            }
        }
    }
}

const ADDRESS: Address = Address([7; 32]);

#[tokio::test]
async fn a_vault_with_another_key_gets_no_request_and_the_error_names_both_pins() {
    let other = Other::start(vec![Act::Answer(EMPTY)]).await;
    let error = other.transport([9; 32]).put_chunk(ADDRESS, Bytes::new()).await.unwrap_err();
    let Error::WrongVault { expected, found, .. } = error else { panic!("{error:?}") };
    assert_eq!((expected, found), (hex::encode([9; 32]), hex::encode(other.pin)));
    assert_eq!(other.requests(), 0);
}

#[tokio::test]
async fn a_connection_is_used_again_and_one_that_ended_meanwhile_is_replaced() {
    let other = Other::start(vec![Act::Answer(EMPTY), Act::AnswerAndLeave(EMPTY), Act::Answer(EMPTY)]).await;
    let transport = other.transport(other.pin);
    for _ in 0..3 {
        transport.put_chunk(ADDRESS, Bytes::from_static(b"chunk")).await.unwrap();
    }
    assert_eq!(other.requests(), 3);
}

#[tokio::test]
async fn what_is_the_same_twice_as_once_is_asked_again() {
    let other = Other::start(vec![Act::Leave, Act::Leave, Act::Answer(EMPTY)]).await;
    assert_eq!(other.transport(other.pin).record(ADDRESS).await.unwrap(), Bytes::new());
    assert_eq!(other.requests(), 3);
}

#[tokio::test]
async fn a_deposit_that_the_vault_may_have_seen_is_not_sent_again() {
    let other = Other::start(vec![Act::Leave, Act::Answer(EMPTY)]).await;
    let batch = DepositBatch { deposits: Vec::new() };
    let error = other.transport(other.pin).deposit(&batch).await.unwrap_err();
    assert!(error.is_unreachable(), "{error:?}");
    assert_eq!(other.requests(), 1);
}

#[tokio::test]
async fn asking_again_has_an_end() {
    let other = Other::start(vec![Act::Leave; 100]).await;
    let error = other.transport(other.pin).record(ADDRESS).await.unwrap_err();
    assert!(error.is_unreachable(), "{error:?}");
    assert!((2..10).contains(&other.requests()), "{} requests", other.requests());
}

#[tokio::test]
async fn a_vault_that_says_not_now_is_left_to_the_caller() {
    let other = Other::start(vec![Act::Answer(BUSY); 2]).await;
    let error = other.transport(other.pin).record(ADDRESS).await.unwrap_err();
    assert!(error.is_problem("busy"), "{error:?}");
    assert_eq!(other.requests(), 1);
}

#[tokio::test]
async fn silence_ends_and_says_what_to_look_at() {
    let other = Other::start(vec![Act::Wait]).await;
    let batch = DepositBatch { deposits: Vec::new() };
    let error = other.transport(other.pin).deposit(&batch).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("nothing came within") && cause.contains("check"), "{cause}");
}

#[tokio::test]
async fn an_answer_longer_than_it_may_be_is_refused_before_it_is_read() {
    let long = "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n";
    let other = Other::start(vec![Act::Answer(long); 4]).await;
    let error = other.transport(other.pin).record(ADDRESS).await.unwrap_err();
    assert!(matches!(error, Error::Contradiction { .. }), "{error:?}");
    assert_eq!(other.requests(), 1);
}

#[tokio::test]
async fn an_answer_that_is_no_answer_is_refused() {
    let error = "HTTP/1.1 500 Oops\r\ncontent-length: 4\r\n\r\noops";
    let nonsense = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{}}";
    let other = Other::start(vec![Act::Answer(error), Act::Answer(nonsense)]).await;
    let transport = other.transport(other.pin);
    for _ in 0..2 {
        let error = transport.hello().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Damaged, "{error:?}");
    }
}

#[tokio::test]
async fn a_url_that_is_none_and_a_key_that_fits_nothing_are_refused_at_once() {
    let ours = key();
    for url in ["vault", "http://vault:1", "https://vault:1/path", "https://vault:1/?q", "https://"] {
        let options = HttpOptions::new(url, [0; 32], ours.cert.der(), &ours.signing_key.serialize_der());
        assert!(matches!(HttpTransport::new(options), Err(Error::Invalid { what: "vault URL", .. })), "{url}");
    }
    let options = HttpOptions::new("https://vault:1", [0; 32], ours.cert.der(), b"no key");
    assert!(matches!(HttpTransport::new(options), Err(Error::Invalid { what: "TLS key", .. })));
}
