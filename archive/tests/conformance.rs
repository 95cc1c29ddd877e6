//! What every medium must do, over object stores: one in memory here, a real S3 server in `s3.rs`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[macro_use]
#[expect(dead_code, reason = "the checks of files that grow in place are for media of the tiers")]
#[path = "../../tiers/tests/suite/mod.rs"]
mod suite;

use object_store::memory::InMemory;
use object_store::path::Path;
use shosoin_archive::{Bridge, Limits, ObjectMedia};
use shosoin_tiers::Media;
use std::sync::Arc;

/// Runs `check` over empty prefixes: files of one part, files of several, and a bucket without a prefix.
fn over_every_store(check: impl Fn(&dyn Media)) {
    let bridge = Bridge::start().unwrap();
    for (prefix, part_bytes) in [("site/v07", 1 << 20), ("site/v07", 5000), ("", 4096)] {
        let limits = Limits { part_bytes, ..Limits::default() };
        let store = Arc::new(InMemory::new());
        check(&ObjectMedia::over(store, Path::from(prefix), "memory", bridge.clone(), limits));
    }
}

on_every_medium!(over_every_store);
