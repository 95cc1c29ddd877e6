//! Work on keys, killed without warning at any moment: no record becomes unreadable, and the next run goes on.
//!
//! `SHOSOIN_KEY_KILLS` says how often (6 unless set), `SHOSOIN_CRASH_SEED` repeats a run that failed.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use object_store::aws::AmazonS3Builder;
use object_store::path::Path as Name;
use object_store::{ClientOptions, ObjectStoreExt as _};
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};
use support::kill::{Dice, FirstSign, from_env, run_and_kill};
use support::{Done, Serving, arg, bytes, shosoin};

/// Records of the site: more than one page of the ledger.
const RECORDS: u64 = 1_200;
/// Records stored at a time.
const AT_ONCE: usize = 16;

async fn fill(site: &Path) {
    let up = Serving::start(&["up", "--dir", arg(site), "--s3", "127.0.0.1:0"]);
    let s3 = AmazonS3Builder::new()
        .with_endpoint(up.field("s3_endpoint"))
        .with_access_key_id(up.field("access_key_id"))
        .with_secret_access_key(up.field("secret_access_key"))
        .with_region(up.field("region"))
        .with_bucket_name("records")
        .with_client_options(ClientOptions::new().with_allow_http(true))
        .build()
        .unwrap();
    let put = |no: u64| {
        let (s3, name) = (&s3, Name::from(no.to_string()));
        async move { s3.put(&name, bytes(no + 1, 500).into()).await.unwrap() }
    };
    use futures::StreamExt as _;
    futures::stream::iter(0..RECORDS).map(put).buffer_unordered(AT_ONCE).for_each(|_| async {}).await;
    up.stop();
}

struct Work<'a> {
    site: &'a str,
}

impl Work<'_> {
    fn arguments<'b>(&'b self, command: &[&'b str]) -> Vec<&'b str> {
        [command, &["--dir", self.site, "--json"]].concat()
    }

    fn run(&self, command: &[&str]) -> Done {
        shosoin(&self.arguments(command)).ok()
    }

    /// Every record has a wrap that opens; gives the versions by epoch.
    fn covered(&self) -> Value {
        let covered = self.run(&["keyring", "coverage"]).json();
        let versions: u64 = covered["on"].as_array().unwrap().iter().map(|on| on["versions"].as_u64().unwrap()).sum();
        assert_eq!((versions, covered["failed"].as_u64(), covered["gone"].as_u64()), (RECORDS, Some(0), Some(0)));
        covered
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn however_often_rotating_and_wrapping_anew_is_killed_every_record_opens() {
    let kills = from_env("SHOSOIN_KEY_KILLS", 6);
    let mut dice = Dice::thrown_for("work on keys");
    let dir = tempfile::tempdir().unwrap();
    let site = dir.path().join("site");
    Serving::start(&["up", "--dir", arg(&site), "--s3", "127.0.0.1:0"]).stop();
    shosoin(&["bucket", "create", "records", "--dir", arg(&site)]).ok();
    fill(&site).await;
    let work = Work { site: arg(&site) };
    work.run(&["keyring", "rotate", "--reason", "drill"]);
    let begun = Instant::now();
    let rewrap = ["keyring", "rewrap", "--per-entry", "16"];
    assert_eq!(work.run(&rewrap).json()["rewrapped"], RECORDS);
    let whole = begun.elapsed();

    let (mut half_way, mut epoch) = (0, 2);
    for round in 0..kills {
        let newest = work.covered()["epoch"].as_u64().unwrap();
        assert!(newest == epoch || newest == epoch + 1, "an epoch begins or does not");
        epoch = newest;
        let rotating = round % 4 == 0;
        let life = |dice: &mut Dice, most: Duration| {
            Duration::from_micros(dice.below(u64::try_from(most.as_micros()).unwrap() + 1))
        };
        if rotating {
            let most = whole / 2;
            run_and_kill(&work.arguments(&["keyring", "rotate"]), FirstSign::Start, life(&mut dice, most));
        } else {
            let killed = run_and_kill(&work.arguments(&rewrap), FirstSign::Progress, life(&mut dice, whole));
            half_way += u64::from(killed);
        }
        match dice.below(5) {
            0 => std::fs::remove_dir_all(site.join("vault/index")).unwrap(),
            1 => std::fs::remove_dir_all(site.join("hospital/view")).unwrap(),
            _ => {}
        }
        if work.covered()["on"].as_array().unwrap().len() == 1 {
            work.run(&["keyring", "rotate", "--reason", "drill"]);
            epoch += 1;
        }
    }
    work.run(&rewrap);
    let covered = work.covered();
    assert_eq!(covered["on"].as_array().unwrap().len(), 1, "{covered}");
    let verified = work.run(&["verify", "--all", "--content"]).json();
    assert_eq!((verified["verified"].as_u64(), verified["failed"].as_u64()), (Some(RECORDS), Some(0)));
    let check = work.run(&["check", "--every-unit"]).json();
    assert_eq!(check["findings"], 0, "{check}");
    println!("{kills} kills, {half_way} of them while keys were wrapped, every record opens");
}
