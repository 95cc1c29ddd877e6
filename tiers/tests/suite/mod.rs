//! What every implementation of media must do, as checks over an empty medium: `tiers` runs them over its own media, `archive`
//! over object stores. Those of `ON_DISKS` need files that grow in place, which only folders and memory have.

use shosoin_protocol::ErrorKind;
use shosoin_tiers::layout::BLOCK_BYTES;
use shosoin_tiers::media::WriteUnit;
use shosoin_tiers::{AlignedBuf, Error, Media, durable};

/// `blocks` blocks, each filled with its number, counted from `first`.
fn blocks(first: u8, blocks: u8) -> AlignedBuf {
    let mut out = AlignedBuf::default();
    for number in first..first + blocks {
        out.extend_from_slice(&[number; BLOCK_BYTES]);
    }
    out
}

const BLOCK: u64 = BLOCK_BYTES as u64;

/// Creates `path` with the blocks 1, 2 and 3, synced.
fn three_blocks(media: &dyn Media, path: &str) {
    let file = media.create(path, WriteUnit::Blocks).unwrap();
    file.write_at(0, &blocks(1, 2)).unwrap();
    file.write_at(2 * BLOCK, &blocks(3, 1)).unwrap();
    file.sync().unwrap();
    media.sync_dir("").unwrap();
}

pub fn what_was_written_is_read_back_through_the_cache_and_past_it(media: &dyn Media) {
    three_blocks(media, "file");
    let file = media.open("file").unwrap();
    assert_eq!(file.len().unwrap(), 3 * BLOCK);
    let mut read = vec![0; 3 * BLOCK_BYTES];
    assert_eq!(file.read_at(0, &mut read).unwrap(), read.len());
    assert_eq!(read, blocks(1, 3)[..]);
    let mut read = blocks(9, 1);
    file.read_past_cache(BLOCK, 2 * BLOCK_BYTES, &mut read).unwrap();
    assert_eq!(read[..], blocks(2, 2)[..]);
    file.read_past_cache(BLOCK, 10, &mut read).unwrap();
    assert_eq!(read[..], [2; 10]);
}

pub fn a_read_is_short_only_where_the_file_ends(media: &dyn Media) {
    three_blocks(media, "file");
    let file = media.open("file").unwrap();
    let mut read = vec![7; 100];
    assert_eq!(file.read_at(3 * BLOCK - 40, &mut read).unwrap(), 40);
    assert_eq!((&read[..40], &read[40..]), (&[3; 40][..], &[7; 60][..]));
    assert_eq!(file.read_at(3 * BLOCK, &mut read).unwrap(), 0);
    assert_eq!(file.read_at(1 << 40, &mut read).unwrap(), 0);
    let mut read = AlignedBuf::default();
    file.read_past_cache(2 * BLOCK, 5 * BLOCK_BYTES, &mut read).unwrap();
    assert_eq!(read[..], blocks(3, 1)[..]);
    file.read_past_cache(9 * BLOCK, BLOCK_BYTES, &mut read).unwrap();
    assert!(read.is_empty());
}

pub fn a_file_that_does_not_end_at_a_block_is_read_to_its_end(media: &dyn Media) {
    let file = media.create("small", WriteUnit::Bytes).unwrap();
    file.write_at(0, &[5; 5000]).unwrap();
    file.sync().unwrap();
    let mut read = AlignedBuf::default();
    media.open("small").unwrap().read_past_cache(0, 3 * BLOCK_BYTES, &mut read).unwrap();
    assert_eq!(read[..], [5; 5000]);
}

pub fn a_writer_sees_what_it_wrote_and_others_see_it_too(media: &dyn Media) {
    let writer = media.create("file", WriteUnit::Blocks).unwrap();
    writer.write_at(0, &blocks(1, 1)).unwrap();
    let reader = media.open("file").unwrap();
    writer.write_at(BLOCK, &blocks(2, 1)).unwrap();
    for file in [&writer, &reader] {
        let mut read = vec![0; 2 * BLOCK_BYTES];
        assert_eq!(file.read_at(0, &mut read).unwrap(), read.len());
        assert_eq!(read, blocks(1, 2)[..]);
    }
}

pub fn a_file_is_created_once(media: &dyn Media) {
    three_blocks(media, "file");
    let error = media.create("file", WriteUnit::Blocks).unwrap_err();
    assert!(matches!(&error, Error::Exists { path, .. } if path == "file") && error.kind() == ErrorKind::Refused);
    assert_eq!(media.open("file").unwrap().len().unwrap(), 3 * BLOCK);
}

pub fn a_handle_opened_for_reading_refuses_to_write(media: &dyn Media) {
    three_blocks(media, "file");
    let file = media.open("file").unwrap();
    assert!(file.write_at(3 * BLOCK, &blocks(4, 1)).is_err() && file.sync().is_err());
    assert_eq!(file.len().unwrap(), 3 * BLOCK);
}

pub fn a_file_opened_to_append_keeps_what_it_has(media: &dyn Media) {
    three_blocks(media, "file");
    let file = media.open_to_append("file").unwrap();
    file.write_at(3 * BLOCK, &blocks(4, 1)).unwrap();
    file.sync().unwrap();
    let mut read = vec![0; 4 * BLOCK_BYTES];
    media.open("file").unwrap().read_at(0, &mut read).unwrap();
    assert_eq!(read, blocks(1, 4)[..]);
}

