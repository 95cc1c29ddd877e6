//! A file that is being fetched: what was verified so far, and a mark beside it that says how much that is, so that a fetch
//! that had to stop goes on where it was.
//!
//! Invariants
//! - Only bytes that the client verified are written, in their order; what the mark counts is synced before the mark is.
//! - On resuming the marked bytes are read again and held against their digest: what was changed meanwhile is fetched anew.
//! - The target appears whole or not at all.
//!
//! The form of the mark is in `docs/format.md`.

use crate::error::{Error, Result};
use shosoin_protocol::VersionId;
use shosoin_protocol::codec::{Reader, Writer};
use shosoin_protocol::suite::sha256;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use tokio::io::AsyncWriteExt as _;

/// Bytes after which what was fetched is marked, so that a kill costs no more.
const MARK_EVERY_BYTES: u64 = 64 << 20;
/// Bytes that are read at a time when a file is taken up again.
const READ_BYTES: usize = 1 << 20;
const MAGIC: [u8; 4] = *b"shgm";
const VERSION: u8 = 1;

/// What a mark says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    /// version of the record
    version: VersionId,
    /// bytes of the whole record
    size_bytes: u64,
    /// bytes that are kept
    kept_bytes: u64,
    /// BLAKE3 of those
    digest: [u8; 32],
}

impl Mark {
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.put(&MAGIC).u8(VERSION).put(&[0; 3]).put(&self.version.0);
        out.u64(self.size_bytes).u64(self.kept_bytes).put(&self.digest);
        let mut bytes = out.finish();
        let checksum = sha256(&[&bytes]);
        bytes.extend_from_slice(&checksum.0);
        bytes
    }

    /// Reads a mark; one that is not whole, or newer, is none.
    fn decode(bytes: &[u8]) -> Option<Mark> {
        let (content, checksum) = bytes.split_last_chunk::<32>()?;
        let mut reader = Reader::new(content, "mark of a kept file");
        let head: [u8; 8] = reader.array("magic").ok()?;
        let is_ours = sha256(&[content]).0 == *checksum && head == [&MAGIC[..], &[VERSION, 0, 0, 0]].concat()[..];
        let version = VersionId::read(&mut reader).ok()?;
        let (size_bytes, kept_bytes) = (reader.u64("size").ok()?, reader.u64("kept").ok()?);
        let digest = reader.array("digest").ok()?;
        reader.finish().ok()?;
        (is_ours && kept_bytes <= size_bytes).then_some(Mark { version, size_bytes, kept_bytes, digest })
    }
}

/// A file on its way.
pub struct Partial {
    target: PathBuf,
    file: tokio::fs::File,
    hasher: blake3::Hasher,
    version: VersionId,
    size_bytes: u64,
    kept_bytes: u64,
    marked_bytes: u64,
}

fn beside(target: &Path, suffix: &str) -> PathBuf {
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    target.with_file_name(name)
}

/// Where the bytes are until all are there.
pub fn part_of(target: &Path) -> PathBuf {
    beside(target, ".shosoin-part")
}

fn mark_of(target: &Path) -> PathBuf {
    beside(target, ".shosoin-mark")
}

/// The mark of what is kept of this version, if any.
fn marked(target: &Path, version: VersionId, size_bytes: u64) -> Option<Mark> {
    let mark = Mark::decode(&std::fs::read(mark_of(target)).ok()?)?;
    (mark.version == version && mark.size_bytes == size_bytes).then_some(mark)
}

/// Bytes of this version that an earlier try says it has kept.
pub fn kept_bytes(target: &Path, version: VersionId, size_bytes: u64) -> u64 {
    marked(target, version, size_bytes).map_or(0, |mark| mark.kept_bytes)
}

impl Partial {
    /// Begins a file, or takes up what an earlier try has verified of the same version.
    pub fn open(target: &Path, version: VersionId, size_bytes: u64) -> Result<Partial> {
        let path = part_of(target);
        let open = std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(Error::file("open", &path))?;
        let taken_up = marked(target, version, size_bytes).and_then(|mark| take_up(&mut file, &mark));
        let (hasher, kept_bytes) = taken_up.unwrap_or_default();
        let placed = file.set_len(kept_bytes).and_then(|()| file.seek(SeekFrom::Start(kept_bytes)));
        placed.map_err(Error::file("write", &path))?;
        let file = tokio::fs::File::from_std(file);
        let target = target.to_owned();
        Ok(Partial { target, file, hasher, version, size_bytes, kept_bytes, marked_bytes: kept_bytes })
    }

    /// Bytes that are there already.
    pub fn kept_bytes(&self) -> u64 {
        self.kept_bytes
    }

    /// Adds verified bytes.
    pub async fn write(&mut self, piece: &[u8]) -> Result<()> {
        self.file.write_all(piece).await.map_err(Error::file("write", part_of(&self.target)))?;
        self.hasher.update(piece);
        self.kept_bytes += piece.len() as u64;
        match self.kept_bytes - self.marked_bytes >= MARK_EVERY_BYTES {
            true => self.keep().await,
            false => Ok(()),
        }
    }

    async fn sync(&mut self) -> Result<()> {
        let path = part_of(&self.target);
        self.file.flush().await.map_err(Error::file("write", &path))?;
        self.file.sync_all().await.map_err(Error::file("sync", &path))
    }

