"""Objects through boto3: what is put comes back, by whatever way it was put."""

import base64
import datetime
import hashlib
import os
import urllib.request
import zlib

import pytest
from conftest import failure

SIZES = [0, 1, 1000, 65_535, 65_536, 4 * 1024 * 1024, 4 * 1024 * 1024 + 1, 9_999_999]


@pytest.mark.parametrize("size", SIZES)
def test_what_is_put_comes_back_exact(s3, bucket, size):
    body = os.urandom(size)
    put = s3.put_object(Bucket=bucket, Key="a", Body=body)
    assert put["ETag"] == '"%s"' % hashlib.md5(body).hexdigest()
    got = s3.get_object(Bucket=bucket, Key="a")
    assert got["Body"].read() == body
    assert got["ContentLength"] == size
    assert s3.head_object(Bucket=bucket, Key="a")["ETag"] == put["ETag"]


@pytest.mark.parametrize("name", ["a b+c%20d", "患者/画像 001.dcm", "/lead", "a//b", "a/../b", "~!@$^&*()_=[]{}|;:',<>?", "x" * 1024])
def test_names_are_kept_letter_by_letter(s3, bucket, name):
    s3.put_object(Bucket=bucket, Key=name, Body=b"x")
    assert s3.get_object(Bucket=bucket, Key=name)["Body"].read() == b"x"
    assert [one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [name]


def test_a_name_over_1024_bytes_is_refused(s3, bucket):
    assert failure(s3.put_object, Bucket=bucket, Key="x" * 1025, Body=b"") == (400, "KeyTooLongError")


def test_headers_and_metadata_come_back(s3, bucket):
    expires = datetime.datetime(2031, 2, 3, 4, 5, 6, tzinfo=datetime.timezone.utc)
    sent = dict(
        CacheControl="no-store",
        ContentDisposition='attachment; filename="a.dcm"',
        ContentEncoding="gzip",
        ContentLanguage="ja",
        ContentType="application/dicom",
        WebsiteRedirectLocation="/elsewhere",
    )
    s3.put_object(Bucket=bucket, Key="a", Body=b"x", Expires=expires, Metadata={"modality": "CT", "ward": "3"}, **sent)
    for got in (s3.head_object(Bucket=bucket, Key="a"), s3.get_object(Bucket=bucket, Key="a")):
        assert {name: got[name] for name in sent} == sent
        assert got["Metadata"] == {"modality": "CT", "ward": "3"}
        assert got["ExpiresString"] == "Mon, 03 Feb 2031 04:05:06 GMT"
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    assert s3.head_object(Bucket=bucket, Key="a")["Metadata"] == {}
    assert s3.head_object(Bucket=bucket, Key="a")["ContentType"] == "binary/octet-stream"


def test_metadata_over_two_kib_is_refused(s3, bucket):
    assert failure(s3.put_object, Bucket=bucket, Key="a", Body=b"", Metadata={"m": "v" * 2048}) == (400, "MetadataTooLarge")


def test_ranges_give_their_bytes_and_say_so(s3, bucket):
    body = bytes(range(256)) * 50_000
    s3.put_object(Bucket=bucket, Key="a", Body=body)
    for asked, expected in [
        ("bytes=0-0", body[:1]),
        ("bytes=4194300-4194310", body[4194300:4194311]),
        ("bytes=12799990-", body[12799990:]),
        ("bytes=-7", body[-7:]),
        ("bytes=5-99999999999", body[5:]),
    ]:
        got = s3.get_object(Bucket=bucket, Key="a", Range=asked)
        assert got["Body"].read() == expected
        assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
        start = len(body) - 7 if asked == "bytes=-7" else int(asked[6:].split("-")[0])
        assert got["ContentRange"] == f"bytes {start}-{start + len(expected) - 1}/{len(body)}"
    assert failure(s3.get_object, Bucket=bucket, Key="a", Range="bytes=12800000-") == (416, "InvalidRange")


def test_conditional_reads(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="a", Body=b"x")["ETag"]
    at = s3.head_object(Bucket=bucket, Key="a")["LastModified"]
    hour = datetime.timedelta(hours=1)
    read = dict(Bucket=bucket, Key="a")
    assert s3.get_object(IfMatch=etag, **read)["ETag"] == etag
    assert s3.get_object(IfMatch=etag, IfUnmodifiedSince=at - hour, **read)["ETag"] == etag
    assert s3.get_object(IfModifiedSince=at - hour, **read)["ETag"] == etag
    for call in (s3.get_object, s3.head_object):
        assert failure(call, IfMatch='"no"', **read)[0] == 412
        assert failure(call, IfUnmodifiedSince=at - hour, **read)[0] == 412
        assert failure(call, IfNoneMatch=etag, **read)[0] == 304
        assert failure(call, IfModifiedSince=at, **read)[0] == 304
        assert failure(call, IfMatch='"no"', IfNoneMatch=etag, **read)[0] == 412


def test_conditional_writes(s3, bucket):
    write = dict(Bucket=bucket, Key="a")
    etag = s3.put_object(Body=b"1", IfNoneMatch="*", **write)["ETag"]
    assert failure(s3.put_object, Body=b"2", IfNoneMatch="*", **write) == (412, "PreconditionFailed")
    assert failure(s3.put_object, Body=b"2", IfMatch='"no"', **write) == (412, "PreconditionFailed")
    s3.put_object(Body=b"2", IfMatch=etag, **write)
    assert failure(s3.put_object, Body=b"3", IfMatch=etag, **write) == (412, "PreconditionFailed")
    assert s3.get_object(**write)["Body"].read() == b"2"
    assert failure(s3.put_object, Bucket=bucket, Key="none", Body=b"", IfMatch="*") == (404, "NoSuchKey")


def test_of_many_who_create_a_name_one_succeeds(site, bucket):
    from concurrent.futures import ThreadPoolExecutor

    client = site.client(max_pool_connections=16)

    def create(number):
        try:
            client.put_object(Bucket=bucket, Key="one", Body=str(number).encode(), IfNoneMatch="*")
            return str(number).encode()
        except client.exceptions.ClientError as error:
            assert error.response["Error"]["Code"] in ("PreconditionFailed", "ConditionalRequestConflict")
            return None

    with ThreadPoolExecutor(16) as pool:
        won = [body for body in pool.map(create, range(16)) if body is not None]
    assert len(won) == 1
    assert client.get_object(Bucket=bucket, Key="one")["Body"].read() == won[0]


CHECKSUMS = {
    "CRC32": lambda body: base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode(),
    "SHA1": lambda body: base64.b64encode(hashlib.sha1(body).digest()).decode(),
    "SHA256": lambda body: base64.b64encode(hashlib.sha256(body).digest()).decode(),
}


@pytest.mark.parametrize("algorithm", CHECKSUMS)
def test_checksums_are_verified_kept_and_given_back(s3, bucket, algorithm):
    body, field = os.urandom(100_000), "Checksum" + algorithm
    value = CHECKSUMS[algorithm](body)
    put = s3.put_object(Bucket=bucket, Key="a", Body=body, **{field: value})
    assert put[field] == value and put["ChecksumType"] == "FULL_OBJECT"
    assert field not in s3.head_object(Bucket=bucket, Key="a")
    assert s3.head_object(Bucket=bucket, Key="a", ChecksumMode="ENABLED")[field] == value
    assert s3.get_object(Bucket=bucket, Key="a", ChecksumMode="ENABLED")[field] == value
    wrong = CHECKSUMS[algorithm](b"other")
    assert failure(s3.put_object, Bucket=bucket, Key="a", Body=b"new", **{field: wrong}) == (400, "BadDigest")
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == body


def test_content_md5_is_verified(s3, bucket):
    good = base64.b64encode(hashlib.md5(b"x").digest()).decode()
    s3.put_object(Bucket=bucket, Key="a", Body=b"x", ContentMD5=good)
    assert failure(s3.put_object, Bucket=bucket, Key="a", Body=b"y", ContentMD5=good) == (400, "BadDigest")
    assert failure(s3.put_object, Bucket=bucket, Key="a", Body=b"y", ContentMD5="bad") == (400, "InvalidDigest")


def test_presigned_urls_read_and_write(site, bucket):
    client = site.client(signature_version="s3v4")
    put = client.generate_presigned_url("put_object", {"Bucket": bucket, "Key": "a b"}, ExpiresIn=60)
    request = urllib.request.Request(put, data=b"by url", method="PUT")
    assert urllib.request.urlopen(request).status == 200
    get = client.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "a b"}, ExpiresIn=60)
    assert urllib.request.urlopen(get).read() == b"by url"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(get[:-4] + "0000")
    assert caught.value.code == 403


