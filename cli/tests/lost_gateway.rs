//! The gateway's machine is gone, with everything on it: another one made from sheets serves the same records under the same names, and
//! the lost one is shut out.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use futures::TryStreamExt as _;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path as Name;
use object_store::{ClientOptions, ObjectStore as _, ObjectStoreExt as _};
use serde_json::Value;
use support::halves::Halves;
use support::{Serving, arg, bytes, shosoin};

/// A gateway of hospital `name`, and an S3 client of it.
fn gateway(halves: &Halves, name: &str, url: &str) -> (Serving, AmazonS3) {
    let (dir, passphrase) = (halves.path(name), halves.path("passphrase"));
    let own = ["--dir", arg(&dir), "--passphrase-file", arg(&passphrase)];
    let reach = ["--vault-url", url, "--vault-pin", &halves.pin];
    let user = ["gateway", "user", "add", "--name", "pacs", "--role", "admin", "--json"];
    let user = shosoin(&[&user[..], &own].concat()).ok().json();
    let serve = ["gateway", "serve", "--s3", "127.0.0.1:0"];
    let serving = Serving::start(&[&serve[..], &own, &reach].concat());
    let s3 = AmazonS3Builder::new()
        .with_endpoint(serving.field("s3_endpoint"))
        .with_access_key_id(user["access_key_id"].as_str().unwrap())
        .with_secret_access_key(user["secret_access_key"].as_str().unwrap())
        .with_region(serving.field("region"))
        .with_bucket_name("records")
        .with_client_options(ClientOptions::new().with_allow_http(true))
        .build()
        .unwrap();
    (serving, s3)
}

fn name(no: u64) -> Name {
    Name::from(format!("patient {}/scan-{no}.dcm", no % 3))
}

fn size(no: u64) -> usize {
    if no == 7 { 6_000_000 } else { 40_000 + usize::try_from(no).unwrap() }
}

async fn put(s3: &AmazonS3, no: u64) {
    s3.put(&name(no), bytes(no, size(no)).into()).await.unwrap();
}

async fn assert_all(s3: &AmazonS3, count: u64) {
    let mut listed: Vec<_> = s3.list(None).map_ok(|object| object.location).try_collect().await.unwrap();
    let mut expected: Vec<Name> = (0..count).map(name).collect();
    expected.sort();
    listed.sort();
    assert_eq!(listed, expected);
    for no in 0..count {
        let found = s3.get(&name(no)).await.unwrap().bytes().await.unwrap();
        assert!(found == bytes(no, size(no)), "record {no} has other bytes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_gateway_is_replaced_from_sheets_and_services_go_on_where_they_were() {
    let halves = Halves::new();
    let vault = halves.serve_vault();
    let url = vault.field("url");
    halves.make_hospital("old");
    halves.enrol("old", &["--yes"]).ok();
    let (sheets, passphrase) = (halves.path("sheets"), halves.path("passphrase"));
    let (dir, new) = (halves.path("old"), halves.path("new"));
    let secret = ["--passphrase-file", arg(&passphrase), "--json"];
    let split = shosoin(&[&["escrow", "split", "--dir", arg(&dir), "--out", arg(&sheets)], &secret[..]].concat());
    let sheets = split.ok().json()["sheets"].clone();
    let sheet = |at: usize| sheets[at].as_str().unwrap().to_owned();
    halves.hospital("old", &url, &["bucket", "create", "records"]).ok();
    let (mut serving, s3) = gateway(&halves, "old", &url);
    for no in 0..12 {
        put(&s3, no).await;
    }
    assert_all(&s3, 12).await;

    // its machine is stolen as it runs: no folder, no view, no access keys, no head is left to the hospital
    serving.kill();
    std::fs::rename(&dir, halves.path("stolen")).unwrap();
    let chosen = [sheet(4), sheet(0), sheet(2)];
    let restore = ["escrow", "restore", "--dir", arg(&new), &chosen[0], &chosen[1], &chosen[2]];
    shosoin(&[&restore[..], &secret].concat()).ok();
    halves.enrol("new", &["--yes"]).ok();
    let (serving, s3) = gateway(&halves, "new", &url);
    assert_all(&s3, 12).await;
    put(&s3, 12).await;
    assert_all(&s3, 13).await;
    serving.stop();
    let listed = halves.hospital("new", &url, &["device", "list"]).ok().stdout;
    let devices: Vec<Value> = listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let lost = devices.iter().find(|device| device["this"] == false).unwrap()["device"].as_str().unwrap();
    halves.hospital("new", &url, &["device", "revoke", lost, "--yes"]).ok();
    halves.hospital("stolen", &url, &["ls", "records"]).fails(4, &["unknown-hospital"]);

    let tour = halves.hospital("new", &url, &["verify", "--all", "--content"]).ok().json();
    assert_eq!((&tour["verified"], &tour["failed"]), (&13.into(), &0.into()));
    vault.stop();
}
