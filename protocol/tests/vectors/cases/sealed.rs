//! Envelopes from outside, and what manifests and summaries hold inside.

use super::{Made, World, append, cut, put};
use shosoin_protocol::act::LockMode;
use shosoin_protocol::bucket_rules::{BucketRules, DefaultLock, LifecycleRule, LockPeriod};
use shosoin_protocol::envelope::{COMMIT_LEN, Context, Encapsulated, write_aad};
use shosoin_protocol::limits::CHUNK_PLAIN_BYTES_DEFAULT;
use shosoin_protocol::manifest::{
    AddressList, BucketFacts, Checksum, ChecksumAlgorithm, ChunkRef, DocumentSignature, DocumentSigner, ManifestRoot,
    ObjectFacts, Pairs, PartFact, SignerStanding, Summary, Versioning, encode_page,
};
use shosoin_protocol::policy::DepositPolicy;
use shosoin_protocol::{Address, Digest, Suite, VersionId};

const VERSION: VersionId = VersionId([8; 16]);

pub fn all() -> Vec<Made> {
    let [one, two] = World::both();
    [
        envelopes(&one),
        envelopes(&two),
        wrong_envelopes(&one, &two),
        roots(),
        pages(),
        address_lists(),
        summaries(),
        wrong_facts(),
        wrong_signatures(),
        wrong_summaries(),
    ]
    .concat()
}

fn envelope(world: &World, name: &str, class: u8, context: Context) -> Made {
    let sealed: Vec<u8> = (0..48).collect();
    let aad = write_aad(world.suite, class, world.hospital, &context, &[0xcc; COMMIT_LEN], 48);
    let (kind, note) = match context {
        Context::Chunk => (1, "Header of a chunk over bytes that stand for sealed ones."),
        Context::Manifest { .. } => (2, "Header of a manifest page over bytes that stand for sealed ones."),
        Context::Wrap { .. } => (3, "Header of a wrap over bytes that stand for sealed ones."),
        Context::Summary { .. } => (4, "Header of a summary over bytes that stand for sealed ones."),
        Context::HospitalWrap { .. } => {
            (6, "Header of a data key sealed to the hospital, over bytes that stand for it.")
        }
        Context::HospitalSummary { .. } => {
            (7, "Header of a summary sealed to the hospital, over bytes that stand for it.")
        }
    };
    let name = format!("envelope/valid-{name}-suite-{}", world.suite.code());
    Made::new(name, "envelope", note, [aad, sealed].concat()).with("hospital", world.hospital).with("type", kind)
}

fn envelopes(world: &World) -> Vec<Made> {
    vec![
        envelope(world, "chunk", 3, Context::Chunk),
        envelope(world, "manifest", 0, Context::Manifest { version: VERSION, page: 1, pages: 3, salt: [0x5c; 32] }),
        envelope(world, "wrap", 0, Context::Wrap { version: VERSION, epoch: 1, wrap_no: 0, salt: [0x5a; 32] }),
        envelope(world, "summary", 0, Context::Summary { version: VERSION, salt: [0x5b; 32] }),
        envelope(world, "hospital-wrap", 0, Context::HospitalWrap { version: VERSION, to: encapsulated(world) }),
        envelope(world, "hospital-summary", 0, Context::HospitalSummary { version: VERSION, to: encapsulated(world) }),
    ]
}

/// Bytes that stand for an encapsulated key.
fn encapsulated(world: &World) -> Encapsulated {
    match world.suite {
        Suite::Default => Encapsulated::X25519([0x5e; 32]),
        Suite::Cryptrec => Encapsulated::P256([0x5f; 65]),
    }
}

