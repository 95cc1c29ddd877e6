//! Marks of what was scanned for malware. The vault keeps them in reports and learns nothing from them: they are made with a
//! key of the hospital, or by a machine that only deposits with one of the version's data key, and the version is in them, so that equal contents do not meet.

use crate::secret::SecretKey;
use crate::{DataKey, Keyring, derive};
use shosoin_protocol::codec::Writer;
use shosoin_protocol::{Digest, VersionId};

/// A part of a content: its length in bytes, and the digest of its plain text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MarkedPart {
    /// bytes of plain text
    pub size_bytes: u64,
    /// digest of them under the hospital's suite
    pub plain_digest: Digest,
}

impl Keyring {
    /// The mark of a version's content, part by part.
    pub fn content_mark(&self, version: VersionId, parts: &[MarkedPart]) -> Digest {
        mark(&self.root().scan_key(), version, parts)
    }
}

impl DataKey {
    /// The mark by a machine that only deposits, which has no key under the root: whoever opens the version checks it.
    pub fn content_mark(&self, version: VersionId, parts: &[MarkedPart]) -> Digest {
        mark(&derive::data_key_scan(self.secret()), version, parts)
    }
}

fn mark(key: &SecretKey, version: VersionId, parts: &[MarkedPart]) -> Digest {
    let mut out = Writer::with_capacity(20 + parts.len() * 40);
    out.put(&version.0).count(parts.len());
    for part in parts {
        out.u64(part.size_bytes).put(&part.plain_digest.0);
    }
    Digest(derive::hmac(key, &[&out.finish()]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use shosoin_protocol::Suite;

    #[test]
    fn a_mark_tells_contents_versions_and_hospitals_apart_and_equal_contents_do_not_meet() {
        let keyring = Keyring::generate(Suite::Default).unwrap();
        let part = |size_bytes, fill| MarkedPart { size_bytes, plain_digest: Digest([fill; 32]) };
        let (one, two) = (VersionId([1; 16]), VersionId([2; 16]));
        let mark = keyring.content_mark(one, &[part(5, 7)]);
        assert_eq!(keyring.content_mark(one, &[part(5, 7)]), mark);
        let other = Keyring::generate(Suite::Default).unwrap();
        let others = [
            keyring.content_mark(two, &[part(5, 7)]),
            keyring.content_mark(one, &[part(6, 7)]),
            keyring.content_mark(one, &[part(5, 8)]),
            keyring.content_mark(one, &[part(5, 7), part(0, 7)]),
            other.content_mark(one, &[part(5, 7)]),
        ];
        assert!(others.iter().all(|other| *other != mark));
        // that of a machine is made with the data key alone
        let keys = [keyring.new_data_key().unwrap(), keyring.new_data_key().unwrap()];
        let of_machines = keys.map(|key| key.content_mark(one, &[part(5, 7)]));
        assert!(of_machines[0] != of_machines[1] && !of_machines.contains(&mark));
    }
}
