//! Exit codes: the table of [`ErrorKind`], and nothing of our own. 0 is success.

use shosoin_protocol::ErrorKind;
use std::process::ExitCode;

/// The exit code of a failure.
pub fn code(kind: ErrorKind) -> ExitCode {
    ExitCode::from(kind.exit_code())
}
