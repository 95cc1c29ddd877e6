//! Accounts on a real audit log in a real folder: what must be refused, and what a kill or an editor leaves.

use super::caller::Who;
use super::keep::Parts;
use super::*;
use crate::audit::{Action, AuditLog, AuditQuery, Outcome};
use crate::error::Error;
use crate::media_ledger::Projection;
use crate::table::{Structure, byte_tables, compare, page};
use proptest::prelude::*;
use shosoin_protocol::suite::sha256;
use shosoin_tiers::SystemRandom;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::TempDir;

const NOW: u64 = 1_900_000_000_000;
const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const CHEAP: Cost = Cost { memory_kib: 8, passes: 1, lanes: 1 };

#[derive(Debug)]
struct Hand(AtomicU64);

impl Clock for Hand {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A vault's folder with nothing but a log and accounts.
struct House {
    dir: TempDir,
    clock: Arc<Hand>,
    accounts: Accounts,
}

impl House {
    fn new() -> House {
        House::with(AccountsConfig::default())
    }

    fn with(config: AccountsConfig) -> House {
        let (dir, clock) = (tempfile::tempdir().unwrap(), Arc::new(Hand(AtomicU64::new(NOW))));
        let (accounts, finding) = open(&dir, &clock, config);
        assert_eq!(finding, None);
        House { dir, clock, accounts }
    }

    /// The process ends, and another opens the same folder.
    fn reopened(self) -> (House, Option<crate::Finding>) {
        let House { dir, clock, accounts } = self;
        let config = accounts.config().clone();
        drop(accounts);
        let (accounts, finding) = open(&dir, &clock, config);
        (House { dir, clock, accounts }, finding)
    }

    fn later(&self, ms: u64) {
        self.clock.0.fetch_add(ms, Ordering::Relaxed);
    }

    /// The user that owns the folder.
    fn owner(&self) -> Caller {
        let uid = std::fs::metadata(self.dir.path()).unwrap().uid();
        Caller(Who::Users(vec![OsUser { uid, name: "owner".into() }]))
    }

    fn add(&self, by: &Caller, no: u32, name: &str, roles: &[Role]) -> Result<Proposed> {
        let roles = Roles::of(roles)?;
        let change =
            Change::Add { id: id(name), name: String::new(), roles, os_user: Some(os(no)), hours: Hours::default() };
        self.accounts.propose(by, change, "")
    }

    /// An administrator, a keeper and an auditor, who have all been here once.
    fn three() -> House {
        let house = House::new();
        house.settle();
        house
    }

    fn settle(&self) {
        self.add(&self.owner(), 1, "admin-one", &[Role::Admin]).unwrap();
        self.add(&user(1), 2, "keeper-one", &[Role::Keeper, Role::Media]).unwrap();
        self.add(&user(1), 3, "auditor-one", &[Role::Auditor]).unwrap();
        for no in 1..=3 {
            self.accounts.admit(&user(no), "vault status").unwrap();
        }
        assert!(self.accounts.rights_are_confirmed());
    }

    fn records(&self, action: Action) -> Vec<crate::audit::AuditRecord> {
        let query = AuditQuery { actions: vec![action], ..AuditQuery::default() };
        self.accounts.media.audit().read(&query).unwrap()
    }

    fn file(&self) -> std::path::PathBuf {
        self.dir.path().join(FILE)
    }

    /// A person with a password of their own and a second factor that was proved.
    fn console_person(&self) -> TestFactor {
        let me = user(2);
        self.accounts.change_password(&me, "", PASSWORD).unwrap();
        self.accounts.enrol_second_factor(&me, TotpHash::Sha1, "").unwrap();
        let factor = TestFactor(id("keeper-one"));
        self.accounts.prove_second_factor(&me, &factor.code(self)).unwrap();
        self.later(MINUTE);
        factor
    }

