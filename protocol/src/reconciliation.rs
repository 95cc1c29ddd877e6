//! Reconciliation: the vault's signed word that what it received is what it holds, gave out and disposed of.
//!
//! It is about one head of the hospital's log, whose root commits to everything received, so the hospital can count for
//! itself. A deposit that the vault cannot show is *missing*: it is stated, by its leaf index, and the account does not
//! balance. (Guideline 8.2-R4, 3.4-R1, 3.4-ALL-P1.)

use crate::codec::{Reader, Writer};
use crate::limits::RECONCILED_MISSING_MAX;
use crate::sign::{Domain, PublicKey, Signature, SigningKey};
use crate::{Digest, Error, HospitalId, Result, Suite, VaultId};

/// First bytes of every reconciliation.
pub const MAGIC: [u8; 4] = *b"shrc";
/// Version of the format.
pub const VERSION: u8 = 1;

/// Deposits and their sealed bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    /// deposits
    pub count: u64,
    /// sealed bytes, as their entries state them
    pub bytes: u64,
}

impl Amount {
    /// One more deposit of this many bytes.
    pub fn add(&mut self, bytes: u64) {
        self.count = self.count.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    fn plus(self, other: Amount) -> Amount {
        Amount { count: self.count.saturating_add(other.count), bytes: self.bytes.saturating_add(other.bytes) }
    }

    pub(crate) fn write(self, out: &mut Writer) {
        out.u64(self.count).u64(self.bytes);
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(Amount { count: reader.u64("deposits")?, bytes: reader.u64("sealed bytes")? })
    }
}

/// What a vault accounts for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// who accounts
    pub vault: VaultId,
    /// to whom
    pub hospital: HospitalId,
    /// leaves of the log that is accounted for
    pub log_size: u64,
    /// root over them
    pub log_root: Digest,
    /// the vault's clock, in milliseconds since 1970
    pub time_ms: u64,
    /// deposits in the log
    pub received: Amount,
    /// all their records are on media
    pub held: Amount,
    /// handed over
    pub given_out: Amount,
    /// disposed of on the hospital's order
    pub disposed: Amount,
    /// none of these: they cannot be shown
    pub missing: Amount,
    /// leaf indexes of the first of the missing, ascending
    pub missing_leaves: Vec<u64>,
}

impl Account {
    /// Whether received = held + given out + disposed.
    pub fn balances(&self) -> bool {
        self.missing == Amount::default() && self.received == self.held.plus(self.given_out).plus(self.disposed)
    }
}

/// A signed account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reconciliation {
    /// algorithms of the signature
    pub suite: Suite,
    /// what is accounted for
    pub account: Account,
    /// the vault's signature over all of the above
    pub signature: Signature,
}

impl Reconciliation {
    /// Signs an account.
    pub fn sign(account: Account, key: &SigningKey) -> Self {
        let suite = key.public().suite();
        let signature = key.sign(Domain::Reconciliation, &signed_bytes(suite, &account));
        Reconciliation { suite, account, signature }
    }

    /// Refuses an account that this vault did not sign.
    pub fn verify(&self, vault_key: &PublicKey) -> Result<&Account> {
        if vault_key.suite() != self.suite {
            return Err(Error::Suite { found: self.suite.code(), expected: "the suite of the vault's key" });
        }
        vault_key.verify(Domain::Reconciliation, &signed_bytes(self.suite, &self.account), &self.signature)?;
        Ok(&self.account)
    }

    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = signed_bytes(self.suite, &self.account);
        bytes.extend_from_slice(&self.signature.0);
        bytes
    }

    /// Parses a reconciliation without believing it.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes, "reconciliation");
        if reader.array::<4>("reconciliation magic")? != MAGIC {
            return Err(Error::Magic { what: "reconciliation" });
        }
        match reader.u8("reconciliation version")? {
            VERSION => {}
            found => return Err(Error::Version { what: "reconciliation", found, known: VERSION }),
        }
        let suite = Suite::try_from(reader.u8("suite")?)?;
        reader.zeros(2, "reserved bytes of the reconciliation")?;
        let account = read_account(&mut reader)?;
        let signature = Signature::read(&mut reader)?;
        reader.finish()?;
        Ok(Reconciliation { suite, account, signature })
    }
}

