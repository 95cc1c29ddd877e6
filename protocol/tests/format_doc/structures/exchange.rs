//! What is exchanged between parties: messages, hand-overs, shares, packages.

use super::*;

pub(super) fn messages() -> Vec<(&'static str, Structure)> {
    let addresses = [Address([2; 32]), Address([1; 32])];
    let query = vec![("addresses", counted(2, &[&[2; 32], &[1; 32]]))];
    let record = InlineRecord { kind: RecordKind::Wrap, bytes: Bytes::from_static(b"bytes") };
    let request = DepositRequest { entry: Bytes::from_static(b"entry"), records: vec![record] };
    let request_fields = vec![("entry", var(b"entry")), ("records", counted(1, &[&[4], &var(b"bytes")]))];
    let batch = DepositBatch { deposits: vec![request.clone()] };
    let batch_fields = vec![("deposits", counted(1, &[&var(&flat(&request_fields))]))];
    let [kind, code, message] = ["refused", "a-code", "a message"].map(str::to_owned);
    let problem = [vec![1], var(b"refused"), var(b"a-code"), var(b"a message")].concat();
    let replies = DepositReplies { replies: vec![Err(Problem { kind, code, message }), Ok(receipt())] };
    let answered = [vec![0], var(&receipt().encode())].concat();
    let replies_fields = vec![("replies", counted(2, &[&problem, &answered]))];
    let device = DeviceReply { next_seq: 16, prev: Digest([0xc4; 32]) };
    let device_fields = vec![("next sequence", u64(16)), ("previous", vec![0xc4; 32])];
    let (inclusion, inclusion_fields) = inclusion();
    let [entry, wrap, manifest] = [&b"entry"[..], b"wrap", b"manifest"].map(Bytes::from_static);
    let version = VersionReply { entry, inclusion, wrap, manifest };
    let version_fields = vec![
        ("entry", var(b"entry")),
        ("inclusion", flat(&inclusion_fields)),
        ("wrap", var(b"wrap")),
        ("manifest", var(b"manifest")),
    ];
    let placed = PlacedEntry { index: 15, accepted_ms: TIME, entry: deposit().0 };
    let item = [var(&placed.encode()), var(b"summary")].concat();
    let page = LogPage { items: vec![LogItem { placed, attachment: Bytes::from_static(b"summary") }] };
    let versions = [VersionId([2; 16]), VersionId([1; 16])];
    let versions_asked = vec![("versions", counted(2, &[&[2; 16], &[1; 16]]))];
    let wraps = WrapsReply { wraps: vec![Bytes::from_static(b"wrap"), Bytes::new()] };
    vec![
        ("Version query", whole(encode_versions(&versions), versions_asked)),
        ("Wraps reply", whole(wraps.encode(), vec![("wraps", counted(2, &[&var(b"wrap"), &var(b"")]))])),
        ("Address query", whole(encode_addresses(&addresses), query)),
        ("Deposit request", whole(request.encode(), request_fields)),
        ("Deposit batch", whole(batch.encode(), batch_fields)),
        ("Deposit replies", whole(replies.encode(), replies_fields)),
        ("Device reply", whole(device.encode(), device_fields)),
        ("Version reply", whole(version.encode(), version_fields)),
        ("Log page", whole(page.encode(), vec![("items", counted(1, &[&item]))])),
    ]
}

