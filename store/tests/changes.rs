//! The register of changes, and a vault that looks at its own program and settings.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod common;

use common::Site;
use serde_json::Value;
use shosoin_protocol::Suite;
use shosoin_store::accounts::Caller;
use shosoin_store::applicability::{State, StatementRequest};
use shosoin_store::audit::{Action, AuditQuery, AuditRecord, Outcome};
use shosoin_store::changes::{ChangeCommand, PERIOD_MS, Registered, Thing};
use shosoin_store::{Config, Error, IndexKind, Vault, VolumeSpec};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

struct House {
    site: Site,
    vault: Vault,
    program: PathBuf,
}

impl House {
    async fn new() -> House {
        let mut site = Site::on_disk(IndexKind::Memory).await;
        let program = site.dir.path().join("program");
        std::fs::write(&program, "release 1").unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        site.options.program = Some(program.clone());
        let vault = site.open().await;
        House { site, vault, program }
    }

    async fn add(&self, thing: Thing) -> Result<Value, Error> {
        let (what, tested) = ("new release".to_owned(), "put, get and check on a trial vault".to_owned());
        let (approved_by, reason) = (Some("jiro".to_owned()), "advisory 2030-3".to_owned());
        let command = ChangeCommand::Add { thing, what, tested, approved_by, reason };
        self.vault.change_command(command, Caller::this_process()).await
    }

    /// Registers a program as its maker published it.
    async fn add_program(&self, file: &Path, published: &str) -> Result<Value, Error> {
        let sha256 = digest(published);
        self.add(Thing::Program { file: file.to_path_buf(), sha256, release: published.to_owned() }).await
    }

    async fn register_all(&self) {
        self.add_program(&self.program, "release 1").await.unwrap();
        self.add(Thing::Settings { file: None }).await.unwrap();
    }

    fn change_settings(&self, change: impl FnOnce(&mut Config)) {
        let path = self.site.path().join("vault.toml");
        let mut config = Config::load(&self.site.path()).unwrap();
        change(&mut config);
        std::fs::write(path, toml::to_string(&config).unwrap()).unwrap();
    }

    fn looks(&self) -> Vec<AuditRecord> {
        let query = AuditQuery { actions: vec![Action::SelfChecked], ..AuditQuery::default() };
        self.vault.audit().read(&query).unwrap()
    }

    fn incidents(&self) -> usize {
        let query = AuditQuery { actions: vec![Action::IncidentStated], ..AuditQuery::default() };
        let records = self.vault.audit().read(&query).unwrap();
        records.iter().filter(|record| record.event.outcome == Outcome::Done).count()
    }

    async fn finds(&self, code: &str) -> usize {
        let status = self.vault.status().await.unwrap();
        status.findings.iter().filter(|finding| finding.code == code).count()
    }

    async fn control(&self, id: &str) -> (State, String) {
        let statement = self.vault.applicability(StatementRequest::default(), Caller::this_process()).await.unwrap();
        let line = statement.controls.into_iter().find(|line| line.id == id).unwrap();
        (line.state, line.evidence)
    }
}

fn digest(text: &str) -> String {
    shosoin_protocol::suite::sha256(&[text.as_bytes()]).to_string()
}

#[tokio::test]
async fn a_program_that_nobody_registered_is_an_incident_an_alarm_and_a_finding_until_somebody_does_7_6_1_m6_7_6_2_m4()
{
    let house = House::new().await;
    common::enrolled(&house.vault, Suite::Default, 1).await;
    house.vault.look_at_itself().await.unwrap();
    assert_eq!(house.control("7.6.1-M6").await.0, State::NotShown, "nothing is registered");
    house.register_all().await;
    let status = house.vault.look_at_itself().await.unwrap();
    assert_eq!(status.program_registered, Registered::As { change: 1 });
    assert_eq!(status.settings_registered, Registered::As { change: 2 });
    let (state, evidence) = house.control("7.6.2-M4").await;
    assert_eq!(state, State::Met, "{evidence}");

    std::fs::write(&house.program, "release 1 with a back door").unwrap();
    for _ in 0..2 {
        house.vault.look_at_itself().await.unwrap();
    }
    let looks = house.looks();
    let newest = &looks.last().unwrap().event;
    assert_eq!((newest.outcome, newest.reason.as_str()), (Outcome::Findings, "nobody registered this: program"));
    assert_eq!(house.finds("unregistered-change").await, 1);
    assert_eq!(house.incidents(), 1, "hospitals are told once");
    let page = house.vault.metrics().await.unwrap();
    assert!(page.contains("shosoin_unregistered_change{what=\"program\"} 1.0"), "{page}");
    assert!(page.contains("shosoin_unregistered_change{what=\"settings\"} 0.0"), "{page}");
    assert_eq!(house.control("7.6.1-M6").await.0, State::NotMet);
    assert_eq!(house.control("7.6.9-M4").await.0, State::NotMet);

    house.add_program(&house.program, "release 1 with a back door").await.unwrap();
    assert_eq!(house.finds("unregistered-change").await, 0, "it was a release after all, and somebody answers for it");
}

