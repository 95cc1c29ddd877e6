//! Sheets as they come back: files, or lines that people type.

use crate::error::{Error, Result};
use shosoin_keyring::escrow::{Share, sheet};
use std::io::{BufRead as _, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Most sheets that one command reads.
const SHEETS_MAX: usize = shosoin_keyring::escrow::SHARES_MAX as usize;

/// A sheet that was read.
pub struct Sheet {
    /// which file, or which of those typed
    pub origin: String,
    /// what is on it
    pub share: Share,
}

/// How many sheets to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// one
    One,
    /// as many as their split needs
    Quorum,
}

/// Reads the sheets in `files`, or where none are named, those on standard input: a blank line ends each.
pub fn read(files: &[PathBuf], wanted: Wanted) -> Result<Vec<Sheet>> {
    if files.len() > SHEETS_MAX {
        return Err(Error::invalid("SHEET", format!("no split has more than {SHEETS_MAX} sheets")));
    }
    if files.is_empty() {
        return typed(wanted);
    }
    files.iter().map(|path| from_file(path)).collect()
}

fn from_file(path: &Path) -> Result<Sheet> {
    let mut text = Zeroizing::new(String::new());
    let file = std::fs::File::open(path).map_err(Error::file("read sheet", path))?;
    let read = file.take(sheet::TEXT_BYTES_MAX as u64).read_to_string(&mut text);
    read.map_err(Error::file("read sheet", path))?;
    let origin = path.display().to_string();
    Ok(Sheet { share: parse(&text, &origin)?, origin })
}

fn parse(text: &str, origin: &str) -> Result<Share> {
    sheet::read(text).map_err(Error::escrow(format!("read sheet {origin}")))
}

fn typed(wanted: Wanted) -> Result<Vec<Sheet>> {
    let asks = std::io::stdin().is_terminal();
    let mut sheets: Vec<Sheet> = Vec::new();
    while sheets.len() < SHEETS_MAX {
        let origin = format!("{} as typed", sheets.len() + 1);
        if asks {
            eprintln!("Sheet {}: its lines with their numbers, or its words, then an empty line", sheets.len() + 1);
        }
        let text = paragraph()?;
        if text.is_empty() {
            break;
        }
        sheets.push(Sheet { share: parse(&text, &origin)?, origin });
        let enough = match wanted {
            Wanted::One => 1,
            Wanted::Quorum => usize::from(sheets[0].share.facts().quorum.needed),
        };
        if asks && sheets.len() >= enough {
            break;
        }
    }
    match sheets.is_empty() {
        true => Err(Error::invalid("SHEET", "name files with sheets, or type them")),
        false => Ok(sheets),
    }
}

/// Lines up to a blank one, or to the end.
fn paragraph() -> Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::with_capacity(1024));
    let mut line = Zeroizing::new(String::with_capacity(256));
    loop {
        line.clear();
        let read = std::io::stdin().lock().take(1024).read_line(&mut line);
        let count = read.map_err(|source| Error::System { action: "read what is typed", source })?;
        match line.trim().is_empty() {
            true if count > 0 && text.is_empty() => {}
            true => return Ok(text),
            false if text.len() + line.len() > sheet::TEXT_BYTES_MAX => {
                return Err(Error::invalid("SHEET", "it is far too long for a sheet"));
            }
            false => text.push_str(&line),
        }
    }
}
