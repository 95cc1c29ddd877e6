//! The operator's background work with the real binary on real folders: damage is found, mended and gone, with the vault
//! served and not. Jobs that are killed: `job_kills.rs`.

mod support;

use serde_json::Value;
use support::site::{Site, count};
use support::{arg, shosoin};

#[test]
fn damage_in_a_stopped_site_is_found_mended_and_gone() {
    let site = Site::new("6", 3);
    assert_eq!(count(&site.job(&["scrub"]).ok().json(), "findings"), 0);
    site.damage(2, 1);
    let found = site.job(&["scrub"]);
    let report = found.json();
    assert!(found.code != 0 && count(&report, "findings") > 0, "{report}");
    let planned = site.job(&["repair", "--dry-run"]).ok().json();
    assert!(planned["dry_run"] == true && !planned["done"].as_array().unwrap().is_empty(), "{planned}");
    let mended = site.job(&["repair"]).ok().json();
    assert!(count(&mended, "rebuilt") > 0 && count(&mended, "short") == 0, "{mended}");
    assert!(count(&mended, "reread_bytes") >= count(&mended, "written_bytes"));
    assert_eq!(count(&site.job(&["scrub"]).ok().json(), "findings"), 0);
    site.assert_exact();
}

#[test]
fn a_running_site_is_scrubbed_and_mends_itself_and_says_so() {
    let site = Site::new("6", 3);
    site.damage(1, 5);
    site.damage(4, 9);
    let up = site.up();
    let report = site.job(&["scrub"]).json();
    assert!(count(&report, "findings") > 0 && report["by"] == "operator", "{report}");
    let mended = site.job(&["repair"]).ok().json();
    assert_eq!(count(&mended, "short"), 0, "{mended}");
    assert_eq!(count(&site.job(&["scrub"]).ok().json(), "findings"), 0);
    let jobs = site.job(&["jobs"]).ok().json();
    assert_eq!((&jobs["scheduled"], &jobs["scrub"]["debt_bytes"]), (&Value::Bool(true), &Value::from(0)));
    let scrub = jobs["jobs"].as_array().unwrap().iter().find(|job| job["job"] == "scrub").unwrap();
    assert!(scrub["last"]["outcome"] == "done" && scrub["late_since_ms"].is_null(), "{scrub}");
    let text = shosoin(&["jobs", "--dir", site.arg()]).ok().stdout;
    assert!(text.contains("scrub debt   0 B of") && text.contains("next start"), "{text}");
    assert_eq!(site.job(&["jobs", "--cancel", "scrub"]).ok().json()["cancelled"], false);
    up.stop();
    site.assert_exact();
}

#[test]
fn shards_deleted_from_a_volume_are_rebuilt_when_the_site_starts() {
    let site = Site::new("6", 3);
    let gone = site.shards(&site.volume(3));
    gone.iter().for_each(|path| std::fs::remove_file(path).unwrap());
    let mut up = site.up_with_log("shosoin_store::jobs=info");
    up.wait_for_log(&["a job ended", "job=\"repair\"", "outcome=\"done\""]);
    assert_eq!(site.shards(&site.volume(3)).len(), gone.len(), "rebuilt by itself");
    assert_eq!(site.job(&["repair"]).ok().json()["short"], 0);
    up.stop();
    assert_eq!(count(&site.job(&["scrub"]).ok().json(), "findings"), 0);
    site.assert_exact();
}

#[test]
fn a_job_keeps_to_its_time_and_refuses_what_it_does_not_know() {
    let site = Site::new("6", 1);
    let stopped = site.job(&["scrub", "--max-duration", "0s"]).ok().json();
    assert!(stopped["outcome"] == "stopped" && count(&stopped, "left_bytes") > 0, "{stopped}");
    assert_eq!(site.job(&["scrub", "--rate", "500MiB"]).ok().json()["left_bytes"], 0);
    site.job(&["scrub", "--volume", &"ee".repeat(16)]).fails(3, &["not in use here"]);
    site.job(&["scrub", "--volume", "v01"]).fails(2, &["32 hex digits"]);
    site.job(&["scrub", "--rate", "fast"]).fails(2, &["fast"]);
    assert_eq!(count(&site.job(&["check", "--every-unit"]).ok().json(), "findings"), 0);
    assert_eq!(site.job(&["compact"]).ok().json()["outcome"], "done");
    assert_eq!(site.job(&["migrate"]).ok().json()["outcome"], "done");
}

#[test]
fn a_volume_that_is_added_gets_its_share_when_somebody_asks_and_nothing_before() {
    let site = Site::new("6", 8);
    let place = site.path("added");
    std::fs::create_dir(&place).unwrap();
    site.vault(&["volume", "add", arg(&place), "--security-label", "C3"]).ok();
    let id = site.id_at(&place);
    let planned = site.job(&["copy-forward", "--onto", &id, "--dry-run"]).ok().json();
    assert!(planned["done"][0].as_str().unwrap().contains("would come to volume"), "{planned}");
    site.job(&["copy-forward"]).ok();
    assert_eq!(site.shards(&place).len(), 0, "nobody asked");
    let report = site.job(&["copy-forward", "--onto", &id]).ok().json();
    assert_eq!((&report["outcome"], count(&report, "short")), (&Value::from("done"), 0), "{report}");
    assert!(
        count(&report, "freed_bytes") > 0 && count(&report, "reread_bytes") > count(&report, "written_bytes"),
        "{report}"
    );
    let moved = site.shards(&place).len();
    let left: usize = (1..=6).map(|number| site.shards(&site.volume(number)).len()).sum();
    assert!(moved >= 4 && (left + moved).is_multiple_of(6), "{moved} came, {left} are left: no copy is there twice");
    assert_eq!(count(&site.job(&["copy-forward", "--onto", &id]).ok().json(), "items"), 0, "it has its share");
    site.job(&["copy-forward", "--onto", &"ab".repeat(16)]).fails(3, &["volume"]);
    site.assert_sound();
}

#[test]
fn copy_forward_empties_a_volume_and_retires_it() {
    let site = Site::new("7", 3);
    let volume = site.id_at(&site.volume(1));
    let planned = site.job(&["copy-forward", "--volume", &volume, "--dry-run"]).ok().json();
    assert_eq!(planned["done"].as_array().unwrap().len(), 1, "{planned}");
    let report = site.job(&["copy-forward", "--volume", &volume]).ok().json();
    assert_eq!((&report["outcome"], count(&report, "short")), (&Value::from("done"), 0), "{report}");
    assert_eq!(site.shards(&site.volume(1)).len(), 0);
    assert_eq!(count(&site.job(&["scrub"]).ok().json(), "findings"), 0);
    site.assert_exact();
}
