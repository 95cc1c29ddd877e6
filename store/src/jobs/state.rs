//! What is known of a kind of job between its runs: its last result, when it is next due, since when it is late, and how
//! far the run in hand has come.

use super::file::Stored;
use super::report::{Figures, Outcome};
use super::{By, JobKind};
use shosoin_protocol::codec::{Reader, Writer};
use shosoin_protocol::{Error, Result, SegmentId};
use shosoin_tiers::RepairItem;

/// Longest cursor: tours of a thousand volumes are below it.
const CURSOR_BYTES_MAX: usize = 1 << 20;
/// Longest sentence about a result.
const MESSAGE_BYTES_MAX: usize = 4096;
/// Repairs kept over a restart; what is beyond is found again.
const REPAIRS_MAX: usize = 64 * 1024;

/// One kind of job, between runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobState {
    /// its last run that ended
    pub last: Option<LastRun>,
    /// the run that has begun and not ended; after a kill, the one that was cut short
    pub running_since_ms: Option<u64>,
    /// when it is due; 0 where nobody decided yet
    pub next_ms: u64,
    /// since when it should have been done
    pub late_since_ms: Option<u64>,
    /// where the run in hand goes on; empty where none is in hand
    pub cursor: Vec<u8>,
}

/// A run that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastRun {
    /// when it began
    pub started_ms: u64,
    /// when it ended
    pub ended_ms: u64,
    /// how
    pub outcome: Outcome,
    /// on whose account
    pub by: By,
    /// what it did
    pub figures: Figures,
    /// why it failed, or what it left
    pub message: String,
}

impl Stored for JobState {
    const FORM: u8 = 1;

    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u64(self.next_ms).u64(self.running_since_ms.unwrap_or(0)).u64(self.late_since_ms.unwrap_or(0));
        out.var(&self.cursor);
        match &self.last {
            None => {
                out.u8(0);
            }
            Some(last) => {
                out.u8(1).u64(last.started_ms).u64(last.ended_ms).u8(last.outcome as u8).u8(last.by as u8);
                last.figures.write(&mut out);
                let mut end = last.message.len().min(MESSAGE_BYTES_MAX);
                while !last.message.is_char_boundary(end) {
                    end -= 1;
                }
                out.var(&last.message.as_bytes()[..end]);
            }
        }
        out.finish()
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let next_ms = reader.u64("next start")?;
        let running_since_ms = Some(reader.u64("running since")?).filter(|at| *at > 0);
        let late_since_ms = Some(reader.u64("late since")?).filter(|at| *at > 0);
        let cursor = reader.var(CURSOR_BYTES_MAX, "cursor")?.to_vec();
        let last = match reader.u8("last run")? {
            0 => None,
            1 => Some(LastRun {
                started_ms: reader.u64("start")?,
                ended_ms: reader.u64("end")?,
                outcome: Outcome::from_code(reader.u8("outcome")?)?,
                by: By::from_code(reader.u8("account")?)?,
                figures: Figures::read(reader)?,
                message: reader.text(MESSAGE_BYTES_MAX, "message")?,
            }),
            _ => return Err(Error::Invalid { what: "last run", why: "it is there or not" }),
        };
        Ok(JobState { last, running_since_ms, next_ms, late_since_ms, cursor })
    }
}

impl By {
    fn from_code(code: u8) -> Result<Self> {
        match code {
            1 => Ok(By::Schedule),
            2 => Ok(By::Operator),
            _ => Err(Error::Invalid { what: "account of a job", why: "there is no such" }),
        }
    }
}

/// Bytes that the last compaction left where they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sparse {
    /// of records that live, in the segments it left
    pub live_bytes: u64,
    /// of records that are dead, where removing them would cost too much
    pub dead_bytes: u64,
    /// of records that nothing names, and whose time is not over
    pub waiting_bytes: u64,
}

