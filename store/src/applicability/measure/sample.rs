//! The newest deposits of each hospital, read on media: are they what was signed, proved, sealed?

use super::Measure;
use crate::applicability::Measures;
use crate::assets::{AssetQuery, Order, select};
use crate::desk::Desk;
use crate::error::{Error, Result};
use crate::malware;
use crate::rows::{self, DeviceRow, Rows};
use crate::vault::Inner;
use shosoin_protocol::Address;
use shosoin_protocol::entry::{Body, Deposit, PlacedEntry};
use shosoin_protocol::envelope::Envelope;
use shosoin_protocol::manifest::AddressList;
use shosoin_protocol::sign::Signature;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Deposits of each hospital that are looked at.
const DEPOSITS_MAX: usize = 64;
/// Records below this length say nothing about their entropy.
const ENTROPY_BYTES_MIN: usize = 4096;
/// Bits of entropy in a byte that sealed bytes of that length exceed, and text and images do not.
const ENTROPY_BITS_MIN: f64 = 7.9;

/// What the look gave.
#[derive(Default)]
pub struct Sample {
    deposits: u64,
    signatures: u64,
    /// entries that ids, digests, codes and numbers alone give again, byte by byte
    closed: u64,
    proofs: u64,
    records: u64,
    bytes: u64,
    envelopes: u64,
    /// least entropy among records long enough, in bits of a byte
    entropy: Option<f64>,
    slowest: Duration,
    /// deposits that came while the agreement demanded a scan
    scans_due: u64,
    /// of them, those whose malware report verifies and says clean
    scans: u64,
    /// hospitals that agreed on no scan
    unscanned: u64,
    problems: Vec<String>,
}

/// Looks at the newest deposits of each hospital.
pub fn take(inner: &Inner, desks: &[Arc<Desk>]) -> Sample {
    let mut sample = Sample::default();
    for desk in desks {
        if let Err(error) = sample.look_at(inner, desk) {
            sample.problems.push(error.problem().message);
        }
    }
    sample
}

impl Sample {
    fn look_at(&mut self, inner: &Inner, desk: &Desk) -> Result<()> {
        let head = desk.head()?;
        let query =
            AssetQuery { order: Order::Number, descending: true, limit: Some(DEPOSITS_MAX), ..AssetQuery::default() };
        let selected = select(inner.index.as_ref(), desk.info().hospital, head.size, &query)?;
        let terms = desk.agreements().in_force(desk.now_ms())?;
        self.unscanned += u64::from(!malware::is_demanded(terms.as_deref()));
        for slot in selected.slots {
            let placed = desk.ledger().entry(slot.number)?;
            let Body::Deposit(deposit) = placed.entry.body() else { continue };
            if desk.has_ended(&placed)? {
                continue;
            }
            self.deposits += 1;
            let statement = placed.entry.statement().encode();
            self.closed += u64::from(
                placed.entry.bytes().starts_with(&statement)
                    && placed.entry.bytes().len() == statement.len() + Signature::LEN,
            );
            let device = placed.entry.statement().device;
            let row = inner.index.row::<DeviceRow>(&rows::device_key(desk.info().hospital, device))?;
            match row.and_then(|row| row.key).is_some_and(|key| placed.entry.verify(&key).is_ok()) {
                true => self.signatures += 1,
                false => self.problems.push(format!("signature of entry {}", slot.number)),
            }
            match desk.ledger().inclusion(&placed.entry.leaf_hash(), slot.number, &head) {
                Ok(_) => self.proofs += 1,
                Err(error) => self.problems.push(error.problem().message),
            }
            self.scan_of(inner, desk, &placed, deposit)?;
            self.records_of(desk, deposit);
        }
        Ok(())
    }

    /// Whether the report that was due is there, and verifies.
    fn scan_of(&mut self, inner: &Inner, desk: &Desk, placed: &PlacedEntry, deposit: &Deposit) -> Result<()> {
        let then = desk.agreements().in_force(placed.accepted_ms)?;
        if !malware::is_demanded(then.as_deref()) {
            return Ok(());
        }
        self.scans_due += 1;
        let statement = placed.entry.statement();
        let row = inner.index.row::<DeviceRow>(&rows::device_key(desk.info().hospital, statement.device))?;
        let Some(key) = row.and_then(|row| row.key) else { return Ok(()) };
        let report = deposit.report.as_ref().map(|address| desk.record(address)).transpose()?;
        // what came on a medium may have been scanned days before, and the entry does not say how it came
        let packed_ms = then.as_ref().filter(|terms| terms.routes.media).map(|_| placed.accepted_ms);
        let moment = malware::Moment { now_ms: placed.accepted_ms, packed_ms };
        let judged = malware::judge(then.as_deref(), statement, deposit, report.as_deref(), &key, moment);
        self.scans += u64::from(judged.is_ok());
        Ok(())
    }

    fn records_of(&mut self, desk: &Desk, deposit: &Deposit) {
        let first = desk.record(&deposit.address_list).and_then(|bytes| {
            let list = AddressList::decode(&bytes);
            let list = list.map_err(|source| Error::Malformed { what: "address list", source })?;
            Ok(list.addresses().first().copied())
        });
        match first {
            Ok(first) => {
                let sealed = [deposit.manifest, deposit.wrap, deposit.summary];
                sealed.iter().chain(first.iter()).for_each(|address| self.record(desk, address));
            }
            Err(error) => self.problems.push(error.problem().message),
        }
    }