fn wrong_envelopes(world: &World, foreign: &World) -> Vec<Made> {
    let chunk = envelope(world, "chunk", 3, Context::Chunk);
    let sealed_to =
        envelope(world, "hospital-wrap", 0, Context::HospitalWrap { version: VERSION, to: encapsulated(world) });
    let page =
        envelope(world, "manifest", 0, Context::Manifest { version: VERSION, page: 1, pages: 3, salt: [0x5c; 32] });
    vec![
        sealed_to.wrong("hospital-wrap-kem", "KEM 9.", ("Invalid", "KEM"), put(48, &[9])),
        sealed_to.wrong("hospital-wrap-x-wing", "A KEM that deposits do not use.", ("Invalid", "KEM"), put(48, &[3])),
        sealed_to.wrong(
            "hospital-wrap-reserved",
            "A reserved byte is set.",
            ("Invalid", "reserved bytes"),
            put(51, &[1]),
        ),
        chunk.wrong("empty", "No bytes at all.", ("Truncated", "envelope magic"), |body| body.clear()),
        chunk.wrong("magic", "Begins like an entry.", ("Magic", "envelope"), put(0, b"shse")),
        chunk.wrong(
            "newer-version",
            "Says version 2, which no release has written.",
            ("Version", "envelope"),
            put(4, &[2]),
        ),
        chunk.wrong("version-zero", "Says version 0, which is none.", ("Version", "envelope"), put(4, &[0])),
        chunk.wrong("suite", "Names suite 0.", ("Suite", "0"), put(5, &[0])),
        chunk.wrong("unknown-type", "Type 5 does not exist.", ("Invalid", "envelope type"), put(6, &[5])),
        chunk.wrong("type", "A chunk where a summary belongs.", ("Invalid", "envelope type"), |_| {}).with("type", 4),
        chunk.wrong("foreign-hospital", "A chunk of another hospital.", ("Mismatch", "hospital"), |body| {
            body[8..24].copy_from_slice(&foreign.hospital.0);
        }),
        chunk.wrong("reserved", "Reserved bytes are not zero.", ("Invalid", "reserved bytes"), put(31, &[1])),
        chunk.wrong("shorter-than-its-tag", "Says 15 sealed bytes.", ("Invalid", "sealed length"), put(24, &[15])),
        chunk.wrong(
            "sealed-length",
            "Says more sealed bytes than there are.",
            ("Truncated", "sealed bytes"),
            put(24, &[49]),
        ),
        chunk.wrong(
            "length-of-four-gib",
            "Says 4 GiB of sealed bytes.",
            ("Truncated", "sealed bytes"),
            put(24, &[0xff; 4]),
        ),
        chunk.wrong("truncated-header", "Ends inside the header.", ("Truncated", "hospital id"), |body| {
            body.truncate(20)
        }),
        chunk.wrong("truncated-commit", "Ends inside the commitment.", ("Truncated", "key commitment"), |body| {
            body.truncate(40)
        }),
        chunk.wrong("trailing", "One byte follows the sealed bytes.", ("Trailing", "envelope"), append(0)),
        page.wrong("class", "A manifest page with a dedup class.", ("Invalid", "class"), put(7, &[1])),
        page.wrong("page-past-the-end", "Page 3 of 3.", ("Invalid", "page number"), put(48, &[3])),
        page.wrong("no-pages", "Page 1 of none.", ("Invalid", "page number"), put(52, &[0])),
        page.wrong("too-many-pages", "More pages than a manifest has.", ("OverLimit", "page count"), put(52, &[0x82])),
    ]
}

fn chunk(fill: u8, plain_len: u32) -> ChunkRef {
    ChunkRef { address: Address([fill; 32]), t: [fill ^ 0xff; 32], plain_len }
}

fn part(number: u16, size_bytes: u64) -> PartFact {
    let digest = Digest([0x66; 32]);
    PartFact { number, size_bytes, md5: [0x55; 16], plain_digest: digest, checksum: None }
}

