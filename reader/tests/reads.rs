//! The reader against real vaults: what comes out is what went in, byte for byte, from any k shards.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, missing_docs, reason = "tests")]

#[path = "../../client/tests/common/mod.rs"]
mod common;

use common::{BUCKET, Wire, get, noise, put};
use shosoin_client::{Client, ClientOptions, Condition};
use shosoin_keyring::escrow::{Quorum, sheet};
use shosoin_keyring::{Argon2Params, Keyring, keyfile};
use shosoin_protocol::Suite;
use shosoin_protocol::manifest::{BucketFacts, Versioning};
use shosoin_store::{Code, IndexKind, InitOptions, OpenOptions, Vault, VolumeSpec};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

const CHUNK: usize = 256 * 1024;

/// Volumes with records, a key file, sheets, and nothing that runs.
struct Kept {
    dir: TempDir,
    /// what must come out, by path below the folder of files
    files: BTreeMap<String, Vec<u8>>,
    /// versions that names no longer have
    older: usize,
}

impl Kept {
    async fn new(suite: Suite, paged: bool) -> Kept {
        let dir = tempfile::tempdir().unwrap();
        let options = InitOptions {
            volumes: (1..=6).map(|no| VolumeSpec::at(format!("volumes/v{no:02}"))).collect(),
            code: Code::parse("4+2").unwrap(),
            demo: true,
            index: IndexKind::Fjall,
            listen: "127.0.0.1:0".parse().unwrap(),
        };
        let vault_dir = dir.path().join("vault");
        Vault::init(&vault_dir, options).await.unwrap();
        let vault = Vault::open(&vault_dir, OpenOptions::default()).await.unwrap();
        let keyring = Keyring::generate(suite).unwrap();
        let params = Argon2Params { memory_kib: 8, passes: 1, lanes: 1 };
        std::fs::write(dir.path().join("keyring"), keyfile::seal(&keyring, b"open sesame", params).unwrap()).unwrap();
        std::fs::write(dir.path().join("passphrase"), "open sesame\n").unwrap();
        for share in keyring.split(Quorum::default(), 0).unwrap() {
            std::fs::write(dir.path().join(format!("sheet-{}", share.index())), &*sheet::lines(&share)).unwrap();
        }
        let wire = Wire::new(vault.clone(), vault.enrol(&keyring.enrolment()).unwrap());
        let options = ClientOptions::new(dir.path().join("hospital"));
        let client = Client::open(options, keyring, wire.clone()).await.unwrap();
        let (files, older) = fill(&client, paged).await;
        client.close().await.unwrap();
        vault.close().await.unwrap();
        Kept { dir, files, older }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn volume(&self, number: usize) -> PathBuf {
        self.path(&format!("vault/volumes/v{number:02}"))
    }

    fn run(&self, out: &str, more: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_shosoin-reader"));
        command.arg("--from").arg(self.path("vault/volumes")).arg("--out").arg(self.path(out)).args(more);
        command.output().unwrap()
    }

    fn with_key_file(&self, out: &str, more: &[&str]) -> Output {
        let (keyring, passphrase) = (self.path("keyring"), self.path("passphrase"));
        let keys =
            ["--key-file", keyring.to_str().unwrap(), "--passphrase-file", passphrase.to_str().unwrap(), "--json"];
        self.run(out, &[&keys, more].concat())
    }

    #[track_caller]
    fn assert_whole(&self, out: &str, done: &Output) {
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let report = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(
            report.contains("\"failed\":0,\"findings\":0") && report.contains("\"ledger_proved\":true"),
            "{report}"
        );
        let found = files_below(&self.path(out).join("files"));
        assert_eq!(found.keys().collect::<Vec<_>>(), self.files.keys().collect::<Vec<_>>());
        for (path, content) in &self.files {
            assert!(found[path] == *content, "{path} came back with other bytes");
        }
    }
}

/// Puts records of every shape; gives what must come out, and how many versions are older.
async fn fill(client: &Client, paged: bool) -> (BTreeMap<String, Vec<u8>>, usize) {
    let facts = |bucket: &str, codec| BucketFacts {
        versioning: Versioning::Enabled,
        chunk_plain_bytes: CHUNK as u32,
        codec,
        ..BucketFacts::new(bucket, 1)
    };
    client.create_bucket(facts(BUCKET, 0)).await.unwrap();
    let mut files = BTreeMap::new();
    for (name, path, len) in [
        ("none", "none", 0),
        ("a/one", "a/one", 1),
        ("a/small", "a/small", 70_000),
        ("診療録/chunk", "診療録/chunk", CHUNK),
        ("../out", "%2E%2E/out", 5),
        ("many", "many", 9 * CHUNK + 77),
        ("paged", "paged", if paged { 257 * CHUNK - 1 } else { 2 }),
    ] {
        put(client, name, &noise(len as u64, len)).await;
        files.insert(format!("{BUCKET}/{path}"), noise(len as u64, len));
    }
    put(client, "changed", b"first").await;
    put(client, "changed", b"second").await;
    files.insert(format!("{BUCKET}/changed"), b"second".to_vec());
    put(client, "deleted", b"gone").await;
    client.delete(BUCKET, "deleted", Condition::Any).await.unwrap();
    put(client, "back", b"again").await;
    let latest = put(client, "back", b"withdrawn").await.version;
    client.withdraw(BUCKET, "back", latest).await.unwrap();
    files.insert(format!("{BUCKET}/back"), b"again".to_vec());
    client.create_bucket(facts("packed", 1)).await.unwrap();
    let text = b"a line that repeats itself\n".repeat(40_000);
    let packed = client.bucket("packed").unwrap().unwrap();
    let mut writer = client.writer(&packed, shosoin_protocol::policy::Label::Ordinary).unwrap();
    writer.push(text.clone().into()).await.unwrap();
    let part = shosoin_client::Part::single(writer.finish().await.unwrap());
    let object = shosoin_client::NewObject { bucket: "packed".into(), name: "text".into(), ..Default::default() };
    client.put_object(object, part, Condition::Any).await.unwrap();
    files.insert("packed/text".to_owned(), text);
    assert_eq!(get(client, "back").await.unwrap(), b"again");
    (files, 3)
}

fn files_below(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let (mut found, mut waiting) = (BTreeMap::new(), vec![folder.to_owned()]);
    while let Some(path) = waiting.pop() {
        match path.is_dir() {
            true => waiting.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path())),
            false => {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

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
        let sheets: Vec<String> =
            [5, 1, 3].iter().map(|number| kept.path(&format!("sheet-{number}")).display().to_string()).collect();
        let sheets: Vec<&str> = sheets.iter().flat_map(|sheet| ["--sheet", sheet]).chain(["--json"]).collect();
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
    for at in (0..bad.len()).step_by(10_007) {
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
    assert!(String::from_utf8_lossy(&beyond.stdout).contains("\"ledger_proved\":false"));
    let list = std::fs::read_to_string(kept.path("beyond/index.tsv")).unwrap();
    // each record that did not come out is told: by a line of its own, or, its entry lost too, by the gap in the ledger
    let failed = list.lines().filter(|line| line.contains("\tfailed\t")).count();
    assert!(failed >= kept.files.len() - out || list.contains("the ledger has a gap"), "{list}");
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
