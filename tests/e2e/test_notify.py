"""People are told at once: a real mail server (aiosmtpd, in clear and with STARTTLS and a password) and a real web server.

What leaves the house is kinds and numbers; what was not taken is told again, after a restart and after a kill.
"""

import contextlib
import datetime
import email
import email.header
import hashlib
import hmac
import http.server
import ipaddress
import json
import socket
import ssl
import subprocess
import threading
import time

import pytest

from conftest import BINARY

pytest.importorskip("aiosmtpd", reason="no aiosmtpd: mail is not tried")

from aiosmtpd.controller import Controller  # noqa: E402
from aiosmtpd.smtp import AuthResult, LoginPassword  # noqa: E402
from cryptography import x509  # noqa: E402
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402

SECRET = b"a shared secret"
REASON = "dropped by Sato Hanako, patient 4711"
WAIT_SECONDS = 60


def wait_for(what, found):
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end:
        got = found()
        if got:
            return got
        time.sleep(0.2)
    raise AssertionError(f"{what} did not happen in time")


class Web:
    """A web server that keeps what is posted to it, on a port that it finds again."""

    def __init__(self):
        self.port, self.posts = 0, []

    def start(self):
        posts = self.posts

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                posts.append((self.headers, body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def alarms(self):
        return [notice["alarm"] for _, body in self.posts for notice in json.loads(body)["notices"]]


class Mails:
    def __init__(self):
        self.taken = []

    async def handle_DATA(self, server, session, envelope):
        self.taken.append((session.ssl is not None, session.authenticated, envelope.rcpt_tos, envelope.content))
        return "250 taken"


def text_of(content):
    message = email.message_from_bytes(content)
    subject = str(email.header.make_header(email.header.decode_header(message["subject"])))
    return subject + "\n" + message.get_payload(decode=True).decode()


def certificate(folder):
    """A certificate of this machine, in files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail")])
    now = datetime.datetime.now(datetime.timezone.utc)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(7).not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=9))
    made = made.add_extension(names, False).sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    (folder / "mail.pem").write_bytes(made.public_bytes(pem))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "mail.key").write_bytes(private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "mail.pem", folder / "mail.key")
    return context


@contextlib.contextmanager
def mail_server(handler, **options):
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    controller = Controller(handler, hostname="127.0.0.1", port=port, **options)
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


def configure(site, text):
    path = site.folder / "vault" / "vault.toml"
    settings = path.read_text()
    at = settings.find("[[volume]]")
    path.write_text(settings[:at] + text + "\n" + settings[at:])


def audit(site, *more):
    return site.run("audit", "show", "--dir", str(site.folder / "vault"), *more, "--json")["records"]


def lose_a_volume(site, number):
    volumes = site.run("volume", "list", "--dir", str(site.folder / "vault"), "--json")["volumes"]
    volume = volumes[number]["label"]["id"]
    vault = str(site.folder / "vault")
    site.run("volume", "set-state", "--dir", vault, volume, "suspect", "--reason", REASON, "--json")
    return volume


def test_what_is_wrong_is_told_at_once_by_mail_and_web_in_kinds_and_numbers_3_4_r8_r9(new_site, tmp_path):
    web, mails, sealed = Web().start(), Mails(), Mails()
    site = new_site()
    site.stop()
    (site.folder / "vault" / "desk.secret").write_bytes(SECRET + b"\n")
    (site.folder / "vault" / "mail.password").write_text("l3tters\n")
    context = certificate(tmp_path)

    def judge(server, session, envelope, mechanism, data):
        good = isinstance(data, LoginPassword) and (data.login, data.password) == (b"vault", b"l3tters")
        return AuthResult(success=good)

    with (
        mail_server(mails) as clear_port,
        mail_server(sealed, tls_context=context, require_starttls=True, authenticator=judge, auth_required=True) as sealed_port,
    ):
        configure(
            site,
            f"""
[[notify]]
name = "desk"
url = "http://127.0.0.1:{web.port}/hook"
secret_file = "desk.secret"
retry_seconds = 1
tries = 100

[[notify]]
name = "night"
smtp = "127.0.0.1:{clear_port}"
tls = "none"
from = "vault@keeper.example"
to = ["desk@keeper.example"]
retry_seconds = 1

[[notify]]
name = "sealed"
smtp = "localhost:{sealed_port}"
from = "vault@keeper.example"
to = ["night@keeper.example"]
user = "vault"
password_file = "mail.password"
authority = "{tmp_path}/mail.pem"
alarms = ["volume"]
retry_seconds = 1
""",
        )
        site.start()
        volume = lose_a_volume(site, 0)
        wait_for("the webhook", lambda: "volume" in web.alarms())
        wait_for("the mail", lambda: mails.taken)
        wait_for("the sealed mail", lambda: sealed.taken)
        for headers, body in web.posts:
            expected = "sha256=" + hmac.new(SECRET, body, hashlib.sha256).hexdigest()
            assert headers["X-Shosoin-Signature"] == expected
        is_sealed, is_known, to, content = sealed.taken[0]
        assert is_sealed and is_known and to == ["night@keeper.example"]
        assert "volume" in text_of(content) and "記録" in text_of(content)
        record = next(record for record in audit(site, "--action", "volume-state") if record["reason"] == REASON)
        told = json.loads(web.posts[-1][1])["notices"]
        assert any(notice["record"] == record["seq"] for _, body in web.posts for notice in json.loads(body)["notices"]), told
        everything = b"".join(body for _, body in web.posts) + b"".join(mail[3] for mail in mails.taken + sealed.taken)
        words = everything.decode() + "".join(text_of(mail[3]) for mail in mails.taken)
        for word in ["Sato", "4711", volume, str(site.folder), "dropped"]:
            assert word not in words, f"{word} left the house"

        # the desk does not answer, and the vault is killed meanwhile: nothing is forgotten
        web.stop()
        before = len(web.posts)
        lose_a_volume(site, 1)
        vault = str(site.folder / "vault")
        status = lambda: site.run("notify", "status", "--dir", vault, "--json")["channels"]  # noqa: E731
        wait_for("a failed try", lambda: next(c for c in status() if c["name"] == "desk")["standing"]["tries"] > 0)
        site.kill()
        web.start()
        site.start()
        wait_for("the message after the kill", lambda: len(web.posts) > before and "volume" in web.alarms()[before:])
        wait_for("the end that was none", lambda: "log" in web.alarms())
        site.run("notify", "try", "--dir", vault, "--json")
        wait_for("the trial", lambda: "trial" in web.alarms())
        sent = audit(site, "--action", "notice-sent")
        assert {record["detail"]["place"] for record in sent} == {"desk", "night", "sealed"}
        assert site.stop() == 0
    web.stop()


def test_what_nobody_takes_is_given_up_on_record_and_told_by_the_others(new_site):
    web = Web().start()
    site = new_site()
    site.stop()
    configure(
        site,
        f"""
[[notify]]
name = "dead"
url = "http://127.0.0.1:9/hook"
retry_seconds = 1
tries = 2

[[notify]]
name = "desk"
url = "http://127.0.0.1:{web.port}/hook"
""",
    )
    site.start()
    lose_a_volume(site, 0)
    wait_for("the other channel", lambda: "undelivered" in web.alarms())
    failed = audit(site, "--action", "notice-failed")
    assert failed and all(record["detail"]["place"] == "dead" and record["outcome"] == "failed" for record in failed)
    assert site.stop() == 0
    web.stop()


def test_an_incident_is_told_at_once_with_its_scene_preserved_4_3_r1_r5(new_site, tmp_path):
    web = Web().start()
    site = new_site()
    site.stop()
    configure(site, f'\n[[notify]]\nname = "desk"\nurl = "http://127.0.0.1:{web.port}/hook"\n')
    site.start()
    vault, evidence = str(site.folder / "vault"), tmp_path / "auth log.txt"
    evidence.write_text("somebody was here\n")
    options = ["--class", "access", "--severity", "grave", "--scene", str(evidence)]
    stated = site.run("incident", "state", "--dir", vault, *options, "--json")
    assert len(stated["stated"]) == 1
    wait_for("the alarm", lambda: "incident" in web.alarms())
    listed = lambda: site.run("incident", "list", "--dir", vault, "--json")["incidents"]  # noqa: E731
    (one,) = listed()
    assert (one["class"], one["severity"], one["scene"]) == ("access", "grave", stated["scene"])
    assert one["scene_state"] == "as it was"
    scene = site.folder / "vault" / "incidents" / stated["incident"]
    manifest = json.loads((scene / "manifest.json").read_text())
    names = [kept["name"] for kept in manifest["files"]]
    assert "audit/000001.log" in names and "status.json" in names and "given/00-auth_log.txt" in names
    (scene / "given" / "00-auth_log.txt").write_text("nobody was here\n")
    assert listed()[0]["scene_state"] == "changed"
    (scene / "manifest.json").unlink()
    assert listed()[0]["scene_state"] == "missing"
    wrong = subprocess.run(
        [BINARY, "incident", "state", "--dir", vault, "--class", "boredom", "--severity", "grave"], capture_output=True, text=True
    )
    assert wrong.returncode != 0 and "it is one of loss, medium-lost" in wrong.stderr
    assert site.stop() == 0
    web.stop()