impl std::ops::AddAssign for Sparse {
    fn add_assign(&mut self, other: Sparse) {
        self.live_bytes += other.live_bytes;
        self.dead_bytes += other.dead_bytes;
        self.waiting_bytes += other.waiting_bytes;
    }
}

/// Name of the state file of a kind.
pub fn name(kind: JobKind) -> &'static str {
    kind.name()
}

/// What waits for repair, kept over a restart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repairs(pub Vec<RepairItem>);

/// Name of the file that keeps it.
pub const REPAIRS: &str = "repair-queue";

impl Stored for Repairs {
    const FORM: u8 = 2;

    fn encode(&self) -> Vec<u8> {
        let items = &self.0[..self.0.len().min(REPAIRS_MAX)];
        let mut out = Writer::with_capacity(4 + items.len() * 26);
        out.count(items.len());
        for item in items {
            out.u8(item.redundancy_left).put(&item.segment.0).u8(item.shard);
            out.u64(item.stripe_at.map_or(0, |at| at.saturating_add(1)));
        }
        out.finish()
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let count = reader.count(REPAIRS_MAX, "repairs")?;
        let mut items = Vec::with_capacity(count.min(1024));
        for _ in 0..count {
            items.push(RepairItem {
                redundancy_left: reader.u8("redundancy left")?,
                segment: SegmentId::read(reader)?,
                shard: reader.u8("shard")?,
                stripe_at: reader.u64("stripe")?.checked_sub(1),
            });
        }
        Ok(Repairs(items))
    }
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn state() -> JobState {
        let figures = Figures { items: 3, read_bytes: 1 << 40, findings: 2, ..Figures::default() };
        let last = LastRun {
            started_ms: 5,
            ended_ms: 9,
            outcome: Outcome::Stopped,
            by: By::Operator,
            figures,
            message: "it was asked to stop".into(),
        };
        JobState {
            last: Some(last),
            running_since_ms: Some(7),
            next_ms: 11,
            late_since_ms: Some(10),
            cursor: vec![1, 2],
        }
    }

    #[test]
    fn a_state_reads_back_with_and_without_a_last_run() {
        for state in [state(), JobState::default()] {
            assert_eq!(file::open::<JobState>(&file::seal(&state)).unwrap(), state);
        }
    }

    #[test]
    fn a_message_that_is_too_long_is_cut_between_letters() {
        let mut long = state();
        long.last.as_mut().unwrap().message = "蔵".repeat(MESSAGE_BYTES_MAX);
        let read: JobState = file::open(&file::seal(&long)).unwrap();
        let message = read.last.unwrap().message;
        assert!(message.len() <= MESSAGE_BYTES_MAX && message.chars().all(|letter| letter == '蔵'));
    }

    #[test]
    fn a_repair_queue_reads_back_in_its_order() {
        let item = |stripe_at| RepairItem { redundancy_left: 1, segment: SegmentId([7; 16]), shard: 3, stripe_at };
        let repairs = Repairs(vec![item(None), item(Some(0)), item(Some(4096))]);
        assert_eq!(file::open::<Repairs>(&file::seal(&repairs)).unwrap(), repairs);
    }

    /// The bytes of version 1, as this release writes them and every later one reads them.
    #[test]
    fn the_form_on_disk_is_the_one_that_was_released() {
        let bytes = hex::encode(file::seal(&state()));
        assert_eq!(bytes, GOLDEN);
        assert_eq!(file::open::<JobState>(&hex::decode(GOLDEN).unwrap()).unwrap(), state());
    }

    const GOLDEN: &str = "73686a6201010b0000000000000007000000000000000a00000000000000020000000102010500000000000000090000\
        000000000002020300000000000000000000000000000000000000000100000000000000000000000000000000000000\
        00000000000000000000000000000002000000000000000000000000000000140000006974207761732061736b656420\
        746f2073746f70bbd207bbcfe9bab4ccb4605a44ca561eb50b3467f6c902e4eee36f6010d18471";
}
