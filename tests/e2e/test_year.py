"""docs/a-year.md, walked from top to bottom with the commands as they stand there: one hospital, three operators, twelve months.

The clock is set to each month, the three operators are three users of this machine, the six disks are six mounted file systems, and the
scanner is a real ClamAV. A command that is added to the page and not walked fails its month, and so does one that is wrong.
"""

import glob
import json
import os
import re
import shlex
import shutil
import subprocess
import time
from datetime import datetime

import pytest

from clamd import EICAR, Clamd, needs_clamd
from conftest import BINARY, ROOT, START_SECONDS, STOP_SECONDS, read_line

PAGE = (ROOT / "docs" / "a-year.md").read_text()
FAKETIME = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
# Users of this machine that every Debian has, all in one group of operators.
USERS = {"hanako": "bin", "taro": "sys", "keiko": "games", "mei": "man"}
GROUP = "daemon"
TRIES = 300
DISKS = "abcdefghijklm"

pytestmark = [
    needs_clamd,
    pytest.mark.skipif(os.geteuid() != 0, reason="several users and mounted disks need root"),
    pytest.mark.skipif(not FAKETIME, reason="faketime is not installed: apt-get install faketime"),
]


class Refused(Exception):
    """A command that did not do it, with what it said."""


class Year:
    """The hospital's folder, the vault's, and where the walk stands."""

    def __init__(self, folder):
        self.folder, self.vaults = folder, {}
        self.words, self.commands, self.last, self.date, self.ahead_s, self.url = {}, [], None, None, 0, None
        for name in DISKS:
            self.disk(name)

    def disk(self, name):
        place = self.folder / "mnt" / name
        place.mkdir(parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256m", "none", str(place)], check=True)

    def month(self, name, date):
        """Turns to the next section, and the clock to its date."""
        assert self.commands == [], "commands of the month before that nobody walked"
        found = re.search(rf"^## {name}: .*?$(.*?)(?=^## |\Z)", PAGE, re.M | re.S)
        assert found, f"docs/a-year.md has no {name}"
        blocks = re.findall(r"^```sh (\w+)\n(.*?)^```", found.group(1), re.M | re.S)
        self.commands = [(who, line) for who, block in blocks for line in block.splitlines()]
        self.date = date
        # one clock for all: a command that began later never sees an earlier time
        self.ahead_s = int(datetime.fromisoformat(f"{date}T09:00:00").timestamp() - time.time())
        served = list(self.vaults)
        for place in served:
            self.stop(place)
            self.serve(place)

    def command(self, who, words):
        user = USERS.get(who)
        before = ["setpriv", "--reuid", user, "--regid", GROUP, "--clear-groups", "--"] if user else []
        clock = [f"LD_PRELOAD={FAKETIME[0]}", f"FAKETIME=+{self.ahead_s}", "FAKETIME_DONT_FAKE_MONOTONIC=1"]
        if who == "station":
            before = ["unshare", "-n"]  # no connection to anything
        return [*before, "env", *clock, *words]

    def filled(self, line):
        """The words of a line, with real places, and what commands before have printed."""
        program, *words = [str(self.words.get(word, word)) for word in shlex.split(line.split("    #")[0])]
        return [f"{BINARY}{program.removeprefix('shosoin')}"] + [f"{self.folder}{word}" if word.startswith(("/srv", "/mnt")) else word for word in words]

    def next(self, begins):
        """Runs the next command of the page, which must begin so; gives its answer."""
        self.last = self.commands.pop(0)
        assert self.last[1].startswith(("shosoin-reader", f"shosoin {begins}")), f"the page says: {self.last[1]}"
        return self.again()

    def again(self):
        """Runs the last command, perhaps once more."""
        who, line = self.last
        done = subprocess.run(
            self.command(who, [*self.filled(line), "--json"]),
            cwd=self.folder / "work", capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        self.hand_on()
        for remark, code in (("# refused", 4), ("# not found", 3)):
            if remark in line:
                assert done.returncode == code, f"{line}\n{done.stdout}{done.stderr}"
                return done.stderr
        assert done.returncode == 0, f"{who}: {line}\n{done.stdout}{done.stderr}"
        answers = [json.loads(answer) for answer in done.stdout.splitlines() if answer.startswith("{")]
        return answers[0] if len(answers) == 1 else answers

    def hand_on(self):
        """What one party made is there for the others: the road of files between machines is not what this page is about."""
        for path in (self.folder / "work").iterdir():
            path.chmod(path.stat().st_mode | (0o044 if path.is_file() else 0))

    def next_serve(self):
        """The next command, which goes on serving."""
        _, line = self.commands.pop(0)
        assert line.startswith("shosoin vault serve"), line
        return self.serve(self.filled(line)[-1])

    def serve(self, place):
        log = open(self.folder / "vault.log", "ab")
        command = self.command("service", [BINARY, "vault", "serve", "--dir", place, "--listen", "127.0.0.1:0", "--json"])
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
        line = read_line(process, START_SECONDS)
        assert line, (self.folder / "vault.log").read_text()
        self.vaults[place] = process
        ready = json.loads(line)
        self.url = ready["url"] if place.endswith("/vault") else self.url
        gateway = self.folder / "work" / "hospital" / "gateway.toml"
        text = gateway.read_text() if gateway.is_file() else ""
        if ready["pin"] in text:  # the hospital's vault, on another port than before
            gateway.write_text(re.sub(r"https://127\.0\.0\.1:\d+", ready["url"], text))
        return ready

    def stop(self, place):
        process = self.vaults.pop(place)
        process.terminate()
        assert process.wait(STOP_SECONDS) == 0
        process.stdout.close()

    def same(self, one, other):
        work = self.folder / "work"
        return (work / one).read_bytes() == (work / other).read_bytes()

    def end(self):
        for process in self.vaults.values():
            process.terminate()
            process.wait(STOP_SECONDS)
        for place in sorted((self.folder / "mnt").iterdir()):
            subprocess.run(["umount", "--lazy", str(place)], check=False)


@pytest.fixture(scope="module")
def clamd(tmp_path_factory):
    running = Clamd(tmp_path_factory.mktemp("clamd") / "d").start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def year(tmp_path_factory):
    folder = tmp_path_factory.mktemp("year")
    (folder / "work").mkdir()
    (folder / "srv").mkdir()
    running = Year(folder)
    yield running
    running.end()


def open_to_operators(year):
    """The way to the socket, and a work folder that all share: what an operator's machine has, and this one must be given."""
    vault = year.folder / "srv" / "vault"
    for folder in (vault, *list(year.folder.parents)[:3], year.folder, year.folder / "srv"):
        folder.chmod(folder.stat().st_mode | 0o055)
    (year.folder / "work").chmod(0o777)
    config = vault / "vault.toml"
    (year.folder / "srv" / "host-id").write_text("4c0f\n")  # where this runs there may be no /etc/machine-id
    settings = f'[accounts]\nsocket_group = "{GROUP}"\n\n[machines]\nhost_id = "{year.folder}/srv/host-id"\n\n[[volume]]'
    config.write_text(config.read_text().replace("[[volume]]", settings, 1))


def test_april_enrol_and_agree(year, clamd):
    year.month("April", "2027-04-01")
    made = year.next("vault init")
    assert made["demo"] is False
    open_to_operators(year)
    year.words |= {"VAULT_URL": year.next_serve()["url"], "VAULT_PIN": made["pin"], **USERS}
    for name in ("passphrase", "manager-passphrase", "hanako-passphrase", "keiko-passphrase"):
        (year.folder / "work" / name).write_text(f"{name} of their own")
    year.next("account add")
    year.next("account add")
    year.next("account add")
    for name in ("KEIKO", "HANAKO"):
        year.next("approver key")
        year.words[f"{name}_KEY"] = year.next("approver show")["key"]
    year.next("account key")
    year.next("account key")
    assert "keiko.mori" in json.dumps(year.next("account whoami"))
    year.next("machine add")
    year.next("machine check")
    assert year.next("machine set-state")["machine"]["may_connect"] is True
    keys = year.next("keyring init")
    year.words |= {"FINGERPRINT": keys["fingerprint"], "HOSPITAL": keys["hospital"]}
    year.next("escrow split")
    assert year.next("escrow drill")["counts"] is True
    shutil.copy(year.folder / "work" / "hospital" / "enrolment", year.folder / "work" / "enrolment")
    year.hand_on()
    year.next("hospital enrol")
    year.next("agreement draft")
    terms = year.folder / "work" / "terms.toml"
    terms.write_text(terms.read_text().replace('routes = ["network"]', 'routes = ["network", "media"]'))
    year.next("agreement sign")
    signed = year.next("agreement sign")
    assert signed["leaf_index"] is not None
    gateway = year.folder / "work" / "hospital" / "gateway.toml"
    scanner = clamd.config().replace("form = 1\n", "")
    gateway.write_text(gateway.read_text() + "\n" + scanner)


def test_may_deposits_and_a_file_with_malware(year, clamd):
    year.month("May", "2027-05-10")
    this_morning = datetime.fromisoformat(f"{year.date}T08:00:00").timestamp()
    os.utime(clamd.definitions / "eicar.ndb", (this_morning, this_morning))
    work = year.folder / "work"
    charts = {"chart": 3_000_000, "old-chart": 700_000, "older-chart": 900_000}
    for name, size in charts.items():
        (work / name).write_bytes(os.urandom(size))
    (work / "infected").write_bytes(os.urandom(1000) + EICAR)
    assert year.next("gateway scanner")["finds_test_string"] is True
    year.next("bucket create")
    for _ in charts:
        year.next("put")
    assert "Eicar" in year.next("put")
    year.next("verify")
    listed = year.next("assets list")
    assert listed, "every deposit is in the asset ledger"


def test_june_a_courier_brings_a_disc(year, clamd):
    year.month("June", "2027-06-14")
    this_morning = datetime.fromisoformat(f"{year.date}T08:00:00").timestamp()
    os.utime(clamd.definitions / "eicar.ndb", (this_morning, this_morning))
    work = year.folder / "work"
    (work / "scans-1990-1999.zip").write_bytes(os.urandom(5_000_000))
    (work / "disc").mkdir()
    year.words |= {"SCANNER": clamd.socket, "DEFINITIONS": clamd.definitions, "BYTES_MAX": clamd.bytes_max}
    station = year.next("intake media station")["station"]
    config = year.folder / "srv" / "vault" / "vault.toml"
    config.write_text(config.read_text().replace("[intake]\n", f'[intake]\nstations = ["{station}"]\n', 1))
    place = str(config.parent)
    year.stop(place)
    year.serve(place)
    year.next("machine add")
    year.next("machine check")
    assert year.next("machine set-state")["machine"]["may_connect"] is True
    packed = year.next("pack")
    year.words["SHIPMENT"] = packed["shipment"]
    year.next("intake media announce")
    year.next("intake media receive")
    found = year.next("intake media check")
    assert (found["verdict"], found["connected"]) == ("clean", False)
    taken = year.next("intake media take")
    assert (taken["deposits"], taken["refused"]) == (1, [])
    assert [path.stem for path in (work / "receipts").iterdir()] == packed["versions"]
    year.next("intake media dispose")
    year.next("get")
    assert year.same("from-the-disc.zip", "scans-1990-1999.zip")


def test_july_a_disk_fails(year):
    dead = year.folder / "mnt" / "c"
    subprocess.run(["umount", "--lazy", str(dead)], check=True)
    dead.rmdir()
    year.month("July", "2027-07-03")
    year.next("vault status")
    year.words["VOLUME"] = str(dead)
    year.next("volume set-state")
    year.next("volume add")
    year.next("repair")
    year.next("scrub")
    year.next("check")
    assert year.next("verify")["failed"] == 0


def test_august_a_patient_asks_for_what_is_held(year):
    year.month("August", "2027-08-20")
    assert "0001/2027-05.pdf" in json.dumps(year.next("ls"))
    year.next("get")
    assert year.same("for-the-patient.pdf", "chart")
    reads = year.next("audit show")["records"]
    assert reads and "0001" not in json.dumps(reads), "reads are on record, and no name is"
    year.next("audit verify")


def test_september_a_hold(year):
    year.month("September", "2027-09-02")
    year.words["HOLD"] = year.next("hold set")["acts"][0]["id"]
    assert "litigation" in json.dumps(year.next("hold list"))


def test_october_what_is_due_is_ordered_to_end(year):
    year.month("October", "2027-10-04")
    year.next("approver key")
    year.next("retention start")
    year.next("retention start")
    due = json.dumps(year.next("retention due"))
    assert "0002/1998.pdf" in due and "0001" not in due
    ordered = year.next("dispose request")
    assert ordered["deposits"] == 1, "neither what is on hold nor what is not due"
    year.words["ORDER"] = ordered["order"]
    year.next("dispose approve")
    assert "fewer than 2 approvals" in year.next("dispose run")
    year.next("dispose status")
    year.next("dispose approve")


def test_november_it_ends(year):
    year.month("November", "2027-11-08")
    assert year.next("dispose run")["allowed"] is True
    assert year.next("dispose run")["entries"] == 1
    issued = year.next("dispose certificate")
    assert (issued["pending"], issued["complete"]) == (0, False), "the disk that died may still have its copy: it is named"
    verified = year.next("dispose verify")
    assert (verified["hospital_key_checked"], verified["entries"]) == (True, 1)
    names = json.dumps(year.next("ls"))
    assert "0002/1998.pdf" not in names and "0003/1999.pdf" in names
    assert "no such object" in year.next("get")
    year.next("get")
    assert year.same("held.pdf", "older-chart")
    read = year.next("shosoin-reader")
    assert (read["written"], read["failed"], read["findings"], read["ledger_proved"]) == (3, 0, 0, True)
    assert year.same("plain/files/charts/0003/1999.pdf", "older-chart")


def test_december_somebody_is_suspected(year):
    year.month("December", "2027-12-06")
    reach = year.next("account suspend")["reach"]
    assert "dispose run" in reach["could"] and reach["did"]
    year.next("incident state")
    review = year.next("account review")
    for _ in range(TRIES):
        if review["complete"]:
            break
        review = year.again()  # what it started has not ended
    assert review["complete"] is True, review
    assert "suspended" in year.next("volume list")
    year.words["MEI_REQUEST"] = year.next("account add")["request"]
    year.next("account approve")


def test_january_the_report_and_the_account_of_everything(year):
    year.month("January", "2028-01-07")
    year.next("report make")
    year.next("reconcile sign")
    year.next("machine check")
    year.next("machine check")
    states = {line["id"]: line["state"] for line in year.next("applicability")["controls"]}
    for control in ("7.6.14-ID-M1", "7.5.3-M13", "7.7-M3", "8.2-R6", "8.2-R4"):
        assert states[control] == "met", (control, states[control])
    year.next("reconcile verify")
    assert year.next("audit-vault")["holds"] is True


def test_march_the_hospital_leaves(year):
    year.month("March", "2028-03-01")
    year.words["NEXT_PIN"] = year.next("vault init")["pin"]
    year.words["NEXT_URL"] = year.next_serve()["url"]
    status = year.next("vault status")
    year.words |= {"NEXT": status["vault"], "NEXT_FINGERPRINT": status["keys"][0]["fingerprint"]}
    year.next("handover order")
    exported = year.next("handover export")
    year.words["PACKAGE_FINGERPRINT"] = exported["fingerprint"]
    year.next("handover verify")
    year.next("handover import")
    year.next("handover confirm")
    assert year.next("verify")["failed"] == 0
    status = year.next("handover status")
    year.words |= {"CONFIRMATION": status["confirmed"]["act"], "VAULT_URL": year.url}
    year.next("hold release")
    year.words["ORDER"] = year.next("dispose request")["order"]
    year.next("dispose approve")
    year.next("dispose approve")


def test_afterwards_the_former_provider_has_nothing_left(year):
    year.month("Afterwards", "2028-04-10")
    done = year.next("dispose run")
    assert done["entries"] > 0, done
    issued = year.next("dispose certificate")
    assert issued["pending"] == 0, (done, issued)
    year.next("dispose verify")
    held = json.dumps(year.next("hold list"))
    assert "litigation" in held, held
    year.next("get")
    assert year.same("moved.pdf", "older-chart")
    assert year.commands == []
