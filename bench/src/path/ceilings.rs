//! The parts alone, each as fast as this machine does it, with nothing around it. What the path finds in the cache
//! (sealed bytes just written) is measured in the cache; what it finds in memory, fresh plain text and the memory that
//! a stripe is gathered into, is measured in memory.

use super::straight::{PLAINS, noise};
use super::{CHUNK_BYTES, Parts, Shape};
use crate::Failure;
use crate::measure::{shortest, time};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use shosoin_protocol::Suite;
use shosoin_protocol::suite::sha256;
use shosoin_tiers::media::{FileMedia, FileOptions, WriteUnit};
use shosoin_tiers::{AlignedBuf, Erasure, Media, MediaFile};
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

/// Runs of each part in each round; the shortest counts.
const RUNS: usize = 12;
/// Bytes of each unit that are encoded in one go, as the path does it.
const STRIP_BYTES: usize = 32 * 1024;
/// Writes in each round: `group` chunks each, like a stripe.
const WRITES: usize = 16;

/// What the parts need.
pub(super) struct Ceilings {
    shape: Shape,
    /// more plain text than fits any cache
    plains: Vec<Vec<u8>>,
    /// as much memory to gather into
    stripe: Vec<u8>,
    sealed: Vec<u8>,
    opened: Vec<u8>,
    key: LessSafeKey,
    erasure: Erasure,
    files: Vec<Arc<dyn MediaFile>>,
    unit: AlignedBuf,
    written: u64,
}

impl Ceilings {
    /// Makes files for the write part in `dir`.
    pub(super) fn new(dir: &Path, shape: Shape) -> Result<Self, Failure> {
        let plains: Vec<Vec<u8>> = (0..PLAINS).map(noise).collect();
        let key = UnboundKey::new(&AES_256_GCM, &[7; 32]).map_err(|_| "key schedule")?;
        let files = (0..shape.code.shards()).map(|shard| create(dir, shard)).collect::<Result<Vec<_>, Failure>>()?;
        let mut unit = AlignedBuf::default();
        unit.resize(shape.group * CHUNK_BYTES / shape.code.k());
        unit.pad_to_block();
        Ok(Ceilings {
            shape,
            stripe: vec![1; plains.len() * CHUNK_BYTES],
            sealed: plains[0].clone(),
            opened: plains[0].clone(),
            plains,
            key: LessSafeKey::new(key),
            erasure: Erasure::new(shape.code)?,
            files,
            unit,
            written: 0,
        })
    }

    /// Measures every part once more.
    pub(super) fn measure(&mut self, parts: &mut Parts) -> Result<(), Failure> {
        let shards_per_data = self.shape.code.shards() as f64 / self.shape.code.k() as f64;
        if self.shape.class != 0 {
            parts.keep_best("prf", 1.0, self.prf()?);
        }
        let (seal, open) = self.seal_and_open()?;
        parts.keep_best("seal", 1.0, seal);
        parts.keep_best("open", 1.0, open);
        let hash = self.hash()?;
        parts.keep_best("address", 1.0, hash);
        parts.keep_best("verify", 1.0, hash);
        parts.keep_best("digest", shards_per_data, hash);
        parts.keep_best("compare", 1.0, self.compare()?);
        parts.keep_best("gather", 1.0, self.gather()?);
        parts.keep_best("encode", 1.0, self.encode()?);
        parts.keep_best("write", shards_per_data, self.write()?);
        Ok(())
    }

    fn prf(&self) -> Result<f64, Failure> {
        gbps(self.plains.len() * CHUNK_BYTES, || {
            for plain in &self.plains {
                black_box(match self.shape.suite {
                    Suite::Default => *blake3::keyed_hash(&[1; 32], plain).as_bytes(),
                    // HMAC is SHA-256 of the message and two blocks more
                    Suite::Cryptrec => sha256(&[plain]).0,
                });
            }
        })
    }

    fn hash(&self) -> Result<f64, Failure> {
        gbps(CHUNK_BYTES, || {
            black_box(self.shape.suite.address(black_box(&self.sealed)));
        })
    }

