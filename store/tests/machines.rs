//! The register of processing devices: what a vault makes of the host it is on and of terminals that come to its console.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod common;

use common::Site;
use serde_json::Value;
use shosoin_store::accounts::Caller;
use shosoin_store::applicability::{State, StatementRequest};
use shosoin_store::audit::{Action, AuditQuery, AuditRecord, Outcome};
use shosoin_store::machines::{CheckKind, HostStanding, MachineCommand, MachineKind, MachineState};
use shosoin_store::{Error, IndexKind, Vault};
use shosoin_tiers::life::DAY_MS;
use std::net::IpAddr;

struct House {
    site: Site,
    vault: Vault,
}

impl House {
    async fn new(refuse_unknown_host: bool) -> House {
        let site = Site::on_disk(IndexKind::Memory).await;
        std::fs::write(site.dir.path().join("host-id"), "4c0f\n").unwrap();
        let mut config = shosoin_store::Config::load(&site.path()).unwrap();
        config.machines.host_id = site.dir.path().join("host-id");
        config.machines.refuse_unknown_host = refuse_unknown_host;
        let folder = shosoin_tiers::media::FileMedia::open(&site.path(), Default::default()).unwrap();
        config.save(&folder, &site.path()).unwrap();
        drop(folder);
        let vault = site.open().await;
        House { site, vault }
    }

    async fn ask(&self, command: MachineCommand) -> Result<Value, Error> {
        self.vault.machine_command(command, Caller::this_process()).await
    }

    async fn add(&self, id: &str, kind: MachineKind, address: &str, this_host: bool) -> Result<Value, Error> {
        let addresses = if address.is_empty() { Vec::new() } else { vec![address.parse().unwrap()] };
        let (id, reason) = (id.parse().unwrap(), "order 118".to_owned());
        self.ask(MachineCommand::Add { id, kind, addresses, this_host, reason }).await
    }

    async fn check(&self, id: &str) {
        let (id, passed, reason) = (id.parse().unwrap(), CheckKind::ALL.to_vec(), "full scan".to_owned());
        self.ask(MachineCommand::Check { id, passed, failed: Vec::new(), made_ms: None, reason }).await.unwrap();
    }

    async fn set(&self, id: &str, to: MachineState) -> Result<Value, Error> {
        self.ask(MachineCommand::SetState { id: id.parse().unwrap(), to, reason: "as checked".to_owned() }).await
    }

    async fn in_use(&self, id: &str, kind: MachineKind, address: &str, this_host: bool) {
        self.add(id, kind, address, this_host).await.unwrap();
        self.check(id).await;
        self.set(id, MachineState::Active).await.unwrap();
    }

    fn moved_to_another_host(&self) {
        std::fs::write(self.site.dir.path().join("host-id"), "77aa\n").unwrap();
    }

    fn unknown(&self) -> Vec<AuditRecord> {
        let query = AuditQuery { actions: vec![Action::MachineUnknown], ..AuditQuery::default() };
        self.vault.audit().read(&query).unwrap()
    }

