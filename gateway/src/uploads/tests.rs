use super::*;
use shosoin_protocol::{Digest, Suite};

fn keyring() -> Keyring {
    Keyring::generate(Suite::Default).unwrap()
}

fn upload(name: &str) -> Upload {
    Upload {
        bucket: "images".into(),
        name: name.into(),
        initiated_ms: 7,
        headers: vec![("content-type".into(), "application/dicom".into())],
        metadata: vec![("modality".into(), "CT".into())],
        tags: vec![("ward".into(), "3".into())],
        policy: DepositPolicy::default(),
        checksum: Some((ChecksumAlgorithm::Crc32c, true)),
        asked: Asked {
            lock: Some(Lock { mode: LockMode::Compliance, until_ms: 1_900_000_000_000 }),
            hold: true,
            until_ms: 7,
        },
        signature: Some(vec![48, 3, 2, 1, 1]),
    }
}

fn part(md5: u8) -> StoredPart {
    let checksum = Checksum { algorithm: ChecksumAlgorithm::Crc32c, full_object: true, value: vec![1, 2, 3, 4] };
    let content = PartContent::uploaded(0, [md5; 16], Digest([md5; 32]), Vec::new(), false);
    StoredPart { uploaded_ms: 9, checksum: Some(checksum), content }
}

#[test]
fn an_upload_and_its_parts_are_there_after_a_restart() {
    let (dir, keyring) = (tempfile::tempdir().unwrap(), keyring());
    let id = UploadId::random().unwrap();
    {
        let uploads = Uploads::open(dir.path()).unwrap();
        uploads.create(&keyring, &id, &upload("a")).unwrap();
        uploads.put_part(&keyring, &id, 7, &part(1)).unwrap();
        uploads.put_part(&keyring, &id, 10_000, &part(2)).unwrap();
        uploads.put_part(&keyring, &id, 7, &part(3)).unwrap();
    }
    let uploads = Uploads::open(dir.path()).unwrap();
    assert_eq!(uploads.upload(&keyring, &id).unwrap(), Some(upload("a")));
    assert_eq!(uploads.part_numbers(&id).unwrap(), [7, 10_000]);
    let found = uploads.part(&keyring, &id, 7).unwrap().unwrap();
    assert_eq!((found.uploaded_ms, found.etag()), (9, hex::encode([3; 16])));
    assert_eq!(found.checksum, part(3).checksum);
    assert!(uploads.part(&keyring, &id, 8).unwrap().is_none());
}

#[test]
fn a_completed_upload_is_gone_but_for_its_outcome() {
    let (dir, keyring) = (tempfile::tempdir().unwrap(), keyring());
    let uploads = Uploads::open(dir.path()).unwrap();
    let id = UploadId::random().unwrap();
    uploads.create(&keyring, &id, &upload("a")).unwrap();
    uploads.put_part(&keyring, &id, 1, &part(1)).unwrap();
    let done = Done {
        bucket: "images".into(),
        name: "a".into(),
        etag: "e-1".into(),
        version: None,
        checksum: part(1).checksum,
        parts: 1,
    };
    uploads.finish(&keyring, &id, &done).unwrap();
    assert_eq!(uploads.upload(&keyring, &id).unwrap(), None);
    assert_eq!(uploads.done(&keyring, &id).unwrap(), Some(done));
    assert!(uploads.part_numbers(&id).unwrap().is_empty());
    assert!(uploads.list(&keyring, "images").unwrap().is_empty());
}

#[test]
fn uploads_are_listed_by_bucket_and_name() {
    let (dir, keyring) = (tempfile::tempdir().unwrap(), keyring());
    let uploads = Uploads::open(dir.path()).unwrap();
    for name in ["b", "a", "c"] {
        uploads.create(&keyring, &UploadId::random().unwrap(), &upload(name)).unwrap();
    }
    let other = Upload { bucket: "lab".into(), ..upload("z") };
    uploads.create(&keyring, &UploadId::random().unwrap(), &other).unwrap();
    let names: Vec<String> = uploads.list(&keyring, "images").unwrap().into_keys().map(|(name, _)| name).collect();
    assert_eq!(names, ["a", "b", "c"]);
}

