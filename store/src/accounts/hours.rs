//! The days and hours in which a person may act (7.6.14-LOGON-S2). They bind people, never services.

use super::moment::Moment;
use crate::jobs::window::{UtcOffset, Window, is_open};
use serde::{Deserialize, Serialize};
use shosoin_protocol::codec::{Reader, Writer};
use shosoin_protocol::{Error as FormatError, Result as FormatResult};
use std::fmt;

/// Windows of one person.
pub const WINDOWS_MAX: usize = 14;
/// Longest window as text, in bytes.
const WINDOW_BYTES_MAX: usize = 32;

/// When somebody may act; no window at all means always.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hours(Vec<Window>);

impl Hours {
    /// In these windows.
    pub fn of(windows: Vec<Window>) -> Result<Self, String> {
        match windows.len() <= WINDOWS_MAX {
            true => Ok(Hours(windows)),
            false => Err(format!("there are {} windows, at most {WINDOWS_MAX} are kept", windows.len())),
        }
    }

    /// Whether there is no limit.
    pub fn are_all(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether they are open. While the clock is in doubt the hour is not known, and limited hours are closed.
    pub fn are_open(&self, moment: &Moment, offset: UtcOffset) -> bool {
        self.are_all() || (!moment.is_doubted() && is_open(&self.0, offset, moment.ms()))
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.count(self.0.len());
        for window in &self.0 {
            out.var(window.to_string().as_bytes());
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> FormatResult<Self> {
        let invalid = FormatError::Invalid { what: "window", why: "it is no window, or is not written as one is" };
        let mut windows = Vec::new();
        for _ in 0..reader.count(WINDOWS_MAX, "windows")? {
            let text = reader.text(WINDOW_BYTES_MAX, "window")?;
            let window: Window = text.parse().map_err(|_| invalid.clone())?;
            if window.to_string() != text {
                return Err(invalid);
            }
            windows.push(window);
        }
        Ok(Hours(windows))
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.0.iter().map(Window::to_string).collect();
        f.pad(&if texts.is_empty() { "always".to_owned() } else { texts.join(", ") })
    }
}
