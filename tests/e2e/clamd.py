"""A real ClamAV daemon on a socket, with definitions of the tests' own: one signature, of the EICAR test string."""

import pathlib
import shutil
import socket
import subprocess
import time

import pytest

needs_clamd = pytest.mark.skipif(not shutil.which("clamd"), reason="clamd is not installed: apt-get install clamav-daemon")

# In two pieces, so that no scanner takes this file for malware.
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}" + b"$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
START_SECONDS = 60
MIB = 1 << 20


class Clamd:
    """The daemon. `bytes_max` is the longest stream that it scans."""

    def __init__(self, folder, bytes_max=8 * MIB):
        self.folder = pathlib.Path(folder)
        self.bytes_max = bytes_max
        self.socket = self.folder / "clamd.socket"
        self.definitions = self.folder / "definitions"
        self.process = None
        self.definitions.mkdir(parents=True)
        (self.definitions / "eicar.ndb").write_text(f"Eicar-Test-Signature:0:*:{EICAR.hex()}\n")

    def start(self):
        config = self.folder / "clamd.conf"
        config.write_text(
            f"LocalSocket {self.socket}\nDatabaseDirectory {self.definitions}\nForeground yes\nUser root\n"
            f"LogFile {self.folder / 'clamd.log'}\nTemporaryDirectory {self.folder}\nMaxThreads 12\n"
            f"StreamMaxLength {self.bytes_max}\nMaxFileSize {self.bytes_max}\nMaxScanSize {4 * self.bytes_max}\n"
        )
        out = open(self.folder / "clamd.out", "ab")
        self.process = subprocess.Popen(["clamd", "-c", str(config)], stdout=out, stderr=out)
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            assert self.process.poll() is None, (self.folder / "clamd.out").read_text()
            assert time.monotonic() < deadline, "clamd does not answer"
            time.sleep(0.05)
        return self

    def answers(self):
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(self.socket))
                connection.sendall(b"zPING\0")
                return connection.recv(16) == b"PONG\0"
        except OSError:
            return False

    def connections(self):
        """How many are connected to it now, as the kernel has it: those in state 3 of its socket."""
        lines = (line.split() for line in pathlib.Path("/proc/net/unix").read_text().splitlines()[1:])
        return sum(1 for line in lines if len(line) == 8 and line[7] == str(self.socket) and line[5] == "03")

    def wait_for_a_stream(self):
        """Until somebody hands it something to scan."""
        deadline = time.monotonic() + START_SECONDS
        while not self.connections():
            assert time.monotonic() < deadline, "nobody hands it anything"
            time.sleep(0.01)

    def kill(self):
        self.process.kill()
        self.process.wait(30)
        self.process = None

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait(30)
            self.process = None

    def config(self):
        """`[scanner]` of gateway.toml."""
        return (
            f'form = 1\n[scanner]\naddress = "{self.socket}"\ndefinitions = "{self.definitions}"\n'
            f"bytes_max = {self.bytes_max}\n"
        )
