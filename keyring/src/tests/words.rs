//! Sheets as words: the published vectors of BIP-39, every share back, every slip found and named by its place.

use super::*;
use crate::escrow::words::{self, WORDS, WordList};
use crate::escrow::{Quorum, Share, sheet};
use bip39::{Language, Mnemonic};

fn share() -> Share {
    keyring(Suite::Default).split(Quorum::default(), 1_790_000_000_000).unwrap().remove(3)
}

/// The words alone, without the numbers of lines.
fn unnumbered(lines: &str) -> Vec<String> {
    lines.lines().flat_map(|line| line.split(' ').skip(1).map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[test]
fn the_lists_are_those_of_bip_39_and_its_published_vectors_hold() {
    // trezor/python-mnemonic vectors.json, and bip32JP/bip32JP.github.io test_JP_BIP39.json
    let twice = |word: &str, times: usize, last: &str| [vec![word; times], vec![last]].concat().join(" ");
    let cases = [
        (Language::English, "00".repeat(32), twice("abandon", 23, "art")),
        (Language::English, "ff".repeat(32), twice("zoo", 23, "vote")),
        (
            Language::English,
            "68a79eaca2324873eacc50cb9c6eca8cc68ea5d936f98787c60c7ebc74e6ce7c".to_owned(),
            "hamster diagram private dutch cause delay private meat slide toddler razor book happy fancy gospel tennis \
             maple dilemma loan word shrug inflict delay length"
                .to_owned(),
        ),
        (
            Language::English,
            "f585c11aec520db57dd353c69554b21a89b20fb0650966fa0a9d6f74fd989d8f".to_owned(),
            "void come effort suffer camp survey warrior heavy shoot primary clutch crush open amazing screen patrol \
             group space point ten exist slush involve unfold"
                .to_owned(),
        ),
        (Language::Japanese, "00".repeat(32), twice("あいこくしん", 23, "いってい")),
    ];
    for (language, entropy, phrase) in cases {
        let made = Mnemonic::from_entropy_in(language, &hex::decode(&entropy).unwrap()).unwrap();
        let normal = |text: &str| {
            let mut text = std::borrow::Cow::Owned(text.to_owned());
            Mnemonic::normalize_utf8_cow(&mut text);
            text.into_owned()
        };
        assert_eq!(normal(&made.to_string()), normal(&phrase));
        assert_eq!(hex::encode(Mnemonic::parse_in(language, &phrase).unwrap().to_entropy()), entropy);
    }
}

#[test]
fn a_share_comes_back_from_its_words_with_numbers_without_them_and_as_people_type() {
    for _ in 0..20 {
        let share = share();
        for which in WordList::ALL {
            let lines = words::lines(&share, which).unwrap();
            assert_eq!((lines.lines().count(), unnumbered(&lines).len()), (19, WORDS));
            let mut shuffled: Vec<&str> = lines.lines().collect();
            shuffled.reverse();
            let typed = [
                lines.to_string(),
                shuffled.join("\n"),
                unnumbered(&lines).join(" "),
                unnumbered(&lines).join("\u{3000}\n"),
                lines.to_uppercase(),
                format!("a printed page\n\n{}\nand its end", lines.as_str()),
            ];
            for text in typed {
                assert_eq!(*sheet::read(&text).unwrap().encode(), *share.encode(), "{text}");
            }
        }
    }
    // an input method gives composed letters, the list has decomposed ones
    let share = share();
    let lines = words::lines(&share, WordList::Japanese).unwrap();
    let composed = lines.replace("か\u{3099}", "が").replace("き\u{3099}", "ぎ").replace("た\u{3099}", "だ");
    assert_eq!(*sheet::read(&composed).unwrap().encode(), *share.encode());
}

#[test]
fn a_wrong_word_is_named_by_its_place_and_words_that_changed_places_by_their_group() {
    let share = share();
    let lines = words::lines(&share, WordList::English).unwrap();
    let good = unnumbered(&lines);
    let refusal = |text: &str| sheet::read(text).map(|_| ()).unwrap_err().to_string();
    for at in [0, 16, 95, 110] {
        let mut words = good.clone();
        words[at] = "shosoin".to_owned();
        let said = refusal(&words.join(" "));
        assert!(said.starts_with(&format!("word {} of the sheet is not right: it is in no list", at + 1)), "{said}");
    }
    let mut found = 0;
    for at in (0..110).filter(|at| good[*at] != good[at + 1] && !matches!(at, 23 | 47 | 71 | 95)) {
        let mut words = good.clone();
        words.swap(at, at + 1);
        let said = sheet::read(&words.join(" ")).map(|share| share.encode().to_vec());
        found += usize::from(matches!(&said, Err(Error::SheetWords { .. })));
        assert!(!said.is_ok_and(|bytes| bytes != *share.encode()), "words {at} changed places unnoticed");
    }
    assert!(found > 90, "{found}"); // a group has eight bits of checksum; the share's own finds the others
    let without: Vec<&str> = lines.lines().filter(|line| !line.starts_with("w07")).collect();
    assert!(
        refusal(&without.join("\n")).starts_with("words 37 to 42 of the sheet are not right: their line is missing")
    );
    let twice = format!("{}{}", lines.as_str(), lines.lines().next().unwrap());
    assert!(refusal(&twice).contains("words 1 to 6 of the sheet are not right: their line is there twice"));
    let short = lines.replacen(&format!(" {}", good[5]), "", 1);
    assert!(refusal(&short).contains("more or fewer"), "{}", refusal(&short));
    assert!(refusal(&good[1..].join(" ")).contains("a sheet has 111 words"));
    let mut mixed = words::lines(&share, WordList::Japanese).unwrap().to_string();
    mixed =
        [lines.lines().take(2).collect::<Vec<_>>().join("\n"), mixed.lines().skip(2).collect::<Vec<_>>().join("\n")]
            .join("\n");
    assert!(refusal(&mixed).contains("word 1 of the sheet"), "{}", refusal(&mixed));
}
