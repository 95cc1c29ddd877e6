"""Compactions killed in their middle: nothing acknowledged is lost, the next run finishes, and the log has each kill.

What a compaction removes must be weeks old, so the site lives on a clock that is moved on. `SHOSOIN_JOB_KILLS` says how many
kills must hit a run (3 unless set), `SHOSOIN_CRASH_SEED` repeats the moments of one that failed. A kill counts if the audit
log has a run that began and did not end. The other jobs: cli/tests/job_kills.rs.
"""

import glob
import os
import random
import subprocess
import sys
import time

import pytest

from conftest import BINARY, Site

KILLS = int(os.environ.get("SHOSOIN_JOB_KILLS", "3"))
SEED = int(os.environ.get("SHOSOIN_CRASH_SEED", str(os.getpid())))
RUNS_PER_KILL = 8
SEGMENTS = 4
WAIT_DAYS = 30
FAKETIME = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")

# Stores a record, and gives up an upload of two parts. Under the site's clock: requests are signed with the time.
DEPOSIT = """
import boto3, os, sys
endpoint, key, secret, region, name = sys.argv[1:]
s3 = boto3.client("s3", endpoint_url=endpoint, aws_access_key_id=key, aws_secret_access_key=secret, region_name=region)
s3.put_object(Bucket="records", Key=name, Body=name.encode() * 200_000)
upload = s3.create_multipart_upload(Bucket="records", Key="given up")["UploadId"]
for part in (1, 2):
    s3.upload_part(Bucket="records", Key="given up", UploadId=upload, PartNumber=part, Body=os.urandom(5_000_000))
s3.abort_multipart_upload(Bucket="records", Key="given up", UploadId=upload)
"""


class Aging:
    """A site on a clock of its own, with records, and segments that are mostly abandoned."""

    def __init__(self, folder):
        self.site, self.days, self.names, self.dice = Site(folder), 0, [], random.Random(SEED)
        self.site.start()
        self.site.client().create_bucket(Bucket="records")
        assert self.site.stop() == 0

    def pass_days(self, days):
        self.days += days
        # `env` becomes the command, so that a kill hits it; `faketime` itself would stay beside it.
        self.site.before = ["env", f"LD_PRELOAD={FAKETIME[0]}", f"FAKETIME=+{self.days}d"]

    def abandon(self):
        """Fills segments with little that lives, and lets the time of the rest go by."""
        for _ in range(SEGMENTS):
            name = f"record {len(self.names)}"
            info = self.site.start().info
            arguments = [info[field] for field in ("s3_endpoint", "access_key_id", "secret_access_key", "region")]
            subprocess.run([*self.site.before, sys.executable, "-c", DEPOSIT, *arguments, name], check=True, timeout=120)
            self.names.append(name)
            assert self.site.stop() == 0
        self.pass_days(1)
        self.run("compact")  # notes what nothing names
        self.pass_days(WAIT_DAYS)

    def run(self, *command):
        return self.site.run(*command, "--dir", str(self.site.folder), "--json")

    def to_do(self):
        return any(segment["worth_it"] for segment in self.run("compact", "--dry-run").get("segments", []))

    def kill_one(self, paced):
        command = [*self.site.before, BINARY, "compact", "--dir", str(self.site.folder), "--json"]
        command += ["--rate", "2MiB"] if paced else []
        job = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        job.stderr.readline()  # its first sign of life
        time.sleep(self.dice.uniform(0, 1.2 if paced else 0.06))  # the random life before a kill
        job.kill()
        job.wait(30)
        job.stderr.close()

    def hits(self):
        vault = str(self.site.folder / "vault")
        shown = self.site.run("audit", "show", "--dir", vault, "--action", "compact", "--newest", "100000", "--json")
        runs = [one for one in shown["records"] if "segment" not in one and "found" in (one.get("detail") or {})]
        begun = sum(one["outcome"] == "begun" for one in runs)
        return 2 * begun - len(runs)


@pytest.fixture
def aging(tmp_path, monkeypatch):
    if not FAKETIME:
        pytest.skip("faketime is not installed: apt-get install faketime")
    monkeypatch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    aging = Aging(tmp_path / "site")
    yield aging
    if aging.site.process is not None:
        aging.site.kill()


def test_compactions_killed_in_their_middle_lose_nothing_and_finish(aging):
    runs = hits = freed = 0
    while hits < KILLS:
        assert runs < KILLS * RUNS_PER_KILL, f"{hits} of {runs} runs were hit, seed {SEED}"
        if not aging.to_do():
            aging.abandon()
            freed += 1
        aging.kill_one(paced=runs % 3 != 0)
        runs, hits = runs + 1, aging.hits()
    print(f"compact: {hits} of {runs} runs killed in their middle, {freed * SEGMENTS} segments abandoned, seed {SEED}")
    last = aging.run("compact")
    assert last["outcome"] == "done" and last["short"] == 0 and not aging.to_do(), last
    assert aging.run("repair")["short"] == 0
    aging.run("check", "--every-unit")
    vault = str(aging.site.folder / "vault")
    aging.site.run("audit", "verify", "--dir", vault)
    for name in aging.names:
        out = aging.site.folder / "out"
        aging.site.run("get", "records", name, "--out", str(out), "--dir", str(aging.site.folder))
        assert out.read_bytes() == name.encode() * 200_000, name
        out.unlink()