    /// Makes what is there durable, and says so beside it.
    pub async fn keep(&mut self) -> Result<()> {
        self.sync().await?;
        let digest = *self.hasher.finalize().as_bytes();
        let (version, size_bytes, kept_bytes) = (self.version, self.size_bytes, self.kept_bytes);
        let (path, temporary) = (mark_of(&self.target), beside(&self.target, ".shosoin-mark.tmp"));
        let written = std::fs::File::create(&temporary).and_then(|mut file| {
            file.write_all(&Mark { version, size_bytes, kept_bytes, digest }.encode())?;
            file.sync_all()
        });
        written.and_then(|()| std::fs::rename(&temporary, &path)).map_err(Error::file("write", &path))?;
        self.marked_bytes = kept_bytes;
        Ok(())
    }

    /// Puts the whole file in its place.
    pub async fn finish(mut self) -> Result<()> {
        self.sync().await?;
        std::fs::rename(part_of(&self.target), &self.target).map_err(Error::file("create", &self.target))?;
        let _ = std::fs::remove_file(mark_of(&self.target)); // without its file it means nothing
        Ok(())
    }

    /// Removes what is there.
    pub fn discard(self) {
        let _ = std::fs::remove_file(mark_of(&self.target));
        let _ = std::fs::remove_file(part_of(&self.target));
    }
}

/// The hash of the marked bytes, if they are still what was marked.
fn take_up(file: &mut std::fs::File, mark: &Mark) -> Option<(blake3::Hasher, u64)> {
    let (mut hasher, mut buffer, mut left) = (blake3::Hasher::new(), vec![0; READ_BYTES], mark.kept_bytes);
    while left > 0 {
        let want = usize::try_from(left).unwrap_or(usize::MAX).min(READ_BYTES);
        file.read_exact(&mut buffer[..want]).ok()?;
        hasher.update(&buffer[..want]);
        left -= want as u64;
    }
    (*hasher.finalize().as_bytes() == mark.digest).then_some((hasher, mark.kept_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERSION_ID: VersionId = VersionId([7; 16]);

    async fn kept(target: &Path, bytes: &[u8]) {
        let mut partial = Partial::open(target, VERSION_ID, 100).unwrap();
        partial.write(bytes).await.unwrap();
        partial.keep().await.unwrap();
    }

    #[tokio::test]
    async fn a_fetch_goes_on_after_what_was_kept_and_the_target_appears_whole() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a.dcm");
        kept(&target, &[1; 60]).await;
        assert_eq!(kept_bytes(&target, VERSION_ID, 100), 60);
        let mut partial = Partial::open(&target, VERSION_ID, 100).unwrap();
        assert_eq!(partial.kept_bytes(), 60);
        partial.write(&[2; 40]).await.unwrap();
        assert!(!target.exists());
        partial.finish().await.unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), [[1; 60].as_slice(), &[2; 40]].concat());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[tokio::test]
    async fn kept_bytes_that_were_changed_cut_or_are_of_another_version_are_fetched_anew() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a.dcm");
        let part = part_of(&target);
        let changes: [&dyn Fn(); 4] = [
            &|| std::fs::write(&part, [&[1; 59][..], &[9]].concat()).unwrap(),
            &|| std::fs::write(&part, [1; 59]).unwrap(),
            &|| std::fs::write(mark_of(&target), b"shgm").unwrap(),
            &|| std::fs::remove_file(mark_of(&target)).unwrap(),
        ];
        for change in changes {
            kept(&target, &[1; 60]).await;
            change();
            let partial = Partial::open(&target, VERSION_ID, 100).unwrap();
            assert_eq!(partial.kept_bytes(), 0);
            assert_eq!(std::fs::metadata(&part).unwrap().len(), 0);
            partial.discard();
        }
        kept(&target, &[1; 60]).await;
        assert_eq!(Partial::open(&target, VersionId([8; 16]), 100).unwrap().kept_bytes(), 0);
    }

    #[tokio::test]
    async fn bytes_behind_the_mark_are_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a.dcm");
        kept(&target, &[1; 60]).await;
        let part = part_of(&target);
        std::fs::write(&part, [&[1; 60][..], &[5; 20]].concat()).unwrap();
        assert_eq!(Partial::open(&target, VERSION_ID, 100).unwrap().kept_bytes(), 60);
        assert_eq!(std::fs::metadata(&part).unwrap().len(), 60);
    }

    #[test]
    fn a_mark_is_as_the_format_says_and_no_other_bytes_are_one() {
        let mark = Mark { version: VERSION_ID, size_bytes: 0x0102, kept_bytes: 0x0101, digest: [0xdd; 32] };
        let bytes = mark.encode();
        let content = [
            hex::encode(b"shgm"),
            "01000000".to_owned(),
            "07".repeat(16),
            "0201000000000000".to_owned(),
            "0101000000000000".to_owned(),
            "dd".repeat(32),
        ]
        .concat();
        assert_eq!(hex::encode(&bytes[..72]), content);
        assert_eq!(hex::encode(&bytes[72..]), GOLDEN_CHECKSUM);
        assert_eq!(Mark::decode(&bytes), Some(mark));
        for at in 0..bytes.len() {
            assert_eq!(Mark::decode(&bytes[..at]), None);
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert_eq!(Mark::decode(&flipped), None, "byte {at}");
        }
    }

    /// SHA-256 of the content, worked out by another program.
    const GOLDEN_CHECKSUM: &str = "451716893dee3c8a5c8ad8395aeb8d3c7593639bb811b0106908b8e1144bf09c";
}
