"""Buckets, listings and versions through boto3."""

import pytest
from conftest import empty, failure


def test_buckets_are_made_found_listed_and_ended(s3):
    s3.create_bucket(Bucket="life-of-a-bucket")
    # S3's rule: success again in us-east-1, an error where a location is named.
    s3.create_bucket(Bucket="life-of-a-bucket")
    here = {"LocationConstraint": "us-east-1"}
    again = dict(Bucket="life-of-a-bucket", CreateBucketConfiguration=here)
    assert failure(s3.create_bucket, **again) == (409, "BucketAlreadyOwnedByYou")
    assert s3.head_bucket(Bucket="life-of-a-bucket")["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert s3.get_bucket_location(Bucket="life-of-a-bucket")["LocationConstraint"] is None
    assert "life-of-a-bucket" in [one["Name"] for one in s3.list_buckets()["Buckets"]]
    s3.put_object(Bucket="life-of-a-bucket", Key="a", Body=b"x")
    assert failure(s3.delete_bucket, Bucket="life-of-a-bucket") == (409, "BucketNotEmpty")
    s3.delete_object(Bucket="life-of-a-bucket", Key="a")
    s3.delete_bucket(Bucket="life-of-a-bucket")
    assert failure(s3.head_bucket, Bucket="life-of-a-bucket")[0] == 404
    assert failure(s3.get_object, Bucket="life-of-a-bucket", Key="a") == (404, "NoSuchBucket")
    s3.create_bucket(Bucket="life-of-a-bucket")
    assert "Contents" not in s3.list_objects_v2(Bucket="life-of-a-bucket")
    s3.delete_bucket(Bucket="life-of-a-bucket")


@pytest.mark.parametrize("name", ["ab", "Upper-case", "under_score", "192.168.1.1", "a..b", "a-.b", "-a-b", "a" * 64])
def test_bucket_names_follow_the_rules(s3, name):
    # boto3 checks names itself; the store must too.
    s3.meta.events.unregister("before-parameter-build.s3", __import__("botocore.handlers").handlers.validate_bucket_name)
    assert failure(s3.create_bucket, Bucket=name) == (400, "InvalidBucketName")


def test_what_a_bucket_is_not_set_up_with_is_not_found(s3, bucket):
    absent = {
        s3.get_bucket_policy: "NoSuchBucketPolicy",
        s3.get_bucket_cors: "NoSuchCORSConfiguration",
        s3.get_bucket_lifecycle_configuration: "NoSuchLifecycleConfiguration",
        s3.get_bucket_tagging: "NoSuchTagSet",
        s3.get_object_lock_configuration: "ObjectLockConfigurationNotFoundError",
    }
    for call, code in absent.items():
        assert failure(call, Bucket=bucket) == (404, code)
    grants = s3.get_bucket_acl(Bucket=bucket)["Grants"]
    assert [one["Permission"] for one in grants] == ["FULL_CONTROL"]
    rules = {"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]}
    assert failure(s3.put_bucket_cors, Bucket=bucket, CORSConfiguration=rules) == (501, "NotImplemented")


NAMES = ["a", "b/1", "b/2", "b/c/3", "b0", "c+d e", "d/", "患者/1"]


@pytest.fixture
def filled(s3, bucket):
    for name in NAMES:
        s3.put_object(Bucket=bucket, Key=name, Body=name.encode())
    return bucket


def walk(call, token, next_token, **arguments):
    """Every name and common prefix over all pages, and how many pages there were."""
    names, prefixes, pages = [], [], 0
    while True:
        page = call(**arguments)
        pages += 1
        names += [one["Key"] for one in page.get("Contents", [])]
        prefixes += [one["Prefix"] for one in page.get("CommonPrefixes", [])]
        if not page["IsTruncated"]:
            return names, prefixes, pages
        last = max(page.get("Contents", []) and [page["Contents"][-1]["Key"]] or [""])
        arguments[token] = page.get(next_token) or last


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_pages_of_any_size_give_every_name_once(s3, filled, size):
    for call, token, next_token in [
        (s3.list_objects_v2, "ContinuationToken", "NextContinuationToken"),
        (s3.list_objects, "Marker", "NextMarker"),
    ]:
        assert walk(call, token, next_token, Bucket=filled, MaxKeys=size)[0] == NAMES
        names, prefixes, _ = walk(call, token, next_token, Bucket=filled, MaxKeys=size, Delimiter="/")
        assert (names, prefixes) == (["a", "b0", "c+d e"], ["b/", "d/", "患者/"])
        names, prefixes, _ = walk(call, token, next_token, Bucket=filled, MaxKeys=size, Delimiter="/", Prefix="b/")
        assert (names, prefixes) == (["b/1", "b/2"], ["b/c/"])


def test_lists_say_what_they_were_asked(s3, filled):
    page = s3.list_objects_v2(Bucket=filled, StartAfter="b0", MaxKeys=2, FetchOwner=True)
    assert [one["Key"] for one in page["Contents"]] == ["c+d e", "d/"]
    assert (page["KeyCount"], page["MaxKeys"], page["StartAfter"], page["Name"]) == (2, 2, "b0", filled)
    assert "Owner" in page["Contents"][0] and "Owner" not in s3.list_objects_v2(Bucket=filled)["Contents"][0]
    nothing = s3.list_objects_v2(Bucket=filled, MaxKeys=0)
    assert (nothing["KeyCount"], nothing["IsTruncated"]) == (0, False)
    assert failure(s3.list_objects_v2, Bucket=filled, ContinuationToken="***") == (400, "InvalidArgument")
    found = s3.list_objects_v2(Bucket=filled, Prefix="b/c")["Contents"][0]
    assert found["Size"] == 5 and found["ETag"] and found["StorageClass"] == "STANDARD"


def enable(s3, bucket, status="Enabled"):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})


