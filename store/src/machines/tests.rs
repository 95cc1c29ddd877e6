use super::*;

const NOW_MS: u64 = 1_900_000_000_000;

fn facts(id: &str, kind: MachineKind, address: &str) -> MachineFacts {
    let addresses = if address.is_empty() { Vec::new() } else { vec![address.parse().unwrap()] };
    MachineFacts { id: id.parse().unwrap(), kind, addresses, mark: None }
}

fn added(machines: &mut Machines, facts: &MachineFacts) {
    machines.may_add(facts).unwrap();
    let event = AuditEvent::new(NOW_MS, "hanako", Action::MachineAdded);
    machines.apply(&event.with(Detail::Machine(Box::new(facts.clone()))));
}

fn checked(machines: &mut Machines, id: &str, at_ms: u64, checks: &[(CheckKind, bool)]) {
    for (check, passed) in checks {
        let detail = Detail::MachineCheck { id: id.parse().unwrap(), check: *check, passed: *passed, made_ms: at_ms };
        machines.apply(&AuditEvent::new(at_ms, "taro", Action::MachineChecked).with(detail));
    }
}

fn moved(machines: &mut Machines, id: &str, to: MachineState, at_ms: u64) -> Result<()> {
    let id: MachineId = id.parse().unwrap();
    let from = machines.may_become(&id, to, at_ms, 90)?;
    let detail = Detail::MachineState { id, from, to };
    machines.apply(&AuditEvent::new(at_ms, "hanako", Action::MachineState).with(detail));
    Ok(())
}

const ALL_PASSED: [(CheckKind, bool); 3] =
    [(CheckKind::Malware, true), (CheckKind::Patches, true), (CheckKind::Address, true)];

#[test]
fn a_machine_is_connected_only_with_every_check_passed_and_recent_7_5_3_m13() {
    let mut machines = Machines::default();
    added(&mut machines, &facts("desk-1", MachineKind::OperatorTerminal, "10.0.8.9"));
    let missing = |machines: &mut Machines, now_ms| {
        moved(machines, "desk-1", MachineState::Active, now_ms).unwrap_err().to_string()
    };
    assert!(missing(&mut machines, NOW_MS).contains("malware, patches, address"));
    checked(&mut machines, "desk-1", NOW_MS, &[(CheckKind::Malware, true), (CheckKind::Patches, false)]);
    assert!(missing(&mut machines, NOW_MS).ends_with("patches, address"));
    checked(&mut machines, "desk-1", NOW_MS, &ALL_PASSED);
    assert!(missing(&mut machines, NOW_MS + 90 * DAY_MS).contains("malware, patches, address"));
    moved(&mut machines, "desk-1", MachineState::Active, NOW_MS + DAY_MS).unwrap();

    let machine = machines.at_address("10.0.8.9".parse().unwrap()).unwrap().clone();
    assert_eq!(machine.obstacle(NOW_MS + 90 * DAY_MS - 1, 90), None);
    assert!(machine.obstacle(NOW_MS + 90 * DAY_MS, 90).unwrap().contains("checks are old"));

    moved(&mut machines, "desk-1", MachineState::Suspended, NOW_MS + 2 * DAY_MS).unwrap();
    let before = missing(&mut machines, NOW_MS + 3 * DAY_MS);
    assert!(before.contains("malware, patches, address"), "checks from before it was stopped are none: {before}");
    checked(&mut machines, "desk-1", NOW_MS + 3 * DAY_MS, &ALL_PASSED);
    moved(&mut machines, "desk-1", MachineState::Active, NOW_MS + 3 * DAY_MS).unwrap();
}

#[test]
fn an_id_is_given_once_and_no_two_machines_share_an_address_7_5_3_m1() {
    let mut machines = Machines::default();
    let desk = facts("desk-1", MachineKind::OperatorTerminal, "10.0.8.9");
    added(&mut machines, &desk);
    assert!(machines.may_add(&desk).unwrap_err().to_string().contains("taken"));
    let other = facts("desk-2", MachineKind::OperatorTerminal, "::ffff:10.0.8.9");
    let other = MachineFacts { addresses: other.addresses.iter().map(|a| a.to_canonical()).collect(), ..other };
    assert!(machines.may_add(&other).unwrap_err().to_string().contains("desk-1 has it"));
    let moved_away = facts("desk-1", MachineKind::OperatorTerminal, "10.0.8.10");
    machines.may_change(&moved_away).unwrap();
    moved(&mut machines, "desk-1", MachineState::Retired, NOW_MS).unwrap();
    machines.may_add(&other).unwrap();
    assert!(machines.may_add(&desk).is_err(), "a retired machine keeps its id");
    assert!(machines.may_change(&moved_away).is_err());
    assert!(machines.at_address("10.0.8.9".parse().unwrap()).is_none());
    moved(&mut machines, "desk-1", MachineState::Destroyed, NOW_MS).unwrap();
    assert!(machines.may_check(&desk.id, NOW_MS, NOW_MS).is_err());
}

