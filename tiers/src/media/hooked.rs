//! A medium with somebody watching: every call is shown to a [`Hook`] first, which may let it pass or name a fault.

use super::{Fuse, Listed, Media, MediaFile, Space, WriteMode, WriteUnit, failure};
use crate::Result;
use crate::buffer::{AlignedBuf, is_aligned};
use std::io::ErrorKind;
use std::sync::Arc;

/// Sees every call before it is made.
pub trait Hook: Send + Sync + std::fmt::Debug + 'static {
    /// What happens to `call`; `None` lets it pass.
    fn before(&self, call: &Call) -> Option<Fault>;
}

/// One call on media.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// the volume
    pub place: String,
    /// what was asked
    pub op: Op,
    /// of which file or folder
    pub path: String,
    /// where in the file; 0 where that has no meaning
    pub at: u64,
    /// how many bytes; 0 where that has no meaning
    pub len_bytes: usize,
}

/// What can be asked of media.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is the call of the same name")]
pub enum Op {
    List,
    MakeDir,
    Create,
    Open,
    OpenToAppend,
    Remove,
    Rename,
    SyncDir,
    Space,
    IsReadOnly,
    Len,
    Read,
    ReadPastCache,
    Write,
    Sync,
}

impl Op {
    /// Whether the call changes the medium, or makes a change durable.
    pub fn changes(self) -> bool {
        use Op::*;
        matches!(self, MakeDir | Create | Remove | Rename | SyncDir | Write | Sync)
    }

    /// The call's name in errors.
    pub fn name(self) -> &'static str {
        match self {
            Op::List => "list",
            Op::MakeDir => "make folder",
            Op::Create => "create",
            Op::Open => "open",
            Op::OpenToAppend => "open to append",
            Op::Remove => "remove",
            Op::Rename => "rename",
            Op::SyncDir => "sync folder",
            Op::Space => "measure",
            Op::IsReadOnly => "look at",
            Op::Len => "look at",
            Op::Read => "read",
            Op::ReadPastCache => "read past the cache",
            Op::Write => "write",
            Op::Sync => "sync",
        }
    }
}

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is done, and the call fails.
    Fail(ErrorKind),
    /// Everything is done, and the call fails all the same.
    DoneAndFail(ErrorKind),
    /// A write stops after `keep` bytes (modulo its length) and fails. Any other call fails.
    Torn {
        /// bytes that reach the medium
        keep: u64,
        /// how it fails
        kind: ErrorKind,
    },
    /// One byte that is written or read is changed at `at` (modulo the length) by `mask`, and the call succeeds.
    Flip {
        /// which byte
        at: u64,
        /// its bits that change
        mask: u8,
    },
    /// A write or sync does nothing and succeeds.
    Lost,
    /// A read gives only `keep` bytes (modulo its length), as if the file ended there.
    ShortRead {
        /// bytes that are read
        keep: u64,
    },
}

/// A medium whose calls a hook sees and may spoil.
#[derive(Debug)]
pub struct Hooked<H> {
    inner: Arc<dyn Media>,
    hook: Arc<H>,
}

impl<H: Hook> Hooked<H> {
    /// Shows every call on `inner` to `hook`, which may watch several media.
    pub fn new(inner: Arc<dyn Media>, hook: Arc<H>) -> Self {
        Hooked { inner, hook }
    }

    fn call(&self, op: Op, path: &str) -> Call {
        Call { place: self.inner.place(), op, path: path.to_owned(), at: 0, len_bytes: 0 }
    }

    fn run<T>(&self, op: Op, path: &str, action: impl FnOnce() -> Result<T>) -> Result<T> {
        let call = self.call(op, path);
        run(&call, self.hook.before(&call), action)
    }

    fn file(
        &self,
        op: Op,
        path: &str,
        open: impl FnOnce() -> Result<Arc<dyn MediaFile>>,
    ) -> Result<Arc<dyn MediaFile>> {
        let inner = self.run(op, path, open)?;
        let call = self.call(op, path);
        Ok(Arc::new(HookedFile { inner, hook: self.hook.clone(), call, fuse: Fuse::default() }))
    }
}

/// Makes the call, or fails instead of it or after it.
fn run<T>(call: &Call, fault: Option<Fault>, action: impl FnOnce() -> Result<T>) -> Result<T> {
    let failed = |kind: ErrorKind| Err(failure(&call.place, &call.path, call.op.name(), kind.into()));
    match fault {
        Some(Fault::Fail(kind) | Fault::Torn { kind, .. }) => failed(kind),
        Some(Fault::DoneAndFail(kind)) => action().and_then(|_| failed(kind)),
        Some(Fault::Flip { .. } | Fault::Lost | Fault::ShortRead { .. }) | None => action(),
    }
}

impl<H: Hook> Media for Hooked<H> {
    fn place(&self) -> String {
        self.inner.place()
    }

    fn list(&self, dir: &str) -> Result<Vec<Listed>> {
        self.run(Op::List, dir, || self.inner.list(dir))
    }

    fn make_dir(&self, dir: &str) -> Result<()> {
        self.run(Op::MakeDir, dir, || self.inner.make_dir(dir))
    }

