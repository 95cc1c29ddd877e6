//! What is made of the acts of the ledger, one after the other, as they come.
//!
//! Invariants
//! - Every act is taken once, in the order of the ledger, however often somebody asks: what asking costs does not grow with the
//!   acts there are.

use crate::Result;
use crate::view::View;
use crate::view::row::ActRow;

/// What was made of all acts below a leaf.
#[derive(Debug, Default)]
pub struct Followed<T> {
    made: T,
    /// leaf behind the newest act that was taken
    next_leaf: u64,
    /// acts that the view had then
    acts: Option<u64>,
}

impl<T> Followed<T> {
    /// Takes the acts that came since, and gives what is made of all.
    pub fn follow(&mut self, view: &View, mut take: impl FnMut(&mut T, ActRow)) -> Result<&T> {
        let acts = view.acts_applied(); // what comes meanwhile is taken now or the next time
        if self.acts != Some(acts) {
            view.acts_from(self.next_leaf, |act| {
                self.next_leaf = act.leaf_index + 1;
                take(&mut self.made, act);
            })?;
            self.acts = Some(acts);
        }
        Ok(&self.made)
    }
}
