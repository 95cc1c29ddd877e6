"""The demonstration behind scripts/demo: one process, real records, a stock S3 client, and every promise tried.

Each step prints what it proves. A failed check ends the run with exit code 1 and leaves the directory for inspection.
"""

import argparse
import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import boto3
import botocore.exceptions
from botocore.config import Config

BUCKET = "records"
READY_SECONDS_MAX = 60
STOP_SECONDS_MAX = 60
NEEDLE_BYTES_MIN = 6
PIXEL_NEEDLE_BYTES = 24


class Failed(Exception):
    """A promise that did not hold."""


class Shosoin:
    """One `shosoin up` process."""

    def __init__(self, binary, directory):
        self.binary, self.directory = binary, directory
        self.process = None

    def start(self):
        self.log = open(self.directory.parent / "shosoin.log", "ab")
        command = [self.binary, "up", "--dir", str(self.directory), "--s3", "127.0.0.1:0", "--json"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, text=True)
        line = self.process.stdout.readline()
        if not line:
            raise Failed(f"`shosoin up` ended before it was ready; see {self.log.name}")
        ready = json.loads(line)
        self.s3 = boto3.client(
            "s3",
            endpoint_url=ready["s3_endpoint"],
            aws_access_key_id=ready["access_key_id"],
            aws_secret_access_key=ready["secret_access_key"],
            region_name=ready["region"],
            config=Config(retries={"total_max_attempts": 1}, max_pool_connections=16, s3={"addressing_style": "path"}),
        )
        return ready

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(STOP_SECONDS_MAX)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(STOP_SECONDS_MAX)
        if code != 0:
            raise Failed(f"SIGTERM should drain and close, but the exit code was {code}")

    def run(self, *arguments):
        """A command of the same binary; its last line of JSON."""
        done = subprocess.run([self.binary, *arguments, "--json"], capture_output=True, text=True)
        if done.returncode != 0:
            raise Failed(f"`shosoin {' '.join(arguments)}` failed ({done.returncode}): {done.stderr.strip()}")
        return json.loads(done.stdout.strip().splitlines()[-1])


def records_of(arguments):
    """The records: (name, path), names as in the source folder."""
    if arguments.records:
        folder = pathlib.Path(arguments.records)
        found = sorted(path for path in folder.rglob("*") if path.is_file())
    else:
        import pydicom

        folder = pathlib.Path(pydicom.__file__).parent / "data" / "test_files"
        found = sorted(folder.rglob("*.dcm"))
    if not found:
        raise Failed(f"no records found in {folder}")
    return [(str(path.relative_to(folder)), path) for path in found]


def needles_of(records):
    """What must not be found at the operator's: names of files and patients, identifiers, pieces of pixel data."""
    import pydicom

    needles = {}
    for name, path in records:
        leaf = pathlib.Path(name).name.encode()
        if len(leaf) >= NEEDLE_BYTES_MIN:
            needles[leaf] = f"file name {leaf.decode()}"
        try:
            header = pydicom.dcmread(path, force=True)
        except Exception:  # a damaged test file is still a record; its bytes are looked for below
            header = None
        for tag in ("PatientName", "PatientID", "StudyInstanceUID"):
            text = str(getattr(header, tag, "") or "").encode()
            if len(text) >= NEEDLE_BYTES_MIN:
                needles[text] = f"{tag} of {name}"
        body = path.read_bytes()
        middle = body[len(body) // 2 : len(body) // 2 + PIXEL_NEEDLE_BYTES]
        if len(middle) == PIXEL_NEEDLE_BYTES and len(set(middle)) > 8:
            needles[middle] = f"content of {name}"
    return needles


def files_below(directory):
    return [path for path in sorted(directory.rglob("*")) if path.is_file()]


def put_all(s3, records):
    for name, path in records:
        s3.put_object(Bucket=BUCKET, Key=name, Body=path.read_bytes())


def compare_all(s3, expected):
    """Reads every object back and compares its digest; returns bytes read."""

    def one(item):
        name, digest = item
        body = s3.get_object(Bucket=BUCKET, Key=name)["Body"].read()
        if hashlib.sha256(body).digest() != digest:
            raise Failed(f"{name} came back with other bytes")
        return len(body)

    with ThreadPoolExecutor(8) as pool:
        return sum(pool.map(one, expected.items()))


def upload_until_killed(shosoin, records, kill_after):
    """Eight uploaders; SIGKILL once `kill_after` uploads were acknowledged. Returns what was acknowledged."""
    acknowledged, lock, dead = {}, threading.Lock(), threading.Event()

    def one(job):
        number, (name, path) = job
        if dead.is_set():
            return
        key, body = f"second-round/{number:05}/{name}", path.read_bytes() + number.to_bytes(4, "big")
        try:
            shosoin.s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError):
            if not dead.is_set():
                raise
            return
        with lock:
            acknowledged[key] = hashlib.sha256(body).digest()
            if len(acknowledged) >= kill_after and not dead.is_set():
                dead.set()
                shosoin.kill()

    jobs = enumerate(records * (1 + 4 * kill_after // len(records)))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, jobs))
    if not dead.is_set():
        raise Failed("all uploads ended before the process was killed; nothing was proved")
    return acknowledged


def seconds(action, *arguments):
    begin = time.monotonic()
    result = action(*arguments)
    return result, time.monotonic() - begin


def size_text(count):
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.1f} {unit}" if unit != "B" else f"{count} B"
        count /= 1024


def step(text):
    print(f"  {text}", flush=True)


def demonstrate(arguments):
    work = pathlib.Path(arguments.work)
    shutil.rmtree(work, ignore_errors=True)
    directory = work / "site"
    directory.mkdir(parents=True)
    shosoin = Shosoin(arguments.shosoin, directory)
    rows = []
    try:
        steps(arguments, shosoin, directory, rows)
    finally:
        if shosoin.process and shosoin.process.poll() is None:
            shosoin.kill()
    print()
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"  {name:<{width}}  {value}")
    if not arguments.keep:
        shutil.rmtree(work, ignore_errors=True)


