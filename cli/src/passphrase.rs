//! Where a passphrase or a PIN comes from: a file, an open descriptor, or a prompt without echo. Never an argument's value
//! and never the environment: other processes can read both.

use crate::error::{Error, Result};
use clap::Args;
use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Longest passphrase that is read, in bytes: a file beyond this is the wrong file.
const BYTES_MAX: u64 = 4096;

/// Where to read the passphrase of the key file.
#[derive(Debug, Clone, Default, Args)]
pub struct PassphraseArgs {
    /// File with the passphrase of the key file; one newline at its end is ignored
    #[arg(long, value_name = "FILE", conflicts_with = "passphrase_fd")]
    pub passphrase_file: Option<PathBuf>,
    /// Open descriptor to read the passphrase from, as in `--passphrase-fd 3 3<secret`
    #[arg(long, value_name = "N")]
    pub passphrase_fd: Option<u32>,
    /// Where the PIN of its token comes from, where it is bound to one
    #[command(flatten)]
    pub pin: PinArgs,
}

/// Where to read the PIN of the token that a key file is bound to.
#[derive(Debug, Clone, Default, Args)]
pub struct PinArgs {
    /// File with the PIN of the token (HSM) that the key file is bound to
    #[arg(long, value_name = "FILE", conflicts_with = "pin_fd")]
    pub pin_file: Option<PathBuf>,
    /// Open descriptor to read the PIN from
    #[arg(long, value_name = "N")]
    pub pin_fd: Option<u32>,
}

impl PinArgs {
    /// The PIN: from where the arguments say, else from the terminal.
    pub fn read(&self) -> Result<Zeroizing<String>> {
        match source(&self.pin_file, self.pin_fd) {
            Some(path) => read_secret(&path, "PIN"),
            None => prompt_for("PIN of the token: ", "PIN", "give --pin-file or --pin-fd where nobody can be asked"),
        }
    }

    /// Whether the arguments say where it is.
    pub fn is_given(&self) -> bool {
        source(&self.pin_file, self.pin_fd).is_some()
    }
}

fn source(file: &Option<PathBuf>, descriptor: Option<u32>) -> Option<PathBuf> {
    file.clone().or(descriptor.map(|fd| PathBuf::from(format!("/dev/fd/{fd}"))))
}

impl PassphraseArgs {
    /// The passphrase of an existing key file: from where the arguments say, else from `usual` if it is there, else
    /// from the terminal.
    pub fn read(&self, usual: &Path) -> Result<Zeroizing<String>> {
        match self.source() {
            Some(path) => read_file(&path),
            None if usual.exists() => read_file(usual),
            None => prompt("Passphrase of the key file: "),
        }
    }

    /// A passphrase for a new key file; typed twice where it is typed.
    pub fn read_new(&self) -> Result<Zeroizing<String>> {
        if let Some(path) = self.source() {
            return read_file(&path);
        }
        let first = prompt("New passphrase of the key file: ")?;
        match *first == *prompt("The same once more: ")? {
            true => Ok(first),
            false => Err(Error::invalid("passphrase", "the two are not the same")),
        }
    }

    /// Whether the arguments say where it is.
    pub fn is_given(&self) -> bool {
        self.source().is_some()
    }

    fn source(&self) -> Option<PathBuf> {
        source(&self.passphrase_file, self.passphrase_fd)
    }
}

/// What a file holds, without one newline at its end.
pub fn read_file(path: &Path) -> Result<Zeroizing<String>> {
    read_secret(path, "passphrase")
}

fn read_secret(path: &Path, what: &'static str) -> Result<Zeroizing<String>> {
    let action = if what == "PIN" { "read PIN from" } else { "read passphrase from" };
    let mut text = Zeroizing::new(String::new());
    let file = std::fs::File::open(path).map_err(Error::file(action, path))?;
    file.take(BYTES_MAX + 1).read_to_string(&mut text).map_err(Error::file(action, path))?;
    if text.len() as u64 > BYTES_MAX {
        return Err(Error::invalid(what, format!("{} is over {BYTES_MAX} bytes long", path.display())));
    }
    checked(trim_newline(text), what)
}

/// What somebody types, without echo.
pub fn prompt(text: &str) -> Result<Zeroizing<String>> {
    prompt_for(text, "passphrase", "give --passphrase-file or --passphrase-fd where nobody can be asked")
}

fn prompt_for(text: &str, what: &'static str, otherwise: &str) -> Result<Zeroizing<String>> {
    if !std::io::stdin().is_terminal() {
        return Err(Error::invalid(what, otherwise));
    }
    let typed = rpassword::prompt_password(text)
        .map_err(|source| Error::System { action: "ask for a secret on the terminal", source })?;
    checked(Zeroizing::new(typed), what)
}

fn trim_newline(mut text: Zeroizing<String>) -> Zeroizing<String> {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    text
}

fn checked(secret: Zeroizing<String>, what: &'static str) -> Result<Zeroizing<String>> {
    match secret.is_empty() {
        true => Err(Error::invalid(what, "it is empty")),
        false => Ok(secret),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Zeroizing<String>> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let path = Some(file.path().to_owned());
        PassphraseArgs { passphrase_file: path, ..PassphraseArgs::default() }.read_new()
    }

    #[test]
    fn one_newline_at_the_end_is_not_part_of_a_passphrase() {
        assert_eq!(*read_text(" two words \r\n").unwrap(), " two words ");
        assert_eq!(*read_text("line\n\n").unwrap(), "line\n");
    }

    #[test]
    fn an_empty_or_endless_passphrase_is_refused() {
        assert!(matches!(read_text("\n"), Err(Error::Invalid { .. })));
        assert!(matches!(read_text(&"x".repeat(5000)), Err(Error::Invalid { .. })));
    }
}