    fn seal_and_open(&mut self) -> Result<(f64, f64), Failure> {
        let (nonce, mut tag) = (|| Nonce::assume_unique_for_key([0; 12]), [0; 16]);
        let Ceilings { plains, sealed, opened, key, .. } = self;
        let mut failed = false;
        let seal = gbps(CHUNK_BYTES, || {
            failed |= key.seal_out_of_place_scatter(nonce(), Aad::empty(), &plains[0], sealed, &[], &mut tag).is_err();
        })?;
        let open = gbps(CHUNK_BYTES, || {
            failed |= key.open_separate_gather(nonce(), Aad::empty(), sealed, &tag, opened).is_err();
        })?;
        if failed { Err("the cipher failed".into()) } else { Ok((seal, open)) }
    }

    fn compare(&self) -> Result<f64, Failure> {
        let mut same = true;
        let found = gbps(CHUNK_BYTES, || same &= black_box(&self.opened) == black_box(&self.plains[0]))?;
        if same { Ok(found) } else { Err("what was opened is not what was sealed".into()) }
    }

    /// Plain text stands in for sealed bytes: it has left the cache too.
    fn gather(&mut self) -> Result<f64, Failure> {
        let Ceilings { plains, stripe, .. } = self;
        let bytes = plains.len() * CHUNK_BYTES;
        gbps(bytes, || {
            for (slot, plain) in stripe.chunks_exact_mut(CHUNK_BYTES).zip(&*plains) {
                slot.copy_from_slice(black_box(plain));
            }
        })
    }

    fn encode(&mut self) -> Result<f64, Failure> {
        let code = self.shape.code;
        let data: Vec<&[u8]> = self.sealed.chunks_exact(STRIP_BYTES).take(code.k()).collect();
        let mut parity = vec![vec![0; STRIP_BYTES]; code.m()];
        let data_bytes = data.len() * STRIP_BYTES;
        let mut failed = false;
        let found = gbps(data_bytes, || {
            let mut parity: Vec<&mut [u8]> = parity.iter_mut().map(Vec::as_mut_slice).collect();
            failed |= self.erasure.encode(&data, &mut parity).is_err();
        })?;
        if failed { Err("encoding failed".into()) } else { Ok(found) }
    }

    /// Appends to all files at the same time and waits until all are synced, as a stripe is written.
    fn write(&mut self) -> Result<f64, Failure> {
        let begin = self.written;
        let (took, ()) = time(|| {
            for _ in 0..WRITES {
                self.write_once()?;
            }
            Ok(())
        })?;
        let bytes = (self.written - begin) as f64 * self.files.len() as f64;
        Ok(bytes / took.as_secs_f64() / 1e9)
    }

    fn write_once(&mut self) -> Result<(), Failure> {
        let (unit, at) = (&self.unit, self.written);
        std::thread::scope(|scope| {
            let write = |file: &Arc<dyn MediaFile>| file.write_at(at, unit).and_then(|()| file.sync());
            let writers: Vec<_> = self.files.iter().map(|file| scope.spawn(move || write(file))).collect();
            writers.into_iter().try_for_each(|writer| match writer.join() {
                Ok(written) => written.map_err(Failure::from),
                Err(_) => Err("a writer panicked".into()),
            })
        })?;
        self.written += unit.len() as u64;
        Ok(())
    }
}

fn create(dir: &Path, shard: usize) -> Result<Arc<dyn MediaFile>, Failure> {
    let root = dir.join(format!("ceiling-{shard}"));
    std::fs::create_dir(&root)?;
    let media = FileMedia::open(&root, FileOptions::default())?;
    Ok(media.create("written", WriteUnit::Blocks)?)
}

/// GB in a second of work that touches `bytes`.
fn gbps(bytes: usize, mut work: impl FnMut()) -> Result<f64, Failure> {
    let best = shortest(RUNS, || {
        work();
        Ok(())
    })?;
    Ok(bytes as f64 / best / 1e9)
}