fn pairs(from: &[(&str, &str)]) -> Pairs {
    from.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

fn facts() -> ObjectFacts {
    ObjectFacts {
        bucket: "radiology".to_owned(),
        name: "2026/CT 0001.dcm".to_owned(),
        size_bytes: 5_000_000,
        modified_ms: 1_767_225_600_000,
        null_version: false,
        multipart: false,
        headers: pairs(&[("cache-control", "no-store"), ("content-type", "application/dicom")]),
        metadata: pairs(&[("modality", "CT"), ("station", "ct-2")]),
        tags: pairs(&[("study", "1")]),
        checksum: Some(Checksum { algorithm: ChecksumAlgorithm::Crc32c, full_object: true, value: vec![1, 2, 3, 4] }),
        parts: vec![part(1, 5_000_000)],
        signature: None,
    }
}

fn multipart() -> ObjectFacts {
    let mut facts = facts();
    let checksum = Checksum { algorithm: ChecksumAlgorithm::Sha256, full_object: false, value: vec![7; 32] };
    (facts.multipart, facts.null_version, facts.checksum) = (true, true, Some(checksum.clone()));
    facts.parts = vec![part(2, 3_000_000), part(7, 2_000_000)];
    facts.parts[0].checksum = Some(checksum);
    facts
}

/// A document with a signature of two people, of whom one was trusted.
fn signed() -> ObjectFacts {
    let (certificate, anchor) = (Digest([0x71; 32]), Some(Digest([0x72; 32])));
    let trusted =
        DocumentSigner { standing: SignerStanding::Trusted, certificate, anchor, claimed_ms: Some(1_767_225_500_000) };
    let expired = DocumentSigner {
        standing: SignerStanding::Expired,
        certificate: Digest([0x73; 32]),
        anchor: None,
        claimed_ms: None,
    };
    let (cms, signers) = (vec![0x30, 3, 2, 1, 0], vec![trusted, expired]);
    ObjectFacts { signature: Some(DocumentSignature { judged_ms: 1_767_225_590_000, cms, signers }), ..facts() }
}

fn wrong_signatures() -> Vec<Made> {
    let good = summary("valid-signed-object", "A document with a signature of two people.", &Summary::Object(signed()));
    let edited = |name: &str, note: &str, expect, edit: fn(&mut DocumentSignature)| {
        let mut wrong = signed();
        wrong.signature.iter_mut().for_each(edit);
        good.wrong(name, note, expect, |body| *body = Summary::Object(wrong).encode())
    };
    let tail = 4 + 2 * 73; // count and signers
    let form_at = |body: &[u8]| body.len() - tail - (1 + 8 + 4 + 5);
    vec![
        edited("signature-empty", "A signature of no bytes.", ("Invalid", "document signature"), |signature| {
            signature.cms.clear()
        }),
        edited("signature-of-nobody", "No signer.", ("Invalid", "document signature"), |signature| {
            signature.signers.clear()
        }),
        edited("signature-over-limit", "A signature over 16 KiB.", ("OverLimit", "document signature"), |signature| {
            signature.cms = vec![0x30; 16 * 1024 + 1]
        }),
        edited("too-many-signers", "Nine signers.", ("OverLimit", "signers of a document"), |signature| {
            signature.signers = vec![signature.signers[0].clone(); 9]
        }),
        edited(
            "trusted-without-anchor",
            "A trusted signer whose anchor is zero.",
            ("Invalid", "anchor"),
            |signature| signature.signers[0].anchor = None,
        ),
        edited(
            "expired-with-anchor",
            "An anchor of a signer who is not trusted.",
            ("Invalid", "anchor"),
            |signature| signature.signers[1].anchor = Some(Digest([1; 32])),
        ),
        good.wrong("signature-form", "Another form than detached CMS.", ("Invalid", "form of"), |body| {
            let at = form_at(body);
            body[at] = 2;
        }),
        good.wrong("signer-standing", "A standing without meaning.", ("Invalid", "standing"), |body| {
            let at = body.len() - 2 * 73;
            body[at] = 7;
        }),
        good.wrong("signature-truncated", "The last signer lacks its last byte.", ("Truncated", "claimed"), cut(1)),
        good,
    ]
}

fn root(facts: ObjectFacts) -> ManifestRoot {
    let rest = u32::try_from(facts.size_bytes).expect("a small object") - CHUNK_PLAIN_BYTES_DEFAULT;
    let inline = vec![chunk(0xa1, CHUNK_PLAIN_BYTES_DEFAULT), chunk(0xa2, rest)];
    ManifestRoot { facts, inline, pages: Vec::new(), chunk_count: 2 }
}

fn manifest(name: &str, note: &str, root: &ManifestRoot) -> Made {
    Made::new(format!("manifest-root/{name}"), "manifest-root", note, root.encode())
}

fn roots() -> Vec<Made> {
    let small = root(facts());
    let mut empty = small.clone();
    (empty.facts.size_bytes, empty.facts.parts[0].size_bytes) = (0, 0);
    (empty.inline, empty.chunk_count) = (Vec::new(), 0);
    let mut paged = root(facts());
    (paged.inline, paged.chunk_count) = (Vec::new(), 4097);
    paged.pages = vec![Address([0xb1; 32]), Address([0xb2; 32])];
    let edited = |name: &str, note: &str, what: &'static str, edit: fn(&mut ManifestRoot)| {
        let mut wrong = root(facts());
        edit(&mut wrong);
        manifest("valid", "", &small).wrong(name, note, ("Invalid", what), |body| *body = wrong.encode())
    };
    vec![
        edited("one-chunk-missing", "The count says two, one is there.", "manifest root", |root| {
            root.inline.truncate(1)
        }),
        edited("chunks-do-not-sum", "The chunks hold one byte less than the object.", "manifest root", |root| {
            root.inline[1].plain_len -= 1
        }),
        edited("empty-chunk", "A chunk of no bytes.", "plain length", |root| root.inline[1].plain_len = 0),
        edited("oversize-chunk", "A chunk over 16 MiB.", "plain length", |root| root.inline[1].plain_len = 16_777_217),
        edited("both-forms", "Chunks inline, and pages as well.", "manifest root", |root| {
            root.pages.push(Address([1; 32]))
        }),
        edited("few-chunks-in-pages", "256 chunks fit inline, and are in a page.", "manifest root", |root| {
            (root.inline, root.chunk_count, root.pages) = (Vec::new(), 256, vec![Address([1; 32])]);
        }),
        edited("half-full-pages", "4,096 chunks in two pages.", "manifest root", |root| {
            (root.inline, root.chunk_count) = (Vec::new(), 4096);
            root.pages = vec![Address([1; 32]), Address([2; 32])];
        }),
        manifest("valid", "", &small).wrong("trailing", "One byte follows.", ("Trailing", "manifest root"), append(0)),
        manifest("valid-inline", "An object of two chunks, with every kind of fact.", &small),
        manifest("valid-empty-object", "An object of no bytes has one part and no chunk.", &empty),
        manifest("valid-multipart", "Parts 2 and 7; a `null` version; checksums over parts.", &root(multipart())),
        manifest("valid-paged", "4,097 chunks are in two pages.", &paged),
    ]
}