#[test]
fn a_new_address_is_to_be_checked_again_7_5_3_m13() {
    let mut machines = Machines::default();
    added(&mut machines, &facts("desk-1", MachineKind::OperatorTerminal, "10.0.8.9"));
    checked(&mut machines, "desk-1", NOW_MS, &ALL_PASSED);
    let facts = facts("desk-1", MachineKind::OperatorTerminal, "10.0.8.10");
    let event = AuditEvent::new(NOW_MS, "hanako", Action::MachineChanged);
    machines.apply(&event.with(Detail::Machine(Box::new(facts.clone()))));
    assert_eq!(machines.get(&facts.id).unwrap().lacks(NOW_MS, 90), [CheckKind::Address]);
}

#[test]
fn every_move_from_state_to_state_is_allowed_or_refused_as_the_table_says() {
    for from in MachineState::ALL {
        for to in MachineState::ALL {
            let mut machines = Machines::default();
            added(&mut machines, &facts("st-1", MachineKind::Station, ""));
            let detail = Detail::MachineState { id: "st-1".parse().unwrap(), from: MachineState::New, to: *from };
            machines.apply(&AuditEvent::new(NOW_MS, "hanako", Action::MachineState).with(detail));
            checked(&mut machines, "st-1", NOW_MS + 1, &ALL_PASSED);
            let allowed = moved(&mut machines, "st-1", *to, NOW_MS + 2).is_ok();
            assert_eq!(allowed, allowed_after(*from).contains(to), "{from} -> {to}");
        }
    }
}

#[test]
fn facts_that_no_machine_has_are_refused() {
    let machines = Machines::default();
    let marked = MachineFacts { mark: Some(Digest([1; 32])), ..facts("desk-1", MachineKind::Station, "") };
    let two = |one: &str, other: &str| MachineFacts {
        addresses: vec![one.parse().unwrap(), other.parse().unwrap()],
        ..facts("host-1", MachineKind::VaultHost, "")
    };
    let wrong = [
        facts("desk-1", MachineKind::OperatorTerminal, ""),
        facts("host-1", MachineKind::VaultHost, "0.0.0.0"),
        facts("host-1", MachineKind::VaultHost, "ff02::1"),
        two("10.0.0.2", "10.0.0.1"),
        two("10.0.0.1", "10.0.0.1"),
        marked,
    ];
    for facts in &wrong {
        assert!(machines.may_add(facts).is_err(), "{facts:?}");
    }
    for id in ["", "a", "Desk", "1desk", "desk 1", &"d".repeat(33)] {
        assert!(id.parse::<MachineId>().is_err(), "{id}");
    }
}

#[test]
fn details_of_machines_read_back_and_wrong_ones_are_refused() {
    let host = MachineFacts {
        mark: Some(Digest([7; 32])),
        addresses: vec!["10.0.8.2".parse().unwrap(), "2001:db8::2".parse().unwrap()],
        ..facts("host-1", MachineKind::VaultHost, "")
    };
    let mut out = Writer::new();
    host.write(&mut out);
    let good = out.finish();
    let read = |bytes: &[u8]| {
        let mut reader = Reader::new(bytes, "machine");
        MachineFacts::read(&mut reader)
    };
    assert_eq!(read(&good).unwrap(), host);
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    for (bytes, why) in [
        (with(0, 9), "kind"),
        (with(1, 0), "a mark without its flag"),
        (with(1, 2), "flag"),
        (with(2, 200), "count"),
        (with(good.len() - 1, b'!'), "id"),
        (good[..good.len() - 7].to_vec(), "no id"),
    ] {
        assert!(read(&bytes).is_err(), "{why}");
    }
}

#[test]
fn a_machine_of_which_the_log_says_nothing_first_is_none() {
    let mut machines = Machines::default();
    checked(&mut machines, "ghost", NOW_MS, &ALL_PASSED);
    let detail =
        Detail::MachineState { id: "ghost".parse().unwrap(), from: MachineState::New, to: MachineState::Active };
    machines.apply(&AuditEvent::new(NOW_MS, "hanako", Action::MachineState).with(detail));
    assert!(machines.is_empty());
}
