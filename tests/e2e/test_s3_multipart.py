"""Uploads in parts through boto3: any order, any number, across a restart."""

import base64
import hashlib
import os
import zlib

import pytest
from conftest import failure

MIB = 1024 * 1024
PART = 5 * MIB


def begin(s3, bucket, key="a", **arguments):
    return s3.create_multipart_upload(Bucket=bucket, Key=key, **arguments)["UploadId"]


def upload(s3, bucket, upload_id, number, body, key="a", **arguments):
    done = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload_id, PartNumber=number, Body=body, **arguments)
    return {"PartNumber": number, "ETag": done["ETag"]}


def complete(s3, bucket, upload_id, parts, key="a", **arguments):
    parts = {"Parts": sorted(parts, key=lambda part: part["PartNumber"])}
    return s3.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload_id, MultipartUpload=parts, **arguments)


def multipart_etag(bodies):
    return '"%s-%d"' % (hashlib.md5(b"".join(hashlib.md5(body).digest() for body in bodies)).hexdigest(), len(bodies))


def test_parts_in_any_order_make_one_object(s3, bucket):
    bodies = {7: os.urandom(PART), 2: os.urandom(PART + 1), 10_000: os.urandom(100)}
    upload_id = begin(s3, bucket, ContentType="application/dicom", Metadata={"k": "v"}, Tagging="t=1")
    parts = [upload(s3, bucket, upload_id, number, body) for number, body in bodies.items()]
    assert failure(s3.get_object, Bucket=bucket, Key="a") == (404, "NoSuchKey")
    done = complete(s3, bucket, upload_id, parts)
    ordered = [bodies[number] for number in sorted(bodies)]
    assert done["ETag"] == multipart_etag(ordered)
    got = s3.get_object(Bucket=bucket, Key="a")
    assert got["Body"].read() == b"".join(ordered)
    assert (got["ContentType"], got["Metadata"], got["TagCount"]) == ("application/dicom", {"k": "v"}, 1)
    for place, body in enumerate(ordered, 1):
        part = s3.get_object(Bucket=bucket, Key="a", PartNumber=place)
        assert part["Body"].read() == body and part["PartsCount"] == 3
    assert complete(s3, bucket, upload_id, parts)["ETag"] == done["ETag"]
    assert failure(s3.list_parts, Bucket=bucket, Key="a", UploadId=upload_id) == (404, "NoSuchUpload")


def test_a_part_sent_again_replaces_the_first(s3, bucket):
    upload_id = begin(s3, bucket)
    old = upload(s3, bucket, upload_id, 1, b"old")
    new = upload(s3, bucket, upload_id, 1, b"new")
    with pytest.raises(s3.exceptions.ClientError, match="InvalidPart"):
        complete(s3, bucket, upload_id, [old])
    complete(s3, bucket, upload_id, [new])
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"new"


def test_what_cannot_be_completed_says_why(s3, bucket):
    upload_id = begin(s3, bucket)
    parts = [upload(s3, bucket, upload_id, number, b"small") for number in (1, 2)]

    def refused(parts):
        arguments = dict(Bucket=bucket, Key="a", UploadId=upload_id, MultipartUpload={"Parts": parts})
        return failure(s3.complete_multipart_upload, **arguments)

    assert refused(parts) == (400, "EntityTooSmall")
    assert refused(parts[::-1]) == (400, "InvalidPartOrder")
    assert refused([{"PartNumber": 3, "ETag": parts[0]["ETag"]}]) == (400, "InvalidPart")
    assert refused([]) == (400, "MalformedXML")
    body = dict(Bucket=bucket, Key="a", Body=b"x", UploadId=upload_id)
    assert failure(s3.upload_part, PartNumber=10_001, **body) == (400, "InvalidArgument")
    assert failure(s3.upload_part, PartNumber=0, **body) == (400, "InvalidArgument")
    assert failure(s3.upload_part, Bucket=bucket, Key="a", Body=b"", UploadId="junk", PartNumber=1)[1] == "NoSuchUpload"
    complete(s3, bucket, upload_id, parts[:1])


def test_uploads_and_parts_are_listed_in_pages_and_aborted(s3, bucket):
    ids = sorted((key, begin(s3, bucket, key)) for key in ["b", "a", "a", "c/1", "c/2"])
    page = s3.list_multipart_uploads(Bucket=bucket, MaxUploads=2)
    found = [(one["Key"], one["UploadId"]) for one in page["Uploads"]]
    assert page["IsTruncated"] and found == ids[:2]
    rest = s3.list_multipart_uploads(
        Bucket=bucket, KeyMarker=page["NextKeyMarker"], UploadIdMarker=page["NextUploadIdMarker"], Delimiter="/"
    )
    assert [one["Key"] for one in rest["Uploads"]] == ["b"]
    assert [one["Prefix"] for one in rest["CommonPrefixes"]] == ["c/"]
    key, upload_id = ids[0]
    for number in range(1, 6):
        upload(s3, bucket, upload_id, number, b"x" * number, key)
    page = s3.list_parts(Bucket=bucket, Key=key, UploadId=upload_id, MaxParts=2, PartNumberMarker=1)
    assert [(one["PartNumber"], one["Size"]) for one in page["Parts"]] == [(2, 2), (3, 3)]
    assert page["IsTruncated"] and page["NextPartNumberMarker"] == 3
    for key, upload_id in ids:
        s3.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload_id)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
    assert failure(s3.abort_multipart_upload, Bucket=bucket, Key=key, UploadId=upload_id) == (404, "NoSuchUpload")


