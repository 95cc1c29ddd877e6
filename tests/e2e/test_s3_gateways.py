"""Two gateways of one hospital, each a process with a device key of its own, over one vault: what both do by themselves at the same moment."""

import concurrent.futures
import glob
import json
import os
import re
import signal
import subprocess
import sys
import time

import boto3
import pytest
from botocore.config import Config
from conftest import BINARY, read_line

FAKETIME = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
LATER = "FAKETIME=+40d"
SECONDS = 60
NAMES = 12

SEEN = """
import boto3, json, sys
from botocore.config import Config
s3 = boto3.client("s3", endpoint_url=sys.argv[1], aws_access_key_id=sys.argv[2], aws_secret_access_key=sys.argv[3],
                  region_name="us-east-1", config=Config(s3={"addressing_style": "path"}))
told = {}
for bucket in ("records", "plain"):
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for one in page.get("Versions", []):
            told.setdefault(bucket + "/" + one["Key"], []).append("latest" if one["IsLatest"] else "old")
        for one in page.get("DeleteMarkers", []):
            told.setdefault(bucket + "/" + one["Key"], []).append("marker")
told["bytes"] = s3.get_object(Bucket="records", Key="old/0")["Body"].read().decode()
print(json.dumps(told))
"""


class Hospital:
    """A vault that is served, and two machines of a hospital with a gateway each."""

    def __init__(self, folder):
        self.folder, self.before, self.running = folder, [], []
        (folder / "passphrase").write_text("correct horse")
        volumes = [argument for n in range(6) for argument in ("--volume", str(folder / f"m{n}"))]
        self.pin = self.run("vault", "init", "--dir", folder / "vault", "--code", "4+2", "--demo", *volumes)["pin"]
        secret = ["--passphrase-file", folder / "passphrase"]
        self.run("keyring", "init", "--dir", folder / "h0", *secret)
        split = self.run("escrow", "split", "--dir", folder / "h0", "--out", folder / "sheets", "--needed", "2", "--shares", "2", *secret)
        self.run("escrow", "restore", *split["sheets"], "--dir", folder / "h1", *secret)
        self.keys = []
        for name in ("h0", "h1"):
            self.run("hospital", "enrol", "--dir", folder / "vault", folder / name / "enrolment", "--yes")
            self.keys.append(self.run("gateway", "user", "add", "--dir", folder / name, "--name", "pacs", "--role", "admin", *secret))

    def run(self, *arguments):
        done = subprocess.run([*self.before, BINARY, *map(str, arguments), "--json"], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{arguments}: {done.stderr}"
        return json.loads(done.stdout.splitlines()[-1])

    def begin(self, log, *arguments):
        env = {**os.environ, "SHOSOIN_LOG": "info"}
        command = [*self.before, BINARY, *map(str, arguments), "--json"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=open(self.folder / log, "wb"), env=env)
        self.running.append(process)
        return process

    def ready(self, process):
        line = read_line(process, SECONDS)
        assert line, "it ended before its first line"
        return json.loads(line)

    def start(self, at_once):
        """The vault, then both gateways, at the same moment or one after the other; gives their endpoints."""
        vault = self.begin("vault.log", "vault", "serve", "--dir", self.folder / "vault", "--listen", "127.0.0.1:0")
        url = self.ready(vault)["url"]
        reach = ["--vault-url", url, "--vault-pin", self.pin, "--passphrase-file", self.folder / "passphrase"]
        serve = lambda name: self.begin(f"{name}.log", "gateway", "serve", "--dir", self.folder / name, "--s3", "127.0.0.1:0", *reach)
        begun = (serve(name) for name in ("h0", "h1"))
        return [self.ready(process)["s3_endpoint"] for process in (list(begun) if at_once else begun)]

    def stop(self):
        for process in reversed(self.running):
            process.send_signal(signal.SIGTERM)
            assert process.wait(SECONDS) == 0
        self.running.clear()

    def pass_of(self, name):
        """What the first pass of a gateway did, once its log says so."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:  # nothing but the log tells when it has ended
            text = (self.folder / f"{name}.log").read_text()
            if "lifecycle rules were applied" in text:
                line = next(line for line in text.splitlines() if "lifecycle rules were applied" in line)
                assert "could not be applied" not in text, text
                return {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", line)}
            time.sleep(0.1)
        raise AssertionError(text)


@pytest.fixture
def hospital(tmp_path):
    made = Hospital(tmp_path)
    yield made
    for process in made.running:
        process.kill()
        process.wait()


def connect(endpoint, keys):
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=keys["access_key_id"],
        aws_secret_access_key=keys["secret_access_key"],
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}, max_pool_connections=NAMES),
    )


@pytest.mark.skipif(not FAKETIME, reason="faketime is not installed: apt-get install faketime")
def test_two_gateways_apply_lifecycle_rules_at_once_and_each_change_is_made_by_one(hospital, monkeypatch):
    monkeypatch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    s3 = connect(hospital.start(at_once=False)[0], hospital.keys[0])
    s3.create_bucket(Bucket="records", ObjectLockEnabledForBucket=True)
    s3.create_bucket(Bucket="plain")
    rule = lambda name, prefix, **what: {"ID": name, "Status": "Enabled", "Filter": {"Prefix": prefix}, **what}
    rules = [
        rule("tmp", "tmp/", Expiration={"Days": 30}),
        rule("old", "", NoncurrentVersionExpiration={"NoncurrentDays": 30}),
        rule("gone", "gone/", Expiration={"ExpiredObjectDeleteMarker": True}),
    ]
    s3.put_bucket_lifecycle_configuration(Bucket="records", LifecycleConfiguration={"Rules": rules})
    s3.put_bucket_lifecycle_configuration(Bucket="plain", LifecycleConfiguration={"Rules": [rule("all", "", Expiration={"Days": 30})]})
    expected = {"bytes": "third"}

    def fill(n):
        s3.put_object(Bucket="records", Key=f"tmp/{n}", Body=b"x")
        expected[f"records/tmp/{n}"] = ["marker", "old"]
        for body in (b"first", b"second", b"third"):
            s3.put_object(Bucket="records", Key=f"old/{n}", Body=body)
        expected[f"records/old/{n}"] = ["latest"]
        version = s3.put_object(Bucket="records", Key=f"gone/{n}", Body=b"x")["VersionId"]
        s3.delete_object(Bucket="records", Key=f"gone/{n}")
        s3.delete_object(Bucket="records", Key=f"gone/{n}", VersionId=version)
        s3.put_object(Bucket="plain", Key=str(n), Body=b"x")

    with concurrent.futures.ThreadPoolExecutor(NAMES) as pool:
        list(pool.map(fill, range(NAMES)))
    for body in (b"1", b"2"):
        s3.put_object(Bucket="records", Key="held", Body=body, ObjectLockLegalHoldStatus="ON")
    expected["records/held"] = ["latest", "old"]
    hospital.stop()

    hospital.before = ["env", f"LD_PRELOAD={FAKETIME[0]}", LATER]
    endpoints = hospital.start(at_once=True)
    passes = [hospital.pass_of(name) for name in ("h0", "h1")]
    total = {key: sum(one[key] for one in passes) for key in passes[0]}
    for endpoint, keys in zip(endpoints, hospital.keys):
        command = [*hospital.before, sys.executable, "-c", SEEN, endpoint, keys["access_key_id"], keys["secret_access_key"]]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        assert {key: sorted(value) if key != "bytes" else value for key, value in json.loads(done.stdout).items()} == expected
    # a marker for each name of tmp/, the objects of `plain`; two replaced versions of each of old/, the markers of gone/
    assert (total["hidden"], total["withdrawn"], total["failed"]) == (2 * NAMES, 3 * NAMES, 0), passes
    assert all(one["kept"] >= 1 for one in passes), "what is on hold is left by both"
    hospital.stop()
    hospital.before = []
    check = hospital.run("vault", "check", "--dir", hospital.folder / "vault", "--every-unit")
    assert [finding["code"] for finding in check["findings"]] == ["clock-jumped"], check  # back from the fortieth day