def test_response_headers_can_be_overridden(s3, bucket):
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    got = s3.get_object(Bucket=bucket, Key="a", ResponseContentType="image/png", ResponseContentDisposition="inline")
    assert (got["ContentType"], got["ContentDisposition"]) == ("image/png", "inline")


def test_copies_keep_or_replace_what_is_beside_the_bytes(s3, bucket):
    body = os.urandom(5_000_000)
    s3.put_object(Bucket=bucket, Key="a", Body=body, ContentType="text/plain", Metadata={"k": "v"}, Tagging="t=1")
    source = {"Bucket": bucket, "Key": "a"}
    etag = s3.copy_object(Bucket=bucket, Key="b", CopySource=source)["CopyObjectResult"]["ETag"]
    kept = s3.get_object(Bucket=bucket, Key="b")
    assert (kept["Body"].read(), kept["ETag"], kept["ContentType"], kept["Metadata"]) == (body, etag, "text/plain", {"k": "v"})
    assert s3.get_object_tagging(Bucket=bucket, Key="b")["TagSet"] == [{"Key": "t", "Value": "1"}]
    s3.copy_object(
        Bucket=bucket, Key="c", CopySource=source, MetadataDirective="REPLACE", Metadata={"n": "w"}, ContentType="x/y",
        TaggingDirective="REPLACE", Tagging="u=2",
    )
    replaced = s3.head_object(Bucket=bucket, Key="c")
    assert (replaced["Metadata"], replaced["ContentType"]) == ({"n": "w"}, "x/y")
    assert s3.get_object_tagging(Bucket=bucket, Key="c")["TagSet"] == [{"Key": "u", "Value": "2"}]
    assert failure(s3.copy_object, Bucket=bucket, Key="a", CopySource=source) == (400, "InvalidRequest")
    s3.copy_object(Bucket=bucket, Key="a", CopySource=source, MetadataDirective="REPLACE", Metadata={"now": "so"})
    assert s3.head_object(Bucket=bucket, Key="a")["Metadata"] == {"now": "so"}
    assert failure(s3.copy_object, Bucket=bucket, Key="d", CopySource=source, CopySourceIfMatch='"no"')[0] == 412
    assert failure(s3.copy_object, Bucket=bucket, Key="d", CopySource={"Bucket": bucket, "Key": "no"}) == (404, "NoSuchKey")


