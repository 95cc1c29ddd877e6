"""Documents that bring signatures through S3: OpenSSL signs, the gateway verifies before anything is stored and while a document
is read. Whatever does not hold, or cannot be read, is refused and nothing is there afterwards."""

import base64
import os
import shutil
import subprocess

import pytest
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.httpsession import URLLib3Session
from conftest import Site, failure

MIB = 1024 * 1024
SIGNATURE, SIGNERS = "shosoin-signature", "shosoin-signers"
LONGEST = 16 * 1024  # bytes of a signature that is kept


class Signers:
    """A root that a hospital trusts, another that it does not, and people below them, all made by OpenSSL."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        for root in ("medical", "foreign"):
            self.openssl("req", "-x509", *self.new_key(root), "-out", f"{root}.pem", "-days", "9000", "-subj", f"/CN={root}")
        (folder / "signer.ext").write_text("keyUsage=critical,digitalSignature,nonRepudiation\nextendedKeyUsage=emailProtection\n")
        for name, root in (("doctor", "medical"), ("second", "medical"), ("stranger", "foreign")):
            self.openssl("req", "-new", *self.new_key(name), "-out", f"{name}.csr", "-subj", f"/CN={name}")
            issue = ("-CA", f"{root}.pem", "-CAkey", f"{root}.key", "-CAcreateserial", "-days", "3650", "-extfile", "signer.ext")
            self.openssl("x509", "-req", "-in", f"{name}.csr", *issue, "-out", f"{name}.pem")

    @staticmethod
    def new_key(name):
        return "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key"

    def openssl(self, *arguments):
        done = subprocess.run(["openssl", *arguments], cwd=self.folder, capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def fingerprint(self, name):
        text = self.openssl("x509", "-in", f"{name}.pem", "-noout", "-fingerprint", "-sha256").decode()
        return text.strip().rpartition("=")[2]

    def sign(self, body, *names, more=()):
        (self.folder / "document").write_bytes(body)
        people = [word for name in names for word in ("-signer", f"{name}.pem", "-inkey", f"{name}.key")]
        return self.openssl("cms", "-sign", "-binary", "-outform", "DER", "-in", "document", *people, *more)

    def holds(self, body, cms):
        """Whether OpenSSL finds that a signature is over these bytes, below the trusted root."""
        (self.folder / "document").write_bytes(body)
        (self.folder / "given.p7s").write_bytes(cms)
        trust = ("-CAfile", "medical.pem", "-purpose", "any")
        command = ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", "given.p7s", "-content", "document", *trust]
        return subprocess.run(command, cwd=self.folder, capture_output=True, timeout=60).returncode == 0


def text(cms):
    return base64.b64encode(cms).decode()


@pytest.fixture(scope="module")
def signers(tmp_path_factory):
    return Signers(tmp_path_factory.mktemp("signers") / "d")


def trust(site, signers, more=""):
    hospital = site.folder / "hospital"
    shutil.copy(signers.folder / "medical.pem", hospital / "medical.pem")
    documents = f'[documents]\nanchors = "medical.pem"\nfingerprints = ["{signers.fingerprint("medical")}"]\n'
    (hospital / "gateway.toml").write_text("form = 1\n" + documents + more)


@pytest.fixture(scope="module")
def hospital(tmp_path_factory, signers):
    """A site that trusts one root."""
    site = Site(tmp_path_factory.mktemp("hospital") / "d").start()
    assert site.stop() == 0
    trust(site, signers)
    site.start()
    site.client().create_bucket(Bucket="records")
    yield site
    assert site.stop() == 0


@pytest.fixture
def s3(hospital):
    return hospital.client()


def put(s3, name, body, signature, **more):
    return s3.put_object(Bucket="records", Key=name, Body=body, Metadata={SIGNATURE: signature, "ward": "3"}, **more)


def refused(s3, name, body, signature):
    """How a put is refused, once nothing is there of it."""
    code = failure(put, s3=s3, name=name, body=body, signature=signature)
    assert failure(s3.head_object, Bucket="records", Key=name) == (404, "404")
    return code


def signature_of(site, name):
    """What a GET with the query `shosoin-signature` gives, by a presigned URL as any S3 library makes it."""
    keys = Credentials(site.info["access_key_id"], site.info["secret_access_key"])
    asked = AWSRequest("GET", f"{site.info['s3_endpoint']}/records/{name}?shosoin-signature=")
    S3SigV4QueryAuth(keys, "s3", site.info["region"], expires=60).add_auth(asked)
    answer = URLLib3Session().send(asked.prepare())
    return answer.status_code, answer.headers.get("content-type"), answer.content


@pytest.mark.parametrize("size", [0, 1, 70_000, 4 * MIB, 9 * MIB + 1])
def test_a_signed_document_is_verified_when_it_is_put_and_says_how_it_stands_3_5_r2(hospital, s3, signers, size):
    body, name = os.urandom(size), f"signed-{size}"
    cms = signers.sign(body, "doctor")
    put(s3, name, body, text(cms))
    got = s3.get_object(Bucket="records", Key=name)
    assert got["Body"].read() == body
    assert got["Metadata"] == {"ward": "3", SIGNERS: "trusted"}
    assert s3.head_object(Bucket="records", Key=name)["Metadata"] == {"ward": "3", SIGNERS: "trusted", SIGNATURE: text(cms)}
    assert signature_of(hospital, name) == (200, "application/pkcs7-signature", cms)
    assert signers.holds(body, signature_of(hospital, name)[2])


def test_the_gateway_and_the_command_line_tell_the_same_of_a_signature(hospital, s3, signers, tmp_path):
    put(s3, "letter", b"Discharged.", text(signers.sign(b"Discharged.", "doctor", "second")))
    assert s3.head_object(Bucket="records", Key="letter")["Metadata"][SIGNERS] == "trusted,trusted"
    hospital.stop()
    try:
        got = hospital.run("get", "records", "letter", "--out", str(tmp_path / "out"), "--dir", str(hospital.folder), "--json")
    finally:
        hospital.start()
    assert [one["now"] for one in got["signature"]["signers"]] == ["trusted", "trusted"]


def test_an_altered_document_is_refused_whichever_bit_it_is(s3, signers):
    body = os.urandom(3 * MIB)
    signature = text(signers.sign(body, "doctor"))
    for at in (0, 1_500_000, len(body) - 1):
        altered = bytearray(body)
        altered[at] ^= 1
        assert refused(s3, "altered", bytes(altered), signature) == (400, "DocumentSignatureDoesNotMatch")
    assert refused(s3, "altered", body[:-1], signature) == (400, "DocumentSignatureDoesNotMatch")
    assert refused(s3, "altered", b"", signature) == (400, "DocumentSignatureDoesNotMatch")


def test_a_refused_document_leaves_the_one_that_was_there(s3, signers):
    put(s3, "there", b"first", text(signers.sign(b"first", "doctor")))
    wrong = text(signers.sign(b"else", "doctor"))
    assert failure(put, s3=s3, name="there", body=b"second", signature=wrong) == (400, "DocumentSignatureDoesNotMatch")
    assert s3.get_object(Bucket="records", Key="there")["Body"].read() == b"first"


def test_what_is_no_detached_signature_is_refused_by_name(s3, signers):
    cms = signers.sign(b"x", "doctor")
    wrong = {
        "no base64": "%%%",
        "cut base64": text(cms)[:-1],
        "of the web": text(b"\xff\xfe\xfd").replace("/", "_"),
        "no CMS": text(b"nonsense"),
        "cut": text(cms[: len(cms) // 2]),
        "with its content": text(signers.sign(b"x", "doctor", more=("-nodetach",))),
        "without certificate": text(signers.sign(b"x", "doctor", more=("-nocerts",))),
        "SHA-1": text(signers.sign(b"x", "doctor", more=("-md", "sha1"))),
    }
    for signature in wrong.values():
        status, code = refused(s3, "wrong", b"x", signature)
        assert (status, code) == (400, "InvalidDocumentSignature"), signature


def test_a_signature_over_16_kib_is_refused_and_one_of_many_certificates_is_kept(hospital, s3, signers):
    assert refused(s3, "long", b"x", text(b"\x30" * (LONGEST + 1))) == (400, "MetadataTooLarge")
    assert refused(s3, "long", b"x", "A" * 200_000) == (400, "MetadataTooLarge")
    chain = signers.folder / "chain.pem"
    one = (signers.folder / "medical.pem").read_bytes()
    many, long = [], "".join(f"/{field}={'m' * 60}" for field in ("CN", "O", "OU"))
    for number in range(13):  # 15 with the signer's and the root's: 16 are read
        name = f"more{number}"
        signers.openssl("req", "-x509", *signers.new_key(name), "-out", f"{name}.pem", "-days", "9", "-subj", long)
        many.append((signers.folder / f"{name}.pem").read_bytes())
    chain.write_bytes(one + b"".join(many))
    cms = signers.sign(b"x", "doctor", more=("-certfile", "chain.pem"))
    assert 8 * 1024 < len(cms) <= LONGEST
    put(s3, "many", b"x", text(cms))
    # too long for the headers that some clients take: it is asked for by the query
    assert s3.head_object(Bucket="records", Key="many")["Metadata"] == {"ward": "3", SIGNERS: "trusted"}
    assert signature_of(hospital, "many")[2] == cms


def test_a_signer_whom_nobody_trusts_is_refused(s3, signers):
    assert refused(s3, "stranger", b"x", text(signers.sign(b"x", "stranger"))) == (403, "SignerNotTrusted")
    both = text(signers.sign(b"x", "doctor", "stranger"))
    assert refused(s3, "stranger", b"x", both) == (403, "SignerNotTrusted")


def test_what_an_upload_says_of_signers_is_nobodys_word(s3):
    s3.put_object(Bucket="records", Key="claims", Body=b"x", Metadata={SIGNERS: "trusted", "ward": "3"})
    assert s3.head_object(Bucket="records", Key="claims")["Metadata"] == {"ward": "3"}


def test_a_record_without_a_signature_has_none_to_give(hospital, s3):
    s3.put_object(Bucket="records", Key="plain", Body=b"x")
    assert s3.head_object(Bucket="records", Key="plain")["Metadata"] == {}
    assert signature_of(hospital, "plain")[0] == 404
    assert signature_of(hospital, "never-was")[0] == 404


def test_ranges_of_a_signed_document_are_given(s3, signers):
    body = os.urandom(5 * MIB)
    put(s3, "ranged", body, text(signers.sign(body, "doctor")))
    part = s3.get_object(Bucket="records", Key="ranged", Range=f"bytes={4 * MIB - 3}-{4 * MIB + 3}")
    assert part["Body"].read() == body[4 * MIB - 3 : 4 * MIB + 4]
    assert part["Metadata"][SIGNERS] == "trusted"


def parts_of(s3, name, pieces, signature):
    """An upload in parts that is ready to be completed."""
    where = {"Bucket": "records", "Key": name}
    where["UploadId"] = s3.create_multipart_upload(**where, Metadata={SIGNATURE: signature})["UploadId"]
    etags = [s3.upload_part(**where, PartNumber=at, Body=piece)["ETag"] for at, piece in enumerate(pieces, 1)]
    parts = [{"PartNumber": at, "ETag": etag} for at, etag in enumerate(etags, 1)]
    return {**where, "MultipartUpload": {"Parts": parts}}


def test_an_upload_in_parts_is_verified_as_a_whole_when_it_completes(hospital, s3, signers):
    body = os.urandom(11 * MIB)
    cms = signers.sign(body, "doctor")
    pieces = [body[: 5 * MIB], body[5 * MIB : 10 * MIB], body[10 * MIB :]]
    s3.complete_multipart_upload(**parts_of(s3, "parts", pieces, text(cms)))
    got = s3.get_object(Bucket="records", Key="parts")
    assert got["Body"].read() == body and got["Metadata"] == {SIGNERS: "trusted"}
    assert signature_of(hospital, "parts")[2] == cms
    s3.complete_multipart_upload(**parts_of(s3, "one-part", [b"small"], text(signers.sign(b"small", "doctor"))))
    assert s3.head_object(Bucket="records", Key="one-part")["Metadata"][SIGNERS] == "trusted"


def test_parts_in_another_order_than_was_signed_do_not_become_a_document(s3, signers):
    body = os.urandom(10 * MIB)
    signature = text(signers.sign(body, "doctor"))
    upload = parts_of(s3, "swapped", [body[5 * MIB :], body[: 5 * MIB]], signature)
    assert failure(s3.complete_multipart_upload, **upload) == (400, "DocumentSignatureDoesNotMatch")
    assert failure(s3.head_object, Bucket="records", Key="swapped") == (404, "404")
    # the upload is still there: its parts are sent again as they were signed
    at = {name: upload[name] for name in ("Bucket", "Key", "UploadId")}
    pieces = {1: body[: 5 * MIB], 2: body[5 * MIB :]}
    parts = [{"PartNumber": number, "ETag": s3.upload_part(**at, PartNumber=number, Body=piece)["ETag"]} for number, piece in pieces.items()]
    s3.complete_multipart_upload(**at, MultipartUpload={"Parts": parts})
    assert s3.get_object(Bucket="records", Key="swapped")["Body"].read() == body


def test_a_signature_that_cannot_be_read_is_refused_before_the_parts_are_sent(s3, signers):
    create = lambda signature: s3.create_multipart_upload(Bucket="records", Key="early", Metadata={SIGNATURE: signature})
    for signature in ("%%%", text(b"nonsense")):
        assert failure(create, signature=signature) == (400, "InvalidDocumentSignature")
    stranger = parts_of(s3, "early", [b"x"], text(signers.sign(b"x", "stranger")))
    assert failure(s3.complete_multipart_upload, **stranger) == (403, "SignerNotTrusted")


def test_an_upload_in_parts_keeps_its_signature_over_a_restart(hospital, s3, signers):
    upload = parts_of(s3, "restarted", [b"over the night"], text(signers.sign(b"over the night", "doctor")))
    hospital.kill()
    hospital.start()
    again = hospital.client()
    again.complete_multipart_upload(**upload)
    assert again.head_object(Bucket="records", Key="restarted")["Metadata"][SIGNERS] == "trusted"


def test_a_copy_keeps_the_signature_and_a_later_one_is_verified_over_the_document(hospital, s3, signers):
    body = os.urandom(6 * MIB)
    cms = signers.sign(body, "doctor")
    s3.put_object(Bucket="records", Key="unsigned", Body=body)
    at = {"Bucket": "records", "Key": "unsigned", "CopySource": "records/unsigned"}
    wrong = {SIGNATURE: text(signers.sign(body[1:], "doctor"))}
    replace = {"MetadataDirective": "REPLACE"}
    assert failure(s3.copy_object, **at, Metadata=wrong, **replace) == (400, "DocumentSignatureDoesNotMatch")
    assert failure(s3.copy_object, **at, Metadata=wrong, StorageClass="STANDARD") == (400, "InvalidRequest")
    assert s3.head_object(Bucket="records", Key="unsigned")["Metadata"] == {}
    s3.copy_object(**at, Metadata={SIGNATURE: text(cms), "signed": "later"}, **replace)
    assert s3.head_object(Bucket="records", Key="unsigned")["Metadata"] == {"signed": "later", SIGNERS: "trusted", SIGNATURE: text(cms)}
    # what a client read and sends back with a copy changes nothing
    read = s3.head_object(Bucket="records", Key="unsigned")["Metadata"]
    for name, directive in (("copied", replace), ("kept", {"MetadataDirective": "COPY"}), ("again", {})):
        s3.copy_object(Bucket="records", Key=name, CopySource="records/unsigned", Metadata=read, **directive)
        assert s3.head_object(Bucket="records", Key=name)["Metadata"] == read
        assert signature_of(hospital, name)[2] == cms
        assert s3.get_object(Bucket="records", Key=name)["Body"].read() == body


def test_a_copy_in_parts_that_sends_on_what_head_told_has_the_signature_and_half_a_copy_is_refused(hospital, s3, signers):
    body = os.urandom(6 * MIB)
    cms = signers.sign(body, "doctor")
    put(s3, "whole", body, text(cms))
    told = s3.head_object(Bucket="records", Key="whole")["Metadata"]
    for name, end in (("all", len(body)), ("half", len(body) // 2)):
        at = {"Bucket": "records", "Key": name}
        at["UploadId"] = s3.create_multipart_upload(**at, Metadata=told)["UploadId"]
        source = {"CopySource": "records/whole", "CopySourceRange": f"bytes=0-{end - 1}"}
        etag = s3.upload_part_copy(**at, PartNumber=1, **source)["CopyPartResult"]["ETag"]
        upload = {**at, "MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": etag}]}}
        if name == "half":
            assert failure(s3.complete_multipart_upload, **upload) == (400, "DocumentSignatureDoesNotMatch")
        else:
            s3.complete_multipart_upload(**upload)
    assert s3.head_object(Bucket="records", Key="all")["Metadata"] == told
    assert signature_of(hospital, "all")[2] == cms
    assert failure(s3.head_object, Bucket="records", Key="half") == (404, "404")


@pytest.mark.skipif(shutil.which("aws") is None, reason="aws is not installed")
def test_awscli_stores_a_signed_document(hospital, s3, signers, tmp_path):
    body = os.urandom(9 * MIB)
    (tmp_path / "scan.bin").write_bytes(body)
    env = {
        "PATH": os.environ["PATH"],
        "AWS_ACCESS_KEY_ID": hospital.info["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": hospital.info["secret_access_key"],
        "AWS_DEFAULT_REGION": hospital.info["region"],
        "AWS_ENDPOINT_URL": hospital.info["s3_endpoint"],
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
    }
    for name, cms, code in (("by-aws", signers.sign(body, "doctor"), 0), ("not-by-aws", signers.sign(b"else", "doctor"), 1)):
        copy = ["aws", "s3", "cp", str(tmp_path / "scan.bin"), f"s3://records/{name}", "--metadata", f"{SIGNATURE}={text(cms)}"]
        done = subprocess.run(copy, capture_output=True, text=True, timeout=300, env=env)
        assert done.returncode == code, done.stdout + done.stderr
    assert failure(s3.head_object, Bucket="records", Key="not-by-aws") == (404, "404")


def test_the_hospital_says_which_standings_are_stored_beside_trusted(new_site, signers):
    site = new_site()
    s3 = site.client()
    s3.create_bucket(Bucket="records")
    # without anchors nobody is trusted, and a document that is signed cannot be told from any
    assert refused(s3, "letter", b"x", text(signers.sign(b"x", "doctor"))) == (403, "SignerNotTrusted")
    site.stop()
    trust(site, signers, more='accept_signers = ["unknown-issuer"]\n')
    site.start()
    s3 = site.client()
    put(s3, "letter", b"x", text(signers.sign(b"x", "doctor", "stranger")))
    assert sorted(s3.head_object(Bucket="records", Key="letter")["Metadata"][SIGNERS].split(",")) == ["trusted", "unknown-issuer"]
    assert refused(s3, "altered", b"y", text(signers.sign(b"x", "stranger"))) == (400, "DocumentSignatureDoesNotMatch")
    site.stop()
    trust(site, signers, more='accept_signers = ["anybody"]\n')
    with pytest.raises(RuntimeError, match="unknown-issuer"):
        site.start()
