//! Checks of what the vault itself is: program and settings against the register of changes.

use super::Measure;
use crate::applicability::Measures;
use crate::applicability::moment::rfc3339;
use crate::audit::{Action, AuditQuery};
use crate::changes::{ChangeKind, Look, Registered};
use crate::machines::{HostStanding, MachineKind, MachineState};
use crate::time_sync::{self, Agreement};
use crate::vault::Inner;

/// Self-checks of the log that are counted.
const LOOKS_COUNTED: usize = 1000;

/// Every check of it.
pub fn all(inner: &Inner) -> Measures {
    let look = inner.look();
    Measures::from([
        ("self-check", self_check(inner, look)),
        ("change-register", change_register(inner, look)),
        ("time-agreement", time_agreement(inner)),
    ])
}

/// Judges program and settings as they were just read, whatever was seen before.
fn self_check(inner: &Inner, look: Look) -> Measure {
    let status = inner.self_status(look);
    let (program, settings) = (&status.program_registered, &status.settings_registered);
    if [program, settings].contains(&&Registered::Nothing) {
        return Measure::nothing(
            "program or settings were never registered (`shosoin change add`), so there is nothing to compare them with",
            "プログラムまたは設定が未登録（`shosoin change add`）のため、比べるものがない",
        );
    }
    let query = AuditQuery { actions: vec![Action::SelfChecked], newest: Some(LOOKS_COUNTED), ..AuditQuery::default() };
    let looks = inner.media.audit().read(&query).unwrap_or_default();
    let newest = looks.iter().map(|record| record.event.at_ms).max().map_or_else(|| "-".to_owned(), rfc3339);
    let (wrong, open) = (status.unregistered().count(), look.open_to_others);
    let (count, digest) = (looks.len(), status.program.get(..16).unwrap_or_default());
    Measure::judged(
        wrong == 0 && !open,
        format!(
            "program {digest} ({} bytes) and settings read now: {wrong} of the two not as registered; others than its owner \
             may write to the program: {open}; at every start and every day, {count} looks on record, the newest {newest}",
            look.bytes
        ),
        format!(
            "プログラム {digest}（{} バイト）と設定を今読取り。登録と異なるもの {wrong}。所有者以外による書込み可：{open}。\
             起動時と毎日検査、記録 {count} 件、最新 {newest}",
            look.bytes
        ),
    )
}

fn change_register(inner: &Inner, look: Look) -> Measure {
    let changes = inner.media.changes();
    let of = |kind| changes.list().iter().filter(|change| change.facts.kind == kind).count();
    let (program, settings, machine) = (of(ChangeKind::Program), of(ChangeKind::Settings), of(ChangeKind::Machine));
    if program == 0 {
        return Measure::nothing("no program was registered", "登録されたプログラムがない");
    }
    let query = |action| AuditQuery { actions: vec![action], ..AuditQuery::default() };
    let met = |action| inner.media.audit().read(&query(action)).map_or(0, |records| records.len());
    let (met_programs, met_libraries) = (met(Action::ProgramChanged), met(Action::LibrariesChanged));
    let unregistered = matches!(inner.self_status(look).program_registered, Registered::Not { .. });
    Measure::judged(
        !unregistered && met_programs + met_libraries > 0,
        format!(
            "register of changes: {program} of the program, {settings} of settings, {machine} of machines, each with who, when, \
             what, why, who agreed, test, digest before and after; met by the vault: {met_programs} programs, {met_libraries} \
             sets of libraries of the system; the program in use is registered: {}",
            !unregistered
        ),
        format!(
            "変更台帳：プログラム {program}、設定 {settings}、装置 {machine} 件（人・時刻・内容・理由・承認者・試験・前後のハッシュ）。\
             保管庫が確認したプログラム {met_programs}、システムのライブラリ {met_libraries}。使用中のプログラムの登録：{}",
            !unregistered
        ),
    )
}

/// Asks chrony now. It speaks for this host alone: where the register of machines has other hosts in use, nothing is shown of those.
fn time_agreement(inner: &Inner) -> Measure {
    let config = &inner.config.time;
    let agreement = time_sync::ask(config);
    let said = agreement.sentence(config.error_ms_max);
    let HostStanding::Known { machine: here } = inner.host_standing() else {
        return judge_time(inner, &agreement, &said);
    };
    let is_other = |kind| matches!(kind, MachineKind::VaultHost | MachineKind::WitnessHost);
    let machines = inner.media.machines();
    let others =
        machines.list().filter(|machine| machine.state == MachineState::Active && is_other(machine.facts.kind));
    let others = others.filter(|machine| machine.facts.id.as_str() != here).count();
    match others {
        0 => judge_time(inner, &agreement, &said),
        others if agreement.is_bad() => Measure::judged(
            false,
            format!("clock of this host: {said}; {others} other hosts in use were not asked"),
            format!("本機の時計：{said}。ほかの使用中の装置 {others} 台は未測定"),
        ),
        others => Measure::nothing(
            &format!("clock of this host: {said}; {others} other hosts in use were not asked"),
            &format!("本機の時計：{said}。ほかの使用中の装置 {others} 台は未測定"),
        ),
    }
}

fn judge_time(inner: &Inner, agreement: &Agreement, said: &str) -> Measure {
    let query =
        AuditQuery { actions: vec![Action::TimeAgreement], newest: Some(LOOKS_COUNTED), ..AuditQuery::default() };
    let count = inner.media.audit().read(&query).map_or(0, |records| records.len());
    let (en, ja) = (
        format!("clock of this host, asked now: {said}; asked every ten minutes while it is served, {count} records"),
        format!("本機の時計（今測定）：{said}。稼働中は 10 分ごとに測定、記録 {count} 件"),
    );
    match agreement {
        Agreement::NotMeasured { .. } => Measure::nothing(&en, &ja),
        _ => Measure::judged(!agreement.is_bad(), en, ja),
    }
}
