"""Object lock and lifecycle through boto3 and awscli: what keeps a version is an act of the ledger, and nothing shortens."""

import datetime
import glob
import json
import os
import shutil
import subprocess
import sys
import uuid

import pytest
from conftest import BINARY, Site, failure

DAY = datetime.timedelta(days=1)
FAKETIME = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")


def ahead(days):
    return datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0) + days * DAY


def retention(days, mode="GOVERNANCE"):
    return {"Mode": mode, "RetainUntilDate": ahead(days)}


def until(s3, bucket, key="a", **version):
    return s3.get_object_retention(Bucket=bucket, Key=key, **version)["Retention"]["RetainUntilDate"]


@pytest.fixture
def locked(s3):
    """A bucket with object lock. What was locked stays in it: nothing takes it away, that is the point."""
    name = "l-" + uuid.uuid4().hex[:20]
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    return name


def test_a_bucket_with_object_lock_is_versioned_for_ever(s3, bucket, locked):
    assert s3.get_bucket_versioning(Bucket=locked)["Status"] == "Enabled"
    assert s3.get_object_lock_configuration(Bucket=locked)["ObjectLockConfiguration"] == {"ObjectLockEnabled": "Enabled"}
    suspend = dict(VersioningConfiguration={"Status": "Suspended"})
    assert failure(s3.put_bucket_versioning, Bucket=locked, **suspend) == (409, "InvalidBucketState")
    enable = dict(ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"})
    assert failure(s3.put_object_lock_configuration, Bucket=bucket, **enable) == (409, "InvalidBucketState")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object_lock_configuration(Bucket=bucket, **enable)
    assert s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]["ObjectLockEnabled"] == "Enabled"
    assert failure(s3.put_object_lock_configuration, Bucket=bucket, ObjectLockConfiguration={}) == (400, "MalformedXML")


def test_a_bucket_without_object_lock_takes_no_lock_and_no_hold(s3, bucket):
    put = dict(Bucket=bucket, Key="a", Body=b"x")
    assert failure(s3.put_object, ObjectLockLegalHoldStatus="ON", **put) == (400, "InvalidRequest")
    assert failure(s3.put_object, **lock(1), **put) == (400, "InvalidRequest")
    assert failure(s3.head_object, Bucket=bucket, Key="a")[0] == 404
    s3.put_object(**put)
    assert failure(s3.put_object_retention, Bucket=bucket, Key="a", Retention=retention(1)) == (400, "InvalidRequest")
    assert failure(s3.get_object_legal_hold, Bucket=bucket, Key="a") == (400, "InvalidRequest")


@pytest.mark.parametrize("mode", ["GOVERNANCE", "COMPLIANCE"])
def test_a_lock_is_extended_and_never_shortened_with_or_without_a_bypass(site, s3, locked, mode):
    first = ahead(10)
    put = s3.put_object(Bucket=locked, Key="a", Body=b"x", ObjectLockMode=mode, ObjectLockRetainUntilDate=first)
    for got in (s3.head_object(Bucket=locked, Key="a"), s3.get_object(Bucket=locked, Key="a")):
        assert (got["ObjectLockMode"], got["ObjectLockRetainUntilDate"]) == (mode, first)
        assert "ObjectLockLegalHoldStatus" not in got
    write = site.client(site.user("writer-" + uuid.uuid4().hex[:8], "write"))
    write.put_object_retention(Bucket=locked, Key="a", Retention={"Mode": mode, "RetainUntilDate": first + DAY})
    assert until(s3, locked) == first + DAY
    weaker = [{"Mode": mode, "RetainUntilDate": first}, {}]
    weaker += [{"Mode": "GOVERNANCE", "RetainUntilDate": first + 5 * DAY}] if mode == "COMPLIANCE" else []
    for bypass in ({}, {"BypassGovernanceRetention": True}):
        for asked in weaker:
            assert failure(s3.put_object_retention, Bucket=locked, Key="a", Retention=asked, **bypass) == (403, "AccessDenied")
        version = dict(Bucket=locked, Key="a", VersionId=put["VersionId"])
        assert failure(s3.delete_object, **version, **bypass) == (403, "AccessDenied")
        many = s3.delete_objects(Bucket=locked, Delete={"Objects": [{"Key": "a", "VersionId": put["VersionId"]}]}, **bypass)
        assert [one["Code"] for one in many["Errors"]] == ["AccessDenied"]
    assert until(s3, locked) == first + DAY
    # A delete without a version id hides it, as everywhere in S3; it is still there.
    s3.delete_object(Bucket=locked, Key="a")
    assert s3.get_object(Bucket=locked, Key="a", VersionId=put["VersionId"])["Body"].read() == b"x"