    fn log_on(&self, password: &str, code: &str) -> Result<LoggedOn> {
        self.accounts.log_on(&Attempt { id: "keeper-one", password, code, from: "192.0.2.7" })
    }
}

const PASSWORD: &str = "tr4ctor-blue";

/// The authenticator of a person.
struct TestFactor(AccountId);

impl TestFactor {
    fn code(&self, house: &House) -> String {
        let factor = house.accounts.get(&self.0).unwrap().second_factor.unwrap();
        factor.code(house.clock.now_ms() / 30_000).to_string()
    }
}

fn open(dir: &TempDir, clock: &Arc<Hand>, config: AccountsConfig) -> (Accounts, Option<crate::Finding>) {
    let mut projection = Projection::default();
    let (log, findings) = AuditLog::open(dir.path(), clock.now_ms(), &mut |record| projection.apply(&record)).unwrap();
    assert_eq!(findings, []);
    let media = Arc::new(MediaLedger::new(Arc::new(log), projection));
    let (clock, random): (Arc<dyn Clock>, Arc<dyn Random>) = (clock.clone(), Arc::new(SystemRandom));
    let (mut accounts, finding) =
        Accounts::open(dir.path(), Parts { media, clock, random, config, vault: "7a7a".into() }).unwrap();
    (accounts.cost, accounts.refusal_takes) = (CHEAP, Duration::ZERO);
    (accounts, finding)
}

fn id(text: &str) -> AccountId {
    text.parse().unwrap()
}

fn os(no: u32) -> OsUser {
    OsUser { uid: 40_000 + no, name: format!("user{no}") }
}

fn user(no: u32) -> Caller {
    Caller(Who::Users(vec![os(no)]))
}

fn waiting(proposed: Result<Proposed>) -> u64 {
    match proposed.unwrap() {
        Proposed::Waiting(number) => number,
        Proposed::Done => panic!("nobody agreed"),
    }
}

fn why(error: impl std::fmt::Debug + std::fmt::Display) -> String {
    error.to_string()
}

#[test]
fn a_vault_without_accounts_is_run_by_whoever_opens_it_and_the_first_account_is_an_admin_of_its_owner() {
    let house = House::new();
    assert_eq!(house.accounts.mode(), Mode::NoAccounts);
    assert_eq!(house.accounts.admit(&user(9), "volume set-state").unwrap().actor, "user9");
    assert!(house.add(&user(9), 9, "somebody", &[Role::Admin]).is_err(), "another user makes nobody");
    assert!(house.add(&house.owner(), 2, "keeper-one", &[Role::Keeper]).is_err(), "the first is an administrator");
    house.add(&house.owner(), 1, "admin-one", &[Role::Admin]).unwrap();
    assert_eq!(house.accounts.mode(), Mode::InForce);
    assert!(house.accounts.admit(&user(9), "vault status").is_err());
    assert!(house.accounts.admit(&house.owner(), "vault status").is_err(), "the owner is nobody without an account");
    assert!(house.add(&house.owner(), 5, "admin-two", &[Role::Admin]).is_err(), "and adds nobody any more");
    assert_eq!(house.accounts.admit(&user(1), "vault status").unwrap().actor, "admin-one");
    let mode = std::fs::metadata(house.file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "7.6.14-PW-M9");
}

#[test]
fn each_role_may_do_its_duty_and_nothing_else_and_what_is_refused_is_on_record_7_6_13_m5_s1() {
    let house = House::three();
    for (work, permission) in TABLE {
        for (no, roles) in [(1, &[Role::Admin][..]), (2, &[Role::Keeper, Role::Media]), (3, &[Role::Auditor])] {
            let expected = roles.iter().any(|role| permission.roles().contains(role));
            assert_eq!(house.accounts.admit(&user(no), work).is_ok(), expected, "{work} by user {no}");
        }
    }
    let refused = house.records(Action::CommandRefused);
    assert!(refused.iter().all(|record| record.event.outcome == Outcome::Refused));
    assert!(
        refused
            .iter()
            .any(|record| record.event.actor == "keeper-one" && record.event.reason.starts_with("audit show"))
    );
    assert!(house.accounts.admit(&user(2), "volume eat").is_err(), "what has no row is nobody's");
}

#[test]
fn somebody_else_under_the_same_number_or_the_same_name_is_nobody() {
    let house = House::three();
    let renamed = OsUser { uid: os(2).uid, name: "new-hire".into() };
    let renumbered = OsUser { uid: 7, name: os(2).name };
    for other in [renamed, renumbered] {
        assert!(house.accounts.admit(&Caller(Who::Users(vec![other])), "vault status").is_err());
    }
    let switched = Caller(Who::Users(vec![os(2), OsUser { uid: 0, name: "root".into() }]));
    let admitted = house.accounts.admit(&switched, "vault status").unwrap();
    assert_eq!(admitted.actor, "keeper-one", "who logged on counts before who was switched to (7.6.14-ID-M3)");
}

#[test]
fn an_id_is_never_given_again_7_6_14_id_m2_m6() {
    let house = House::three();
    let taken = |house: &House| why(house.add(&user(1), 7, "keeper-one", &[Role::Keeper]).unwrap_err());
    assert!(taken(&house).contains("is taken"));
    house.accounts.close(&user(1), &id("keeper-one"), "left").unwrap();
    assert!(taken(&house).contains("is taken"));
    let (house, _) = house.reopened();
    assert!(taken(&house).contains("is taken"));
    std::fs::remove_file(house.file()).unwrap();
    std::fs::remove_file(house.dir.path().join(NEXT)).unwrap();
    let (house, finding) = house.reopened();
    assert!(finding.is_some());
    house.accounts.confirm_file(&house.owner(), "the disk lost it").unwrap();
    house.add(&house.owner(), 1, "admin-two", &[Role::Admin]).unwrap();
    assert!(taken(&house).contains("is taken"), "the audit log remembers it where the file is gone");
}

#[test]
fn rights_are_changed_by_two_people_as_soon_as_there_are_two_7_6_13_m3() {
    let house = House::three();
    let number = waiting(house.add(&user(1), 4, "approver-one", &[Role::DisposalApprover]));
    assert!(house.accounts.get(&id("approver-one")).is_none(), "nothing before somebody agreed");
    let refused = |no| why(house.accounts.approve(&user(no), number).unwrap_err());
    assert!(refused(1).contains("nobody agrees to their own request"));
    assert!(refused(2).contains("approve-rights is for auditor, admin"));
    assert!(refused(9).contains("mapped to no account"));
    let done = house.accounts.approve(&user(3), number).unwrap();
    assert_eq!((done.state, done.approvals.len()), (RequestState::Used, 1));
    assert!(house.accounts.get(&id("approver-one")).unwrap().roles.has(Role::DisposalApprover));
    assert!(refused(3).contains("it is used"), "not twice");
    let reasons: Vec<_> = house
        .records(Action::ApprovalGiven)
        .into_iter()
        .map(|record| (record.event.actor, record.event.outcome))
        .collect();
    assert_eq!(reasons[0], ("admin-one".to_owned(), Outcome::Refused));
    let added = house.records(Action::AccountAdded).pop().unwrap().event;
    assert!(added.reason.contains("agreed by auditor-one"), "{}", added.reason);

    let about = Change::SetRoles { id: id("auditor-one"), roles: Roles::of(&[Role::Admin]).unwrap() };
    let number = waiting(house.accounts.propose(&user(1), about, ""));
    let own = why(house.accounts.approve(&user(3), number).unwrap_err());
    assert!(own.contains("about themselves"));
    house.accounts.turn_down(&user(3), number, "no").unwrap();
    let tired = Change::SetRoles { id: id("keeper-one"), roles: Roles::of(&[Role::Keeper]).unwrap() };
    let number = waiting(house.accounts.propose(&user(1), tired.clone(), ""));
    assert!(house.accounts.propose(&user(1), tired, "").is_err(), "one request for one thing");
    house.later(8 * DAY);
    assert!(why(house.accounts.approve(&user(3), number).unwrap_err()).contains("too old"));
}

#[test]
fn what_needs_two_people_is_done_once_by_those_who_still_may_8_2_r6() {
    let house = House::three();
    let (edit, what) = (RequestKind::LedgerEdit, sha256(&[b"exactly this"]));
    assert!(house.accounts.request(&user(3), edit, "1042", what).is_err(), "an auditor changes nothing");
    assert!(house.accounts.take(edit, "1042", what, "keeper-one").is_err());
    let number = house.accounts.request(&user(2), edit, "1042", what).unwrap().number;
    assert!(house.accounts.take(edit, "1042", what, "keeper-one").is_err(), "nobody agreed");
    house.accounts.approve(&user(3), number).unwrap();
    assert!(house.accounts.take(edit, "1043", what, "keeper-one").is_err(), "another entry");
    assert!(house.accounts.take(edit, "1042", sha256(&[b"that"]), "keeper-one").is_err(), "another edit");
    let approved = house.accounts.take(edit, "1042", what, "keeper-one").unwrap();
    assert_eq!((approved.requested_by().as_str(), approved.by()), ("keeper-one", &[id("auditor-one")][..]));
    assert!(house.accounts.take(edit, "1042", what, "keeper-one").is_err(), "once");

    let number = house.accounts.request(&user(2), edit, "7", what).unwrap().number;
    house.accounts.approve(&user(3), number).unwrap();
    house.accounts.suspend(&user(1), &id("auditor-one"), "suspected").unwrap();
    let gone = why(house.accounts.take(edit, "7", what, "keeper-one").unwrap_err());
    assert!(gone.contains("may not any more"), "{gone}");
}

#[test]
fn a_disposal_needs_two_approvers_and_one_person_is_one() {
    let house = House::new();
    house.add(&house.owner(), 1, "admin-one", &[Role::Admin]).unwrap();
    house.add(&user(1), 2, "keeper-one", &[Role::Keeper]).unwrap();
    house.add(&user(1), 4, "approver-one", &[Role::DisposalApprover]).unwrap();
    house.add(&user(1), 5, "approver-two", &[Role::DisposalApprover, Role::Auditor]).unwrap();
    let what = sha256(&[b"order"]);
    let number = house.accounts.request(&user(2), RequestKind::Disposal, "order 1", what).unwrap().number;
    assert!(house.accounts.approve(&user(1), number).is_err(), "an administrator does not");
    house.accounts.approve(&user(4), number).unwrap();
    assert!(why(house.accounts.approve(&user(4), number).unwrap_err()).contains("one person agrees once"));
    assert!(house.accounts.take(RequestKind::Disposal, "order 1", what, "keeper-one").is_err());
    house.accounts.approve(&user(5), number).unwrap();
    assert_eq!(house.accounts.take(RequestKind::Disposal, "order 1", what, "keeper-one").unwrap().by().len(), 2);
}

#[test]
fn a_stopped_person_does_nothing_at_once_and_comes_back_only_by_two_people_7_6_14_id_m5() {
    let house = House::three();
    assert!(house.accounts.suspend(&user(2), &id("auditor-one"), "").is_err(), "a keeper stops nobody");
    assert!(house.accounts.suspend(&user(1), &id("admin-one"), "").is_err(), "nobody stops themselves");
    house.accounts.suspend(&user(3), &id("keeper-one"), "suspected").unwrap();
    let refused = why(house.accounts.admit(&user(2), "vault status").unwrap_err());
    assert!(refused.contains("the account is suspended"), "{refused}");
    let number = waiting(house.accounts.propose(&user(1), Change::Resume { id: id("keeper-one") }, ""));
    house.accounts.approve(&user(3), number).unwrap();
    house.accounts.admit(&user(2), "vault status").unwrap();
}

#[test]
fn the_owner_helps_out_only_where_nobody_is_left_and_it_is_an_alarm() {
    let house = House::three();
    assert!(house.add(&house.owner(), 5, "admin-two", &[Role::Admin]).is_err(), "two can agree");
    house.accounts.suspend(&user(3), &id("admin-one"), "suspected").unwrap();
    house.add(&house.owner(), 5, "admin-two", &[Role::Admin]).unwrap();
    let added = house.records(Action::AccountAdded).pop().unwrap().event;
    assert_eq!((added.actor.as_str(), added.outcome), ("os:owner", Outcome::Findings));
}

#[test]
fn outside_their_hours_people_are_let_in_by_another_person_for_a_while_7_6_14_logon_s2_s4() {
    let house = House::three();
    // 2030-03-17 17:46 UTC is a Sunday
    let hours = Hours::of(vec!["Mon-Fri 08:00-18:00".parse().unwrap()]).unwrap();
    let number = waiting(house.accounts.propose(&user(1), Change::SetHours { id: id("keeper-one"), hours }, ""));
    house.accounts.approve(&user(3), number).unwrap();
    assert!(why(house.accounts.admit(&user(2), "scrub").unwrap_err()).contains("outside the hours"));
    let emergency = |roles: &[Role], minutes| {
        let change = Change::BreakGlass { id: id("keeper-one"), roles: Roles::of(roles).unwrap(), minutes };
        house.accounts.propose(&user(2), change, "a volume died")
    };
    assert!(emergency(&[Role::DisposalApprover], 60).is_err(), "no emergency makes two duties one");
    assert!(emergency(&[], 10_000).is_err());
    let number = waiting(emergency(&[], 120));
    assert!(house.accounts.approve(&user(2), number).is_err(), "nobody grants themselves anything");
    house.accounts.approve(&user(1), number).unwrap();
    house.later(HOUR);
    house.accounts.admit(&user(2), "scrub").unwrap();
    house.later(HOUR);
    assert!(house.accounts.admit(&user(2), "scrub").is_err(), "it ends by itself");
    house.accounts.sweep().unwrap();
    house.accounts.sweep().unwrap();
    let (begun, ended) = (house.records(Action::BreakGlass), house.records(Action::BreakGlassEnded));
    assert_eq!((begun.len(), begun[0].event.outcome, ended.len()), (1, Outcome::Findings, 1));
    house.clock.0.store(house.clock.now_ms() - 4 * HOUR, Ordering::Relaxed);
    assert!(house.accounts.admit(&user(2), "scrub").is_err(), "a clock that goes back brings it not back");
}

#[test]
fn any_other_file_than_the_one_that_was_written_is_not_believed_7_6_14_pw_m9() {
    let house = House::three();
    let old = std::fs::read(house.file()).unwrap();
    house.accounts.suspend(&user(1), &id("keeper-one"), "").unwrap();
    let (house, finding) = house.reopened();
    assert_eq!(finding, None);
    let good = std::fs::read(house.file()).unwrap();
    let edited = [&good[..60], &[good[60] ^ 1], &good[61..]].concat();
    let mut house = house;
    for (bytes, what) in [(Some(old), "an old one"), (Some(edited), "an edited one"), (None, "none")] {
        match bytes {
            Some(bytes) => std::fs::write(house.file(), bytes).unwrap(),
            None => std::fs::remove_file(house.file()).unwrap(),
        }
        std::fs::write(house.dir.path().join(NEXT), b"not it either").unwrap();
        assert!(house.accounts.verify().is_some(), "{what}, while the vault is open");
        let change = house.accounts.suspend(&user(1), &id("auditor-one"), "");
        assert!(matches!(change, Err(Error::Accounts { .. })), "{what}: {change:?}");
        let (reopened, finding) = house.reopened();
        assert_eq!(finding.unwrap().code, "accounts-doubted", "{what}");
        for no in 1..=3 {
            assert!(reopened.accounts.admit(&user(no), "vault status").is_err(), "{what}");
        }
        let owner = reopened.owner();
        reopened.accounts.admit(&owner, "audit verify").unwrap();
        assert!(reopened.accounts.admit(&owner, "volume set-state").is_err());
        assert!(reopened.add(&owner, 8, "admin-two", &[Role::Admin]).is_err(), "{what}");
        std::fs::write(reopened.file(), &good).unwrap();
        let (reopened, finding) = reopened.reopened();
        assert_eq!(finding, None, "the right file is back");
        house = reopened;
    }
    std::fs::write(house.file(), b"").unwrap();
    let (house, _) = house.reopened();
    assert!(house.accounts.confirm_file(&user(1), "").is_err(), "only the owner stands up for a file");
    house.accounts.confirm_file(&house.owner(), "restored by hand").unwrap();
    assert_eq!(house.records(Action::AccountsConfirmed)[0].event.outcome, Outcome::Findings);
    assert_eq!(house.reopened().1, None);
}

#[test]
fn a_kill_between_any_two_steps_of_a_change_leaves_the_old_file_or_the_new_one() {
    let house = House::three();
    let before = std::fs::read(house.file()).unwrap();
    house.accounts.suspend(&user(1), &id("keeper-one"), "").unwrap();
    let after = std::fs::read(house.file()).unwrap();
    std::fs::write(house.file(), &before).unwrap(); // killed behind the audit record
    let (house, finding) = house.reopened();
    assert_eq!(finding, None);
    assert_eq!(house.accounts.get(&id("keeper-one")).unwrap().standing, Standing::Suspended);
    assert_eq!(std::fs::read(house.file()).unwrap(), after);
    std::fs::write(house.dir.path().join(NEXT), b"begun and never recorded").unwrap(); // killed in front of it
    let (house, finding) = house.reopened();
    assert_eq!(finding, None);
    assert_eq!(house.accounts.get(&id("keeper-one")).unwrap().standing, Standing::Suspended);
}

#[test]
fn wrong_passwords_are_delayed_then_locked_with_an_alarm_and_all_look_alike_7_6_14_logon_m2_s3() {
    let house = House::three();
    let factor = house.console_person();
    let words = |password: &str, code: &str| why(house.log_on(password, code).unwrap_err());
    let first = words("wr0ng-guess!", "");
    let unknown = Attempt { id: "no-such-person", password: PASSWORD, code: "", from: "192.0.2.7" };
    assert_eq!(why(house.accounts.log_on(&unknown).unwrap_err()), first);
    assert_eq!(words(PASSWORD, &factor.code(&house)), first, "right, and too soon after a wrong one");
    for _ in 0..3 {
        house.later(4_000);
        assert_eq!(words("wr0ng-guess!", ""), first);
    }
    house.later(4_000);
    assert_eq!(words(PASSWORD, "000000"), first, "a wrong code is a wrong guess");
    house.later(4_000);
    assert_eq!(words(PASSWORD, &factor.code(&house)), first, "locked");
    let locked = house.records(Action::AccountLocked);
    assert_eq!((locked.len(), locked[0].event.outcome, house.accounts.figures().0), (1, Outcome::Findings, 1));
    let (house, _) = house.reopened();
    assert!(house.log_on(PASSWORD, &factor.code(&house)).is_err(), "a restart forgives nothing");
    house.clock.0.fetch_sub(DAY, Ordering::Relaxed);
    assert!(house.log_on(PASSWORD, &factor.code(&house)).is_err(), "nor does a clock that goes back");
    house.clock.0.fetch_add(DAY, Ordering::Relaxed);
    house.clock.0.fetch_add(3 * 366 * DAY, Ordering::Relaxed);
    assert!(house.log_on(PASSWORD, &factor.code(&house)).is_err(), "nor one far ahead");
    house.clock.0.fetch_sub(3 * 366 * DAY, Ordering::Relaxed);
    house.later(31 * MINUTE);
    let on = house.log_on(PASSWORD, &factor.code(&house)).unwrap();
    assert_eq!((on.before.failures, on.first_do), (5, FirstDo::Nothing), "7.6.14-LOGON-S1");
    assert!(on.before.failure_ms > on.before.success_ms);
    house.accounts.admit(&user(2), "vault status").unwrap();
}

#[test]
fn a_flood_of_guesses_is_few_records_with_a_count() {
    let house = House::three();
    house.console_person();
    for _ in 0..200 {
        let unknown = Attempt { id: "no-such-person", password: "x", code: "", from: "192.0.2.7" };
        house.accounts.log_on(&unknown).unwrap_err();
        house.log_on("wr0ng-guess!", "").unwrap_err();
        house.later(50);
    }
    let refused = house.records(Action::LogOnRefused);
    assert!(refused.len() < 10, "{} records", refused.len());
    house.later(MINUTE);
    house.log_on("wr0ng-guess!", "").unwrap_err();
    house.accounts.log_on(&Attempt { id: "no-such-person", password: "x", code: "", from: "" }).unwrap_err();
    let counted: u64 = house.records(Action::LogOnRefused).iter().map(|record| record.event.units).sum();
    assert!(counted >= 200, "{counted}");
    assert!(house.records(Action::LogOnRefused).iter().all(|record| !record.event.reason.contains("no-such-person")));
}

#[test]
fn a_code_works_once_and_its_session_ends_unused_7_6_14_logon_m1_s5() {
    let house = House::three();
    let factor = house.console_person();
    let code = factor.code(&house);
    let on = house.log_on(PASSWORD, &code).unwrap();
    house.accounts.admit(&house.accounts.caller(&on.token).unwrap(), "scrub").unwrap();
    assert!(house.log_on(PASSWORD, &code).is_err(), "the same code again");
    house.later(5_000);
    let (house, _) = house.reopened();
    assert!(house.log_on(PASSWORD, &code).is_err(), "nor after a restart");
    assert!(house.accounts.caller(&on.token).is_err(), "sessions end with the process");
    house.later(MINUTE);
    let on = house.log_on(PASSWORD, &factor.code(&house)).unwrap();
    house.later(16 * MINUTE);
    assert!(house.accounts.caller(&on.token).is_err());
    house.accounts.sweep().unwrap();
    assert_eq!(house.records(Action::LoggedOff).pop().unwrap().event.reason, "not used");
    let on = house.log_on(PASSWORD, &factor.code(&house)).unwrap();
    house.accounts.suspend(&user(1), &id("keeper-one"), "").unwrap();
    assert!(house.accounts.caller(&on.token).is_err(), "7.6.14-ID-M5: at once");
}

#[test]
fn a_first_password_opens_nothing_but_its_change_7_6_14_pw_m6_m3() {
    let house = House::three();
    let hers = house.accounts.give_first_password(&user(1), &id("keeper-one"));
    assert!(why(hers.unwrap_err()).contains("the person chooses"), "nobody becomes somebody else");
    let change = Change::Map { id: id("keeper-one"), os_user: None };
    let number = waiting(house.accounts.propose(&user(1), change, ""));
    house.accounts.approve(&user(3), number).unwrap();
    let first = house.accounts.give_first_password(&user(1), &id("keeper-one")).unwrap();
    let on = house.log_on(&first, "").unwrap();
    assert_eq!(on.first_do, FirstDo::ChangePassword);
    assert!(house.accounts.caller(&on.token).is_err());
    let own = house.accounts.own_caller(&on.token).unwrap();
    for bad in ["short1!", "keeper-one-77", &first] {
        assert!(house.accounts.change_password(&own, &first, bad).is_err(), "{bad}");
    }
    house.accounts.change_password(&own, &first, PASSWORD).unwrap();
    assert_eq!(house.accounts.session(&on.token).unwrap().2, FirstDo::ProveSecondFactor);
    assert!(house.accounts.caller(&on.token).is_err());
    let uri = house.accounts.enrol_second_factor(&own, TotpHash::Sha256, "").unwrap();
    assert!(uri.contains("algorithm=SHA256"));
    let factor = TestFactor(id("keeper-one"));
    house.accounts.prove_second_factor(&own, &factor.code(&house)).unwrap();
    house.accounts.admit(&house.accounts.caller(&on.token).unwrap(), "scrub").unwrap();
    house.later(91 * DAY);
    let on = house.log_on(PASSWORD, &factor.code(&house)).unwrap();
    assert_eq!(on.first_do, FirstDo::ChangePassword, "7.6.14-PW-M3");
    assert!(house.accounts.caller(&on.token).is_err());

    let first = house.accounts.give_first_password(&user(1), &id("keeper-one")).unwrap();
    assert!(house.accounts.own_caller(&on.token).is_err(), "sessions end with a new first password");
    house.later(73 * HOUR);
    assert!(house.log_on(&first, &factor.code(&house)).is_err(), "nobody came for it");
}

#[test]
fn a_change_demands_the_password_in_use_and_stops_after_wrong_ones_7_6_14_pw_m4_m5() {
    let house = House::three();
    let change = |old: &str, new: &str| house.accounts.change_password(&user(2), old, new);
    change("", PASSWORD).unwrap();
    assert!(why(change(PASSWORD, PASSWORD).unwrap_err()).contains("in use"));
    change(PASSWORD, "second-0ne!").unwrap();
    assert!(why(change("second-0ne!", PASSWORD).unwrap_err()).contains("last 5"));
    for _ in 0..5 {
        assert!(change("wrong-1-again!", "third-0ne!").is_err());
        house.later(4_000);
    }
    assert!(why(change("second-0ne!", "third-0ne!").unwrap_err()).contains("takes no change"));
    house.later(31 * MINUTE);
    change("second-0ne!", "third-0ne!").unwrap();
    let log = std::fs::read(house.dir.path().join("audit/000001.log")).unwrap();
    let file = std::fs::read(house.file()).unwrap();
    for secret in [PASSWORD, "second-0ne!", "third-0ne!", "wrong-1-again!"] {
        let holds = |bytes: &[u8]| bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!holds(&log) && !holds(&file), "{secret}");
    }
}

