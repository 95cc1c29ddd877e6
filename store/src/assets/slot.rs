//! What the asset ledger filters and sorts by, of one leaf: 64 bytes, 64 leaves to a row of the index.
//!
//! Packed, so that a look at a million entries is one sequential read of some 64 MB and not a million lookups; and in
//! blocks of 64, so that a deposit rewrites 4 KiB of the index at most. No entry is judged by its slot alone: whoever
//! shows one reads the entry on media.

use crate::error::{Error, Result};
use crate::index::{Index, Pending};
use crate::rows::{self, Row, Rows};
use serde::{Deserialize, Serialize};
use shosoin_protocol::codec::{Reader, Writer};
use shosoin_protocol::entry::{Body, PlacedEntry};
use shosoin_protocol::policy::{DepositPolicy, Label, RecordType};
use shosoin_protocol::retention::{End, Kept};
use shosoin_protocol::{DeviceId, HospitalId};

/// Leaves of one row.
pub const BLOCK_SLOTS: u64 = 64;
/// Bytes of one leaf.
pub const SLOT_BYTES: usize = 64;

/// Kind of a leaf that is a deposit, as in its entry; 0 is a leaf nobody noted yet.
const DEPOSIT: u8 = 1;

/// What became of a deposit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum AssetState {
    /// it is here
    Held = 0,
    /// it was handed over to the hospital or another provider, who confirmed it
    GivenOut = 1,
    /// its life was ended on the hospital's order
    Disposed = 2,
}

impl AssetState {
    fn from_code(code: u8) -> Option<Self> {
        [AssetState::Held, AssetState::GivenOut, AssetState::Disposed].into_iter().find(|state| *state as u8 == code)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            AssetState::Held => "held",
            AssetState::GivenOut => "given-out",
            AssetState::Disposed => "disposed",
        }
    }
}

/// One deposit, as far as it is filtered and sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// leaf index: the reference number
    pub number: u64,
    /// what became of it
    pub state: AssetState,
    /// record type, label, and retention as it is by now
    pub policy: DepositPolicy,
    /// kept at least until this moment whatever the term says, in milliseconds since 1970; 0: no such moment
    pub keep_until_ms: u64,
    /// it is on hold; a hold on everything is not in here
    pub on_hold: bool,
    /// the vault's clock when it was accepted
    pub accepted_ms: u64,
    /// addresses it depends on
    pub address_count: u32,
    /// sealed bytes
    pub stored_bytes: u64,
    /// who signed it
    pub device: DeviceId,
}

impl Slot {
    /// The slot of an entry; `None` for one that deposits nothing.
    pub fn of(placed: &PlacedEntry) -> Option<Self> {
        let Body::Deposit(deposit) = placed.entry.body() else { return None };
        Some(Slot {
            number: placed.index,
            state: AssetState::Held,
            policy: deposit.policy,
            keep_until_ms: 0,
            on_hold: false,
            accepted_ms: placed.accepted_ms,
            address_count: deposit.address_count,
            stored_bytes: deposit.stored_bytes,
            device: placed.entry.statement().device,
        })
    }

    /// When it may go, as far as time has to do with it.
    pub fn end(&self) -> End {
        Kept { until_ms: self.keep_until_ms, ..Kept::default() }.end(self.policy.retention)
    }

    /// When its retention ends, in milliseconds since 1970: `None` where no end is known or none was set.
    pub fn retention_end_ms(&self) -> Option<u64> {
        match self.end() {
            End::At(end_ms) => Some(end_ms),
            End::Never | End::StartUnknown => None,
        }
    }

    /// Whether this is what is known of an entry, but for what came after it.
    pub fn is_of(&self, placed: &PlacedEntry) -> bool {
        let policy = |of: &Slot| (of.policy.record_type, of.policy.label);
        Slot::of(placed).is_some_and(|entry| {
            policy(&entry) == policy(self)
                && (entry.number, entry.accepted_ms, entry.device) == (self.number, self.accepted_ms, self.device)
                && (entry.address_count, entry.stored_bytes) == (self.address_count, self.stored_bytes)
        })
    }

    /// The same deposit, kept as acts say by now.
    #[must_use]
    pub fn kept(self, kept: &Kept) -> Self {
        let keep_until_ms = kept.until_ms.max(kept.lock.map_or(0, |lock| lock.until_ms));
        let policy = DepositPolicy { retention: kept.retention(self.policy.retention), ..self.policy };
        Slot { policy, keep_until_ms, on_hold: !kept.holds.is_empty(), ..self }
    }

