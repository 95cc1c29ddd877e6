//! Structures that other crates encode, from their golden vectors: what only their owners can compute is taken as it is.

use super::table::Structure;
use shosoin_protocol::suite::sha256;
use std::path::Path;

/// Body of a vector.
fn body(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors").join(name).with_extension("txt");
    let text = std::fs::read_to_string(&path).expect("the vector is there");
    let digits = text.split_once("\n\n").expect("a vector has a body").1;
    hex::decode(digits.split_whitespace().collect::<String>()).expect("a body is hex")
}

fn structure(encoded: Vec<u8>, fields: Vec<(&'static str, Vec<u8>)>) -> Structure {
    Structure { begins_at: 0, ends_at: encoded.len(), encoded, fields }
}

/// What a file ends with: SHA-256 of everything before.
fn digest(bytes: &[u8]) -> Vec<u8> {
    sha256(&[&bytes[..bytes.len() - 32]]).0.to_vec()
}

/// Every structure that is read from a vector here, by the title of its table.
pub fn all() -> Vec<(&'static str, Structure)> {
    let (key_file, local, label) = (
        body("key-file/valid-specimen-suite-1"),
        body("local-seal/valid-specimen-suite-1"),
        body("volume-label/valid-full"),
    );
    let share = body("escrow-share/valid-2-suite-1");
    let of_share = vec![
        ("magic", b"shes".to_vec()),
        ("version", vec![1]),
        ("suite", vec![1]),
        ("needed", vec![2]),
        ("shares", vec![3]),
        ("index", vec![2]),
        ("reserved", vec![0]),
        ("made", 20717u32.to_le_bytes().to_vec()),
        ("hospital", vec![0x11; 16]),
        ("set", vec![0x99; 16]),
        ("commitment", share[46..78].to_vec()),
        ("value", share[78..142].to_vec()),
        ("checksum", sha256(&[&share[..142]]).0[..8].to_vec()),
    ];
    let head = |magic: &[u8; 4]| {
        vec![
            ("magic", magic.to_vec()),
            ("version", vec![1]),
            ("suite", vec![1]),
            ("reserved", vec![0; 2]),
            ("hospital", vec![0x11; 16]),
        ]
    };
    let end = key_file.len();
    let of_key_file = vec![
        ("memory", 64u32.to_le_bytes().to_vec()),
        ("passes", 1u32.to_le_bytes().to_vec()),
        ("lanes", 1u32.to_le_bytes().to_vec()),
        ("salt", vec![0x66; 32]),
        ("commitment", key_file[68..100].to_vec()),
        ("sealed", key_file[100..end - 48].to_vec()),
        ("tag", key_file[end - 48..end - 32].to_vec()),
        ("digest", digest(&key_file)),
    ];
    let token = body("key-file-token/valid-specimen-suite-1");
    let end = token.len();
    let of_token = vec![
        ("memory", 64u32.to_le_bytes().to_vec()),
        ("passes", 1u32.to_le_bytes().to_vec()),
        ("lanes", 1u32.to_le_bytes().to_vec()),
        ("salt", vec![0x66; 32]),
        ("mechanism", vec![1]),
        ("reserved", vec![0; 3]),
        ("key", vec![0x55; 16]),
        ("serial", b"8a1f            ".to_vec()),
        ("label", b"hospital                        ".to_vec()),
        ("wrapped", vec![0x44; 40]),
        ("commitment", token[176..208].to_vec()),
        ("sealed", token[208..end - 48].to_vec()),
        ("tag", token[end - 48..end - 32].to_vec()),
        ("digest", digest(&token)),
    ];
    let end = local.len();
    let of_local = vec![
        ("salt", vec![0x66; 32]),
        ("commitment", local[56..88].to_vec()),
        ("sealed", local[88..end - 16].to_vec()),
        ("tag", local[end - 16..].to_vec()),
    ];
    let of_label = vec![
        ("magic", b"shvl".to_vec()),
        ("version", vec![1]),
        ("flags", vec![1]),
        ("tier", vec![1]),
        ("media class", vec![2]),
        ("volume id", vec![0x11; 16]),
        ("generation", 3u64.to_le_bytes().to_vec()),
        ("first use", 1_790_000_000_000u64.to_le_bytes().to_vec()),
        ("rated life unit", vec![1]),
        ("reserved", vec![0; 3]),
        ("rated life", 5u32.to_le_bytes().to_vec()),
        ("texts", label[48..label.len() - 32].to_vec()),
        ("checksum", digest(&label)),
    ];
    vec![
        ("Key file", structure(key_file, [head(b"shky"), of_key_file].concat())),
        ("Key file of a token", structure(token, [head(b"shkt"), of_token].concat())),
        ("Local file", structure(local, [head(b"shlc"), of_local].concat())),
        ("Escrow share", structure(share, of_share)),
        ("Volume label", structure(label, of_label)),
    ]
}
