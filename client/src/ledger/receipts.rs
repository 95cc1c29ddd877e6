//! Receipts of what was deposited: each is verified under the head that it names.

use super::{Head, Identity, verified};
use crate::Error;
use crate::view::Placed;
use shosoin_protocol::receipt::Receipt;

/// Why receipts are refused, and the one that its signer may be held to.
pub(super) struct BadReceipt {
    pub(super) error: Error,
    pub(super) receipt: Option<Receipt>,
}

impl BadReceipt {
    fn new(error: Error, receipt: Option<&Receipt>) -> Box<Self> {
        Box::new(BadReceipt { error, receipt: receipt.cloned() })
    }
}

/// Verified heads, ascending, and the entries that receipts prove under each.
pub(super) type Proved = Vec<(Head, Vec<Placed>)>;

/// Entries by the head their receipt proves them under, in ascending order of both. Receipts of one batch share a head,
/// which is verified once.
pub(super) fn verify_receipts(
    identity: &Identity,
    accepted: Vec<(Placed, Receipt)>,
) -> Result<Proved, Box<BadReceipt>> {
    let mut heads: Vec<(Head, Vec<Placed>)> = Vec::new();
    for (placed, receipt) in accepted {
        let text = &receipt.inclusion.checkpoint;
        let at = match heads.iter().position(|(head, _)| head.text() == text) {
            Some(at) => at,
            None => {
                let head = verified(identity, text).map_err(|error| BadReceipt::new(error, Some(&receipt)))?;
                heads.push((head, Vec::new()));
                heads.len() - 1
            }
        };
        let (head, entries) = &mut heads[at];
        let answer = |source| Error::Answer { operation: "a deposit", source };
        let held = receipt.verify_under(&placed.entry.leaf_hash(), identity.key_of(&receipt), head).map_err(answer);
        held.map_err(|error| BadReceipt::new(error, Some(&receipt)))?;
        if placed.index != receipt.inclusion.index {
            let why = "the receipt is for another place".to_owned();
            return Err(BadReceipt::new(Error::Contradiction { operation: "a deposit", why }, None));
        }
        entries.push(placed);
    }
    heads.sort_by_key(|(head, _)| head.size());
    Ok(heads)
}
