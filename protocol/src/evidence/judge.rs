//! Judging evidence: which contradiction it shows, against whom, and what it leaves open.

use super::{Class, Evidence, Part, Place, invalid};
use crate::act::Author;
use crate::answer::{Answer, Outcome};
use crate::checkpoint::Checkpoint;
use crate::entry::{Body, Deposit, Entry};
use crate::limits::CLOCK_AHEAD_MS_MAX;
use crate::receipt::Receipt;
use crate::sign::PublicKey;
use crate::{Address, DeviceId, LogId, Result, Suite, merkle};

/// What the judge brings: never taken from the evidence.
#[derive(Debug, Clone)]
pub struct Keys {
    /// the vault's key, as it was pinned
    pub vault_key: PublicKey,
    /// the hospital's key; without it devices and attestations are not judged
    pub hospital_key: Option<PublicKey>,
    /// the weakest suite that the hospital accepts; without it, that of the vault's key
    pub least_suite: Option<Suite>,
}

/// Who is shown to have broken a promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Against {
    /// the vault, by its own signatures
    Vault,
    /// nobody: what it says is the word of a device of the hospital
    Nobody,
}

/// What evidence proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// of what
    pub class: Class,
    /// against whom, by cryptography alone
    pub against: Against,
    /// what it proves
    pub proves: Vec<String>,
    /// what it does not prove
    pub leaves_open: Vec<String>,
    /// the device of the hospital whose word it is besides
    pub attested_by: Option<DeviceId>,
}

/// What a judgement of one class finds.
struct Found {
    against: Against,
    proves: Vec<String>,
    leaves_open: Vec<String>,
}

impl Found {
    fn vault(proves: String) -> Self {
        Found { against: Against::Vault, proves: vec![proves], leaves_open: Vec::new() }
    }

    fn nobody(proves: String) -> Self {
        Found { against: Against::Nobody, proves: vec![proves], leaves_open: Vec::new() }
    }

    fn open(mut self, open: &str) -> Self {
        self.leaves_open.push(open.to_owned());
        self
    }
}

impl Evidence {
    /// Says what it proves; refuses it where a signature does not hold or nothing contradicts.
    pub fn judge(&self, keys: &Keys) -> Result<Verdict> {
        let attested_by = match &keys.hospital_key {
            Some(key) => self.attested_by(key)?,
            None => None,
        };
        let judge = Judge { evidence: self, keys };
        let found = match self.class {
            Class::Fork => judge.fork(),
            Class::Rollback => judge.rollback(),
            Class::Omission => judge.omission(),
            Class::Substitution => judge.substitution(),
            Class::Replay => judge.replay(),
            Class::Downgrade => judge.downgrade(),
            Class::Injection => judge.injection(),
            Class::Loss => judge.loss(),
            Class::Time => judge.time(),
            Class::FalseReceipt => judge.false_receipt(),
            Class::Head => judge.head_existed(),
            Class::Audit => judge.audit(),
        }?;
        judge.every_signed_part()?;
        let Found { against, proves, mut leaves_open } = found;
        if against == Against::Nobody && self.class != Class::Head && attested_by.is_none() {
            leaves_open.push("whose word it is: no attestation by a device of the hospital was verified".to_owned());
        }
        if against == Against::Vault {
            leaves_open.push("why: a fault and an intention leave the same signatures".to_owned());
        }
        Ok(Verdict { class: self.class, against, proves, leaves_open, attested_by })
    }
}

struct Judge<'a> {
    evidence: &'a Evidence,
    keys: &'a Keys,
}

/// A signed head and whether it is the one remembered.
type Head = Checkpoint;

