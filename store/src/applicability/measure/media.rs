//! Checks of media: redundancy, scrubs, lives, labels, stock, sites.

use super::{Measure, Shown};
use crate::applicability::Measures;
use crate::applicability::moment::day;
use crate::audit::{Action, AuditQuery, MediaState};
use crate::media_ledger::Medium;
use crate::vault::Inner;
use shosoin_tiers::life::DAY_MS;
use shosoin_tiers::volume::TierKind;
use shosoin_tiers::{SegmentState, VolumeState};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Days within which the ledger of media must have been compared with what is there.
const STOCKTAKE_DAYS: u64 = 92;
/// Days within which the surroundings of media must have been measured.
const ENVIRONMENT_DAYS: u64 = 31;

/// Every check of media.
pub fn all(inner: &Arc<Inner>, now_ms: u64) -> Measures {
    let in_use: Vec<Medium> = inner.media.media().into_iter().filter(|medium| is_kept(medium.state)).collect();
    Measures::from([
        ("redundancy", redundancy(inner)),
        ("scrub", scrub(inner)),
        ("life", life(inner, &in_use, now_ms)),
        ("media-labels", labels(&in_use)),
        ("environment", environment(&in_use, now_ms)),
        ("stocktake", stocktake(inner, now_ms)),
        ("sites", sites(&in_use)),
        ("tiers", tiers(inner, &in_use)),
        ("free-space", free_space(inner)),
    ])
}

/// States of media that hold something, or may.
fn is_kept(state: MediaState) -> bool {
    use MediaState::{Active, Draining, New, OnShelf, Suspect};
    matches!(state, New | Active | Suspect | Draining | OnShelf)
}

fn redundancy(inner: &Inner) -> Measure {
    let (code, segments, volumes) = (inner.tier.code(), inner.tier.segments(), inner.tier.volumes());
    let degraded = segments.iter().filter(|segment| segment.shards.iter().any(Option::is_none)).count();
    let unreadable = segments.iter().filter(|segment| segment.state == SegmentState::Unreadable).count();
    let sound =
        volumes.iter().filter(|volume| matches!(volume.state, VolumeState::Writable | VolumeState::Full)).count();
    let (demo, waiting, total) = (inner.tier.is_demo(), inner.tier.repairs_waiting(), volumes.len());
    let holds = code.m() >= 2 && !demo && degraded == 0 && unreadable == 0 && sound >= code.shards();
    let (placed_en, placed_ja) = match demo {
        true => ("a demonstration: volumes may share one device", "実演用で、媒体が一台の装置を共有しうる"),
        false => {
            ("shards apart by device, host, power, rack and lot", "断片は装置・筐体・電源・ラック・製造単位ごとに分離")
        }
    };
    let count = segments.len();
    Measure::judged(
        holds,
        format!(
            "code {code}: any {} of {} volumes may be lost; {sound} of {total} volumes sound; of {count} segments \
             {degraded} degraded, {unreadable} unreadable; {waiting} repairs waiting; {placed_en}",
            code.m(),
            code.shards()
        ),
        format!(
            "符号 {code}：{} 台中 {} 台まで失ってよい。健全な媒体 {sound}／{total}。区画 {count} のうち冗長度低下 {degraded}、\
             読取不能 {unreadable}、修復待ち {waiting}。{placed_ja}",
            code.shards(),
            code.m()
        ),
    )
}

fn scrub(inner: &Inner) -> Measure {
    let debt = inner.jobs.debt(inner);
    if debt.total_bytes == 0 {
        return Measure::nothing("no closed segment to verify yet", "検証対象となる閉じた区画がまだない");
    }
    let (total, owed, period) = (debt.total_bytes, debt.debt_bytes, debt.period_ms / DAY_MS);
    let oldest = debt.oldest_unverified_ms / DAY_MS;
    let tours = debt.volumes.iter().filter(|volume| volume.toured_ms.is_some()).count();
    let volumes = debt.volumes.len();
    Measure::judged(
        owed == 0,
        format!(
            "oldest unverified byte {oldest} days old, limit {period}; {owed} of {total} bytes overdue; {tours} of {volumes} \
             volumes toured in full"
        ),
        format!(
            "最も古い未検証データ {oldest} 日前（上限 {period} 日）。{total} バイト中の期限超過 {owed} バイト。\
             全量検証済みの媒体 {tours}／{volumes}"
        ),
    )
}

fn life(inner: &Inner, in_use: &[Medium], now_ms: u64) -> Measure {
    let unknown = in_use.iter().filter(|medium| medium.ends_ms().is_none()).count();
    let late = inner.volumes.due().iter().filter(|due| due.latest_start_ms.is_some_and(|at| at < now_ms)).count();
    let first = in_use.iter().filter_map(Medium::ends_ms).min().map_or_else(|| "-".to_owned(), day);
    let count = in_use.len();
    Measure::judged(
        count > 0 && unknown == 0 && late == 0,
        format!(
            "{count} media in use: {unknown} without a stated life, {late} past the moment their copy must begin; the first \
             life ends {first}"
        ),
        format!("使用中の媒体 {count}：寿命の記載なし {unknown}、複写開始期限の超過 {late}。最初の寿命 {first}"),
    )
}

