//! The text of evidence: sections under headings, everything binary in base64, a digest at its end.

use super::{Attestation, Class, Evidence, Part, Place, invalid};
use crate::limits::{EVIDENCE_BYTES_MAX, EVIDENCE_REPORT_LINES_MAX, EVIDENCE_TIMESTAMPS_MAX, PROOF_HASHES_MAX};
use crate::sign::{PublicKey, Signature};
use crate::suite::sha256;
use crate::{Digest, Error, HospitalId, Result, VaultId};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::fmt::Write as _;
use std::str::FromStr;

/// First line.
const FIRST_LINE: &str = "shosoin evidence v1";
/// What a heading begins with.
const HEADING: &str = "=== ";
/// Characters of base64 in one line.
const WIDTH: usize = 76;

/// Everything a device attests.
pub fn body(evidence: &Evidence) -> String {
    let Evidence { class, vault, hospital, found_ms, .. } = evidence;
    let (name, sentence) = (class.name(), class.sentence());
    let mut out =
        format!("{FIRST_LINE}\nclass {name}\nvault {vault}\nhospital {hospital}\nfound {found_ms}\n\n{sentence}\n\n");
    for part in &evidence.parts {
        write_part(&mut out, part);
    }
    out
}

/// Everything that timestamp `number` covers.
pub fn covered(evidence: &Evidence, number: usize) -> String {
    let mut out = body(evidence);
    if let Some(Attestation { device_key, certificate, signature }) = &evidence.attestation {
        let (certificate, signature) = (hex::encode(certificate.0), hex::encode(signature.0));
        heading(&mut out, "attestation");
        let _ = writeln!(out, "device {device_key}\ncertificate {certificate}\nsignature {signature}");
    }
    for token in evidence.timestamps.iter().take(number) {
        heading(&mut out, "timestamp");
        write_base64(&mut out, token);
    }
    out
}

/// The whole text.
pub fn render(evidence: &Evidence) -> String {
    let mut out = covered(evidence, evidence.timestamps.len());
    let digest = sha256(&[out.as_bytes()]);
    heading(&mut out, "digest");
    let _ = writeln!(out, "{digest}");
    out
}

fn heading(out: &mut String, title: &str) {
    out.push_str(HEADING);
    out.push_str(title);
    out.push('\n');
}

fn write_part(out: &mut String, part: &Part) {
    heading(out, &title(part));
    match part {
        Part::Remembered(head) | Part::Head(head) => out.push_str(head),
        Part::Consistency { proof, .. } => write_hashes(out, proof),
        Part::Receipt(bytes) | Part::Entry(bytes) | Part::OtherEntry(bytes) | Part::Answer(bytes) => {
            write_base64(out, bytes)
        }
        Part::EntryPlace(place) | Part::OtherPlace(place) | Part::AddressPlace(place) => {
            let _ = writeln!(out, "index {}", place.index);
            write_hashes(out, &place.proof);
        }
        Part::Device { key, certificate } => {
            let _ = writeln!(out, "device {key}\ncertificate {}", hex::encode(certificate.0));
        }
        Part::Received { address, len, digest } => {
            let _ = writeln!(out, "address {address}\nbytes {len}\ndigest {digest}");
        }
        Part::Report(lines) => lines.iter().for_each(|(name, value)| {
            let _ = writeln!(out, "{name} {value}");
        }),
    }
}

fn title(part: &Part) -> String {
    let fixed = match part {
        Part::Remembered(_) => "remembered head",
        Part::Head(_) => "head",
        Part::Consistency { from, to, .. } => return format!("consistency proof from {from} to {to} leaves"),
        Part::Receipt(_) => "receipt",
        Part::Entry(_) => "entry",
        Part::EntryPlace(_) => "place of the entry",
        Part::OtherEntry(_) => "other entry",
        Part::OtherPlace(_) => "other place",
        Part::AddressPlace(_) => "place of the address",
        Part::Answer(_) => "answer",
        Part::Device { .. } => "device",
        Part::Received { .. } => "received",
        Part::Report(_) => "report",
    };
    fixed.to_owned()
}