pub(super) fn handovers() -> Vec<(&'static str, Structure)> {
    use shosoin_protocol::act::{HandOverIn, HandOverOut, HandOverWord, Looked, OutState, WordStage};
    let order = ("order", vec![0x31; 16]);
    let out = HandOverOut { state: OutState::Reopened, order: VersionId([0x31; 16]), receiver: VaultId([0x32; 16]) };
    let of_out = vec![("state", vec![2]), ("reserved", vec![0; 7]), order.clone(), ("receiver", vec![0x32; 16])];
    let former_key = key(3).public();
    let taken = HandOverIn {
        order: VersionId([0x31; 16]),
        former: VaultId([0x33; 16]),
        log_size: 0x34,
        log_root: Digest([0x35; 32]),
        package: Digest([0x36; 32]),
        former_key: former_key.clone(),
        head: "head".into(),
    };
    let of_taken = vec![
        order,
        ("former", vec![0x33; 16]),
        ("log size", u64(0x34)),
        ("log root", vec![0x35; 32]),
        ("package", vec![0x36; 32]),
        ("former key", [&[1], former_key.as_bytes()].concat()),
        ("head", var(b"head")),
    ];
    let word = HandOverWord {
        stage: WordStage::Confirmed,
        receiver: VaultId([0x32; 16]),
        receiver_key: Digest([0x37; 32]),
        looked: Looked { versions: 0x38, of: 0x39, confidence_ppm: 0x3a, bad_ppm: 0x3b },
        head: "head".into(),
    };
    let of_word = vec![
        ("stage", vec![2]),
        ("reserved", vec![0; 7]),
        ("receiver", vec![0x32; 16]),
        ("receiver key", vec![0x37; 32]),
        ("versions", u64(0x38)),
        ("of", u64(0x39)),
        ("confidence", u32(0x3a)),
        ("bad", u32(0x3b)),
        ("head", var(b"head")),
    ];
    let body = |document: Document, fields| {
        let bytes = document.encode();
        let end = bytes.len();
        part(bytes, 8, end, fields)
    };
    vec![
        ("Hand-over out", body(Document::HandOverOut(out), of_out)),
        ("Hand-over in", body(Document::HandOverIn(Box::new(taken)), of_taken)),
        ("Hand-over word", body(Document::HandOverWord(Box::new(word)), of_word)),
    ]
}

pub(super) fn shares() -> Vec<(&'static str, Structure)> {
    use shosoin_protocol::act::{
        ShareAccepted, ShareGrant, ShareKem, SharePurpose, ShareTerms, Unshare, UnshareReason, Versions,
    };
    use shosoin_protocol::share::{Offer, Offers, ShareCard, SharedVersion, SignedEntry};
    let versions = Versions::new(vec![VersionId([2; 16]), VersionId([1; 16])]).expect("two versions");
    let terms = ShareTerms {
        kem: ShareKem::P256,
        purpose: SharePurpose::Opinion,
        recipient: HOSPITAL,
        recipient_key: Digest([0x41; 32]),
        consent: [0x42; 16],
        expires_ms: TIME,
        versions,
    };
    let grant = ShareGrant { terms, encapsulated: vec![0x43; 65], sealed: vec![0x44; 80] };
    let of_grant = vec![
        ("KEM", vec![2]),
        ("purpose", vec![3]),
        ("reserved", vec![0; 6]),
        ("recipient", HOSPITAL.0.to_vec()),
        ("recipient key", vec![0x41; 32]),
        ("consent", vec![0x42; 16]),
        ("expires", u64(TIME)),
        ("versions", counted(2, &[&[1; 16], &[2; 16]])),
        ("encapsulated", var(&[0x43; 65])),
        ("sealed", var(&[0x44; 80])),
    ];
    let unshare = Unshare { reason: UnshareReason::Done };
    let accepted = ShareAccepted { owner: HOSPITAL, grant: Address([0x45; 32]) };
    let card = ShareCard {
        hospital: HOSPITAL,
        hospital_key: key(1).public(),
        kem: ShareKem::X25519,
        share_key: vec![0x46; 32],
    };
    let signed = card.sign(&key(1));
    let of_card = vec![
        ("magic", b"shsi".to_vec()),
        ("version", vec![1]),
        ("KEM", vec![1]),
        ("reserved", vec![0; 2]),
        ("hospital", HOSPITAL.0.to_vec()),
        ("hospital key", [&[1], card.hospital_key.as_bytes()].concat()),
        ("share key", var(&[0x46; 32])),
        ("signature", signed[signed.len() - 64..].to_vec()),
    ];
    let entry = SignedEntry { entry: Bytes::from_static(b"entry"), enrolment: Bytes::from_static(b"enrolment") };
    let of_entry = vec![("entry", var(b"entry")), ("enrolment", var(b"enrolment"))];
    let document = Document::ShareGrant(Box::new(grant)).encode();
    let offer = Offer { owner: HOSPITAL, grant: entry.clone(), document: document.clone().into(), ended: true };
    let of_offer = [HOSPITAL.0.to_vec(), vec![1], vec![0; 7], flat(&of_entry), var(&document)].concat();
    let offers = Offers { offers: vec![offer], left_out: 0x47 };
    let of_offers = vec![("left out", u32(0x47)), ("offers", counted(1, &[&of_offer]))];
    let shared = SharedVersion { deposit: entry.clone(), manifest: Bytes::from_static(b"manifest") };
    let of_shared = vec![("deposit", flat(&of_entry)), ("manifest", var(b"manifest"))];
    let body = |bytes: Vec<u8>, fields| {
        let end = bytes.len();
        part(bytes, 8, end, fields)
    };
    vec![
        ("Share grant", body(document, of_grant)),
        ("Unshare", body(Document::Unshare(unshare).encode(), vec![("reason", vec![2]), ("reserved", vec![0; 7])])),
        (
            "Share accepted",
            body(
                Document::ShareAccepted(accepted).encode(),
                vec![("owner", HOSPITAL.0.to_vec()), ("grant", vec![0x45; 32])],
            ),
        ),
        ("Share card", whole(signed, of_card)),
        ("Signed entry", whole(entry.encode(), of_entry)),
        ("Offers", whole(offers.encode(), of_offers)),
        ("Shared version", whole(shared.encode(), of_shared)),
    ]
}

