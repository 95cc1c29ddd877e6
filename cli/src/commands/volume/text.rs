//! Answers about media, for people.

use super::date;
use crate::text::{bytes, time};
use serde_json::Value;
use std::fmt::Write as _;

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

fn short(id: &Value) -> String {
    word(id).chars().take(8).collect()
}

fn rows(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// One line for each medium.
pub fn list(list: &Value) -> String {
    let mut out = "volume    state      class    used        life ends   begin by    place\n".to_owned();
    for volume in rows(&list["volumes"]) {
        let used = volume["used_bytes"].as_u64().map_or_else(String::new, bytes);
        let (state, class) = (word(&volume["state"]), word(&volume["label"]["class"]));
        let (ends, start) = (date(&volume["ends_ms"]), date(&volume["latest_start_ms"]));
        let (id, place) = (short(&volume["label"]["id"]), word(&volume["place"]));
        let _ = writeln!(out, "{id}  {state:<9}  {class:<7}  {used:<10}  {ends:<10}  {start:<10}  {place}");
    }
    out
}

/// One medium and its history.
pub fn detail(detail: &Value) -> String {
    let volume = &detail["volume"];
    let label = &volume["label"];
    let mut out = String::new();
    let _ = writeln!(out, "volume     {}  {}", word(&label["id"]), word(&volume["state"]));
    let since = volume["since_ms"].as_u64().map(time).unwrap_or_default();
    let _ = writeln!(out, "since      {since} by {}: {}", word(&volume["actor"]), word(&volume["reason"]));
    let _ = writeln!(out, "place      {}", word(&volume["place"]));
    let facts = ["tier", "class", "vendor", "model", "serial", "lot", "firmware", "rated_life", "security_label"];
    let domains = ["host", "power", "rack", "site", "device"];
    for fact in facts.iter().chain(&domains) {
        if let Some(text) = label[fact].as_str().filter(|text| !text.is_empty()) {
            let _ = writeln!(out, "{:<10} {text}", fact.replace('_', " "));
        }
    }
    let (ends, start, test) = (&volume["ends_ms"], &volume["latest_start_ms"], &volume["test_due_ms"]);
    let first = date(&label["first_use_ms"]);
    let _ =
        writeln!(out, "life       {first} to {}, begin to move by {}, test by {}", date(ends), date(start), date(test));
    let count = |field: &str| volume[field].as_u64().map_or_else(|| "unknown".to_owned(), |count| count.to_string());
    let _ = writeln!(out, "used       {} hours, {} passes", count("power_on_hours"), count("passes"));
    if let Some(tour) = volume["last_tour"].as_object() {
        let read = tour["read_bytes"].as_u64().map(bytes).unwrap_or_default();
        let _ = writeln!(out, "last tour  {}: {read} read, {} findings", date(&tour["at_ms"]), tour["findings"]);
    }
    for record in rows(&detail["history"]) {
        let _ = writeln!(out, "{}", record_line(record));
    }
    out
}

/// One record of the audit log.
pub fn record_line(record: &Value) -> String {
    let at = record["at_ms"].as_u64().map(time).unwrap_or_default();
    let (action, outcome, actor) = (word(&record["action"]), word(&record["outcome"]), word(&record["actor"]));
    let seq = record["seq"].to_string();
    let mut line = format!("{seq:>6}  {at}  {action:<18} {outcome:<8} {actor}");
    if let Some(volume) = record["volume"].as_str() {
        let _ = write!(line, "  volume {}", volume.get(..8).unwrap_or(volume));
    }
    if let Some(number) = record["number"].as_u64() {
        let _ = write!(line, "  deposit {number}");
    }
    if let Some(source) = record["source"].as_str() {
        let _ = write!(line, "  from {source}");
    }
    if let (Some(to), from) = (record["detail"]["state"]["to"].as_str(), word(&record["detail"]["state"]["from"])) {
        let _ = write!(line, "  {from} to {to}");
    }
    if let Some(reason) = record["reason"].as_str() {
        let _ = write!(line, ": {reason}");
    }
    line
}

/// A label that was written.
pub fn labelled(what: &str, added: &Value) -> String {
    let label = &added["label"];
    let mut out = String::new();
    if added["dry_run"] == true {
        out.push_str("nothing was changed; this would be written:\n");
    }
    let (id, place) = (word(&label["id"]), word(&added["place"]));
    let _ = writeln!(out, "{what}  {id} at {place}: {} {}", word(&label["tier"]), word(&label["class"]));
    out
}

/// A change of state.
pub fn changed(changed: &Value) -> String {
    let dry = if changed["dry_run"] == true { "nothing was changed; it would become: " } else { "" };
    let (volume, from, to) = (word(&changed["volume"]), word(&changed["from"]), word(&changed["to"]));
    let mut out = format!("{dry}volume {volume}: {from} to {to}\n");
    out.extend(rows(&changed["effects"]).map(|effect| format!("  {}\n", word(effect))));
    out
}

/// What was recorded.
pub fn recorded(recorded: &Value) -> String {
    let head = if recorded["dry_run"] == true { "nothing was recorded; this would be:\n" } else { "recorded:\n" };
    let lines = rows(&recorded["recorded"]).map(|line| format!("  {}\n", word(line)));
    head.to_owned() + &lines.collect::<String>()
}

/// What was counted.
pub fn stocktake(report: &Value) -> String {
    let mut out = String::new();
    for kind in ["present", "missing", "unknown", "differing"] {
        let _ = writeln!(out, "{kind}: {}", rows(&report[kind]).count());
        for counted in rows(&report[kind]) {
            let (volume, place) = (word(&counted["volume"]), word(&counted["place"]));
            let why = counted["why"].as_str().map(|why| format!(": {why}")).unwrap_or_default();
            let _ = writeln!(out, "  {volume}  {place}  {}{why}", word(&counted["state"]));
        }
    }
    out
}

/// What a loss would cost.
pub fn what_if(report: &Value) -> String {
    let mut out = String::new();
    let lose = rows(&report["lose"]).map(word).collect::<Vec<_>>().join(", ");
    let lost_bytes = bytes(report["lost_bytes"].as_u64().unwrap_or(0));
    let _ = writeln!(out, "losing {lose} takes {} volumes", rows(&report["volumes"]).count());
    let _ = writeln!(out, "lost       {} segments, {lost_bytes} of records", report["lost"]);
    let _ = writeln!(out, "degraded   {} segments", report["degraded"]);
    let _ = writeln!(out, "untouched  {} segments", report["untouched"]);
    for hit in rows(&report["segments"]).take(20) {
        let _ = writeln!(out, "  {}  {} shards left of {} needed", word(&hit["segment"]), hit["left"], hit["needed"]);
    }
    let violations = rows(&report["violations"]).count();
    let _ = writeln!(out, "placement  {violations} violations even now");
    out.extend(rows(&report["violations"]).take(20).map(|line| format!("  {}\n", word(line))));
    out
}
