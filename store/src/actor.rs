//! Who acts: the name of a user of this machine, for the audit log.

use crate::audit::ACTOR_BYTES_MAX;
use std::os::unix::fs::MetadataExt as _;

/// The user with this id, as `/etc/passwd` names it; `uid:<id>` where it does not, so that nobody is nameless.
pub fn user(uid: u32) -> String {
    let table = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    name_in(&table, uid).unwrap_or_else(|| format!("uid:{uid}"))
}

/// Number of the user that runs this process.
pub fn process_uid() -> Option<u32> {
    std::fs::metadata("/proc/self").ok().map(|process| process.uid())
}

/// Number of the user that logged on to the machine, whoever was switched to since; the kernel keeps it for each process.
pub fn login_uid() -> Option<u32> {
    let text = std::fs::read_to_string("/proc/self/loginuid").ok()?;
    text.trim().parse().ok().filter(|uid| *uid != u32::MAX)
}

/// Number of the user called `name` in `/etc/passwd`.
pub fn uid_of(name: &str) -> Option<u32> {
    let table = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    number_in(&table, name)
}

/// Number of the group called `name` in `/etc/group`.
pub fn gid_of(name: &str) -> Option<u32> {
    let table = std::fs::read_to_string("/etc/group").unwrap_or_default();
    number_in(&table, name)
}

/// The third field of the line that begins with `name`.
fn number_in(table: &str, name: &str) -> Option<u32> {
    let of = |line: &str| {
        let mut fields = line.split(':');
        (fields.next()? == name).then(|| fields.nth(1)?.parse().ok()).flatten()
    };
    table.lines().find_map(of)
}

fn name_in(table: &str, uid: u32) -> Option<String> {
    let of = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let found: u32 = fields.nth(1)?.parse().ok()?;
        let fit =
            found == uid && !name.is_empty() && name.len() <= ACTOR_BYTES_MAX && !name.chars().any(char::is_control);
        fit.then(|| name.to_owned())
    };
    table.lines().find_map(of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_named_as_the_table_does_and_by_number_where_it_does_not() {
        let table = "root:x:0:0:root:/root:/bin/sh\nbroken\nhanako:x:1001:1001::/home/hanako:/bin/sh\n";
        assert_eq!(name_in(table, 1001).as_deref(), Some("hanako"));
        assert_eq!(name_in(table, 7), None);
        assert_eq!(
            (number_in(table, "hanako"), number_in(table, "hana"), number_in(table, "broken")),
            (Some(1001), None, None)
        );
        assert_eq!(user(4_000_000_001), "uid:4000000001");
        assert!(process_uid().is_some());
    }
}
