//! One conformance suite over every backend.

use super::*;
use proptest::prelude::*;

const ON_DISK: [IndexKind; 2] = [IndexKind::Fjall, IndexKind::Sled];
const EVERY: [IndexKind; 3] = [IndexKind::Fjall, IndexKind::Sled, IndexKind::Memory];

fn rows(rows: &[(&str, &str)]) -> Batch {
    let mut batch = Batch::default();
    for (key, value) in rows {
        batch.put(key.as_bytes().to_vec(), value.as_bytes().to_vec());
    }
    batch
}

fn scanned(index: &dyn Index, prefix: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut visit = |key: &[u8], value: &[u8]| {
        found.push((text(key), text(value)));
        Ok(true)
    };
    index.scan(prefix.as_bytes(), &mut visit).unwrap();
    found
}

#[test]
fn what_a_batch_wrote_is_read_back_and_the_last_value_of_a_key_counts() {
    for kind in EVERY {
        let dir = tempfile::tempdir().unwrap();
        let index = open(kind, dir.path()).unwrap();
        index.write(rows(&[("a", "1"), ("b", "2")])).unwrap();
        index.write(rows(&[("b", "3"), ("c", "")])).unwrap();
        assert_eq!(index.get(b"a").unwrap(), Some(b"1".to_vec()), "{kind:?}");
        assert_eq!(index.get(b"b").unwrap(), Some(b"3".to_vec()), "{kind:?}");
        assert_eq!(index.get(b"c").unwrap(), Some(Vec::new()), "{kind:?}");
        assert_eq!(index.get(b"d").unwrap(), None, "{kind:?}");
    }
}

#[test]
fn a_batch_removes_rows_too_and_one_that_is_not_there_is_no_error() {
    for kind in EVERY {
        let dir = tempfile::tempdir().unwrap();
        let index = open(kind, dir.path()).unwrap();
        index.write(rows(&[("a", "1"), ("b", "2")])).unwrap();
        let mut pending = Pending::new(index.as_ref());
        pending.remove(b"a".to_vec());
        pending.remove(b"x".to_vec());
        pending.put(b"c".to_vec(), b"3".to_vec());
        assert_eq!(pending.get(b"a").unwrap(), None, "{kind:?}: as it will be");
        assert_eq!(index.get(b"a").unwrap(), Some(b"1".to_vec()), "{kind:?}: as it is");
        pending.write().unwrap();
        let expected = [("b", "2"), ("c", "3")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(scanned(index.as_ref(), ""), expected, "{kind:?}");
    }
}

#[test]
fn a_scan_sees_exactly_its_prefix_in_order_and_stops_when_told() {
    for kind in EVERY {
        let dir = tempfile::tempdir().unwrap();
        let index = open(kind, dir.path()).unwrap();
        index.write(rows(&[("b2", "y"), ("a", "0"), ("b1", "x"), ("b", "w"), ("c", "z")])).unwrap();
        let expected = [("b", "w"), ("b1", "x"), ("b2", "y")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(scanned(index.as_ref(), "b"), expected, "{kind:?}");
        assert_eq!(scanned(index.as_ref(), "d"), [], "{kind:?}");
        assert_eq!(scanned(index.as_ref(), "").len(), 5, "{kind:?}");
        let mut seen = 0;
        let mut visit = |_: &[u8], _: &[u8]| {
            seen += 1;
            Ok(seen < 2)
        };
        index.scan(b"b", &mut visit).unwrap();
        assert_eq!(seen, 2, "{kind:?}");
    }
}

#[test]
fn an_error_of_the_visitor_ends_the_scan_with_that_error() {
    for kind in EVERY {
        let dir = tempfile::tempdir().unwrap();
        let index = open(kind, dir.path()).unwrap();
        index.write(rows(&[("a", "1"), ("b", "2")])).unwrap();
        let result = index.scan(b"", &mut |_, _| Err(Error::Closing));
        assert!(matches!(result, Err(Error::Closing)), "{kind:?}");
    }
}

#[test]
fn rows_survive_reopening() {
    for kind in ON_DISK {
        let dir = tempfile::tempdir().unwrap();
        for round in 0..3u32 {
            let index = open(kind, dir.path()).unwrap();
            assert_eq!(scanned(index.as_ref(), "").len(), round as usize, "{kind:?}");
            index.write(rows(&[(&format!("row {round}"), "kept")])).unwrap();
        }
    }
}

#[test]
fn an_empty_folder_opens_as_an_empty_index() {
    for kind in ON_DISK {
        let dir = tempfile::tempdir().unwrap();
        let index = open(kind, &dir.path().join("not there yet")).unwrap();
        assert_eq!(scanned(index.as_ref(), ""), [], "{kind:?}");
    }
}

#[test]
fn the_cache_of_a_backend_on_disk_is_bounded_and_stated() {
    for kind in ON_DISK {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(open(kind, dir.path()).unwrap().cache_bytes(), Some(CACHE_BYTES), "{kind:?}");
    }
}

#[test]
fn a_pending_batch_is_seen_first_and_written_once() {
    for kind in EVERY {
        let dir = tempfile::tempdir().unwrap();
        let index = open(kind, dir.path()).unwrap();
        index.write(rows(&[("a", "old"), ("b", "stays")])).unwrap();
        let mut pending = Pending::new(index.as_ref());
        pending.put(b"a".to_vec(), b"new".to_vec());
        assert_eq!(pending.get(b"a").unwrap(), Some(b"new".to_vec()));
        assert_eq!(pending.get(b"b").unwrap(), Some(b"stays".to_vec()));
        assert_eq!(index.get(b"a").unwrap(), Some(b"old".to_vec()));
        pending.write().unwrap();
        pending.write().unwrap(); // nothing is pending any more, and writing that is no error
        assert_eq!(index.get(b"a").unwrap(), Some(b"new".to_vec()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn every_backend_agrees_with_the_model(
        batches in prop::collection::vec(prop::collection::btree_map(
            prop::collection::vec(0u8..4, 1..5), prop::option::of(prop::collection::vec(any::<u8>(), 0..20)), 0..20), 1..10),
    ) {
        let model = memory::MemoryIndex::default();
        for rows in &batches {
            model.write(Batch { rows: rows.clone() }).unwrap();
        }
        for kind in ON_DISK {
            let dir = tempfile::tempdir().unwrap();
            let index = open(kind, dir.path()).unwrap();
            for rows in &batches {
                index.write(Batch { rows: rows.clone() }).unwrap();
            }
            for prefix in [&[][..], &[0], &[1, 2]] {
                let collect = |index: &dyn Index| {
                    let mut found = Vec::new();
                    index.scan(prefix, &mut |key, value| { found.push((key.to_vec(), value.to_vec())); Ok(true) }).unwrap();
                    found
                };
                prop_assert_eq!(collect(index.as_ref()), collect(&model));
            }
        }
    }
}