impl Judge<'_> {
    fn verified(&self, text: &str) -> Result<Head> {
        let head = Checkpoint::verify(text, &self.keys.vault_key)?;
        match (head.vault, head.hospital) == (self.evidence.vault, self.evidence.hospital) {
            true => Ok(head),
            false => Err(invalid("a head is of another ledger than the evidence")),
        }
    }

    fn remembered(&self) -> Result<Option<Head>> {
        let text = self.evidence.part(|part| if let Part::Remembered(text) = part { Some(text) } else { None });
        text.map(|text| self.verified(text)).transpose()
    }

    fn head(&self) -> Result<Head> {
        let text = self.evidence.part(|part| if let Part::Head(text) = part { Some(text) } else { None });
        self.verified(text.ok_or(invalid("it lacks the head that it is about"))?)
    }

    fn both_heads(&self) -> Result<(Head, Head)> {
        Ok((self.remembered()?.ok_or(invalid("it lacks the head that was remembered"))?, self.head()?))
    }

    fn receipt(&self) -> Result<Option<Receipt>> {
        let bytes = self.evidence.part(|part| if let Part::Receipt(bytes) = part { Some(bytes) } else { None });
        bytes.map(|bytes| Receipt::decode(bytes)).transpose()
    }

    fn entry(&self) -> Result<Entry> {
        let bytes = self.evidence.part(|part| if let Part::Entry(bytes) = part { Some(bytes) } else { None });
        Entry::decode(bytes.ok_or(invalid("it lacks the entry that it is about"))?)
    }

    fn other_entry(&self) -> Result<Option<Entry>> {
        let bytes = self.evidence.part(|part| if let Part::OtherEntry(bytes) = part { Some(bytes) } else { None });
        bytes.map(|bytes| Entry::decode(bytes)).transpose()
    }

    fn answer(&self) -> Result<Option<(Answer, Head)>> {
        let bytes = self.evidence.part(|part| if let Part::Answer(bytes) = part { Some(bytes) } else { None });
        let Some(bytes) = bytes else { return Ok(None) };
        let answer = Answer::decode(bytes)?;
        answer.verify(&self.keys.vault_key)?;
        let head = self.verified(&answer.said.checkpoint)?;
        Ok(Some((answer, head)))
    }

    fn placed(&self, place: Option<&Place>, entry: &Entry, head: &Head) -> Result<u64> {
        let place = place.ok_or(invalid("it lacks the place of an entry"))?;
        merkle::verify_inclusion(&entry.leaf_hash(), place.index, head.size, &place.proof, &head.root)?;
        Ok(place.index)
    }

    fn entry_place(&self) -> Option<&Place> {
        self.evidence.part(|part| if let Part::EntryPlace(place) = part { Some(place) } else { None })
    }

    fn other_place(&self) -> Option<&Place> {
        self.evidence.part(|part| if let Part::OtherPlace(place) = part { Some(place) } else { None })
    }

    /// The entry at issue, and its place in a head that the vault signed.
    fn entry_in_the_log(&self) -> Result<(Entry, u64, Head)> {
        let (entry, head) = (self.entry()?, self.head()?);
        let index = self.placed(self.entry_place(), &entry, &head)?;
        Ok((entry, index, head))
    }

    /// Nothing may stand in evidence that does not hold, whether or not the class needs it.
    fn every_signed_part(&self) -> Result<()> {
        self.remembered()?;
        if self.evidence.parts.iter().any(|part| matches!(part, Part::Head(_))) {
            self.head()?;
        }
        self.answer()?;
        match (self.evidence.class, self.receipt()?) {
            (Class::FalseReceipt, _) | (_, None) => Ok(()),
            (_, Some(receipt)) => receipt.verify(&receipt.leaf, &self.keys.vault_key).map(drop),
        }
    }

    fn fork(&self) -> Result<Found> {
        let (remembered, head) = self.both_heads()?;
        let (old, new) = if head.size < remembered.size { (&head, &remembered) } else { (&remembered, &head) };
        if old.size == new.size {
            return match old.root == new.root {
                true => Err(invalid("both heads are of the same tree: nothing contradicts")),
                false => Ok(Found::vault(format!("the vault signed two different ledgers of {} entries", old.size))),
            };
        }
        let part = self.evidence.part(|part| match part {
            Part::Consistency { from, to, proof } => Some((*from, *to, proof)),
            _ => None,
        });
        let (from, to, proof) = part.ok_or(invalid("it lacks the consistency proof"))?;
        if (from, to) != (old.size, new.size) {
            return Err(invalid("its consistency proof is between other heads"));
        }
        let (first, rest) = proof.split_first().ok_or(invalid("its consistency proof is empty"))?;
        match merkle::consistency_roots((old.size, new.size), first, rest) {
            Ok((first, second)) if second == new.root => match first == old.root {
                true => Err(invalid("one head continues the other: nothing contradicts")),
                false => Ok(Found::vault(format!(
                    "the first {} entries of the ledger of {} that the vault signed are not the ledger of {} that it signed",
                    old.size, new.size, old.size
                ))),
            },
            _ => Ok(Found::nobody(format!(
                "both heads are signed by the vault; its answer to the question how {} entries continue {} proves nothing",
                new.size, old.size
            ))
            .open("that no proof exists: the answer of the vault is not signed; ask it for one, in public")),
        }
    }

    fn rollback(&self) -> Result<Found> {
        let remembered = self.remembered()?.ok_or(invalid("it lacks the head that was remembered"))?;
        let (head, said_ms) = match self.answer()? {
            Some((answer, head)) => (head, Some(answer.said.time_ms)),
            None => (self.head()?, None),
        };
        if head.size >= remembered.size {
            return Err(invalid("the head is not shorter than the one remembered: nothing contradicts"));
        }
        let (before, after) = (remembered.size, head.size);
        let later = said_ms.unwrap_or(head.time_ms) > remembered.time_ms || head.term > remembered.term;
        match later {
            true => Ok(Found::vault(format!(
                "the vault signed a ledger of {before} entries, and later, by its own clock or term, one of {after}"
            ))
            .open("that entries are lost: they may be in a copy that the vault did not show")),
            false => Ok(Found::nobody(format!(
                "the vault signed ledgers of {after} and, later, of {before} entries; the shorter was shown after the longer"
            ))
            .open("when the shorter one was shown: a head does not say to whom it was given; an audit answer does")),
        }
    }

    fn omission(&self) -> Result<Found> {
        let receipt = self.receipt()?.ok_or(invalid("it lacks the receipt"))?;
        let old = receipt.verify(&receipt.leaf, &self.keys.vault_key)?;
        self.verified(&receipt.inclusion.checkpoint)?;
        let (head, index) = (self.head()?, receipt.inclusion.index);
        if self.evidence.parts.iter().any(|part| matches!(part, Part::Entry(_)))
            && self.entry()?.leaf_hash() != receipt.leaf
        {
            return Err(invalid("its receipt is for another entry"));
        }
        let Some(other) = self.other_entry()? else {
            let later = head.time_ms > old.time_ms || head.term > old.term;
            return match head.size <= index && later {
                true => Ok(Found::vault(format!(
                    "the vault acknowledged entry {index}, and later signed a ledger of {} entries, which lacks it",
                    head.size
                ))),
                false => Err(invalid("the head may hold the entry: nothing contradicts")),
            };
        };
        match self.placed(self.other_place(), &other, &head)? == index && other.leaf_hash() != receipt.leaf {
            true => Ok(Found::vault(format!(
                "the vault acknowledged entry {} at place {index}, and its signed ledger of {} entries has another there",
                receipt.leaf, head.size
            ))),
            false => Err(invalid("the other entry is not in the place of the acknowledged one: nothing contradicts")),
        }
    }

    /// Whether the entry at issue, in the signed ledger, commits to this address; the version it is of.
    fn names(&self, address: &Address) -> Result<Option<String>> {
        if !self.evidence.parts.iter().any(|part| matches!(part, Part::Entry(_))) {
            return Ok(None);
        }
        let (entry, index, _) = self.entry_in_the_log()?;
        let named = match entry.body() {
            Body::Deposit(deposit) if is_own(deposit, address) => Some(deposit.version),
            Body::Deposit(deposit) => {
                let place =
                    self.evidence.part(|part| if let Part::AddressPlace(place) = part { Some(place) } else { None });
                let place = place.ok_or(invalid("it lacks the place of the address among those of the entry"))?;
                let (leaf, count) = (merkle::leaf_hash(&address.0), u64::from(deposit.address_count));
                merkle::verify_inclusion(&leaf, place.index, count, &place.proof, &deposit.address_root)?;
                Some(deposit.version)
            }
            Body::Act(act) => Some(act.id).filter(|_| act.document == *address),
            body => body.name_change().filter(|_| body.summary() == Some(*address)).map(|(version, _, _)| version),
        };
        let version = named.ok_or(invalid("its entry does not name the address"))?;
        Ok(Some(format!("entry {index} of the signed ledger, version {version}, depends on it")))
    }

    fn substitution(&self) -> Result<Found> {
        let Some((answer, _)) = self.answer()? else { return self.received_wrong() };
        let address = answer.said.address;
        let Outcome::Given { digest, len } = answer.said.outcome else {
            return Err(invalid("the vault gave no bytes: nothing contradicts"));
        };
        if digest.0 == address.0 {
            return Err(invalid("the bytes are those of the address: nothing contradicts"));
        }
        let mut found = Found::vault(format!(
            "the vault signed that for address {address} it gave {len} bytes whose digest is {digest}"
        ));
        match self.names(&address)? {
            Some(named) => found.proves.push(named),
            None => found = found.open("which version depends on the address"),
        }
        Ok(found.open("that the right bytes are lost: the vault may hold them elsewhere"))
    }

    fn received_wrong(&self) -> Result<Found> {
        let received = self.evidence.part(|part| match part {
            Part::Received { address, digest, .. } => Some((address, digest)),
            _ => None,
        });
        let (address, digest) = received.ok_or(invalid("it lacks what was received"))?;
        if digest.0 == address.0 {
            return Err(invalid("the bytes are those of the address: nothing contradicts"));
        }
        let mut found = Found::nobody(format!("for address {address} bytes with digest {digest} came"));
        found.proves.extend(self.names(address)?);
        Ok(found.open("that the vault gave them: its plain answers are not signed; an audit answer is"))
    }

    fn loss(&self) -> Result<Found> {
        let Some((answer, now)) = self.answer()? else { return Err(invalid("it lacks the vault's answer")) };
        let (address, time_ms) = (answer.said.address, answer.said.time_ms);
        let why = match answer.said.outcome {
            Outcome::NotHeld | Outcome::Unreadable => answer.said.outcome.name(),
            Outcome::OnShelf => return Err(invalid("the record is on a shelf, which is no loss")),
            Outcome::Given { .. } => return Err(invalid("the vault gave the record: nothing contradicts")),
        };
        let named = self.names(&address)?.ok_or(invalid("it lacks the entry that depends on the record"))?;
        if now.size < self.head()?.size {
            return Err(invalid("the answer is older than the ledger that names the record"));
        }
        let mut found = Found::vault(format!("the vault signed, at {time_ms}, that record {address} is {why}"));
        found.proves.push(named);
        if let Some(receipt) = self.receipt()?
            && receipt.leaf == self.entry()?.leaf_hash()
        {
            let durable = receipt.durable;
            found.proves.push(format!(
                "it had signed that the record was durable at level D{} ({}+{})",
                durable.level, durable.k, durable.m
            ));
        }
        Ok(found
            .open("that the record cannot be brought back, from another site or another medium")
            .open("that the hospital did not order its disposal: look for the order in the ledger"))
    }

    fn replay(&self) -> Result<Found> {
        let (entry, index, head) = self.entry_in_the_log()?;
        let statement = entry.statement();
        if (statement.log, statement.hospital) != (self.log(), self.evidence.hospital) {
            return self.of_another_ledger(&entry, index, &head);
        }
        let other = self.other_entry()?;
        let twin = self.placed(self.other_place(), other.as_ref().unwrap_or(&entry), &head)?;
        if twin == index {
            return Err(invalid("both places are one: nothing contradicts"));
        }
        let Some(other) = other else {
            return Ok(Found::vault(format!("the signed ledger holds one entry at places {index} and {twin}")));
        };
        let version = |entry: &Entry| entry.body().name_change().map(|(version, _, _)| version);
        if let Some(version) = version(&entry).filter(|own| version(&other) == Some(*own)) {
            return Ok(Found::vault(format!(
                "entries {index} and {twin} of the signed ledger are both version {version}"
            )));
        }
        let (own, others) = (statement, other.statement());
        match (own.device, own.device_seq) == (others.device, others.device_seq) {
            true => Ok(Found::vault(format!(
                "entries {index} and {twin} of the signed ledger are both number {} of device {}",
                own.device_seq, own.device
            ))
            .open("whether the device signed both: its key may have been copied; the vault must not admit the second")),
            false => Err(invalid("nothing in it is there twice")),
        }
    }

    /// An entry for another ledger is there with right before the vault took the ledger over, and never behind an entry for
    /// its own.
    fn of_another_ledger(&self, entry: &Entry, index: u64, head: &Head) -> Result<Found> {
        let log = entry.statement().log;
        let proves = format!("entry {index} of the signed ledger was made for the ledger {log}");
        match self.other_entry()? {
            Some(own) if own.statement().log == self.log() => match self.placed(self.other_place(), &own, head)? {
                before if before < index => {
                    let mut found = Found::vault(proves);
                    found.proves.push(format!("entry {before} was made for this one, so no other vault had {index}"));
                    Ok(found)
                }
                _ => Err(invalid("the entry for this ledger is not before the other: nothing contradicts")),
            },
            Some(_) => Err(invalid("both entries were made for other ledgers: nothing contradicts")),
            None => Ok(Found::nobody(proves)
                .open("whether the vault took the ledger over from another, for which the entry was made")),
        }
    }

    fn log(&self) -> LogId {
        LogId::of(self.evidence.vault, self.evidence.hospital)
    }

    fn downgrade(&self) -> Result<Found> {
        let (entry, index, _) = self.entry_in_the_log()?;
        let least = self.keys.least_suite.unwrap_or(self.keys.vault_key.suite());
        let found = entry.statement().suite;
        match found != self.keys.vault_key.suite() || found < least {
            true => Ok(Found::vault(format!(
                "entry {index} of the signed ledger is under suite {}; the hospital accepts suite {}",
                found.code(),
                least.code()
            ))
            .open("which suite the hospital accepted at that time: that is taken from the judge")),
            false => Err(invalid("the entry is under a suite that the hospital accepts: nothing contradicts")),
        }
    }

    fn injection(&self) -> Result<Found> {
        let Some(hospital_key) = &self.keys.hospital_key else {
            return Err(invalid("to judge an injection the hospital's key is needed"));
        };
        let (entry, index, _) = self.entry_in_the_log()?;
        if entry.statement().log != self.log() {
            return Err(invalid("the entry was made for another ledger: that is no injection"));
        }
        if let Body::Device(change) = entry.body()
            && change.verify(self.log(), hospital_key).is_err()
        {
            let device = change.key.device_id();
            return Ok(Found::vault(format!(
                "entry {index} of the signed ledger changes device {device} without the hospital's certificate"
            )));
        }
        let device = entry.statement().device;
        let is_operators = matches!(entry.body(), Body::Act(act) if act.kind.author() == Author::Operator);
        let is_vaults = device == self.keys.vault_key.device_id();
        match (is_operators, is_vaults) {
            (true, true) => {
                return match entry.verify(&self.keys.vault_key) {
                    Err(_) => Ok(Found::vault(format!(
                        "entry {index} of the signed ledger is an act of the operator that the vault's key did not sign"
                    ))),
                    Ok(()) => Err(invalid("the vault signed its own act: nothing contradicts")),
                };
            }
            (true, false) => {
                return Ok(Found::vault(format!(
                    "entry {index} of the signed ledger is an act of the operator in the name of device {device}"
                )));
            }
            (false, true) => {
                return Ok(Found::vault(format!(
                    "entry {index} of the signed ledger is the hospital's to state, in the name of the vault"
                )));
            }
            (false, false) => {}
        }
        let certified = self.evidence.part(|part| match part {
            Part::Device { key, certificate } => Some((key, certificate)),
            _ => None,
        });
        let Some((key, certificate)) = certified else {
            return Ok(Found::vault(format!("entry {index} of the signed ledger is of device {device}"))
                .open("that the hospital never certified the device: if it did, the vault can show the certificate"));
        };
        self.evidence.certified(key, certificate, hospital_key)?;
        if key.device_id() != device {
            return Err(invalid("the certificate in it is of another device"));
        }
        match entry.verify(key) {
            Err(_) => Ok(Found::vault(format!(
                "entry {index} of the signed ledger is said to be of device {device}, whose key did not sign it"
            ))),
            Ok(()) => Err(invalid("the enrolled device signed the entry: nothing contradicts")),
        }
    }

    fn time(&self) -> Result<Found> {
        if let Some(receipt) = self.receipt()? {
            let head = receipt.verify(&receipt.leaf, &self.keys.vault_key)?;
            self.verified(&receipt.inclusion.checkpoint)?;
            let accepted_ms = receipt.inclusion.accepted_ms;
            return match accepted_ms > head.time_ms.saturating_add(CLOCK_AHEAD_MS_MAX) {
                true => Ok(Found::vault(format!(
                    "the vault signed that it accepted an entry at {accepted_ms}, under a head that it signed at {}",
                    head.time_ms
                ))),
                false => Err(invalid("the times fit: nothing contradicts")),
            };
        }
        let (remembered, head) = self.both_heads()?;
        let (old, new) = if head.size < remembered.size { (&head, &remembered) } else { (&remembered, &head) };
        match old.size < new.size && new.time_ms.saturating_add(CLOCK_AHEAD_MS_MAX) < old.time_ms {
            true => Ok(Found::vault(format!(
                "the vault signed {} entries at {}, and {} entries at {}, which is earlier",
                old.size, old.time_ms, new.size, new.time_ms
            ))
            .open("which of the two times is wrong")),
            false => Err(invalid("the times fit: nothing contradicts")),
        }
    }

    fn false_receipt(&self) -> Result<Found> {
        let receipt = self.receipt()?.ok_or(invalid("it lacks the receipt"))?;
        receipt.verify_signature_alone(&self.keys.vault_key)?;
        match receipt.inclusion.verify(&receipt.leaf, &self.keys.vault_key) {
            Err(error) => Ok(Found::vault(format!("the vault signed a receipt for {} of which {error}", receipt.leaf))),
            Ok(_) => Err(invalid("the receipt holds: nothing contradicts")),
        }
    }

    fn head_existed(&self) -> Result<Found> {
        let head = self.head()?;
        let (size, root) = (head.size, head.root);
        Ok(Found::nobody(format!("the vault signed a ledger of {size} entries with root {root}"))
            .open("when, but for the timestamps: the time in the head is the vault's own word"))
    }

    fn audit(&self) -> Result<Found> {
        let head = self.head()?;
        Ok(Found::nobody(format!(
            "an audit over the signed ledger of {} entries came to the result in the report",
            head.size
        ))
        .open("that the audit was made as the report says: it is the word of the device that attests it"))
    }
}

fn is_own(deposit: &Deposit, address: &Address) -> bool {
    deposit.own_records().contains(address)
}