fn book() -> Book {
    let house = House::three();
    house.console_person();
    let key: PublicKey = {
        let seed = zeroize::Zeroizing::new([7; 32]);
        shosoin_protocol::sign::SigningKey::from_seed(shosoin_protocol::Suite::Cryptrec, &seed).unwrap().public()
    };
    let hours = Hours::of(vec!["Mon-Fri 08:00-18:00".parse().unwrap()]).unwrap();
    let changes = [
        Change::SetKey { id: id("keeper-one"), key: Some(key) },
        Change::SetHours { id: id("keeper-one"), hours: hours.clone() },
        Change::Map { id: id("keeper-one"), os_user: None },
        Change::ForgetSecondFactor { id: id("keeper-one") },
    ];
    for change in changes {
        waiting(house.accounts.propose(&user(1), change, ""));
    }
    let (name, roles) = ("佐藤 花子".to_owned(), Roles::of(&[Role::Keeper]).unwrap());
    let add = Change::Add { id: id("hanako"), name, roles, os_user: Some(os(8)), hours };
    house.accounts.approve(&user(3), waiting(house.accounts.propose(&user(1), add, ""))).unwrap();
    let more = Roles::of(&[Role::DisposalApprover]).unwrap();
    let grant = Change::BreakGlass { id: id("auditor-one"), roles: more, minutes: 60 };
    house.accounts.approve(&user(1), waiting(house.accounts.propose(&user(3), grant, ""))).unwrap();
    house.accounts.state.lock().book.clone()
}