fn write_base64(out: &mut String, bytes: &[u8]) {
    let text = BASE64.encode(bytes);
    for at in (0..text.len()).step_by(WIDTH) {
        out.push_str(&text[at..text.len().min(at + WIDTH)]);
        out.push('\n');
    }
}

fn write_hashes(out: &mut String, hashes: &[Digest]) {
    for hash in hashes {
        let _ = writeln!(out, "{}", BASE64.encode(hash.0));
    }
}

/// Reads a text. What parses is the text that [`render`] gives back.
pub fn parse(text: &str) -> Result<Evidence> {
    if text.len() > EVIDENCE_BYTES_MAX {
        let (found, limit) = (text.len() as u64, EVIDENCE_BYTES_MAX as u64);
        return Err(Error::OverLimit { what: "evidence", found, limit });
    }
    let mut sections = text.split_inclusive('\n').collect::<Vec<_>>();
    let end = sections.iter().position(|line| line.starts_with(HEADING)).unwrap_or(sections.len());
    let mut evidence = parse_head(&sections.drain(..end).collect::<String>())?;
    let mut digest = None;
    while !sections.is_empty() {
        let end = sections[1..].iter().position(|line| line.starts_with(HEADING)).map_or(sections.len(), |at| at + 1);
        let section: Vec<&str> = sections.drain(..end).collect();
        let (title, lines) = (section[0].trim_start_matches(HEADING).trim_end_matches('\n'), &section[1..]);
        match title {
            _ if digest.is_some() => return Err(invalid("something follows its digest")),
            "digest" => digest = Some(lines.concat()),
            "attestation" => evidence.attestation = Some(parse_attestation(lines)?),
            "timestamp" => evidence.timestamps.push(parse_base64(lines)?),
            title => evidence.parts.push(parse_part(title, lines)?),
        }
    }
    if evidence.timestamps.len() > EVIDENCE_TIMESTAMPS_MAX {
        let (found, limit) = (evidence.timestamps.len() as u64, EVIDENCE_TIMESTAMPS_MAX as u64);
        return Err(Error::OverLimit { what: "timestamps of evidence", found, limit });
    }
    if !evidence.parts.is_sorted_by(|one, next| one.rank() < next.rank()) {
        return Err(invalid("its sections must be in their order, each once"));
    }
    if digest.is_none() {
        return Err(invalid("it is cut: its digest is missing"));
    }
    match render(&evidence) == text {
        true => Ok(evidence),
        false => Err(invalid("it was changed, or is not in its one form")),
    }
}

fn parse_head(text: &str) -> Result<Evidence> {
    let lines: Vec<&str> = text.split('\n').collect();
    let [first, class, vault, hospital, found, ..] = lines[..] else {
        return Err(Error::Magic { what: "evidence" });
    };
    if first != FIRST_LINE {
        return match first.starts_with("shosoin evidence v") {
            true => Err(invalid("this release reads version 1 of it")),
            false => Err(Error::Magic { what: "evidence" }),
        };
    }
    let class = Class::from_name(field(class, "class")?).ok_or(invalid("this release knows no such class"))?;
    let (vault, hospital) = (parsed::<VaultId>(vault, "vault")?, parsed::<HospitalId>(hospital, "hospital")?);
    let found_ms = number(field(found, "found")?)?;
    Ok(Evidence::new(class, (vault, hospital), found_ms, Vec::new()))
}

