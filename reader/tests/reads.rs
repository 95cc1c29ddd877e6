//! The reader against real vaults: what comes out is what went in, byte for byte, from any k shards.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, missing_docs, reason = "tests")]

#[path = "../../client/tests/common/mod.rs"]
mod common;
mod kept;

use kept::{Kept, files_below};
use shosoin_protocol::Suite;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The largest shard on a volume.
fn largest_shard(volume: &Path) -> PathBuf {
    let hospital = std::fs::read_dir(volume.join("segments")).unwrap().next().unwrap().unwrap().path();
    let shards = std::fs::read_dir(hospital).unwrap().map(|entry| entry.unwrap().path());
    shards.max_by_key(|path| path.metadata().unwrap().len()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_record_comes_out_exact_in_both_suites_with_two_volumes_missing_and_with_sheets_alone() {
    for suite in Suite::ALL {
        let kept = Kept::new(suite, suite == Suite::Default).await;
        kept.assert_whole("all", &kept.with_key_file("all", &[]));
        for (out, missing) in [("data", [1, 2]), ("both", [4, 6]), ("parity", [5, 6])] {
            missing
                .iter()
                .for_each(|number| std::fs::rename(kept.volume(*number), kept.path(&number.to_string())).unwrap());
            kept.assert_whole(out, &kept.with_key_file(out, &[]));
            missing
                .iter()
                .for_each(|number| std::fs::rename(kept.path(&number.to_string()), kept.volume(*number)).unwrap());
        }
        let sheets = kept.sheets();
        let sheets: Vec<&str> = sheets.iter().map(String::as_str).chain(["--json"]).collect();
        kept.assert_whole("sheets", &kept.run("sheets", &sheets));
        let two = kept.run("two", &sheets[..4]);
        assert_eq!(two.status.code(), Some(4), "{}", String::from_utf8_lossy(&two.stderr));

        let all = kept.with_key_file("versions", &["--all-versions"]);
        kept.assert_whole("versions", &all);
        assert_eq!(files_below(&kept.path("versions/older")).len(), kept.older);
        let list = std::fs::read_to_string(kept.path("versions/index.tsv")).unwrap();
        assert_eq!(list.lines().count(), 1 + kept.files.len() + kept.older, "{list}");
        assert!(list.contains("\t../out\t5\t") && list.contains("\tfiles/ward/%2E%2E/out"), "{list}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_within_m_changes_nothing_and_beyond_it_is_told_while_the_rest_comes_out() {
    let kept = Kept::new(Suite::Default, false).await;
    std::fs::rename(kept.volume(3), kept.path("away")).unwrap();
    let shard = largest_shard(&kept.volume(1));
    let good = std::fs::read(&shard).unwrap();
    let mut bad = good.clone();
    // in every unit, however records were grouped: with the volume that is away no stripe can spare a third
    for at in (0..bad.len()).step_by(2_003) {
        bad[at] ^= 0x20;
    }
    std::fs::write(&shard, &bad).unwrap();
    kept.assert_whole("within", &kept.with_key_file("within", &[]));

    let second = largest_shard(&kept.volume(5));
    let mut cut = std::fs::read(&second).unwrap();
    let middle = cut.len() / 2;
    cut[middle..].iter_mut().for_each(|byte| *byte = !*byte);
    std::fs::write(&second, cut).unwrap();
    let beyond = kept.with_key_file("beyond", &[]);
    assert_eq!(beyond.status.code(), Some(5), "{}", String::from_utf8_lossy(&beyond.stderr));
    let found = files_below(&kept.path("beyond/files"));
    let out = found.len();
    assert!(out > 0 && out < kept.files.len(), "{:?}", found.keys());
    for (path, content) in found {
        // where entries are lost, another version of a name may look like the newest; its bytes are never wrong
        let versions: &[&[u8]] = match path.as_str() {
            "ward/back" => &[b"again", b"withdrawn"],
            "ward/changed" => &[b"first", b"second"],
            "ward/deleted" => &[b"gone"],
            path => &[&kept.files[path]],
        };
        assert!(versions.contains(&content.as_slice()), "{path} came out wrong");
    }
    let list = std::fs::read_to_string(kept.path("beyond/index.tsv")).unwrap();
    assert!(String::from_utf8_lossy(&beyond.stdout).contains("\"ledger_proved\":false"), "{list}");
    // each record that did not come out is told: by a line of its own, or, its entry lost too, by what the ledger may lack
    let failed = list.lines().filter(|line| line.contains("\tfailed\t")).count();
    assert!(failed >= kept.files.len() - out || list.contains("later entries of the ledger"), "{list}");
    assert!(list.contains("\tfinding\t"), "{list}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_keys_folders_and_arguments_are_refused_and_nothing_is_replaced() {
    let kept = Kept::new(Suite::Default, false).await;
    let code = |done: Output| (done.status.code(), String::from_utf8_lossy(&done.stderr).into_owned());
    std::fs::write(kept.path("passphrase"), "sesame").unwrap();
    let (wrong, why) = code(kept.with_key_file("x", &[]));
    assert!(wrong == Some(4) && why.contains("does not open"), "{why}");
    std::fs::write(kept.path("passphrase"), "open sesame").unwrap();
    let mut key_file = std::fs::read(kept.path("keyring")).unwrap();
    key_file[120] ^= 1;
    std::fs::write(kept.path("bad-keyring"), &key_file).unwrap();
    let bad = kept.path("bad-keyring");
    assert_eq!(code(kept.with_key_file("x", &["--key-file", bad.to_str().unwrap()])).0, Some(5));
    assert_eq!(code(kept.run("x", &[])).0, Some(2));
    assert_eq!(code(kept.run("x", &["--sheet"])).0, Some(2));
    assert_eq!(code(kept.run("x", &["--frobnicate"])).0, Some(2));
    let sheets: Vec<String> =
        [1, 2, 2].iter().map(|n| kept.path(&format!("sheet-{n}")).display().to_string()).collect();
    let twice: Vec<&str> = sheets.iter().flat_map(|sheet| ["--sheet", sheet]).collect();
    assert_eq!(code(kept.run("x", &twice)).0, Some(4));
    assert!(!kept.path("x").exists());
    let nothing = Command::new(env!("CARGO_BIN_EXE_shosoin-reader"))
        .args(["--from".as_ref(), kept.path("hospital").as_os_str(), "--out".as_ref(), kept.path("x").as_os_str()])
        .args(sheets[..2].iter().chain([&kept.path("sheet-4").display().to_string()]).flat_map(|s| ["--sheet", s]))
        .output();
    assert_eq!(code(nothing.unwrap()).0, Some(2));
    kept.assert_whole("out", &kept.with_key_file("out", &[]));
    let (again, why) = code(kept.with_key_file("out", &[]));
    assert!(again == Some(6) && why.contains("index.tsv"), "{why}");
    let help = Command::new(env!("CARGO_BIN_EXE_shosoin-reader")).arg("--help").output().unwrap();
    assert!(help.status.success() && String::from_utf8_lossy(&help.stdout).contains("Example:\n  shosoin-reader"));
}
