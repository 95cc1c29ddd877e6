//! The binary under test: run to its end, or kept running until it is stopped or killed.
#![allow(dead_code, reason = "each test file uses its own part")]
#![expect(clippy::unwrap_used, reason = "tests may panic")]

pub mod disposals;
pub mod halves;
pub mod kill;
pub mod site;

use serde_json::Value;
use std::ffi::{OsStr, OsString};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, Output, Stdio};

/// A command that ended.
pub struct Done {
    /// exit code
    pub code: i32,
    /// answers
    pub stdout: String,
    /// failures and remarks
    pub stderr: String,
}

impl Done {
    /// The last answer, which must be JSON.
    pub fn json(&self) -> Value {
        let line = self.stdout.lines().last().unwrap_or_else(|| panic!("no answer; stderr: {}", self.stderr));
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"))
    }

    /// The failure, which must be JSON: the last line, as remarks of libraries may come before.
    pub fn failure(&self) -> Value {
        let line = self.stderr.lines().last().unwrap_or_default();
        let failure: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {}", self.stderr));
        failure["error"].clone()
    }

    /// Panics unless it succeeded.
    pub fn ok(self) -> Done {
        assert_eq!(self.code, 0, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// Panics unless it failed with this exit code, saying each of `needles`.
    pub fn fails(self, code: i32, needles: &[&str]) -> Done {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        for needle in needles {
            assert!(self.stderr.contains(needle), "{needle:?} is not in: {}", self.stderr);
        }
        self
    }
}

/// The binary under test: `$SHOSOIN_BIN`, else the one that was built for these tests.
pub fn binary() -> OsString {
    std::env::var_os("SHOSOIN_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_shosoin").into())
}

fn command<S: AsRef<OsStr>>(arguments: &[S]) -> Command {
    let mut command = Command::new(binary());
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs a command to its end, with these variables in its environment.
pub fn shosoin_with<S: AsRef<OsStr>>(environment: &[(&str, String)], arguments: &[S]) -> Done {
    done(command(arguments).envs(environment.iter().map(|(name, value)| (name, value))).output().unwrap())
}

/// Runs a command to its end.
pub fn shosoin<S: AsRef<OsStr>>(arguments: &[S]) -> Done {
    done(command(arguments).output().unwrap())
}

fn done(output: Output) -> Done {
    Done {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A process that serves; killed when dropped.
pub struct Serving {
    child: Child,
    stdout: BufReader<ChildStdout>,
    log: Option<BufReader<ChildStderr>>,
    /// its first line of JSON
    pub ready: Value,
}

impl Serving {
    /// Starts a command with `--json` and waits for its first line.
    pub fn start<S: AsRef<OsStr>>(arguments: &[S]) -> Serving {
        Serving::start_with_log(arguments, None)
    }

    /// The same; with a filter, its log is for [`Serving::wait_for_log`] alone.
    pub fn start_with_log<S: AsRef<OsStr>>(arguments: &[S], filter: Option<&str>) -> Serving {
        let mut command = command(arguments);
        if let Some(filter) = filter {
            command.env("SHOSOIN_LOG", filter).stderr(Stdio::piped());
        }
        let mut child = command.arg("--json").stdout(Stdio::piped()).spawn().unwrap();
        let log = child.stderr.take().map(BufReader::new);
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let ready = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in first line {line:?}"));
        Serving { child, stdout, log, ready }
    }

    /// Waits for a line of its log in which all of these stand, and gives it.
    pub fn wait_for_log(&mut self, needles: &[&str]) -> String {
        let mut seen = String::new();
        for line in self.log.as_mut().unwrap().lines().map(Result::unwrap) {
            if needles.iter().all(|needle| line.contains(needle)) {
                return line;
            }
            seen += &(line + "\n");
        }
        panic!("it ended without {needles:?} in its log:\n{seen}");
    }

    /// A field of the first line.
    pub fn field(&self, name: &str) -> String {
        self.ready[name].as_str().unwrap_or_else(|| panic!("no {name} in {}", self.ready)).to_owned()
    }

    /// Asks it to stop; the exit code must be 0. Gives its last line.
    pub fn stop(mut self) -> Value {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let last = self.stdout.by_ref().lines().map(Result::unwrap).last();
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        serde_json::from_str(&last.unwrap()).unwrap()
    }

    /// Ends it without warning.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A path as an argument.
pub fn arg(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// `len` bytes that differ for each `seed` and do not repeat.
pub fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..len.div_ceil(8)).flat_map(|_| next()).take(len).collect()
}
