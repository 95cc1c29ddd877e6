//! A gateway whose whole folder was copied, and one whose folder was restored from a backup: real processes with one device
//! key at one vault, over TLS. Each is recognised, reads on, and stores nothing until a person confirms the head.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path as Name;
use object_store::{ClientOptions, ObjectStoreExt as _, RetryConfig};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use support::halves::Halves;
use support::{Serving, arg, shosoin};

struct Scene {
    halves: Halves,
    url: String,
    key: (String, String),
    _vault: Serving,
}

impl Scene {
    fn new() -> Scene {
        let halves = Halves::new();
        let vault = halves.serve_vault();
        let url = vault.field("url");
        halves.make_hospital("h");
        halves.enrol("h", &["--yes"]).ok();
        halves.hospital("h", &url, &["bucket", "create", "records"]).ok();
        let config = "form = 1\n[metrics]\nlisten = \"127.0.0.1:0\"\n";
        std::fs::write(halves.path("h").join("gateway.toml"), config).unwrap();
        let (dir, passphrase) = (halves.path("h"), halves.path("passphrase"));
        let user = ["gateway", "user", "add", "--name", "pacs", "--role", "write", "--json"];
        let added = shosoin(&[&user[..], &["--dir", arg(&dir), "--passphrase-file", arg(&passphrase)]].concat()).ok();
        let field = |name: &str| added.json()[name].as_str().unwrap().to_owned();
        let key = (field("access_key_id"), field("secret_access_key"));
        Scene { key, halves, url, _vault: vault }
    }

    fn copy(&self, from: &str, to: &str) {
        let (from, to) = (self.halves.path(from), self.halves.path(to));
        let _ = std::fs::remove_dir_all(&to);
        assert!(Command::new("cp").args(["-a", arg(&from), arg(&to)]).status().unwrap().success());
    }

    fn serve(&self, name: &str) -> Serving {
        let (dir, passphrase) = (self.halves.path(name), self.halves.path("passphrase"));
        let reach = ["--vault-url", &self.url, "--vault-pin", &self.halves.pin, "--passphrase-file", arg(&passphrase)];
        let served = ["gateway", "serve", "--dir", arg(&dir), "--s3", "127.0.0.1:0"];
        Serving::start_with_log(&[&served[..], &reach].concat(), Some("error"))
    }

    fn s3(&self, gateway: &Serving) -> AmazonS3 {
        AmazonS3Builder::new()
            .with_endpoint(gateway.field("s3_endpoint"))
            .with_access_key_id(&self.key.0)
            .with_secret_access_key(&self.key.1)
            .with_region("us-east-1")
            .with_bucket_name("records")
            .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() })
            .with_client_options(ClientOptions::new().with_allow_http(true))
            .build()
            .unwrap()
    }

    /// What the gateway that runs shows a Prometheus, and what it tells a person.
    fn says_read_only(&self, name: &str, gateway: &Serving) -> [bool; 2] {
        let url = gateway.field("metrics");
        let address = url.strip_prefix("http://").unwrap().strip_suffix("/metrics").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n\r\n").unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        let figure = page.lines().find_map(|line| line.strip_prefix("shosoin_gateway_read_only "));
        let (dir, status) = (self.halves.path(name), ["gateway", "status", "--json", "--dir"]);
        let told = shosoin(&[&status[..], &[arg(&dir)]].concat()).ok().json();
        [figure.unwrap_or_else(|| panic!("{page}")) == "1", told["read_only"].as_bool().unwrap()]
    }

    fn confirm(&self, name: &str, more: &[&str]) -> support::Done {
        self.halves.hospital(name, &self.url, &[&["gateway", "confirm"], more].concat())
    }
}

async fn put(s3: &AmazonS3, name: &str) -> Result<(), String> {
    let put = s3.put(&Name::from(name), name.as_bytes().to_vec().into()).await;
    put.map(drop).map_err(|error| format!("{error:?}"))
}

async fn assert_reads(s3: &AmazonS3, name: &str) {
    assert_eq!(s3.get(&Name::from(name)).await.unwrap().bytes().await.unwrap(), name.as_bytes());
}

