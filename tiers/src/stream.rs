//! Stream: reads parts of one file in order, past the page cache, in pieces large enough for the medium's own speed. While
//! one piece is looked at the next is being read.
//!
//! Invariants
//! - At most three pieces are in memory, and no byte of them is copied.
//! - The pace is asked before each piece.
//!
//! Measured: direct reads of 1 MiB and more reach what the device gives, of 64 KiB a fifth of it.

use crate::bug::{self, Bug};
use crate::layout::BLOCK_BYTES;
use crate::mount::Mount;
use crate::pace::Pace;
use crate::wait::Reader;
use crate::{AlignedBuf, MediaFile, Result};
use std::ops::Range;
use std::sync::Arc;

/// Bytes of one piece.
pub const PIECE_BYTES: u64 = 2 * 1024 * 1024;

/// Whoever looks at the pieces: where each begins, how long it was to be, and its bytes or why they could not be read.
/// Fewer bytes only where the file ends. An error ends the reading.
pub type Visit<'a> = &'a mut dyn FnMut(Range<u64>, Result<&[u8]>) -> Result<()>;

/// Shows all of `ranges` of a file on the volume of `mount`, which begin on blocks, to `visit`.
pub fn read(
    mount: &Mount,
    file: &Arc<dyn MediaFile>,
    ranges: &[Range<u64>],
    pace: &dyn Pace,
    visit: Visit<'_>,
) -> Result<()> {
    let pieces: Vec<Range<u64>> = ranges.iter().cloned().flat_map(cut).collect();
    match mount.has_threads() {
        true => ahead(mount.reader(file)?, &pieces, pace, visit),
        false => here(mount, file, &pieces, pace, visit),
    }
}

fn cut(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    debug_assert!(range.start.is_multiple_of(BLOCK_BYTES as u64), "direct reads begin on blocks");
    let step = usize::try_from(PIECE_BYTES).unwrap_or(usize::MAX);
    range.clone().step_by(step).map(move |at| at..range.end.min(at + PIECE_BYTES))
}

/// Reads one piece after the other where it is called.
fn here(
    mount: &Mount,
    file: &Arc<dyn MediaFile>,
    pieces: &[Range<u64>],
    pace: &dyn Pace,
    visit: Visit<'_>,
) -> Result<()> {
    let mut buffer = AlignedBuf::default();
    pieces.iter().try_for_each(|piece| {
        pace.spend(piece.end - piece.start)?;
        if bug::is(Bug::ScrubThroughCache) {
            buffer.resize(usize::try_from(piece.end - piece.start).unwrap_or(usize::MAX));
            let read = file.read_at(piece.start, &mut buffer);
            return visit(piece.clone(), read.map(|found| &buffer[..found]));
        }
        let (read, filled) = mount.read(file, piece.clone(), std::mem::take(&mut buffer)).end();
        buffer = filled;
        visit(piece.clone(), read.map(|()| &*buffer))
    })
}

/// Reads on a thread of its own while a piece is looked at: it is asked for the piece after the next one before it has
/// read that, so that it goes on by itself although both threads may have one core. A volume that does not answer in time
/// ends it.
fn ahead(mut reader: Reader, pieces: &[Range<u64>], pace: &dyn Pace, visit: Visit<'_>) -> Result<()> {
    let ask = |reader: &mut Reader, piece: Option<&Range<u64>>, buffer| match piece {
        None => Ok(()),
        Some(piece) => pace.spend(piece.end - piece.start).and_then(|()| reader.ask(piece.clone(), buffer)),
    };
    ask(&mut reader, pieces.first(), AlignedBuf::default())?;
    ask(&mut reader, pieces.get(1), AlignedBuf::default())?;
    let mut spare = AlignedBuf::default();
    for (no, piece) in pieces.iter().enumerate() {
        let (read, filled) = reader.answer()?;
        ask(&mut reader, pieces.get(no + 2), spare)?;
        visit(piece.clone(), read.map(|()| &*filled))?;
        spare = filled;
    }
    Ok(())
}