#[test]
fn a_file_cannot_stand_in_for_another() {
    let (dir, keyring) = (tempfile::tempdir().unwrap(), keyring());
    let uploads = Uploads::open(dir.path()).unwrap();
    let id = UploadId::random().unwrap();
    uploads.create(&keyring, &id, &upload("a")).unwrap();
    uploads.put_part(&keyring, &id, 1, &part(1)).unwrap();
    let folder = dir.path().join("multipart").join(id.as_str());
    std::fs::copy(folder.join("part-00001"), folder.join("part-00002")).unwrap();
    assert!(matches!(uploads.part(&keyring, &id, 2), Err(Error::Damaged { .. })));
    std::fs::write(folder.join("upload"), b"garbage").unwrap();
    assert!(matches!(uploads.upload(&keyring, &id), Err(Error::Damaged { .. })));
}

#[test]
fn names_and_content_of_an_upload_are_sealed_on_disk() {
    let (dir, keyring) = (tempfile::tempdir().unwrap(), keyring());
    let uploads = Uploads::open(dir.path()).unwrap();
    let id = UploadId::random().unwrap();
    uploads.create(&keyring, &id, &upload("tanaka-taro.dcm")).unwrap();
    let file = std::fs::read(dir.path().join("multipart").join(id.as_str()).join("upload")).unwrap();
    assert!(!file.windows(6).any(|bytes| bytes == b"tanaka"));
}

#[test]
fn what_never_was_an_upload_id_is_none() {
    for wrong in ["", "56788", "../../../../etc/passwd0000000000", &"A".repeat(32), &"0".repeat(33)] {
        assert_eq!(UploadId::parse(wrong), None, "{wrong}");
    }
    assert!(UploadId::parse(UploadId::random().unwrap().as_str()).is_some());
}

#[test]
fn a_gateway_that_never_restarts_forgets_old_outcomes_and_a_crash_leaves_nothing_for_good() {
    let (dir, keyring) = (tempfile::tempdir().unwrap(), keyring());
    let uploads = Uploads::open(dir.path()).unwrap();
    let ids: Vec<UploadId> = (0..3).map(|_| UploadId::random().unwrap()).collect();
    let done =
        Done { bucket: "images".into(), name: "a".into(), etag: "e-1".into(), version: None, checksum: None, parts: 1 };
    for id in &ids {
        uploads.create(&keyring, id, &upload("a")).unwrap();
        uploads.put_part(&keyring, id, 1, &part(1)).unwrap();
    }
    // the first ends as it should, the second dies behind its outcome, the third dies while it is removed
    uploads.finish(&keyring, &ids[0], &done).unwrap();
    uploads.write(&keyring, &ids[1], "done", &done.encode()).unwrap();
    std::fs::remove_file(uploads.folder_of(&ids[2]).join("upload")).unwrap();
    uploads.tidy(SystemTime::now()).unwrap();
    assert!(uploads.list(&keyring, "images").unwrap().is_empty(), "a completed upload is not under way");
    assert_eq!(uploads.done(&keyring, &ids[1]).unwrap(), Some(done));
    assert_eq!(uploads.ids().unwrap().len(), 3);
    uploads.tidy(SystemTime::now() + DONE_KEPT + Duration::from_secs(60)).unwrap();
    assert!(uploads.ids().unwrap().is_empty());
}

#[test]
fn an_upload_decides_the_id_of_its_version() {
    let (one, two) = (UploadId::random().unwrap(), UploadId::random().unwrap());
    assert_eq!(one.version(7), UploadId::parse(one.as_str()).unwrap().version(7));
    assert_ne!(one.version(7), two.version(7));
}
