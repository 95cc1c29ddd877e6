//! The export for emergencies through the real binary: plain files with names, an index, whatever the names and the media say.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};
use support::kill::{Dice, FirstSign, from_env, run_and_kill};
use support::site::{Site, count};
use support::{Done, arg, bytes};

/// Names that would lead out of a folder, mean something to a system, or meet another name.
const HOSTILE: [&str; 16] = [
    "../../escape",
    "/etc/passwd",
    "..",
    "a/../../../b",
    "ward",
    "ward/1.dcm",
    "Report.pdf",
    "REPORT.PDF",
    "NUL",
    "con.txt",
    "tab\tline\nend",
    "a\\b:c*?\"<>|",
    "<script>alert(1)</script>.html",
    "診療録/山田 太郎.pdf",
    "gnp\u{202e}fdp.exe",
    "100%.txt",
];

fn put(site: &Site, bucket: &str, name: &str, content: &[u8]) -> String {
    let file = site.path("content");
    fs::write(&file, content).unwrap();
    site.job(&["put", bucket, name, arg(&file)]).ok().json()["version"].as_str().unwrap().to_owned()
}

fn export(site: &Site, out: &Path, more: &[&str]) -> Done {
    site.job(&[&["export", arg(out)], more].concat())
}

/// Rows of the list: by bucket and name, the other fields.
fn listed(out: &Path) -> BTreeMap<(String, String), Vec<String>> {
    let text = fs::read_to_string(out.join("index.tsv")).unwrap();
    let plain = |field: &str| {
        let mut bytes = Vec::new();
        let mut rest = field.as_bytes();
        while let Some(first) = rest.first() {
            let taken = if *first == b'%' { 3 } else { 1 };
            bytes.push(if taken == 3 {
                u8::from_str_radix(std::str::from_utf8(&rest[1..3]).unwrap(), 16).unwrap()
            } else {
                *first
            });
            rest = &rest[taken..];
        }
        String::from_utf8(bytes).unwrap()
    };
    let rows = text.lines().skip(1).map(|line| line.split('\t').map(plain).collect::<Vec<_>>());
    rows.map(|row| ((row[0].clone(), row[1].clone()), row[2..].to_vec())).collect()
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() && !path.is_symlink() { files_below(&path) } else { vec![path] }).collect()
}

/// Every record has its bytes where the list says, under the digest that the list says; no other file is there.
fn assert_whole(out: &Path, expected: &BTreeMap<(String, String), Vec<u8>>) {
    let rows = listed(out);
    assert_eq!(rows.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (record, row) in &rows {
        let (digest, path) = (&row[6], &row[7]);
        assert!(path.starts_with("files/"), "{record:?}: {row:?}");
        let content = fs::read(out.join(path)).unwrap();
        assert!(content == expected[record], "{record:?} has other bytes");
        assert_eq!(*digest, hex::encode(Sha256::digest(&content)));
    }
    assert_eq!(files_below(&out.join("files")).len(), expected.len());
    let checked = Command::new("sha256sum").args(["--quiet", "-c", "SHA256SUMS"]).current_dir(out).status().unwrap();
    assert!(checked.success());
}

/// What the links of a page lead to.
fn links(page: &str) -> Vec<String> {
    let links = page.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap().as_bytes().to_vec());
    let plain = |link: Vec<u8>| {
        let mut bytes = Vec::new();
        let mut at = 0;
        while at < link.len() {
            if link[at] == b'%' {
                bytes.push(u8::from_str_radix(std::str::from_utf8(&link[at + 1..at + 3]).unwrap(), 16).unwrap());
                at += 3;
            } else {
                bytes.push(link[at]);
                at += 1;
            }
        }
        String::from_utf8(bytes).unwrap()
    };
    links.map(plain).collect()
}

