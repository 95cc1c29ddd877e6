//! Checks of the people who run the vault: who they are, what each may do, what needs two of them, how they log on.

use super::{Measure, Shown};
use crate::accounts::{Account, Accounts, Mode, Permission, RequestKind, Role, Session, Standing, TABLE, UNUSED_DAYS};
use crate::applicability::Measures;
use crate::applicability::moment::day;
use crate::audit::{Action, AuditQuery, Detail};
use crate::vault::Inner;
use shosoin_tiers::life::DAY_MS;
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;

/// Every check of people.
pub fn all(inner: &Inner, now_ms: u64) -> Measures {
    let accounts = &*inner.accounts;
    let usable: Vec<Account> = accounts.list().into_iter().filter(Account::is_usable).collect();
    Measures::from([
        ("people-ids", ids(inner)),
        ("people-duties", duties(accounts, &usable)),
        ("people-groups", groups(accounts, &usable)),
        ("people-review", review(accounts, now_ms)),
        ("people-unused", unused(accounts, &usable, now_ms)),
        ("people-administrators", administrators(accounts, &usable)),
        ("people-stopped", stopped(accounts)),
        ("suspicions", suspicions(inner)),
        ("two-people", two_people(accounts, &usable)),
        ("emergencies", emergencies(inner)),
        ("no-default-accounts", no_defaults(inner)),
        ("accounts-file", file(inner)),
        ("passwords", passwords(accounts)),
        ("password-age", password_age(accounts)),
        ("password-history", password_history(accounts)),
        ("log-on-lock", lock(accounts)),
        ("log-on-words", words(accounts)),
        ("sessions", sessions(accounts)),
        ("hours", hours(accounts, &usable)),
        ("second-factor", second_factor(accounts, &usable)),
    ])
}

/// In a vault that nobody has an account at, what accounts would show does not hold.
fn in_force(accounts: &Accounts, measure: impl FnOnce() -> Measure) -> Measure {
    match accounts.mode() {
        Mode::InForce => measure(),
        Mode::NoAccounts => Measure::judged(
            false,
            "the vault has no accounts: whoever may open its folder may do everything".into(),
            "利用者 ID がなく、保管庫のフォルダを開ける者は全てを行える".into(),
        ),
        Mode::Doubted(why) => Measure::judged(false, why.clone(), why),
    }
}

/// The same where there is nothing to measure without accounts.
fn if_any(accounts: &Accounts, measure: impl FnOnce() -> Measure) -> Measure {
    match accounts.mode() {
        Mode::InForce => measure(),
        _ => Measure::nothing("the vault has no accounts", "利用者 ID がない"),
    }
}

fn ids(inner: &Inner) -> Measure {
    let accounts = &*inner.accounts;
    in_force(accounts, || {
        let kept: BTreeSet<_> = accounts.list().into_iter().map(|account| account.id).collect();
        let known = inner.media.accounts_mark().ids;
        let (missing, count) = (known.difference(&kept).count(), kept.len());
        let (tried, refused) = accounts.refuses_strangers();
        Measure::judged(
            missing == 0 && refused == tried,
            format!(
                "{count} personal ids, each one person for ever: {} ids in the audit log, {missing} of them not kept; a stranger \
                 was tried now on {tried} commands and pages, {refused} refused",
                known.len()
            ),
            format!(
                "個人 ID {count} 件。監査記録上の {} 件のうち保持されていないもの {missing}。未登録者で {tried} 操作を試み \
                 {refused} 件拒否",
                known.len()
            ),
        )
    })
}

/// Commands and pages of the table that these roles give.
fn gives(account: &Account) -> usize {
    TABLE.iter().filter(|(_, permission)| account.may(*permission).is_ok()).count()
}

fn duties(accounts: &Accounts, usable: &[Account]) -> Measure {
    in_force(accounts, || {
        let most = usable.iter().map(gives).max().unwrap_or(0);
        let rows = TABLE.len();
        Measure::judged(
            most < rows && !usable.is_empty(),
            format!(
                "{} people with duties kept apart; of {rows} commands and pages one person may use {most} at most, each needs \
                 exactly one permission",
                usable.len()
            ),
            format!("職務を分けた {} 名。{rows} の操作・画面のうち一人が使えるのは最大 {most}", usable.len()),
        )
    })
}