    async fn figure(&self, name: &str) -> f64 {
        let page = self.vault.metrics().await.unwrap();
        let line = page.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name} in {page}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    async fn control(&self, id: &str) -> (State, String) {
        let request = StatementRequest::default();
        let statement = self.vault.applicability(request, Caller::this_process()).await.unwrap();
        let line = statement.controls.into_iter().find(|line| line.id == id).unwrap();
        (line.state, line.evidence)
    }
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[tokio::test]
async fn a_vault_knows_the_host_it_is_on_and_says_so_when_it_was_moved_or_stopped_7_5_3_m1() {
    let house = House::new(false).await;
    assert_eq!(house.vault.host_standing(), HostStanding::NoRegister);
    house.vault.recognise_host().await.unwrap();
    assert!(house.unknown().is_empty(), "without a register there is nothing to compare with");
    house.in_use("vault-a", MachineKind::VaultHost, "10.0.8.2", true).await;
    assert_eq!(house.vault.host_standing(), HostStanding::Known { machine: "vault-a".into() });
    house.vault.recognise_host().await.unwrap();
    assert!(house.unknown().is_empty());
    assert_eq!(house.figure("shosoin_host_unknown").await, 0.0);

    house.set("vault-a", MachineState::Suspended).await.unwrap();
    for _ in 0..3 {
        house.vault.watch_host().await.unwrap();
    }
    assert_eq!(house.unknown().len(), 1, "told once, while it is served");
    assert!(house.unknown()[0].event.reason.contains("machine vault-a: it is suspended"));
    house.check("vault-a").await;
    house.set("vault-a", MachineState::Active).await.unwrap();
    house.vault.watch_host().await.unwrap();
    house.moved_to_another_host();
    house.vault.recognise_host().await.unwrap();
    let unknown = house.unknown();
    assert_eq!((unknown.len(), unknown[1].event.outcome), (2, Outcome::Findings));
    assert!(unknown[1].event.reason.contains("it is not registered"), "{}", unknown[1].event.reason);
    assert_eq!(house.figure("shosoin_host_unknown").await, 1.0);
    let status = house.vault.status().await.unwrap();
    assert!(status.findings.iter().any(|finding| finding.code == "host-unknown"));
}

#[tokio::test]
async fn a_vault_that_is_set_so_refuses_to_be_served_on_a_host_that_is_not_registered_7_5_3_m1() {
    let house = House::new(true).await;
    house.vault.recognise_host().await.unwrap();
    house.in_use("vault-a", MachineKind::VaultHost, "", true).await;
    house.vault.recognise_host().await.unwrap();
    house.moved_to_another_host();
    let error = house.vault.recognise_host().await.unwrap_err();
    assert!(error.to_string().contains("not registered"), "{error}");
    assert_eq!(house.unknown()[0].event.outcome, Outcome::Refused);
    std::fs::remove_file(house.site.dir.path().join("host-id")).unwrap();
    assert!(house.vault.recognise_host().await.unwrap_err().to_string().contains("says nothing"));
}

#[tokio::test]
async fn only_registered_active_and_checked_terminals_come_to_the_console_7_5_3_m13_7_6_14_priv_m4() {
    let house = House::new(false).await;
    let (desk, elsewhere, here) = (address("10.0.8.21"), address("10.0.8.22"), address("127.0.0.1"));
    for from in [desk, elsewhere, here] {
        assert_eq!(house.vault.terminal_obstacle(from), None, "nothing is registered");
    }
    house.in_use("vault-a", MachineKind::VaultHost, "10.0.8.2", true).await;
    house.in_use("ward-station", MachineKind::Station, "10.0.8.30", false).await;
    house.add("desk-1", MachineKind::OperatorTerminal, "10.0.8.21", false).await.unwrap();
    let why = |from| house.vault.terminal_obstacle(from).unwrap_or_default();
    assert_eq!((why(here), why(address("10.0.8.2"))), (String::new(), String::new()));
    assert!(why(desk).contains("desk-1: it is new") && why(elsewhere).contains("no machine has this address"));
    assert!(why(address("10.0.8.30")).contains("is a station"));
    let error = house.set("desk-1", MachineState::Active).await.unwrap_err();
    assert!(error.to_string().contains("before it was checked"), "{error}");
    house.check("desk-1").await;
    house.set("desk-1", MachineState::Active).await.unwrap();
    assert_eq!(why(address("::ffff:10.0.8.21")), "");
    house.site.clock.advance(91 * DAY_MS);
    assert!(why(desk).contains("checks are old"), "{}", why(desk));
    house.moved_to_another_host();
    assert!(why(here).contains("host of the vault: it is not registered"));
}

#[tokio::test]
async fn the_register_outlives_the_process_and_keeps_what_was_7_5_3_m1() {
    let house = House::new(false).await;
    house.in_use("desk-1", MachineKind::OperatorTerminal, "10.0.8.21", false).await;
    house.set("desk-1", MachineState::Retired).await.unwrap();
    let before = house.ask(MachineCommand::List).await.unwrap();
    house.vault.close().await.unwrap();
    let House { site, vault } = house;
    drop(vault);
    let house = House { vault: site.open().await, site };
    assert_eq!(house.ask(MachineCommand::List).await.unwrap()["machines"], before["machines"]);
    let shown = house.ask(MachineCommand::Show { id: "desk-1".parse().unwrap() }).await.unwrap();
    let actions: Vec<&str> =
        shown["history"].as_array().unwrap().iter().map(|record| record["action"].as_str().unwrap()).collect();
    let checked = ["machine-checked"; 3];
    assert_eq!(actions, [&["machine-added"][..], &checked, &["machine-state", "machine-state"]].concat());
    let error = house.add("desk-1", MachineKind::OperatorTerminal, "10.0.8.40", false).await.unwrap_err();
    assert!(error.to_string().contains("taken"), "{error}");
}

#[tokio::test]
async fn the_statement_says_not_met_of_a_strange_host_and_of_old_checks_7_5_3_m1_m13() {
    let house = House::new(false).await;
    assert_eq!(house.control("7.5.3-M13").await.0, State::NotShown);
    house.in_use("vault-a", MachineKind::VaultHost, "", true).await;
    let (state, evidence) = house.control("7.5.3-M13").await;
    assert_eq!(state, State::Met, "{evidence}");
    house.site.clock.advance(91 * DAY_MS);
    let (state, evidence) = house.control("7.5.3-M13").await;
    assert!(state == State::NotMet && evidence.contains("vault-a"), "{evidence}");
    house.check("vault-a").await;
    assert_eq!(house.control("7.5.3-M13").await.0, State::Met);
    house.moved_to_another_host();
    assert_eq!((house.control("7.5.3-M13").await.0, house.control("7.5.3-M1").await.0), (State::NotMet, State::NotMet));
}

#[tokio::test]
async fn what_nobody_gave_a_reason_for_and_what_is_there_twice_is_not_recorded() {
    let house = House::new(false).await;
    let add = |reason: &str| MachineCommand::Add {
        id: "desk-1".parse().unwrap(),
        kind: MachineKind::OperatorTerminal,
        addresses: vec![address("10.0.8.21")],
        this_host: false,
        reason: reason.to_owned(),
    };
    assert!(house.ask(add(" ")).await.is_err());
    house.ask(add("order 118")).await.unwrap();
    let check = |passed: &[CheckKind], failed: &[CheckKind], made_ms| MachineCommand::Check {
        id: "desk-1".parse().unwrap(),
        passed: passed.to_vec(),
        failed: failed.to_vec(),
        made_ms,
        reason: "scan".to_owned(),
    };
    for wrong in [
        check(&[], &[], None),
        check(&[CheckKind::Malware], &[CheckKind::Malware], None),
        check(&[CheckKind::Malware], &[], Some(common::NOW_MS + 40 * DAY_MS)),
    ] {
        assert!(house.ask(wrong).await.is_err());
    }
    let shown = house.ask(MachineCommand::Show { id: "desk-1".parse().unwrap() }).await.unwrap();
    assert_eq!(shown["history"].as_array().unwrap().len(), 1);
}
