"""A real S3 server that this project did not write, for archive volumes: moto, as a process of its own."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import boto3

START_SECONDS = 60
REGION = "us-east-1"


class ObjectStore:
    """One server on a loopback port, and the bucket `archive` in it. What it holds is gone when it ends."""

    def __init__(self, folder):
        self.log = pathlib.Path(folder) / "object-store.log"
        self.process = None
        self.port = free_port()
        self.keys = ("archive-key", "archive-secret")

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        command = shutil.which("moto_server", path=os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"])
        assert command, "moto_server is not installed: pip install 'moto[server]'"
        arguments = [command, "-H", "127.0.0.1", "-p", str(self.port)]
        log = open(self.log, "ab")
        self.process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=log, start_new_session=True)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text()
            try:
                with urllib.request.urlopen(self.endpoint + "/moto-api/", timeout=5):
                    break
            except OSError:
                time.sleep(0.1)  # nothing tells when a foreign server listens
        self.client().create_bucket(Bucket="archive")
        return self

    def kill(self):
        """Ends the process group that was started here, and nothing else."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(30)
            self.process = None

    def client(self):
        key, secret = self.keys
        return boto3.client(
            "s3", endpoint_url=self.endpoint, aws_access_key_id=key, aws_secret_access_key=secret, region_name=REGION
        )

    def check_keys(self, on):
        """From now on requests need a key that the store knows, or none do."""
        count = b"0" if on else b"inf"
        request = urllib.request.Request(
            self.endpoint + "/moto-api/reset-auth", data=count, headers={"Content-Type": "text/plain"}
        )
        urllib.request.urlopen(request, timeout=10).close()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
