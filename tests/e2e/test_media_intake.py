"""A courier's disc, from the packing at the hospital to its end at the operator's: real files, a real ClamAV daemon, and a station in a
network namespace of its own, which has no connection to anything."""

import json
import os
import re
import shutil
import subprocess
import uuid

import pytest

from clamd import EICAR, Clamd, needs_clamd
from conftest import BINARY

CAN_UNSHARE = shutil.which("unshare") and subprocess.run(["unshare", "-n", "true"], capture_output=True).returncode == 0
pytestmark = [needs_clamd, pytest.mark.skipif(not CAN_UNSHARE, reason="no network namespaces here: run as root")]


def shosoin(*arguments, under=()):
    return subprocess.run([*under, BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=300)


def ok(*arguments, under=()):
    done = shosoin(*arguments, "--json", under=under)
    assert done.returncode == 0, f"{arguments}: {done.stderr}"
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def clamd(tmp_path_factory):
    running = Clamd(tmp_path_factory.mktemp("clamd") / "d").start()
    yield running
    running.stop()


def configure(vault, station):
    path = vault / "vault.toml"
    text = path.read_text()
    line = f'stations = ["{station}"]\n'
    if "[intake]" in text:
        text = text.replace("[intake]\n", "[intake]\n" + line, 1)
    else:
        text = text.replace("[[volume]]", f"[intake]\n{line}\n[[volume]]", 1)
    path.write_text(text)


def check(disc, hospital, station, clamd, out, connected=False):
    under = () if connected else ("unshare", "-n")
    return shosoin(
        "intake", "media", "check", disc, "--enrolment", hospital, "--station", station, "--scanner", clamd.socket,
        "--definitions", clamd.definitions, "--bytes-max", clamd.bytes_max, "--out", out, "--json", under=under,
    )


def test_a_courier_disc_is_packed_announced_received_checked_taken_in_and_destroyed(new_site, clamd, tmp_path):
    site = new_site()
    s3 = site.client()
    s3.create_bucket(Bucket="charts")
    assert site.stop() == 0
    vault = site.folder / "vault"
    station = tmp_path / "station.key"
    configure(vault, ok("intake", "media", "station", station)["station"])
    hospital = next((vault / "hospitals").iterdir())

    files = {f"scan-{number}.dcm": os.urandom(size) for number, size in enumerate((10, 70_000, 9 << 20))}
    for name, body in files.items():
        (tmp_path / name).write_bytes(body)
    disc = tmp_path / "disc"
    disc.mkdir()
    packed = ok("pack", "charts", *[tmp_path / name for name in files], "--dir", site.folder, "--medium", disc, "--kind", "optical")
    assert packed["records"] == 3
    everything = b"".join(path.read_bytes() for path in disc.rglob("*") if path.is_file())
    assert files["scan-1.dcm"][:64] not in everything, "what the courier carries is sealed (7.6.8-M3f)"
    refused = shosoin("put", "charts", "meanwhile", tmp_path / "scan-0.dcm", "--dir", site.folder)
    assert refused.returncode == 4 and "not taken in yet" in refused.stderr, refused.stderr

    shipment = packed["shipment"]
    ok("intake", "media", "announce", shipment, "--dir", vault, "--medium", "optical=A-1041", "--courier", "T. Ono", "--expected", "2099-01-01")
    result = tmp_path / "disc.check"
    found = check(disc, hospital, station, clamd, tmp_path / "connected.check", connected=True)
    assert found.stdout, found.stderr
    assert json.loads(found.stdout)["connected"] is True
    found = check(disc, hospital, station, clamd, result)
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["verdict"] == "clean" and json.loads(found.stdout)["connected"] is False

    take = ("intake", "media", "take", disc, "--dir", vault, "--receipts", tmp_path / "receipts", "--check")
    early = shosoin(*take, result)
    assert early.returncode != 0 and "nobody has received" in early.stderr, early.stderr
    ok("intake", "media", "receive", shipment, "--dir", vault, "--medium", "optical=A-1041", "--identity", "staff card 41")
    connected = shosoin(*take, tmp_path / "connected.check")
    assert connected.returncode != 0 and "connected" in connected.stderr, connected.stderr
    assert ok(*take, result)["deposits"] == 3
    receipts = {path.stem for path in (tmp_path / "receipts").iterdir()}
    assert receipts == set(packed["versions"])

    s3 = site.start().client()
    for name, body in files.items():
        assert s3.get_object(Bucket="charts", Key=name)["Body"].read() == body
    s3.put_object(Bucket="charts", Key="afterwards", Body=b"over the line again")
    assert site.stop() == 0
    receipt = tmp_path / "receipts" / f"{packed['versions'][0]}.receipt"
    ok("verify", "charts", "scan-0.dcm", "--receipt", receipt, "--content", "--dir", site.folder)
    ok("intake", "media", "dispose", shipment, "--dir", vault, "--number", "1", "--method", "destroyed", "--worker", "K. Mori")
    listed = ok("intake", "media", "list", "--dir", vault)["shipments"]
    assert listed[0]["media"][0]["step"] == "disposed"


def test_a_station_tells_malware_from_foreign_files_damage_and_missing_signatures(new_site, clamd, tmp_path):
    site = new_site()
    site.client().create_bucket(Bucket="charts")
    assert site.stop() == 0
    station = tmp_path / "station.key"
    ok("intake", "media", "station", station)
    hospital = next((site.folder / "vault" / "hospitals").iterdir())
    record = tmp_path / "record"
    record.write_bytes(os.urandom(2 << 20))
    disc = tmp_path / "disc"
    disc.mkdir()
    ok("pack", "charts", record, "--dir", site.folder, "--medium", disc, "--kind", "flash")

    def verdict():
        found = check(disc, hospital, station, clamd, tmp_path / f"{uuid.uuid4().hex}.check")
        answer = json.loads(found.stdout)
        assert (found.returncode == 0) == (answer["verdict"] == "clean")
        return answer["verdict"], " ".join(answer["findings"])

    assert verdict() == ("clean", "")
    stray = disc / "autorun.inf"
    stray.write_bytes(b"[autorun]")
    assert verdict() == ("foreign", "autorun.inf is not named by the manifest")
    stray.write_bytes(b"x" * 50 + EICAR)
    kind, findings = verdict()
    assert kind == "infected" and "Eicar" in findings
    stray.unlink()
    stray.symlink_to("/etc/passwd")
    assert verdict() == ("foreign", "autorun.inf is no file")
    stray.unlink()
    chunk = next((disc / "shosoin-medium" / "chunks").iterdir())
    whole = chunk.read_bytes()
    chunk.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert verdict()[0] == "damaged"
    chunk.unlink()
    kind, findings = verdict()
    assert kind == "damaged" and re.search("is named by the manifest and not there", findings)
    chunk.write_bytes(whole)
    manifest = disc / "shosoin-medium" / "manifest"
    signed = manifest.read_bytes()
    manifest.write_bytes(signed[:100] + bytes([signed[100] ^ 1]) + signed[101:])
    assert verdict()[0] == "unsigned"
    manifest.write_bytes(signed)
    assert verdict() == ("clean", "")
    clamd.stop()
    down = check(disc, hospital, station, clamd, tmp_path / "down.check")
    assert down.returncode != 0 and not (tmp_path / "down.check").exists(), "a station without a scanner says nothing"
    clamd.start()