pub(super) fn packages() -> Vec<(&'static str, Structure)> {
    let file = PackageFile { path: "a/b".into(), len_bytes: 0xe7, digest: Digest([0xe8; 32]) };
    let of_file = vec![("path", var(b"a/b")), ("length", u64(0xe7)), ("digest", vec![0xe8; 32])];
    let file_bytes: Vec<u8> = of_file.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
    let package = Package {
        state: PackageState::Closed,
        vault: VaultId([0xe1; 16]),
        hospital: HOSPITAL,
        log: LOG,
        made_ms: TIME,
        log_size: 0xe2,
        log_root: Digest([0xe3; 32]),
        vault_key: key(3).public(),
        records: 0xe4,
        record_bytes: 0xe5,
        checkpoint: "head".into(),
        missing: vec![Address([0xe6; 32])],
        files: vec![file],
    };
    let encoded = package.sign(&key(3));
    let end = encoded.len();
    let fields = vec![
        ("magic", b"shpm".to_vec()),
        ("version", vec![1]),
        ("suite", vec![1]),
        ("state", vec![3]),
        ("reserved", vec![0]),
        ("vault", vec![0xe1; 16]),
        ("hospital", HOSPITAL.0.to_vec()),
        ("log", LOG.0.to_vec()),
        ("made", u64(TIME)),
        ("log size", u64(0xe2)),
        ("log root", vec![0xe3; 32]),
        ("vault key", [&[1], key(3).public().as_bytes()].concat()),
        ("records", u64(0xe4)),
        ("record bytes", u64(0xe5)),
        ("checkpoint", var(b"head")),
        ("missing", counted(1, &[&[0xe6; 32]])),
        ("files", counted(1, &[&file_bytes])),
        ("signature", encoded[end - 64..].to_vec()),
    ];
    let file = encoded[end - 64 - file_bytes.len()..end - 64].to_vec();
    vec![("Package manifest", whole(encoded, fields)), ("File of a package", whole(file, of_file))]
}