fn read_account(reader: &mut Reader<'_>) -> Result<Account> {
    let account = Account {
        vault: VaultId::read(reader)?,
        hospital: HospitalId::read(reader)?,
        log_size: reader.u64("log size")?,
        log_root: Digest::read(reader)?,
        time_ms: reader.u64("time")?,
        received: Amount::read(reader)?,
        held: Amount::read(reader)?,
        given_out: Amount::read(reader)?,
        disposed: Amount::read(reader)?,
        missing: Amount::read(reader)?,
        missing_leaves: {
            let count = reader.count(RECONCILED_MISSING_MAX, "missing leaves")?;
            (0..count).map(|_| reader.u64("missing leaf")).collect::<Result<_>>()?
        },
    };
    let wrong = |why| Err(Error::Invalid { what: "missing leaves", why });
    let leaves = &account.missing_leaves;
    if !leaves.is_sorted_by(|one, next| one < next) || leaves.last().is_some_and(|last| *last >= account.log_size) {
        return wrong("they must ascend, within the log");
    }
    let listed = leaves.len() as u64;
    match listed == account.missing.count.min(RECONCILED_MISSING_MAX as u64) {
        true => Ok(account),
        false => wrong("there must be as many as are missing, up to the limit"),
    }
}

fn signed_bytes(suite: Suite, account: &Account) -> Vec<u8> {
    let mut out = Writer::with_capacity(256 + 8 * account.missing_leaves.len());
    out.put(&MAGIC).u8(VERSION).u8(suite.code()).zeros(2).put(&account.vault.0).put(&account.hospital.0);
    out.u64(account.log_size).put(&account.log_root.0).u64(account.time_ms);
    let amounts = [account.received, account.held, account.given_out, account.disposed, account.missing];
    amounts.iter().for_each(|amount| amount.write(&mut out));
    out.count(account.missing_leaves.len());
    for leaf in &account.missing_leaves {
        out.u64(*leaf);
    }
    out.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed(Suite::Default, &[seed; 32].into()).unwrap()
    }

    fn account() -> Account {
        let amount = |count| Amount { count, bytes: count * 100 };
        Account {
            vault: VaultId([1; 16]),
            hospital: HospitalId([2; 16]),
            log_size: 20,
            log_root: Digest([3; 32]),
            time_ms: 4,
            received: amount(10),
            held: amount(7),
            given_out: amount(2),
            disposed: amount(1),
            missing: amount(0),
            missing_leaves: Vec::new(),
        }
    }

    #[test]
    fn an_account_balances_only_if_nothing_is_missing_and_the_sums_agree_8_2_r4() {
        assert!(account().balances());
        let short = Account { held: Amount { count: 6, bytes: 600 }, ..account() };
        assert!(!short.balances(), "one is neither held nor given out nor disposed of");
        let lighter = Account { held: Amount { count: 7, bytes: 699 }, ..account() };
        assert!(!lighter.balances(), "the counts agree and the bytes do not");
        let missing = Account { missing: Amount { count: 1, bytes: 100 }, missing_leaves: vec![3], ..account() };
        assert!(!missing.balances());
    }

    #[test]
    fn an_account_that_was_changed_or_that_another_signed_is_refused() {
        let signed = Reconciliation::sign(account(), &key(1));
        assert_eq!(signed.verify(&key(1).public()), Ok(&account()));
        assert!(signed.verify(&key(2).public()).is_err());
        let bytes = signed.encode();
        assert_eq!(Reconciliation::decode(&bytes), Ok(signed));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let read = Reconciliation::decode(&changed);
            let held = read.as_ref().is_ok_and(|read| read.verify(&key(1).public()).is_ok());
            assert!(!held, "byte {at}");
            assert!(Reconciliation::decode(&bytes[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn missing_leaves_ascend_within_the_log_and_are_as_many_as_are_missing() {
        for leaves in [vec![3, 3], vec![4, 3], vec![3, 20], vec![3]] {
            let wrong = Account { missing: Amount { count: 2, bytes: 9 }, missing_leaves: leaves, ..account() };
            let bytes = Reconciliation::sign(wrong, &key(1)).encode();
            assert!(matches!(Reconciliation::decode(&bytes), Err(Error::Invalid { what: "missing leaves", .. })));
        }
    }
}
