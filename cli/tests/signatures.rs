//! Documents that bring signatures, through the real binary: signed by OpenSSL, verified before they are sealed and after they
//! were opened.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

#[path = "../../trust/tests/openssl/mod.rs"]
mod openssl;
mod support;

use openssl::{ENDED, GOOD, OpenSsl, TO_COME};
use std::path::PathBuf;
use support::site::Site;
use support::{Done, arg, shosoin};

/// A site that trusts one root, and documents with signatures below it.
struct Scene {
    site: Site,
    root: OpenSsl,
}

impl Scene {
    fn new() -> Scene {
        let scene = Scene { site: Site::new("6", 0), root: OpenSsl::new("Medical root") };
        for (name, validity) in [("doctor", GOOD), ("retired", ENDED), ("student", TO_COME)] {
            scene.root.issue_ec(name, "signer", validity);
        }
        scene.trust(&scene.root.fingerprint("ca"));
        scene
    }

    fn trust(&self, fingerprint: &str) {
        std::fs::write(self.site.path("hospital/doctors.pem"), self.root.read("ca.pem")).unwrap();
        let text = format!("form = 1\n[documents]\nanchors = \"doctors.pem\"\nfingerprints = [\"{fingerprint}\"]\n");
        std::fs::write(self.site.path("hospital/gateway.toml"), text).unwrap();
    }

    /// A document and its signature.
    fn document(&self, signer: &str, text: &str) -> (PathBuf, PathBuf) {
        let (document, signature) = (self.site.path("letter.xml"), self.site.path("letter.p7s"));
        std::fs::write(&document, text).unwrap();
        std::fs::write(&signature, self.root.sign(signer, &document, &[])).unwrap();
        (document, signature)
    }

    fn put(&self, name: &str, (document, signature): &(PathBuf, PathBuf), more: &[&str]) -> Done {
        let put = ["put", "records", name, arg(document), "--signature", arg(signature), "--dir", self.site.arg()];
        shosoin(&[&put[..], &["--json"], more].concat())
    }

    fn get(&self, name: &str) -> Done {
        let out = self.site.path(&format!("{name}.out"));
        shosoin(&["get", "records", name, "--out", arg(&out), "--dir", self.site.arg(), "--json"])
    }
}

#[test]
fn a_signed_document_is_verified_before_it_is_sealed_and_after_it_was_opened_3_5_r2_7_6_11_s4() {
    let scene = Scene::new();
    let letter = scene.document("doctor", "Discharged in good health.");
    assert_eq!(scene.put("letter", &letter, &[]).ok().json()["signers"][0], "trusted");
    let got = scene.get("letter").ok().json();
    let signer = &got["signature"]["signers"][0];
    assert_eq!((&signer["stored"], &signer["now"]), (&"trusted".into(), &"trusted".into()));
    assert_eq!(signer["subject"], "CN=doctor");
    assert_eq!(std::fs::read(scene.site.path("letter.out")).unwrap(), std::fs::read(&letter.0).unwrap());
    let verify = ["verify", "records", "letter", "--dir", scene.site.arg(), "--json"];
    let proof = shosoin(&[&verify[..], &["--content"]].concat()).ok().json();
    assert_eq!(
        (&proof["signature"]["verified"], &proof["signature"]["signers"][0]["now"]),
        (&true.into(), &"trusted".into())
    );
    assert_eq!(shosoin(&verify).ok().json()["signature"]["verified"], false);
    // trust that is withdrawn later shows; what was true when it was stored stays in the deposit
    std::fs::write(scene.site.path("hospital/gateway.toml"), "form = 1\n").unwrap();
    let got = shosoin(&["get", "records", "letter", "--out", "-", "--dir", scene.site.arg()]).ok();
    assert_eq!(got.stdout, "Discharged in good health.");
    let proof = shosoin(&[&verify[..], &["--content"]].concat()).ok().json();
    let signer = &proof["signature"]["signers"][0];
    assert_eq!((&signer["stored"], &signer["now"]), (&"trusted".into(), &"unknown-issuer".into()));
}

#[test]
fn a_document_that_was_altered_is_not_stored_whatever_is_accepted() {
    let scene = Scene::new();
    let (document, signature) = scene.document("doctor", "Allergic to penicillin.");
    std::fs::write(&document, "Allergic to no drug....").unwrap();
    let accept = ["--accept-signer", "unknown-issuer", "--accept-signer", "not-believed"];
    for more in [&[][..], &accept] {
        scene.put("altered", &(document.clone(), signature.clone()), more).fails(5, &["is not what was signed"]);
    }
    std::fs::write(&signature, b"no signature").unwrap();
    scene.put("altered", &(document, signature), &[]).fails(2, &["CMS"]);
    let listed = shosoin(&["ls", "records", "--dir", scene.site.arg(), "--json"]).ok();
    assert!(!listed.stdout.contains("altered"));
}

#[test]
fn signers_who_are_not_trusted_are_refused_or_kept_as_what_they_are() {
    let scene = Scene::new();
    for (signer, standing) in [("retired", "expired"), ("student", "not-yet-valid")] {
        let letter = scene.document(signer, signer);
        scene.put(signer, &letter, &[]).fails(4, &[standing, "--accept-signer"]);
        scene.put(signer, &letter, &["--accept-signer", "unknown-issuer"]).fails(4, &[standing]);
        let stored = scene.put(signer, &letter, &["--accept-signer", standing]).ok().json();
        assert_eq!(stored["signers"][0], standing);
        let got = scene.get(signer).ok().json();
        assert_eq!(got["signature"]["signers"][0]["stored"], standing);
        let stat = shosoin(&["stat", "records", signer, "--dir", scene.site.arg(), "--json"]).ok().json();
        assert_eq!(stat["signers"][0], standing);
    }
    let letter = scene.document("doctor", "by a doctor");
    std::fs::write(scene.site.path("hospital/gateway.toml"), "form = 1\n").unwrap();
    scene.put("doctor", &letter, &[]).fails(4, &["unknown-issuer", "file and fingerprint"]);
    scene.put("doctor", &letter, &["--accept-signer", "unknown-issuer"]).ok();
    scene.put("doctor", &letter, &["--accept-signer", "anybody"]).fails(2, &["unknown-issuer"]);
}

#[test]
fn anchors_of_documents_are_entered_by_two_ways() {
    let scene = Scene::new();
    let letter = scene.document("doctor", "x");
    scene.trust(&OpenSsl::new("Another").fingerprint("ca"));
    scene.put("letter", &letter, &[]).fails(2, &["nobody entered that fingerprint"]);
    scene.trust(&scene.root.fingerprint("ca").to_lowercase());
    scene.put("letter", &letter, &[]).ok();
}