pub fn pieces_that_are_not_whole_aligned_blocks_are_refused_as_our_mistake(media: &dyn Media) {
    let content = blocks(1, 2);
    let pieces = [(1, &content[..BLOCK_BYTES]), (0, &content[..100]), (0, &content[8..BLOCK_BYTES + 8])];
    for (number, (at, bytes)) in pieces.into_iter().enumerate() {
        let file = media.create(&format!("file{number}"), WriteUnit::Blocks).unwrap();
        let error = file.write_at(at, bytes).unwrap_err();
        assert!(matches!(error, Error::Misaligned { .. }) && error.kind() == ErrorKind::Bug);
        assert_eq!(file.len().unwrap(), 0);
        let error = file.read_past_cache(5, BLOCK_BYTES, &mut AlignedBuf::default()).unwrap_err();
        assert!(matches!(error, Error::Misaligned { at: 5, .. }));
    }
}

pub fn listing_gives_every_name_in_order_and_is_an_error_where_there_is_no_folder(media: &dyn Media) {
    media.make_dir("b/inner").unwrap();
    media.make_dir("b").unwrap();
    for path in ["c", "a", "b/file"] {
        three_blocks(media, path);
    }
    let names = |dir| media.list(dir).unwrap().into_iter().map(|listed| (listed.name, listed.is_dir));
    let expected = [("a", false), ("b", true), ("c", false)].map(|(name, is_dir)| (name.to_owned(), is_dir));
    assert!(names("").eq(expected));
    assert!(names("b").eq([("file".to_owned(), false), ("inner".to_owned(), true)]));
    assert!(names("b/inner").eq([]));
    let error = media.list("nowhere").unwrap_err();
    assert!(matches!(&error, Error::NotFound { path, .. } if path == "nowhere"));
}

pub fn what_is_not_there_is_not_found(media: &dyn Media) {
    let found = [
        media.open("x").map(|_| ()),
        media.open_to_append("x").map(|_| ()),
        media.remove("x"),
        media.rename("x", "y"),
        media.sync_dir("x"),
        media.create("x/y", WriteUnit::Bytes).map(|_| ()),
    ];
    for result in found {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::NotFound);
    }
}

pub fn a_removed_file_is_gone_and_its_name_is_free_again(media: &dyn Media) {
    three_blocks(media, "file");
    media.remove("file").unwrap();
    media.sync_dir("").unwrap();
    assert!(matches!(media.open("file"), Err(Error::NotFound { .. })));
    assert!(media.list("").unwrap().is_empty());
    three_blocks(media, "file");
}

pub fn a_handle_on_a_removed_file_still_reads(media: &dyn Media) {
    three_blocks(media, "file");
    let file = media.open("file").unwrap();
    media.remove("file").unwrap();
    assert_eq!(file.read_at(0, &mut [0; 10]).unwrap(), 10);
}

pub fn replacing_a_file_gives_it_the_new_content_and_leaves_nothing_behind(media: &dyn Media) {
    media.make_dir("d").unwrap();
    let leftover = media.create("d/file.tmp", WriteUnit::Bytes).unwrap();
    leftover.write_at(0, b"half of some").unwrap();
    for content in [&b"first"[..], b"", b"a longer second one"] {
        durable::replace(media, "d/file", content).unwrap();
        let mut read = vec![0; 100];
        let len = media.open("d/file").unwrap().read_at(0, &mut read).unwrap();
        assert_eq!(&read[..len], content);
        assert_eq!(media.list("d").unwrap().len(), 1);
    }
}

pub fn there_is_room_and_the_medium_takes_writes(media: &dyn Media) {
    let space = media.space().unwrap();
    assert!(0 < space.free_bytes && space.free_bytes <= space.total_bytes);
    assert!(!media.is_read_only().unwrap());
}

/// Makes a test of each check that holds for every medium: `on_every_medium!(run)` runs each over whatever `run` gives it.
#[macro_export]
macro_rules! on_every_medium {
    ($run:path $(, #[$attribute:meta])*) => {
        $crate::checks! { $run; $(#[$attribute])*;
            what_was_written_is_read_back_through_the_cache_and_past_it,
            a_read_is_short_only_where_the_file_ends,
            a_file_that_does_not_end_at_a_block_is_read_to_its_end,
            a_file_is_created_once,
            a_handle_opened_for_reading_refuses_to_write,
            pieces_that_are_not_whole_aligned_blocks_are_refused_as_our_mistake,
            listing_gives_every_name_in_order_and_is_an_error_where_there_is_no_folder,
            what_is_not_there_is_not_found,
            a_removed_file_is_gone_and_its_name_is_free_again,
            replacing_a_file_gives_it_the_new_content_and_leaves_nothing_behind,
            there_is_room_and_the_medium_takes_writes,
        }
    };
}

/// Makes a test of each check that holds for media whose files grow in place.
#[macro_export]
macro_rules! on_disks {
    ($run:path $(, #[$attribute:meta])*) => {
        $crate::checks! { $run; $(#[$attribute])*;
            a_writer_sees_what_it_wrote_and_others_see_it_too,
            a_file_opened_to_append_keeps_what_it_has,
            a_handle_on_a_removed_file_still_reads,
        }
    };
}

/// Makes one test of each check.
#[macro_export]
macro_rules! checks {
    ($run:path; $(#[$attribute:meta])*; $($check:ident,)*) => {
        $crate::checks! { @each $run; [$(#[$attribute])*]; $($check,)* }
    };
    (@each $run:path; $attributes:tt; $($check:ident,)*) => {
        $( $crate::checks! { @one $run; $attributes; $check } )*
    };
    (@one $run:path; [$(#[$attribute:meta])*]; $check:ident) => {
            #[test]
            $(#[$attribute])*
            fn $check() {
                $run($crate::suite::$check);
            }
    };
}
