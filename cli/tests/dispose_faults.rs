//! Disposals under fire: the command, or the vault that carries it out, killed without warning, a volume that vanishes and one that
//! is damaged, at moments of a run that nobody chose. Afterwards every neighbour lives, the run goes on to its end, and no
//! certificate ever said more than was true.
//!
//! `SHOSOIN_DISPOSAL_FAULTS` says how many runs are hit (2 unless set; 4 are one of each kind), `SHOSOIN_CRASH_SEED` repeats kinds and
//! moments of a run that failed.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use serde_json::Value;
use shosoin_protocol::certificate::{Certificate, CopyState};
use shosoin_protocol::entry::{Body, Entry};
use shosoin_protocol::{HospitalId, VersionId};
use shosoin_store::{OpenOptions, Vault};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use support::disposals::Site;
use support::kill::{Dice, from_env};
use support::{Serving, arg, binary, bytes, shosoin};

/// Bytes of a chart: several stripes.
const CHART_BYTES: usize = 150_000;
/// Neighbours besides the newest that are read back after each fault.
const LOOKED_AT: u64 = 2;
/// A window of a sealed record that is looked for on media.
const WINDOW: usize = 32;

/// What happens to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hit {
    /// the command, which has the vault open, is killed
    CommandKilled,
    /// the vault that serves is killed while it carries out what the command asked for
    VaultKilled,
    /// a volume vanishes and is back afterwards
    VolumeVanishes,
    /// shards on a volume get a flipped byte
    VolumeDamaged,
}

const HITS: [Hit; 4] = [Hit::CommandKilled, Hit::VaultKilled, Hit::VolumeVanishes, Hit::VolumeDamaged];

struct Scene {
    site: Site,
    charts: u64,
    neighbours: Vec<(String, Vec<u8>)>,
    dice: Dice,
}

impl Scene {
    fn new() -> Scene {
        let dice = Dice::thrown_for("disposals");
        Scene { site: Site::empty(), charts: 0, neighbours: Vec::new(), dice }
    }

    fn put(&mut self, name: &str) -> (Value, Vec<u8>) {
        self.charts += 1;
        let (file, content) = (self.site.path("record"), bytes(self.charts, CHART_BYTES));
        std::fs::write(&file, &content).unwrap();
        let put = self.site.run(&["put", "charts", name, arg(&file)], &[]).ok().json();
        (put, content)
    }

    /// Two charts that are ordered and approved to end, with a neighbour between them. Gives the order and what of them lies
    /// on media and must not for ever.
    fn ordered(&mut self, round: u64) -> (String, Vec<Vec<u8>>) {
        let prefix = format!("end-{round}/");
        let first = self.put(&format!("{prefix}a")).0;
        let neighbour = format!("keep-{round}");
        let kept = self.put(&neighbour).1;
        self.neighbours.push((neighbour, kept));
        let second = self.put(&format!("{prefix}b")).0;
        self.site.past_their_term(&prefix);
        let versions = [first, second].map(|put| put["version"].as_str().unwrap().parse::<VersionId>().unwrap());
        let windows = self.windows(&versions);
        assert!(windows.iter().all(|window| self.is_on_media(window)), "the test looks where things are");
        (self.site.approved_order(&prefix), windows)
    }

