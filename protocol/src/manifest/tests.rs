use super::*;

fn part(number: u16, size_bytes: u64) -> PartFact {
    PartFact { number, size_bytes, md5: [number.to_le_bytes()[0]; 16], plain_digest: Digest([0; 32]), checksum: None }
}

fn facts(multipart: bool, parts: Vec<PartFact>) -> ObjectFacts {
    ObjectFacts {
        bucket: "b".to_owned(),
        name: "n".to_owned(),
        size_bytes: parts.iter().map(|part| part.size_bytes).sum(),
        modified_ms: 0,
        null_version: false,
        multipart,
        headers: Vec::new(),
        metadata: Vec::new(),
        tags: Vec::new(),
        checksum: None,
        parts,
        signature: None,
    }
}

#[test]
fn the_etag_of_a_single_upload_is_its_md5() {
    assert_eq!(facts(false, vec![part(1, 5)]).etag(|_| [0xff; 16]), "01".repeat(16));
}

#[test]
fn the_etag_of_a_multipart_is_the_md5_of_the_md5s_and_the_count() {
    let seen = |bytes: &[u8]| {
        assert_eq!(bytes, [[2; 16], [9; 16]].concat());
        [0xab; 16]
    };
    assert_eq!(facts(true, vec![part(2, 5), part(9, 1)]).etag(seen), format!("{}-2", "ab".repeat(16)));
    assert_eq!(facts(true, vec![part(1, 5)]).etag(|_| [0xab; 16]), format!("{}-1", "ab".repeat(16)));
}

#[test]
fn the_largest_facts_there_can_be_fit_their_limit() {
    let mut largest = facts(true, (1..=10_000).map(|number| part(number, 1)).collect());
    let sha256 = Checksum { algorithm: ChecksumAlgorithm::Sha256, full_object: false, value: vec![0; 32] };
    largest.parts.iter_mut().for_each(|part| part.checksum = Some(sha256.clone()));
    largest.checksum = Some(sha256);
    (largest.bucket, largest.name) = ("b".repeat(BUCKET_BYTES_MAX), "n".repeat(NAME_BYTES_MAX));
    let fill = |count: usize, bytes: usize| -> Pairs {
        let spare = bytes - count * 3;
        let mut pairs: Pairs = (0..count).map(|n| (format!("{n:03}"), String::new())).collect();
        pairs[0].1 = "v".repeat(spare);
        pairs
    };
    largest.headers = fill(PAIRS_MAX, HEADERS_BYTES_MAX);
    largest.metadata = fill(PAIRS_MAX, USER_METADATA_BYTES_MAX);
    largest.tags = fill(TAGS_MAX, TAGS_BYTES_MAX);
    let signer = DocumentSigner {
        standing: SignerStanding::Trusted,
        certificate: Digest([1; 32]),
        anchor: Some(Digest([2; 32])),
        claimed_ms: Some(3),
    };
    let (cms, signers) = (vec![0x30; DOCUMENT_SIGNATURE_BYTES_MAX], vec![signer; DOCUMENT_SIGNERS_MAX]);
    largest.signature = Some(DocumentSignature { judged_ms: 4, cms, signers });
    let bytes = Summary::Object(largest.clone()).encode();
    assert!(bytes.len() <= FACTS_BYTES_MAX, "{} bytes", bytes.len());
    assert_eq!(Summary::decode(&bytes), Ok(Summary::Object(largest)));
}

#[test]
fn an_address_list_is_one_record_however_large_the_object() {
    let addresses = (0..ADDRESS_LIST_MAX as u64).map(|n| {
        let mut address = [0; 32];
        address[..8].copy_from_slice(&n.to_be_bytes());
        Address(address)
    });
    let list = AddressList::new(addresses.collect());
    let bytes = list.encode();
    assert!(bytes.len() < RECORD_BYTES_MAX);
    assert_eq!(AddressList::decode(&bytes), Ok(list));
}

#[test]
fn an_address_list_is_a_set() {
    let (a, b) = (Address([1; 32]), Address([2; 32]));
    assert_eq!(AddressList::new(vec![b, a, b]), AddressList::new(vec![a, b]));
    assert_eq!(AddressList::new(vec![b, a, b]).addresses(), [a, b]);
}

#[test]
fn a_count_without_its_bytes_costs_no_memory_worth_naming() {
    let mut page = u32::try_from(MANIFEST_PAGE_ENTRIES_MAX).unwrap().to_le_bytes().to_vec();
    page.extend([0; 10]);
    assert!(matches!(decode_page(&page), Err(Error::Truncated { .. })));
}
