//! Three gateways of one hospital at one vault, each a process of its own with its own device key, reached by many S3
//! clients at once while gateways and vault are killed and started again: put, get, list and delete, conditional ones
//! too, give the answers that one place would give which did them one at a time.
//!
//! `SHOSOIN_LINEAR_SECONDS` says for how long (3 unless set), `SHOSOIN_LINEAR_SEED` repeats what the clients choose in a
//! run that failed; what the processes make of it is never the same twice.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

#[path = "linearizable/history.rs"]
mod history;
mod support;

use futures::TryStreamExt as _;
use history::{Answer, Event, NAMES, Only, Op, State, Value, check};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path as Name;
use object_store::{
    ClientOptions, Error, GetOptions, ObjectStore as _, ObjectStoreExt as _, PutMode, PutOptions, RetryConfig,
    UpdateVersion,
};
use shosoin_client::{Client, HttpOptions, HttpTransport};
use shosoin_protocol::manifest::{BucketFacts, Versioning};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::halves::Halves;
use support::kill::{Dice, from_env};
use support::{Serving, arg, shosoin};
use tokio::sync::watch;

/// Gateways of the hospital.
const GATEWAYS: usize = 3;
/// S3 clients of each.
const CLIENTS: usize = 4;
/// Groups of names: fewer meet more often.
const GROUPS: usize = 4;
/// Longest time between two kills, in milliseconds.
const CALM_MS_MAX: u64 = 900;

/// A hospital with three machines, and the vault; what was started keeps its address over kills.
struct Scene {
    halves: Halves,
    vault: Mutex<Option<Serving>>,
    vault_url: String,
    gateways: Vec<Mutex<Option<Serving>>>,
    endpoints: Vec<String>,
    keys: Vec<(String, String)>,
    /// per gateway, whether it and the vault are up
    up: Vec<watch::Sender<bool>>,
}

/// What the clients saw, and the contents they made.
struct Run {
    begun: Instant,
    next: AtomicU32,
    events: Vec<Mutex<Vec<Event>>>,
    /// ETag of a content, both ways
    etags: Mutex<(HashMap<String, Value>, HashMap<Value, String>)>,
    /// version ids that were answered, with their content
    versions: Mutex<HashMap<String, Value>>,
    ended: AtomicBool,
}

fn name_of(group: usize, name: usize) -> Name {
    Name::from(format!("g{group}/n{name}"))
}

fn content(value: Value) -> Vec<u8> {
    format!("content {value}").into_bytes()
}

impl Scene {
    fn new() -> Scene {
        let halves = Halves::new();
        let vault = halves.serve_vault();
        let vault_url = vault.field("url");
        halves.make_hospital("m0");
        halves.enrol("m0", &["--yes"]).ok();
        halves.hospital("m0", &vault_url, &["bucket", "create", "records"]).ok();
        tokio::runtime::Handle::current().block_on(keep_versions(&halves, &vault_url));
        let bare = |machine: &str, command: &[&str]| {
            let (dir, passphrase) = (halves.path(machine), halves.path("passphrase"));
            shosoin(&[command, &["--dir", arg(&dir), "--passphrase-file", arg(&passphrase), "--json"]].concat()).ok()
        };
        let out = halves.path("sheets");
        let split = ["escrow", "split", "--out", arg(&out), "--needed", "2", "--shares", "2"];
        let sheets = bare("m0", &split).json();
        let sheets: Vec<&str> =
            sheets["sheets"].as_array().unwrap().iter().map(|sheet| sheet.as_str().unwrap()).collect();
        let (mut keys, mut gateways, mut endpoints) = (Vec::new(), Vec::new(), Vec::new());
        for machine in 0..GATEWAYS {
            let name = format!("m{machine}");
            if machine > 0 {
                bare(&name, &[&["escrow", "restore"], sheets.as_slice()].concat());
                halves.enrol(&name, &["--yes"]).ok();
            }
            let added = bare(&name, &["gateway", "user", "add", "--name", "pacs", "--role", "write"]).json();
            let field = |name: &str| added[name].as_str().unwrap().to_owned();
            keys.push((field("access_key_id"), field("secret_access_key")));
            let gateway = serve(&halves, machine, &vault_url, "127.0.0.1:0");
            endpoints.push(gateway.field("s3_endpoint"));
            gateways.push(Mutex::new(Some(gateway)));
        }
        let up = (0..GATEWAYS).map(|_| watch::channel(true).0).collect();
        Scene { halves, vault: Mutex::new(Some(vault)), vault_url, gateways, endpoints, keys, up }
    }