#[tokio::test]
async fn what_is_registered_before_it_is_done_is_no_alarm_before_or_after_and_the_old_one_is_7_6_9_m4() {
    let house = House::new().await;
    house.register_all().await;
    let new = house.site.dir.path().join("program.new");
    std::fs::write(&new, "release 2").unwrap();
    let error = house.add_program(&new, "release 2, as published").await.unwrap_err();
    assert!(error.to_string().contains("do not install it"), "{error}");
    let added = house.add_program(&new, "release 2").await.unwrap();
    let change = &added["change"];
    assert_eq!((&change["before"], &change["after"]), (&digest("release 1").into(), &digest("release 2").into()));
    assert_eq!((&change["approved_by"], &change["in_force_ms"]), (&"jiro".into(), &Value::Null));
    let stands = async || house.vault.look_at_itself().await.unwrap().program_registered;
    assert_eq!(stands().await, Registered::Before { change: 3 });
    std::fs::rename(&new, &house.program).unwrap();
    assert_eq!(stands().await, Registered::As { change: 3 });
    let shown = ChangeCommand::Show { number: 3 };
    let shown = house.vault.change_command(shown, Caller::this_process()).await.unwrap();
    assert!(shown["change"]["in_force_ms"].is_u64(), "{shown}");
    std::fs::write(&house.program, "release 1").unwrap();
    assert_eq!(stands().await, Registered::Not { change: 3 }, "the old one was brought back");
    assert!(house.add_program(&house.program, "release 2").await.is_err(), "the file is another one");
}

#[tokio::test]
async fn settings_are_held_against_the_register_and_volumes_that_the_vault_adds_itself_are_not_7_6_9_m4() {
    let house = House::new().await;
    house.register_all().await;
    house.change_settings(|config| config.volumes.push(VolumeSpec::at("volumes/v07")));
    let stands = async || house.vault.look_at_itself().await.unwrap().settings_registered;
    assert_eq!(stands().await, Registered::As { change: 2 });
    house.change_settings(|config| config.machines.check_days = 365);
    assert_eq!(stands().await, Registered::Not { change: 2 });
    std::fs::write(house.site.path().join("vault.toml"), "form = 1\nwhat = is this").unwrap();
    assert_eq!(stands().await, Registered::Not { change: 2 }, "what cannot be read is not registered");
}

#[tokio::test]
async fn a_vault_that_runs_looks_once_a_day_and_the_register_outlives_it_7_6_1_m6() {
    let house = House::new().await;
    house.register_all().await;
    let looked = house.looks().len();
    house.vault.watch_itself().await.unwrap();
    assert_eq!(house.looks().len(), looked, "it looked when the change was registered");
    house.site.clock.advance(PERIOD_MS);
    for _ in 0..3 {
        house.vault.watch_itself().await.unwrap();
    }
    assert_eq!(house.looks().len(), looked + 1);
    let list = |vault: Vault| async move { vault.change_command(ChangeCommand::List, Caller::this_process()).await };
    let before = list(house.vault.clone()).await.unwrap();
    house.vault.close().await.unwrap();
    let House { site, vault, program } = house;
    drop(vault);
    std::fs::write(&program, "while nobody looked").unwrap();
    let vault = site.open().await;
    let after = list(vault.clone()).await.unwrap();
    assert_eq!(after["changes"], before["changes"]);
    assert_eq!(after["now"]["program_registered"]["not"]["change"], 1);
}

#[tokio::test]
async fn a_vault_that_is_set_so_is_not_served_with_a_program_that_nobody_registered_7_6_2_m4() {
    let house = House::new().await;
    house.change_settings(|config| config.changes.refuse_unregistered = true);
    house.vault.close().await.unwrap();
    let House { site, vault, program } = house;
    drop(vault);
    let house = House { vault: site.open().await, site, program };
    house.vault.note_setup().await.unwrap();
    house.register_all().await;
    house.vault.note_setup().await.unwrap();
    std::fs::write(&house.program, "another").unwrap();
    let error = house.vault.note_setup().await.unwrap_err();
    assert!(matches!(error, Error::Unregistered { what: "program", .. }), "{error}");
    let (state, evidence) = house.control("7.4-R4").await;
    assert_eq!(state, State::NotMet, "{evidence}");
}

#[tokio::test]
async fn a_program_that_others_may_write_to_is_not_protected_7_6_2_m4() {
    let house = House::new().await;
    house.register_all().await;
    std::fs::set_permissions(&house.program, PermissionsExt::from_mode(0o777)).unwrap();
    let (state, evidence) = house.control("7.6.2-M4").await;
    assert!(state == State::NotMet && evidence.contains("true"), "{evidence}");
}

#[tokio::test]
async fn with_accounts_a_change_takes_a_second_person_who_is_named_with_it_7_6_9_m4() {
    let house = House::new().await;
    let [admin, keeper, auditor] = common::people(&house.vault).await;
    let command = |approved_by: Option<&str>| ChangeCommand::Add {
        thing: Thing::Program { file: house.program.clone(), sha256: digest("release 1"), release: "1".to_owned() },
        what: "first release".to_owned(),
        tested: "trial vault".to_owned(),
        approved_by: approved_by.map(str::to_owned),
        reason: "order 120".to_owned(),
    };
    let ask =
        async |caller: &Caller, approved_by| house.vault.change_command(command(approved_by), caller.clone()).await;
    assert!(ask(&keeper, None).await.is_err(), "an administrator registers changes");
    let error = ask(&admin, Some("jiro")).await.unwrap_err();
    assert!(error.to_string().contains("whoever approves"), "{error}");
    let waiting = ask(&admin, None).await.unwrap();
    let number = waiting["request"].as_u64().unwrap();
    assert_eq!(ask(&admin, None).await.unwrap(), waiting, "it waits");
    let accounts = house.vault.accounts().clone();
    assert!(accounts.approve(&admin, number).is_err(), "nobody agrees to what they asked for");
    accounts.approve(&auditor, number).unwrap();
    let change = &ask(&admin, None).await.unwrap()["change"];
    assert_eq!((&change["approved_by"], &change["request"]), (&"sys.one".into(), &number.into()));
    assert_eq!((&change["actor"], &change["number"]), (&"daemon.one".into(), &1.into()));
}
