//! Checks of what is held: every deposit counted by type, label and retention; the newest signed account; the ledger's speed.

use super::{Measure, Shown};
use crate::applicability::Measures;
use crate::applicability::moment::day;
use crate::assets::{AssetQuery, AssetState, Order, scan, select};
use crate::desk::Desk;
use crate::error::Result;
use crate::vault::Inner;
use shosoin_protocol::policy::{RecordType, Retention};
use shosoin_protocol::reconciliation::Reconciliation;
use shosoin_tiers::life::DAY_MS;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Days within which a hospital must have got an account.
const ACCOUNT_DAYS: u64 = 31;
/// Time in which a page of the ledger must be found.
const PAGE_TIME_MAX: Duration = Duration::from_millis(200);

/// Deposits counted.
#[derive(Default)]
pub struct Holdings {
    /// deposits
    pub count: u64,
    /// by record type
    types: BTreeMap<&'static str, u64>,
    /// by label
    labels: BTreeMap<&'static str, u64>,
    /// without a term
    no_term: u64,
    /// with a term whose start nobody told
    start_unknown: u64,
    /// longest term, in days
    longest_days: u32,
    /// disposed of
    disposed: u64,
    /// why it could not be counted
    problem: Option<String>,
}

/// Counts every deposit.
pub fn count(inner: &Inner, desks: &[Arc<Desk>]) -> Holdings {
    let mut holdings = Holdings::default();
    for desk in desks {
        let counted = scan(inner.index.as_ref(), desk.info().hospital, &mut |slot| {
            holdings.count += 1;
            *holdings.types.entry(slot.policy.record_type.code()).or_default() += 1;
            *holdings.labels.entry(slot.policy.label.name()).or_default() += 1;
            match slot.policy.retention {
                Retention::None => holdings.no_term += 1,
                Retention::Term { term_days, start_ms } => {
                    holdings.start_unknown += u64::from(start_ms.is_none());
                    holdings.longest_days = holdings.longest_days.max(term_days);
                }
            }
            holdings.disposed += u64::from(slot.state == AssetState::Disposed);
            Ok(true)
        });
        if let Err(error) = counted {
            holdings.problem = Some(error.problem().message);
        }
    }
    holdings
}

/// Every check of what is held.
pub fn all(inner: &Inner, desks: &[Arc<Desk>], holdings: &Holdings, now_ms: u64) -> Measures {
    let accounts: Vec<Option<Reconciliation>> = desks.iter().map(|desk| newest(inner, desk)).collect();
    Measures::from([
        ("record-types", record_types(holdings)),
        ("retention-terms", retention_terms(holdings)),
        ("account", account(&accounts, now_ms)),
        ("asset-entries", entries(inner, desks, &accounts)),
        ("asset-page", page(inner, desks)),
    ])
}

fn newest(inner: &Inner, desk: &Desk) -> Option<Reconciliation> {
    let bytes = inner.newest_reconciliation(desk.info().hospital).ok()?;
    let signed = Reconciliation::decode(&bytes).ok()?;
    signed.verify(desk.ledger().public_key()).ok()?;
    Some(signed)
}

fn listed(counts: &BTreeMap<&str, u64>) -> String {
    counts.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
}

fn record_types(holdings: &Holdings) -> Measure {
    let (refused, count, types) = (RecordType::from_code("X-01").is_err(), holdings.count, listed(&holdings.types));
    let unknown = holdings.types.keys().filter(|code| RecordType::from_code(code).is_err()).count();
    Measure::judged(
        refused && unknown == 0 && holdings.problem.is_none(),
        format!(
            "{count} deposits, each with a type of the table [{types}]; X-01 refused when it was tried now: {refused}"
        ),
        format!("預託 {count} 件の全てに表の種別あり［{types}］。X-01 の受入れを試み、拒否を確認：{refused}"),
    )
}

fn retention_terms(holdings: &Holdings) -> Measure {
    let Holdings { count, no_term, start_unknown, longest_days, disposed, labels, .. } = holdings;
    let labels = listed(labels);
    Measure::new(
        if *count == 0 { Shown::Nothing } else { Shown::Figure },
        format!(
            "{count} deposits: {no_term} without a term, {start_unknown} whose term has no known start; longest term \
             {longest_days} days; {disposed} disposed of; labels [{labels}]"
        ),
        format!(
            "預託 {count} 件：期限なし {no_term}、起算日未定 {start_unknown}、最長 {longest_days} 日、廃棄済み {disposed}、\
             区分［{labels}］"
        ),
    )
}

