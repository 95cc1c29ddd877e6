//! What a command prints: text for people, or with `--json` one line of JSON per answer. Failures go to stderr, and so does
//! the progress of jobs, a line of JSON each.

use crate::error::{Error, Result};
use serde::Serialize;
use serde_json::{Value, json};
use std::io::Write as _;

/// Where answers go, and in which form.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    json: bool,
}

/// Writes text to stdout, and says so where that fails.
pub fn print(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    written.map_err(|source| Error::System { action: "write to stdout", source })
}

impl Output {
    /// Text, or JSON.
    pub fn new(json: bool) -> Self {
        Output { json }
    }

    /// Whether programs read along.
    pub fn is_json(self) -> bool {
        self.json
    }

    /// One answer: `value` as a line of JSON, or `text` as it is.
    pub fn answer(self, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<()> {
        let mut line = match self.json {
            true => serde_json::to_string(value).map_err(|error| Error::invalid("answer", error.to_string()))?,
            false => text(),
        };
        if !line.ends_with('\n') && !line.is_empty() {
            line.push('\n');
        }
        print(&line)
    }

    /// A remark for people, on stderr; programs do not want it.
    pub fn note(self, text: &str) {
        if !self.json {
            eprintln!("{text}");
        }
    }

    /// How far long work has come, on stderr, for programs: people see a bar.
    pub fn progress(self, progress: &Value) {
        if self.json {
            eprintln!("{}", json!({ "progress": progress }));
        }
    }

    /// A failure, on stderr.
    pub fn error(self, error: &Error) {
        let clauses = error.clauses();
        let (safe, next) = error.advice();
        match self.json {
            true => {
                let kind = error.kind().name();
                eprintln!(
                    "{}",
                    json!({"error": {"kind": kind, "message": clauses.join(": "), "safe": safe, "next": next}})
                );
            }
            false => eprintln!("shosoin: {}\n  safe: {safe}\n  next: {next}", clauses.join(": ")),
        }
    }
}
