"""The export for emergencies, of what S3 clients stored: versions and delete markers as they were at a moment."""

import datetime
import pathlib
import time


def a_moment():
    """A millisecond that is over: what was accepted before was not accepted after it, and what follows comes later."""
    now = time.time_ns() // 1_000_000
    while time.time_ns() // 1_000_000 == now:
        pass  # one millisecond at most
    return datetime.datetime.fromtimestamp(now / 1000, datetime.timezone.utc).isoformat(timespec="milliseconds")


def rows(folder):
    """Name and fields of every row of the list."""
    lines = (pathlib.Path(folder) / "index.tsv").read_text().splitlines()
    titles = lines[0].split("\t")
    found = [dict(zip(titles, line.split("\t"), strict=True)) for line in lines[1:]]
    return {row["name"]: row for row in found}


def test_versions_and_markers_are_exported_as_they_were_then(new_site, tmp_path):
    site = new_site()
    s3 = site.client()
    s3.create_bucket(Bucket="charts")
    s3.put_bucket_versioning(Bucket="charts", VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket="charts", Key="a.txt", Body=b"first")
    s3.put_object(Bucket="charts", Key="gone.txt", Body=b"deleted later")
    between = a_moment()
    s3.put_object(Bucket="charts", Key="a.txt", Body=b"second")
    s3.delete_object(Bucket="charts", Key="gone.txt")
    assert site.stop() == 0

    def export(name, *more):
        out = tmp_path / name
        report = site.run("export", str(out), "--dir", str(site.folder), "--json", *more)
        assert report["failed"] == 0
        return out / "files" / "charts", rows(out)

    files, now = export("now")
    assert sorted(now) == ["a.txt"]
    assert (files / "a.txt").read_bytes() == b"second"
    files, then = export("then", "--as-of", between)
    assert sorted(then) == ["a.txt", "gone.txt"]
    assert (files / "a.txt").read_bytes() == b"first"
    assert (files / "gone.txt").read_bytes() == b"deleted later"
