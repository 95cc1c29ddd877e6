"""Who may do what, and what requests that are not well signed or not well formed get."""

import datetime
import hashlib
import http.client
import socket
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from conftest import failure

ALLOWED = (200, None)


def outcome(call, **arguments):
    """The status and code of a call, or what success has."""
    from botocore.exceptions import ClientError

    try:
        call(**arguments)
        return ALLOWED
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]


def test_roles_allow_what_they_say_at_once(site, s3, bucket):
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    denied = (403, "AccessDenied")
    roles = {role: site.client(site.user("role-" + role, role)) for role in ("read", "write", "admin")}
    expected = {
        "read": (ALLOWED, denied, denied),
        "write": (ALLOWED, ALLOWED, denied),
        "admin": (ALLOWED, ALLOWED, ALLOWED),
    }
    for role, client in roles.items():
        found = (
            outcome(client.get_object, Bucket=bucket, Key="a"),
            outcome(client.put_object, Bucket=bucket, Key="a", Body=b"y"),
            outcome(client.put_bucket_versioning, Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}),
        )
        assert found == expected[role], role
    assert outcome(roles["read"].delete_object, Bucket=bucket, Key="a") == denied
    assert outcome(roles["write"].create_bucket, Bucket="not-for-write") == denied


def test_a_key_of_one_bucket_sees_no_other(site, s3, bucket):
    s3.create_bucket(Bucket="another-bucket")
    s3.put_object(Bucket="another-bucket", Key="a", Body=b"secret")
    only = site.client(site.user("only-one", "admin", bucket))
    denied = (403, "AccessDenied")
    assert outcome(only.put_object, Bucket=bucket, Key="a", Body=b"x") == ALLOWED
    assert outcome(only.get_object, Bucket="another-bucket", Key="a") == denied
    assert outcome(only.list_objects_v2, Bucket="another-bucket") == denied
    source = {"Bucket": "another-bucket", "Key": "a"}
    assert outcome(only.copy_object, Bucket=bucket, Key="b", CopySource=source) == denied
    assert [one["Name"] for one in only.list_buckets()["Buckets"]] == [bucket]
    s3.delete_object(Bucket="another-bucket", Key="a")
    s3.delete_bucket(Bucket="another-bucket")


def test_wrong_keys_are_told_apart(site, bucket):
    unknown = {"access_key_id": "SHSNNOBODYNOBODYNOBO", "secret_access_key": "x" * 40}
    assert failure(site.client(unknown).list_buckets) == (403, "InvalidAccessKeyId")
    wrong = {**site.info, "secret_access_key": "x" * 40}
    assert failure(site.client(wrong).list_buckets) == (403, "SignatureDoesNotMatch")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{site.info['s3_endpoint']}/{bucket}")
    assert caught.value.code == 403 and b"<Code>AccessDenied</Code>" in caught.value.read()


def signed(site, method, path, body=b"", headers=None, at=None):
    """A request signed by hand, so that it can then be spoilt."""
    headers = {"x-amz-content-sha256": hashlib.sha256(body).hexdigest(), **(headers or {})}
    request = AWSRequest(method=method, url=site.info["s3_endpoint"] + path, data=body, headers=headers)
    keys = Credentials(site.info["access_key_id"], site.info["secret_access_key"])
    signer = SigV4Auth(keys, "s3", site.info["region"])
    if at is None:
        signer.add_auth(request)
        return request.prepare()
    import botocore.auth

    real = botocore.auth.get_current_datetime
    botocore.auth.get_current_datetime = lambda *_, **__: at
    try:
        signer.add_auth(request)
    finally:
        botocore.auth.get_current_datetime = real
    return request.prepare()


def send(site, request, body=None):
    address = urlsplit(site.info["s3_endpoint"])
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
    headers = {name: value.decode() if isinstance(value, bytes) else value for name, value in request.headers.items()}
    url = urlsplit(request.url)
    connection.request(request.method, url.path + ("?" + url.query if url.query else ""), request.body if body is None else body, headers)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def code(answer):
    return answer[0], answer[1].split("<Code>")[1].split("</Code>")[0]


def test_a_clock_that_is_off_is_told_so(site, bucket):
    past = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1)
    assert code(send(site, signed(site, "GET", f"/{bucket}", at=past.replace(tzinfo=None)))) == (403, "RequestTimeTooSkewed")


def test_a_body_that_is_not_the_one_signed_is_not_stored(site, s3, bucket):
    request = signed(site, "PUT", f"/{bucket}/a", b"signed")
    assert code(send(site, request, b"forged")) == (400, "XAmzContentSHA256Mismatch")
    assert failure(s3.head_object, Bucket=bucket, Key="a")[0] == 404


def test_a_connection_lost_in_the_middle_stores_nothing(site, s3, bucket):
    request = signed(site, "PUT", f"/{bucket}/a", b"x" * 1000)
    address = urlsplit(site.info["s3_endpoint"])
    with socket.create_connection((address.hostname, address.port)) as wire:
        head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items() if name.lower() != "content-length")
        wire.sendall(f"PUT /{bucket}/a HTTP/1.1\r\nHost: {address.netloc}\r\n{head}Content-Length: 1000\r\n\r\n".encode() + b"x" * 500)
    assert failure(s3.head_object, Bucket=bucket, Key="a")[0] == 404


CHUNKED = {"x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "x-amz-trailer": "x-amz-checksum-crc32"}


@pytest.mark.parametrize(
    "body, length, expected",
    [
        (b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n", 5, None),
        (b"2\r\nhe\r\n3\r\nllo\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n", 5, None),
        (b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", 5, "BadDigest"),
        (b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n", 6, "IncompleteBody"),
        (b"zz\r\nhello\r\n0\r\n\r\n", 5, "InvalidRequest"),
        (b"5\r\nhelloXX0\r\n\r\n", 5, "InvalidRequest"),
        (b"9\r\nhello", 9, "IncompleteBody"),
    ],
)
def test_chunked_bodies_with_a_trailer_are_checked(site, s3, bucket, body, length, expected):
    request = signed(site, "PUT", f"/{bucket}/a", b"", {**CHUNKED, "x-amz-decoded-content-length": str(length)})
    request.headers["Content-Length"] = str(len(body))
    answer = send(site, request, body)
    if expected is None:
        assert answer[0] == 200
        assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"hello"
    else:
        assert code(answer) == (400, expected)
        assert failure(s3.head_object, Bucket=bucket, Key="a")[0] == 404


def test_malformed_xml_is_told_so(site, bucket):
    request = signed(site, "POST", f"/{bucket}?delete=", b"<Delete><Object>")
    assert code(send(site, request)) == (400, "MalformedXML")


def test_an_error_names_its_request(site, bucket):
    answer = send(site, signed(site, "GET", f"/{bucket}/none"))
    assert code(answer) == (404, "NoSuchKey") and "<RequestId>" in answer[1]


def test_operations_that_are_not_there_are_not_implemented(site, s3, bucket):
    assert failure(s3.put_bucket_logging, Bucket=bucket, BucketLoggingStatus={}) == (501, "NotImplemented")
    assert failure(s3.restore_object, Bucket=bucket, Key="a", RestoreRequest={"Days": 1}) == (501, "NotImplemented")
    form = signed(site, "POST", f"/{bucket}", b"", {"Content-Type": "multipart/form-data; boundary=x"})
    assert code(send(site, form)) == (501, "NotImplemented")
