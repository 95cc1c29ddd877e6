//! Media that fail when told to: at the n-th call, at calls of a kind, or at every call from one on.

use super::hooked::{Call, Fault, Hook, Hooked};
use parking_lot::Mutex;
use std::io::ErrorKind;

/// A medium that fails as its [`Faults`] say.
pub type FaultyMedia = Hooked<Faults>;

type Rule = Box<dyn FnMut(u64, &Call) -> Option<Fault> + Send>;

/// What goes wrong, and when, on one or several media. Calls are counted over all of them, from 0.
#[derive(Default)]
pub struct Faults {
    plan: Mutex<Plan>,
}

#[derive(Default)]
struct Plan {
    calls: u64,
    dead: bool,
    rules: Vec<Rule>,
}

impl Faults {
    /// Asks `rule`, with the number of each call, what happens to it. The first rule that names a fault decides.
    pub fn when(&self, rule: impl FnMut(u64, &Call) -> Option<Fault> + Send + 'static) {
        self.plan.lock().rules.push(Box::new(rule));
    }

    /// Lets `fault` happen to call number `n`.
    pub fn at(&self, n: u64, fault: Fault) {
        self.when(move |number, _| (number == n).then_some(fault));
    }

    /// Kills the machine at call number `n`: a write there is torn after `keep` bytes, and every later call fails.
    pub fn kill_at(&self, n: u64, keep: u64) {
        self.when(move |number, _| (number == n).then_some(Fault::Torn { keep, kind: KILLED }));
    }

    /// Forgets every rule and brings the dead back; the count goes on.
    pub fn clear(&self) {
        let mut plan = self.plan.lock();
        plan.rules.clear();
        plan.dead = false;
    }

    /// How many calls were made.
    pub fn calls(&self) -> u64 {
        self.plan.lock().calls
    }

    /// Whether [`kill_at`](Self::kill_at) has struck.
    pub fn is_dead(&self) -> bool {
        self.plan.lock().dead
    }
}

/// How calls on a dead machine fail. Nothing sees it but us: the process that would see it is dead too.
const KILLED: ErrorKind = ErrorKind::ConnectionAborted;

impl Hook for Faults {
    fn before(&self, call: &Call) -> Option<Fault> {
        let mut plan = self.plan.lock();
        let number = plan.calls;
        plan.calls += 1;
        if plan.dead {
            return Some(Fault::Fail(KILLED));
        }
        let fault = plan.rules.iter_mut().find_map(|rule| rule(number, call));
        plan.dead = matches!(fault, Some(Fault::Torn { kind: KILLED, .. }));
        fault
    }
}

impl std::fmt::Debug for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let plan = self.plan.lock();
        write!(f, "Faults({} calls, {} rules)", plan.calls, plan.rules.len())
    }
}