    fn record(&mut self, desk: &Desk, address: &Address) {
        let began = Instant::now();
        let bytes = match desk.record(address) {
            Ok(bytes) => bytes,
            Err(Error::OnShelf { .. }) => return, // away is not wrong
            Err(error) => return self.problems.push(error.problem().message),
        };
        self.slowest = self.slowest.max(began.elapsed());
        self.records += 1;
        self.bytes += bytes.len() as u64;
        match Envelope::parse(&bytes) {
            Ok(envelope) if envelope.header.hospital == desk.info().hospital => {
                self.envelopes += 1;
                if envelope.sealed.len() >= ENTROPY_BYTES_MIN {
                    let bits = entropy(envelope.sealed);
                    self.entropy = Some(self.entropy.map_or(bits, |least| least.min(bits)));
                }
            }
            _ => self.problems.push(format!("record {address} is no sealed envelope of its hospital")),
        }
    }

    /// The measures of the look.
    pub fn measures(&self) -> Measures {
        let measures = self.of_entries().into_iter().chain(self.of_records()).chain([self.of_scans()]);
        let trouble = self.problems.first().map_or_else(String::new, |first| format!("; first problem: {first}"));
        let judged = |(name, holds, en, ja): (&'static str, bool, String, String)| {
            let holds = holds && self.problems.is_empty();
            let measure = match self.deposits == 0 && self.problems.is_empty() {
                true => Measure::nothing("no deposit to look at", "対象となる預託物がない"),
                false => Measure::judged(holds, en + &trouble, ja + &trouble),
            };
            (name, measure)
        };
        measures.map(judged).collect()
    }

    fn of_entries(&self) -> [Judged; 3] {
        let Sample { deposits, signatures, proofs, closed, .. } = self;
        [
            (
                "signature-sample",
                signatures == deposits,
                format!(
                    "{signatures} of the {deposits} newest entries, read on media, bear the signature of an enrolled device"
                ),
                format!("媒体から読んだ新しい {deposits} 件の登録のうち {signatures} 件で、登録済み機器の署名を検証"),
            ),
            (
                "closed-entries",
                closed == deposits,
                format!(
                    "{closed} of {deposits} entries made again from their ids, digests, codes and numbers alone are the same \
                     bytes: there is no room for a name or a text"
                ),
                format!(
                    "登録 {deposits} 件中 {closed} 件が、番号・要約値・符号・数値のみから同一に再現でき、氏名や文を容れる余地がない"
                ),
            ),
            (
                "receipt-sample",
                proofs == deposits,
                format!("{proofs} of {deposits} entries proved in the signed head of the log, as their receipts say"),
                format!("{deposits} 件中 {proofs} 件が、受領証どおり署名済みの台帳先頭に含まれることを証明"),
            ),
        ]
    }

    /// A hospital that agreed on no scan is named: it is never taken for one that scans.
    fn of_scans(&self) -> Judged {
        let Sample { scans, scans_due, unscanned, .. } = self;
        (
            "malware-sample",
            scans == scans_due && *scans_due > 0 && *unscanned == 0,
            format!(
                "{scans} of {scans_due} newest deposits that had to be scanned at the hospital bring a signed report of then young \
                 enough definitions that says clean; scan off by agreement at {unscanned} hospitals"
            ),
            format!(
                "病院側で検査すべき新しい預託物 {scans_due} 件中 {scans} 件に、当時有効な定義による「検出なし」の署名済み報告あり。\
                 合意により検査を行わない病院 {unscanned}"
            ),
        )
    }

    fn of_records(&self) -> [Judged; 2] {
        let Sample { records, bytes, envelopes, .. } = self;
        let milliseconds = self.slowest.as_millis();
        let random = self.entropy.is_none_or(|bits| bits >= ENTROPY_BITS_MIN);
        let bits = self.entropy.map_or_else(|| "-".to_owned(), |bits| format!("{bits:.3}"));
        [
            (
                "read-sample",
                *records > 0,
                format!(
                    "{records} records, {bytes} bytes, read and verified against their addresses; slowest {milliseconds} ms"
                ),
                format!("記録 {records} 件（{bytes} バイト）を読み、番地と照合。最長 {milliseconds} ミリ秒"),
            ),
            (
                "sealed-sample",
                random && envelopes == records && *records > 0,
                format!(
                    "{envelopes} of {records} records are envelopes sealed at the hospital; least entropy {bits} bits a byte; \
                     the vault has no key that opens one"
                ),
                format!(
                    "記録 {records} 件中 {envelopes} 件が病院側で封緘された形式。最小エントロピー {bits} ビット／バイト。\
                     保管側に開封の鍵はない"
                ),
            ),
        ]
    }
}

/// Name, verdict, figures in both languages.
type Judged = (&'static str, bool, String, String);

/// Bits of information in a byte, by the frequency of each value.
fn entropy(bytes: &[u8]) -> f64 {
    let mut counts = [0u32; 256];
    bytes.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    let total = bytes.len() as f64;
    let shares = counts.iter().filter(|count| **count > 0).map(|count| f64::from(*count) / total);
    shares.map(|share| -share * share.log2()).sum()
}

#[cfg(test)]
mod tests {
    use super::super::Shown;
    use super::*;

    #[test]
    fn entropy_tells_noise_from_text() {
        let noise: Vec<u8> = (0..=u8::MAX).collect::<Vec<u8>>().repeat(256);
        assert!((entropy(&noise) - 8.0).abs() < 1e-9);
        assert!(entropy(b"patient patient patient patient".repeat(200).as_slice()) < ENTROPY_BITS_MIN);
    }

    #[test]
    fn an_empty_vault_shows_nothing_and_a_problem_is_not_met() {
        assert!(Sample::default().measures().values().all(|measure| measure.shown == Shown::Nothing));
        let broken = Sample { problems: vec!["gone".into()], ..Sample::default() };
        assert!(broken.measures().values().all(|measure| measure.shown == Shown::NotMet));
    }
}
