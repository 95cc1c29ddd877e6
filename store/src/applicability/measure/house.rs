//! Checks of the house: audit log, rights on files, readers of the ledger, clock, algorithms, the last check job.

use super::{Measure, Shown};
use crate::accounts::{self, Mode};
use crate::applicability::Measures;
use crate::applicability::moment::day;
use crate::audit::{Action, AuditQuery, Outcome};
use crate::http::admin::socket_path;
use crate::jobs::JobKind;
use crate::machines::{HostStanding, MachineKind, MachineState};
use crate::vault::Inner;
use shosoin_protocol::Suite;
use shosoin_protocol::sign::Domain;
use shosoin_tiers::life::DAY_MS;
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

/// Records of the audit log that are looked through for people and refusals.
const RECORDS_LOOKED_AT: usize = 10_000;

/// Every check of the house.
pub fn all(inner: &Arc<Inner>, now_ms: u64) -> Measures {
    Measures::from([
        ("audit-chain", audit_chain(inner)),
        ("audit-people", audit_people(inner)),
        ("refused-reads", refused_reads(inner)),
        ("file-rights", file_rights(inner)),
        ("ledger-readers", ledger_readers(inner)),
        ("clock", clock(inner)),
        ("crypto-list", crypto_list(inner)),
        ("crypto-switch", crypto_switch(inner)),
        ("check-job", check_job(inner, now_ms)),
        ("machine-register", machine_register(inner)),
        ("machine-checks", machine_checks(inner, now_ms)),
        ("terminals", terminals(inner)),
    ])
}

fn audit_chain(inner: &Inner) -> Measure {
    match inner.verify_log() {
        Ok(report) => {
            let (records, copies, findings) = (report.records, report.copies, report.findings.len());
            let head = report.head_digest.to_string();
            let head = head.get(..16).unwrap_or_default();
            Measure::judged(
                findings == 0 && records > 0,
                format!(
                    "chain of {records} records verified from the first to its head {head}, {copies} copies on volumes \
                     compared, {findings} findings"
                ),
                format!("{records} 件の連鎖を先頭から {head} まで検証。媒体上の写し {copies} と比較。指摘 {findings}"),
            )
        }
        Err(error) => {
            let message = error.problem().message;
            Measure::judged(false, message.clone(), message)
        }
    }
}

fn audit_people(inner: &Inner) -> Measure {
    let query = AuditQuery { newest: Some(RECORDS_LOOKED_AT), ..AuditQuery::default() };
    let records = inner.media.audit().read(&query).unwrap_or_default();
    let people = |actor: &str| !actor.starts_with("job:") && actor != "vault";
    let actors: BTreeSet<&str> =
        records.iter().map(|record| record.event.actor.as_str()).filter(|a| people(a)).collect();
    let acts = records.iter().filter(|record| people(&record.event.actor)).count();
    let refused = records.iter().filter(|record| record.event.outcome == Outcome::Refused).count();
    Measure::new(
        if acts > 0 { Shown::Met } else { Shown::Nothing },
        format!(
            "{acts} acts of {} people among the newest {} records, each with person, time, act, outcome; {refused} refusals",
            actors.len(),
            records.len()
        ),
        format!(
            "直近 {} 件の記録に、{} 名による操作 {acts} 件（人・時刻・内容・結果）。拒否 {refused} 件",
            records.len(),
            actors.len()
        ),
    )
}

fn refused_reads(inner: &Inner) -> Measure {
    let query = AuditQuery { actions: vec![Action::AssetsRead], ..AuditQuery::default() };
    let query = AuditQuery { newest: Some(RECORDS_LOOKED_AT), ..query };
    let reads = inner.media.audit().read(&query).unwrap_or_default();
    let refused = reads.iter().filter(|record| record.event.outcome == Outcome::Refused).count();
    let (count, readers) = (reads.len(), inner.config.assets.readers.len());
    Measure::judged(
        readers > 0,
        format!(
            "{count} readings of the asset ledger on record, {refused} of them refused; {readers} readers are named"
        ),
        format!("資産台帳の閲覧記録 {count} 件、うち拒否 {refused} 件。指名された閲覧者 {readers} 名"),
    )
}