#[test]
fn whatever_their_names_records_are_plain_files_below_the_folder_and_the_page_leads_to_each() {
    let site = Site::new("6", 2);
    site.job(&["bucket", "create", "charts", "--record-type", "T4-01", "--label", "sensitive"]).ok();
    let mut expected = BTreeMap::new();
    for (seed, name) in (10..).zip(HOSTILE) {
        let content = bytes(seed, 100 * usize::try_from(seed).unwrap());
        put(&site, "charts", name, &content);
        expected.insert(("charts".to_owned(), name.to_owned()), content);
    }
    let large = bytes(99, 9_000_000);
    put(&site, "charts", &"x".repeat(1000), &large);
    expected.insert(("charts".to_owned(), "x".repeat(1000)), large);
    put(&site, "charts", "empty", b"");
    expected.insert(("charts".to_owned(), "empty".to_owned()), Vec::new());
    (0..2).for_each(|no| drop(expected.insert(("records".to_owned(), no.to_string()), bytes(no + 1, 300_000))));

    let above = site.path("above");
    fs::create_dir(&above).unwrap();
    let out = above.join("rescued");
    let planned = export(&site, &out, &["--dry-run"]).ok().json();
    assert_eq!((count(&planned, "records"), count(&planned, "present")), (20, 0));
    assert!(!out.exists());
    let report = export(&site, &out, &[]).ok().json();
    assert_eq!((count(&report, "records"), count(&report, "written"), count(&report, "failed")), (20, 20, 0));
    assert_eq!(report["act"].as_str().unwrap().len(), 32, "{report}");
    assert_whole(&out, &expected);
    assert_eq!(fs::read_dir(&above).unwrap().count(), 1, "nothing is outside of the folder");
    let rows = listed(&out);
    let row = &rows[&("charts".to_owned(), "ward/1.dcm".to_owned())];
    assert_eq!(
        (row[1].as_str(), row[4].as_str(), row[5].as_str(), row[7].as_str()),
        ("written", "T4-01", "sensitive", "files/charts/ward/1.dcm")
    );
    let stored: String = site.job(&["stat", "charts", "empty"]).ok().json()["modified"].as_str().unwrap().to_owned();
    let written = fs::metadata(out.join("files/charts/empty")).unwrap().modified().unwrap();
    let seconds = written.duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert!(stored.ends_with(&format!("{:02}Z", seconds % 60)) && seconds > 1_600_000_000, "{stored} {seconds}");

    let page = fs::read_to_string(out.join("index.html")).unwrap();
    assert!(page.contains("Exported records") && page.contains("書き出した記録") && !page.contains("<script"));
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;.html"));
    let links = links(&page);
    for (record, row) in &rows {
        assert!(links.contains(&row[7]), "{record:?} has no link");
    }
    // again: nothing is fetched, and no further export is on the record
    let again = export(&site, &out, &[]).ok().json();
    assert_eq!((count(&again, "written"), count(&again, "present"), count(&again, "written_bytes")), (0, 20, 0));
    assert_eq!(again["act"], "");
    assert_whole(&out, &expected);
    site.job(&["check"]).ok();
}

#[test]
fn an_export_that_is_killed_goes_on_and_ends_as_if_it_had_not_been() {
    let site = Site::with_records_of(3_000_000, "6", 12);
    let out = site.path("rescued");
    let mut dice = Dice::thrown_for("export");
    let command = ["export", arg(&out), "--dir", site.arg(), "--json"];
    let mut killed = 0;
    for _ in 0..from_env("SHOSOIN_EXPORT_KILLS", 4) {
        killed += u64::from(run_and_kill(&command, FirstSign::Progress, Duration::from_millis(dice.below(120))));
        for path in files_below(&out).iter().filter(|path| path.starts_with(out.join("files"))) {
            let record: u64 = path.file_name().unwrap().to_str().unwrap().parse().unwrap();
            assert!(fs::read(path).unwrap() == bytes(record + 1, 3_000_000), "{record} has its name and other bytes");
        }
    }
    println!("killed {killed} times");
    let report = export(&site, &out, &[]).ok().json();
    assert_eq!((count(&report, "records"), count(&report, "failed"), count(&report, "beside")), (12, 0, 0));
    let expected = (0..12).map(|no| (("records".to_owned(), no.to_string()), bytes(no + 1, 3_000_000))).collect();
    assert_whole(&out, &expected);
}