    fn connect(&self, gateway: usize) -> AmazonS3 {
        let (id, secret) = &self.keys[gateway];
        AmazonS3Builder::new()
            .with_endpoint(&self.endpoints[gateway])
            .with_access_key_id(id)
            .with_secret_access_key(secret)
            .with_region("us-east-1")
            .with_bucket_name("records")
            .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() })
            .with_client_options(ClientOptions::new().with_allow_http(true).with_timeout(Duration::from_secs(60)))
            .build()
            .unwrap()
    }

    /// Kills a gateway and starts it again at its address.
    fn kill_gateway(&self, gateway: usize) {
        self.up[gateway].send_replace(false);
        let mut place = self.gateways[gateway].lock().unwrap();
        place.take().unwrap().kill();
        let listen = self.endpoints[gateway].trim_start_matches("http://");
        *place = Some(serve(&self.halves, gateway, &self.vault_url, listen));
        self.up[gateway].send_replace(true);
    }

    /// Kills the vault and starts it again at its address.
    fn kill_vault(&self) {
        let mut place = self.vault.lock().unwrap();
        place.take().unwrap().kill();
        let (dir, listen) = (self.halves.path("vault"), self.vault_url.trim_start_matches("https://"));
        *place = Some(Serving::start(&["vault", "serve", "--dir", arg(&dir), "--listen", listen]));
    }
}

/// Turns versions on, as an administrator's S3 client would.
async fn keep_versions(halves: &Halves, vault_url: &str) {
    let dir = halves.path("m0");
    let keyring =
        shosoin_keyring::keyfile::open(&std::fs::read(dir.join("keyring")).unwrap(), b"correct horse").unwrap();
    let mut pin = [0; 32];
    hex::decode_to_slice(&halves.pin, &mut pin).unwrap();
    let options = HttpOptions::new(vault_url, pin, keyring.tls_certificate_der(), keyring.tls_key_der());
    let transport = Arc::new(HttpTransport::new(options).unwrap());
    let client = Client::open(shosoin_client::ClientOptions::new(dir), keyring, transport).await.unwrap();
    let facts = client.bucket("records").unwrap().unwrap();
    client.update_bucket(BucketFacts { versioning: Versioning::Enabled, ..facts }).await.unwrap();
    client.close().await.unwrap();
}

fn serve(halves: &Halves, machine: usize, vault_url: &str, listen: &str) -> Serving {
    let (dir, passphrase) = (halves.path(&format!("m{machine}")), halves.path("passphrase"));
    let reach = ["--vault-url", vault_url, "--vault-pin", &halves.pin, "--passphrase-file", arg(&passphrase)];
    Serving::start(&[&["gateway", "serve", "--dir", arg(&dir), "--s3", listen], &reach[..]].concat())
}

impl Run {
    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_nanos()).unwrap()
    }

    fn value_of(&self, etag: &str) -> Value {
        *self.etags.lock().unwrap().0.get(etag).unwrap_or_else(|| panic!("nobody made the ETag {etag}"))
    }

    /// Notes which content a version is; it can never be another.
    fn is_version(&self, version: Option<String>, value: Value) {
        let version = version.unwrap();
        let known = *self.versions.lock().unwrap().entry(version.clone()).or_insert(value);
        assert_eq!(known, value, "version {version} has two contents");
    }

    fn fresh(&self) -> Value {
        let value = self.next.fetch_add(1, Ordering::SeqCst) + 1;
        let etag = format!("\"{}\"", md5_hex(&content(value)));
        let mut etags = self.etags.lock().unwrap();
        etags.0.insert(etag.clone(), value);
        etags.1.insert(value, etag);
        value
    }

    /// Asks until the end; `last` is what this client last saw under a name.
    async fn ask(&self, scene: &Scene, gateway: usize, mut dice: Dice) {
        let s3 = scene.connect(gateway);
        let (mut up, mut last) = (scene.up[gateway].subscribe(), [[0; NAMES]; GROUPS]);
        while !self.ended.load(Ordering::SeqCst) {
            up.wait_for(|up| *up).await.unwrap();
            let (group, name) = (dice.pick(GROUPS), dice.pick(NAMES));
            let op = match dice.below(12) {
                0..=1 => Op::Put(name, self.fresh(), Only::Always),
                2..=3 => Op::Put(name, self.fresh(), Only::Absent),
                4..=5 if last[group][name] != 0 => Op::Put(name, self.fresh(), Only::Holds(last[group][name])),
                4..=6 => Op::Delete(name),
                7..=8 => Op::List,
                9 if last[group][name] != 0 => {
                    self.read_version(&s3, group, name, &mut dice).await;
                    continue;
                }
                _ => Op::Get(name),
            };
            let asked = self.now();
            let answer = self.answer(&s3, group, op).await;
            let event = Event { op, answer, asked, answered: self.now() };
            match (op, answer) {
                (Op::Put(name, value, _), Answer::Done) | (Op::Get(name), Answer::Read(value)) => {
                    last[group][name] = value;
                }
                (Op::List, Answer::Listed(state)) => last[group] = state,
                _ => {}
            }
            self.events[group].lock().unwrap().push(event);
        }
    }

    async fn answer(&self, s3: &AmazonS3, group: usize, op: Op) -> Answer {
        match op {
            Op::Put(name, value, only) => {
                let mode = match only {
                    Only::Always => PutMode::Overwrite,
                    Only::Absent => PutMode::Create,
                    Only::Holds(value) => {
                        let e_tag = Some(self.etags.lock().unwrap().1[&value].clone());
                        PutMode::Update(UpdateVersion { e_tag, version: None })
                    }
                };
                let options = PutOptions { mode, ..PutOptions::default() };
                match s3.put_opts(&name_of(group, name), content(value).into(), options).await {
                    Ok(put) => {
                        self.is_version(put.version, value);
                        Answer::Done
                    }
                    Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Answer::Refused,
                    Err(error) => lost(&error),
                }
            }
            Op::Delete(name) => match s3.delete(&name_of(group, name)).await {
                Ok(()) => Answer::Done,
                Err(error) => lost(&error),
            },
            Op::Get(name) => match s3.get(&name_of(group, name)).await {
                Ok(found) => {
                    let (meta, value) = (found.meta.clone(), self.value_of(found.meta.e_tag.as_deref().unwrap()));
                    match found.bytes().await {
                        Ok(bytes) => assert_eq!(bytes, content(value), "the bytes are not those of the ETag"),
                        Err(error) => return lost(&error),
                    }
                    self.is_version(meta.version, value);
                    Answer::Read(value)
                }
                Err(Error::NotFound { .. }) => Answer::Read(0),
                Err(error) => lost(&error),
            },
            Op::List => match s3.list(Some(&Name::from(format!("g{group}")))).try_collect::<Vec<_>>().await {
                Ok(listed) => {
                    let mut state: State = [0; NAMES];
                    for object in listed {
                        let name = (0..NAMES).find(|name| name_of(group, *name) == object.location).unwrap();
                        state[name] = self.value_of(object.e_tag.as_deref().unwrap());
                    }
                    Answer::Listed(state)
                }
                Err(error) => lost(&error),
            },
        }
    }

    /// A version that was answered once is there for good, with its own content, at every gateway.
    async fn read_version(&self, s3: &AmazonS3, group: usize, name: usize, dice: &mut Dice) {
        let known: Vec<_> = self.versions.lock().unwrap().iter().map(|(id, value)| (id.clone(), *value)).collect();
        let (version, value) = known[dice.pick(known.len())].clone();
        let options = GetOptions { version: Some(version.clone()), ..GetOptions::default() };
        match s3.get_opts(&name_of(group, name), options).await {
            Ok(found) => assert_eq!(self.value_of(found.meta.e_tag.as_deref().unwrap()), value, "version {version}"),
            Err(Error::NotFound { .. }) => {} // a version of another name
            Err(error) => drop(lost(&error)),
        }
    }
}

