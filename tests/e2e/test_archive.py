"""Archive volumes in a real S3 server: the checks of media, a vault over them, and what comes of faults."""

import json
import os
import random
import subprocess

import pytest

from conftest import BINARY, Site, rust_test
from object_store import REGION, AzureStore, ObjectStore, needs_azurite


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


def test_the_checks_of_media_hold_over_a_real_server(store, tmp_path):
    assert "15 passed" in checks_of_media("s3://archive", store.endpoint, credentials(tmp_path / "keys", store.keys))


def test_a_server_killed_in_the_middle_of_an_upload_is_an_error_in_bounded_time(store, tmp_path):
    keys = credentials(tmp_path / "keys", store.keys)
    group = {"SHOSOIN_TEST_STORE_GROUP": str(store.process.pid)}
    told = checks_of_media("s3://archive", store.endpoint, keys, "when_the_server_dies", **group)
    assert "1 passed" in told, told


def checks_of_media(url, endpoint, key_file, only="with_a_server", **more):
    """Runs the checks of archive/tests/servers.rs over a server."""
    store = {"SHOSOIN_TEST_STORE": url, "SHOSOIN_TEST_STORE_ENDPOINT": endpoint, "SHOSOIN_TEST_STORE_CREDENTIALS": str(key_file)}
    return rust_test("archive", "servers", "--ignored", only, env=os.environ | store | more)


@pytest.fixture
def azure(tmp_path):
    server = AzureStore(tmp_path)
    yield server.start()
    server.kill()


@needs_azurite
def test_the_checks_of_media_hold_over_an_azure_server(azure, tmp_path):
    key_file = tmp_path / "keys"
    key_file.write_text(f"account_name = {azure.account}\naccess_key = {azure.key}\n")
    key_file.chmod(0o600)
    assert "15 passed" in checks_of_media("az://archive", azure.endpoint, key_file)


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


def test_credentials_that_were_withdrawn_are_refused_clearly_and_new_ones_are_taken_from_the_file(vault, store, tmp_path):
    """The server tells known keys from unknown ones; it cannot verify signatures over prefixes with a slash, so that the new
    keys are let in is seen with its check switched off again."""
    assert status(vault)[0]["volumes_absent"] == []
    store.check_keys(True)
    try:
        shown, text = status(vault)
    finally:
        store.check_keys(False)
    assert len(shown["volumes_absent"]) == 2
    assert "refused the credentials (403 InvalidAccessKeyId)" in text and "put new ones" in text
    assert store.keys[0] not in text and store.keys[1] not in text
    credentials(tmp_path / "credentials", ("newer-key", "newer-secret"))
    assert status(vault)[0]["volumes_absent"] == []


def test_a_credentials_file_that_others_can_read_is_not_used(vault, tmp_path):
    (tmp_path / "credentials").chmod(0o644)
    shown, text = status(vault)
    assert len(shown["volumes_absent"]) == 2
    assert "make it 600" in text and "archive-secret" not in text


@pytest.mark.parametrize("volume", ["s3://user:hunter2@bucket/x", "ftp://bucket/x", "s3://b/x,endpoint=http://ceph.example"])
def test_an_address_that_is_none_is_refused_without_its_secret(tmp_path, volume):
    done = shosoin("vault", "init", "--dir", tmp_path / "vault", "--volume", volume)
    assert done.returncode != 0 and not (tmp_path / "vault").exists()


def shards(store, volume):
    found = store.client().get_paginator("list_objects_v2").paginate(Bucket="archive", Prefix=f"{volume}/segments/")
    return [one["Key"] for page in found for one in page.get("Contents", []) if one["Key"].endswith(".shard")]


def test_records_move_to_a_real_store_and_are_read_exactly_from_it_whichever_two_prefixes_are_lost(tmp_path, store):
    key_file = credentials(tmp_path / "credentials", store.keys)
    extra = f"endpoint={store.endpoint},region={REGION},credentials={key_file}"
    folder = tmp_path / "site"
    archive = [f"v{no:02}" for no in range(7, 13)]
    volumes = [str(folder / "volumes" / f"v{no:02}") for no in range(1, 7)]
    volumes += [f"s3://archive/{name},{extra}" for name in archive]
    arguments = [part for volume in volumes for part in ("--volume", volume)]
    vault = folder / "vault"
    folder.mkdir()
    done = shosoin("vault", "init", "--dir", vault, "--code", "4+2", "--demo", *arguments)
    assert done.returncode == 0, done.stderr
    site = Site(folder).start()
    try:
        s3, dice = site.client(), random.Random(7)
        s3.create_bucket(Bucket="records")
        bodies = {f"scan {no}": dice.randbytes(5_000_000 + no) for no in range(3)}
        for name, body in bodies.items():
            s3.put_object(Bucket="records", Key=name, Body=body)
        assert site.stop() == 0
        with open(vault / "vault.toml", "a") as config:
            config.write('\n[[migrate]]\nolder_than = "0s"\nkeep = "archive"\n')
        planned = shosoin("migrate", "--dir", vault, "--dry-run")
        assert planned.returncode == 0 and "would go to the archive" in planned.stdout, planned.stdout + planned.stderr
        assert all(shards(store, name) == [] for name in archive), "a dry run moves nothing"
        done = shosoin("migrate", "--dir", vault, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        counts = {len(shards(store, name)) for name in archive}
        assert len(counts) == 1 and counts.pop() > 0
        for lost in ([], ["v07", "v12"], ["v08", "v09"]):
            hidden = {name: hide(store, name) for name in lost}
            s3 = site.start().client()
            for name, body in bodies.items():
                assert s3.get_object(Bucket="records", Key=name)["Body"].read() == body, f"{name} without {lost}"
            assert site.stop() == 0
            for name in lost:
                restore(store, hidden[name])
    finally:
        if site.process is not None:
            site.kill()


def hide(store, volume):
    """Takes a volume away, object by object, and gives what it held."""
    s3 = store.client()
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket="archive", Prefix=f"{volume}/")
    held = {}
    for key in [one["Key"] for page in pages for one in page.get("Contents", [])]:
        held[key] = s3.get_object(Bucket="archive", Key=key)["Body"].read()
        s3.delete_object(Bucket="archive", Key=key)
    return held


def restore(store, held):
    for key, body in held.items():
        store.client().put_object(Bucket="archive", Key=key, Body=body)
