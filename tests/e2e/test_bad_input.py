"""What operators and the world get wrong, with the real binary: a clear error, nothing removed, and the job goes on afterwards.

Elsewhere: retiring a volume with the only copy of a shard, unknown states and long labels (cli/tests/volumes.rs); credentials,
buckets and servers at the start of a vault (test_archive.py); uploads cut short, call by call (archive/tests/faults.rs); each
rule about clocks (store/tests/jobs.rs, media_ledger.rs, compaction.rs).
"""

import json
import os
import shutil
import subprocess

import pytest

from conftest import BINARY, Site
from object_store import REGION, AzureStore, ObjectStore, needs_azurite

needs_faketime = pytest.mark.skipif(not shutil.which("faketime"), reason="faketime is not installed: apt-get install faketime")
BODIES = {f"scan {number}": bytes([number + 1]) * (3_000_000 + number) for number in range(3)}
HOT = [f"v{number:02}" for number in range(1, 7)]


def shosoin(*arguments, before=(), **env):
    command = [*before, BINARY, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=os.environ | env)


def made_site(folder, *archive):
    """A site with records, not running, whose vault has six folders and the archive volumes given."""
    vault = folder / "vault"
    folder.mkdir()
    places = [folder / "volumes" / name for name in HOT]
    volumes = [part for place in (*places, *archive) for part in ("--volume", str(place))]
    done = shosoin("vault", "init", "--dir", vault, "--code", "4+2", "--demo", *volumes)
    assert done.returncode == 0, done.stderr
    site = Site(folder).start()
    s3 = site.client()
    s3.create_bucket(Bucket="records")
    for name, body in BODIES.items():
        s3.put_object(Bucket="records", Key=name, Body=body)
    assert site.stop() == 0
    return site


def assert_exact(site):
    s3 = site.start().client()
    for name, body in BODIES.items():
        assert s3.get_object(Bucket="records", Key=name)["Body"].read() == body, name
    assert site.stop() == 0


def hot_shards(site):
    return sorted(path for name in HOT for path in (site.folder / "volumes" / name).rglob("*.shard"))


def migrates(site):
    with open(site.folder / "vault" / "vault.toml", "a") as config:
        config.write('\n[[migrate]]\nolder_than = "0s"\nkeep = "archive"\n')


def test_commands_about_a_volume_that_nobody_knows_are_refused_and_change_nothing(tmp_path):
    site = made_site(tmp_path / "site")
    vault, nobody = site.folder / "vault", "ee" * 16
    before = hot_shards(site)
    jobs = [(job, "--dir", vault, "--volume", nobody) for job in ("scrub", "repair", "copy-forward")]
    about = [("volume", "show", "--dir", vault, nobody), ("volume", "label", "--dir", vault, nobody, "--lot", "x")]
    about += [("volume", "set-state", "--dir", vault, nobody, "lost", "--reason", "x")]
    for command in [*jobs, *about]:
        done = shosoin(*command)
        assert done.returncode == 3 and nobody in done.stderr and "next:" in done.stderr, f"{command}: {done.stderr}"
    assert hot_shards(site) == before
    assert_exact(site)


def test_copy_forward_without_room_keeps_everything_says_so_and_completes_when_there_is_room(tmp_path):
    site = made_site(tmp_path / "site")
    vault = site.folder / "vault"
    (volume,) = [one["label"]["id"] for one in site.run("volume", "list", "--dir", str(vault), "--json")["volumes"] if one["place"].endswith("/v02")]
    before = hot_shards(site)
    done = shosoin("copy-forward", "--dir", vault, "--volume", volume)
    assert done.returncode == 5 and "stays where it is" in done.stdout, done.stdout + done.stderr
    assert hot_shards(site) == before
    (tmp_path / "room").mkdir()
    site.run("volume", "add", "--dir", str(vault), str(tmp_path / "room"), "--security-label", "C3")
    done = shosoin("copy-forward", "--dir", vault, "--volume", volume)
    assert done.returncode == 0 and "empty and retired" in done.stdout, done.stdout + done.stderr
    assert_exact(site)


@pytest.fixture
def s3_site(tmp_path):
    """A site with six hot folders and six prefixes of a server, and what names its credentials."""
    store, keys = ObjectStore(tmp_path).start(), tmp_path / "credentials"
    write_keys(keys, "archive-key")
    extra = f"endpoint={store.endpoint},region={REGION},credentials={keys}"
    site = made_site(tmp_path / "site", *(f"s3://archive/v{number:02},{extra}" for number in range(7, 13)))
    migrates(site)
    yield site, store, keys
    if site.process is not None:
        site.kill()
    store.kill()


