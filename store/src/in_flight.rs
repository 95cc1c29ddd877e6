//! Deposits in flight: who names a record, and is not done yet. Before a record goes, every deposit that could have been told
//! that it is held has ended; those that began later are told that it is not.

use parking_lot::{Condvar, Mutex};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Default)]
struct Tickets {
    next: u64,
    out: BTreeSet<u64>,
}

/// The deposits in flight.
#[derive(Debug, Clone, Default)]
pub struct InFlight(Arc<(Mutex<Tickets>, Condvar)>);

/// One of them; it has ended when this is dropped.
#[derive(Debug)]
pub struct Ticket {
    of: InFlight,
    number: u64,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let (tickets, ended) = &*self.of.0;
        tickets.lock().out.remove(&self.number);
        ended.notify_all();
    }
}

impl InFlight {
    /// A deposit begins.
    pub fn begin(&self) -> Ticket {
        let mut tickets = self.0.0.lock();
        let number = tickets.next;
        tickets.next += 1;
        tickets.out.insert(number);
        Ticket { of: self.clone(), number }
    }

    /// Waits until every deposit that has begun by now has ended. `look` is asked now and then, and its error ends the wait.
    pub fn wait_for_earlier<E>(&self, mut look: impl FnMut() -> Result<(), E>) -> Result<(), E> {
        const LOOK: Duration = Duration::from_millis(200);
        let (tickets, ended) = &*self.0;
        let mut tickets = tickets.lock();
        let first_later = tickets.next;
        while tickets.out.first().is_some_and(|oldest| *oldest < first_later) {
            ended.wait_for(&mut tickets, LOOK);
            parking_lot::MutexGuard::unlocked(&mut tickets, &mut look)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    #[test]
    fn earlier_ones_are_waited_for_and_later_ones_are_not() {
        let in_flight = InFlight::default();
        let (first, second) = (in_flight.begin(), in_flight.begin());
        drop(second);
        let mut first = Some(first);
        let mut later = Vec::new();
        let mut looks = 0;
        let waited = in_flight.wait_for_earlier(|| {
            looks += 1;
            later.push(in_flight.begin());
            if looks == 3 {
                drop(first.take());
            }
            Ok::<_, Infallible>(())
        });
        assert_eq!((waited, looks, later.len()), (Ok(()), 3, 3));
    }

    #[test]
    fn a_wait_can_be_given_up() {
        let in_flight = InFlight::default();
        let _held = in_flight.begin();
        assert_eq!(in_flight.wait_for_earlier(|| Err("enough")), Err("enough"));
    }
}
