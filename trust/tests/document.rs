//! Detached signatures of documents that OpenSSL made, judged over what was signed and over anything else.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod openssl;

use openssl::{ENDED, GOOD, OpenSsl, TO_COME};
use proptest::prelude::*;
use shosoin_protocol::{Digest, ErrorKind};
use shosoin_trust::document::{ContentDigests, Signed, Standing, read, verify};
use shosoin_trust::{Anchors, Error, Result};

const EC: &[&str] = &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
const CONTENT: &[u8] = b"A letter of discharge.\n";

fn now_ms() -> u64 {
    u64::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

fn anchors(root: &OpenSsl) -> Anchors {
    let fingerprint: Digest = root.fingerprint("ca").replace(':', "").to_lowercase().parse().unwrap();
    Anchors::read(&root.read("ca.pem"), &[fingerprint]).unwrap()
}

fn judged(cms: &[u8], content: &[u8], anchors: &Anchors) -> Result<Vec<Signed>> {
    let message = read(cms)?;
    let mut digests = ContentDigests::of(&message)?;
    content.chunks(7).for_each(|piece| digests.update(piece));
    verify(&message, &digests.finish(), anchors, now_ms())
}

/// A root, one person's certificate, and their signature of the content.
fn signed(algorithm: &[&str], validity: (&str, &str), more: &[&str]) -> (OpenSsl, Vec<u8>) {
    let root = OpenSsl::new("Root");
    root.issue("doctor", "signer", algorithm, validity);
    root.write("letter", CONTENT);
    let cms = root.sign("doctor", &root.path("letter"), more);
    (root, cms)
}

fn standing(signed: &Signed) -> &'static str {
    match &signed.standing {
        Standing::Trusted(_) => "trusted",
        Standing::Untrusted(Error::Expired { .. }) => "expired",
        Standing::Untrusted(Error::NotYetValid { .. }) => "not yet valid",
        Standing::Untrusted(Error::UnknownIssuer { .. }) => "unknown issuer",
        Standing::Untrusted(Error::Purpose { .. }) => "other purpose",
        Standing::Untrusted(_) => "not believed",
    }
}

#[test]
fn what_people_sign_with_usual_keys_and_digests_is_verified_7_6_11_s4() {
    let pss: &[&str] = &["-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:digest"];
    for (algorithm, more) in [
        (EC, &[][..]),
        (&["ec", "-pkeyopt", "ec_paramgen_curve:P-384"], &["-md", "sha384"]),
        (&["ec", "-pkeyopt", "ec_paramgen_curve:P-521"], &["-md", "sha512"]),
        (&["rsa:2048"], &[]),
        (&["rsa:2048"], &["-md", "sha512"]),
        (&["rsa:2048"], pss),
        (EC, &["-keyid"]),
        (EC, &["-cades"]),
    ] {
        let (root, cms) = signed(algorithm, GOOD, more);
        let judged =
            judged(&cms, CONTENT, &anchors(&root)).unwrap_or_else(|error| panic!("{algorithm:?} {more:?}: {error}"));
        assert_eq!(judged.len(), 1);
        let Standing::Trusted(signer) = &judged[0].standing else { panic!("{algorithm:?} {more:?}: {judged:?}") };
        assert_eq!((signer.subject.as_str(), signer.certificate), ("CN=doctor", judged[0].certificate));
        assert!(judged[0].claimed_ms.is_some_and(|claimed| claimed <= now_ms()));
    }
}

#[test]
fn a_signature_in_ber_of_indefinite_length_is_read_as_much_software_writes_it() {
    let (root, cms) = signed(EC, GOOD, &[]);
    assert_eq!(cms[..2], [0x30, 0x82], "a long outermost sequence");
    let ber = [&[0x30, 0x80][..], &cms[4..], &[0, 0]].concat();
    let judged = judged(&ber, CONTENT, &anchors(&root)).unwrap();
    assert_eq!(standing(&judged[0]), "trusted");
    assert!(read(&ber[..ber.len() - 1]).is_err());
}