    /// Its bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(SLOT_BYTES);
        out.u8(DEPOSIT).u8(self.state as u8);
        self.policy.write(&mut out);
        out.u64(self.accepted_ms).u32(self.address_count).u64(self.stored_bytes).put(&self.device.0);
        out.u64(self.keep_until_ms).u8(self.on_hold.into()).zeros(1);
        out.finish()
    }

    fn read(number: u64, bytes: &[u8]) -> shosoin_protocol::Result<Option<Self>> {
        let mut reader = Reader::new(bytes, "slot of the asset ledger");
        if reader.u8("kind")? != DEPOSIT {
            return Ok(None);
        }
        let unknown = shosoin_protocol::Error::Invalid { what: "asset state", why: "no such state" };
        let slot = Slot {
            number,
            state: AssetState::from_code(reader.u8("asset state")?).ok_or(unknown)?,
            policy: DepositPolicy::read(&mut reader)?,
            accepted_ms: reader.u64("accepted time")?,
            address_count: reader.u32("address count")?,
            stored_bytes: reader.u64("stored bytes")?,
            device: DeviceId::read(&mut reader)?,
            keep_until_ms: reader.u64("kept until")?,
            on_hold: reader.u8("on hold")? != 0,
        };
        reader.zeros(1, "reserved byte")?;
        reader.finish()?;
        Ok(Some(slot))
    }
}

/// Notes an entry in its block, unless it is there: what acts have changed since stays.
pub fn note(rows: &mut Pending<'_>, placed: &PlacedEntry) -> Result<()> {
    let hospital = placed.entry.statement().hospital;
    match (Slot::of(placed), placed.entry.body()) {
        (Some(slot), Body::Deposit(deposit)) if get(rows, hospital, slot.number)?.is_none() => {
            let kept = rows.row::<Kept>(&rows::kept_key(hospital, deposit.version))?;
            put(rows, hospital, &kept.map_or(slot, |kept| slot.kept(&kept)))
        }
        _ => Ok(()),
    }
}

/// What is known of one leaf; nothing of one that deposits nothing.
pub fn get(rows: &(impl Rows + ?Sized), hospital: HospitalId, number: u64) -> Result<Option<Slot>> {
    let Some(Block(block)) = rows.row(&rows::assets_key(hospital, number / BLOCK_SLOTS))? else { return Ok(None) };
    let at = usize::try_from(number % BLOCK_SLOTS).unwrap_or(0) * SLOT_BYTES;
    let Some(bytes) = block.get(at..at + SLOT_BYTES) else { return Ok(None) };
    Slot::read(number, bytes).map_err(|error| Error::Index { action: "read", why: error.to_string() })
}

/// A block as it is.
struct Block(Vec<u8>);

impl Row for Block {
    fn encode(&self) -> Vec<u8> {
        self.0.clone()
    }

    fn read(reader: &mut Reader<'_>) -> shosoin_protocol::Result<Self> {
        Ok(Block(reader.rest().to_vec()))
    }
}

/// Writes what is known of one leaf.
pub fn put(rows: &mut Pending<'_>, hospital: HospitalId, slot: &Slot) -> Result<()> {
    let key = rows::assets_key(hospital, slot.number / BLOCK_SLOTS);
    let mut block = rows.get(&key)?.unwrap_or_default();
    let at = usize::try_from(slot.number % BLOCK_SLOTS).unwrap_or(0) * SLOT_BYTES;
    if block.len() < at + SLOT_BYTES {
        block.resize(at + SLOT_BYTES, 0);
    }
    block[at..at + SLOT_BYTES].copy_from_slice(&slot.bytes());
    rows.put(key, block);
    Ok(())
}

/// Writes slots in the order of their numbers, as intake does one by one: for measurements.
pub fn fill(index: &dyn Index, hospital: HospitalId, slots: impl Iterator<Item = Slot>) -> Result<()> {
    let mut rows = Pending::new(index);
    for slot in slots {
        put(&mut rows, hospital, &slot)?;
        rows.write_if_many()?;
    }
    rows.write()
}

