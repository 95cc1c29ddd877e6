//! Walking the entries of a ledger from the first to the last: who signed, in which order, under which certificate. Pure: it
//! is given entries and says what is wrong with each.

use shosoin_protocol::act::{ActKind, Author};
use shosoin_protocol::entry::{Body, PlacedEntry, Statement};
use shosoin_protocol::lineage::{Lineage, Span};
use shosoin_protocol::sign::PublicKey;
use shosoin_protocol::{DeviceId, Digest, HospitalId, Suite};
use std::collections::HashMap;

/// Whose ledger it should be.
#[derive(Debug, Clone)]
pub struct Terms {
    /// whose
    pub hospital: HospitalId,
    /// algorithms
    pub suite: Suite,
    /// key that certifies its devices
    pub hospital_key: PublicKey,
    /// the vaults that kept it: their logs, and the keys that sign acts of the operator
    pub lineage: Lineage,
}

/// What is wrong with an entry: a stable code, and why.
pub type Wrong = (&'static str, String);

/// Where a device stands before the next entry.
struct Chain {
    key: PublicKey,
    enrolled: bool,
    next_seq: u64,
    prev: Digest,
}

impl Chain {
    fn start(key: PublicKey) -> Self {
        Chain { key, enrolled: false, next_seq: 0, prev: Digest([0; 32]) }
    }
}

/// A walk that has come so far.
pub struct Walk {
    terms: Terms,
    devices: HashMap<DeviceId, Chain>,
}

impl Walk {
    /// Before the first entry.
    pub fn begin(terms: Terms) -> Self {
        let keys = terms.lineage.spans().map(|span| &span.vault_key);
        let devices = keys.map(|key| (key.device_id(), Chain::start(key.clone()))).collect();
        Walk { terms, devices }
    }

    /// Takes the next entry, whose hash as a leaf is `leaf`, and before which the tree has `root`; gives what is wrong with it.
    pub fn step(&mut self, placed: &PlacedEntry, leaf: Digest, root: Digest) -> Vec<Wrong> {
        let (index, statement) = (placed.index, placed.entry.statement());
        let span = self.terms.lineage.at(index).clone();
        let mut wrong = self.taken_over(&span, placed, root);
        if statement.suite != self.terms.suite {
            wrong.push(("entry-suite", format!("leaf {index} is of another suite")));
        }
        if let Err(error) = placed.entry.expect(span.log, self.terms.hospital) {
            wrong.push(("entry-foreign", format!("leaf {index}: {error}")));
        }
        if let Body::Device(change) = &statement.body {
            let device = change.key.device_id();
            self.devices.entry(device).or_insert_with(|| Chain::start(change.key.clone())).enrolled = change.enrol;
            if let Err(error) = change.verify(statement.log, &self.terms.hospital_key) {
                wrong.push(("device-certificate", format!("leaf {index}: {error}")));
            }
        }
        wrong.extend(self.signed_in_order(&span, placed, statement, leaf));
        wrong
    }

    /// A span begins with the act by which its vault took over, behind the leaves that it says; and no other entry is such an
    /// act.
    fn taken_over(&self, span: &Span, placed: &PlacedEntry, root: Digest) -> Vec<Wrong> {
        let is_in = matches!(placed.entry.body(), Body::Act(act) if act.kind == ActKind::HandOverIn);
        let begins = span.from > 0 && span.from == placed.index;
        let why = match (begins, is_in) {
            (true, false) => "should be the act by which the ledger was taken over",
            (false, true) => "takes over a ledger that it does not begin with",
            (true, true) if span.root != root => "takes over other leaves than those before it",
            _ => return Vec::new(),
        };
        vec![("entry-lineage", format!("leaf {} {why}", placed.index))]
    }

    fn signed_in_order(
        &mut self,
        span: &Span,
        placed: &PlacedEntry,
        statement: &Statement,
        leaf: Digest,
    ) -> Vec<Wrong> {
        let (index, is_vault) = (placed.index, statement.device == span.vault_key.device_id());
        let was_vault = self.terms.lineage.is_vault(statement.device);
        let Some(chain) = self.devices.get_mut(&statement.device) else {
            return vec![("entry-device", format!("leaf {index} is of a device never enrolled"))];
        };
        let mut wrong = Vec::new();
        let follows = statement.device_seq == chain.next_seq && statement.prev == chain.prev;
        (chain.next_seq, chain.prev) = (statement.device_seq.saturating_add(1), leaf);
        let may_sign = match &statement.body {
            Body::Act(act) if act.kind.author() == Author::Operator => is_vault,
            Body::Act(act) if act.kind.author() == Author::Either && is_vault => true,
            Body::Device(change) if !change.enrol => true,
            _ => chain.enrolled && !was_vault,
        };
        if let Err(error) = placed.entry.verify(&chain.key) {
            wrong.push(("entry-signature", format!("leaf {index}: {error}")));
        }
        if !follows || !may_sign {
            wrong.push(("entry-chain", format!("leaf {index} does not follow in the chain of its device")));
        }
        wrong
    }
}
