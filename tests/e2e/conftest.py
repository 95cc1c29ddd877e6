"""A running `shosoin up` for the tests, and S3 clients for it.

The binary is $SHOSOIN_BIN, else target/debug/shosoin. One site serves a whole run; a test that stops, kills or
damages a site asks for one of its own with `new_site`.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import threading
import uuid

import boto3
import pytest
from botocore.config import Config

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("SHOSOIN_BIN", str(ROOT / "target" / "debug" / "shosoin"))
START_SECONDS = 120
STOP_SECONDS = 60


def rust_test(package, name, *arguments, env, seconds=600):
    """Runs a test binary that Cargo built: of $SHOSOIN_TEST_BINARIES, the messages of `cargo test --no-run`, else asked for now."""
    messages = os.environ.get("SHOSOIN_TEST_BINARIES")
    if messages:
        lines = pathlib.Path(messages).read_text().splitlines()
    else:
        command = ["cargo", "test", "--workspace", "--test", name, "--no-run", "--message-format=json"]
        lines = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    built = [json.loads(line) for line in lines if line.startswith("{")]
    found = [
        one["executable"]
        for one in built
        if one.get("executable") and one["target"]["name"] == name and f"/{package}#" in one["package_id"]
    ]
    assert len(found) == 1, f"no test binary {name} of {package}: {found}"
    command = [found[0], *arguments]
    done = subprocess.run(command, cwd=ROOT / package, env=env, capture_output=True, text=True, timeout=seconds)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Site:
    """One folder and, while it runs, the process that serves it."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.process = None
        self.info = None
        self.before = []  # what every command of the site is run under, as `faketime`
        self.more = []  # what else `up` is told

    def start(self):
        log = open(self.folder.with_suffix(".log"), "ab")
        command = [*self.before, BINARY, "up", "--dir", str(self.folder), "--s3", "127.0.0.1:0", *self.more, "--json"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
        line = read_line(self.process, START_SECONDS)
        if not line:
            raise RuntimeError("no first line from `up`:\n" + self.folder.with_suffix(".log").read_text())
        self.info = json.loads(line)
        return self

    def stop(self):
        """SIGTERM: drains and closes. Gives the exit code."""
        if self.process is None:
            return None
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(STOP_SECONDS)
        self.process.stdout.close()
        self.process = None
        return code

    def kill(self):
        """SIGKILL: nothing is drained."""
        self.process.kill()
        self.process.wait(STOP_SECONDS)
        self.process.stdout.close()
        self.process = None

    def run(self, *arguments):
        """A `shosoin` command, with its answer as JSON where it gives one."""
        done = subprocess.run([*self.before, BINARY, *arguments], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, f"{arguments}: {done.stderr}"
        return json.loads(done.stdout) if done.stdout.startswith("{") else done.stdout

    def user(self, name, role, bucket=None):
        """A new access key."""
        scope = ["--bucket", bucket] if bucket else []
        folder = str(self.folder / "hospital")
        return self.run("gateway", "user", "add", "--dir", folder, "--name", name, "--role", role, *scope, "--json")

    def client(self, keys=None, **config):
        """A boto3 client, for the admin unless other keys are given."""
        keys = keys or self.info
        config.setdefault("retries", {"max_attempts": 1})
        return boto3.client(
            "s3",
            endpoint_url=self.info["s3_endpoint"],
            aws_access_key_id=keys["access_key_id"],
            aws_secret_access_key=keys["secret_access_key"],
            region_name=self.info["region"],
            config=Config(s3={"addressing_style": "path"}, **config),
        )


def read_line(process, seconds):
    """The first line of a process, or nothing if it ends or the time is up."""
    found = []
    reader = threading.Thread(target=lambda: found.append(process.stdout.readline()), daemon=True)
    reader.start()
    reader.join(seconds)
    if not found or not found[0]:
        process.kill()
        return None
    return found[0]


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    running = Site(tmp_path_factory.mktemp("site") / "d").start()
    yield running
    assert running.stop() == 0


@pytest.fixture
def new_site(tmp_path):
    """Makes sites of one test; they are stopped after it."""
    made = []

    def make():
        fresh = Site(tmp_path / f"site{len(made)}")
        made.append(fresh)
        return fresh.start()

    yield make
    for each in made:
        if each.process is not None:
            each.kill()
        shutil.rmtree(each.folder, ignore_errors=True)


@pytest.fixture
def s3(site):
    return site.client()


@pytest.fixture
def bucket(s3):
    """A bucket of the test's own, gone after it with all that is in it."""
    name = "t-" + uuid.uuid4().hex[:20]
    s3.create_bucket(Bucket=name)
    yield name
    empty(s3, name)
    s3.delete_bucket(Bucket=name)


def empty(s3, bucket):
    """Deletes every version and marker of a bucket."""
    while True:
        page = s3.list_object_versions(Bucket=bucket)
        found = page.get("Versions", []) + page.get("DeleteMarkers", [])
        if not found:
            return
        keys = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in found]
        s3.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})


def failure(call, **arguments):
    """The status and code a call fails with."""
    from botocore.exceptions import ClientError

    with pytest.raises(ClientError) as caught:
        call(**arguments)
    response = caught.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]
