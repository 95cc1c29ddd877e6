//! Every value comes back from its bytes as it was, whatever its fields hold.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use shosoin_protocol::act::{Act, ActKind, LockMode};
use shosoin_protocol::api::{
    DepositBatch, DepositReplies, DepositRequest, DeviceReply, InlineRecord, LogItem, LogPage, Problem, VersionReply,
    decode_addresses, encode_addresses,
};
use shosoin_protocol::bucket_rules::{BucketRules, DefaultLock, LifecycleRule, LockPeriod};
use shosoin_protocol::checkpoint::Checkpoint;
use shosoin_protocol::codec::{Reader, Writer};
use shosoin_protocol::entry::{Body, Deposit, DeviceChange, Entry, Expected, NameChange, PlacedEntry, Seen, Statement};
use shosoin_protocol::envelope::{Context, Encapsulated, Envelope, write_aad};
use shosoin_protocol::limits::{CHUNK_PLAIN_BYTES_MAX, CHUNK_PLAIN_BYTES_MIN, LOCK_DAYS_MAX};
use shosoin_protocol::manifest::*;
use shosoin_protocol::policy::{DepositPolicy, Label, RecordType, Retention};
use shosoin_protocol::receipt::{Durable, Inclusion, Receipt};
use shosoin_protocol::sign::SigningKey;
use shosoin_protocol::{Address, Digest, HospitalId, LogId, NameToken, RecordKind, Suite, VaultId, VersionId};

fn suite() -> impl Strategy<Value = Suite> {
    prop_oneof![Just(Suite::Default), Just(Suite::Cryptrec)]
}

fn key(suite: Suite, seed: u8) -> SigningKey {
    SigningKey::from_seed(suite, &[seed; 32].into()).unwrap()
}

fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest)
}

fn address() -> impl Strategy<Value = Address> {
    any::<[u8; 32]>().prop_map(Address)
}

fn version() -> impl Strategy<Value = VersionId> {
    any::<[u8; 16]>().prop_map(VersionId)
}

fn pairs(count: usize) -> impl Strategy<Value = Pairs> {
    btree_map("\\PC{1,20}", "\\PC{0,20}", 0..count).prop_map(|pairs| pairs.into_iter().collect())
}

fn checksum() -> impl Strategy<Value = Checksum> {
    use ChecksumAlgorithm::*;
    let algorithm = prop_oneof![Just(Crc32), Just(Crc32c), Just(Crc64Nvme), Just(Sha1), Just(Sha256)];
    (algorithm, any::<bool>(), any::<u8>()).prop_map(|(algorithm, full_object, fill)| Checksum {
        algorithm,
        full_object,
        value: vec![fill; algorithm.value_len()],
    })
}

fn part() -> impl Strategy<Value = PartFact> {
    (0..1u64 << 20, any::<[u8; 16]>(), digest(), option::of(checksum())).prop_map(
        |(size_bytes, md5, plain_digest, checksum)| PartFact { number: 1, size_bytes, md5, plain_digest, checksum },
    )
}

fn parts() -> impl Strategy<Value = (bool, Vec<PartFact>)> {
    let single = part().prop_map(|part| (false, vec![part]));
    let many = btree_map(1..=10_000u16, part(), 1..20)
        .prop_map(|parts| (true, parts.into_iter().map(|(number, part)| PartFact { number, ..part }).collect()));
    prop_oneof![single, many]
}

prop_compose! {
    fn place()(bucket in "[a-z0-9.-]{1,63}", name in "\\PC{1,200}") -> (String, String) {
        (bucket, name)
    }
}

prop_compose! {
    fn signer()(code in 0..6usize, certificate: [u8; 32], anchor in proptest::array::uniform32(1u8..), claimed in option::of(1u64..)) -> DocumentSigner {
        let standing = SignerStanding::ALL[code];
        let anchor = (standing == SignerStanding::Trusted).then_some(Digest(anchor));
        DocumentSigner { standing, certificate: Digest(certificate), anchor, claimed_ms: claimed }
    }
}

prop_compose! {
    fn signature()(
        judged_ms: u64,
        cms in vec(any::<u8>(), 1..200),
        signers in vec(signer(), 1..9),
    ) -> DocumentSignature {
        DocumentSignature { judged_ms, cms, signers }
    }
}

prop_compose! {
    fn facts()(
        (bucket, name) in place(),
        modified_ms: u64,
        null_version: bool,
        (multipart, parts) in parts(),
        headers in pairs(8),
        metadata in pairs(8),
        tags in pairs(8),
        checksum in option::of(checksum()),
        signature in option::of(signature()),
    ) -> ObjectFacts {
        let size_bytes = parts.iter().map(|part| part.size_bytes).sum();
        ObjectFacts { bucket, name, size_bytes, modified_ms, null_version, multipart, headers, metadata, tags, checksum, parts, signature }
    }
}