def steps(arguments, shosoin, directory, rows):
    records = records_of(arguments)
    expected = {name: hashlib.sha256(path.read_bytes()).digest() for name, path in records}
    total = sum(path.stat().st_size for _, path in records)

    shosoin.start()
    step(f"started: vault, hospital keyring and gateway in one process, six volumes, code 4+2")
    shosoin.s3.create_bucket(Bucket=BUCKET)
    _, put_seconds = seconds(put_all, shosoin.s3, records)
    step(f"stored {len(records)} records ({size_text(total)}) under their original names through boto3")
    _, get_seconds = seconds(compare_all, shosoin.s3, expected)
    step("read every one back: exact")

    acknowledged = upload_until_killed(shosoin, records, arguments.kill_after)
    step(f"killed with SIGKILL in the middle of further uploads, {len(acknowledged)} of them acknowledged")
    expected.update(acknowledged)
    _, restart_seconds = seconds(shosoin.start)
    compare_all(shosoin.s3, expected)
    step(f"started again in {restart_seconds:.1f} s: all {len(expected)} acknowledged objects exact")
    shosoin.stop()

    needles = needles_of(records)
    searched = 0
    for path in files_below(directory / "vault"):
        content = path.read_bytes()
        searched += len(content)
        for needle, meaning in needles.items():
            if needle in content or needle in str(path).encode():
                raise Failed(f"{meaning} is readable at the operator's, in {path}")
    step(f"searched the operator's {size_text(searched)} for {len(needles)} names, ids and pieces of content: none found")

    on_media = sum(path.stat().st_size for path in files_below(directory / "vault" / "volumes"))
    for victim in ("v02", "v05"):
        shutil.rmtree(directory / "vault" / "volumes" / victim)
    shutil.rmtree(directory / "vault" / "index")
    _, rebuild_seconds = seconds(shosoin.start)
    compare_all(shosoin.s3, expected)
    step(f"deleted volumes v02 and v05 and the index; started in {rebuild_seconds:.1f} s: all {len(expected)} exact")
    shosoin.stop()

    proof = shosoin.run("verify", "--dir", str(directory), "--all", "--content")
    step(f"verified the ledger: {proof['entries']} entries, {proof['verified']} records proved from their place in it to their plain text")
    check = shosoin.run("vault", "check", "--dir", str(directory / "vault"))
    stored = sum(path.stat().st_size for _, path in records) + sum_of(acknowledged, records)
    rows += [
        ("objects", f"{len(expected)}"),
        ("bytes", size_text(stored)),
        ("sealed", size_text(check["sealed_bytes"])),
        ("on media", size_text(on_media)),
        ("overhead", f"{on_media / stored:.2f} x (4+2 alone is 1.50 x)"),
        ("store", f"{total / put_seconds / 1e6:.0f} MB/s, one record after the other"),
        ("read back", f"{total / get_seconds / 1e6:.0f} MB/s, eight at a time"),
        ("lost objects", "0"),
        ("ledger", f"{proof['entries']} entries, every proof holds"),
    ]


def sum_of(acknowledged, records):
    sizes = {name: path.stat().st_size + 4 for name, path in records}
    return sum(sizes[key.split("/", 2)[2]] for key in acknowledged)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shosoin", required=True, help="the binary")
    parser.add_argument("--work", required=True, help="directory to work in; emptied first")
    parser.add_argument("--records", help="folder of records; default: the files inside the pydicom package")
    parser.add_argument("--kill-after", type=int, default=120, help="acknowledged uploads before SIGKILL")
    parser.add_argument("--keep", action="store_true", help="leave the directory behind")
    arguments = parser.parse_args()
    try:
        demonstrate(arguments)
    except Failed as failure:
        print(f"\n  FAILED: {failure}\n  left for inspection: {arguments.work}", file=sys.stderr)
        return 1
    print("\n  Every check held.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