def lines(site, *arguments):
    """What a command of the hospital says, a JSON value to a line. The site must be stopped: its state has one user at a time."""
    done = subprocess.run([*site.before, BINARY, *arguments, "--dir", str(site.folder), "--json"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{arguments}: {done.stderr}"
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_ledger_has_what_s3_clients_asked_for_and_a_raised_bucket_is_the_least(new_site):
    site = new_site()
    s3 = site.client()
    s3.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    put = s3.put_object(Bucket="locked", Key="a", Body=b"x", ObjectLockLegalHoldStatus="ON", **lock(10))
    s3.put_object_legal_hold(Bucket="locked", Key="a", LegalHold={"Status": "ON"})
    s3.create_bucket(Bucket="records")
    s3.put_object(Bucket="records", Key="source", Body=b"x" * 6_000_000, Metadata={"shosoin-retention-days": "400"})
    made = dict(Bucket="records", Key="made", UploadId=s3.create_multipart_upload(Bucket="records", Key="made")["UploadId"])
    part = s3.upload_part_copy(PartNumber=1, CopySource="records/source", **made)["CopyPartResult"]
    complete(s3, part, **made)
    late = dict(Bucket="records", Key="late", UploadId=s3.create_multipart_upload(Bucket="records", Key="late")["UploadId"])
    part = s3.upload_part(PartNumber=1, Body=b"x", **late)
    assert site.stop() == 0
    (kept,) = lines(site, "retention", "show", "locked", "a")
    assert (kept["lock"]["mode"], kept["on_hold"], kept["end"]) == ("governance", True, "known"), kept
    (hold,) = lines(site, "hold", "list")
    assert (hold["reason"], hold["versions"]) == ("object-lock", [put["VersionId"]]), "once, however often it was asked for"
    (kept,) = lines(site, "retention", "show", "records", "made")
    assert kept["term_days"] == 400, "a part of a record is kept as long as it"
    lines(site, "retention", "extend", "records", "source", "--days", "900")
    lines(site, "bucket", "set-policy", "records", "--retention-days", "800")
    lines(site, "hold", "set", "locked", "a", "--reason", "litigation")
    site.start()
    s3 = site.client()
    complete(s3, part, **late)
    replace = dict(Metadata={"shosoin-retention-days": "1"}, MetadataDirective="REPLACE")
    s3.copy_object(Bucket="records", Key="copied", CopySource="records/source", **replace)
    # Clients end what clients set; the hospital's own hold stays, and the answer says so.
    assert failure(s3.put_object_legal_hold, Bucket="locked", Key="a", LegalHold={"Status": "OFF"}) == (403, "AccessDenied")
    assert s3.get_object_legal_hold(Bucket="locked", Key="a")["LegalHold"]["Status"] == "ON"
    assert site.stop() == 0
    terms = {one["name"]: one["term_days"] for one in lines(site, "retention", "show", "records", "--prefix", "")}
    assert terms == {"source": 900, "made": 400, "late": 800, "copied": 900}
    assert [hold["reason"] for hold in lines(site, "hold", "list")] == ["litigation"]
    (shown,) = lines(site, "bucket", "show", "locked")
    assert (shown["object_lock"], shown["default_lock"], shown["lifecycle_rules"]) == (True, None, 0)


def lock(days, mode="GOVERNANCE"):
    return dict(ObjectLockMode=mode, ObjectLockRetainUntilDate=ahead(days))


def complete(s3, part, **upload):
    s3.complete_multipart_upload(MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}, **upload)


def test_dates_and_modes_that_cannot_be_meant_are_refused(s3, locked):
    put = dict(Bucket=locked, Key="a", Body=b"x")
    for wrong in (
        dict(ObjectLockMode="COMPLIANCE"),
        dict(ObjectLockRetainUntilDate=ahead(1)),
        dict(ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=ahead(-1)),
        dict(ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=ahead(40_000)),
        dict(ObjectLockMode="FOREVER", ObjectLockRetainUntilDate=ahead(1)),
    ):
        assert failure(s3.put_object, **wrong, **put) == (400, "InvalidArgument"), wrong
    assert failure(s3.head_object, Bucket=locked, Key="a")[0] == 404
    s3.put_object(**put)
    assert failure(s3.get_object_retention, Bucket=locked, Key="a") == (404, "NoSuchObjectLockConfiguration")
    for wrong in ({"Mode": "abc", "RetainUntilDate": ahead(1)}, {"Mode": "GOVERNANCE"}):
        assert failure(s3.put_object_retention, Bucket=locked, Key="a", Retention=wrong) == (400, "MalformedXML")


def test_a_legal_hold_is_a_hold_of_the_hospital_and_ends_by_an_administrator(site, s3, locked):
    write = site.client(site.user("holder-" + uuid.uuid4().hex[:8], "write"))
    put = write.put_object(Bucket=locked, Key="a", Body=b"x", ObjectLockLegalHoldStatus="ON")
    write.put_object_legal_hold(Bucket=locked, Key="a", LegalHold={"Status": "ON"})
    assert s3.head_object(Bucket=locked, Key="a")["ObjectLockLegalHoldStatus"] == "ON"
    version = dict(Bucket=locked, Key="a", VersionId=put["VersionId"])
    assert failure(s3.delete_object, **version) == (403, "AccessDenied")
    assert failure(write.put_object_legal_hold, Bucket=locked, Key="a", LegalHold={"Status": "OFF"}) == (403, "AccessDenied")
    s3.put_object_legal_hold(Bucket=locked, Key="a", LegalHold={"Status": "OFF"})
    assert s3.get_object_legal_hold(Bucket=locked, Key="a")["LegalHold"]["Status"] == "OFF"
    assert failure(s3.put_object_legal_hold, Bucket=locked, Key="a", LegalHold={"Status": "abc"}) == (400, "MalformedXML")
    s3.delete_object(**version)
    assert failure(s3.head_object, Bucket=locked, Key="a")[0] == 404


def test_a_default_lock_is_the_least_of_what_is_stored_from_then_on(s3, locked):
    s3.put_object(Bucket=locked, Key="before", Body=b"x")
    rule = lambda **period: {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", **period}}}
    s3.put_object_lock_configuration(Bucket=locked, ObjectLockConfiguration=rule(Days=10))
    assert s3.get_object_lock_configuration(Bucket=locked)["ObjectLockConfiguration"] == rule(Days=10)
    s3.put_object(Bucket=locked, Key="a", Body=b"x")
    s3.put_object(Bucket=locked, Key="less", Body=b"x", **lock(3))
    s3.put_object(Bucket=locked, Key="more", Body=b"x", **lock(30))
    s3.copy_object(Bucket=locked, Key="copied", CopySource={"Bucket": locked, "Key": "before"})
    upload = dict(Bucket=locked, Key="parts", UploadId=s3.create_multipart_upload(Bucket=locked, Key="parts")["UploadId"])
    complete(s3, s3.upload_part(PartNumber=1, Body=b"x", **upload), **upload)
    for key in ("a", "less", "copied", "parts"):
        got = s3.head_object(Bucket=locked, Key=key)
        assert got["ObjectLockMode"] == "COMPLIANCE", key
        assert abs(got["ObjectLockRetainUntilDate"] - ahead(10)) < datetime.timedelta(minutes=5), key
    assert abs(until(s3, locked, "more") - ahead(30)) < datetime.timedelta(minutes=5)
    assert "ObjectLockMode" not in s3.head_object(Bucket=locked, Key="before")
    s3.put_object_lock_configuration(Bucket=locked, ObjectLockConfiguration=rule(Years=1))
    s3.put_object(Bucket=locked, Key="years", Body=b"x")
    assert ahead(364) < until(s3, locked, "years") < ahead(367)
    for wrong, code in (({"Days": 0}, "InvalidRetentionPeriod"), ({"Days": 1, "Years": 1}, "MalformedXML"), ({}, "MalformedXML")):
        asked = dict(Bucket=locked, ObjectLockConfiguration=rule(**wrong))
        assert failure(s3.put_object_lock_configuration, **asked) == (400, code), wrong


def test_a_lock_below_a_known_end_of_the_term_gets_the_later_one(s3, locked):
    start = ahead(0).strftime("%Y-%m-%dT%H:%M:%SZ")
    term = {"shosoin-retention-days": "100", "shosoin-retention-start": start}
    s3.put_object(Bucket=locked, Key="a", Body=b"x", Metadata=term, **lock(3))
    assert abs(until(s3, locked) - ahead(100)) < datetime.timedelta(minutes=5)


def test_an_upload_in_parts_and_a_copy_are_locked_as_they_were_asked_to_be(s3, locked):
    asked = dict(ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=ahead(9), ObjectLockLegalHoldStatus="ON")
    created = s3.create_multipart_upload(Bucket=locked, Key="parts", **asked)
    upload = dict(Bucket=locked, Key="parts", UploadId=created["UploadId"])
    complete(s3, s3.upload_part(PartNumber=1, Body=b"x", **upload), **upload)
    s3.copy_object(Bucket=locked, Key="copied", CopySource={"Bucket": locked, "Key": "parts"}, **asked)
    s3.copy_object(Bucket=locked, Key="plain", CopySource={"Bucket": locked, "Key": "parts"})
    for key in ("parts", "copied"):
        got = s3.head_object(Bucket=locked, Key=key)
        assert {field: got[field] for field in asked} == asked, key
    assert "ObjectLockMode" not in s3.head_object(Bucket=locked, Key="plain"), "a lock is not copied"


def test_lifecycle_rules_are_kept_shown_and_taken_away_and_what_cannot_be_kept_is_refused(site, s3, bucket):
    rules = [
        {"ID": "old", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 30}},
        {"ID": "replaced", "Status": "Enabled", "Filter": {"Prefix": ""},
         "NoncurrentVersionExpiration": {"NoncurrentDays": 10, "NewerNoncurrentVersions": 2},
         "Expiration": {"ExpiredObjectDeleteMarker": True}},
        {"ID": "parts", "Status": "Disabled", "Filter": {"Prefix": ""}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}},
    ]
    put = lambda rules: s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})
    put(rules)
    assert s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"] == rules
    only = {"ID": "x", "Status": "Enabled", "Filter": {"Prefix": ""}}
    refused = [
        {**only, "Transitions": [{"Days": 1, "StorageClass": "GLACIER"}]},
        {**only, "NoncurrentVersionTransitions": [{"NoncurrentDays": 1, "StorageClass": "GLACIER"}]},
        {**only, "Filter": {"Tag": {"Key": "a", "Value": "b"}}, "Expiration": {"Days": 1}},
        {**only, "Expiration": {"Date": datetime.datetime(2030, 1, 1)}},
    ]
    for rule in refused:
        assert failure(lambda: put([rule])) == (501, "NotImplemented"), rule
    assert failure(lambda: put([{**only, "Expiration": {"Days": 0}}])) == (400, "InvalidArgument")
    assert s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"] == rules, "what was refused changed nothing"
    write = site.client(site.user("rules-" + uuid.uuid4().hex[:8], "write"))
    assert failure(write.delete_bucket_lifecycle, Bucket=bucket) == (403, "AccessDenied")
    s3.delete_bucket_lifecycle(Bucket=bucket)
    assert failure(s3.get_bucket_lifecycle_configuration, Bucket=bucket) == (404, "NoSuchLifecycleConfiguration")