fn labels(in_use: &[Medium]) -> Measure {
    let bare = in_use.iter().filter(|medium| medium.label.security_label.is_empty()).count();
    let count = in_use.len();
    Measure::judged(
        count > 0 && bare == 0,
        format!("{count} media in use, {bare} without a confidentiality class on their label"),
        format!("使用中の媒体 {count} のうち、機密区分の表示がないもの {bare}"),
    )
}

fn environment(in_use: &[Medium], now_ms: u64) -> Measure {
    let fresh = |medium: &&Medium| {
        let measured = medium.environment.as_ref().map(|environment| environment.at_ms);
        measured.is_some_and(|at| now_ms.saturating_sub(at) <= ENVIRONMENT_DAYS * DAY_MS)
    };
    let (count, measured) = (in_use.len(), in_use.iter().filter(fresh).count());
    let (en, ja) = (
        format!("surroundings of {measured} of {count} media measured within {ENVIRONMENT_DAYS} days"),
        format!("{ENVIRONMENT_DAYS} 日以内に保管環境を測定した媒体 {measured}／{count}"),
    );
    match measured {
        0 => Measure::new(Shown::Nothing, en, ja),
        _ => Measure::judged(measured == count, en, ja),
    }
}

fn stocktake(inner: &Inner, now_ms: u64) -> Measure {
    let query = AuditQuery { actions: vec![Action::Stocktake], newest: Some(1), ..AuditQuery::default() };
    let last = inner.media.audit().read(&query).unwrap_or_default().pop();
    let Some(last) = last else {
        return Measure::nothing("no stock was ever taken", "棚卸しの記録がない");
    };
    let (at, who, outcome) = (last.event.at_ms, &last.event.actor, last.event.outcome);
    let recent = now_ms.saturating_sub(at) <= STOCKTAKE_DAYS * DAY_MS;
    let number = last.seq;
    Measure::judged(
        recent && outcome == crate::audit::Outcome::Done,
        format!(
            "last stocktake {} by {who}, {outcome}, audit record {number}; at least every {STOCKTAKE_DAYS} days",
            day(at)
        ),
        format!("直近の棚卸し {}（{who}、{outcome}、監査記録 {number}）。{STOCKTAKE_DAYS} 日以内ごと", day(at)),
    )
}

fn sites(in_use: &[Medium]) -> Measure {
    let sites: BTreeSet<&str> = in_use.iter().map(|medium| medium.label.domains.site.as_str()).collect();
    let (named, unnamed) = (sites.iter().filter(|site| !site.is_empty()).count(), sites.contains(""));
    let names = sites.into_iter().filter(|site| !site.is_empty()).collect::<Vec<_>>().join(", ");
    let more = if unnamed { ("; some labels name none", "。所在の記載がない媒体あり") } else { ("", "") };
    Measure::judged(
        named >= 2 && !unnamed,
        format!("labels name {named} sites [{names}]{}", more.0),
        format!("媒体の表示にある拠点 {named}［{names}］{}", more.1),
    )
}

fn tiers(inner: &Inner, in_use: &[Medium]) -> Measure {
    let archive = in_use.iter().filter(|medium| medium.label.tier == TierKind::Archive).count();
    if archive == 0 {
        return Measure::nothing("no archive media", "長期保管用の媒体がない");
    }
    let segments = inner.tier.segments();
    let moved = segments.iter().filter(|segment| inner.tier.is_hot(segment.id).is_ok_and(|hot| !hot)).count();
    let (count, rules) = (segments.len(), inner.config.migrate.len());
    Measure::judged(
        rules > 0 && moved > 0,
        format!("{archive} archive media, {rules} migration rules, {moved} of {count} segments on archive media"),
        format!("長期保管用の媒体 {archive}、移行規則 {rules}、移行済みの区画 {moved}／{count}"),
    )
}

fn free_space(inner: &Inner) -> Measure {
    let volumes = inner.tier.volumes();
    let known = volumes.iter().filter_map(|volume| Some((volume.free_bytes?, volume.total_bytes?)));
    let (free, total) =
        known.fold((0u64, 0u64), |sum, (free, total)| (sum.0.saturating_add(free), sum.1.saturating_add(total)));
    Measure::new(
        if total == 0 { Shown::Nothing } else { Shown::Figure },
        format!("{free} of {total} bytes free on {} volumes", volumes.len()),
        format!("媒体 {} の空き {free}／{total} バイト", volumes.len()),
    )
}
