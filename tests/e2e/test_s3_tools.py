"""The command-line clients people use: awscli, rclone, s3cmd. Small files and files in parts, there and back."""

import filecmp
import os
import shutil
import subprocess

import pytest

SIZES = {"small.txt": 11, "empty": 0, "deep/er/患者 1.dcm": 70_000, "large.bin": 23 * 1024 * 1024 + 5}


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    for name, size in SIZES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(size))
    return folder


def run(*command, env=None):
    # What the machine is set up with for another S3 must not reach these.
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "RCLONE_"))}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env={**clean, **(env or {})})
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def same(a, b):
    compared = filecmp.dircmp(a, b)

    def equal(node):
        files = [filecmp.cmp(os.path.join(node.left, f), os.path.join(node.right, f), False) for f in node.common_files]
        return not node.left_only and not node.right_only and all(files) and all(map(equal, node.subdirs.values()))

    return equal(compared)


def need(tool):
    return pytest.mark.skipif(shutil.which(tool) is None, reason=f"{tool} is not installed")


@need("aws")
def test_awscli_syncs_there_and_back(site, bucket, records, tmp_path):
    env = {
        "AWS_ACCESS_KEY_ID": site.info["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": site.info["secret_access_key"],
        "AWS_DEFAULT_REGION": site.info["region"],
        "AWS_ENDPOINT_URL": site.info["s3_endpoint"],
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
    }
    run("aws", "s3", "sync", str(records), f"s3://{bucket}/r", env=env)
    assert run("aws", "s3", "sync", str(records), f"s3://{bucket}/r", env=env) == ""
    run("aws", "s3", "sync", f"s3://{bucket}/r", str(tmp_path / "back"), env=env)
    assert same(records, tmp_path / "back")
    assert "large.bin" in run("aws", "s3", "ls", f"s3://{bucket}/r/", env=env)
    run("aws", "s3", "mv", f"s3://{bucket}/r/large.bin", f"s3://{bucket}/moved", env=env)
    run("aws", "s3", "rm", "--recursive", f"s3://{bucket}/", env=env)
    assert run("aws", "s3", "ls", f"s3://{bucket}", "--recursive", env=env) == ""


@need("rclone")
def test_rclone_copies_checks_and_purges(site, bucket, records, tmp_path):
    env = {
        "RCLONE_CONFIG": str(tmp_path / "rclone.conf"),
        "RCLONE_CONFIG_S_TYPE": "s3",
        "RCLONE_CONFIG_S_PROVIDER": "Other",
        "RCLONE_CONFIG_S_ACCESS_KEY_ID": site.info["access_key_id"],
        "RCLONE_CONFIG_S_SECRET_ACCESS_KEY": site.info["secret_access_key"],
        "RCLONE_CONFIG_S_ENDPOINT": site.info["s3_endpoint"],
        "RCLONE_CONFIG_S_REGION": site.info["region"],
    }
    run("rclone", "copy", "--s3-upload-cutoff", "8M", "--s3-chunk-size", "5M", str(records), f"s:{bucket}/r", env=env)
    run("rclone", "check", "--download", str(records), f"s:{bucket}/r", env=env)
    run("rclone", "copy", f"s:{bucket}/r", str(tmp_path / "back"), env=env)
    assert same(records, tmp_path / "back")
    run("rclone", "moveto", f"s:{bucket}/r/small.txt", f"s:{bucket}/r/moved.txt", env=env)
    listed = run("rclone", "lsf", "-R", "--files-only", f"s:{bucket}/r", env=env).split("\n")
    assert "moved.txt" in listed and "small.txt" not in listed
    run("rclone", "delete", f"s:{bucket}/r", env=env)
    assert run("rclone", "lsf", "-R", "--files-only", f"s:{bucket}", env=env) == ""


@need("s3cmd")
def test_s3cmd_puts_gets_and_deletes(site, bucket, records, tmp_path):
    host = site.info["s3_endpoint"].removeprefix("http://")
    s3cmd = [
        "s3cmd", "--config", str(tmp_path / "none"), "--no-ssl", "--host", host, "--host-bucket", host,
        "--access_key", site.info["access_key_id"], "--secret_key", site.info["secret_access_key"],
        "--region", site.info["region"], "--multipart-chunk-size-mb", "5", "--no-progress",
    ]
    (tmp_path / "none").write_text("")
    run(*s3cmd, "sync", f"{records}/", f"s3://{bucket}/r/")
    run(*s3cmd, "sync", f"s3://{bucket}/r/", f"{tmp_path}/back/")
    assert same(records, tmp_path / "back")
    assert "large.bin" in run(*s3cmd, "ls", f"s3://{bucket}/r/")
    run(*s3cmd, "cp", f"s3://{bucket}/r/small.txt", f"s3://{bucket}/copied")
    run(*s3cmd, "del", "--recursive", "--force", f"s3://{bucket}/")
    assert run(*s3cmd, "ls", "--recursive", f"s3://{bucket}") == ""