LISTED = """
import boto3, json, sys, time
endpoint, key, secret, region = sys.argv[1:5]
s3 = boto3.client("s3", endpoint_url=endpoint, aws_access_key_id=key, aws_secret_access_key=secret, region_name=region)
for attempt in range(100):  # the first pass of the gateway is under way
    page = s3.list_object_versions(Bucket="records")
    told = {
        "versions": sorted([one["Key"], one["IsLatest"]] for one in page.get("Versions", [])),
        "markers": sorted(one["Key"] for one in page.get("DeleteMarkers", [])),
        "uploads": len(s3.list_multipart_uploads(Bucket="records").get("Uploads", [])),
    }
    if told == json.loads(sys.argv[5]):
        break
    time.sleep(0.1)
print(json.dumps(told))
"""


@pytest.mark.skipif(not FAKETIME, reason="faketime is not installed: apt-get install faketime")
def test_rules_hide_withdraw_and_forget_when_it_is_time_and_never_what_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    site = Site(tmp_path / "site").start()
    try:
        s3 = site.client()
        s3.create_bucket(Bucket="records", ObjectLockEnabledForBucket=True)
        term = dict(Metadata={"shosoin-retention-days": "5"})  # which never began
        for key, keeps in (("plain", {}), ("locked", lock(500)), ("held", dict(ObjectLockLegalHoldStatus="ON")), ("term", term)):
            s3.put_object(Bucket="records", Key="keep/" + key, Body=b"1", **keeps)
            s3.put_object(Bucket="records", Key="keep/" + key, Body=b"2")
        s3.put_object(Bucket="records", Key="tmp/a", Body=b"x")
        s3.create_multipart_upload(Bucket="records", Key="given up")
        rules = [
            {"ID": "tmp", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 30}},
            {"ID": "old", "Status": "Enabled", "Filter": {"Prefix": ""}, "NoncurrentVersionExpiration": {"NoncurrentDays": 30}},
            {"ID": "parts", "Status": "Enabled", "Filter": {"Prefix": ""}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}},
        ]
        s3.put_bucket_lifecycle_configuration(Bucket="records", LifecycleConfiguration={"Rules": rules})
        kept = sorted([f"keep/{key}", latest] for key in ("plain", "locked", "held", "term") for latest in (True, False))
        both = {"versions": kept + [["tmp/a", True]], "markers": [], "uploads": 1}
        assert listed(site, both) == both
        assert site.stop() == 0
        site.before = ["env", f"LD_PRELOAD={FAKETIME[0]}", "FAKETIME=+40d"]
        site.start()
        kept.remove(["keep/plain", False])
        later = {"versions": kept + [["tmp/a", False]], "markers": ["tmp/a"], "uploads": 0}
        assert listed(site, later) == later
        assert site.stop() == 0
        # Nothing ended: the ledger and the vault have every version, those out of view among them.
        assert len(lines(site, "retention", "show", "records", "--prefix", "")) == 9
    finally:
        if site.process is not None:
            site.kill()
        shutil.rmtree(site.folder, ignore_errors=True)