fn groups(accounts: &Accounts, usable: &[Account]) -> Measure {
    in_force(accounts, || {
        let may = |permission| usable.iter().filter(|account| account.may(permission).is_ok()).count();
        let groups = [
            ("asset ledger", "資産台帳", Permission::ReadAssets),
            ("audit log", "監査記録", Permission::ReadAudit),
            ("media", "媒体", Permission::ReadMedia),
            ("accounts", "利用者", Permission::ReadAccounts),
        ];
        let all = usable.len();
        let en: Vec<String> = groups.iter().map(|(en, _, permission)| format!("{en} {}", may(*permission))).collect();
        let ja: Vec<String> = groups.iter().map(|(_, ja, permission)| format!("{ja} {}", may(*permission))).collect();
        let few = groups.iter().all(|(_, _, permission)| may(*permission) < all.max(2));
        Measure::judged(
            few,
            format!("of {all} people may read: {}; content of records nobody", en.join(", ")),
            format!("{all} 名のうち閲覧できる人数：{}。記録の中身は誰も読めない", ja.join("、")),
        )
    })
}

fn review(accounts: &Accounts, now_ms: u64) -> Measure {
    if_any(accounts, || {
        let days = u64::from(accounts.config().review_days);
        let last = accounts.reviewed_ms();
        let recent = last.is_some_and(|at_ms| now_ms.saturating_sub(at_ms) <= days * DAY_MS);
        let at = last.map_or_else(|| "never".to_owned(), day);
        Measure::judged(
            recent,
            format!("who may do what was looked at last {at}; every {days} days"),
            format!("権限の点検 最終 {at}。{days} 日ごと"),
        )
    })
}

fn unused(accounts: &Accounts, usable: &[Account], now_ms: u64) -> Measure {
    if_any(accounts, || {
        let since = |account: &&Account| account.last_success_ms.max(account.created_ms);
        let old = |account: &&Account| now_ms.saturating_sub(since(account)) > UNUSED_DAYS * DAY_MS;
        let (count, all) = (usable.iter().filter(old).count(), usable.len());
        Measure::judged(
            count == 0,
            format!("{count} of {all} accounts were not used for {UNUSED_DAYS} days"),
            format!("{all} 件のうち {UNUSED_DAYS} 日使われていない ID {count} 件"),
        )
    })
}

fn administrators(accounts: &Accounts, usable: &[Account]) -> Measure {
    if_any(accounts, || {
        let count = usable.iter().filter(|account| account.roles.has(Role::Admin)).count();
        let all = usable.len();
        Measure::new(
            Shown::Figure,
            format!("{count} of {all} people may give rights; they may use none of them"),
            format!("権限を与えられる者 {count} 名／全 {all} 名。自らは行使できない"),
        )
    })
}

fn stopped(accounts: &Accounts) -> Measure {
    if_any(accounts, || {
        let all = accounts.list();
        let stopped: Vec<&Account> = all.iter().filter(|account| !account.is_usable()).collect();
        if stopped.is_empty() {
            return Measure::nothing("nobody was stopped yet", "停止された者はいない");
        }
        let may = |account: &&&Account| Permission::ALL.iter().any(|permission| account.may(*permission).is_ok());
        let sessions = accounts.sessions();
        let on = |account: &&&Account| sessions.iter().any(|session: &Session| session.account == account.id);
        let able = stopped.iter().filter(|account| may(account) || on(account)).count();
        Measure::judged(
            able == 0,
            format!(
                "{} people were stopped or left; tried now, {able} of them may do anything or are logged on",
                stopped.len()
            ),
            format!("停止・退任 {} 名。うち現在何かできる者 {able} 名", stopped.len()),
        )
    })
}

fn suspicions(inner: &Inner) -> Measure {
    let accounts = &*inner.accounts;
    if_any(accounts, || {
        let read = |actions: Vec<Action>| {
            let query = AuditQuery { actions, ..AuditQuery::default() };
            inner.media.audit().read(&query).unwrap_or_default()
        };
        let stopped = read(vec![Action::AccountSuspended]);
        let verified = read(vec![Action::SuspicionVerified]);
        if stopped.is_empty() {
            return Measure::nothing("nobody was suspended yet", "停止された者はいない");
        }
        let done = stopped.iter().filter(|record| {
            let Detail::Account { account, .. } = &record.event.detail else { return false };
            let about = format!("what {account} could reach");
            verified.iter().any(|proof| proof.seq > record.seq && proof.event.reason == about)
        });
        let (count, all) = (done.count(), stopped.len());
        Measure::judged(
            count == all,
            format!(
                "{count} of {all} suspensions were followed by a whole verification of what that person could reach"
            ),
            format!("停止 {all} 件のうち、その者が触れ得た範囲の全検証を終えたもの {count} 件"),
        )
    })
}

