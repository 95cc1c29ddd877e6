//! A log server: real requests over loopback, to a server that refuses the first of them.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod common;

use common::Site;
use serde_json::Value;
use shosoin_store::accounts::Caller;
use shosoin_store::applicability::{State, StatementRequest};
use shosoin_store::audit::AuditQuery;
use shosoin_store::{Config, IndexKind, Vault};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// Longest wait for records.
const ARRIVES: Duration = Duration::from_secs(20);

/// Takes JSON and answers 204, but 503 to the first request; gives each body that it took.
async fn log_server(listener: TcpListener, taken: mpsc::UnboundedSender<Value>) {
    let mut refuses = true;
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
        let body = loop {
            let len = stream.read(&mut piece).await.unwrap();
            bytes.extend_from_slice(&piece[..len]);
            let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
            let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
            let announced = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if bytes.len() - end - 4 == announced.parse::<usize>().unwrap() {
                break bytes[end + 4..].to_vec();
            }
        };
        let status = if std::mem::take(&mut refuses) { "503 Later" } else { "204 Taken" };
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.unwrap();
        if status.starts_with("204") {
            taken.send(serde_json::from_slice(&body).unwrap()).unwrap();
        }
    }
}

struct House {
    site: Site,
    vault: Vault,
    taken: mpsc::UnboundedReceiver<Value>,
    seen: Vec<(u64, String)>,
    stop: Option<oneshot::Sender<()>>,
    telling: JoinHandle<()>,
}

impl House {
    async fn new() -> House {
        let site = Site::on_disk(IndexKind::Memory).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut config = Config::load(&site.path()).unwrap();
        let url = format!("http://{}/logs", listener.local_addr().unwrap());
        let channel = format!("name = 'logs'\nurl = '{url}'\nrecords = true\nretry_seconds = 1");
        config.notify = vec![toml::from_str(&channel).unwrap()];
        std::fs::write(site.path().join("vault.toml"), toml::to_string(&config).unwrap()).unwrap();
        let (told, taken) = mpsc::unbounded_channel();
        tokio::spawn(log_server(listener, told));
        let vault = site.open().await;
        let (stop, telling) = tell(&vault);
        House { site, vault, taken, seen: Vec::new(), stop: Some(stop), telling }
    }

    /// Waits until the log server has everything that the audit log has.
    async fn arrives(&mut self) {
        let head = self.vault.audit().read(&AuditQuery::default()).unwrap().last().unwrap().seq;
        while self.seen.last().is_none_or(|(seq, _)| *seq < head) {
            let body = tokio::time::timeout(ARRIVES, self.taken.recv()).await.unwrap().unwrap();
            assert_eq!(body["vault"], self.vault.id().to_string());
            let records = body["records"].as_array().unwrap().iter();
            let one = |record: &Value| (record["seq"].as_u64().unwrap(), record["digest"].as_str().unwrap().to_owned());
            self.seen.extend(records.map(one));
        }
    }

    async fn ends(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        (&mut self.telling).await.unwrap();
    }
}

fn tell(vault: &Vault) -> (oneshot::Sender<()>, JoinHandle<()>) {
    let (stop, stopped) = oneshot::channel::<()>();
    let notifier = vault.notifier().unwrap();
    (stop, tokio::spawn(notifier.run(async { stopped.await.unwrap_or_default() })))
}

#[tokio::test]
async fn a_log_server_gets_every_record_in_order_over_refusals_and_restarts_7_6_12_r1() {
    let mut house = House::new().await;
    house.arrives().await;
    house.vault.look_at_itself().await.unwrap();
    house.arrives().await;
    let records = house.vault.audit().read(&AuditQuery::default()).unwrap();
    let all: Vec<(u64, String)> = records.iter().map(|record| (record.seq, record.digest.to_string())).collect();
    assert_eq!(house.seen, all, "with their numbers and digests, and sending them makes none");

    house.ends().await;
    house.vault.look_at_itself().await.unwrap();
    house.vault.close().await.unwrap();
    let House { site, vault, taken, seen, .. } = house;
    drop(vault);
    let vault = site.open().await;
    let (stop, telling) = tell(&vault);
    let mut house = House { site, vault, taken, seen, stop: Some(stop), telling };
    house.arrives().await;
    // what was on its way when it stopped may have come twice, and is the same
    house.seen.sort_unstable();
    house.seen.dedup();
    let numbers: Vec<u64> = house.seen.iter().map(|(seq, _)| *seq).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "none changed, none left out");

    let measured = async {
        loop {
            let request = StatementRequest::default();
            let statement = house.vault.applicability(request, Caller::this_process()).await.unwrap();
            let line = statement.controls.into_iter().find(|line| line.id == "7.6.12-R1").unwrap();
            if line.state == State::Met {
                return;
            }
        }
    };
    tokio::time::timeout(ARRIVES, measured)
        .await
        .expect("the place of the log server is known a moment after it answered");
    house.ends().await;
    drop(house.site);
}