    /// Pieces of the sealed keys of these versions, which nothing else has.
    fn windows(&self, versions: &[VersionId]) -> Vec<Vec<u8>> {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let vault = Vault::open(&self.vault(), OpenOptions::default()).await.unwrap();
            let status = vault.status().await.unwrap();
            let hospital: HospitalId = status.hospitals[0].hospital.parse().unwrap();
            let mut windows = Vec::new();
            for version in versions {
                let entry = vault.version(hospital, *version).await.unwrap().entry;
                let entry = Entry::decode(&entry).unwrap();
                let Body::Deposit(deposit) = entry.body() else { panic!("{version} is no deposit") };
                let wrap = vault.record(hospital, deposit.wrap).await.unwrap();
                windows.push(wrap[wrap.len() - WINDOW..].to_vec());
            }
            vault.close().await.unwrap();
            windows
        })
    }

    fn vault(&self) -> PathBuf {
        self.site.root().join("vault")
    }

    fn volume(&self, number: u64) -> PathBuf {
        self.vault().join(format!("volumes/v{number:02}"))
    }

    fn is_on_media(&self, window: &[u8]) -> bool {
        let on = |path: &PathBuf| {
            let content = std::fs::read(path).unwrap();
            content.windows(window.len()).any(|found| found == window)
        };
        files_below(&self.vault().join("volumes")).iter().any(on)
    }

    fn run_arguments(&self, order: &str) -> [String; 7] {
        let dir = arg(&self.site.root()).to_owned();
        ["dispose", "run", "--order", order, "--dir", &dir, "--json"].map(str::to_owned)
    }

    fn spawn(&self, order: &str) -> Child {
        let mut command = Command::new(binary());
        command.args(self.run_arguments(order)).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    }

    /// Hits a run of the order after `life`; gives whether the run was still under way.
    fn hit(&mut self, hit: Hit, order: &str, life: Duration) -> bool {
        let serving = (hit == Hit::VaultKilled)
            .then(|| Serving::start(&["up", "--dir", arg(&self.site.root()), "--s3", "127.0.0.1:0"]));
        let number = 1 + self.dice.below(6);
        let volume = self.volume(number);
        let mut run = self.spawn(order);
        std::thread::sleep(life); // the random life before a fault
        let lived = run.try_wait().unwrap().is_none();
        match (hit, serving) {
            (Hit::VaultKilled, Some(mut serving)) => {
                serving.kill();
                run.wait().unwrap();
            }
            (Hit::VolumeVanishes, _) => {
                let away = self.vault().join("away");
                std::fs::rename(&volume, &away).unwrap();
                run.wait().unwrap();
                self.certificate_is_true(order);
                if volume.exists() {
                    std::fs::remove_dir_all(&volume).unwrap(); // what was written in its place while it was away
                }
                std::fs::rename(&away, &volume).unwrap();
            }
            (Hit::VolumeDamaged, _) => {
                let mut shards = files_below(&volume.join("segments"));
                shards.truncate(3);
                for shard in shards {
                    damage(&shard, self.dice.below(64));
                }
                run.wait().unwrap();
            }
            _ => {
                run.kill().unwrap();
                run.wait().unwrap();
            }
        }
        lived
    }

    /// What is certified at this moment, if the end has begun, against what lies on the volumes.
    fn certificate_is_true(&self, order: &str) -> Option<Certificate> {
        let out = self.site.path("certificate.shcd");
        let issued = self.site.run(&["dispose", "certificate", "--order", order, "--out", arg(&out)], &[]);
        if issued.code != 0 {
            // a certificate is stated in the ledger, which takes nothing while a volume of six is away
            let why = ["has not begun", "volumes take writes"];
            assert!(why.iter().any(|why| issued.stderr.contains(why)), "{}", issued.stderr);
            return None;
        }
        self.site.run(&["dispose", "verify", arg(&out)], &[]).ok();
        let (said, _) = Certificate::decode(&std::fs::read(&out).unwrap()).unwrap();
        std::fs::remove_file(&out).unwrap();
        let (files, places) = (files_below(&self.vault().join("volumes")), self.places());
        for copy in said.copies.iter().filter(|copy| copy.state == CopyState::Erased) {
            let volume = &places[&copy.volume.to_string()];
            let lies = |file: &&PathBuf| file.starts_with(volume) && is_shard_of(file, &copy.segment.to_string());
            let there = files.iter().find(lies);
            assert_eq!(there, None, "a copy that is called erased is still there: {copy:?}");
        }
        Some(said)
    }

    /// Where each volume is.
    fn places(&self) -> BTreeMap<String, PathBuf> {
        let listed = shosoin(&["volume", "list", "--dir", arg(&self.vault()), "--json"]).ok().json();
        let place = |volume: &Value| {
            let (id, place) = (volume["label"]["id"].as_str().unwrap(), volume["place"].as_str().unwrap());
            (id.to_owned(), self.vault().join(place))
        };
        listed["volumes"].as_array().unwrap().iter().map(place).collect()
    }

    /// The newest neighbour and a few others are read back exact. All of them are at the end.
    fn neighbours_live(&mut self) {
        let count = self.neighbours.len() as u64;
        let mut chosen = vec![count - 1];
        chosen.extend((0..LOOKED_AT).map(|_| self.dice.below(count)));
        let out = self.site.path("out");
        for number in chosen {
            let (name, content) = &self.neighbours[usize::try_from(number).unwrap()];
            self.site.run(&["get", "charts", name, "--out", arg(&out)], &[]).ok();
            assert_eq!(&std::fs::read(&out).unwrap(), content, "{name}");
            std::fs::remove_file(&out).unwrap();
        }
    }
}

