//! The clock against standard time, with real chrony daemons: one that serves the host's own clock, and one that follows it. Neither
//! touches the clock. Where chrony is not installed, that is said and nothing is tried.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod common;

use common::Site;
use shosoin_store::accounts::Caller;
use shosoin_store::applicability::{State, StatementRequest};
use shosoin_store::audit::{Action, AuditQuery, Outcome};
use shosoin_store::time_sync::{PERIOD_MS, TimeConfig};
use shosoin_store::{Config, IndexKind, Vault};
use shosoin_tiers::life::DAY_MS;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a chrony may take to begin.
const ANSWERS: Duration = Duration::from_secs(10);

/// A chrony of one's own; ended when dropped.
struct Chrony {
    child: Child,
    socket: PathBuf,
}

impl Drop for Chrony {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Chrony {
    /// Starts one with these settings and waits until it says that it runs. `None` where there is no chrony.
    fn start(dir: &Path, name: &str, settings: &str) -> Option<Chrony> {
        let dir = dir.join(name);
        std::fs::create_dir(&dir).unwrap();
        std::fs::set_permissions(&dir, PermissionsExt::from_mode(0o700)).unwrap();
        let (socket, file) = (dir.join("socket"), dir.join("conf"));
        let common = format!("cmdport 0\nbindcmdaddress {}\npidfile {}\n", socket.display(), dir.join("pid").display());
        std::fs::write(&file, format!("{settings}\n{common}")).unwrap();
        let mut command = Command::new("chronyd");
        let user = Command::new("id").arg("-un").output().unwrap().stdout;
        let user = String::from_utf8(user).unwrap();
        command
            .args(["-x", "-d", "-U", "-u", user.trim(), "-f"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let chrony = Chrony { child: command.spawn().ok()?, socket };
        let begun = Instant::now();
        while !chrony.ask(&["tracking"]).status().unwrap().success() {
            assert!(begun.elapsed() < ANSWERS, "it does not answer");
        }
        Some(chrony)
    }

    /// Waits until it follows something, as chrony itself says.
    fn follows(&self) {
        let mut wait = self.ask(&["waitsync", "100", "0", "0", "0.1"]);
        assert!(wait.status().unwrap().success(), "it follows nothing");
    }

    fn ask(&self, what: &[&str]) -> Command {
        let mut command = Command::new("chronyc");
        command.arg("-h").arg(&self.socket).args(what).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn config(&self, error_ms_max: u32) -> TimeConfig {
        let chronyc = ["chronyc", "-h", self.socket.to_str().unwrap()].map(str::to_owned).to_vec();
        TimeConfig { chronyc, error_ms_max }
    }
}

async fn vault_asking(site: &Site, time: TimeConfig) -> Vault {
    let mut config = Config::load(&site.path()).unwrap();
    config.time = time;
    std::fs::write(site.path().join("vault.toml"), toml::to_string(&config).unwrap()).unwrap();
    site.open().await
}

async fn state_of(vault: &Vault, id: &str) -> (State, String) {
    let statement = vault.applicability(StatementRequest::default(), Caller::this_process()).await.unwrap();
    let line = statement.controls.into_iter().find(|line| line.id == id).unwrap();
    (line.state, line.evidence)
}

fn outcomes(vault: &Vault) -> Vec<Outcome> {
    let query = AuditQuery { actions: vec![Action::TimeAgreement], ..AuditQuery::default() };
    vault.audit().read(&query).unwrap().into_iter().map(|record| record.event.outcome).collect()
}

fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn a_clock_that_follows_a_server_agrees_and_one_that_follows_itself_does_not_7_6_12_m3_7_6_12_s1() {
    let site = Site::on_disk(IndexKind::Memory).await;
    let port = free_port();
    let server = format!("local stratum 3\nport {port}\nallow 127.0.0.1\nbindaddress 127.0.0.1");
    let Some(server) = Chrony::start(site.dir.path(), "server", &server) else {
        println!("no chrony here: a real clock is not asked");
        return;
    };
    let client = format!("server 127.0.0.1 port {port} iburst minpoll -4 maxpoll -4\nport 0");
    let client = Chrony::start(site.dir.path(), "client", &client).unwrap();
    client.follows();

    let vault = vault_asking(&site, client.config(1000)).await;
    let status = vault.note_time().await.unwrap();
    assert_eq!(status.agreement.state(), "agrees", "{status:?}");
    let measured = status.agreement.measured().unwrap();
    assert_eq!((measured.source.as_str(), measured.stratum), ("127.0.0.1", 4));
    for id in ["7.6.12-M3", "7.6.12-S1"] {
        let (state, evidence) = state_of(&vault, id).await;
        assert_eq!(state, State::Met, "{evidence}");
    }
    let page = vault.metrics().await.unwrap();
    assert!(
        page.contains("shosoin_time_agreement{state=\"agrees\"} 1.0") && page.contains("shosoin_time_error_seconds")
    );
    vault.note_time().await.unwrap();
    assert_eq!(outcomes(&vault), [Outcome::Done], "on record once, while nothing changes");
    site.clock.advance(DAY_MS + PERIOD_MS);
    vault.note_time().await.unwrap();
    assert_eq!(outcomes(&vault).len(), 2, "and every day");
    vault.close().await.unwrap();
    drop(vault);

    let vault = vault_asking(&site, server.config(1000)).await;
    let status = vault.note_time().await.unwrap();
    assert_eq!(status.agreement.state(), "unsynchronised", "{status:?}");
    assert_eq!(outcomes(&vault).last(), Some(&Outcome::Findings));
    let (state, evidence) = state_of(&vault, "7.6.12-M3").await;
    assert!(state == State::NotMet && evidence.contains("own clock"), "{evidence}");
    let findings = vault.status().await.unwrap().findings;
    assert!(findings.iter().any(|finding| finding.code == "clock-disagrees"), "{findings:?}");
}

#[tokio::test]
async fn a_clock_that_nobody_can_be_asked_about_is_not_measured_and_never_met_7_6_12_s1() {
    let site = Site::on_disk(IndexKind::Memory).await;
    let time = TimeConfig { chronyc: vec!["/no/such/chronyc".into()], ..TimeConfig::default() };
    let vault = vault_asking(&site, time).await;
    assert_eq!(vault.note_time().await.unwrap().agreement.state(), "not-measured");
    assert_eq!(outcomes(&vault), [Outcome::Done], "nothing is known, which is no alarm");
    let (state, evidence) = state_of(&vault, "7.6.12-S1").await;
    assert!(state == State::NotShown && evidence.contains("/no/such/chronyc"), "{evidence}");
    let page = vault.metrics().await.unwrap();
    assert!(page.contains("shosoin_time_agreement{state=\"not-measured\"} 1.0"), "{page}");
}