fn is_read_only(refused: Result<(), String>) {
    let refused = refused.unwrap_err();
    for said in ["GatewayReadOnly", "Nothing was stored", "gateway confirm"] {
        assert!(refused.contains(said), "{said:?} is not in {refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_gateway_and_its_copy_one_goes_on_and_the_other_gives_alarm_and_reads() {
    let scene = Scene::new();
    scene.copy("h", "copy");
    let (gateway, mut copy) = (scene.serve("h"), scene.serve("copy"));
    let (first, second) = (scene.s3(&gateway), scene.s3(&copy));
    assert_eq!(scene.says_read_only("copy", &copy), [false; 2], "it knows of nothing yet");
    put(&first, "first").await.unwrap();
    is_read_only(put(&second, "second").await);
    copy.wait_for_log(&["ALARM", "read-only"]);
    assert_eq!(scene.says_read_only("copy", &copy), [true; 2]);
    assert_eq!(scene.says_read_only("h", &gateway), [false; 2]);
    assert_reads(&second, "first").await;
    put(&first, "goes on").await.unwrap();
    assert_reads(&second, "goes on").await;
    is_read_only(put(&second, "second").await);
    assert_eq!((gateway.ready["read_only"].as_bool(), copy.ready["read_only"].as_bool()), (Some(false), Some(false)));
    drop(copy);
    assert_eq!(scene.serve("copy").ready["read_only"], true, "it is recognised when it starts");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_restored_from_a_backup_stores_nothing_until_the_head_was_compared() {
    let scene = Scene::new();
    scene.copy("h", "backup");
    let gateway = scene.serve("h");
    put(&scene.s3(&gateway), "after the backup").await.unwrap();
    gateway.stop();
    let elsewhere = scene.confirm("h", &[]).ok().json();
    assert_eq!((&elsewhere["read_only"], &elsewhere["confirmed"]), (&false.into(), &false.into()));
    scene.copy("backup", "h");

    let mut gateway = scene.serve("h");
    assert_eq!(gateway.ready["read_only"], true);
    gateway.wait_for_log(&["ALARM", "read-only"]);
    let s3 = scene.s3(&gateway);
    is_read_only(put(&s3, "lost").await);
    is_read_only(s3.delete(&Name::from("after the backup")).await.map_err(|error| format!("{error:?}")));
    assert_reads(&s3, "after the backup").await;
    assert_eq!(scene.says_read_only("h", &gateway), [true; 2]);
    let dir = scene.halves.path("h");
    shosoin(&["gateway", "snapshot", "--dir", arg(&dir), "--json"]).fails(4, &["read-only"]);
    drop(gateway);
    shosoin(&["gateway", "status", "--dir", arg(&dir), "--json"]).fails(6, &["no gateway runs", "gateway serve"]);

    let source = scene.halves.path("source");
    std::fs::write(&source, "x").unwrap();
    scene.halves.hospital("h", &scene.url, &["put", "records", "lost", arg(&source)]).fails(4, &["read-only"]);
    let shown = scene.confirm("h", &[]).ok().json();
    assert_eq!((&shown["read_only"], &shown["head"]), (&true.into(), &elsewhere["head"]));
    let head = elsewhere["head"].as_str().unwrap();
    let (size, root) = head.split_once(':').unwrap();
    scene.confirm("h", &["--head", &format!("{size}:{}", "ab".repeat(32))]).fails(4, &["not in the ledger"]);
    scene.confirm("h", &["--head", &format!("{}:{root}", size.parse::<u64>().unwrap() + 1)]).fails(4, &["only"]);
    scene.confirm("h", &["--head", root]).fails(2, &["--head"]);
    assert_eq!(scene.confirm("h", &["--head", head]).ok().json()["read_only"], false);

    let gateway = scene.serve("h");
    put(&scene.s3(&gateway), "stored again").await.unwrap();
    assert_eq!(scene.says_read_only("h", &gateway), [false; 2]);
    drop(gateway); // killed
    let gateway = scene.serve("h");
    assert_eq!(gateway.ready["read_only"], false, "a kill makes no copy");
    assert_reads(&scene.s3(&gateway), "stored again").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_killed_in_the_middle_of_deposits_is_no_copy_of_itself() {
    let scene = Scene::new();
    for round in 0..4u32 {
        let mut gateway = scene.serve("h");
        assert_eq!(gateway.ready["read_only"], false);
        let s3 = scene.s3(&gateway);
        put(&s3, &format!("first/{round}")).await.unwrap();
        let puts = (0..12).map(|n| {
            let (s3, name) = (&s3, format!("{round}/{n}"));
            async move { put(s3, &name).await }
        });
        let kill = async {
            tokio::time::sleep(std::time::Duration::from_millis(u64::from(round) * 7)).await; // the life before a kill
            tokio::task::block_in_place(|| gateway.kill());
        };
        futures::future::join(futures::future::join_all(puts), kill).await;
    }
    assert!(Path::new(&scene.halves.path("h").join("signed")).exists());
    assert_eq!(scene.confirm("h", &[]).ok().json()["read_only"], false);
}
