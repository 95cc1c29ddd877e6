//! The plan of mounts as people read it, and as one clause of an error.

use crate::text;
use shosoin_client::{Mount, MountPlan};

/// Media named in an error; all of them are in the plan.
const NAMED_MAX: usize = 6;

/// What to mount, in order, and what it is reckoned to take.
pub fn table(plan: &MountPlan) -> String {
    if plan.is_empty() {
        return "nothing needs to be mounted".to_owned();
    }
    let mut lines = Vec::new();
    if !plan.mounts.is_empty() {
        lines.push(format!("mount these {} together, in this order:", plan.mounts.len()));
    }
    for (no, mount) in (1..).zip(&plan.mounts) {
        lines.push(format!("{no:>3}. {}, {} to read", named(mount), text::bytes(mount.bytes)));
    }
    if !plan.mounts.is_empty() {
        let measured = if plan.is_measured { "measured" } else { "assumed, nothing was measured yet" };
        lines.push(format!(
            "about {} to read {} at {} a second ({measured}), and {} to fetch and load the media (5 minutes each, assumed)",
            duration(plan.read_ms),
            text::bytes(plan.bytes),
            text::bytes(plan.bytes_per_second),
            duration(plan.mount_ms),
        ));
    }
    for segment in &plan.short {
        lines.push(format!(
            "segment {} needs {} more media and the vault knows of {}: {} pieces in it cannot be read; ask the operator",
            segment.segment,
            segment.needed,
            segment.media.len(),
            segment.records,
        ));
    }
    if plan.unknown > 0 {
        lines.push(format!("{} pieces are not known to the vault; ask the operator", plan.unknown));
    }
    lines.join("\n")
}

/// The media of a plan in one clause.
pub fn clause(plan: &MountPlan) -> String {
    let shown: Vec<String> = plan.mounts.iter().take(NAMED_MAX).map(named).collect();
    let more = plan.mounts.len().saturating_sub(NAMED_MAX);
    let more = if more > 0 { format!("; and {more} more, as --plan lists them") } else { String::new() };
    format!("{}{more}", shown.join("; "))
}

/// A medium so that a person finds it.
fn named(mount: &Mount) -> String {
    let medium = &mount.medium;
    let label = [&medium.class, &medium.vendor, &medium.model, &medium.serial, &medium.security_label];
    let label: Vec<&str> = label.into_iter().map(String::as_str).filter(|text| !text.is_empty()).collect();
    let kept = match (medium.shelf.is_empty(), medium.place.is_empty()) {
        (false, _) => format!("kept at {}", medium.shelf),
        (true, false) => format!("last mounted at {}", medium.place),
        (true, true) => "nobody said where it is kept".to_owned(),
    };
    let state = if medium.state.is_empty() { String::new() } else { format!(", {}", medium.state) };
    let label = if label.is_empty() { String::new() } else { format!(" ({})", label.join(" ")) };
    printable(&format!("volume {}{label}{state}, {kept}", medium.id))
}

/// What the vault told, without anything that a terminal would act on.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(400).collect()
}

fn duration(ms: u64) -> String {
    match ms.div_ceil(1000) {
        seconds @ 0..=119 => format!("{seconds} s"),
        seconds if seconds < 2 * 3600 => format!("{} min", seconds.div_ceil(60)),
        seconds => format!("{} h", seconds.div_ceil(3600)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shosoin_protocol::plan::{ShelfMedium, ShelfSegment};

    #[test]
    fn a_plan_names_each_medium_its_place_and_what_it_takes_and_nothing_that_a_terminal_acts_on() {
        let medium = ShelfMedium {
            id: "0a".into(),
            class: "tape".into(),
            serial: "T\u{1b}[2J7".into(),
            state: "on-shelf".into(),
            shelf: "cabinet 2".into(),
            ..ShelfMedium::default()
        };
        let short = ShelfSegment { segment: "5e".into(), needed: 2, media: vec![0], records: 3, ..Default::default() };
        let plan = MountPlan {
            mounts: vec![Mount { medium, bytes: 2048 }],
            short: vec![short],
            bytes: 2048,
            bytes_per_second: 1024,
            read_ms: 2000,
            mount_ms: 300_000,
            ..MountPlan::default()
        };
        let said = table(&plan);
        for needle in
            ["1. volume 0a (tape T[2J7), on-shelf, kept at cabinet 2, 2.0 KiB", "about 2 s", "5 min", "segment 5e"]
        {
            assert!(said.contains(needle), "{needle} is not in {said}");
        }
        assert!(!said.contains('\u{1b}'));
        assert_eq!(table(&MountPlan::default()), "nothing needs to be mounted");
    }
}