fn account(accounts: &[Option<Reconciliation>], now_ms: u64) -> Measure {
    let signed: Vec<_> = accounts.iter().flatten().collect();
    if signed.is_empty() {
        return Measure::nothing("no account was ever signed", "照合の記録がない");
    }
    let balanced = signed.iter().filter(|signed| signed.account.balances()).count();
    let oldest = signed.iter().map(|signed| signed.account.time_ms).min().unwrap_or(0);
    let sum = |of: fn(&Reconciliation) -> u64| signed.iter().map(|signed| of(signed)).sum::<u64>();
    let (received, held) = (sum(|signed| signed.account.received.count), sum(|signed| signed.account.held.count));
    let (given, disposed) = (sum(|signed| signed.account.given_out.count), sum(|signed| signed.account.disposed.count));
    let (hospitals, made) = (accounts.len(), signed.len());
    let recent = now_ms.saturating_sub(oldest) <= ACCOUNT_DAYS * DAY_MS;
    Measure::judged(
        made == hospitals && balanced == made && recent,
        format!(
            "{made} of {hospitals} hospitals have a signed account, the oldest of {}; {received} received = {held} held + \
             {given} given out + {disposed} disposed: {balanced} of {made} balance; at least every {ACCOUNT_DAYS} days",
            day(oldest)
        ),
        format!(
            "署名済みの照合：病院 {made}／{hospitals}、最も古いもの {}。受領 {received} ＝ 保管 {held} ＋ 提供 {given} ＋ \
             廃棄 {disposed}。一致 {balanced}／{made}。{ACCOUNT_DAYS} 日以内ごと",
            day(oldest)
        ),
    )
}

/// Entries of the asset ledger against the deposits that the last account counted on media.
fn entries(inner: &Inner, desks: &[Arc<Desk>], accounts: &[Option<Reconciliation>]) -> Measure {
    let (mut counted, mut listed) = (0, 0);
    for (desk, signed) in desks.iter().zip(accounts) {
        let Some(signed) = signed else { continue };
        counted += signed.account.received.count;
        let below = signed.account.log_size;
        let seen = scan(inner.index.as_ref(), desk.info().hospital, &mut |slot| {
            listed += u64::from(slot.number < below);
            Ok(slot.number < below)
        });
        if let Err(error) = seen {
            let message = error.problem().message;
            return Measure::judged(false, message.clone(), message);
        }
    }
    match accounts.iter().any(Option::is_some) {
        false => Measure::nothing("no account to compare with", "比較する照合がない"),
        true => Measure::judged(
            listed == counted,
            format!("{listed} entries of the asset ledger for {counted} deposits counted on media"),
            format!("媒体上の預託 {counted} 件に対し、資産台帳の登録 {listed} 件"),
        ),
    }
}

fn page(inner: &Inner, desks: &[Arc<Desk>]) -> Measure {
    let mut slowest = Duration::ZERO;
    let mut entries = 0;
    for desk in desks {
        let began = Instant::now();
        let found = || -> Result<u64> {
            let query = AssetQuery { order: Order::Bytes, descending: true, ..AssetQuery::default() };
            let found = select(inner.index.as_ref(), desk.info().hospital, desk.head()?.size, &query)?;
            Ok(found.matched.unwrap_or(0))
        };
        match found() {
            Ok(matched) => entries += matched,
            Err(error) => {
                let message = error.problem().message;
                return Measure::judged(false, message.clone(), message);
            }
        }
        slowest = slowest.max(began.elapsed());
    }
    let (took, limit) = (slowest.as_millis(), PAGE_TIME_MAX.as_millis());
    match entries {
        0 => Measure::nothing("no deposit to look for", "検索対象の預託物がない"),
        _ => Measure::judged(
            slowest <= PAGE_TIME_MAX,
            format!("a page of {entries} entries sorted by size found in {took} ms, limit {limit}"),
            format!("{entries} 件を大きさ順に並べた一頁の検索 {took} ミリ秒（上限 {limit}）"),
        ),
    }
}