fn policy() -> impl Strategy<Value = DepositPolicy> {
    let retention = prop_oneof![
        Just(Retention::None),
        (any::<u32>(), option::of(any::<u64>()))
            .prop_map(|(term_days, start_ms)| Retention::Term { term_days, start_ms }),
    ];
    let label = prop_oneof![Just(Label::Ordinary), Just(Label::Sensitive), Just(Label::Restricted)];
    (0..14u16, label, retention).prop_map(|(number, label, retention)| DepositPolicy {
        record_type: RecordType::from_number(number).unwrap(),
        label,
        retention,
    })
}

prop_compose! {
    fn lifecycle_rule()(
        id in ".{0,20}",
        enabled: bool,
        prefix in ".{0,40}",
        expire_days: u32,
        expire_markers: bool,
        noncurrent_days in 1..=u32::MAX,
        noncurrent_kept: u32,
        abort_days: u32,
    ) -> LifecycleRule {
        LifecycleRule {
            id, enabled, prefix, expire_days, expire_markers, noncurrent_days, noncurrent_kept, abort_days,
        }
    }
}

fn rules() -> impl Strategy<Value = BucketRules> {
    let mode = prop_oneof![Just(LockMode::Governance), Just(LockMode::Compliance)];
    let period = prop_oneof![
        (1..=LOCK_DAYS_MAX).prop_map(LockPeriod::Days),
        (1..=LOCK_DAYS_MAX / 365).prop_map(LockPeriod::Years)
    ];
    let lock = (mode, period).prop_map(|(mode, period)| DefaultLock { mode, period });
    let lifecycle = vec(lifecycle_rule(), 0..4);
    (option::of(option::of(lock)), lifecycle).prop_map(|(lock, lifecycle)| BucketRules {
        object_lock: lock.is_some(),
        default_lock: lock.flatten(),
        lifecycle,
    })
}

prop_compose! {
    fn bucket()(
        (bucket, _) in place(),
        created_ms: u64,
        deleted: bool,
        versioning in prop_oneof![Just(Versioning::Off), Just(Versioning::Enabled), Just(Versioning::Suspended)],
        chunk_plain_bytes in CHUNK_PLAIN_BYTES_MIN..=CHUNK_PLAIN_BYTES_MAX,
        dedup_class: u8,
        codec in 0..2u8,
        policy in policy(),
        rules in rules(),
    ) -> BucketFacts {
        BucketFacts { bucket, created_ms, deleted, versioning, chunk_plain_bytes, dedup_class, codec, policy, rules }
    }
}

fn summary() -> impl Strategy<Value = Summary> {
    prop_oneof![
        facts().prop_map(Summary::Object),
        (place(), any::<u64>(), any::<bool>()).prop_map(|((bucket, name), modified_ms, null_version)| {
            Summary::Marker { bucket, name, modified_ms, null_version }
        }),
        bucket().prop_map(Summary::Bucket),
        (place(), version(), pairs(50)).prop_map(|((bucket, name), version, tags)| Summary::Tags {
            bucket,
            name,
            version,
            tags
        }),
        (place(), version()).prop_map(|((bucket, name), version)| Summary::Withdrawn { bucket, name, version }),
    ]
}

fn chunk() -> impl Strategy<Value = ChunkRef> {
    (address(), any::<[u8; 32]>(), 1..=CHUNK_PLAIN_BYTES_MAX).prop_map(|(address, t, plain_len)| ChunkRef {
        address,
        t,
        plain_len,
    })
}

fn root() -> impl Strategy<Value = ManifestRoot> {
    (facts(), vec(chunk(), 0..256), 257..100_000u32, any::<bool>()).prop_map(
        |(mut facts, inline, chunk_count, paged)| {
            if paged {
                let pages = (0..chunk_count.div_ceil(4096)).map(|page| Address([page.to_le_bytes()[0]; 32])).collect();
                return ManifestRoot { facts, inline: Vec::new(), pages, chunk_count };
            }
            facts.size_bytes = plain_bytes(&inline);
            (facts.multipart, facts.parts) =
                (false, vec![PartFact { number: 1, size_bytes: facts.size_bytes, ..facts.parts[0].clone() }]);
            let chunk_count = u32::try_from(inline.len()).unwrap();
            ManifestRoot { facts, inline, pages: Vec::new(), chunk_count }
        },
    )
}

fn expected() -> impl Strategy<Value = Expected> {
    prop_oneof![Just(Expected::Any), Just(Expected::Absent), version().prop_map(Expected::Version)]
}