def test_versions_stay_and_markers_hide(s3, bucket):
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="a", Body=b"null")
    enable(s3, bucket)
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    first = s3.put_object(Bucket=bucket, Key="a", Body=b"1")["VersionId"]
    second = s3.put_object(Bucket=bucket, Key="a", Body=b"2")["VersionId"]
    read = lambda **which: s3.get_object(Bucket=bucket, Key="a", **which)["Body"].read()
    assert (read(), read(VersionId=first), read(VersionId="null")) == (b"2", b"1", b"null")
    marker = s3.delete_object(Bucket=bucket, Key="a")
    assert marker["DeleteMarker"] is True
    assert failure(s3.get_object, Bucket=bucket, Key="a") == (404, "NoSuchKey")
    assert failure(s3.get_object, Bucket=bucket, Key="a", VersionId=marker["VersionId"]) == (405, "MethodNotAllowed")
    page = s3.list_object_versions(Bucket=bucket)
    assert [one["VersionId"] for one in page["Versions"]] == [second, first, "null"]
    assert [(one["VersionId"], one["IsLatest"]) for one in page["DeleteMarkers"]] == [(marker["VersionId"], True)]
    gone = s3.delete_object(Bucket=bucket, Key="a", VersionId=marker["VersionId"])
    assert gone["DeleteMarker"] is True and read() == b"2"
    s3.delete_object(Bucket=bucket, Key="a", VersionId=second)
    assert read() == b"1"
    assert failure(s3.get_object, Bucket=bucket, Key="a", VersionId=second) == (404, "NoSuchVersion")
    assert failure(s3.get_object, Bucket=bucket, Key="a", VersionId="junk") == (400, "InvalidArgument")


def test_a_suspended_bucket_keeps_one_null_version(s3, bucket):
    enable(s3, bucket)
    kept = s3.put_object(Bucket=bucket, Key="a", Body=b"kept")["VersionId"]
    enable(s3, bucket, "Suspended")
    for body in (b"n1", b"n2"):
        assert "VersionId" not in s3.put_object(Bucket=bucket, Key="a", Body=body)
    assert s3.get_object(Bucket=bucket, Key="a")["VersionId"] == "null"
    found = [one["VersionId"] for one in s3.list_object_versions(Bucket=bucket)["Versions"]]
    assert found == ["null", kept]
    assert s3.delete_object(Bucket=bucket, Key="a")["VersionId"] == "null"
    assert [one["VersionId"] for one in s3.list_object_versions(Bucket=bucket)["Versions"]] == [kept]
    assert s3.get_object(Bucket=bucket, Key="a", VersionId=kept)["Body"].read() == b"kept"


def test_pages_of_versions_give_each_once(s3, bucket):
    enable(s3, bucket)
    put = [(key, s3.put_object(Bucket=bucket, Key=key, Body=b"x")["VersionId"]) for key in "aab" for _ in range(2)]
    expected = [one for key in "ab" for one in reversed(put) if one[0] == key]
    for size in (1, 2, 4, 1000):
        found, arguments = [], {}
        while True:
            page = s3.list_object_versions(Bucket=bucket, MaxKeys=size, **arguments)
            found += [(one["Key"], one["VersionId"]) for one in page.get("Versions", [])]
            if not page["IsTruncated"]:
                break
            arguments = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}
        assert found == expected


def test_versions_of_many_names_are_deleted_together(s3, bucket):
    enable(s3, bucket)
    for number in range(30):
        s3.put_object(Bucket=bucket, Key=f"k{number % 10}", Body=b"x")
        s3.delete_object(Bucket=bucket, Key=f"k{number % 10}")
    empty(s3, bucket)
    page = s3.list_object_versions(Bucket=bucket)
    assert "Versions" not in page and "DeleteMarkers" not in page
