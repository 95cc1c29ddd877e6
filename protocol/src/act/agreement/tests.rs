use super::*;
use zeroize::Zeroizing;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(Suite::Default, &Zeroizing::new([seed; 32])).unwrap()
}

const DRAFT: Draft =
    Draft { hospital: HospitalId([1; 16]), suite: Suite::Default, vault: VaultId([2; 16]), now_ms: 1_900_000_000_000 };

fn signed(terms: Terms) -> Agreement {
    Agreement::draft(terms).sign_as_hospital(&key(1)).sign_as_vault(&key(2))
}

fn verified(agreement: &Agreement, hospital: HospitalId) -> Result<()> {
    let (hospital_key, vault_key) = (key(1).public(), key(2).public());
    agreement.verify(&Parties { hospital, hospital_key: &hospital_key, vault: DRAFT.vault, vault_key: &vault_key })
}

fn why(result: Result<()>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn an_agreement_reads_back_and_binds_its_two_parties_alone() {
    for terms in [Terms::proposal(DRAFT), Terms::demonstration(DRAFT)] {
        let agreement = signed(terms);
        let mut out = Writer::new();
        agreement.write(&mut out);
        let bytes = out.finish();
        let mut reader = Reader::new(&bytes, "agreement");
        assert_eq!(Agreement::read(&mut reader).unwrap(), agreement);
        reader.finish().unwrap();
        verified(&agreement, DRAFT.hospital).unwrap();
        assert!(why(verified(&agreement, HospitalId([9; 16]))).contains("another hospital"));
    }
}

#[test]
fn one_signature_is_not_enough_and_a_changed_number_is_no_agreement() {
    let draft = || Agreement::draft(Terms::proposal(DRAFT));
    assert!(why(verified(&draft(), DRAFT.hospital)).contains("nobody has signed"));
    let half = draft().sign_as_hospital(&key(1));
    assert!(why(verified(&half, DRAFT.hospital)).contains("the operator has not signed"));
    let half = draft().sign_as_vault(&key(2));
    assert!(why(verified(&half, DRAFT.hospital)).contains("the hospital has not signed"));
    let mut altered = signed(Terms::proposal(DRAFT));
    altered.terms.quota_bytes += 1;
    assert!(matches!(verified(&altered, DRAFT.hospital), Err(Error::Signature { .. })));
    let swapped = Agreement { by_hospital: altered.by_vault, by_vault: altered.by_hospital, ..altered };
    assert!(verified(&swapped, DRAFT.hospital).is_err());
}

#[test]
fn only_the_next_number_over_the_newest_terms_follows_them() {
    let first = Terms::proposal(DRAFT);
    signed(first.clone()).follows(None).unwrap();
    let next = Terms { number: 2, previous: first.digest(), ..first.clone() };
    signed(next.clone()).follows(Some(&first)).unwrap();
    let replayed = signed(first.clone()).follows(Some(&next));
    assert!(why(replayed).contains("older than the newest"));
    assert!(why(signed(next.clone()).follows(Some(&next))).contains("older than the newest"));
    assert!(why(signed(Terms { number: 3, ..next.clone() }).follows(Some(&first))).contains("missing"));
    assert!(
        why(signed(Terms { previous: Digest([7; 32]), ..next.clone() }).follows(Some(&first))).contains("other terms")
    );
    let earlier = Terms { from_ms: first.from_ms - 1, ..next };
    assert!(why(signed(earlier).follows(Some(&first))).contains("before the one it replaces"));
}

#[test]
fn what_was_not_agreed_on_is_named_5_1_r2() {
    let mut terms = Terms::proposal(DRAFT);
    let chart = RecordType::from_code("T4-01").unwrap();
    let of = |record_type, label, term_days| DepositPolicy {
        record_type,
        label,
        retention: Retention::Term { term_days, start_ms: None },
    };
    assert_eq!(terms.objects_to(&of(chart, Label::Ordinary, 1827)), None);
    assert!(matches!(
        terms.objects_to(&of(chart, Label::Ordinary, 1826)),
        Some(NotAgreed::Retention { min_days: 1827, .. })
    ));
    let none = DepositPolicy { record_type: chart, ..DepositPolicy::default() };
    assert!(matches!(terms.objects_to(&none), Some(NotAgreed::Retention { term_days: 0, .. })));
    terms.labels.retain(|rule| rule.label != Label::Restricted);
    assert!(matches!(terms.objects_to(&of(chart, Label::Restricted, 1827)), Some(NotAgreed::Label { .. })));
    terms.types.retain(|rule| rule.record_type != chart);
    assert!(matches!(terms.objects_to(&of(chart, Label::Ordinary, 1827)), Some(NotAgreed::RecordType { .. })));
}

#[test]
fn every_byte_of_an_agreement_that_is_cut_or_changed_is_noticed() {
    let agreement = signed(Terms::demonstration(DRAFT));
    let mut out = Writer::new();
    agreement.write(&mut out);
    let bytes = out.finish();
    for at in 0..bytes.len() {
        assert!(Agreement::read(&mut Reader::new(&bytes[..at], "agreement")).is_err(), "cut at {at}");
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        if let Ok(read) = Agreement::read(&mut Reader::new(&changed, "agreement")) {
            assert!(verified(&read, DRAFT.hospital).is_err(), "byte {at}");
        }
    }
}
