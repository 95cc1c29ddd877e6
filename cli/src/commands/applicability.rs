//! `shosoin applicability`: every control of the guideline with its state, the evidence, and when it was measured.

use crate::error::{Error, Result};
use crate::operator;
use crate::output::{Output, print};
use clap::{Args, ValueEnum};
use shosoin_store::applicability::{Lang, Scope, State, Statement, StatementRequest, page};
use std::path::PathBuf;

/// Arguments of `applicability`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    shosoin applicability --dir ./vault --format html --lang ja > applicability.html\n  \
    shosoin applicability --dir ./vault --format json --lang en\n\n\
    Who answers for the organisation's controls, and by which document, is read from attestations.toml beside\n\
    vault.toml: [[attestation]] control, owner, document, reviewed, next.")]
pub struct ApplicabilityArgs {
    /// Folder of the vault, or of a site made by `up`
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Measure only what concerns this hospital [default: all of them]
    #[arg(long, value_name = "ID")]
    hospital: Option<String>,
    /// How it is written [default: text, or json with --json]
    #[arg(long, value_name = "FORM")]
    format: Option<Form>,
    /// Language
    #[arg(long, value_name = "LANG", default_value = "ja")]
    lang: Language,
}

/// How a statement is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    Text,
    Html,
    Json,
}

/// Languages on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Language {
    Ja,
    En,
}

/// Measures, and prints the statement.
pub async fn run(args: ApplicabilityArgs, output: Output) -> Result<()> {
    let lang = if args.lang == Language::Ja { Lang::Ja } else { Lang::En };
    let request = StatementRequest { hospital: args.hospital.clone(), lang };
    let statement = operator::applicability(&args.dir, request).await?;
    let form = args.format.unwrap_or(if output.is_json() { Form::Json } else { Form::Text });
    let text = match form {
        Form::Json => {
            serde_json::to_string(&statement).map_err(|error| Error::invalid("statement", error.to_string()))? + "\n"
        }
        Form::Html => {
            let scope = Scope { vault: operator::vault_id(&args.dir)?, hospital: args.hospital };
            page(&statement, &scope, lang).map_err(Error::vault("write the page"))?
        }
        Form::Text => text(&statement, lang),
    };
    print(&text)
}

fn text(statement: &Statement, lang: Lang) -> String {
    let words = |state: State| match (state, lang) {
        (State::Met, Lang::Ja) => "適合",
        (State::NotMet, Lang::Ja) => "不適合",
        (State::NotShown, Lang::Ja) => "未提示",
        (State::Organisation, Lang::Ja) => "組織の責務",
        (State::Met, Lang::En) => "met",
        (State::NotMet, Lang::En) => "not met",
        (State::NotShown, Lang::En) => "not shown",
        (State::Organisation, Lang::En) => "organisation",
    };
    let mut out = match lang {
        Lang::Ja => format!("適用宣言書　指針第 {} 版\n\n", statement.edition),
        Lang::En => format!("Statement of applicability, guideline edition {}\n\n", statement.edition),
    };
    for line in &statement.controls {
        let when = line.measured_at.as_deref().unwrap_or("-");
        out += &format!("{:<14} {}  {when}\n    {}\n", line.id, words(line.state), line.evidence);
    }
    let count = |state| statement.controls.iter().filter(|line| line.state == state).count();
    let states = [State::Met, State::NotMet, State::NotShown, State::Organisation];
    let counts = states.map(|state| format!("{} {}", words(state), count(state)));
    out + &format!("\n{}\n", counts.join(", "))
}
