"""Archive volumes in a real S3 server: the checks of media, a vault over them, and what comes of faults."""

import json
import os
import subprocess

import pytest

from conftest import BINARY, ROOT
from object_store import REGION, ObjectStore


@pytest.fixture
def store(tmp_path):
    server = ObjectStore(tmp_path)
    yield server.start()
    server.kill()


def shosoin(*arguments, env=None):
    done = subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=300, env=env)
    return done


def credentials(path, keys):
    path.write_text(f"access_key_id = {keys[0]}\nsecret_access_key = {keys[1]}\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def vault(tmp_path, store):
    """A vault with six folders and two volumes in the store, not served."""
    key_file = credentials(tmp_path / "credentials", store.keys)
    folders = [f"{tmp_path}/v{no:02}" for no in range(1, 7)]
    extra = f"endpoint={store.endpoint},region={REGION},credentials={key_file}"
    volumes = [*folders, f"s3://archive/v07,{extra}", f"s3://archive/v08,{extra}"]
    arguments = [part for volume in volumes for part in ("--volume", volume)]
    done = shosoin("vault", "init", "--dir", tmp_path / "vault", "--code", "4+2", "--demo", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return tmp_path / "vault"


def status(vault):
    done = shosoin("vault", "status", "--dir", vault, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stdout + done.stderr


def test_the_checks_of_media_hold_over_a_real_server(store):
    env = os.environ | {
        "SHOSOIN_TEST_S3": store.endpoint,
        "SHOSOIN_TEST_S3_BUCKET": "archive",
        "AWS_ACCESS_KEY_ID": store.keys[0],
        "AWS_SECRET_ACCESS_KEY": store.keys[1],
    }
    command = ["cargo", "test", "-q", "-p", "shosoin-archive", "--test", "s3", "--", "--ignored", "with_a_server"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "15 passed" in done.stdout, done.stdout


def test_a_server_killed_in_the_middle_of_an_upload_is_an_error_in_bounded_time(store):
    env = os.environ | {
        "SHOSOIN_TEST_S3": store.endpoint,
        "SHOSOIN_TEST_S3_BUCKET": "archive",
        "SHOSOIN_TEST_S3_GROUP": str(store.process.pid),
        "AWS_ACCESS_KEY_ID": store.keys[0],
        "AWS_SECRET_ACCESS_KEY": store.keys[1],
    }
    command = ["cargo", "test", "-q", "-p", "shosoin-archive", "--test", "s3", "--", "--ignored", "when_the_server_dies"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout + done.stderr


def test_a_vault_labels_volumes_in_a_store_and_finds_them_again(vault, store):
    shown, _ = status(vault)
    places = {volume["place"] for volume in shown["volumes"]}
    assert {"s3://archive/v07", "s3://archive/v08"} <= places
    assert shown["volumes_absent"] == []
    names = {one["Key"] for one in store.client().list_objects_v2(Bucket="archive")["Contents"]}
    assert {"v07/label", "v07/label.bak", "v07/segments/.folder", "v07/digests/label"} <= names
    assert store.keys[1] not in (vault / "vault.toml").read_text()


def test_a_store_that_is_gone_is_an_absent_volume_and_the_vault_opens(vault, store):
    store.kill()
    shown, text = status(vault)
    assert sorted(shown["volumes_absent"]) == ["s3://archive/v07", "s3://archive/v08"]
    messages = [finding["message"] for finding in shown["findings"] if finding["code"] == "volume-absent"]
    assert len(messages) == 2 and all("cannot be reached" in message for message in messages), text
    store.start()
    shown, text = status(vault)
    assert len(shown["volumes_absent"]) == 2, "a store that came back empty holds no volume of ours"


def test_a_bucket_that_was_deleted_is_an_absent_volume_and_says_so(vault, store):
    s3 = store.client()
    for one in s3.list_objects_v2(Bucket="archive")["Contents"]:
        s3.delete_object(Bucket="archive", Key=one["Key"])
    s3.delete_bucket(Bucket="archive")
    shown, text = status(vault)
    assert len(shown["volumes_absent"]) == 2
    assert "its bucket is not there" in text


def test_credentials_that_were_rotated_are_refused_clearly_and_the_new_ones_work(vault, store, tmp_path):
    good, newer = store.new_key(), store.new_key()
    credentials(tmp_path / "credentials", good)
    store.check_keys(True)
    try:
        assert status(vault)[0]["volumes_absent"] == []
        credentials(tmp_path / "credentials", (good[0], "not-the-secret"))
        shown, text = status(vault)
        assert len(shown["volumes_absent"]) == 2
        assert "refused the credentials" in text and "put new ones" in text
        assert "not-the-secret" not in text and good[0] not in text and good[1] not in text
        credentials(tmp_path / "credentials", newer)
        assert status(vault)[0]["volumes_absent"] == []
    finally:
        store.check_keys(False)


def test_a_credentials_file_that_others_can_read_is_not_used(vault, tmp_path):
    (tmp_path / "credentials").chmod(0o644)
    shown, text = status(vault)
    assert len(shown["volumes_absent"]) == 2
    assert "make it 600" in text and "archive-secret" not in text


@pytest.mark.parametrize("volume", ["s3://user:hunter2@bucket/x", "ftp://bucket/x", "s3://b/x,endpoint=http://ceph.example"])
def test_an_address_that_is_none_is_refused_without_its_secret(tmp_path, volume):
    done = shosoin("vault", "init", "--dir", tmp_path / "vault", "--volume", volume)
    assert done.returncode != 0 and not (tmp_path / "vault").exists()
