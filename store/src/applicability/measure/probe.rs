//! Probes: what must be refused is tried, now, without the network.

use super::Measure;
use crate::applicability::moment::day;
use crate::desk::Desk;
use crate::disposal::{self, Case, Now};
use crate::error::Error;
use crate::http::tls;
use crate::rows;
use crate::vault::{Inner, Vault};
use shosoin_protocol::HospitalId;
use shosoin_protocol::retention::End;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Handshakes with the vault's own server side: by nobody, by a stranger, and in an older protocol.
pub fn mutual_tls(vault: &Vault) -> Measure {
    let hospitals = vault.hospitals();
    let machines = || hospitals.iter().flat_map(|info| &info.machines);
    let pins: BTreeSet<_> = machines().map(|machine| machine.tls_pin).collect();
    let (hospitals, count, distinct) = (hospitals.len(), machines().count(), pins.len());
    match tls::probe(vault) {
        Ok(tls::Probe { without_certificate, stranger }) => Measure::judged(
            without_certificate && stranger && distinct == count && count > 0,
            format!(
                "{hospitals} hospitals, {count} machines, {distinct} distinct pinned keys; TLS 1.3 only; handshakes tried now: without certificate \
                 refused {without_certificate}, with a key no hospital pinned refused {stranger}"
            ),
            format!(
                "病院 {hospitals}、端末 {count}、固定済みの相異なる鍵 {distinct}。TLS 1.3 のみ。接続試験：証明書なしを拒否 \
                 {without_certificate}、未登録の鍵を拒否 {stranger}"
            ),
        ),
        Err(error) => {
            let message = error.problem().message;
            Measure::judged(false, message.clone(), message)
        }
    }
}

/// One hospital asks for a record of another; nobody's segments mix.
pub fn isolation(inner: &Inner, desks: &[Arc<Desk>]) -> Measure {
    let (mut tried, mut refused) = (0u64, 0u64);
    let stranger = HospitalId([0xff; 16]);
    for desk in desks {
        let own = desk.info().hospital;
        let mut first = None;
        let seen = inner.index.scan(&rows::record_prefix(own), &mut |key, _| {
            first = rows::record_address(key);
            Ok(false)
        });
        let (Ok(()), Some(address)) = (seen, first) else { continue };
        let others = inner.desks();
        let others = others.iter().filter(|other| other.info().hospital != own);
        for other in others {
            tried += 1;
            refused += u64::from(matches!(other.record(&address), Err(Error::NotFound { .. })));
        }
        tried += 1;
        let suite = desk.info().suite;
        refused += u64::from(matches!(inner.records.read(stranger, suite, &address), Err(Error::NotFound { .. })));
    }
    let mut segments = BTreeMap::<HospitalId, u64>::new();
    inner.tier.segments().iter().for_each(|segment| *segments.entry(segment.hospital).or_default() += 1);
    let (count, hospitals) = (segments.values().sum::<u64>(), segments.len());
    match tried {
        0 => Measure::nothing("no record to ask for", "試験に使う記録がない"),
        _ => Measure::judged(
            refused == tried,
            format!(
                "{tried} requests for a record by another than its hospital tried now, {refused} refused; {count} segments of \
                 {hospitals} hospitals, each of one hospital alone"
            ),
            format!(
                "他者による記録の要求を {tried} 件試み、{refused} 件拒否。{hospitals} 病院の区画 {count} は病院ごとに別"
            ),
        ),
    }
}

/// The guard of disposal is asked what it must refuse, and the canary of each hospital is tried.
pub fn disposal_guard(inner: &Inner, desks: &[Arc<Desk>]) -> Measure {
    let now_ms = inner.clock.now_ms();
    let (end, approvals) = (End::Never, disposal::APPROVALS_MIN);
    let clear = Case { end, on_hold: false, keeping_known: true, ordered: true, approvals };
    let must_refuse = [
        (Case { end: End::StartUnknown, ..clear }, Now::Trusted(now_ms)),
        (Case { end: End::At(now_ms.saturating_add(1)), ..clear }, Now::Trusted(now_ms)),
        (Case { on_hold: true, ..clear }, Now::Trusted(now_ms)),
        (Case { ordered: false, ..clear }, Now::Trusted(now_ms)),
        (Case { approvals: 1, ..clear }, Now::Trusted(now_ms)),
        (clear, Now::Doubted),
    ];
    let (refused, asked) =
        (must_refuse.iter().filter(|(case, now)| disposal::judge(case, *now).is_err()).count(), must_refuse.len());
    let last = inner.canaries_recorded_ms().map_or_else(|| "-".to_owned(), day);
    let tried: Vec<bool> = desks.iter().filter_map(|desk| inner.try_canary(desk).unwrap_or(Some(false))).collect();
    let (sound, canaries) = (tried.iter().filter(|sound| **sound).count(), tried.len());
    Measure::judged(
        refused == asked && sound == canaries,
        format!(
            "the guard refused {refused} of {asked} cases it must (start not known, term running, hold, no order, one approval, \
             clock doubted); canaries tried now: {sound} of {canaries} refused and still held, the time before {last}"
        ),
        format!(
            "廃棄の関門は拒むべき {asked} 例中 {refused} 例を拒否（起算日未定・期限内・保全中・指示なし・承認一名・時計に疑義）。\
             試験用の記録 {canaries} 件の廃棄を試み、{sound} 件で拒否と現存を確認。前回 {last}"
        ),
    )
}
