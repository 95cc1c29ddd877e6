//! The same over a real server that this project did not write. `tests/e2e` starts one and runs these with an address like
//! `s3://bucket` in `SHOSOIN_TEST_STORE`, its endpoint in `SHOSOIN_TEST_STORE_ENDPOINT` and a file with credentials in
//! `SHOSOIN_TEST_STORE_CREDENTIALS`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[macro_use]
#[expect(dead_code, reason = "the checks of files that grow in place are for media of the tiers")]
#[path = "../../tiers/tests/suite/mod.rs"]
mod suite;
mod group;

use group::Group;
use shosoin_archive::{Address, Bridge, Credentials, ObjectMedia, PART_BYTES};
use shosoin_tiers::layout::BLOCK_BYTES;
use shosoin_tiers::media::WriteUnit;
use shosoin_tiers::{AlignedBuf, Error, Media};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Opens an empty prefix of the server.
fn fresh() -> ObjectMedia {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let var = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set; run tests/e2e"));
    let prefix = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let url = format!("{}/{prefix}/v07", var("SHOSOIN_TEST_STORE"));
    let address = Address::parse(&url, Some(&var("SHOSOIN_TEST_STORE_ENDPOINT")), Some("us-east-1")).unwrap();
    let credentials = Credentials::File(var("SHOSOIN_TEST_STORE_CREDENTIALS").into());
    shosoin_archive::open(&address, &credentials, &Bridge::start().unwrap()).unwrap()
}

fn over_a_server(check: impl Fn(&dyn Media)) {
    check(&fresh());
}

mod with_a_server {
    use super::*;

    on_every_medium!(over_a_server, #[ignore = "needs a server; tests/e2e starts one"]);

    #[test]
    #[ignore = "needs a server; tests/e2e starts one"]
    fn a_file_of_many_parts_is_uploaded_read_back_renamed_and_read_by_ranges() {
        let media = fresh();
        let mut bytes = AlignedBuf::default();
        bytes.resize(2 * PART_BYTES + 3 * BLOCK_BYTES);
        bytes.iter_mut().enumerate().for_each(|(at, byte)| *byte = u8::try_from(at % 251).unwrap());
        let file = media.create("big.tmp", WriteUnit::Blocks).unwrap();
        file.write_at(0, &bytes).unwrap();
        assert_eq!(media.open("big.tmp").unwrap().len().unwrap(), 0, "its name is taken, its parts are invisible");
        assert!(matches!(media.create("big.tmp", WriteUnit::Blocks), Err(Error::Exists { .. })));
        file.sync().unwrap();
        media.rename("big.tmp", "big").unwrap();
        assert_eq!(media.verify("big").unwrap(), bytes.len() as u64);
        let mut read = AlignedBuf::default();
        let at = (PART_BYTES - BLOCK_BYTES) as u64;
        media.open("big").unwrap().read_past_cache(at, 2 * BLOCK_BYTES, &mut read).unwrap();
        assert!(read[..] == bytes[PART_BYTES - BLOCK_BYTES..PART_BYTES + BLOCK_BYTES]);
        assert_eq!(media.list("").unwrap().len(), 1);
    }

    #[test]
    #[ignore = "needs a server; tests/e2e starts one"]
    fn a_file_that_is_given_up_leaves_nothing() {
        let media = fresh();
        let file = media.create("x.tmp", WriteUnit::Bytes).unwrap();
        file.write_at(0, &vec![1; PART_BYTES + 1]).unwrap();
        assert_eq!(media.list("").unwrap().len(), 1);
        drop(file);
        assert!(media.list("").unwrap().is_empty());
    }

    #[test]
    #[ignore = "needs a server; tests/e2e starts one"]
    fn more_files_than_one_page_holds_are_all_listed() {
        let media = fresh();
        media.make_dir("d").unwrap();
        // a listing shows the digests and the marker too, so this is more than the thousand names of one page
        let media = &media;
        std::thread::scope(|scope| {
            for writer in 0..4 {
                scope.spawn(move || {
                    for no in 0..260 {
                        let file = media.create(&format!("d/{writer}-{no:03}"), WriteUnit::Bytes).unwrap();
                        file.write_at(0, &[1]).unwrap();
                        file.sync().unwrap();
                    }
                });
            }
        });
        assert_eq!(media.list("d").unwrap().len(), 4 * 260);
    }

    #[test]
    #[ignore = "needs a server; tests/e2e starts one"]
    fn losing_any_m_of_the_k_plus_m_prefixes_of_a_group_loses_nothing() {
        let group = Group::moved_to("4+2", (0..6).map(|_| Arc::new(fresh()) as Arc<dyn Media>).collect());
        group.assert_every_choice_of_m_losses_is_survived();
        group.assert_one_loss_more_is_refused_and_never_wrong();
    }
}

/// Needs a server of its own, whose process group is in `SHOSOIN_TEST_STORE_GROUP`: it does not outlive the test.
#[test]
#[ignore = "needs a server; tests/e2e starts one"]
fn when_the_server_dies_in_the_middle_of_an_upload_the_file_fails_in_bounded_time_and_for_good() {
    let media = fresh();
    let file = media.create("x.tmp", WriteUnit::Bytes).unwrap();
    file.write_at(0, &vec![1; PART_BYTES + 1]).unwrap();
    let group = std::env::var("SHOSOIN_TEST_STORE_GROUP").unwrap();
    let killed = std::process::Command::new("kill").args(["-KILL", "--", &format!("-{group}")]).status().unwrap();
    assert!(killed.success());
    let begun = std::time::Instant::now();
    let failed = file.write_at(PART_BYTES as u64 + 1, &vec![2; 3 * PART_BYTES]).and_then(|()| file.sync()).unwrap_err();
    let why = std::error::Error::source(&failed).unwrap().to_string();
    assert!(matches!(failed, Error::Io { .. }) && why.contains("cannot be reached"), "{failed}: {why}");
    assert!(matches!(file.sync(), Err(Error::Suspect { .. })));
    let absent = media.probe().unwrap_err();
    assert!(matches!(absent, Error::VolumeAbsent { .. }), "{absent}");
    drop(file);
    assert!(begun.elapsed() < std::time::Duration::from_secs(120), "{:?}", begun.elapsed());
}