def write_keys(path, key):
    path.write_text(f"access_key_id = {key}\nsecret_access_key = archive-secret\n")
    path.chmod(0o600)


def migrate_fails(site):
    before = hot_shards(site)
    done = shosoin("migrate", "--dir", site.folder / "vault")
    text = done.stdout + done.stderr
    assert done.returncode != 0, text
    assert set(hot_shards(site)) >= set(before), "nothing that was hot is released"
    assert "archive-secret" not in text
    return text


def migrate_completes(site):
    site.run("migrate", "--dir", str(site.folder / "vault"), "--json")
    left = site.run("migrate", "--dir", str(site.folder / "vault"), "--dry-run", "--json")
    assert left["left_bytes"] == 0, left


def test_a_migration_without_valid_credentials_releases_nothing_and_goes_on_with_new_ones(s3_site):
    site, store, keys = s3_site
    keys.unlink()
    migrate_fails(site)
    assert_exact(site)
    store.check_keys(True)  # it knows no key at all: as if all had been withdrawn
    write_keys(keys, "expired-key")
    migrate_fails(site)
    assert_exact(site)
    store.check_keys(False)
    write_keys(keys, "newer-key")
    migrate_completes(site)
    assert_exact(site)


def test_a_migration_into_a_bucket_that_is_gone_releases_nothing(s3_site):
    site, store, _ = s3_site
    s3 = store.client()
    for one in s3.list_objects_v2(Bucket="archive")["Contents"]:
        s3.delete_object(Bucket="archive", Key=one["Key"])
    s3.delete_bucket(Bucket="archive")
    migrate_fails(site)
    assert "its bucket is not there" in shosoin("vault", "status", "--dir", site.folder / "vault").stdout
    assert_exact(site)


@needs_azurite
def test_a_migration_whose_server_dies_in_an_upload_releases_nothing_and_goes_on_when_it_is_back(tmp_path):
    store, keys = AzureStore(tmp_path), tmp_path / "credentials"
    keys.write_text(f"account_name = {store.account}\naccess_key = {store.key}\n")
    keys.chmod(0o600)
    try:
        store.start()
        extra = f"endpoint={store.endpoint},credentials={keys}"
        site = made_site(tmp_path / "site", *(f"az://archive/v{number:02},{extra}" for number in range(7, 13)))
        migrates(site)
        before = hot_shards(site)
        command = [BINARY, "migrate", "--dir", str(site.folder / "vault"), "--rate", "1MiB", "--json"]
        job = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for line in job.stderr:
            if line.startswith('{"progress"') and json.loads(line)["progress"]["done_bytes"] > 0:
                break
        assert job.poll() is None, "the job ended before anything was uploaded"
        store.kill()
        job.stderr.read()
        assert job.wait(300) != 0, "what was not uploaded is no success"
        assert len(set(before) - set(hot_shards(site))) < len(before), "what was not verified stays"
        assert_exact(site)
        store.start()
        migrate_completes(site)
        assert_exact(site)
    finally:
        store.kill()


@needs_faketime
@pytest.mark.parametrize("clock", ["+10y", "-2y"])
def test_nothing_is_removed_on_the_word_of_a_clock_that_jumped(tmp_path, clock):
    archive = [tmp_path / f"a{number}" for number in range(6)]
    site = made_site(tmp_path / "site")
    vault = str(site.folder / "vault")
    for place in archive:
        place.mkdir()
        facts = ["--tier", "archive", "--class", "tape", "--security-label", "C3"]
        site.run("volume", "add", "--dir", vault, str(place), *facts)
    migrates(site)
    before = hot_shards(site)
    wrong = {"before": ("faketime", "-f", clock), "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    told = shosoin("vault", "status", "--dir", vault, **wrong)
    assert "clock" in told.stdout, told.stdout + told.stderr
    volume = site.run("volume", "list", "--dir", vault, "--json")["volumes"][0]["label"]["id"]
    for command in (["migrate"], ["compact"], ["copy-forward"], ["volume", "set-state", volume, "retired", "--reason", "old"]):
        done = shosoin(*command, "--dir", vault, **wrong)
        assert set(hot_shards(site)) >= set(before), f"{command}: {done.stdout}{done.stderr}"
    assert done.returncode == 4, done.stdout + done.stderr
    assert site.run("scrub", "--dir", vault, "--json")["findings"] == 0
    migrate_completes(site)
    assert_exact(site)
