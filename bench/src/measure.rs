//! How things are measured: times on one core, best of several rounds, so that a neighbour's noise does not become a
//! figure; sizes as they lie on disk.

use crate::Failure;
use std::path::Path;
use std::time::{Duration, Instant};

/// Keeps this thread, and every thread it starts from now on, on core `core`.
pub fn pin_to(core: usize) -> Result<(), Failure> {
    let mut cores = rustix::thread::CpuSet::new();
    cores.set(core);
    Ok(rustix::thread::sched_setaffinity(None, &cores)?)
}

/// Time that `work` takes.
pub fn time<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<(Duration, T), Failure> {
    let begin = Instant::now();
    let made = work()?;
    Ok((begin.elapsed(), made))
}

/// The shortest of `times` runs, in seconds.
pub fn shortest(times: usize, mut work: impl FnMut() -> Result<(), Failure>) -> Result<f64, Failure> {
    let mut best = f64::INFINITY;
    for _ in 0..times {
        let (took, ()) = time(&mut work)?;
        best = best.min(took.as_secs_f64());
    }
    Ok(best)
}

/// Bytes that files below `dir` take on disk.
pub fn disk_bytes_below(dir: &Path) -> Result<u64, Failure> {
    use std::os::unix::fs::MetadataExt as _;
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let found = entry.metadata()?;
        bytes += if found.is_dir() { disk_bytes_below(&entry.path())? } else { found.blocks() * 512 };
    }
    Ok(bytes)
}