fn pages() -> Vec<Made> {
    let body = encode_page(&[chunk(0xa1, CHUNK_PLAIN_BYTES_DEFAULT), chunk(0xa2, 17)]);
    let good = Made::new("manifest-page/valid", "manifest-page", "Two chunks of a further page.", body);
    vec![
        good.wrong("truncated", "The last chunk lacks its last byte.", ("Truncated", "plain length"), cut(1)),
        good.wrong("over-limit", "4,097 chunks in one page.", ("OverLimit", "chunks"), put(0, &[1, 16])),
        good.wrong(
            "count-of-four-billion",
            "A count that would need 280 GiB.",
            ("OverLimit", "chunks"),
            put(0, &[0xff; 4]),
        ),
        good.wrong("trailing", "A chunk more than the count.", ("Trailing", "manifest page"), |body| body[0] = 1),
        good,
    ]
}

fn address_lists() -> Vec<Made> {
    let list = AddressList::new(vec![Address([3; 32]), Address([1; 32]), Address([2; 32])]);
    let good = Made::new("address-list/valid", "address-list", "Three addresses, ascending.", list.encode());
    let good = good.with("root", list.root());
    let none = AddressList::new(Vec::new());
    let order = ("Invalid", "addresses must ascend");
    vec![
        good.wrong("reordered", "The last two addresses changed places.", order, |body| {
            body[36..68].fill(3);
            body[68..100].fill(2);
        }),
        good.wrong("duplicate", "One address twice.", order, |body| body[68..100].fill(2)),
        good.wrong("truncated", "The last address lacks its last byte.", ("Invalid", "length must match"), cut(1)),
        good.wrong("trailing", "One byte follows.", ("Invalid", "length must match"), append(0)),
        good.wrong("over-limit", "More addresses than an object has.", ("OverLimit", "addresses"), put(0, &[0xff; 4])),
        good.wrong("other-root", "A true list, of another version.", ("Mismatch", "root"), |_| {})
            .with("root", none.root()),
        Made::new(
            "address-list/valid-empty",
            "address-list",
            "An object of no bytes depends on nothing.",
            none.encode(),
        )
        .with("root", none.root()),
        good,
    ]
}

