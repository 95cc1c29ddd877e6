//! A site killed without warning while eight clients store records: what was acknowledged is there, exact, after every
//! start. The receipts are kept in a journal outside the site, as a client's own database would keep them.
//!
//! `SHOSOIN_CRASHES` says how often (10 unless set), `SHOSOIN_CRASH_SEED` repeats a run that failed.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path as Name;
use object_store::{ClientOptions, ObjectStoreExt as _, RetryConfig};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use support::{Serving, arg, bytes, shosoin};
use tokio::sync::Notify;

/// Clients that store at the same time.
const CLIENTS: usize = 8;
/// Longest time a site lives in one round, once the first record of the round was acknowledged, in milliseconds.
const LIFE_MS_MAX: u64 = 700;
/// Older records that are read back after each start, besides all of the round before.
const SAMPLE: usize = 20;

/// A number generator that a seed repeats: xorshift64*.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % bound
    }

    fn pick(&mut self, count: usize) -> usize {
        usize::try_from(self.below(count as u64)).unwrap()
    }
}

/// What was acknowledged: name, and the digest of its content.
struct Journal {
    file: File,
    records: Vec<(Name, [u8; 32])>,
}

impl Journal {
    fn add(&mut self, name: Name, digest: [u8; 32]) {
        writeln!(self.file, "{name} {digest:02x?}").unwrap();
        self.file.sync_data().unwrap();
        self.records.push((name, digest));
    }
}

struct Run {
    site: PathBuf,
    journal: Mutex<Journal>,
    acknowledged: Notify,
    next: AtomicU64,
}

fn from_env(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}

fn connect(up: &Serving) -> AmazonS3 {
    AmazonS3Builder::new()
        .with_endpoint(up.field("s3_endpoint"))
        .with_access_key_id(up.field("access_key_id"))
        .with_secret_access_key(up.field("secret_access_key"))
        .with_region(up.field("region"))
        .with_bucket_name("records")
        .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() })
        .with_client_options(ClientOptions::new().with_allow_http(true).with_timeout(Duration::from_secs(60)))
        .build()
        .unwrap()
}

/// Sizes of records as they come: many small ones, some of several chunks.
fn size_of(number: u64) -> usize {
    match number % 16 {
        0 => 5 * 1024 * 1024 + 11,
        1..=4 => 200_000,
        5 => 0,
        _ => 1_000,
    }
}

impl Run {
    fn up(&self) -> Serving {
        Serving::start(&["up", "--dir", arg(&self.site), "--s3", "127.0.0.1:0"])
    }

    /// Stores records, new ones each, until the site is gone.
    async fn store_until_killed(&self, s3: &AmazonS3, dead: &AtomicBool) {
        while !dead.load(Ordering::SeqCst) {
            let number = self.next.fetch_add(1, Ordering::SeqCst);
            let content = bytes(number, size_of(number));
            let digest = Sha256::digest(&content).into();
            let name = Name::from(format!("{:03}/{number}", number % 100));
            match s3.put(&name, content.into()).await {
                Ok(_) => {
                    self.journal.lock().unwrap().add(name, digest);
                    self.acknowledged.notify_one();
                }
                Err(error) => assert!(dead.load(Ordering::SeqCst), "a record was refused by a living site: {error}"),
            }
        }
    }

    /// One life: clients store, the site is killed. Gives how many records were acknowledged before it.
    async fn live_and_die(&self, mut up: Serving, dice: &mut Dice) -> usize {
        let (s3, dead) = (connect(&up), AtomicBool::new(false));
        let before = self.journal.lock().unwrap().records.len();
        let life = Duration::from_millis(dice.below(LIFE_MS_MAX));
        let reaper = async {
            self.acknowledged.notified().await; // a life counts from its first receipt
            tokio::time::sleep(life).await;
            dead.store(true, Ordering::SeqCst);
            up.kill();
        };
        let clients = (0..CLIENTS).map(|_| self.store_until_killed(&s3, &dead));
        futures::future::join(reaper, futures::future::join_all(clients)).await;
        before
    }

    async fn read_back(&self, s3: &AmazonS3, picks: impl Iterator<Item = usize>) {
        let records: Vec<_> = picks.map(|at| self.journal.lock().unwrap().records[at].clone()).collect();
        for (name, digest) in records {
            let found = async { s3.get(&name).await?.bytes().await }.await;
            let content = found.unwrap_or_else(|error| panic!("acknowledged record {name} is lost: {error}"));
            assert!(Sha256::digest(&content)[..] == digest, "acknowledged record {name} has other bytes");
        }
    }
}

/// Caches that a crash may take along: none, the index, or the hospital's view of names.
fn lose_a_cache(site: &Path, dice: &mut Dice) {
    match dice.below(4) {
        0 => std::fs::remove_dir_all(site.join("vault/index")).unwrap(),
        1 => std::fs::remove_dir_all(site.join("hospital/view")).unwrap(),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_record_is_lost_however_often_the_site_is_killed() {
    let rounds = from_env("SHOSOIN_CRASHES", 10);
    let seed = from_env("SHOSOIN_CRASH_SEED", u64::from(std::process::id()));
    let mut dice = Dice(seed | 1);
    let dir = tempfile::tempdir().unwrap().keep(); // a run that fails leaves its evidence
    println!("SHOSOIN_CRASHES={rounds} SHOSOIN_CRASH_SEED={seed} in {}", dir.display());
    let journal = File::create(dir.join("journal")).unwrap();
    let journal = Mutex::new(Journal { file: journal, records: Vec::new() });
    let run = Run { site: dir.join("site"), journal, acknowledged: Notify::new(), next: AtomicU64::new(0) };
    run.up().stop();
    shosoin(&["bucket", "create", "records", "--dir", arg(&run.site)]).ok();

    let mut fresh = 0;
    for _ in 0..rounds {
        let up = run.up();
        let known = run.journal.lock().unwrap().records.len();
        let sample: Vec<usize> = (0..SAMPLE.min(fresh)).map(|_| dice.pick(fresh)).collect();
        run.read_back(&connect(&up), sample.into_iter().chain(fresh..known)).await;
        fresh = run.live_and_die(up, &mut dice).await;
        lose_a_cache(&run.site, &mut dice);
    }

    let up = run.up();
    let known = run.journal.lock().unwrap().records.len();
    run.read_back(&connect(&up), 0..known).await;
    up.stop();
    let check =
        shosoin(&["vault", "check", "--dir", arg(&run.site.join("vault")), "--every-unit", "--json"]).ok().json();
    assert_eq!(check["findings"].as_array().unwrap().iter().filter(|found| found["severity"] == "damaged").count(), 0);
    let tour = shosoin(&["verify", "--dir", arg(&run.site), "--all", "--json"]).ok().json();
    assert!(tour["verified"].as_u64().unwrap() >= known as u64, "{tour}");
    println!("{rounds} kills, {known} acknowledged records, none lost");
    std::fs::remove_dir_all(dir).unwrap();
}
