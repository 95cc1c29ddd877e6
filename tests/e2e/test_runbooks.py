"""The runbooks of docs/operations.md, walked on a real site with the commands as they stand there.

A walk takes the commands of one section in their order. What happens between them (a volume dies, a lot is recalled, a site
burns) is done here. A command that is added to a runbook and not walked fails its test, and so does one that is wrong.
"""

import json
import re
import shlex
import shutil
import subprocess

import pytest
from botocore.exceptions import ClientError

from conftest import BINARY, ROOT, Site

OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
BODIES = {f"scan {number}": bytes([number]) * (700_000 + number) for number in range(3)}


def section(heading):
    """The text of one section."""
    found = re.search(rf"^(#+) {re.escape(heading)}$(.*?)(?=^#{{1,3}} |\Z)", OPERATIONS, re.M | re.S)
    assert found, f"docs/operations.md has no section {heading}"
    return found.group(2)


class Walk:
    """One runbook. `words` says what stands for the words that are the operator's to fill in."""

    def __init__(self, heading, **words):
        blocks = re.findall(r"^ *```sh\n(.*?)^ *```", section(heading), re.M | re.S)
        inline = re.findall(r"`(shosoin [^`]+)`", section(heading)) if not blocks else []
        self.commands = [line.strip() for line in "\n".join(blocks).splitlines() if line.strip()] or inline
        self.words = {"/srv/vault": words.pop("vault"), **words}

    def next(self, begins, code=0):
        """Runs the next command, which must begin with these words."""
        line = self.commands.pop(0)
        assert line.startswith(f"shosoin {begins}"), f"the runbook says: {line}"
        arguments = [str(self.words.get(word, word)) for word in shlex.split(line)[1:]]
        done = subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=300)
        assert done.returncode == code, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def ended(self):
        assert self.commands == [], "commands of the runbook that nobody walked"


@pytest.fixture
def site(tmp_path):
    """A site with records, not running, and the folder of a seventh medium."""
    made = Site(tmp_path / "site").start()
    s3 = made.client()
    s3.create_bucket(Bucket="records")
    for name, body in BODIES.items():
        s3.put_object(Bucket="records", Key=name, Body=body)
    assert made.stop() == 0
    (tmp_path / "new medium").mkdir()
    yield made
    if made.process is not None:
        made.kill()


def assert_exact(site):
    s3 = site.start().client()
    for name, body in BODIES.items():
        assert s3.get_object(Bucket="records", Key=name)["Body"].read() == body, name
    assert site.stop() == 0