fn body(suite: Suite) -> impl Strategy<Value = Body> {
    let change = || {
        (version(), expected(), any::<[u8; 32]>(), address()).prop_map(|(version, expected, token, summary)| {
            NameChange { version, expected, name_token: NameToken(token), summary }
        })
    };
    let deposit = (
        change(),
        [address(), address(), address()],
        [digest(), digest()],
        any::<(u32, u64)>(),
        (policy(), proptest::option::of(address())),
    );
    prop_oneof![
        deposit.prop_map(
            |(change, [manifest, address_list, wrap], [address_root, dek_commit], (count, bytes), (policy, report))| {
                Body::Deposit(Box::new(Deposit {
                    version: change.version,
                    expected: change.expected,
                    name_token: change.name_token,
                    manifest,
                    address_root,
                    address_list,
                    address_count: count,
                    stored_bytes: bytes,
                    dek_commit,
                    wrap,
                    summary: change.summary,
                    policy,
                    report,
                }))
            }
        ),
        change().prop_map(Body::Marker),
        change().prop_map(Body::Policy),
        (any::<bool>(), 1..200u8).prop_map(move |(enrol, seed)| {
            let log = LogId([1; 16]);
            Body::Device(DeviceChange::certify(log, enrol, key(suite, seed).public(), &key(suite, 1)))
        }),
        (any::<[u8; 16]>(), proptest::sample::select(ActKind::all().collect::<Vec<_>>()), any::<[u8; 16]>(), address())
            .prop_map(|(id, kind, subject, document)| {
                let subject = Some(VersionId(subject)).filter(|version| version.0 != [0; 16]);
                Body::Act(Act { id: VersionId(id), kind, subject, document })
            }),
    ]
}

fn entry() -> impl Strategy<Value = Entry> {
    let fields = (any::<[[u8; 16]; 2]>(), 1..u64::MAX, digest(), 1..u64::MAX, digest(), any::<u64>());
    (suite(), fields).prop_flat_map(|(suite, ([log, hospital], device_seq, prev, size, root, claimed_ms))| {
        body(suite).prop_map(move |body| {
            let device_key = key(suite, 2);
            let statement = Statement {
                suite,
                log: LogId(log),
                hospital: HospitalId(hospital),
                device: device_key.public().device_id(),
                device_seq,
                prev,
                seen: Seen { size, root },
                claimed_ms,
                body,
            };
            Entry::sign(statement, &device_key)
        })
    })
}

prop_compose! {
    fn checkpoint()(ids: [[u8; 16]; 2], size: u64, root in digest(), time_ms: u64, term: u64) -> Checkpoint {
        Checkpoint { vault: VaultId(ids[0]), hospital: HospitalId(ids[1]), size, root, time_ms, term }
    }
}

prop_compose! {
    fn inclusion()(index: u64, accepted_ms: u64, proof in vec(digest(), 0..64), head in checkpoint(), suite in suite()) -> Inclusion {
        Inclusion { index, accepted_ms, proof, checkpoint: head.sign(&key(suite, 3)) }
    }
}

fn receipt() -> impl Strategy<Value = Receipt> {
    let durable = prop_oneof![Just((1, 1)), (Just(2), 2..=255u8)];
    (digest(), inclusion(), durable, 1..=10u8, 1..=4u8, suite()).prop_map(
        |(leaf, inclusion, (level, sites), k, m, suite)| {
            Receipt::sign(leaf, inclusion, Durable { level, sites, k, m }, &key(suite, 3))
        },
    )
}

fn blob(count: usize) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..count).prop_map(Bytes::from)
}

