//! Bugs that others' data was lost by, kept behind a switch so that the simulator can be shown to catch them. The switch
//! exists only under the feature `known-bugs`, which no other crate turns on and no binary has; without it [`is`] is
//! always false and costs nothing.

/// A known bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bug {
    /// after an unclean stop writing goes on where the last whole stripe ends, over what is torn
    ReappendAfterUncleanStop,
    /// a bad digest is taken for the end of a segment
    TruncateOnBadDigest,
    /// a sync that failed is tried again, and its success believed
    RetriedSync,
    /// a scrub reads what the page cache holds
    ScrubThroughCache,
    /// a scrub verifies parity, and takes data for good
    ParityOnlyScrub,
    /// a folder that cannot be listed is an empty one
    ListingErrorAsEmpty,
    /// an old copy is released before the new one was read
    ReleaseBeforeVerify,
    /// a volume that missed the last stripes is believed about where a segment ends
    StaleVolumeTrusted,
    /// a valid header is believed wherever it is found
    MisdirectedWriteUnnoticed,
    /// a repair decodes whatever units it could read
    RepairTrustsUnverified,
}

#[cfg(feature = "known-bugs")]
mod switch {
    use super::Bug;
    use std::cell::Cell;

    thread_local! {
        static BUG: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Brings one bug back on this thread, or none. A tier without threads sees it everywhere.
    pub fn bring_back(bug: Option<Bug>) {
        BUG.set(bug);
    }

    pub(crate) fn is(bug: Bug) -> bool {
        BUG.get() == Some(bug)
    }
}

#[cfg(feature = "known-bugs")]
pub use switch::bring_back;
#[cfg(feature = "known-bugs")]
pub(crate) use switch::is;

/// Whether a bug was brought back.
#[cfg(not(feature = "known-bugs"))]
pub(crate) const fn is(_: Bug) -> bool {
    false
}