fn two_people(accounts: &Accounts, usable: &[Account]) -> Measure {
    in_force(accounts, || {
        let confirmed = accounts.rights_are_confirmed();
        let approvers = usable.iter().filter(|account| account.may(Permission::ApproveRights).is_ok()).count();
        let (tried, refused) = accounts.refuses_own_requests();
        let requests = accounts.requests().len();
        Measure::judged(
            confirmed && approvers >= 2 && tried == refused,
            format!(
                "rights change with a second person's agreement: {confirmed}; {approvers} people may agree; {} kinds tried now, \
                 {refused} refused to the one who asked; {requests} requests remembered",
                RequestKind::ALL.len()
            ),
            format!(
                "権限変更に第二者の承認：{confirmed}。承認できる者 {approvers} 名。{} 種で申請者自身の承認を試み {refused} 件拒否。\
                 申請 {requests} 件",
                RequestKind::ALL.len()
            ),
        )
    })
}

fn emergencies(inner: &Inner) -> Measure {
    let accounts = &*inner.accounts;
    if_any(accounts, || {
        let query = AuditQuery { actions: vec![Action::BreakGlass], ..AuditQuery::default() };
        let granted = inner.media.audit().read(&query).unwrap_or_default();
        let approved = granted.iter().filter(|record| record.event.reason.contains("agreed by ")).count();
        let (in_force, count) = (accounts.waiting().1, granted.len());
        match count {
            0 => Measure::nothing("no emergency was granted yet", "緊急の許可はまだない"),
            _ => Measure::judged(
                approved == count,
                format!("{count} emergencies granted, {approved} with another person's agreement; {in_force} in force"),
                format!("緊急の許可 {count} 件、うち別人の承認 {approved} 件。有効中 {in_force} 件"),
            ),
        }
    })
}

fn no_defaults(inner: &Inner) -> Measure {
    let accounts = &*inner.accounts;
    if_any(accounts, || {
        let query = AuditQuery { actions: vec![Action::AccountAdded], ..AuditQuery::default() };
        let added: BTreeSet<String> = (inner.media.audit().read(&query).unwrap_or_default().into_iter())
            .filter_map(|record| match record.event.detail {
                Detail::Account { account, .. } => Some(account),
                _ => None,
            })
            .collect();
        let all = accounts.list();
        let nobodys = all.iter().filter(|account| account.is_usable() && !added.contains(account.id.as_str())).count();
        let first = all.iter().filter(|account| account.is_usable() && account.secrets.one_time).count();
        Measure::judged(
            nobodys == 0,
            format!(
                "{} accounts, {nobodys} that nobody made; {first} wait for a first password to be changed",
                all.len()
            ),
            format!("ID {} 件、作成の記録がないもの {nobodys}。仮パスワードのまま {first}", all.len()),
        )
    })
}

fn file(inner: &Inner) -> Measure {
    let accounts = &*inner.accounts;
    if_any(accounts, || {
        let finding = accounts.verify();
        let path = inner.dir.join(crate::accounts::FILE);
        let mode = std::fs::metadata(&path).map(|found| found.permissions().mode() & 0o777);
        let closed = mode.as_ref().is_ok_and(|mode| mode & 0o077 == 0);
        let mode = mode.map_or_else(|error| error.to_string(), |mode| format!("{mode:o}"));
        let (same, why) = (finding.is_none(), finding.map(|finding| finding.message).unwrap_or_default());
        Measure::judged(
            same && closed,
            format!("accounts file compared with its digest in the audit log: same {same} {why}; mode {mode}"),
            format!("利用者ファイルを監査記録上の要約値と照合：一致 {same} {why}。権限 {mode}"),
        )
    })
}

fn with_passwords(accounts: &Accounts) -> usize {
    accounts.list().iter().filter(|account| account.is_usable() && account.secrets.current.is_some()).count()
}

fn passwords(accounts: &Accounts) -> Measure {
    if_any(accounts, || match with_passwords(accounts) {
        0 => Measure::nothing("nobody has a password", "パスワードを持つ者がいない"),
        count => {
            let probe = crate::accounts::probe_passwords();
            Measure::judged(
                probe,
                format!(
                    "{count} passwords kept as Argon2id; tried now: weak ones refused, a drawn one meets the standard and is \
                     recognised only by itself: {probe}"
                ),
                format!(
                    "パスワード {count} 件を Argon2id で保持。弱いものの拒否・乱数の仮パスワード・照合を試験：{probe}"
                ),
            )
        }
    })
}