def test_deletes_of_many_keys_answer_for_each(s3, bucket):
    for number in range(5):
        s3.put_object(Bucket=bucket, Key=f"k{number}", Body=b"x")
    keys = [{"Key": f"k{number}"} for number in range(7)]
    done = s3.delete_objects(Bucket=bucket, Delete={"Objects": keys})
    assert sorted(one["Key"] for one in done["Deleted"]) == [one["Key"] for one in keys]
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
    assert "Deleted" not in s3.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
    assert failure(s3.delete_objects, Bucket=bucket, Delete={"Objects": keys * 200}) == (400, "MalformedXML")
    # no record can have a name that is too long, so it is deleted already
    absent = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "x" * 1025}, {"Key": "k0"}]})
    assert "Errors" not in absent and len(absent["Deleted"]) == 2
    assert s3.delete_object(Bucket=bucket, Key="never")["ResponseMetadata"]["HTTPStatusCode"] == 204


def test_tags_are_put_read_deleted_and_checked(s3, bucket):
    s3.put_object(Bucket=bucket, Key="a", Body=b"x", Tagging="ward=3%20east&kind=ct")
    tags = {one["Key"]: one["Value"] for one in s3.get_object_tagging(Bucket=bucket, Key="a")["TagSet"]}
    assert tags == {"ward": "3 east", "kind": "ct"}
    assert s3.get_object(Bucket=bucket, Key="a")["TagCount"] == 2
    s3.put_object_tagging(Bucket=bucket, Key="a", Tagging={"TagSet": [{"Key": "k", "Value": "v"}]})
    assert s3.get_object_tagging(Bucket=bucket, Key="a")["TagSet"] == [{"Key": "k", "Value": "v"}]
    many = {"TagSet": [{"Key": f"k{number}", "Value": "v"} for number in range(11)]}
    assert failure(s3.put_object_tagging, Bucket=bucket, Key="a", Tagging=many) == (400, "InvalidTag")
    long = {"TagSet": [{"Key": "k" * 129, "Value": "v"}]}
    assert failure(s3.put_object_tagging, Bucket=bucket, Key="a", Tagging=long) == (400, "InvalidTag")
    s3.delete_object_tagging(Bucket=bucket, Key="a")
    assert s3.get_object_tagging(Bucket=bucket, Key="a")["TagSet"] == []


