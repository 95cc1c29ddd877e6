//! Decades on media that lie: the real engine, on simulated media, under a virtual clock, from one seed.
//!
//! A [`run`](run()) is one history. Media decay, lie, vanish and die; operators pull the wrong volume and restore old
//! images; the process is killed in the middle of any call. The engine is the one that runs in a vault, without its threads.
//! Whatever it acknowledged is remembered outside of it (`oracle`), and what may still be ruined without breaking the
//! promise of the code is kept in books (`budget`): inside the budget nothing may be lost, beyond it exactly the lost must be
//! named, and wrong bytes may never come out.
//!
//! From the bottom up: `rng` is chance, `disk` one medium, `world` all of them and what goes wrong with calls, `media` what
//! the engine sees of it, `decay` what time does. `run` is the day, `operator` the people, `jobs` the vault's own work, `upkeep` what it does
//! for room: compaction and the archive.
//!
//! Invariants
//! - One seed and one commit are one run: every call on every medium, mixed into [`Outcome::trace`].
//! - The budget looks at time, never at what the engine repaired: an engine that repairs less gets no easier a life.
//!
//! Idea: FoundationDB's deterministic simulation; TigerBeetle's simulator and its fault budget.

mod budget;
mod decay;
mod disk;
mod fault;
mod jobs;
mod media;
mod operator;
mod oracle;
mod outcome;
mod rng;
mod run;
mod upkeep;
mod verify;
mod world;

pub use decay::DecayRates;
pub use fault::{FaultCounts, FaultKind};
pub use outcome::{Outcome, Rule, Violation};
pub use run::{Options, START_MS, run};
pub use world::CallRates;

#[cfg(test)]
mod tests;
