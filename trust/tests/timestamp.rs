//! Timestamps of OpenSSL's own authority: good ones prove their time, everything else is refused by name.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod openssl;

use openssl::{ENDED, GOOD, OpenSsl, set_time};
use proptest::prelude::*;
use shosoin_protocol::{Digest, ErrorKind};
use shosoin_trust::timestamp::{Query, Token, judge, token_of};
use shosoin_trust::{Anchors, Error, HashName};

const YEAR_MS: u64 = 365 * 86_400_000;
const NONCE: [u8; 16] = [0x5a; 16];

fn now_ms() -> u64 {
    u64::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

fn anchors(root: &OpenSsl) -> Anchors {
    Anchors::read(&root.read("ca.pem"), &[entered(&root.fingerprint("ca"))]).unwrap()
}

fn entered(fingerprint: &str) -> Digest {
    fingerprint.replace(':', "").to_lowercase().parse().unwrap()
}

/// A root whose authority answers, and its answer about `content`.
fn scene(content: &[u8]) -> (OpenSsl, Query, Vec<u8>) {
    let root = OpenSsl::new("Root");
    root.issue_ec("clock", "tsa", GOOD);
    let query = Query::new(HashName::Sha512, content, NONCE);
    let answer = root.answer("clock", &query.encode().unwrap());
    (root, query, answer)
}

fn token(answer: &[u8]) -> Token {
    Token::read(&token_of(answer).unwrap()).unwrap()
}

#[test]
fn a_timestamp_of_openssl_proves_its_time_to_whoever_trusts_the_root() {
    let before = now_ms() / 1000 * 1000;
    let (root, query, answer) = scene(b"a ledger head");
    let token = token(&answer);
    token.answers(&query).unwrap();
    token.covers(b"a ledger head").unwrap();
    token.agrees(before, now_ms(), 0).unwrap();
    let proved = token.prove(&anchors(&root), now_ms()).unwrap();
    assert!((before..=now_ms()).contains(&proved.made_ms));
    assert_eq!((proved.hash, proved.accuracy_ms, proved.policy.as_str()), (HashName::Sha512, 1000, "1.2.3.4.1"));
    assert_eq!(proved.authority.anchor, entered(&root.fingerprint("ca")));
    assert_eq!(proved.authority.certificate, entered(&root.fingerprint("clock")));
    assert!(proved.authority.subject.contains("clock"));
    assert_eq!(proved.authority.until_ms, 2_366_841_600_000, "the certificate ends with 2044");
}

#[test]
fn rsa_authorities_and_every_strong_digest_are_understood() {
    let root = OpenSsl::new("Root");
    root.issue("rsa", "tsa", &["rsa:2048"], GOOD);
    for hash in HashName::ALL {
        let query = Query::new(hash, b"x", NONCE);
        let token = token(&root.answer("rsa", &query.encode().unwrap()));
        token.answers(&query).unwrap();
        assert_eq!(token.prove(&anchors(&root), now_ms()).unwrap().hash, hash);
    }
    root.issue("weak", "tsa", &["rsa:1024"], GOOD);
    let weak = token(&root.answer("weak", &Query::new(HashName::Sha256, b"x", NONCE).encode().unwrap()));
    assert!(matches!(weak.prove(&anchors(&root), now_ms()), Err(Error::Forged { .. })), "1,024 bits prove nothing");
}

#[test]
fn an_answer_to_another_query_is_refused_by_what_differs() {
    let (_root, query, answer) = scene(b"a ledger head");
    let token = token(&answer);
    let other = |query: Query, wanted: &str| match token.answers(&query) {
        Err(Error::OtherQuery { what }) => assert_eq!(what, wanted),
        answered => panic!("{answered:?}"),
    };
    other(Query::new(HashName::Sha512, b"a ledger head", [1; 16]), "nonce");
    other(Query::new(HashName::Sha512, b"another head", NONCE), "imprint");
    other(Query::new(HashName::Sha256, b"a ledger head", NONCE), "hash function");
    assert!(matches!(token.covers(b"another head"), Err(Error::OtherContent)));
    assert!(Query::read(&query.encode().unwrap()).unwrap().is_about(b"a ledger head"));
}

#[test]
fn an_unknown_issuer_an_ended_certificate_and_another_purpose_are_refused() {
    let (root, query, answer) = scene(b"x");
    let (stranger, now) = (OpenSsl::new("Root"), now_ms());
    let refused = token(&answer).prove(&anchors(&stranger), now).unwrap_err();
    assert!(matches!(refused, Error::UnknownIssuer { .. }), "the same name is not the same root: {refused}");
    assert_eq!(refused.kind(), ErrorKind::Refused);
    // OpenSSL signs with a certificate that has ended; nobody believes it
    root.issue_ec("ended", "tsa", ENDED);
    let ended = token(&root.answer("ended", &query.encode().unwrap()));
    assert!(matches!(ended.prove(&anchors(&root), now), Err(Error::Expired { .. })));
    // nor one that ends between the timestamp and the day it is judged
    assert!(matches!(token(&answer).prove(&anchors(&root), now + 30 * YEAR_MS), Err(Error::Expired { .. })));
    for purpose in ["signer", "server"] {
        root.issue_ec(purpose, purpose, GOOD);
        let changed = token(&root.changed_answer(purpose, &answer, |_| {}));
        assert!(matches!(changed.prove(&anchors(&root), now), Err(Error::Purpose { .. })), "{purpose}");
    }
}

#[test]
fn a_clock_that_disagrees_is_told_with_both_times() {
    let (root, query, answer) = scene(b"x");
    let early = token(&root.changed_answer("clock", &answer, |said| set_time(said, "20260101000000Z")));
    early.answers(&query).unwrap();
    early.prove(&anchors(&root), now_ms()).unwrap();
    let (asked, answered) = (1_767_225_600_000 + 3_600_000, 1_767_225_600_000 + 3_601_000);
    let refused = early.agrees(asked, answered, 900_000).unwrap_err();
    assert!(refused.to_string().contains("the authority says 1767225600000"), "{refused}");
    early.agrees(asked, answered, 3_600_000).unwrap();
    early.agrees(1_767_225_600_000 - 900_000, 1_767_225_600_000 - 900_000, 900_000).unwrap();
}

#[test]
fn a_refusal_of_the_authority_says_why() {
    let root = OpenSsl::new("Root");
    root.issue_ec("clock", "tsa", GOOD);
    let config = String::from_utf8(root.read("openssl.cnf")).unwrap();
    root.write("openssl.cnf", config.replace("digests = sha256, sha384, sha512", "digests = sha256").as_bytes());
    let answer = root.answer("clock", &Query::new(HashName::Sha512, b"x", NONCE).encode().unwrap());
    let refused = token_of(&answer).unwrap_err();
    assert!(matches!(&refused, Error::Refused { status: 2, why } if !why.is_empty()), "{refused}");
}

#[test]
fn a_chain_outlives_its_first_authority_if_it_was_renewed_in_time_and_not_otherwise() {
    let root = OpenSsl::new("Root");
    root.issue_ec("first", "tsa", ("20250101000000Z", "20300101000000Z"));
    root.issue_ec("second", "tsa", ("20280101000000Z", "20450101000000Z"));
    let made = |signer: &str, content: &[u8], time: &str| {
        let query = Query::new(HashName::Sha256, content, NONCE);
        let honest = root.answer(if signer == "first" { "first" } else { "second" }, &query.encode().unwrap());
        token(&root.changed_answer(signer, &honest, |said| set_time(said, time)))
    };
    let (body, in_2050, in_2040): (&[u8], u64, u64) = (b"evidence", 2_524_608_000_000, 2_208_988_800_000);
    let (one, two) = (made("first", body, "20260601000000Z"), made("second", b"evidence, token", "20290601000000Z"));
    let late = made("second", b"evidence, token", "20310601000000Z");
    let anchors = anchors(&root);
    let chain = |next: Token| vec![(one.clone(), body), (next, &b"evidence, token"[..])];
    let proved = judge(&chain(two.clone()), &anchors, in_2040).unwrap();
    assert_eq!(proved.len(), 2);
    assert_eq!(proved[0].made_ms, 1_780_272_000_000, "the older time counts");
    assert!(matches!(judge(&[(one.clone(), body)], &anchors, in_2040), Err(Error::Expired { .. })), "never renewed");
    assert!(matches!(judge(&chain(late), &anchors, in_2040), Err(Error::Expired { .. })), "renewed too late");
    assert!(matches!(judge(&chain(two.clone()), &anchors, in_2050), Err(Error::Expired { .. })), "lapsed since");
    let other: Vec<(Token, &[u8])> = vec![(one.clone(), body), (two.clone(), b"something else")];
    assert!(matches!(judge(&other, &anchors, in_2040), Err(Error::OtherContent)));
    let reversed: Vec<(Token, &[u8])> = vec![(two, b"evidence, token"), (one, body)];
    assert!(judge(&reversed, &anchors, in_2040).unwrap_err().to_string().contains("earlier"));
}

#[test]
fn anchors_are_entered_by_two_ways_or_not_at_all() {
    let (one, two) = (OpenSsl::new("One"), OpenSsl::new("Two"));
    let (file, fingerprint) = (one.read("ca.pem"), entered(&one.fingerprint("ca")));
    let other = entered(&two.fingerprint("ca"));
    assert!(matches!(Anchors::read(&file, &[]), Err(Error::NotEntered { found }) if found == fingerprint));
    assert!(
        matches!(Anchors::read(&file, &[fingerprint, other]), Err(Error::NoSuchAnchor { wanted }) if wanted == other)
    );
    let both = [file, two.read("ca.pem")].concat();
    assert!(matches!(Anchors::read(&both, &[fingerprint]), Err(Error::NotEntered { .. })), "one more was slipped in");
    assert!(!Anchors::read(&both, &[fingerprint, other]).unwrap().is_empty());
    for nothing in
        [&b""[..], b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", b"\x30\x03\x02\x01\x00"]
    {
        assert!(Anchors::read(nothing, &[]).is_err());
    }
}

#[test]
fn every_byte_of_an_answer_matters_or_is_refused() {
    let (root, query, answer) = scene(b"x");
    let (anchors, now) = (anchors(&root), now_ms());
    let believed = |bytes: &[u8]| -> Option<u64> {
        let token = Token::read(&token_of(bytes).ok()?).ok()?;
        token.answers(&query).ok()?;
        token.prove(&anchors, now).ok().map(|proved| proved.made_ms)
    };
    let made = believed(&answer).unwrap();
    for at in 0..answer.len() {
        let mut changed = answer.clone();
        changed[at] ^= 1;
        if let Some(time) = believed(&changed) {
            assert_eq!(time, made, "byte {at} changed what is believed");
        }
    }
    assert!((0..answer.len()).all(|len| believed(&answer[..len]).is_none()));
}

proptest! {
    #[test]
    fn nonsense_is_refused_and_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(token_of(&bytes).is_err() || Token::read(&bytes).is_err());
        prop_assert!(Token::read(&bytes).is_err());
        prop_assert!(Query::read(&bytes).is_err());
    }
}