def test_what_the_store_does_not_do_is_refused_by_name(s3, bucket):
    put = dict(Bucket=bucket, Key="a", Body=b"x")
    assert failure(s3.put_object, StorageClass="GLACIER", **put) == (400, "InvalidStorageClass")
    assert failure(s3.put_object, GrantRead="uri=http://acs.amazonaws.com/groups/global/AllUsers", **put)[0] == 501
    assert failure(s3.put_object, ServerSideEncryption="aws:kms", **put) == (501, "NotImplemented")
    assert failure(s3.put_object, SSECustomerAlgorithm="AES256", SSECustomerKey="0" * 32, **put)[1] == "NotImplemented"
    assert failure(s3.head_object, Bucket=bucket, Key="a")[0] == 404


def test_a_canned_acl_opens_nothing(site, s3, bucket):
    s3.put_object(Bucket=bucket, Key="a", Body=b"x", ACL="public-read")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{site.info['s3_endpoint']}/{bucket}/a")
    assert caught.value.code == 403
    grants = s3.get_object_acl(Bucket=bucket, Key="a")["Grants"]
    assert [one["Permission"] for one in grants] == ["FULL_CONTROL"]
    denied = (400, "AccessControlListNotSupported")
    assert failure(s3.put_object_acl, Bucket=bucket, Key="a", ACL="public-read") == denied
    assert failure(s3.put_bucket_acl, Bucket=bucket, ACL="public-read") == denied


def test_record_type_label_and_retention_are_checked_before_anything_is_stored(s3, bucket):
    good = {"shosoin-record-type": "T4-01", "shosoin-label": "sensitive", "shosoin-retention-days": "1826"}
    s3.put_object(Bucket=bucket, Key="a", Body=b"x", Metadata=good)
    assert s3.head_object(Bucket=bucket, Key="a")["Metadata"] == good
    for name, value in [("record-type", "T9-99"), ("record-type", "X-01"), ("label", "secret"), ("retention-days", "long")]:
        wrong = {"shosoin-" + name: value}
        assert failure(s3.put_object, Bucket=bucket, Key="b", Body=b"x", Metadata=wrong) == (400, "InvalidArgument")
    assert failure(s3.head_object, Bucket=bucket, Key="b")[0] == 404