/// Calls `visit` with every deposit of a block, ascending.
fn each(block: u64, bytes: &[u8], visit: &mut dyn FnMut(Slot) -> Result<bool>) -> Result<bool> {
    let bad = |source: shosoin_protocol::Error| Error::Index { action: "read", why: source.to_string() };
    for (slot, bytes) in (0..).zip(bytes.chunks(SLOT_BYTES)) {
        if let Some(slot) = Slot::read(block * BLOCK_SLOTS + slot, bytes).map_err(bad)?
            && !visit(slot)?
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Calls `visit` with every deposit of a hospital in the order of their numbers, until it answers `false`.
pub fn scan(index: &dyn Index, hospital: HospitalId, visit: &mut dyn FnMut(Slot) -> Result<bool>) -> Result<()> {
    index.scan(&rows::assets_prefix(hospital), &mut |key, bytes| {
        let bad = || Error::Index { action: "read", why: "the key of a block of the asset ledger".into() };
        each(rows::assets_block(key).ok_or_else(bad)?, bytes, visit)
    })
}

/// Calls `visit` with the deposits of the blocks that hold the numbers `from..end`, until it answers `false`.
pub fn span(
    index: &dyn Index,
    hospital: HospitalId,
    numbers: std::ops::Range<u64>,
    visit: &mut dyn FnMut(Slot) -> Result<bool>,
) -> Result<()> {
    for block in numbers.start / BLOCK_SLOTS..numbers.end.div_ceil(BLOCK_SLOTS) {
        if let Some(bytes) = index.get(&rows::assets_key(hospital, block))?
            && !each(block, &bytes, visit)?
        {
            break;
        }
    }
    Ok(())
}

/// What a hospital does with records of a type, in one word of a closed list: field g of the ledger (7.2.1-S2g).
pub fn business(record_type: RecordType) -> &'static str {
    match record_type.code() {
        "T4-01" | "T4-07" => "treatment",
        "T4-02" | "T4-12" => "dental treatment",
        "T4-03" => "midwifery",
        "T4-04" => "management",
        "T4-05" => "treatment and management",
        "T4-06" => "dental laboratory",
        "T4-08" => "emergency care",
        "T4-09" | "T4-13" => "radiology",
        "T4-10" | "T5-04" => "insurance and fees",
        "T4-11" => "laboratory",
        "T5-01" => "pharmacy",
        "T5-02" => "past its statutory term",
        "T5-03" => "reference",
        _ => "other",
    }
}

/// The label of a name, for filters.
pub fn label(name: &str) -> Result<Label> {
    Label::from_name(name).map_err(|error| Error::Argument { what: "label", why: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use shosoin_protocol::policy::Retention;
    use shosoin_protocol::retention::DAY_MS;

    fn slot(number: u64) -> Slot {
        Slot {
            number,
            state: AssetState::Disposed,
            policy: DepositPolicy {
                record_type: RecordType::from_code("T4-01").unwrap(),
                label: Label::Sensitive,
                retention: Retention::Term { term_days: 3650, start_ms: Some(7) },
            },
            keep_until_ms: 14,
            on_hold: true,
            accepted_ms: 11,
            address_count: 12,
            stored_bytes: 13,
            device: DeviceId([9; 16]),
        }
    }

    #[test]
    fn a_slot_reads_back_and_has_its_length() {
        let bytes = slot(5).bytes();
        assert_eq!(bytes.len(), SLOT_BYTES);
        assert_eq!(Slot::read(5, &bytes), Ok(Some(slot(5))));
        assert_eq!(Slot::read(5, &[0; SLOT_BYTES]), Ok(None), "a leaf that is no deposit");
        assert!(Slot::read(5, &bytes[..50]).is_err());
    }

    #[test]
    fn retention_without_a_known_start_has_no_end_1_1_r1() {
        let of = |retention, keep_until_ms| {
            let policy = DepositPolicy { retention, ..slot(5).policy };
            Slot { policy, keep_until_ms, ..slot(5) }.retention_end_ms()
        };
        let term = |term_days, start_ms| Retention::Term { term_days, start_ms };
        assert_eq!(of(Retention::None, 0), None);
        assert_eq!(of(term(5 * 365, None), 0), None);
        assert_eq!(of(term(5 * 365, None), 9), None, "a moment that is known does not make the other known");
        assert_eq!(of(term(2, Some(1)), 0), Some(2 * DAY_MS + 1));
        assert_eq!(of(term(2, Some(1)), 3 * DAY_MS), Some(3 * DAY_MS));
        assert_eq!(of(term(u32::MAX, Some(u64::MAX)), 0), Some(u64::MAX));
    }
}
