//! Orders, approvals, lists of removals and certificates, and the bytes that each field should be.

use super::structures::{Fields, HOSPITAL, LOG, TIME, counted, key, part, public, u32, u64, var, whole};
use super::table::Structure;
use shosoin_protocol::act::{Cancel, DisposalReason, DisposalStep, Disposed, Document, Order, OrderItem, Scope};
use shosoin_protocol::approval::{Approval, ApprovalFile, ApprovedOrder};
use shosoin_protocol::certificate::{Caveat, Certificate, CopyFacts, CopyState, EndedFacts, MediumFacts, ProvedEntry};
use shosoin_protocol::removal::RemovalList;
use shosoin_protocol::sign::{Domain, Signature};
use shosoin_protocol::{Address, Digest, SegmentId, VaultId, VersionId, VolumeId};

const ORDER: VersionId = VersionId([0xe1; 16]);

fn body(document: &Document, fields: Fields) -> Structure {
    let bytes = document.encode();
    let end = bytes.len();
    part(bytes, 8, end, fields)
}

/// Every structure of disposals, by the title of its table.
pub fn all() -> Vec<(&'static str, Structure)> {
    let (order, cancel) = (order(), Document::DisposalCancelled(Cancel { order: ORDER }));
    vec![
        ("Disposal order", order),
        ("Cancellation", body(&cancel, vec![("order", ORDER.0.to_vec())])),
        ("Beginning of an end", begun()),
        ("Certified end", certified()),
        ("List of removals", removals()),
        ("Approval", approval()),
        ("Certificate of disposal", certificate()),
    ]
}

fn order() -> Structure {
    let item = OrderItem { leaf_index: 15, version: VersionId([0xe2; 16]), leaf: Digest([0xe3; 32]) };
    let scope = Scope::These(vec![item]);
    let order = Order::sign((LOG, ORDER), DisposalReason::SubjectRequest, scope, 16, TIME, &key(4));
    assert_eq!(order.verify(LOG, ORDER), Ok(()));
    let mut fields = vec![
        ("scope", vec![1]),
        ("reason", vec![3]),
        ("cool-down", vec![16, 0]),
        ("reserved", vec![0; 4]),
        ("expires", u64(TIME)),
        ("entries", counted(1, &[&u64(15), &[0xe2; 16], &[0xe3; 32]])),
        ("requester", public(4)),
    ];
    let said: Vec<u8> = fields.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
    let message = [&LOG.0[..], &ORDER.0, &said].concat();
    fields.push(("signature", key(4).sign(Domain::Order, &message).0.to_vec()));
    let scope = Scope::Everything { log_size: 17, log_root: Digest([0xe4; 32]), hand_over: None };
    let everything = Order { scope, signature: Signature([0; 64]), ..order.clone() };
    let bytes = Document::DisposalOrder(everything).encode();
    let there = [u64(17), vec![0xe4; 32], vec![0; 16]].concat();
    assert_eq!((bytes[8], &bytes[24..24 + there.len()]), (2, there.as_slice()));
    body(&Document::DisposalOrder(order), fields)
}

fn approved() -> ApprovedOrder {
    ApprovedOrder { log: LOG, order: ORDER, leaf: Digest([0xe5; 32]), document: Address([0xe6; 32]) }
}

fn approval() -> Structure {
    let approval = Approval::sign(&approved(), TIME, &key(5));
    let encoded = ApprovalFile { order: approved(), approval }.encode();
    let message = [&LOG.0[..], &ORDER.0, &[0xe5; 32], &[0xe6; 32], &u64(TIME)].concat();
    let fields = vec![
        ("magic", b"shap".to_vec()),
        ("version", vec![1]),
        ("reserved", vec![0; 3]),
        ("log", LOG.0.to_vec()),
        ("order", ORDER.0.to_vec()),
        ("leaf", vec![0xe5; 32]),
        ("document", vec![0xe6; 32]),
        ("key", public(5)),
        ("decided", u64(TIME)),
        ("signature", key(5).sign(Domain::Approval, &message).0.to_vec()),
    ];
    whole(encoded, fields)
}

fn begun() -> Structure {
    let approvals = [5, 6].map(|seed| Approval::sign(&approved(), TIME, &key(seed)));
    let said =
        approvals.each_ref().map(|approval| [public_of(approval), u64(TIME), approval.signature.0.to_vec()].concat());
    let step = DisposalStep::Begun {
        order_document: Address([0xe6; 32]),
        approvals: approvals.to_vec(),
        removals: vec![Address([0xe7; 32])],
        read_to: 18,
    };
    let fields = vec![
        ("step", vec![1]),
        ("reserved", vec![0; 7]),
        ("order", ORDER.0.to_vec()),
        ("order's document", vec![0xe6; 32]),
        ("read to", u64(18)),
        ("approvals", counted(2, &[&said[0], &said[1]])),
        ("lists", counted(1, &[&[0xe7; 32]])),
    ];
    body(&Document::Disposed(Disposed { order: ORDER, step }), fields)
}