/// No answer, or one that says that it may be tried again; a refusal of another kind is a failure of the test.
fn lost(error: &Error) -> Answer {
    let text = format!("{error:?}");
    let passing = ["503", "ServiceUnavailable", "Connect", "Request", "IncompleteMessage", "SendRequest", "Body"];
    assert!(passing.iter().any(|sign| text.contains(sign)), "{text}");
    Answer::Lost
}

fn md5_hex(bytes: &[u8]) -> String {
    use md5::Digest as _;
    md5::Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn kill_until_the_end(scene: &Scene, run: &Run, seconds: u64, mut dice: Dice) -> u32 {
    let end = run.begun + Duration::from_secs(seconds);
    let mut kills = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(100 + dice.below(CALM_MS_MAX))).await; // the calm before a kill
        if Instant::now() > end {
            run.ended.store(true, Ordering::SeqCst);
            return kills;
        }
        let victim = dice.pick(GATEWAYS + 1);
        tokio::task::block_in_place(|| match victim {
            GATEWAYS => scene.kill_vault(),
            gateway => scene.kill_gateway(gateway),
        });
        kills += 1;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_gateways_that_are_killed_answer_as_one_place_that_does_one_thing_at_a_time() {
    let seconds = from_env("SHOSOIN_LINEAR_SECONDS", 3);
    let seed = from_env("SHOSOIN_LINEAR_SEED", u64::from(std::process::id()));
    println!("SHOSOIN_LINEAR_SECONDS={seconds} SHOSOIN_LINEAR_SEED={seed}");
    let scene = tokio::task::block_in_place(Scene::new);
    let run = Run {
        begun: Instant::now(),
        next: AtomicU32::new(0),
        events: (0..GROUPS).map(|_| Mutex::default()).collect(),
        etags: Mutex::default(),
        versions: Mutex::default(),
        ended: AtomicBool::new(false),
    };
    let dice = |number| Dice::of(seed, number);
    let clients = (0..GATEWAYS * CLIENTS).map(|client| run.ask(&scene, client % GATEWAYS, dice(client as u64 + 1)));
    let killer = kill_until_the_end(&scene, &run, seconds, dice(0));
    let (kills, _) = futures::future::join(killer, futures::future::join_all(clients)).await;

    let (mut asked, mut unanswered) = (0, 0);
    for (group, events) in run.events.iter().enumerate() {
        let events = events.lock().unwrap().clone();
        asked += events.len();
        unanswered += events.iter().filter(|event| event.answer == Answer::Lost).count();
        check([0; NAMES], events).unwrap_or_else(|why| panic!("seed {seed}, group {group}: {why}"));
    }
    println!("{asked} operations, {unanswered} without an answer, {kills} kills: linearizable");
    assert!(asked > 100, "only {asked} operations: nothing was tried");
}