fn summary(name: &str, note: &str, summary: &Summary) -> Made {
    Made::new(format!("summary/{name}"), "summary", note, summary.encode())
}

fn marker(bucket: &str, name: &str) -> Summary {
    let (bucket, name) = (bucket.to_owned(), name.to_owned());
    Summary::Marker { bucket, name, modified_ms: 1_767_225_600_000, null_version: true }
}

fn bucket() -> BucketFacts {
    BucketFacts {
        bucket: "radiology".to_owned(),
        created_ms: 1_767_225_600_000,
        deleted: false,
        versioning: Versioning::Enabled,
        chunk_plain_bytes: CHUNK_PLAIN_BYTES_DEFAULT,
        dedup_class: 1,
        codec: 0,
        policy: DepositPolicy::default(),
        rules: BucketRules::default(),
    }
}

/// A bucket with object lock, a lock by default, and two lifecycle rules.
fn bucket_with_rules() -> BucketFacts {
    let default_lock = Some(DefaultLock { mode: LockMode::Compliance, period: LockPeriod::Years(5) });
    let hides = LifecycleRule {
        id: "replaced".to_owned(),
        enabled: true,
        prefix: "2026/".to_owned(),
        expire_days: 1827,
        expire_markers: true,
        noncurrent_days: 30,
        noncurrent_kept: 2,
        abort_days: 0,
    };
    let aborts = LifecycleRule { id: "uploads".to_owned(), abort_days: 7, ..LifecycleRule::default() };
    let rules = BucketRules { object_lock: true, default_lock, lifecycle: vec![hides, aborts] };
    BucketFacts { rules, ..bucket() }
}

fn summaries() -> Vec<Made> {
    let (bucket_name, name) = ("radiology".to_owned(), "記録/1".to_owned());
    let tags = Summary::Tags { bucket: bucket_name.clone(), name: name.clone(), version: VERSION, tags: facts().tags };
    let withdrawn = Summary::Withdrawn { bucket: bucket_name, name, version: VERSION };
    vec![
        summary("valid-object", "A version was stored.", &Summary::Object(facts())),
        summary("valid-marker", "A delete marker that S3 calls `null`.", &marker("radiology", "2026/CT 0001.dcm")),
        summary("valid-bucket", "A bucket was made.", &Summary::Bucket(bucket())),
        summary(
            "valid-bucket-rules",
            "A bucket with object lock, a default lock and lifecycle rules.",
            &Summary::Bucket(bucket_with_rules()),
        ),
        summary("valid-tags", "The tags of a version changed; the name is not ASCII.", &tags),
        summary("valid-withdrawn", "A version was withdrawn from view.", &withdrawn),
        summary("valid-longest-name", "A name of 1,024 bytes.", &marker("b", &"n".repeat(1024))),
    ]
}