    fn create(&self, path: &str, unit: WriteUnit) -> Result<Arc<dyn MediaFile>> {
        self.file(Op::Create, path, || self.inner.create(path, unit))
    }

    fn open(&self, path: &str) -> Result<Arc<dyn MediaFile>> {
        self.file(Op::Open, path, || self.inner.open(path))
    }

    fn open_to_append(&self, path: &str) -> Result<Arc<dyn MediaFile>> {
        self.file(Op::OpenToAppend, path, || self.inner.open_to_append(path))
    }

    fn open_to_overwrite(&self, path: &str) -> Result<Option<Arc<dyn MediaFile>>> {
        let Some(inner) = self.run(Op::OpenToAppend, path, || self.inner.open_to_overwrite(path))? else {
            return Ok(None);
        };
        let call = self.call(Op::OpenToAppend, path);
        Ok(Some(Arc::new(HookedFile { inner, hook: self.hook.clone(), call, fuse: Fuse::default() })))
    }

    fn remove(&self, path: &str) -> Result<()> {
        self.run(Op::Remove, path, || self.inner.remove(path))
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.run(Op::Rename, from, || self.inner.rename(from, to))
    }

    fn sync_dir(&self, dir: &str) -> Result<()> {
        let call = self.call(Op::SyncDir, dir);
        match self.hook.before(&call) {
            Some(Fault::Lost) => Ok(()),
            fault => run(&call, fault, || self.inner.sync_dir(dir)),
        }
    }

    fn space(&self) -> Result<Space> {
        self.run(Op::Space, "", || self.inner.space())
    }

    fn is_read_only(&self) -> Result<bool> {
        self.run(Op::IsReadOnly, "", || self.inner.is_read_only())
    }

    fn write_mode(&self) -> WriteMode {
        self.inner.write_mode()
    }
}

#[derive(Debug)]
struct HookedFile<H> {
    inner: Arc<dyn MediaFile>,
    hook: Arc<H>,
    /// place and path of the file
    call: Call,
    fuse: Fuse,
}

impl<H: Hook> HookedFile<H> {
    fn call(&self, op: Op, at: u64, len_bytes: usize) -> (Call, Option<Fault>) {
        let call = Call { op, at, len_bytes, ..self.call.clone() };
        let fault = self.hook.before(&call);
        (call, fault)
    }

    fn write(&self, at: u64, bytes: &[u8]) -> Result<()> {
        let (call, fault) = self.call(Op::Write, at, bytes.len());
        match fault {
            Some(Fault::Lost) => Ok(()),
            Some(Fault::Torn { keep, kind }) => {
                // A file that is written in blocks stays so: the block that is torn ends in zeros.
                let keep = below(keep, bytes.len() + 1);
                let mut torn = AlignedBuf::with_capacity(bytes.len());
                torn.extend_from_slice(&bytes[..keep]);
                if is_aligned(bytes) {
                    torn.pad_to_block();
                }
                self.inner.write_at(at, &torn)?;
                run(&call, Some(Fault::Fail(kind)), || Ok(()))
            }
            Some(Fault::Flip { at: byte, mask }) if !bytes.is_empty() => {
                let mut flipped = AlignedBuf::with_capacity(bytes.len());
                flipped.extend_from_slice(bytes);
                flipped[below(byte, bytes.len())] ^= mask;
                self.inner.write_at(at, &flipped)
            }
            fault => run(&call, fault, || self.inner.write_at(at, bytes)),
        }
    }
}

fn below(number: u64, bound: usize) -> usize {
    usize::try_from(number % (bound.max(1) as u64)).unwrap_or_default()
}

/// Spoils `found` bytes that were read into `into`; gives how many are left.
fn spoil(fault: Option<Fault>, into: &mut [u8], found: usize) -> usize {
    match fault {
        Some(Fault::Flip { at, mask }) if found > 0 => {
            into[below(at, found)] ^= mask;
            found
        }
        Some(Fault::ShortRead { keep }) => below(keep, found),
        _ => found,
    }
}

impl<H: Hook> MediaFile for HookedFile<H> {
    fn len(&self) -> Result<u64> {
        let (call, fault) = self.call(Op::Len, 0, 0);
        run(&call, fault, || self.inner.len())
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<usize> {
        let (call, fault) = self.call(Op::Read, at, into.len());
        let found = run(&call, fault, || self.inner.read_at(at, into))?;
        Ok(spoil(fault, into, found))
    }

    fn read_past_cache(&self, at: u64, len_bytes: usize, into: &mut AlignedBuf) -> Result<()> {
        let (call, fault) = self.call(Op::ReadPastCache, at, len_bytes);
        run(&call, fault, || self.inner.read_past_cache(at, len_bytes, into))?;
        let found = into.len();
        let left = spoil(fault, into, found);
        into.resize(left);
        Ok(())
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> Result<()> {
        self.fuse.run(&self.call.place, &self.call.path, "write", || self.write(at, bytes))
    }

    fn sync(&self) -> Result<()> {
        self.fuse.run(&self.call.place, &self.call.path, "sync", || {
            let (call, fault) = self.call(Op::Sync, 0, 0);
            match fault {
                Some(Fault::Lost) => Ok(()),
                fault => run(&call, fault, || self.inner.sync()),
            }
        })
    }
}
