//! Keys of the view's rows, as pure functions. One keyspace holds every table; the first byte says which.
//!
//! ```text
//! m                                     where the view stands in the ledger
//! b bucket                              bucket facts, newest change
//! d device                              key and chain of a device, or of the vault for its acts
//! r device                              the act that says what a device may do, where that is less than others may
//! h                                     leaves and root where the ledger ended by a hand-over; no row while it goes on
//! a index                               an act, unless it only names wraps; index big-endian
//! k version                             what keeps a version; version zero: holds on everything
//! e                                     the act that began the newest epoch
//! x version                             by which order its records ended, and where that is in the ledger; zero: everything
//! o index                               an entry without its summary, until an act says that it ended; index big-endian
//! n bucket 0 name                       newest change, newest version, null version
//! c bucket 0 name                       what a list says of the current object; no row for markers
//! v bucket 0 escaped name 0 1 !index    one version, newest first; index big-endian and inverted
//! p version                             leaf index of a version, kept when it goes out of view: it may mark a page's end
//! ```
//! Bucket names hold no zero byte (they are DNS labels). In `v` a zero byte of the name becomes `0 255`, so that names
//! keep their order and none runs into the end mark `0 1`.

use shosoin_protocol::{DeviceId, VersionId};

/// Where the view stands.
pub const POSITION: &[u8] = b"m";

/// Where the ledger ended.
pub const ENDED: &[u8] = b"h";

/// Row of a bucket.
pub fn bucket(bucket: &str) -> Vec<u8> {
    [b"b", bucket.as_bytes()].concat()
}

/// Row of the newest epoch.
pub const EPOCH: &[u8] = b"e";
/// Newest suite policy.
pub const SUITE_POLICY: &[u8] = b"s";

/// What the rows of all acts begin with.
pub fn acts() -> Vec<u8> {
    b"a".to_vec()
}

/// Row of an act.
pub fn act(index: u64) -> Vec<u8> {
    [b"a", index.to_be_bytes().as_slice()].concat()
}

/// Row of what keeps a version.
pub fn kept(version: VersionId) -> Vec<u8> {
    [b"k", version.0.as_slice()].concat()
}

/// Row of a version that has ended.
pub fn ended(version: VersionId) -> Vec<u8> {
    [b"x", version.0.as_slice()].concat()
}

/// What the rows of entries without their summaries begin with.
pub fn owed_all() -> Vec<u8> {
    b"o".to_vec()
}

/// Row of an entry without its summary.
pub fn owed(index: u64) -> Vec<u8> {
    [b"o", index.to_be_bytes().as_slice()].concat()
}

/// What the rows of all devices begin with.
pub fn devices() -> Vec<u8> {
    b"d".to_vec()
}

/// Row of a device.
pub fn device(device: DeviceId) -> Vec<u8> {
    [b"d", device.0.as_slice()].concat()
}

/// Row of the role of a device.
pub fn role(device: DeviceId) -> Vec<u8> {
    [b"r", device.0.as_slice()].concat()
}

/// State of a name.
pub fn name(bucket: &str, name: &str) -> Vec<u8> {
    [b"n", bucket.as_bytes(), &[0], name.as_bytes()].concat()
}

/// What a list says of the current object of a name; with a prefix of a name, where those names begin.
pub fn current(bucket: &str, name: &str) -> Vec<u8> {
    [b"c", bucket.as_bytes(), &[0], name.as_bytes()].concat()
}

/// The name in a key made by [`current`].
pub fn current_name<'a>(bucket: &str, key: &'a [u8]) -> Option<&'a [u8]> {
    key.get(bucket.len() + 2..)
}

/// Where the versions of names that begin with `prefix` begin.
pub fn versions_from(bucket: &str, prefix: &[u8]) -> Vec<u8> {
    let mut key = [b"v", bucket.as_bytes(), &[0]].concat();
    for byte in prefix {
        match byte {
            0 => key.extend([0, 255]),
            byte => key.push(*byte),
        }
    }
    key
}

/// Where the versions of one name begin: the prefix of them all.
pub fn versions_of(bucket: &str, name: &str) -> Vec<u8> {
    let mut key = versions_from(bucket, name.as_bytes());
    key.extend([0, 1]);
    key
}

/// Row of one version.
pub fn version(bucket: &str, name: &str, index: u64) -> Vec<u8> {
    let mut key = versions_of(bucket, name);
    key.extend((!index).to_be_bytes());
    key
}

/// Name and leaf index in a key made by [`version`].
pub fn parse_version(bucket: &str, key: &[u8]) -> Option<(Vec<u8>, u64)> {
    let (escaped, inverted) = key.get(bucket.len() + 2..)?.split_last_chunk::<8>()?;
    let escaped = escaped.strip_suffix(&[0, 1])?;
    let mut name = Vec::with_capacity(escaped.len());
    let mut bytes = escaped.iter();
    while let Some(byte) = bytes.next() {
        if *byte == 0 && bytes.next() != Some(&255) {
            return None;
        }
        name.push(*byte);
    }
    Some((name, !u64::from_be_bytes(*inverted)))
}

/// Leaf index of a version.
pub fn placed(version: VersionId) -> Vec<u8> {
    [b"p", version.0.as_slice()].concat()
}

/// First key after every key that begins with `prefix`; none if there is no such key.
pub fn after_prefix(mut prefix: Vec<u8>) -> Option<Vec<u8>> {
    while let Some(last) = prefix.pop() {
        if last < 255 {
            prefix.push(last + 1);
            return Some(prefix);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn versions_sort_by_name_and_then_newest_first(a in ".{0,6}", b in ".{0,6}", i in any::<u64>(), j in any::<u64>()) {
            let (left, right) = (version("bucket", &a, i), version("bucket", &b, j));
            prop_assert_eq!(left.cmp(&right), a.as_bytes().cmp(b.as_bytes()).then(j.cmp(&i)));
            prop_assert_eq!(parse_version("bucket", &left), Some((a.clone().into_bytes(), i)));
            prop_assert_eq!(right.starts_with(&versions_of("bucket", &a)), a == b);
            prop_assert_eq!(left.starts_with(&versions_from("bucket", b.as_bytes())), a.starts_with(&b));
        }

        #[test]
        fn what_begins_with_a_prefix_lies_before_what_follows_it(prefix in proptest::collection::vec(any::<u8>(), 0..5), tail in any::<Vec<u8>>()) {
            let key = [prefix.clone(), tail].concat();
            match after_prefix(prefix.clone()) {
                Some(after) => prop_assert!(key < after && !after.starts_with(&prefix)),
                None => prop_assert!(prefix.iter().all(|byte| *byte == 255)),
            }
        }
    }
}
