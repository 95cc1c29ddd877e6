//! Whether a history of concurrent operations on a few names could have come from one place doing them one at a time.
//!
//! Each operation has the moment it was asked and the moment it was answered. A history is linearizable if there is a
//! point between the two for each, so that the answers are what one register for each name gives when the operations
//! happen at their points. An operation whose answer was lost may have happened at any time after it was asked, or never.
//!
//! The search is that of Wing and Gong ("Testing and verifying concurrent objects", 1993) with the memory of Lowe ("Testing
//! for linearizability", 2017): what was reached once, as a set of operations that happened and the state they left, is
//! not tried twice. The names of one group are judged together, so that a listing is one look at all of them.

use std::collections::HashSet;
use std::fmt::Write as _;

/// Names in one group.
pub const NAMES: usize = 3;
/// States the search may visit before it gives up.
const VISITS_MAX: usize = 5_000_000;

/// Content of a name: no two puts of a run have the same. 0 is nothing.
pub type Value = u32;
/// What each name of a group holds.
pub type State = [Value; NAMES];

/// On what a put depends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Only {
    /// nothing
    Always,
    /// nothing is there (`If-None-Match: *`)
    Absent,
    /// this is there (`If-Match`)
    Holds(Value),
}

/// What was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// store a value under a name
    Put(usize, Value, Only),
    /// delete a name
    Delete(usize),
    /// read a name
    Get(usize),
    /// list the group
    List,
}

/// What was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// it was done
    Done,
    /// its condition did not hold, nothing was done
    Refused,
    /// what a name holds
    Read(Value),
    /// what the group holds
    Listed(State),
    /// none: it may have been done, or be done later, or never
    Lost,
}

/// One operation of a history.
#[derive(Debug, Clone, Copy)]
pub struct Event {
    /// what was asked
    pub op: Op,
    /// what was answered
    pub answer: Answer,
    /// when it was asked, in any unit
    pub asked: u64,
    /// when it was answered
    pub answered: u64,
}

impl Event {
    /// Until when it may have happened.
    fn until(&self) -> u64 {
        if self.answer == Answer::Lost { u64::MAX } else { self.answered }
    }

    /// The state after it, if it can have happened in `state` with this answer.
    fn apply(&self, state: &State) -> Option<State> {
        let mut next = *state;
        let holds = |name: usize, only| match only {
            Only::Always => true,
            Only::Absent => state[name] == 0,
            Only::Holds(value) => state[name] == value,
        };
        let fits = match (self.op, self.answer) {
            (Op::Put(name, value, only), Answer::Done) => {
                next[name] = value;
                holds(name, only)
            }
            (Op::Put(name, value, only), Answer::Lost) => {
                if holds(name, only) {
                    next[name] = value;
                }
                true
            }
            (Op::Put(name, _, only), Answer::Refused) => !holds(name, only),
            (Op::Delete(name), Answer::Done | Answer::Lost) => {
                next[name] = 0;
                true
            }
            (Op::Get(name), Answer::Read(value)) => state[name] == value,
            (Op::List, Answer::Listed(listed)) => *state == listed,
            (Op::Get(_) | Op::List, Answer::Lost) => true,
            (op, answer) => panic!("{op:?} cannot be answered {answer:?}"),
        };
        fits.then_some(next)
    }
}

/// A set of operations, by their place in the history.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Happened(Box<[u64]>);

impl Happened {
    fn has(&self, at: usize) -> bool {
        self.0[at / 64] & (1 << (at % 64)) != 0
    }

    fn with(&self, at: usize) -> Happened {
        let mut more = self.clone();
        more.0[at / 64] |= 1 << (at % 64);
        more
    }
}

/// Refuses a history that is not linearizable from `begin` on; says how far an order of it was found.
pub fn check(begin: State, mut events: Vec<Event>) -> Result<(), String> {
    events.retain(|event| !matches!((event.op, event.answer), (Op::Get(_) | Op::List, Answer::Lost)));
    events.sort_by_key(|event| event.asked);
    let answered = events.iter().filter(|event| event.answer != Answer::Lost).count();
    let none = Happened(vec![0; events.len().div_ceil(64)].into());
    let mut seen = HashSet::from([(none.clone(), begin)]);
    let mut open = vec![(none, begin, 0usize)];
    let mut furthest = (0, begin, Happened(Box::new([])));
    while let Some((happened, state, count)) = open.pop() {
        if count == answered {
            return Ok(());
        }
        if count >= furthest.0 {
            furthest = (count, state, happened.clone());
        }
        assert!(seen.len() < VISITS_MAX, "the history is too wide to be judged: {} operations", events.len());
        // the next to happen was asked before every one that is left was answered
        let left = (0..events.len()).filter(|at| !happened.has(*at));
        let first_answer = left.clone().map(|at| events[at].until()).min().unwrap_or(u64::MAX);
        let may_be_next = left.take_while(|at| events[*at].asked <= first_answer);
        let mut next: Vec<_> = may_be_next
            .filter_map(|at| Some((at, events[at].apply(&state)?)))
            .map(|(at, after)| (happened.with(at), after, count + usize::from(events[at].answer != Answer::Lost), at))
            .collect();
        // what was answered first is tried first, what was never answered last: the stack gives them in reverse
        next.sort_by_key(|(_, _, _, at)| std::cmp::Reverse(events[*at].until()));
        for (happened, after, count, _) in next {
            if seen.insert((happened.clone(), after)) {
                open.push((happened, after, count));
            }
        }
    }
    Err(told(&events, &furthest))
}

