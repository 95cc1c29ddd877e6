//! One sheet as a page to print: a file of HTML that needs nothing else, whose lines `escrow restore` finds again.

use super::day;
use crate::error::{Error, Result};
use crate::hospital::GatewayConfig;
use qrcodegen::{QrCode, QrCodeEcc};
use shosoin_keyring::escrow::words::{self, WordList};
use shosoin_keyring::escrow::{Share, sheet};
use zeroize::Zeroizing;

/// Modules of white around a QR code.
const QUIET: i32 = 4;

const STYLE: &str = "@page{size:A4;margin:18mm}body{font:11pt/1.4 serif;color:#000;background:#fff;max-width:174mm}\
    h1{font-size:17pt;margin:0 0 2mm}pre{font:11pt/1.55 monospace;margin:3mm 0}.s{display:flex;gap:7mm;clear:both}pre.words{font-size:8pt;line-height:1.35}svg{width:62mm;height:62mm;float:right;margin:0 0 4mm 6mm}\
    dl{display:grid;grid-template-columns:max-content auto;gap:1mm 5mm}dd{margin:0;overflow-wrap:anywhere}.w{clear:both;border-top:1px solid #000;padding-top:3mm}";

/// The page of one share for its holder, with its words where a list is named; a line to write on where nobody is.
pub fn html(share: &Share, holder: &str, list: Option<WordList>, config: &GatewayConfig) -> Result<Zeroizing<String>> {
    let facts = share.facts();
    let (index, needed, shares) = (share.index(), facts.quorum.needed, facts.quorum.shares);
    let holder = if holder.is_empty() { "______________________________".to_owned() } else { escaped(holder) };
    let vault =
        config.vault_url.as_deref().map_or_else(String::new, |url| format!("<dt>Vault</dt><dd>{}</dd>", escaped(url)));
    let pin = config
        .vault_pin
        .as_deref()
        .map_or_else(String::new, |pin| format!("<dt>Vault pin</dt><dd>{}</dd>", escaped(pin)));
    let mut page = Zeroizing::new(String::with_capacity(64 * 1024));
    page.push_str(&format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Shosoin escrow sheet {index} of {shares}</title>\n\
         <style>{STYLE}</style></head><body>\n{}\n<h1>Shosoin &#183; &#27491;&#20489;&#38498;<br>Escrow sheet {index} of {shares}</h1>\n\
         <dl><dt>Holder</dt><dd>{holder}</dd><dt>Sheet</dt><dd>{index} of {shares}; {needed} bring the root back</dd>\n\
         <dt>Made</dt><dd>{}</dd><dt>Hospital</dt><dd>{}</dd><dt>Split</dt><dd>{}</dd>{vault}{pin}</dl>\n<div class=\"s\"><pre>\n",
        picture(share)?.as_str(),
        day(facts),
        facts.hospital,
        hex::encode(facts.set),
    ));
    page.push_str(&sheet::lines(share));
    page.push_str("</pre>\n");
    if let Some(list) = list {
        page.push_str("<pre class=\"words\">\n");
        page.push_str(&words::lines(share, list).map_err(Error::escrow("write the words of a sheet"))?);
        page.push_str("</pre>\n");
    }
    page.push_str("</div>\n");
    let or_words = if list.is_some() { ", or the words line by line," } else { "" };
    page.push_str(&format!(
        "<div class=\"w\"><p>Any {needed} of these {shares} sheets, put together, open every record of this hospital. \
         Keep this one sealed, dry and locked away; never photograph, copy or send it; never let one person hold two, nor the \
         operator of the vault any. Hand it over in person when you leave, and say so to the hospital.</p>\n\
         <p>To use it: on a machine of the hospital run <code>shosoin escrow drill</code> or <code>shosoin escrow restore</code>, \
         and type the twelve lines with their numbers{or_words} or scan the code. There is no letter I, L, O or U. The last two characters \
         of a line check it, so that a slip is found in its line.</p>\n\
         <p>What the lines mean stands in docs/format.md of Shosoin under &#8220;Escrow share&#8221;: Shamir&#8217;s secret sharing over \
         GF(256), so that the sheet can be read without this program.</p></div>\n</body></html>\n"
    ));
    Ok(page)
}

/// The QR code of a share as a picture.
fn picture(share: &Share) -> Result<Zeroizing<String>> {
    let too_long = |_| Error::invalid("QR code", "a share is too long for one");
    let code = QrCode::encode_text(&sheet::code(share), QrCodeEcc::Medium).map_err(too_long)?;
    let edge = code.size() + 2 * QUIET;
    let mut picture = Zeroizing::new(String::with_capacity(48 * 1024));
    picture.push_str(&format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {edge} {edge}\" shape-rendering=\"crispEdges\"><path d=\""
    ));
    for y in 0..code.size() {
        for x in (0..code.size()).filter(|x| code.get_module(*x, y)) {
            picture.push_str(&format!("M{} {}h1v1h-1z", x + QUIET, y + QUIET));
        }
    }
    picture.push_str("\"/></svg>");
    Ok(picture)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use shosoin_keyring::Keyring;
    use shosoin_keyring::escrow::Quorum;
    use shosoin_protocol::Suite;

    #[test]
    fn a_printed_page_is_read_back_names_its_holder_and_cannot_be_made_to_run_anything() {
        let keyring = Keyring::generate(Suite::Default).unwrap();
        let shares = keyring.split(Quorum::default(), 0).unwrap();
        let config = GatewayConfig { vault_url: Some("https://v:1".to_owned()), ..GatewayConfig::default() };
        let page = html(&shares[1], "<script>Director</script>", Some(WordList::English), &config).unwrap();
        assert_eq!(*sheet::read(&page).unwrap().encode(), *shares[1].encode());
        assert!(page.contains("&lt;script&gt;Director") && !page.contains("<script") && page.contains("https://v:1"));
        let words: String =
            page.lines().filter(|line| line.starts_with('w')).map(|line| line.to_owned() + "\n").collect();
        assert_eq!(words.lines().count(), 19);
        assert_eq!(*sheet::read(&words).unwrap().encode(), *shares[1].encode());
        assert!(page.contains("Escrow sheet 2 of 5") && page.contains("1970-01-01"));
        assert!(!html(&shares[0], "", None, &config).unwrap().contains("http://v"), "nothing is loaded from anywhere");
    }
}