fn password_age(accounts: &Accounts) -> Measure {
    let days = accounts.config().password_days;
    if_any(accounts, || match with_passwords(accounts) {
        0 => Measure::nothing("nobody has a password", "パスワードを持つ者がいない"),
        count => Measure::judged(
            days > 0,
            format!("{count} passwords are good for {days} days (0: for ever), then the next log-on only changes them"),
            format!("パスワード {count} 件の期限 {days} 日（0 は無期限）。過ぎれば変更のみ可"),
        ),
    })
}

fn password_history(accounts: &Accounts) -> Measure {
    let (generations, tries) = (accounts.config().password_history, accounts.config().wrong_tries);
    let minutes = accounts.config().lock_minutes;
    if_any(accounts, || match with_passwords(accounts) {
        0 => Measure::nothing("nobody has a password", "パスワードを持つ者がいない"),
        _ => Measure::judged(
            generations > 0,
            format!(
                "the last {generations} passwords are not taken again; a change demands the one in use, and {tries} wrong ones stop \
                 changes for {minutes} minutes"
            ),
            format!(
                "過去 {generations} 世代は再使用不可。変更には現在のものを要し、{tries} 回誤れば {minutes} 分受け付けない"
            ),
        ),
    })
}

fn lock(accounts: &Accounts) -> Measure {
    let config = accounts.config();
    let (tries, minutes, seconds) = (config.wrong_tries, config.lock_minutes, config.retry_seconds);
    if_any(accounts, || {
        let probe = accounts.probe_lock();
        let (locks, _) = accounts.figures();
        Measure::judged(
            probe,
            format!(
                "after a wrong try nothing is looked at for {seconds} s, after {tries} for {minutes} minutes with an alarm; counted \
                 through now: {probe}; {locks} locks since the vault was opened"
            ),
            format!(
                "誤入力後 {seconds} 秒、{tries} 回で {minutes} 分受け付けず警告。試算：{probe}。起動後の締め出し {locks} 件"
            ),
        )
    })
}

fn words(accounts: &Accounts) -> Measure {
    if_any(accounts, || {
        let same = accounts.probe_words();
        Measure::judged(
            same,
            format!("an unknown id was tried now: refused with the one answer there is, after its fixed time: {same}"),
            format!("存在しない ID を試験：決まった時間の後に唯一の文言で拒否：{same}"),
        )
    })
}

fn sessions(accounts: &Accounts) -> Measure {
    let config = accounts.config();
    let (idle, hours, most) = (config.idle_minutes, config.session_hours, config.sessions_max);
    if_any(accounts, || {
        let (probe, (_, open)) = (accounts.probe_sessions(), accounts.figures());
        Measure::judged(
            probe,
            format!(
                "{open} people logged on, at most {most} at once; a session ends after {idle} minutes without use and after {hours} \
                 hours: tried now on sessions of nobody: {probe}"
            ),
            format!("ログオン中 {open} 名、上限 {most} 名。{idle} 分不使用または {hours} 時間で切断。試験：{probe}"),
        )
    })
}

fn hours(accounts: &Accounts, usable: &[Account]) -> Measure {
    if_any(accounts, || {
        let (limited, all) = (usable.iter().filter(|account| !account.hours.are_all()).count(), usable.len());
        Measure::judged(
            limited == all,
            format!("{limited} of {all} people may act only in their days and hours"),
            format!("{all} 名のうち曜日と時間帯を限った者 {limited} 名"),
        )
    })
}

fn second_factor(accounts: &Accounts, usable: &[Account]) -> Measure {
    if_any(accounts, || {
        let with: Vec<&Account> = usable.iter().filter(|account| account.secrets.current.is_some()).collect();
        if with.is_empty() {
            return Measure::nothing("nobody has a password", "パスワードを持つ者がいない");
        }
        let proved = |account: &&&Account| account.second_factor.as_ref().is_some_and(|factor| factor.is_proved());
        let (count, all) = (with.iter().filter(proved).count(), with.len());
        let active = usable.iter().filter(|account| account.standing == Standing::Active).count();
        Measure::judged(
            count == all,
            format!("{count} of {all} people with a password have proved a second factor; {active} people are active"),
            format!("パスワードを持つ {all} 名のうち第二要素を確認済み {count} 名。稼働中 {active} 名"),
        )
    })
}