fn parse_part(title: &str, lines: &[&str]) -> Result<Part> {
    if let Some(span) = title.strip_prefix("consistency proof from ") {
        let span = span.strip_suffix(" leaves").and_then(|span| span.split_once(" to "));
        let (from, to) = span.ok_or(invalid("the sizes of its consistency proof do not parse"))?;
        return Ok(Part::Consistency { from: number(from)?, to: number(to)?, proof: parse_hashes(lines)? });
    }
    match title {
        "remembered head" => Ok(Part::Remembered(lines.concat())),
        "head" => Ok(Part::Head(lines.concat())),
        "receipt" => parse_base64(lines).map(Part::Receipt),
        "entry" => parse_base64(lines).map(Part::Entry),
        "place of the entry" => parse_place(lines).map(Part::EntryPlace),
        "other entry" => parse_base64(lines).map(Part::OtherEntry),
        "other place" => parse_place(lines).map(Part::OtherPlace),
        "place of the address" => parse_place(lines).map(Part::AddressPlace),
        "answer" => parse_base64(lines).map(Part::Answer),
        "device" => match lines {
            [key, certificate] => {
                Ok(Part::Device { key: parsed(key, "device")?, certificate: signed(certificate, "certificate")? })
            }
            _ => Err(invalid("a device must be its key and its certificate")),
        },
        "received" => match lines {
            [address, len, digest] => Ok(Part::Received {
                address: parsed(address, "address")?,
                len: number(field(len, "bytes")?)?,
                digest: parsed(digest, "digest")?,
            }),
            _ => Err(invalid("what was received must be address, bytes and digest")),
        },
        "report" => parse_report(lines),
        _ => Err(invalid("this release knows no such section")),
    }
}

fn parse_report(lines: &[&str]) -> Result<Part> {
    if lines.len() > EVIDENCE_REPORT_LINES_MAX {
        let (found, limit) = (lines.len() as u64, EVIDENCE_REPORT_LINES_MAX as u64);
        return Err(Error::OverLimit { what: "lines of a report", found, limit });
    }
    let pair = |line: &&str| {
        let pair = line.trim_end_matches('\n').split_once(' ');
        let (name, value) = pair.ok_or(invalid("a line of its report must be name and value"))?;
        Ok((name.to_owned(), value.to_owned()))
    };
    lines.iter().map(pair).collect::<Result<_>>().map(Part::Report)
}

fn parse_attestation(lines: &[&str]) -> Result<Attestation> {
    let [device, certificate, signature] = lines else {
        return Err(invalid("its attestation must be device, certificate and signature"));
    };
    Ok(Attestation {
        device_key: parsed::<PublicKey>(device, "device")?,
        certificate: signed(certificate, "certificate")?,
        signature: signed(signature, "signature")?,
    })
}

fn signed(line: &str, name: &str) -> Result<Signature> {
    let mut out = [0; Signature::LEN];
    match hex::decode_to_slice(field(line, name)?, &mut out) {
        Ok(()) => Ok(Signature(out)),
        Err(_) => Err(invalid("a signature must be 64 bytes in hex")),
    }
}

fn parse_place(lines: &[&str]) -> Result<Place> {
    match lines {
        [index, hashes @ ..] => Ok(Place { index: number(field(index, "index")?)?, proof: parse_hashes(hashes)? }),
        [] => Err(invalid("a place must begin with its index")),
    }
}

fn parse_hashes(lines: &[&str]) -> Result<Vec<Digest>> {
    if lines.len() > PROOF_HASHES_MAX {
        let (found, limit) = (lines.len() as u64, PROOF_HASHES_MAX as u64);
        return Err(Error::OverLimit { what: "proof hashes", found, limit });
    }
    let hash = |line: &&str| BASE64.decode(line.trim_end_matches('\n')).ok()?.try_into().ok().map(Digest);
    let hashes: Option<Vec<Digest>> = lines.iter().map(hash).collect();
    hashes.ok_or(invalid("a hash must be 32 bytes in base64"))
}

fn parse_base64(lines: &[&str]) -> Result<Vec<u8>> {
    let text: String = lines.iter().map(|line| line.trim_end_matches('\n')).collect();
    BASE64.decode(text).map_err(|_| invalid("a section is not base64"))
}

/// What follows `name` and a space.
fn field<'a>(line: &'a str, name: &str) -> Result<&'a str> {
    let line = line.trim_end_matches('\n').strip_prefix(name).and_then(|rest| rest.strip_prefix(' '));
    line.ok_or(invalid("a line does not begin with its name"))
}

fn parsed<T: FromStr<Err = Error>>(line: &str, name: &str) -> Result<T> {
    field(line, name)?.parse()
}

fn number(text: &str) -> Result<u64> {
    text.parse().map_err(|_| invalid("a number does not parse"))
}