/// Rights of others on what only the vault's user may touch.
fn file_rights(inner: &Inner) -> Measure {
    let secret = ["vault.key", "tls.key", accounts::FILE].map(|name| inner.dir.join(name));
    // the socket may be a group's where accounts decide what each of its members may do
    let group = inner.accounts.mode() == Mode::InForce && !inner.accounts.config().socket_group.is_empty();
    let socket = Some(socket_path(&inner.dir)).filter(|path| path.exists());
    let mode = |path: &std::path::PathBuf| std::fs::metadata(path).map(|found| found.permissions().mode() & 0o777);
    let mut wrong = Vec::new();
    let secret = secret.iter().filter(|path| !path.ends_with(accounts::FILE) || path.exists());
    let paths: Vec<_> = secret.chain(socket.iter()).collect();
    for path in &paths {
        let others = if group && socket.as_ref() == Some(path) { 0o007 } else { 0o077 };
        match mode(path) {
            Ok(mode) if mode & others == 0 => {}
            Ok(mode) => wrong.push(format!("{} {mode:o}", path.display())),
            Err(error) => wrong.push(format!("{}: {error}", path.display())),
        }
    }
    let (count, wrong_count, listed) = (paths.len(), wrong.len(), wrong.join(", "));
    Measure::judged(
        wrong.is_empty(),
        format!("keys and administration socket: {count} looked at, {wrong_count} open to others [{listed}]"),
        format!("鍵と管理用ソケット {count} 個の権限を点検。他者に開いたもの {wrong_count}［{listed}］"),
    )
}

fn ledger_readers(inner: &Inner) -> Measure {
    let readers = &inner.config.assets.readers;
    let (count, names) = (readers.len(), readers.join(", "));
    if count == 0 {
        let (en, ja) = (
            "vault.toml names no reader of the asset ledger, so whoever may open the vault reads it",
            "資産台帳の閲覧者が vault.toml に指名されておらず、保管庫を開ける者は誰でも読める",
        );
        return Measure::judged(false, en.into(), ja.into());
    }
    Measure::judged(
        true,
        format!("{count} readers of the asset ledger named in vault.toml [{names}]; others are refused, on the record"),
        format!("資産台帳の閲覧者 {count} 名を vault.toml に指名［{names}］。それ以外は拒否し記録"),
    )
}

fn clock(inner: &Inner) -> Measure {
    let doubted = inner.media.clock_is_doubted();
    let newest = inner.media.trusted_ms().map_or_else(|| "-".to_owned(), day);
    Measure::new(
        if doubted { Shown::NotMet } else { Shown::Figure },
        format!(
            "clock doubted: {doubted}; newest trusted time {newest}; nothing is released or ended while it is doubted"
        ),
        format!("時計の疑義：{doubted}。信頼できる最新時刻 {newest}。疑義のある間は解放も廃棄もしない"),
    )
}

fn crypto_list(inner: &Inner) -> Measure {
    let hospitals: Vec<Suite> = inner.desks().iter().map(|desk| desk.info().suite).collect();
    if hospitals.is_empty() {
        return Measure::nothing("no hospital is enrolled", "登録された病院がない");
    }
    let (listed, count) = (hospitals.iter().filter(|suite| **suite == Suite::Cryptrec).count(), hospitals.len());
    Measure::judged(
        listed == count,
        format!(
            "{listed} of {count} hospitals use suite 2, whose algorithms are all on the e-Government list; suite 1 \
             addresses by BLAKE3, which is not"
        ),
        format!(
            "病院 {count} のうち {listed} が電子政府推奨暗号のみの方式 2 を使用。方式 1 の番地計算（BLAKE3）は一覧にない"
        ),
    )
}

/// Signs and verifies in every suite, now.
fn crypto_switch(inner: &Inner) -> Measure {
    let message = b"applicability";
    let works = |suite: &Suite| {
        let key = inner.identity.key(*suite);
        let signature = key.sign(Domain::Receipt, message);
        let (right, other) = (key.public(), key.public().verify(Domain::Receipt, b"other", &signature));
        right.verify(Domain::Receipt, message, &signature).is_ok() && other.is_err()
    };
    let (working, all) = (Suite::ALL.iter().filter(|suite| works(suite)).count(), Suite::ALL.len());
    Measure::judged(
        working == all && all > 1,
        format!(
            "{working} of {all} suites signed and verified a probe now, and refused a false one; each use names its suite"
        ),
        format!("{all} 方式中 {working} 方式で署名・検証・偽造拒否を試験。使用箇所ごとに方式番号を記載"),
    )
}