fn is_shard_of(file: &Path, segment: &str) -> bool {
    file.file_name().is_some_and(|name| name.to_string_lossy().starts_with(segment))
}

/// Every file below a folder; one that goes meanwhile is not there.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(_) => files.push(entry.path()),
                Err(_) => {}
            }
        }
    }
    files.sort();
    files
}

/// Flips a byte somewhere in the units of a shard, if it is still there.
fn damage(shard: &Path, at: u64) {
    use std::os::unix::fs::FileExt as _;
    let Ok(file) = std::fs::OpenOptions::new().read(true).write(true).open(shard) else { return };
    let (at, mut byte) = (4096 + 64 + at, [0]);
    if file.read_exact_at(&mut byte, at).is_ok() {
        file.write_all_at(&[byte[0] ^ 1], at).unwrap();
    }
}

#[test]
fn however_a_disposal_is_hit_neighbours_live_it_goes_on_and_no_certificate_says_more_than_is_true_8_2_r1_7_5_4_m4() {
    let rounds = from_env("SHOSOIN_DISPOSAL_FAULTS", 2);
    let mut scene = Scene::new();
    let (order, windows) = scene.ordered(0);
    let begun = Instant::now();
    let done = scene.site.run(&["dispose", "run", "--order", &order], &[]).ok().json();
    let whole = begun.elapsed();
    assert_eq!(done["certificate"]["pending"], 0, "{done}");
    assert!(windows.iter().all(|window| !scene.is_on_media(window)));

    let (mut under_way, mut half_way, first) = (0, 0, scene.dice.below(4));
    for round in 1..=rounds {
        let hit = HITS[usize::try_from(first + round).unwrap() % HITS.len()];
        let (order, windows) = scene.ordered(round);
        let life = Duration::from_micros(scene.dice.below(u64::try_from(whole.as_micros()).unwrap() + 1));
        println!("round {round}: {hit:?} after {life:?} of {whole:?}");
        under_way += u64::from(scene.hit(hit, &order, life));
        let said = scene.certificate_is_true(&order);
        half_way += u64::from(said.as_ref().is_some_and(|said| said.pending() > 0));
        if said.is_some_and(|said| said.pending() == 0) {
            assert!(windows.iter().all(|window| !scene.is_on_media(window)), "nothing is pending, and it is there");
        }
        scene.neighbours_live();
        scene.site.run(&["repair"], &[]);
        let done = scene.site.run(&["dispose", "run", "--order", &order], &[]).ok().json();
        assert_eq!(done["certificate"]["pending"], 0, "{hit:?} after {life:?}: {done}");
        assert!(windows.iter().all(|window| !scene.is_on_media(window)), "{hit:?} after {life:?}");
        scene.certificate_is_true(&order).unwrap();
        scene.neighbours_live();
        if hit == Hit::VolumeDamaged {
            scene.site.run(&["scrub"], &[]);
            assert_eq!(scene.site.run(&["repair"], &[]).ok().json()["short"], 0);
        }
    }
    let verified = scene.site.run(&["verify", "--all", "--content"], &[]).ok().json();
    assert_eq!((&verified["failed"], &verified["verified"]), (&0.into(), &(rounds + 1).into()), "{verified}");
    shosoin(&["vault", "check", "--every-unit", "--dir", arg(&scene.vault())]).ok();
    println!("{rounds} runs hit, {under_way} of them under way, {half_way} with copies pending; every neighbour lives");
}
