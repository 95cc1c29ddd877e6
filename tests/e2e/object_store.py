"""Real servers that this project did not write, for archive volumes, each a process of its own: moto for S3, Azurite for
Azure. For Google there is none: fake-gcs-server refuses the multipart uploads that every file goes through."""

import base64
import os
import pathlib
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import boto3
import pytest

START_SECONDS = 60
REGION = "us-east-1"
AZURITE = os.environ.get("SHOSOIN_AZURITE")

needs_azurite = pytest.mark.skipif(not AZURITE, reason="no Azurite: SHOSOIN_AZURITE names its azurite-blob")


class Server:
    """One server on a loopback port."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.log = self.folder / "object-store.log"
        self.process = None
        self.port = free_port()

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    def run(self, arguments, look, **env):
        """Starts it and waits until it answers at `look`, whatever it says."""
        log = open(self.log, "ab")
        self.process = subprocess.Popen(
            arguments, stdout=subprocess.DEVNULL, stderr=log, start_new_session=True, env=os.environ | env
        )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text()
            try:
                urllib.request.urlopen(self.endpoint + look, timeout=5).close()
                return
            except urllib.error.HTTPError:
                return
            except OSError:
                time.sleep(0.1)  # nothing tells when a foreign server listens
        raise AssertionError(f"{arguments[0]} does not answer: {self.log.read_text()}")

    def kill(self):
        """Ends the process group that was started here, and nothing else."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(30)
            self.process = None


class AzureStore(Server):
    """Azurite with an account of its own and the container `archive`. What it holds is there again after a restart."""

    account = "archive"

    def __init__(self, folder):
        super().__init__(folder)
        self.key = base64.b64encode(secrets.token_bytes(64)).decode()

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}/{self.account}"

    def start(self):
        from azure.storage.blob import BlobServiceClient

        arguments = [AZURITE, "--silent", "--skipApiVersionCheck", "--location", str(self.folder / "azurite"), "--disableTelemetry"]
        arguments += ["--blobHost", "127.0.0.1", "--blobPort", str(self.port)]
        self.run(arguments, "", AZURITE_ACCOUNTS=f"{self.account}:{self.key}")
        container = BlobServiceClient(self.endpoint, credential=self.key).get_container_client("archive")
        if not container.exists():
            container.create_container()
        return self


class ObjectStore(Server):
    """moto with the bucket `archive`. What it holds is gone when it ends."""

    def __init__(self, folder):
        super().__init__(folder)
        self.keys = ("archive-key", "archive-secret")

    def start(self):
        command = shutil.which("moto_server", path=os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"])
        assert command, "moto_server is not installed: pip install 'moto[server]'"
        self.run([command, "-H", "127.0.0.1", "-p", str(self.port)], "/moto-api/")
        self.client().create_bucket(Bucket="archive")
        return self

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
