"""The process around the gateway: a quiet end, and what it leaves for the next start."""

import hashlib
import os
import signal
import socket
import threading
from urllib.parse import urlsplit

from conftest import empty
from test_s3_access import code, outcome, send, signed


def test_a_request_under_way_ends_before_the_process_does(new_site):
    site = new_site()
    s3 = site.client()
    s3.create_bucket(Bucket="drain")
    body = os.urandom(3_000_000)
    request = signed(site, "PUT", "/drain/a", body)
    address = urlsplit(site.info["s3_endpoint"])
    head = "".join(
        f"{name}: {value if isinstance(value, str) else value.decode()}\r\n"
        for name, value in request.headers.items()
        if name.lower() != "content-length"
    )
    head = f"PUT /drain/a HTTP/1.1\r\nHost: {address.netloc}\r\n{head}Content-Length: {len(body)}\r\n"
    with socket.create_connection((address.hostname, address.port), timeout=60) as wire:
        # The gateway asks for the body when it has begun to take it: from then on the request is under way.
        wire.sendall((head + "Expect: 100-continue\r\n\r\n").encode())
        assert wire.recv(100).startswith(b"HTTP/1.1 100")
        wire.sendall(body[: len(body) // 2])
        site.process.send_signal(signal.SIGTERM)
        wire.sendall(body[len(body) // 2 :])
        answer = wire.recv(65536)
    assert answer.startswith(b"HTTP/1.1 200"), answer
    assert site.stop() == 0
    got = site.start().client().get_object(Bucket="drain", Key="a")["Body"].read()
    assert hashlib.sha256(got).digest() == hashlib.sha256(body).digest()


def test_what_was_acknowledged_is_there_after_sigkill(new_site):
    site = new_site()
    s3 = site.client()
    s3.create_bucket(Bucket="kill")
    kept, stop = {}, threading.Event()

    def upload(worker):
        client, number = site.client(), 0
        while not stop.is_set():
            key, body = f"{worker}/{number}", os.urandom(20_000)
            try:
                client.put_object(Bucket="kill", Key=key, Body=body)
            except Exception:
                return
            kept[key] = body
            number += 1

    workers = [threading.Thread(target=upload, args=(worker,)) for worker in range(4)]
    for worker in workers:
        worker.start()
    while len(kept) < 40:
        workers[0].join(0.01)
    site.kill()
    stop.set()
    for worker in workers:
        worker.join()
    s3 = site.start().client()
    for key, body in kept.items():
        assert s3.get_object(Bucket="kill", Key=key)["Body"].read() == body
    empty(s3, "kill")
    s3.delete_bucket(Bucket="kill")


def test_keys_last_over_a_restart_and_end_when_they_are_removed(new_site):
    site = new_site()
    key = site.user("pacs", "write")
    admin = site.info["access_key_id"]
    assert outcome(site.client(key).list_buckets) == (200, None)
    assert site.stop() == 0
    site.start()
    assert site.info["access_key_id"] == admin
    assert outcome(site.client(key).list_buckets) == (200, None)
    site.run("gateway", "user", "remove", "--dir", str(site.folder / "hospital"), "--name", "pacs")
    assert outcome(site.client(key).list_buckets) == (403, "InvalidAccessKeyId")


def test_an_empty_body_that_is_expected_in_vain_ends_its_connection(site, bucket):
    request = signed(site, "PUT", f"/{bucket}/empty", headers={"Expect": "100-continue", "Content-Length": "0"})
    address = urlsplit(site.info["s3_endpoint"])
    head = "".join(f"{name}: {value if isinstance(value, str) else value.decode()}\r\n" for name, value in request.headers.items())
    with socket.create_connection((address.hostname, address.port), timeout=60) as wire:
        wire.sendall(f"PUT /{bucket}/empty HTTP/1.1\r\nHost: {address.netloc}\r\n{head}\r\n".encode())
        answer = b""
        while part := wire.recv(65536):
            answer += part
    assert answer.startswith(b"HTTP/1.1 200") and b"connection: close" in answer.lower(), answer


def test_only_a_signed_request_is_answered(site):
    request = signed(site, "GET", "/")
    del request.headers["Authorization"]
    assert code(send(site, request)) == (403, "AccessDenied")
    request.headers["Authorization"] = f"AWS {site.info['access_key_id']}:AAAAAAAAAAAAAAAAAAAAAAAAAAA="
    assert send(site, request)[0] in (400, 403)