def test_parts_are_copied_from_objects(s3, bucket):
    body = os.urandom(12 * MIB)
    s3.put_object(Bucket=bucket, Key="source", Body=body)
    source, upload_id = {"Bucket": bucket, "Key": "source"}, begin(s3, bucket)

    def copy(number, span):
        arguments = dict(Bucket=bucket, Key="a", UploadId=upload_id, PartNumber=number, CopySource=source)
        done = s3.upload_part_copy(CopySourceRange=span, **arguments)
        return {"PartNumber": number, "ETag": done["CopyPartResult"]["ETag"]}

    parts = [copy(1, f"bytes=1-{PART}"), copy(2, f"bytes={7 * MIB}-{12 * MIB - 1}")]
    complete(s3, bucket, upload_id, parts)
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == body[1 : PART + 1] + body[7 * MIB :]
    upload_id = begin(s3, bucket)
    with pytest.raises(s3.exceptions.ClientError, match="InvalidRange"):
        copy(1, f"bytes=0-{12 * MIB}")
    with pytest.raises(s3.exceptions.ClientError, match="InvalidArgument"):
        copy(1, "bytes=5")
    s3.abort_multipart_upload(Bucket=bucket, Key="a", UploadId=upload_id)


def test_checksums_of_parts_make_the_checksum_of_the_object(s3, bucket):
    bodies = [os.urandom(PART), os.urandom(77)]
    digests = [hashlib.sha256(body).digest() for body in bodies]
    upload_id = begin(s3, bucket, ChecksumAlgorithm="SHA256")
    parts = []
    for number, (body, digest) in enumerate(zip(bodies, digests), 1):
        value = base64.b64encode(digest).decode()
        parts.append(upload(s3, bucket, upload_id, number, body, ChecksumSHA256=value) | {"ChecksumSHA256": value})
    expected = base64.b64encode(hashlib.sha256(b"".join(digests)).digest()).decode() + "-2"
    done = complete(s3, bucket, upload_id, parts)
    assert (done["ChecksumSHA256"], done["ChecksumType"]) == (expected, "COMPOSITE")
    assert s3.head_object(Bucket=bucket, Key="a", ChecksumMode="ENABLED")["ChecksumSHA256"] == expected

    upload_id = begin(s3, bucket, ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
    parts = [upload(s3, bucket, upload_id, n, body, ChecksumAlgorithm="CRC32") for n, body in enumerate(bodies, 1)]
    expected = base64.b64encode(zlib.crc32(b"".join(bodies)).to_bytes(4, "big")).decode()
    with pytest.raises(s3.exceptions.ClientError, match="BadDigest"):
        complete(s3, bucket, upload_id, parts, ChecksumCRC32="AAAAAA==")
    done = complete(s3, bucket, upload_id, parts, ChecksumCRC32=expected)
    assert (done["ChecksumCRC32"], done["ChecksumType"]) == (expected, "FULL_OBJECT")


def test_a_condition_holds_for_a_completed_upload_too(s3, bucket):
    s3.put_object(Bucket=bucket, Key="a", Body=b"there")
    upload_id = begin(s3, bucket)
    part = upload(s3, bucket, upload_id, 1, b"x")
    with pytest.raises(s3.exceptions.ClientError, match="PreconditionFailed"):
        complete(s3, bucket, upload_id, [part], IfNoneMatch="*")
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"there"
    complete(s3, bucket, upload_id, [part])
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"x"


def test_an_upload_goes_on_after_the_process_was_killed(new_site):
    site = new_site()
    s3, first, second = site.client(), os.urandom(PART), os.urandom(1000)
    s3.create_bucket(Bucket="restart")
    upload_id = begin(s3, "restart")
    parts = [upload(s3, "restart", upload_id, 1, first)]
    site.kill()
    s3 = site.start().client()
    listed = s3.list_parts(Bucket="restart", Key="a", UploadId=upload_id)["Parts"]
    assert [(one["PartNumber"], one["Size"], one["ETag"]) for one in listed] == [(1, PART, parts[0]["ETag"])]
    parts.append(upload(s3, "restart", upload_id, 2, second))
    assert complete(s3, "restart", upload_id, parts)["ETag"] == multipart_etag([first, second])
    assert s3.get_object(Bucket="restart", Key="a")["Body"].read() == first + second


def test_an_upload_completed_twice_around_a_crash_is_one_version(new_site):
    site = new_site()
    s3 = site.client()
    s3.create_bucket(Bucket="once")
    s3.put_bucket_versioning(Bucket="once", VersioningConfiguration={"Status": "Enabled"})
    upload_id = s3.create_multipart_upload(Bucket="once", Key="a")["UploadId"]
    body = os.urandom(100_000)
    parts = [upload(s3, "once", upload_id, 1, body)]
    folder = site.folder / "hospital" / "multipart" / upload_id
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    first = complete(s3, "once", upload_id, parts)
    site.kill()
    # The process died after the deposit and before its own mark of it.
    (folder / "done").unlink()
    for name, content in before.items():
        (folder / name).write_bytes(content)
    s3 = site.start().client()
    again = s3.complete_multipart_upload(
        Bucket="once", Key="a", UploadId=upload_id, MultipartUpload={"Parts": parts}, IfNoneMatch="*"
    )
    assert (again["VersionId"], again["ETag"]) == (first["VersionId"], first["ETag"])
    assert len(s3.list_object_versions(Bucket="once")["Versions"]) == 1
    assert s3.get_object(Bucket="once", Key="a")["Body"].read() == body