/// The register of processing devices, and whether it knows the host that measures this.
fn machine_register(inner: &Inner) -> Measure {
    let machines = inner.media.machines();
    let count = machines.list().count();
    let (holds, en, ja) = match inner.host_standing() {
        HostStanding::NoRegister => return Measure::nothing("no machine is registered", "登録された装置がない"),
        HostStanding::Known { machine } => {
            (true, format!("this host is {machine}"), format!("本機は {machine} として登録済み"))
        }
        HostStanding::Unknown { why } => (false, format!("this host is not let: {why}"), format!("本機は不適：{why}")),
    };
    Measure::judged(holds, format!("{count} machines registered; {en}"), format!("登録装置 {count} 台。{ja}"))
}

fn machine_checks(inner: &Inner, now_ms: u64) -> Measure {
    let (machines, days) = (inner.media.machines(), inner.config.machines.check_days);
    let active: Vec<_> = machines.list().filter(|machine| machine.state == MachineState::Active).collect();
    if active.is_empty() {
        return Measure::nothing("no registered machine is active", "使用中の登録装置がない");
    }
    let late: Vec<_> = active.iter().filter(|machine| machine.obstacle(now_ms, days).is_some()).collect();
    let names = late.iter().map(|machine| machine.facts.id.to_string()).collect::<Vec<_>>().join(", ");
    let (count, late) = (active.len(), late.len());
    Measure::judged(
        late == 0,
        format!(
            "{count} active machines; {late} of them without checks of malware, patches and address in the last {days} \
             days [{names}]; none becomes active without them"
        ),
        format!(
            "使用中の装置 {count} 台のうち、{days} 日以内の検査（マルウェア・修正適用・アドレス）がないもの {late} 台［{names}］。\
             検査なしでは使用を開始できない"
        ),
    )
}

/// From where people may log on to the console.
fn terminals(inner: &Inner) -> Measure {
    let console = &inner.config.console;
    let (networks, machines) = (console.terminals.len(), inner.media.machines());
    let registered = machines.list().filter(|machine| machine.facts.kind == MachineKind::OperatorTerminal).count();
    let limited = networks > 0 || !machines.is_empty();
    if !console.enabled || (!limited && console.listen.ip().is_loopback()) {
        let (en, ja) = ("the console is reached from the vault's own host alone", "管理画面は本機からのみ到達可能");
        return Measure::new(Shown::Figure, en.into(), ja.into());
    }
    Measure::judged(
        limited,
        format!(
            "the console listens on {} and lets {networks} networks of terminals and {registered} registered terminals in; \
             others get no handshake",
            console.listen
        ),
        format!(
            "管理画面 {} は管理端末の網 {networks}、登録端末 {registered} 台のみ受け付け、他は接続前に拒否",
            console.listen
        ),
    )
}

fn check_job(inner: &Arc<Inner>, now_ms: u64) -> Measure {
    let report = inner.jobs_report();
    let last = report.jobs.into_iter().find(|status| status.job == JobKind::Check).and_then(|status| status.last);
    let Some(last) = last else {
        return Measure::nothing("index, ledger and media were not compared yet", "索引・台帳・媒体の照合は未実施");
    };
    let period = u64::from(inner.config.jobs.check_period_days);
    let recent = now_ms.saturating_sub(last.ended_ms) <= 2 * period * DAY_MS;
    let (at, outcome, findings, items) =
        (day(last.ended_ms), last.outcome.name(), last.figures.findings, last.figures.items);
    Measure::judged(
        recent && last.outcome == crate::jobs::report::Outcome::Done && findings == 0,
        format!(
            "index, ledger and media compared {at}: {outcome}, {items} items, {findings} findings; every {period} days"
        ),
        format!("索引・台帳・媒体の照合 {at}：{outcome}、対象 {items}、指摘 {findings}。{period} 日ごと"),
    )
}