fn public_of(approval: &Approval) -> Vec<u8> {
    let seeds = [5, 6];
    let seed = seeds.into_iter().find(|seed| key(*seed).public() == approval.key);
    public(seed.unwrap_or_default())
}

fn certified() -> Structure {
    let step = DisposalStep::Certified { certificate: Digest([0xe8; 32]), serial: 19, pending: 20 };
    let fields = vec![
        ("step", vec![2]),
        ("reserved", vec![0; 7]),
        ("order", ORDER.0.to_vec()),
        ("certificate", vec![0xe8; 32]),
        ("serial", u32(19)),
        ("reserved", vec![0; 4]),
        ("pending", u64(20)),
    ];
    body(&Document::Disposed(Disposed { order: ORDER, step }), fields)
}

fn removals() -> Structure {
    let lists = RemovalList::lists(vec![Address([2; 32]), Address([1; 32]), Address([2; 32])]);
    let fields = vec![
        ("magic", b"shrl".to_vec()),
        ("version", vec![1]),
        ("reserved", vec![0; 3]),
        ("addresses", counted(2, &[&[1; 32], &[2; 32]])),
    ];
    whole(lists[0].encode(), fields)
}

/// A proved entry whose bytes are all this one, and its encoding.
fn proved(fill: u8) -> (ProvedEntry, Vec<u8>) {
    let entry =
        ProvedEntry { index: fill.into(), accepted_ms: TIME, entry: vec![fill; 3], proof: vec![Digest([fill; 32])] };
    let encoded = [u64(fill.into()), u64(TIME), var(&[fill; 3]), counted(1, &[&[fill; 32]])].concat();
    (entry, encoded)
}

fn certificate() -> Structure {
    let (ordered, of_order) = proved(21);
    let (device, of_device) = proved(22);
    let (begun, of_beginning) = proved(23);
    let [entries, records, bytes, shared, verified, unverified, began_ms, ended_ms] = [31, 32, 33, 34, 35, 36, 37, 38];
    let copy = CopyFacts {
        segment: SegmentId([0xf1; 16]),
        volume: VolumeId([0xf2; 16]),
        shard: 1,
        state: CopyState::Removed,
        passes: 3,
        caveat: Caveat::Flash,
        bytes: 41,
        at_ms: 42,
        audit: 43,
        worker: "user-7".to_owned(),
    };
    let of_copy =
        [vec![0xf1; 16], vec![0xf2; 16], vec![1, 2, 3, 1], u64(41), u64(42), u64(43), var(b"user-7")].concat();
    let texts = ["hdd", "maker", "model", "serial"];
    let [class, vendor, model, serial] = texts.map(str::to_owned);
    let medium = MediumFacts { volume: VolumeId([0xf2; 16]), class, vendor, model, serial };
    let of_medium = [vec![0xf2; 16], texts.map(|text| var(text.as_bytes())).concat()].concat();
    let certificate = Certificate {
        vault: VaultId([0xa4; 16]),
        hospital: HOSPITAL,
        vault_key: key(3).public(),
        serial: 24,
        issued_ms: TIME,
        checkpoint: "a checkpoint\n".to_owned(),
        ordered,
        order_document: vec![25; 5],
        device,
        begun,
        begun_document: vec![26; 6],
        ended: EndedFacts { entries, records, bytes, shared, verified, unverified, began_ms, ended_ms },
        copies: vec![copy],
        media: vec![medium],
        earlier: vec![VolumeId([0xf3; 16])],
    };
    let encoded = certificate.sign(&key(3));
    let signed = encoded.len() - Signature::LEN;
    let fields = vec![
        ("magic", b"shcd".to_vec()),
        ("version", vec![1]),
        ("suite", vec![1]),
        ("reserved", vec![0; 2]),
        ("vault", vec![0xa4; 16]),
        ("hospital", HOSPITAL.0.to_vec()),
        ("vault's key", public(3)),
        ("serial", u32(24)),
        ("issued", u64(TIME)),
        ("checkpoint", var(b"a checkpoint\n")),
        ("ordered", of_order),
        ("order's document", var(&[25; 5])),
        ("device", of_device),
        ("begun", of_beginning),
        ("its document", var(&[26; 6])),
        ("figures", (31..=38).flat_map(u64).collect()),
        ("copies", counted(1, &[&of_copy])),
        ("media", counted(1, &[&of_medium])),
        ("earlier", counted(1, &[&[0xf3; 16]])),
        ("signature", key(3).sign(Domain::Certificate, &encoded[..signed]).0.to_vec()),
    ];
    whole(encoded, fields)
}
