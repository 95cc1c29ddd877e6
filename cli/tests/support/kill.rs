//! Commands that are killed without warning, at moments that a seed repeats.

use super::command;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

/// A number from the environment.
pub fn from_env(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}

/// A number generator that a seed repeats: xorshift64.
pub struct Dice(u64);

impl Dice {
    /// Dice of `$SHOSOIN_CRASH_SEED`, else of the process; says so.
    pub fn thrown_for(what: &str) -> Dice {
        let seed = from_env("SHOSOIN_CRASH_SEED", u64::from(std::process::id()));
        println!("{what}: SHOSOIN_CRASH_SEED={seed}");
        Dice(seed | 1)
    }

    /// Dice of their own for one of several who throw, as a seed and its number say.
    pub fn of(seed: u64, number: u64) -> Dice {
        Dice((seed ^ (number << 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// The next number, less than `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    /// One of so many.
    pub fn pick(&mut self, count: usize) -> usize {
        usize::try_from(self.below(count as u64)).unwrap()
    }
}

/// From when the life of a command counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstSign<'a> {
    /// its start
    Start,
    /// a first entry in a folder that was empty
    Entry(&'a Path),
    /// its first line of progress, which a job gives when it has begun
    Progress,
}

/// Runs a command and kills it after `life`; gives whether it was still there.
pub fn run_and_kill(arguments: &[&str], from: FirstSign<'_>, life: Duration) -> bool {
    let mut child = command(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    match from {
        FirstSign::Start => {}
        FirstSign::Entry(folder) => {
            let is_empty = || std::fs::read_dir(folder).unwrap().next().is_none();
            while is_empty() && child.try_wait().unwrap().is_none() {
                std::thread::yield_now(); // a kill must fall within a millisecond of it
            }
        }
        FirstSign::Progress => {
            let mut line = String::new();
            BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
            assert!(line.is_empty() || line.starts_with("{\"progress\""), "{arguments:?} said: {line}");
        }
    }
    std::thread::sleep(life); // the random life before a kill
    let lived = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    lived
}
