//! Gap: what stands in a shard file instead of a unit that nobody could bring back and of which nothing was there to be kept,
//! when the rest of the shard was written anew. It takes the place of the unit header; the unit behind it is zero.
//!
//! Invariants
//! - A gap is never taken for a unit, nor for damage of one: it says that whoever wrote it could not look at the unit, so
//!   that a copy which comes back may still have it.
//! - It says where it belongs, so that one that was put elsewhere is damage like any other.

use crate::segment::{Identity, shard_no};
use shosoin_protocol::codec::Writer;

/// First bytes of every gap.
pub const MAGIC: [u8; 4] = *b"shsg";
/// Version of a gap.
pub const VERSION: u8 = 1;
/// Length of a gap, its digest included.
pub const GAP_LEN: usize = 80;

/// The gap at `at` of a shard.
pub fn encode(identity: Identity, shard: usize, at: u64) -> Vec<u8> {
    let mut out = Writer::with_capacity(GAP_LEN);
    out.put(&MAGIC).u8(VERSION).u8(identity.suite.code()).u8(shard_no(shard)).u8(0);
    out.put(&identity.id.0).put(&identity.hospital.0).u64(at);
    let mut bytes = out.finish();
    let digest = identity.suite.digest(&[&bytes]);
    bytes.extend_from_slice(&digest.0);
    bytes
}

/// Makes a gap of `slot`, where a header and a unit would be.
pub fn fill(identity: Identity, shard: usize, at: u64, slot: &mut [u8]) {
    let gap = encode(identity, shard, at);
    slot.fill(0);
    slot[..GAP_LEN].copy_from_slice(&gap);
}

/// Whether `bytes` begin with the gap that belongs there.
pub fn is_at(bytes: &[u8], identity: Identity, shard: usize, at: u64) -> bool {
    bytes.starts_with(&MAGIC) && bytes.starts_with(&encode(identity, shard, at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Code;
    use crate::finding::Defect;
    use crate::load::believe;
    use shosoin_protocol::{HospitalId, SegmentId, Suite};

    fn identity(suite: Suite) -> Identity {
        Identity { id: SegmentId([0x11; 16]), hospital: HospitalId([0x22; 16]), suite, code: Code::ALLOWED[0] }
    }

    #[test]
    fn a_gap_is_known_where_it_belongs_and_is_damage_anywhere_else_or_with_any_byte_changed() {
        for suite in Suite::ALL {
            let mut slot = vec![0xff; 8192];
            fill(identity(suite), 3, 0x5000, &mut slot);
            let found = |slot: &[u8], shard, at| believe(slot, identity(suite), shard, at).unwrap_err();
            assert_eq!(found(&slot, 3, 0x5000), Defect::UnitGap);
            assert!(slot[GAP_LEN..].iter().all(|byte| *byte == 0));
            for (shard, at) in [(2, 0x5000), (3, 0x6000)] {
                assert!(matches!(found(&slot, shard, at), Defect::HeaderDamaged { .. }));
            }
            for at in 0..GAP_LEN {
                let mut bad = slot.clone();
                bad[at] ^= 1;
                assert!(matches!(found(&bad, 3, 0x5000), Defect::HeaderDamaged { .. }), "byte {at}");
            }
        }
    }
}