def media(vault):
    done = subprocess.run([BINARY, "volume", "list", "--dir", str(vault), "--json"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["volumes"]


def medium_at(vault, name):
    (found,) = [one for one in media(vault) if one["place"].endswith(f"/{name}")]
    return found["label"]["id"]


def state_of(vault, volume):
    (found,) = [one for one in media(vault) if one["label"]["id"] == volume]
    return found["state"]


def test_the_runbook_of_a_lost_volume(site, tmp_path):
    vault = site.folder / "vault"
    volume = medium_at(vault, "v03")
    shutil.rmtree(vault / "volumes" / "v03")
    walk = Walk("Lost volume", vault=vault, VOLUME=volume, **{"/mnt/g": tmp_path / "new medium"})
    assert "volumes/v03" in walk.next("vault status")
    assert volume[:8] in walk.next("volume list")
    walk.next("volume set-state")
    assert state_of(vault, volume) == "lost"
    walk.next("volume add")
    assert "0 short" in walk.next("repair")
    told = walk.next("jobs")
    assert "repairs " not in told, told
    walk.next("scrub")
    walk.next("check")
    walk.next("volume set-state")
    assert "head crash" in walk.next("volume show"), "the history outlives the medium"
    walk.ended()
    assert_exact(site)


def test_a_volume_that_was_only_unplugged_is_mounted_again_and_believed_after_a_look(site, tmp_path):
    place = site.folder / "vault" / "volumes" / "v03"
    place.rename(tmp_path / "unplugged")
    assert_exact(site)
    (tmp_path / "unplugged").rename(place)
    assert_exact(site)
    site.run("repair", "--dir", str(site.folder))
    site.run("scrub", "--dir", str(site.folder))


def test_the_runbook_of_a_lost_site(site, tmp_path):
    vault, survives = site.folder / "vault", ("v01", "v02", "v04", "v06")
    burnt = [medium_at(vault, "v03"), medium_at(vault, "v05")]
    elsewhere, new = tmp_path / "elsewhere", Site(tmp_path / "rebuilt")
    shutil.copytree(site.folder, new.folder, ignore=shutil.ignore_patterns("index", "volumes"))
    elsewhere.mkdir()
    for name in survives:
        (vault / "volumes" / name).rename(elsewhere / name)
    shutil.rmtree(site.folder)
    config = (new.folder / "vault" / "vault.toml").read_text()
    tables = config.split("[[volume]]")
    kept = [table for table in tables[1:] if any(f"volumes/{name}\"" in table for name in survives)]
    assert len(kept) == 4
    config = "[[volume]]".join([tables[0], *kept]).replace('"volumes/', f'"{elsewhere}/')
    (new.folder / "vault" / "vault.toml").write_text(config)
    (tmp_path / "another").mkdir()

    walk = Walk("Lost site", vault=vault, VOLUME=burnt[0], **{"/srv/new": new.folder / "vault", "/mnt/g": tmp_path / "new medium"})
    walk.next("vault rebuild")
    walk.next("check")
    walk.next("volume set-state")
    new.run("volume", "set-state", "--dir", str(new.folder / "vault"), burnt[1], "lost", "--reason", "fire")
    walk.next("volume add")
    new.run("volume", "add", "--dir", str(new.folder / "vault"), str(tmp_path / "another"), "--security-label", "C3")
    assert "0 short" in walk.next("repair")
    walk.next("scrub")
    walk.ended()
    assert_exact(new)


def test_the_runbook_of_an_expired_lot(site, tmp_path):
    vault = site.folder / "vault"
    volume = medium_at(vault, "v02")
    site.run("volume", "label", "--dir", str(vault), volume, "--lot", "2026-04")
    site.run("volume", "add", "--dir", str(vault), str(tmp_path / "new medium"), "--security-label", "C3")
    walk = Walk("Expired lot", vault=vault, VOLUME=volume)
    assert re.search(r"^lost +0 segments", walk.next("volume what-if"), re.M)
    walk.next("volume set-state")
    assert volume in walk.next("copy-forward")
    assert "empty and retired" in walk.next("copy-forward")
    assert "retired" in walk.next("volume show")
    assert list((vault / "volumes" / "v02" / "segments").rglob("*.shard")) == []
    walk.next("volume set-state")
    walk.next("volume set-state")
    walk.ended()
    assert state_of(vault, volume) == "destroyed"
    site.run("scrub", "--dir", str(site.folder))
    assert_exact(site)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 96 MiB in memory."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "none", str(place)], capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_the_runbook_of_a_full_tier(small_disk, tmp_path):
    folder = tmp_path / "site"
    folder.mkdir()
    volumes = [part for number in range(1, 7) for part in ("--volume", str(small_disk / f"v{number:02}"))]
    vault = folder / "vault"
    made = Site(folder)
    made.run("vault", "init", "--dir", str(vault), "--code", "4+2", "--demo", *volumes)
    s3 = made.start().client()
    try:
        s3.create_bucket(Bucket="records")
        stored = fill(s3)
        for name, body in stored.items():
            assert s3.get_object(Bucket="records", Key=name)["Body"].read() == body, "reading goes on"
        walk = Walk("Full tier", vault=vault, **{"/mnt/g": tmp_path / "g"})
        assert "full" in walk.next("vault status")
        walk.next("forecast")
        (tmp_path / "g").mkdir()
        walk.next("volume add")
        for number in range(2, 7):
            (tmp_path / f"g{number}").mkdir()
            made.run("volume", "add", "--dir", str(vault), str(tmp_path / f"g{number}"), "--security-label", "C3")
        assert "no rule" in walk.next("migrate")
        walk.next("migrate")
        listed = made.run("volume", "list", "--dir", str(vault), "--json")["volumes"]
        walk.words["VOLUME"] = next(one["label"]["id"] for one in listed if one["place"] == str(tmp_path / "g"))
        walk.next("copy-forward")
        walk.next("copy-forward")
        walk.ended()
        s3.put_object(Bucket="records", Key="after", Body=b"room")
        for name, body in (stored | {"after": b"room"}).items():
            assert s3.get_object(Bucket="records", Key=name)["Body"].read() == body, name
        assert made.stop() == 0
        made.run("check", "--dir", str(vault), "--every-unit")
    finally:
        if made.process is not None:
            made.kill()


def fill(s3):
    """Stores records until there is no room; gives those that were acknowledged."""
    stored = {}
    for number in range(40):
        body = bytes([number]) * 4_000_000 + str(number).encode()
        try:
            s3.put_object(Bucket="records", Key=f"fill {number}", Body=body)
        except ClientError as error:
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 503 and number > 5, (number, error)
            return stored
        stored[f"fill {number}"] = body
    raise AssertionError("96 MiB took 160 MB of records")


@pytest.mark.parametrize("heading", ["A day", "A week", "A year"])
def test_what_an_operator_does_each(heading, site):
    walk = Walk(heading, vault=site.folder / "vault")
    ends_well = {"A day": ["jobs", "vault status", "volume list"], "A week": ["check", "audit verify"], "A year": ["forecast", "volume stocktake"]}
    for begins in ends_well[heading]:
        walk.next(begins)
    rest = [line for line in walk.commands if ".." not in line]
    assert rest == [], "commands that nobody walked"


def test_every_command_of_the_page_is_one_that_the_binary_knows():
    lines = set(re.findall(r"`(shosoin [a-z][^`\n]*)`", OPERATIONS)) | set(re.findall(r"^ *(shosoin .+)$", OPERATIONS, re.M))
    assert len(lines) > 20
    for line in lines:
        words = [word for word in line.split()[1:] if re.fullmatch(r"[a-z][a-z-]+", word)]
        helped = [subprocess.run([BINARY, *words[:n], "--help"], capture_output=True, text=True) for n in (3, 2, 1)]
        told = next((one.stdout for one in helped if one.returncode == 0), None)
        assert told, f"{line}: {helped[-1].stderr}"
        for flag in re.findall(r"--[a-z][a-z-]+", line):
            assert flag in told, f"{line}: {flag} is not in its help"