#[test]
fn the_table_of_the_accounts_file_says_what_the_encoder_writes() {
    let book = book();
    let encoded = book.encode();
    assert_eq!(Book::decode(&encoded), Ok(book.clone()));
    let part = |accounts: bool, requests: bool| {
        let mut part = book.clone();
        if !accounts {
            part.accounts.clear();
        }
        if !requests {
            part.requests.clear();
        }
        part.grants.clear();
        part.encode()
    };
    let without = |more: bool, than: bool| part(more, than).len() - part(false, false).len() + 4;
    let (accounts, requests) = (without(true, false), without(false, true));
    let end = encoded.len() - 32;
    let at = |from: usize, to: usize| encoded[from..to].to_vec();
    let u64 = |value: u64| value.to_le_bytes().to_vec();
    let fields = vec![
        ("magic", b"shac".to_vec()),
        ("version", vec![1]),
        ("flags", vec![1]),
        ("reserved", vec![0; 2]),
        ("generation", u64(book.generation)),
        ("written", u64(book.written_ms)),
        ("reviewed", u64(0)),
        ("next request", u64(book.next_request)),
        ("accounts", at(40, 40 + accounts)),
        ("requests", at(40 + accounts, 40 + accounts + requests)),
        ("grants", at(40 + accounts + requests, end)),
        ("checksum", sha256(&[&encoded[..end]]).0.to_vec()),
    ];
    let structure = Structure { begins_at: 0, ends_at: encoded.len(), encoded, fields };
    let tables = byte_tables(&page());
    compare(tables.iter().find(|table| table.title == "Accounts file").unwrap(), &structure);
}

