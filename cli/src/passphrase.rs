//! Where a passphrase comes from: a file, an open descriptor, or a prompt without echo. Never an argument's value and
//! never the environment: other processes can read both.

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
        let descriptor = self.passphrase_fd.map(|fd| PathBuf::from(format!("/dev/fd/{fd}")));
        self.passphrase_file.clone().or(descriptor)
    }
}

/// What a file holds, without one newline at its end.
pub fn read_file(path: &Path) -> Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    let file = std::fs::File::open(path).map_err(Error::file("read passphrase from", path))?;
    file.take(BYTES_MAX + 1).read_to_string(&mut text).map_err(Error::file("read passphrase from", path))?;
    if text.len() as u64 > BYTES_MAX {
        return Err(Error::invalid("passphrase", format!("{} is over {BYTES_MAX} bytes long", path.display())));
    }
    checked(trim_newline(text))
}

/// What somebody types, without echo.
pub fn prompt(text: &str) -> Result<Zeroizing<String>> {
    if !std::io::stdin().is_terminal() {
        return Err(Error::invalid(
            "passphrase",
            "give --passphrase-file or --passphrase-fd where nobody can be asked",
        ));
    }
    let typed = rpassword::prompt_password(text)
        .map_err(|source| Error::System { action: "ask for the passphrase", source })?;
    checked(Zeroizing::new(typed))
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

fn checked(passphrase: Zeroizing<String>) -> Result<Zeroizing<String>> {
    match passphrase.is_empty() {
        true => Err(Error::invalid("passphrase", "it is empty")),
        false => Ok(passphrase),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Zeroizing<String>> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let path = Some(file.path().to_owned());
        PassphraseArgs { passphrase_file: path, passphrase_fd: None }.read_new()
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