fn context() -> impl Strategy<Value = Context> {
    prop_oneof![
        Just(Context::Chunk),
        (version(), 0..128u32, 1..=1u32, any::<[u8; 32]>()).prop_map(|(version, page, more, salt)| Context::Manifest {
            version,
            page,
            pages: page + more,
            salt
        }),
        (version(), any::<(u32, u32)>(), any::<[u8; 32]>())
            .prop_map(|(version, (epoch, wrap_no), salt)| Context::Wrap { version, epoch, wrap_no, salt }),
        (version(), any::<[u8; 32]>()).prop_map(|(version, salt)| Context::Summary { version, salt }),
        (version(), any::<[u8; 32]>())
            .prop_map(|(version, key)| Context::HospitalWrap { version, to: Encapsulated::X25519(key) }),
        (version(), any::<u8>())
            .prop_map(|(version, byte)| Context::HospitalSummary { version, to: Encapsulated::P256([byte; 65]) }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn of_summaries(summary in summary()) {
        prop_assert_eq!(Summary::decode(&summary.encode()), Ok(summary));
    }

    #[test]
    fn of_manifest_roots(root in root()) {
        prop_assert_eq!(ManifestRoot::decode(&root.encode()), Ok(root));
    }

    #[test]
    fn of_manifest_pages(chunks in vec(chunk(), 0..200)) {
        prop_assert_eq!(decode_page(&encode_page(&chunks)), Ok(chunks));
    }

    #[test]
    fn of_address_lists(addresses in vec(address(), 0..200)) {
        let list = AddressList::new(addresses.clone());
        prop_assert_eq!(AddressList::decode(&list.encode()), Ok(list));
        prop_assert_eq!(decode_addresses(&encode_addresses(&addresses)), Ok(addresses));
    }

    #[test]
    fn of_envelopes(suite in suite(), class: u8, hospital: [u8; 16], context in context(), commit: [u8; 32], sealed in blob(200)) {
        prop_assume!(sealed.len() >= 16);
        let class = if context == Context::Chunk { class } else { 0 };
        let len = u32::try_from(sealed.len()).unwrap();
        let aad = write_aad(suite, class, HospitalId(hospital), &context, &commit, len);
        prop_assert_eq!(aad.len(), context.aad_len());
        let whole = [&aad, &sealed[..]].concat();
        let envelope = Envelope::parse(&whole).unwrap();
        prop_assert_eq!((envelope.context, envelope.commit, envelope.header.class), (context, commit, class));
        prop_assert_eq!((envelope.aad, envelope.sealed), (&aad[..], &sealed[..]));
    }

    #[test]
    fn of_entries(entry in entry(), index: u64, accepted_ms: u64) {
        prop_assert_eq!(Entry::decode(entry.bytes()), Ok(entry.clone()));
        let placed = PlacedEntry { index, accepted_ms, entry };
        prop_assert_eq!(PlacedEntry::decode(&placed.encode()), Ok(placed));
    }

    #[test]
    fn of_checkpoints(head in checkpoint(), suite in suite()) {
        let key = key(suite, 3);
        prop_assert_eq!(Checkpoint::verify(&head.sign(&key), &key.public()), Ok(head));
    }

    #[test]
    fn of_receipts(receipt in receipt()) {
        prop_assert_eq!(Receipt::decode(&receipt.encode()), Ok(receipt));
    }

    #[test]
    fn of_deposit_batches(deposits in vec((blob(600), vec((0..5usize, blob(300)), 0..5)), 0..5)) {
        let deposits = deposits.into_iter().map(|(entry, records)| {
            let record = |(kind, bytes)| InlineRecord { kind: RecordKind::ALL[kind], bytes };
            DepositRequest { entry, records: records.into_iter().map(record).collect() }
        });
        let batch = DepositBatch { deposits: deposits.collect() };
        prop_assert_eq!(DepositBatch::decode(&batch.encode().into()), Ok(batch));
    }

    #[test]
    fn of_deposit_replies(receipts in vec(receipt(), 0..3), texts in vec(["\\PC{0,40}", "\\PC{0,40}", "\\PC{0,40}"], 0..3)) {
        let problem = |[kind, code, message]: [String; 3]| Err(Problem { kind, code, message });
        let replies = receipts.into_iter().map(Ok).chain(texts.into_iter().map(problem)).collect();
        let replies = DepositReplies { replies };
        prop_assert_eq!(DepositReplies::decode(&replies.encode()), Ok(replies));
    }

    #[test]
    fn of_log_pages(from in 0..u64::MAX / 2, items in vec((entry(), blob(200)), 0..4)) {
        let item = |(index, (entry, attachment))| {
            LogItem { placed: PlacedEntry { index, accepted_ms: 1, entry }, attachment }
        };
        let page = LogPage { items: (from..).zip(items).map(item).collect() };
        prop_assert_eq!(LogPage::decode(&page.encode().into()), Ok(page));
    }

    #[test]
    fn of_version_and_device_replies(entry in entry(), inclusion in inclusion(), wrap in blob(200), manifest in blob(600), next_seq: u64, prev in digest()) {
        let reply = VersionReply { entry: Bytes::copy_from_slice(entry.bytes()), inclusion, wrap, manifest };
        prop_assert_eq!(VersionReply::decode(&reply.encode().into()), Ok(reply));
        let reply = DeviceReply { next_seq, prev };
        prop_assert_eq!(DeviceReply::decode(&reply.encode()), Ok(reply));
    }

    #[test]
    fn of_policies(policy in policy()) {
        let mut out = Writer::new();
        policy.write(&mut out);
        let bytes = out.finish();
        prop_assert_eq!(bytes.len(), 16);
        prop_assert_eq!(DepositPolicy::read(&mut Reader::new(&bytes, "policy")), Ok(policy));
    }
}