#[test]
fn any_damaged_accounts_file_is_an_error_and_no_panic() {
    let good = book().encode();
    for len in 0..good.len() {
        assert!(Book::decode(&good[..len]).is_err());
    }
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        assert!(Book::decode(&bytes).is_err(), "byte {at}");
        // behind a checksum that is right, what is read is what would be written
        let end = bytes.len() - 32;
        let checksum = sha256(&[&bytes[..end]]);
        bytes[end..].copy_from_slice(&checksum.0);
        if let Ok(read) = Book::decode(&bytes) {
            assert_eq!(read.encode(), bytes, "byte {at}");
        }
    }
    let mut newer = good;
    newer[4] = 2;
    let end = newer.len() - 32;
    let checksum = sha256(&[&newer[..end]]);
    newer[end..].copy_from_slice(&checksum.0);
    assert_eq!(Book::decode(&newer).unwrap_err().kind(), shosoin_protocol::ErrorKind::Unsupported);
}

proptest! {
    #[test]
    fn noise_is_no_accounts_file(noise in prop::collection::vec(any::<u8>(), 0..400)) {
        let framed = [&b"shac\x01\0\0\0"[..], &noise].concat();
        let checksum = sha256(&[&framed]);
        let _ = Book::decode(&[framed, checksum.0.to_vec()].concat());
        prop_assert!(Book::decode(&noise).is_err());
    }
}