/// The part of the history around which no order was found.
fn told(events: &[Event], (count, state, happened): &(usize, State, Happened)) -> String {
    let mut text =
        format!("no order explains it; the longest one found has {count} answers and leaves {state:?}, before:\n");
    let left: Vec<_> = (0..events.len()).filter(|at| !happened.has(*at)).collect();
    let from = left.first().map_or(0, |at| at.saturating_sub(12));
    for (at, event) in events.iter().enumerate().skip(from).take(40) {
        let mark = if happened.has(at) { " " } else { "?" };
        let Event { op, answer, asked, answered } = event;
        writeln!(text, "{mark} {asked:>12} {answered:>12} {op:?} -> {answer:?}").unwrap();
    }
    text
}

mod tests {
    use super::*;

    const NOTHING: State = [0; NAMES];

    fn event(asked: u64, answered: u64, op: Op, answer: Answer) -> Event {
        Event { op, answer, asked, answered }
    }

    fn put(asked: u64, answered: u64, value: Value) -> Event {
        event(asked, answered, Op::Put(0, value, Only::Always), Answer::Done)
    }

    fn get(asked: u64, answered: u64, value: Value) -> Event {
        event(asked, answered, Op::Get(0), Answer::Read(value))
    }

    fn create(asked: u64, answered: u64, value: Value, answer: Answer) -> Event {
        event(asked, answered, Op::Put(0, value, Only::Absent), answer)
    }

    #[test]
    fn operations_at_the_same_time_may_have_either_order() {
        for read in [1, 2] {
            check(NOTHING, vec![put(0, 10, 1), put(0, 10, 2), get(11, 12, read)]).unwrap();
        }
        check(NOTHING, vec![put(0, 10, 1), get(1, 9, 0)]).unwrap();
        check(NOTHING, vec![put(0, 10, 1), get(1, 9, 1)]).unwrap();
    }

    #[test]
    fn a_stale_read_is_refused() {
        assert!(check(NOTHING, vec![put(0, 1, 1), put(2, 3, 2), get(4, 5, 1)]).is_err());
        assert!(check(NOTHING, vec![put(0, 1, 1), get(2, 3, 0)]).is_err());
    }

    #[test]
    fn a_read_that_goes_back_in_time_is_refused_even_while_the_put_is_under_way() {
        assert!(check([1, 0, 0], vec![put(0, 10, 2), get(1, 2, 2), get(3, 4, 1)]).is_err());
        check([1, 0, 0], vec![put(0, 10, 2), get(1, 2, 1), get(3, 4, 2)]).unwrap();
    }

    #[test]
    fn a_lost_update_is_refused() {
        let over = |asked, value| event(asked, asked + 5, Op::Put(0, value, Only::Holds(1)), Answer::Done);
        assert!(check([1, 0, 0], vec![over(0, 2), over(1, 3)]).is_err());
        let refused = event(1, 6, Op::Put(0, 3, Only::Holds(1)), Answer::Refused);
        check([1, 0, 0], vec![over(0, 2), refused]).unwrap();
    }

    #[test]
    fn two_who_both_created_a_name_are_refused() {
        assert!(check(NOTHING, vec![create(0, 5, 1, Answer::Done), create(1, 6, 2, Answer::Done)]).is_err());
        check(NOTHING, vec![create(0, 5, 1, Answer::Done), create(1, 6, 2, Answer::Refused)]).unwrap();
        let deleted = event(2, 3, Op::Delete(0), Answer::Done);
        check(NOTHING, vec![create(0, 5, 1, Answer::Done), deleted, create(1, 6, 2, Answer::Done)]).unwrap();
    }

    #[test]
    fn a_refusal_that_nothing_explains_is_refused() {
        assert!(check(NOTHING, vec![create(0, 5, 1, Answer::Refused)]).is_err());
        assert!(check([1, 0, 0], vec![event(0, 1, Op::Put(0, 3, Only::Holds(1)), Answer::Refused)]).is_err());
    }

    #[test]
    fn a_deleted_name_does_not_come_back() {
        let deleted = event(2, 3, Op::Delete(0), Answer::Done);
        assert!(check(NOTHING, vec![put(0, 1, 1), deleted, get(4, 5, 1)]).is_err());
        check(NOTHING, vec![put(0, 1, 1), deleted, get(4, 5, 0)]).unwrap();
    }

    #[test]
    fn a_listing_is_one_look_at_all_names() {
        let other = |asked| event(asked, asked + 1, Op::Put(1, 7, Only::Always), Answer::Done);
        let listed = |state| event(4, 9, Op::List, Answer::Listed(state));
        assert!(check(NOTHING, vec![put(0, 1, 1), other(2), listed([0, 7, 0])]).is_err());
        check(NOTHING, vec![put(0, 1, 1), other(2), listed([1, 7, 0])]).unwrap();
        // the second came only after the first had been seen: a listing with the second alone is from no moment
        assert!(check(NOTHING, vec![put(4, 5, 1), other(6), listed([0, 7, 0])]).is_err());
    }

    #[test]
    fn a_put_without_an_answer_may_have_happened_late_early_or_never_but_once() {
        let lost = event(0, 0, Op::Put(0, 9, Only::Always), Answer::Lost);
        check(NOTHING, vec![lost, get(5, 6, 0)]).unwrap();
        check(NOTHING, vec![lost, get(5, 6, 9)]).unwrap();
        check(NOTHING, vec![lost, put(1, 2, 1), get(5, 6, 1), get(7, 8, 9)]).unwrap();
        assert!(check(NOTHING, vec![lost, get(1, 2, 9), put(3, 4, 1), get(5, 6, 9)]).is_err());
    }
}
