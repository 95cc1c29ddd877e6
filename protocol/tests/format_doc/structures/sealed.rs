//! What is sealed, and what a deposit says openly of it: envelopes, manifests, summaries.

use super::*;

pub(super) fn envelopes() -> Vec<(&'static str, Structure)> {
    let aad = |context: Context| write_aad(Suite::Cryptrec, 0, HOSPITAL, &context, &[0xcc; 32], 0x0a0b);
    let chunk = write_aad(Suite::Cryptrec, 7, HOSPITAL, &Context::Chunk, &[0xcc; 32], 0x0a0b);
    let header = vec![
        ("magic", b"shsn".to_vec()),
        ("version", vec![1]),
        ("suite", vec![2]),
        ("type", vec![1]),
        ("class", vec![7]),
        ("hospital", HOSPITAL.0.to_vec()),
        ("sealed length", u32(0x0a0b)),
        ("reserved", vec![0; 4]),
    ];
    let page = Context::Manifest { version: VERSION, page: 3, pages: 9, salt: [0xb1; 32] };
    let wrap = Context::Wrap { version: VERSION, epoch: 4, wrap_no: 5, salt: [0xb2; 32] };
    let summary = Context::Summary { version: VERSION, salt: [0xb3; 32] };
    let between = |context: Context, fields| part(aad(context), HEADER_LEN, HEADER_LEN + context.len(), fields);
    let version = ("version", VERSION.0.to_vec());
    vec![
        ("Envelope header", part(chunk, 0, HEADER_LEN, header)),
        (
            "Context of a manifest page",
            between(page, vec![version.clone(), ("page", u32(3)), ("pages", u32(9)), ("salt", vec![0xb1; 32])]),
        ),
        (
            "Context of a wrap",
            between(wrap, vec![version.clone(), ("epoch", u32(4)), ("wrap number", u32(5)), ("salt", vec![0xb2; 32])]),
        ),
        ("Context of a summary", between(summary, vec![version.clone(), ("salt", vec![0xb3; 32])])),
        (
            "Context of what is sealed to the hospital",
            between(
                Context::HospitalWrap { version: VERSION, to: Encapsulated::X25519([0xb4; 32]) },
                vec![version, ("KEM", vec![1]), ("reserved", vec![0; 3]), ("encapsulated key", vec![0xb4; 32])],
            ),
        ),
    ]
}

pub(super) fn chunk() -> ChunkRef {
    ChunkRef { address: Address([0xd1; 32]), t: [0xd2; 32], plain_len: 77 }
}

pub(super) fn encoded_chunk() -> Vec<u8> {
    [vec![0xd1; 32], vec![0xd2; 32], u32(77)].concat()
}

pub(super) fn pairs(name: &str, value: &str) -> (Pairs, Vec<u8>) {
    (vec![(name.to_owned(), value.to_owned())], counted(1, &[&var(name.as_bytes()), &var(value.as_bytes())]))
}

pub(super) fn checksum(algorithm: ChecksumAlgorithm, fill: u8) -> (Checksum, Vec<u8>) {
    let value = vec![fill; algorithm.value_len()];
    let encoded = [vec![algorithm as u8, 1], value.clone()].concat();
    (Checksum { algorithm, full_object: true, value }, encoded)
}

pub(super) fn encoded_part() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("number", vec![9, 0]),
        ("size", u64(77)),
        ("MD5", vec![0xe1; 16]),
        ("plain digest", vec![0xe2; 32]),
        ("checksum", checksum(ChecksumAlgorithm::Sha1, 0xe3).1),
    ]
}

pub(super) fn encoded_signer() -> Fields {
    vec![("standing", vec![1]), ("certificate", vec![0xe5; 32]), ("anchor", vec![0xe6; 32]), ("claimed", u64(TIME))]
}

pub(super) fn document_signature() -> (DocumentSignature, Fields) {
    let signer = DocumentSigner {
        standing: SignerStanding::Trusted,
        certificate: Digest([0xe5; 32]),
        anchor: Some(Digest([0xe6; 32])),
        claimed_ms: Some(TIME),
    };
    let fields = vec![
        ("form", vec![1]),
        ("judged", u64(TIME)),
        ("signature", var(&[0xe7; 5])),
        ("signers", counted(1, &[&flat(&encoded_signer())])),
    ];
    (DocumentSignature { judged_ms: TIME, cms: vec![0xe7; 5], signers: vec![signer] }, fields)
}

