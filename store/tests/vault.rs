//! What goes in comes back: deposits, reads, proofs, pages of the log, before and after reopening.

mod common;

use common::*;
use shosoin_protocol::entry::{Body, Entry};
use shosoin_protocol::{ErrorKind, Suite, merkle};
use shosoin_store::{Error, IndexKind, Vault};

#[tokio::test(flavor = "multi_thread")]
async fn deposits_come_back_proven_before_and_after_reopening_in_both_suites_and_indexes() {
    for (suite, index) in [(Suite::Default, IndexKind::Fjall), (Suite::Cryptrec, IndexKind::Sled)] {
        let site = Site::on_disk(index).await;
        let vault = site.open().await;
        let mut hospital = enrolled(&vault, suite, 1).await;
        let mut parcels = Vec::new();
        for no in 0..5 {
            let (parcel, request) = hospital.small(&format!("name {no}"));
            accept(&vault, &mut hospital, [request]).await;
            parcels.push(parcel);
        }
        let chunks = [hospital.chunk(4 << 20, 7), hospital.chunk(1 << 20, 8)];
        for chunk in &chunks {
            vault.put_chunk(hospital.id, suite.address(chunk), chunk.clone()).await.unwrap();
        }
        let large = hospital.parcel("large", &chunks);
        let entry = hospital.device.sign(&hospital.named(), large.body());
        let request = common::request(&entry, &Parcel { chunks: Vec::new(), ..large.clone() });
        accept(&vault, &mut hospital, [request]).await;
        parcels.push(large);
        assert_holds(&vault, &hospital, &parcels).await;
        assert_clean(&vault).await;
        vault.close().await.unwrap();
        assert!(matches!(
            vault.put_chunk(hospital.id, suite.address(&chunks[0]), chunks[0].clone()).await,
            Err(Error::Closing)
        ));
        drop(vault);

        let vault = site.open().await;
        assert_holds(&vault, &hospital, &parcels).await;
        assert_clean(&vault).await;
        let (parcel, request) = hospital.small("after");
        accept(&vault, &mut hospital, [request]).await;
        assert_holds(&vault, &hospital, &[parcel]).await;
        drop(vault); // not closed: as if it were killed

        let vault = site.open().await;
        assert_holds(&vault, &hospital, &parcels).await;
        assert_clean(&vault).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_answers_its_newest_change_and_a_marker_has_no_records() {
    let site = Site::on_disk(IndexKind::Fjall).await;
    let vault = site.open().await;
    let mut hospital = enrolled(&vault, Suite::Default, 1).await;
    assert!(matches!(vault.name(hospital.id, token("n")).await, Err(Error::NotFound { .. })));
    let (first, request_1) = hospital.small("n");
    let (second, request_2) = hospital.small("n");
    accept(&vault, &mut hospital, [request_1, request_2]).await;
    let newest = Entry::decode(&vault.name(hospital.id, token("n")).await.unwrap().entry).unwrap();
    assert_eq!(newest.body(), &second.body());
    let (marker, request) = hospital.marker("n");
    accept(&vault, &mut hospital, [request]).await;
    let reply = vault.name(hospital.id, token("n")).await.unwrap();
    let entry = Entry::decode(&reply.entry).unwrap();
    assert!(matches!(entry.body(), Body::Marker(change) if change.version == marker));
    assert!(reply.wrap.is_empty() && reply.manifest.is_empty());
    assert_holds(&vault, &hospital, &[first, second]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_the_log_give_every_entry_with_its_summary_and_stop_at_the_head() {
    let site = Site::on_disk(IndexKind::Fjall).await;
    let vault = site.open().await;
    let mut hospital = enrolled(&vault, Suite::Default, 1).await;
    let requests: Vec<_> = (0..9).map(|no| hospital.small(&no.to_string()).1).collect();
    accept(&vault, &mut hospital, requests.clone()).await;
    let mut leaves = Vec::new();
    loop {
        let page = vault.log_entries(hospital.id, leaves.len() as u64, 4).await.unwrap();
        if page.items.is_empty() {
            break;
        }
        for item in page.items {
            assert_eq!(item.placed.index, leaves.len() as u64);
            let summary = item.placed.entry.body().attachment();
            assert_eq!(summary, (!item.attachment.is_empty()).then(|| hospital.suite.address(&item.attachment)));
            leaves.push(item.placed.entry.bytes().to_vec());
        }
    }
    assert_eq!(leaves.len(), 10);
    let root = merkle::root_of(leaves.iter().map(Vec::as_slice));
    assert_eq!(root, hospital.device.seen.root);
    assert!(vault.log_entries(hospital.id, u64::MAX, 4).await.unwrap().items.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_earlier_head_is_proven_to_be_a_prefix_of_every_later_one() {
    let site = Site::on_disk(IndexKind::Fjall).await;
    let vault = site.open().await;
    let mut hospital = enrolled(&vault, Suite::Default, 1).await;
    let mut heads = vec![hospital.device.seen];
    for no in 0..12 {
        let request = hospital.small(&no.to_string()).1;
        accept(&vault, &mut hospital, [request]).await;
        heads.push(hospital.device.seen);
    }
    for old in &heads {
        for new in heads.iter().filter(|new| new.size >= old.size) {
            let proof = vault.consistency(hospital.id, old.size, new.size).await.unwrap();
            merkle::verify_consistency((old.size, &old.root), (new.size, &new.root), &proof).unwrap();
        }
    }
    for (from, to) in [(1, 14), (3, 2), (0, u64::MAX)] {
        let error = vault.consistency(hospital.id, from, to).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{from} {to}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_that_is_held_is_not_stored_again() {
    let site = Site::on_disk(IndexKind::Fjall).await;
    let vault = site.open().await;
    let hospital = enrolled(&vault, Suite::Default, 1).await;
    let chunk = hospital.chunk(100_000, 1);
    let address = hospital.suite.address(&chunk);
    assert_eq!(vault.missing(hospital.id, &[address]).await.unwrap(), [true]);
    vault.put_chunk(hospital.id, address, chunk.clone()).await.unwrap();
    let before = vault.counters();
    vault.put_chunk(hospital.id, address, chunk).await.unwrap();
    assert_eq!(vault.counters(), before);
    assert_eq!(vault.missing(hospital.id, &[address]).await.unwrap(), [false]);
}

#[tokio::test(flavor = "multi_thread")]
async fn hospitals_do_not_see_each_other() {
    let site = Site::on_disk(IndexKind::Fjall).await;
    let vault = site.open().await;
    let mut first = enrolled(&vault, Suite::Default, 1).await;
    let second = enrolled(&vault, Suite::Default, 2).await;
    let (parcel, request) = first.small("n");
    accept(&vault, &mut first, [request]).await;
    let address = first.suite.address(&parcel.chunks[0]);
    assert!(matches!(vault.record(second.id, address).await, Err(Error::NotFound { .. })));
    assert!(matches!(vault.version(second.id, parcel.deposit.version).await, Err(Error::NotFound { .. })));
    assert!(matches!(vault.name(second.id, token("n")).await, Err(Error::NotFound { .. })));
    assert_eq!(vault.missing(second.id, &[address]).await.unwrap(), [true]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_is_told_that_the_vault_is_in_use() {
    let site = Site::on_disk(IndexKind::Fjall).await;
    let _vault = site.open().await;
    let second = Vault::open(&site.path(), site.options.clone()).await;
    assert!(matches!(second, Err(Error::InUse { .. })));
    let again = Vault::init(&site.path(), init_options(Vec::new(), IndexKind::Fjall)).await;
    assert!(matches!(again, Err(Error::InUse { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn making_a_vault_where_one_is_changes_nothing_and_half_a_vault_is_finished() {
    let site = Site::on_disk(IndexKind::Fjall).await;
    let options = || {
        let volumes = (1..=6).map(|no| shosoin_store::VolumeSpec::at(format!("volumes/v{no:02}"))).collect();
        init_options(volumes, IndexKind::Fjall)
    };
    assert!(matches!(Vault::init(&site.path(), options()).await, Err(Error::Exists { .. })));
    let id = site.open().await.id();
    std::fs::remove_file(site.path().join("vault.key")).unwrap();
    Vault::init(&site.path(), options()).await.unwrap();
    let vault = site.open().await;
    assert_ne!(vault.id(), id);
    enrolled(&vault, Suite::Default, 1).await;
}

#[tokio::test]
async fn what_is_kept_in_each_suite_is_counted_and_read_for_as_long_as_a_hospital_has_some_7_6_1_m3() {
    let site = Site::on_disk(IndexKind::Memory).await;
    let vault = site.open().await;
    let mut parcels = Vec::new();
    for (suite, seed) in [(Suite::Default, 1), (Suite::Cryptrec, 2), (Suite::Cryptrec, 3)] {
        let mut hospital = common::enrolled(&vault, suite, seed).await;
        let (parcel, request) = hospital.small("a");
        common::accept(&vault, &mut hospital, vec![request]).await;
        parcels.push((hospital, parcel));
    }
    let formats = vault.status().await.unwrap().formats;
    let hospitals: Vec<_> = formats.iter().map(|format| (format.suite, format.hospitals)).collect();
    assert_eq!(hospitals, [(1, 1), (2, 2)]);
    assert!(formats.iter().all(|format| format.records > 0 && format.payload_bytes > 0), "{formats:?}");
    for (hospital, parcel) in &parcels {
        common::assert_holds(&vault, hospital, std::slice::from_ref(parcel)).await;
    }
}