#[test]
fn a_content_of_which_one_bit_was_altered_is_an_error_whoever_signed() {
    let (root, cms) = signed(EC, GOOD, &[]);
    for at in 0..CONTENT.len() {
        let mut altered = CONTENT.to_vec();
        altered[at] ^= 1;
        let refused = judged(&cms, &altered, &anchors(&root)).unwrap_err();
        assert!(matches!(refused, Error::OtherContent) && refused.kind() == ErrorKind::Damaged);
    }
    assert!(matches!(judged(&cms, b"", &anchors(&root)), Err(Error::OtherContent)));
}

#[test]
fn an_ended_a_coming_an_unknown_and_a_misused_certificate_are_each_told_as_what_they_are() {
    for (validity, wanted) in [(ENDED, "expired"), (TO_COME, "not yet valid")] {
        let (root, cms) = signed(EC, validity, &[]);
        assert_eq!(standing(&judged(&cms, CONTENT, &anchors(&root)).unwrap()[0]), wanted);
    }
    let (root, cms) = signed(EC, GOOD, &[]);
    for stranger in [OpenSsl::new("Root"), OpenSsl::new("Stranger")] {
        assert_eq!(standing(&judged(&cms, CONTENT, &anchors(&stranger)).unwrap()[0]), "unknown issuer");
    }
    assert_eq!(standing(&judged(&cms, CONTENT, &Anchors::default()).unwrap()[0]), "unknown issuer");
    for purpose in ["server", "tsa"] {
        root.issue_ec(purpose, purpose, GOOD);
        let cms = root.sign(purpose, &root.path("letter"), &[]);
        assert_eq!(standing(&judged(&cms, CONTENT, &anchors(&root)).unwrap()[0]), "other purpose", "{purpose}");
    }
}

#[test]
fn every_signer_is_judged_alone() {
    let (root, _) = signed(EC, GOOD, &[]);
    root.issue_ec("nurse", "signer", ENDED);
    let also = ["-signer", "nurse.pem", "-inkey", "nurse.key"];
    let cms = root.sign("doctor", &root.path("letter"), &also);
    let mut standings: Vec<_> = judged(&cms, CONTENT, &anchors(&root)).unwrap().iter().map(standing).collect();
    standings.sort();
    assert_eq!(standings, ["expired", "trusted"]);
}

#[test]
fn weak_digests_own_content_and_missing_certificates_are_refused() {
    let (root, _) = signed(EC, GOOD, &[]);
    let letter = root.path("letter");
    let weak = root.sign("doctor", &letter, &["-md", "sha1"]);
    assert!(matches!(judged(&weak, CONTENT, &anchors(&root)), Err(Error::Algorithm { .. })));
    let own = root.sign("doctor", &letter, &["-nodetach"]);
    assert!(judged(&own, CONTENT, &anchors(&root)).unwrap_err().to_string().contains("its own content"));
    let bare = root.sign("doctor", &letter, &["-nocerts"]);
    assert!(judged(&bare, CONTENT, &anchors(&root)).unwrap_err().to_string().contains("not in it"));
    let no_attributes = root.sign("doctor", &letter, &["-noattr"]);
    assert!(judged(&no_attributes, CONTENT, &anchors(&root)).is_err());
}

#[test]
fn every_byte_of_a_signature_matters_or_is_refused() {
    let (root, cms) = signed(EC, GOOD, &[]);
    let anchors = anchors(&root);
    let trusted = |cms: &[u8]| {
        judged(cms, CONTENT, &anchors).ok().filter(|signed| matches!(signed[0].standing, Standing::Trusted(_)))
    };
    let (certificate, claimed) = trusted(&cms).map(|signed| (signed[0].certificate, signed[0].claimed_ms)).unwrap();
    for at in 0..cms.len() {
        let mut changed = cms.clone();
        changed[at] ^= 1;
        if let Some(signed) = trusted(&changed) {
            assert_eq!((signed[0].certificate, signed[0].claimed_ms), (certificate, claimed), "byte {at}");
        }
    }
    assert!((0..cms.len()).all(|len| trusted(&cms[..len]).is_none()));
}

proptest! {
    #[test]
    fn nonsense_is_refused_and_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(read(&bytes).is_err());
    }
}
