//! The reader against packages that were handed over (6.2-R7): what comes out is what went in, byte for byte, with the hospital's
//! root and nothing else; and what is damaged is told, never made up.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, missing_docs, reason = "tests")]

#[path = "../../client/tests/common/mod.rs"]
mod common;
mod kept;

use kept::{Kept, files_below};
use shosoin_protocol::Suite;
use std::path::PathBuf;

/// What becomes of a shard file, by number: other bytes, or none.
type Change = (usize, Option<Vec<u8>>);

/// Its shard files, by path.
fn shards(kept: &Kept) -> Vec<PathBuf> {
    let files = files_below(&kept.path("package/segments"));
    files.keys().map(|name| kept.path("package/segments").join(name)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_and_the_root_alone_give_every_record_back_in_both_suites_6_2_r7() {
    for suite in Suite::ALL {
        let kept = Kept::packed(suite).await;
        // the operator's side is gone for good
        std::fs::remove_dir_all(kept.path("vault")).unwrap();
        assert!(shards(&kept).len() > 2);
        kept.assert_whole("out", &kept.with_key_file_on("package", "out", &[]));
        let sheets = kept.sheets();
        let sheets: Vec<&str> = sheets.iter().map(String::as_str).chain(["--json"]).collect();
        kept.assert_whole("sheets", &kept.run_from("package", "sheets", &sheets));
        let all = kept.with_key_file_on("package", "versions", &["--all-versions"]);
        kept.assert_whole("versions", &all);
        assert_eq!(files_below(&kept.path("versions/older")).len(), kept.older);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_of_the_next_vault_gives_everything_of_both_and_the_one_it_came_from_stays_readable_6_2_r7() {
    for suite in Suite::ALL {
        let mut kept = Kept::moved(suite).await;
        // both providers are gone for good
        std::fs::remove_dir_all(kept.path("vault")).unwrap();
        std::fs::remove_dir_all(kept.path("second")).unwrap();
        // the package that ended the first ledger
        kept.assert_whole("of-the-first", &kept.with_key_file_on("closed", "of-the-first", &[]));
        kept.and_of_the_next_vault();
        kept.assert_whole("of-the-second", &kept.with_key_file_on("next", "of-the-second", &[]));
        let sheets = kept.sheets();
        let sheets: Vec<&str> = sheets.iter().map(String::as_str).chain(["--all-versions", "--json"]).collect();
        kept.assert_whole("versions", &kept.run_from("next", "versions", &sheets));
        assert_eq!(files_below(&kept.path("versions/older")).len(), kept.older);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_after_a_disposal_gives_all_that_lives_and_calls_nothing_damaged_that_was_ended_8_2_r1() {
    for suite in Suite::ALL {
        let kept = Kept::ended(suite).await;
        std::fs::remove_dir_all(kept.path("vault")).unwrap();
        // what came out is compared name by name: nothing of what was ended is among it
        kept.assert_whole("out", &kept.with_key_file_on("package", "out", &[]));
        kept.assert_whole("versions", &kept.with_key_file_on("package", "versions", &["--all-versions"]));
        assert_eq!(files_below(&kept.path("versions/older")).len(), kept.older);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_cut_swapped_or_with_bits_flipped_gives_what_is_whole_and_tells_the_rest() {
    let kept = Kept::packed(Suite::Default).await;
    let shards = shards(&kept);
    let whole: Vec<Vec<u8>> = shards.iter().map(|path| std::fs::read(path).unwrap()).collect();
    let largest = (0..shards.len()).max_by_key(|no| whole[*no].len()).unwrap();
    let other = (0..shards.len()).find(|no| *no != largest).unwrap();
    let flipped = |at: usize| {
        let mut bytes = whole[largest].clone();
        bytes[at] ^= 0x10;
        vec![(largest, Some(bytes))]
    };
    let len = whole[largest].len();
    let mut cases: Vec<(String, Vec<Change>)> =
        [3, 900, 1_500, len / 3, len / 2, len - 4_000, len - 2].map(|at| (format!("flip-{at}"), flipped(at))).into();
    for keep in [0, 1_000, 4_096, len / 2, len - 1] {
        cases.push((format!("cut-{keep}"), vec![(largest, Some(whole[largest][..keep].to_vec()))]));
    }
    let swap = vec![(largest, Some(whole[other].clone())), (other, Some(whole[largest].clone()))];
    cases.extend([("swap".to_owned(), swap), ("gone".to_owned(), vec![(largest, None)])]);
    for (out, changes) in cases {
        for (no, bytes) in &changes {
            match bytes {
                Some(bytes) => std::fs::write(&shards[*no], bytes).unwrap(),
                None => std::fs::remove_file(&shards[*no]).unwrap(),
            }
        }
        let done = kept.with_key_file_on("package", &out, &[]);
        let told = String::from_utf8_lossy(&done.stderr).into_owned();
        let found = files_below(&kept.path(&out).join("files"));
        let code = done.status.code();
        assert!(matches!(code, Some(0 | 5)), "{out}: {told}");
        // a byte behind the stripes, in the table that only repeats them, costs nothing
        assert!(code == Some(5) || found.len() == kept.files.len(), "{out}: {told}");
        for (path, content) in &found {
            let versions: &[&[u8]] = match path.as_str() {
                "ward/back" => &[b"again", b"withdrawn"],
                "ward/changed" => &[b"first", b"second"],
                "ward/deleted" => &[b"gone"],
                path => &[&kept.files[path]],
            };
            assert!(versions.contains(&content.as_slice()), "{out}: {path} came out wrong");
        }
        for (no, _) in &changes {
            std::fs::write(&shards[*no], &whole[*no]).unwrap();
        }
    }
    kept.assert_whole("mended", &kept.with_key_file_on("package", "mended", &[]));
}
