//! A vault that holds records of every shape, closed, with everything that opens it beside it.
#![allow(dead_code, reason = "each test file uses its own part")]

use super::common::{BUCKET, Wire, get, noise, put};
use shosoin_client::{Client, ClientOptions, Condition, Depositor, Enrolled, OrderOptions, RewrapOptions, Selection};
use shosoin_keyring::escrow::{Quorum, sheet};
use shosoin_keyring::{Argon2Params, Keyring, keyfile};
use shosoin_protocol::Suite;
use shosoin_protocol::act::handover::key_digest;
use shosoin_protocol::act::{Custody, DisposalReason, EpochReason};
use shosoin_protocol::approval::{Approval, ApprovalFile, ApprovedOrder};
use shosoin_protocol::manifest::{BucketFacts, Versioning};
use shosoin_protocol::sign::SigningKey;
use shosoin_store::accounts::{Caller, Change, Hours, OsUser, Role, Roles};
use shosoin_store::disposal::DisposalCommand;
use shosoin_store::handover::{HandoverCommand, HandoverRun};
use shosoin_store::identity::Identity;
use shosoin_store::{Code, IndexKind, InitOptions, OpenOptions, Vault, VolumeSpec, actor};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use tempfile::TempDir;
use zeroize::Zeroizing;

const CHUNK: usize = 256 * 1024;
/// Stored last at the first vault, and under a new key at the second.
const LAST: &[u8] = b"at the first vault";
const NEWER: &[u8] = b"under a key of the second vault's time";

/// User numbers of this machine that nobody has.
const ADMIN: u32 = 4_100_001;
const KEEPER: u32 = 4_100_002;

/// What becomes of the records.
#[derive(Clone, Copy, PartialEq)]
enum Going {
    Stays,
    Packed,
    Ends,
    Moves,
}

/// Volumes with records, a key file, sheets, and nothing that runs.
pub struct Kept {
    pub dir: TempDir,
    /// what must come out, by path below the folder of files
    pub files: BTreeMap<String, Vec<u8>>,
    /// versions that names no longer have
    pub older: usize,
}

impl Kept {
    pub async fn new(suite: Suite, paged: bool) -> Kept {
        Kept::made(suite, paged, Going::Stays).await
    }

    /// The same, with everything in `package` too, in files of 1 MiB and more.
    pub async fn packed(suite: Suite) -> Kept {
        Kept::made(suite, false, Going::Packed).await
    }

    /// The same, after some records were disposed of on an approved order.
    pub async fn ended(suite: Suite) -> Kept {
        Kept::made(suite, false, Going::Ends).await
    }

    /// The same, handed over to a second vault with the package `closed`; the hospital went on there, and everything of the
    /// second vault is in `next`.
    pub async fn moved(suite: Suite) -> Kept {
        Kept::made(suite, false, Going::Moves).await
    }

    async fn made(suite: Suite, paged: bool, going: Going) -> Kept {
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
        let (mut files, older) = fill(&client, paged).await;
        let enrolled = client.enrol_depositor(BUCKET, "modality/", None).await.unwrap();
        let (name, content) = ("modality/ct.dcm", noise(77, 300_000));
        deposit(dir.path().join("machine"), enrolled, wire.clone(), name, &content).await;
        files.insert(format!("{BUCKET}/{name}"), content);
        if going == Going::Ends {
            end(&vault, &client).await;
        }
        if going == Going::Moves {
            put(&client, "last", LAST).await;
            files.insert(format!("{BUCKET}/last"), LAST.to_vec());
            move_on(dir.path(), &vault, client, suite).await;
        } else {
            client.close().await.unwrap();
        }
        if going == Going::Packed || going == Going::Ends {
            let caller = if going == Going::Ends { Caller::user(KEEPER) } else { Caller::this_process() };
            export(&vault, &dir.path().join("package"), false, caller).await;
        }
        vault.close().await.unwrap();
        Kept { dir, files, older }
    }

