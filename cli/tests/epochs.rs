//! Epochs on the command line, over a real site: begun, every key wrapped anew, and told by record.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use serde_json::{Value, json};
use support::shosoin;
use support::site::Site;

fn lines(answer: &str) -> Vec<Value> {
    answer.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_hospital_rotates_and_wraps_anew_and_every_record_is_as_readable_as_before() {
    let mut site = Site::with_records_of(5_000, "6", 3);
    let rotated = site.job(&["keyring", "rotate", "--reason", "person-left"]).ok().json();
    assert_eq!((&rotated["epoch"], &rotated["previous"]), (&json!(2), &json!(1)));
    site.put_more(1);

    let mut listed = lines(&site.job(&["keyring", "coverage", "--list"]).ok().stdout);
    let covered = listed.pop().unwrap();
    let by_epoch: Vec<_> = covered["on"].as_array().unwrap().iter().map(|on| (&on["epoch"], &on["versions"])).collect();
    assert_eq!(by_epoch, [(&json!(1), &json!(3)), (&json!(2), &json!(1))]);
    let names: Vec<_> = listed.iter().map(|line| line["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["0", "1", "2"], "those that are not of the newest epoch");
    let newest = lines(&site.job(&["keyring", "coverage", "--list", "--epoch", "2", "--suite", "1"]).ok().stdout);
    assert_eq!((newest.len(), newest[0]["name"].as_str()), (2, Some("3")));

    let would = site.job(&["keyring", "rewrap", "--dry-run"]).ok().json();
    assert_eq!((&would["rewrapped"], &would["acts"]), (&json!(3), &json!(0)));
    let done = site.job(&["keyring", "rewrap", "--per-entry", "2"]).ok();
    assert!(done.stderr.contains("\"versions_per_minute\""), "progress for programs: {}", done.stderr);
    let done = done.json();
    assert_eq!((&done["rewrapped"], &done["already"], &done["acts"]), (&json!(3), &json!(1), &json!(2)));
    let again = site.job(&["keyring", "rewrap"]).ok().json();
    assert_eq!((&again["rewrapped"], &again["already"]), (&json!(0), &json!(4)));
    let text = shosoin(&["keyring", "coverage", "--dir", site.arg()]).ok().stdout;
    assert!(text.contains("newest epoch 2") && text.lines().count() == 3, "{text}");
    site.assert_sound();
}

#[test]
fn a_reason_that_is_none_of_the_list_is_refused_with_the_list() {
    shosoin(&["keyring", "rotate", "--dir", "x", "--reason", "boredom"]).fails(2, &["device-lost", "leak-known"]);
}