def listed(site, expected):
    info = [site.info[field] for field in ("s3_endpoint", "access_key_id", "secret_access_key", "region")]
    command = [*site.before, sys.executable, "-c", LISTED, *info, json.dumps(expected)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.skipif(shutil.which("aws") is None, reason="aws is not installed")
def test_awscli_sets_and_reads_locks_and_holds(site, locked, tmp_path):
    env = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    env |= {
        "AWS_ACCESS_KEY_ID": site.info["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": site.info["secret_access_key"],
        "AWS_DEFAULT_REGION": site.info["region"],
        "AWS_ENDPOINT_URL": site.info["s3_endpoint"],
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
    }
    (tmp_path / "body").write_bytes(b"x")

    def s3api(command, *arguments):
        whole = ["aws", "s3api", command, "--bucket", locked, *arguments]
        done = subprocess.run(whole, capture_output=True, text=True, env=env, timeout=120)
        return done.returncode, json.loads(done.stdout) if done.stdout.strip() else done.stderr

    day = ahead(5).strftime("%Y-%m-%dT%H:%M:%SZ")
    put = ["--key", "a", "--body", str(tmp_path / "body"), "--object-lock-mode", "COMPLIANCE", "--object-lock-retain-until-date", day]
    code, put = s3api("put-object", *put)
    assert code == 0, put
    code, got = s3api("get-object-retention", "--key", "a")
    assert (code, got["Retention"]["Mode"], got["Retention"]["RetainUntilDate"][:10]) == (0, "COMPLIANCE", day[:10])
    code, told = s3api("delete-object", "--key", "a", "--version-id", put["VersionId"], "--bypass-governance-retention")
    assert code != 0 and "never shortened" in told, told
    assert s3api("put-object-legal-hold", "--key", "a", "--legal-hold", "Status=ON")[0] == 0
    assert s3api("get-object-legal-hold", "--key", "a")[1]["LegalHold"]["Status"] == "ON"