fn wrong_facts() -> Vec<Made> {
    let good = summary("valid-object", "", &Summary::Object(facts()));
    let edited = |name: &str, note: &str, expect, edit: fn(&mut ObjectFacts)| {
        let mut wrong = facts();
        edit(&mut wrong);
        good.wrong(name, note, expect, |body| *body = Summary::Object(wrong).encode())
    };
    vec![
        edited("reordered-pairs", "Metadata out of order.", ("Invalid", "user metadata"), |facts| {
            facts.metadata.reverse()
        }),
        edited("duplicate-pair", "One header twice.", ("Invalid", "headers"), |facts| {
            facts.headers[0].0 = "content-type".to_owned()
        }),
        edited("nameless-pair", "A tag without a name.", ("Invalid", "tags"), |facts| facts.tags[0].0.clear()),
        edited("metadata-over-limit", "Metadata over 2 KiB together.", ("OverLimit", "user metadata"), |facts| {
            facts.metadata = pairs(&[("a", &"x".repeat(1024)), ("b", &"x".repeat(1023))]);
        }),
        edited("too-many-tags", "51 tags.", ("OverLimit", "tags"), |facts| {
            facts.tags = (10..61).map(|n| (n.to_string(), String::new())).collect();
        }),
        edited("reordered-parts", "Part 7 before part 2.", ("Invalid", "parts"), |facts| {
            *facts = multipart();
            facts.parts.reverse();
        }),
        edited("duplicate-part", "Part 2 twice.", ("Invalid", "parts"), |facts| {
            *facts = multipart();
            facts.parts[1].number = 2;
        }),
        edited("part-zero", "Parts count from 1.", ("Invalid", "part number"), |facts| facts.parts[0].number = 0),
        edited("part-10001", "One part number too many.", ("Invalid", "part number"), |facts| {
            facts.parts[0].number = 10_001
        }),
        edited("no-part", "An object without parts.", ("Invalid", "parts"), |facts| {
            facts.parts.clear();
            facts.size_bytes = 0;
        }),
        edited("two-parts-of-one", "A single upload in two parts.", ("Invalid", "parts"), |facts| {
            *facts = multipart();
            facts.multipart = false;
        }),
        edited("size", "The size is not the sum of the parts.", ("Invalid", "size"), |facts| facts.size_bytes += 1),
        edited("size-over-limit", "One byte over 5 TiB.", ("OverLimit", "size"), |facts| {
            facts.size_bytes = 5 * (1 << 40) + 1;
            facts.parts[0].size_bytes = facts.size_bytes;
        }),
        edited("sizes-overflow", "Parts whose sum does not fit 64 bits.", ("Invalid", "size"), |facts| {
            *facts = multipart();
            facts.parts.iter_mut().for_each(|part| part.size_bytes = u64::MAX);
        }),
        edited("name-over-limit", "A name of 1,025 bytes.", ("OverLimit", "name"), |facts| {
            facts.name = "n".repeat(1025)
        }),
        edited("empty-name", "An object without a name.", ("Invalid", "name"), |facts| facts.name.clear()),
        edited("empty-bucket", "A bucket without a name.", ("Invalid", "bucket"), |facts| facts.bucket.clear()),
        edited(
            "zero-byte-in-bucket",
            "A bucket name that would collide in name tokens.",
            ("Invalid", "bucket"),
            |facts| facts.bucket = "a\0b".to_owned(),
        ),
        good.wrong("object-flags", "An unknown flag.", ("Invalid", "object flags"), put(50, &[4])),
        good.wrong("name-not-utf-8", "A name that is not text.", ("Invalid", "UTF-8"), put(18, &[0xff])),
    ]
}

fn wrong_summaries() -> Vec<Made> {
    let good = summary("valid-bucket", "", &Summary::Bucket(bucket()));
    let put_down = summary("valid-marker", "", &marker("radiology", "x"));
    vec![
        good.wrong("kind", "Kind 6 does not exist.", ("Invalid", "summary kind"), put(0, &[6])),
        good.wrong("type", "The facts of a bucket, called a marker.", ("OverLimit", "name"), put(0, &[2])),
        good.wrong("deleted-two", "A truth value of 2.", ("Invalid", "deleted"), put(22, &[2])),
        good.wrong("versioning", "A state S3 does not have.", ("Invalid", "versioning"), put(23, &[3])),
        good.wrong("chunk-size", "Chunks of 16 bytes.", ("Invalid", "chunk size"), put(24, &[16, 0, 0, 0])),
        good.wrong("codec", "Codec 2 does not exist.", ("Invalid", "codec"), put(29, &[2])),
        good.wrong("truncated", "Ends inside the policy.", ("Truncated", "retention start"), cut(1)),
        put_down.wrong("trailing", "One byte follows.", ("Trailing", "summary"), append(0)),
    ]
}