#[test]
fn a_record_that_cannot_be_read_is_listed_with_the_reason_and_all_others_are_there() {
    let site = Site::new("6", 4);
    let out = site.path("rescued");
    // three of six shards of a segment with one record are gone: more than the code bears
    let holds = |path: &PathBuf| fs::metadata(path).unwrap().len() > 70_000;
    let lost: Vec<PathBuf> = site.shards(&site.volume(1)).into_iter().filter(holds).collect();
    let segment = lost[2].file_name().unwrap().to_str().unwrap().rsplit_once('-').unwrap().0.to_owned();
    let mut removed = 0;
    for number in 1..=6 {
        for path in site.shards(&site.volume(number)) {
            if path.file_name().unwrap().to_str().unwrap().starts_with(&segment) && removed < 3 {
                fs::remove_file(path).unwrap();
                removed += 1;
            }
        }
    }
    assert_eq!(removed, 3);
    let failed = export(&site, &out, &[]).fails(5, &["1 records could not be exported", "index.tsv"]);
    let report = failed.json();
    assert_eq!((count(&report, "written"), count(&report, "failed")), (3, 1));
    let rows = listed(&out);
    let (lost, there): (Vec<_>, Vec<_>) = rows.iter().partition(|(_, row)| row[1] == "failed");
    let [((_, name), row)] = lost[..] else { panic!("{lost:?}") };
    assert!(row[7].is_empty() && row[8].len() > 20, "{row:?}");
    assert!(failed.stdout.contains(&format!("\"name\":\"{name}\"")), "{}", failed.stdout);
    let page = fs::read_to_string(out.join("index.html")).unwrap();
    assert!(page.contains("Records that could not be written") && page.contains(&row[0]));
    assert_eq!(there.len(), 3);
    for ((_, name), row) in there {
        let seed: u64 = name.parse().unwrap();
        assert!(fs::read(out.join(&row[7])).unwrap() == bytes(seed + 1, 300_000));
    }
}

#[test]
fn a_file_that_differs_is_never_replaced_unasked_and_what_was_exported_before_stays_in_the_index() {
    let site = Site::new("6", 2);
    site.job(&["bucket", "create", "charts"]).ok();
    put(&site, "charts", "a.txt", b"first");
    let out = site.path("rescued");
    export(&site, &out, &["charts"]).ok();
    export(&site, &out, &["records"]).ok();
    assert_eq!(listed(&out).len(), 3, "both runs are in the index");
    let file = out.join("files/charts/a.txt");
    fs::write(&file, b"somebody's note").unwrap();
    let report = export(&site, &out, &[]).ok().json();
    assert_eq!((count(&report, "beside"), count(&report, "present")), (1, 2));
    assert_eq!(fs::read(&file).unwrap(), b"somebody's note");
    let row = listed(&out)[&("charts".to_owned(), "a.txt".to_owned())].clone();
    assert!(row[7].starts_with("files/charts/a%-") && row[7].ends_with(".txt"), "{row:?}");
    assert_eq!(fs::read(out.join(&row[7])).unwrap(), b"first");
    fs::remove_file(out.join(&row[7])).unwrap();
    let report = export(&site, &out, &["--replace"]).ok().json();
    assert_eq!((count(&report, "written"), count(&report, "beside")), (1, 0));
    assert_eq!(fs::read(&file).unwrap(), b"first");
}

#[test]
fn only_a_folder_of_its_own_is_written_to_and_no_link_leads_out_of_it() {
    let site = Site::new("6", 1);
    let out = site.path("rescued");
    fs::create_dir(&out).unwrap();
    fs::write(out.join("thesis.txt"), b"mine").unwrap();
    export(&site, &out, &[]).fails(2, &["not empty"]);
    assert_eq!(fs::read_dir(&out).unwrap().count(), 1);
    fs::remove_file(out.join("thesis.txt")).unwrap();
    let elsewhere = site.path("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::create_dir(out.join(".shosoin-export")).unwrap();
    export(&site, &out, &[]).ok();
    fs::remove_dir_all(out.join("files")).unwrap();
    std::os::unix::fs::symlink(&elsewhere, out.join("files")).unwrap();
    let failed = export(&site, &out, &[]);
    assert_ne!(failed.code, 0);
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0, "nothing went through the link");
    export(&site, &out, &["no-such-bucket"]).fails(3, &["no-such-bucket"]);
    fs::write(out.join(".shosoin-export/of"), "77".repeat(16)).unwrap();
    export(&site, &out, &[]).fails(2, &["another hospital"]);
}

#[test]
fn the_records_of_an_earlier_moment_are_those_that_the_vault_had_then() {
    let site = Site::new("6", 0);
    site.job(&["bucket", "create", "charts"]).ok();
    put(&site, "charts", "a", b"early");
    put(&site, "charts", "b", b"late");
    let out = site.path("all");
    export(&site, &out, &[]).ok();
    // when the second was begun, the first had been accepted and the second had not
    let then = listed(&out)[&("charts".to_owned(), "b".to_owned())][3].clone();
    let out = site.path("then");
    let report = export(&site, &out, &["--as-of", &then]).ok().json();
    assert_eq!(count(&report, "records"), 1, "{report}");
    assert_eq!(fs::read(out.join("files/charts/a")).unwrap(), b"early");
    let out = site.path("chosen");
    export(&site, &out, &["charts", "--prefix", "b"]).ok();
    assert_eq!(listed(&out).keys().map(|record| record.1.as_str()).collect::<Vec<_>>(), ["b"]);
}
