//! Stream: reads parts of one file in order, past the page cache, in pieces large enough for the medium's own speed. While
//! one piece is looked at the next is being read.
//!
//! Invariants
//! - At most two pieces are in memory, and no byte of them is copied.
//! - The pace is asked before each piece.
//!
//! Measured: direct reads of 1 MiB and more reach what the device gives, of 64 KiB a fifth of it.

use crate::layout::BLOCK_BYTES;
use crate::pace::Pace;
use crate::tier::Threads;
use crate::{AlignedBuf, Error, MediaFile, Result};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::ops::Range;
use std::sync::Arc;

/// Bytes of one piece.
pub const PIECE_BYTES: u64 = 2 * 1024 * 1024;

/// Whoever looks at the pieces: where each begins, how long it was to be, and its bytes or why they could not be read.
/// Fewer bytes only where the file ends. An error ends the reading.
pub type Visit<'a> = &'a mut dyn FnMut(Range<u64>, Result<&[u8]>) -> Result<()>;

/// Shows all of `ranges`, which begin on blocks, to `visit`.
pub fn read(
    file: &Arc<dyn MediaFile>,
    ranges: &[Range<u64>],
    threads: Threads,
    pace: &dyn Pace,
    visit: Visit<'_>,
) -> Result<()> {
    let pieces: Vec<Range<u64>> = ranges.iter().cloned().flat_map(cut).collect();
    match threads == Threads::None || pieces.len() < 2 {
        true => here(&**file, &pieces, pace, visit),
        false => ahead(file, &pieces, pace, visit),
    }
}

fn cut(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    debug_assert!(range.start.is_multiple_of(BLOCK_BYTES as u64), "direct reads begin on blocks");
    let step = usize::try_from(PIECE_BYTES).unwrap_or(usize::MAX);
    range.clone().step_by(step).map(move |at| at..range.end.min(at + PIECE_BYTES))
}

/// Reads one piece after the other where it is called.
fn here(file: &dyn MediaFile, pieces: &[Range<u64>], pace: &dyn Pace, visit: Visit<'_>) -> Result<()> {
    let mut buffer = AlignedBuf::default();
    pieces.iter().try_for_each(|piece| {
        pace.spend(piece.end - piece.start)?;
        let read = fill(file, piece, &mut buffer);
        visit(piece.clone(), read.map(|()| &*buffer))
    })
}

fn fill(file: &dyn MediaFile, piece: &Range<u64>, buffer: &mut AlignedBuf) -> Result<()> {
    file.read_past_cache(piece.start, usize::try_from(piece.end - piece.start).unwrap_or(usize::MAX), buffer)
}

/// Reads the next piece on a thread of its own while one is looked at.
fn ahead(file: &Arc<dyn MediaFile>, pieces: &[Range<u64>], pace: &dyn Pace, visit: Visit<'_>) -> Result<()> {
    let mut reader = Reader::start(file.clone())?;
    let mut buffer = Some(AlignedBuf::default());
    let ask = |reader: &Reader, piece: &Range<u64>, buffer| {
        pace.spend(piece.end - piece.start)?;
        reader.ask(piece.clone(), buffer)
    };
    for (no, piece) in pieces.iter().enumerate() {
        if no == 0 {
            ask(&reader, piece, AlignedBuf::default())?;
        }
        let (read, filled) = reader.answer()?;
        if let Some(next) = pieces.get(no + 1) {
            ask(&reader, next, buffer.take().unwrap_or_default())?;
        }
        visit(piece.clone(), read.map(|()| &*filled))?;
        buffer = Some(filled);
    }
    Ok(())
}

/// What a reader is to read, and into what.
type Asked = (Range<u64>, AlignedBuf);
/// What it read.
type Answered = (Result<()>, AlignedBuf);

/// A thread that reads from one file. It ends when nobody asks it any more.
struct Reader {
    asked: Sender<Asked>,
    answers: Receiver<Answered>,
}

impl Reader {
    fn start(file: Arc<dyn MediaFile>) -> Result<Self> {
        let ((asked, asks), (answer, answers)) = (bounded::<Asked>(1), bounded::<Answered>(1));
        let run = move || {
            for (piece, mut buffer) in asks {
                let read = fill(&*file, &piece, &mut buffer);
                if answer.send((read, buffer)).is_err() {
                    return;
                }
            }
        };
        match std::thread::Builder::new().name("read ahead".into()).spawn(run) {
            Ok(_) => Ok(Reader { asked, answers }),
            Err(source) => Err(Error::Thread { source }),
        }
    }

    fn ask(&self, piece: Range<u64>, buffer: AlignedBuf) -> Result<()> {
        self.asked.send((piece, buffer)).map_err(|_| Error::Abandoned { what: "reading ahead" })
    }

    fn answer(&mut self) -> Result<Answered> {
        self.answers.recv().map_err(|_| Error::Abandoned { what: "reading ahead" })
    }
}