pub(super) fn flat(fields: &[(&'static str, Vec<u8>)]) -> Vec<u8> {
    fields.iter().flat_map(|(_, bytes)| bytes.clone()).collect()
}

pub(super) fn facts() -> (ObjectFacts, Fields) {
    let (headers, headers_encoded) = pairs("content-type", "application/dicom");
    let (metadata, metadata_encoded) = pairs("modality", "CT");
    let (tags, tags_encoded) = pairs("study", "1");
    let (of_object, of_object_encoded) = checksum(ChecksumAlgorithm::Crc64Nvme, 0xe4);
    let facts = ObjectFacts {
        bucket: "bucket".to_owned(),
        name: "a name".to_owned(),
        size_bytes: 77,
        modified_ms: TIME,
        null_version: false,
        multipart: true,
        headers,
        metadata,
        tags,
        checksum: Some(of_object),
        parts: vec![PartFact {
            number: 9,
            size_bytes: 77,
            md5: [0xe1; 16],
            plain_digest: Digest([0xe2; 32]),
            checksum: Some(checksum(ChecksumAlgorithm::Sha1, 0xe3).0),
        }],
        signature: Some(document_signature().0),
    };
    let fields = vec![
        ("bucket", var(b"bucket")),
        ("name", var(b"a name")),
        ("size", u64(77)),
        ("modified", u64(TIME)),
        ("flags", vec![10]),
        ("headers", headers_encoded),
        ("user metadata", metadata_encoded),
        ("tags", tags_encoded),
        ("checksum", of_object_encoded),
        ("parts", counted(1, &[&flat(&encoded_part())])),
        ("signature", flat(&document_signature().1)),
    ];
    (facts, fields)
}

pub(super) fn facts_and_manifests() -> Vec<(&'static str, Structure)> {
    let (facts, fields) = facts();
    let mut out = Writer::new();
    facts.write(&mut out);
    let encoded = out.finish();
    let (signature, signature_fields) = document_signature();
    let parts_end = encoded.len() - flat(&signature_fields).len();
    let parts_at = parts_end - flat(&encoded_part()).len();
    let checksum_fields = vec![("algorithm", vec![4]), ("full object", vec![1]), ("value", vec![0xe3; 20])];
    let mut signature_encoded = Writer::new();
    signature.write(&mut signature_encoded);
    let signature_encoded = signature_encoded.finish();
    let signer_encoded = signature_encoded[signature_encoded.len() - 73..].to_vec();
    let root = ManifestRoot { facts: facts.clone(), inline: vec![chunk()], pages: Vec::new(), chunk_count: 1 };
    let paged = ManifestRoot { facts, inline: Vec::new(), pages: vec![Address([0xd3; 32])], chunk_count: 300 };
    let chunks = counted(1, &[&encoded_chunk()]);
    let root_fields = |count, inline, pages| {
        vec![("facts", encoded.clone()), ("chunk count", u32(count)), ("inline", inline), ("pages", pages)]
    };
    let paged_fields = root_fields(300, u32(0), counted(1, &[&[0xd3; 32]]));
    assert_eq!(paged.encode(), flat(&paged_fields));
    let list = AddressList::new(vec![Address([2; 32]), Address([1; 32])]);
    let chunk_fields = vec![("address", vec![0xd1; 32]), ("t", vec![0xd2; 32]), ("plain length", u32(77))];
    vec![
        ("Chunk reference", whole(encode_page(&[chunk()])[4..].to_vec(), chunk_fields)),
        ("Checksum", whole(encoded[parts_end - 22..parts_end].to_vec(), checksum_fields)),
        ("Part", whole(encoded[parts_at..parts_end].to_vec(), encoded_part())),
        ("Document signature", whole(signature_encoded, signature_fields)),
        ("Signer of a document", whole(signer_encoded, encoded_signer())),
        ("Object facts", whole(encoded.clone(), fields)),
        ("Manifest root", whole(root.encode(), root_fields(1, chunks.clone(), u32(0)))),
        ("Manifest page", whole(encode_page(&[chunk()]), vec![("chunks", chunks)])),
        ("Address list", whole(list.encode(), vec![("addresses", counted(2, &[&[1; 32], &[2; 32]]))])),
    ]
}

pub(super) fn policy() -> (DepositPolicy, Fields) {
    let retention = Retention::Term { term_days: 1827, start_ms: Some(TIME) };
    let record_type = RecordType::from_number(13).expect("a type of the table");
    let fields = vec![
        ("record type", vec![13, 0]),
        ("label", vec![2]),
        ("retention kind", vec![2]),
        ("term", u32(1827)),
        ("start", u64(TIME)),
    ];
    (DepositPolicy { record_type, label: Label::Restricted, retention }, fields)
}

/// Rules of a bucket, their fields, and the fields of the one lifecycle rule in them.
pub(super) fn bucket_rules() -> (BucketRules, Fields, Fields) {
    let rule = LifecycleRule {
        id: "r".to_owned(),
        enabled: true,
        prefix: "p/".to_owned(),
        expire_days: 11,
        expire_markers: true,
        noncurrent_days: 12,
        noncurrent_kept: 13,
        abort_days: 14,
    };
    let fields = vec![
        ("id", var(b"r")),
        ("enabled", vec![1]),
        ("expire markers", vec![1]),
        ("reserved", vec![0; 2]),
        ("prefix", var(b"p/")),
        ("expire days", u32(11)),
        ("noncurrent days", u32(12)),
        ("noncurrent kept", u32(13)),
        ("abort days", u32(14)),
    ];
    let default_lock = Some(DefaultLock { mode: LockMode::Compliance, period: LockPeriod::Years(5) });
    let all = vec![
        ("object lock", vec![1]),
        ("mode", vec![2]),
        ("unit", vec![2]),
        ("reserved", vec![0]),
        ("period", u32(5)),
        ("lifecycle", [u32(1), flat(&fields)].concat()),
    ];
    (BucketRules { object_lock: true, default_lock, lifecycle: vec![rule] }, all, fields)
}

pub(super) fn summaries() -> Vec<(&'static str, Structure)> {
    let (facts, fields) = facts();
    let (policy, policy_fields) = policy();
    let [bucket, name] = ["bucket", "a name"].map(str::to_owned);
    let place = [("bucket", var(b"bucket")), ("name", var(b"a name"))];
    let (tags, tags_encoded) = pairs("study", "1");
    let (rules, rules_fields, rule_fields) = bucket_rules();
    let state = BucketFacts {
        bucket: bucket.clone(),
        created_ms: TIME,
        deleted: true,
        versioning: Versioning::Suspended,
        chunk_plain_bytes: 1 << 20,
        dedup_class: 5,
        codec: 1,
        policy,
        rules,
    };
    let encoded = Summary::Bucket(state.clone()).encode();
    let end_of = |fields: &Fields| encoded[encoded.len() - flat(fields).len()..].to_vec();
    let rules_of = whole(end_of(&rules_fields), rules_fields.clone());
    let rule_of = whole(end_of(&rule_fields), rule_fields);
    let bucket_fields = vec![
        ("kind", vec![3]),
        place[0].clone(),
        ("created", u64(TIME)),
        ("deleted", vec![1]),
        ("versioning", vec![2]),
        ("chunk size", u32(1 << 20)),
        ("dedup class", vec![5]),
        ("codec", vec![1]),
        ("policy", flat(&policy_fields)),
        ("rules", flat(&rules_fields)),
    ];
    let of_name = |kind: u8, rest: Fields| [vec![("kind", vec![kind])], place.to_vec(), rest].concat();
    let marker = Summary::Marker { bucket: bucket.clone(), name: name.clone(), modified_ms: TIME, null_version: true };
    let tagged = Summary::Tags { bucket: bucket.clone(), name: name.clone(), version: VERSION, tags };
    let withdrawn = Summary::Withdrawn { bucket, name, version: VERSION };
    let version = ("version", VERSION.0.to_vec());
    let mut out = Writer::new();
    policy.write(&mut out);
    vec![
        (
            "Summary of an object",
            whole(Summary::Object(facts).encode(), vec![("kind", vec![1]), ("facts", flat(&fields))]),
        ),
        (
            "Summary of a marker",
            whole(marker.encode(), of_name(2, vec![("modified", u64(TIME)), ("null version", vec![1])])),
        ),
        ("Summary of a bucket", whole(Summary::Bucket(state).encode(), bucket_fields)),
        ("Rules of a bucket", rules_of),
        ("Lifecycle rule", rule_of),
        ("Summary of tags", whole(tagged.encode(), of_name(4, vec![version.clone(), ("tags", tags_encoded)]))),
        ("Summary of a withdrawal", whole(withdrawn.encode(), of_name(5, vec![version]))),
        ("Deposit policy", whole(out.finish(), policy_fields)),
    ]
}