    /// What came at the second vault, which its package alone has.
    pub fn and_of_the_next_vault(&mut self) {
        self.files.insert(format!("{BUCKET}/next/new"), noise(99, 3 * CHUNK));
        self.files.insert(format!("{BUCKET}/next/newer"), NEWER.to_vec());
        self.files.insert(format!("{BUCKET}/changed"), b"third".to_vec());
        self.older += 1;
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn volume(&self, number: usize) -> PathBuf {
        self.path(&format!("vault/volumes/v{number:02}"))
    }

    pub fn run(&self, out: &str, more: &[&str]) -> Output {
        self.run_from("vault/volumes", out, more)
    }

    pub fn run_from(&self, from: &str, out: &str, more: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_shosoin-reader"));
        command.arg("--from").arg(self.path(from)).arg("--out").arg(self.path(out)).args(more);
        command.output().unwrap()
    }

    pub fn with_key_file(&self, out: &str, more: &[&str]) -> Output {
        self.with_key_file_on("vault/volumes", out, more)
    }

    pub fn with_key_file_on(&self, from: &str, out: &str, more: &[&str]) -> Output {
        let (keyring, passphrase) = (self.path("keyring"), self.path("passphrase"));
        let keys =
            ["--key-file", keyring.to_str().unwrap(), "--passphrase-file", passphrase.to_str().unwrap(), "--json"];
        self.run_from(from, out, &[&keys, more].concat())
    }

    /// Three of the five sheets, as arguments.
    pub fn sheets(&self) -> Vec<String> {
        let sheet = |number: &u8| self.path(&format!("sheet-{number}")).display().to_string();
        [5, 1, 3].iter().flat_map(|number| ["--sheet".to_owned(), sheet(number)]).collect()
    }

    #[track_caller]
    pub fn assert_whole(&self, out: &str, done: &Output) {
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let report = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(
            report.contains("\"failed\":0,\"findings\":0") && report.contains("\"ledger_proved\":true"),
            "{report}"
        );
        let found = files_below(&self.path(out).join("files"));
        assert_eq!(found.keys().collect::<Vec<_>>(), self.files.keys().collect::<Vec<_>>());
        let page = std::fs::read_to_string(self.path(out).join("index.html")).unwrap();
        let links: Vec<&str> = page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        for link in &links {
            let bytes = link.split('%').enumerate().flat_map(|(at, piece)| match at {
                0 => piece.as_bytes().to_vec(),
                _ => [&[u8::from_str_radix(&piece[..2], 16).unwrap()], &piece.as_bytes()[2..]].concat(),
            });
            let path = String::from_utf8(bytes.collect()).unwrap();
            assert!(self.path(out).join(&path).is_file(), "{path} is on the page and not in the folder");
        }
        assert!(links.len() >= self.files.len(), "every file is on the page");
        for (path, content) in &self.files {
            assert!(found[path] == *content, "{path} came back with other bytes");
        }
    }
}

/// Stores records, one of them in the chunks of another that stays, and disposes of them with the approvals of two persons.
async fn end(vault: &Vault, client: &Client) {
    put(client, "ended/alone", &noise(55, 2 * CHUNK)).await;
    put(client, "ended/shared", &noise((9 * CHUNK + 77) as u64, 9 * CHUNK + 77)).await;
    let person = |number: u8| SigningKey::from_seed(Suite::Default, &Zeroizing::new([number; 32])).unwrap();
    let (admin, keeper) = (Caller::user(ADMIN), Caller::user(KEEPER));
    let add = |by: &Caller, id: &str, role: Role, uid: Option<u32>| {
        let os_user = uid.map(|uid| OsUser { uid, name: actor::user(uid) });
        let (id, name, roles) = (id.parse().unwrap(), id.to_owned(), Roles::of(&[role]).unwrap());
        vault.accounts().propose(by, Change::Add { id, name, roles, os_user, hours: Hours::default() }, "").unwrap();
    };
    add(&Caller::this_process(), "admin-one", Role::Admin, Some(ADMIN));
    add(&admin, "keeper-one", Role::Keeper, Some(KEEPER));
    for (number, id) in [(1, "approver-one"), (2, "approver-two"), (3, "manager-one")] {
        add(&admin, id, Role::DisposalApprover, None);
        let change = Change::SetKey { id: id.parse().unwrap(), key: Some(person(number).public()) };
        vault.accounts().propose(&admin, change, "").unwrap();
    }
    let selection =
        Selection { bucket: Some(BUCKET.to_owned()), prefix: Some("ended/".to_owned()), ..Selection::default() };
    let (requester, reason) = (person(3), DisposalReason::RetentionEnded);
    let options = OrderOptions { reason, cool_down_days: 0, stands_days: 30, requester: &requester };
    let ordered = client.order_disposal(&selection, false, &options).await.unwrap().remove(0);
    assert_eq!(ordered.deposits, 2);
    let order = ordered.stated.id.to_string();
    let ask = async |command| vault.disposal_command(command, keeper.clone()).await.unwrap();
    let shown = ask(DisposalCommand::Status { order: Some(order.clone()) }).await;
    let field = |name: &str| shown["orders"][0]["to_approve"][name].as_str().unwrap().to_owned();
    let approved = ApprovedOrder {
        log: field("log").parse().unwrap(),
        order: ordered.stated.id,
        leaf: field("leaf").parse().unwrap(),
        document: field("document").parse().unwrap(),
    };
    for number in [1, 2] {
        let approval = Approval::sign(&approved, shosoin_client::now_ms(), &person(number));
        let file = ApprovalFile { order: approved, approval };
        ask(DisposalCommand::Approve { approval: hex::encode(file.encode()) }).await;
    }
    let ended = ask(DisposalCommand::Run { order, dry_run: false }).await;
    assert!(ended["records"].as_u64().unwrap() > 0, "{ended}");
}

/// Hands everything over to a second vault; the hospital goes on there.
async fn move_on(dir: &Path, vault: &Vault, client: Client, suite: Suite) {
    let keyring = || keyfile::open(&std::fs::read(dir.join("keyring")).unwrap(), b"open sesame").unwrap();
    let hospital = keyring().hospital();
    let volumes = (1..=3).map(|no| VolumeSpec::at(format!("volumes/v{no:02}"))).collect();
    let (code, listen) = (Code::parse("1+2").unwrap(), "127.0.0.1:0".parse().unwrap());
    let options = InitOptions { volumes, code, demo: true, index: IndexKind::Memory, listen };
    Vault::init(&dir.join("second"), options).await.unwrap();
    let second = Vault::open(&dir.join("second"), OpenOptions::default()).await.unwrap();
    let key = |folder: &str| Identity::load(&dir.join(folder)).unwrap().key(suite).public();
    client.order_handover(second.id(), key_digest(&key("second"))).await.unwrap();
    client.close().await.unwrap();
    export(vault, &dir.join("closed"), true, Caller::this_process()).await;
    let (from, fingerprint) = (VolumeSpec::at(dir.join("closed")), key("vault").fingerprint());
    let import = HandoverCommand::Import { from, fingerprint, accept_missing: false, rate: None };
    second.handover_command(import, Caller::this_process(), HandoverRun::default()).await.unwrap();
    let (wire, options) = (Wire::new(second.clone(), hospital), ClientOptions::new(dir.join("following")));
    let client = Client::follow(options, keyring(), wire, &dir.join("hospital")).await.unwrap();
    put(&client, "next/new", &noise(99, 3 * CHUNK)).await;
    put(&client, "changed", b"third").await;
    client.rotate(EpochReason::Drill, Custody::Passphrase).await.unwrap();
    put(&client, "next/newer", NEWER).await;
    client.close().await.unwrap();
    export(&second, &dir.join("next"), false, Caller::this_process()).await;
    second.close().await.unwrap();
}

/// Stores a record with a machine that only deposits.
async fn deposit(state: PathBuf, machine: Enrolled, wire: Arc<Wire>, name: &str, content: &[u8]) {
    let depositor = Depositor::open(ClientOptions::new(state), machine.keyring, machine.terms, wire).await;
    let mut depositor = depositor.unwrap();
    let mut writer = depositor.writer().unwrap();
    writer.push(bytes::Bytes::copy_from_slice(content)).await.unwrap();
    depositor.deposit(name, writer.finish().await.unwrap()).await.unwrap();
}

async fn export(vault: &Vault, package: &Path, close: bool, caller: Caller) {
    std::fs::create_dir(package).unwrap();
    let to = VolumeSpec::at(package);
    let command = HandoverCommand::Export {
        hospital: None,
        to,
        rate: None,
        segment_bytes: Some(1 << 20),
        close,
        timestamps: None,
    };
    vault.handover_command(command, caller, HandoverRun::default()).await.unwrap();
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
    // what comes now is wrapped under a key of its own, and so is some of what came before, anew
    client.rotate(EpochReason::Drill, Custody::Passphrase).await.unwrap();
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
    let rewrapped = client.rewrap(RewrapOptions::default(), &|_| {}).await.unwrap().counts;
    assert_eq!((rewrapped.rewrapped, rewrapped.already, rewrapped.failed), (7, 6, 0));
    put(client, "after", b"the new wraps").await;
    files.insert(format!("{BUCKET}/after"), b"the new wraps".to_vec());
    (files, 3)
}

pub fn files_below(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let (mut found, mut waiting) = (BTreeMap::new(), vec![folder.to_owned()]);
    while let Some(path) = waiting.pop().filter(|path| path.exists()) {
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
