//! `shosoin account`: the people who run a vault, what they may do, and what needs two of them. A password or code comes from a
//! file, a descriptor or a prompt, never from an argument.

mod own;
mod show;

use crate::commands::volume::DirArgs;
use crate::error::{Error, Result};
use crate::operator;
use crate::output::Output;
use clap::{Args, Subcommand};
use serde_json::Value;
use shosoin_store::accounts::{AccountCommand as Asked, AccountId, Role};
use shosoin_store::jobs::window::Window;
use std::time::Duration;

/// Commands about people.
#[derive(Debug, Subcommand)]
pub enum AccountCommand {
    /// Show who you are to the vault, and what you may do
    #[command(after_help = "Example:\n  shosoin account whoami --dir ./vault")]
    Whoami(DirArgs),
    /// Show everybody who may run the vault
    #[command(after_help = "Example:\n  shosoin account list --dir ./vault --json")]
    List(DirArgs),
    /// Show one person: roles over time, what those gave, what they did
    #[command(after_help = "Example:\n  shosoin account show --dir ./vault hanako.sato")]
    Show(OneArgs),
    /// Give somebody an account; the first one is an administrator, made by the owner of the vault's folder
    #[command(after_help = "Examples:\n  \
        shosoin account add --dir ./vault hanako.sato --name 'Sato Hanako' --role admin\n  \
        shosoin account add --dir ./vault taro.ito --role keeper --role media --os-user taro --hours 'Mon-Fri 08:00-18:00'")]
    Add(AddArgs),
    /// Give somebody other duties
    #[command(
        after_help = "Example:\n  shosoin account set-roles --dir ./vault taro.ito --role keeper --reason 'new duties'"
    )]
    SetRoles(SetRolesArgs),
    /// Give somebody other hours
    #[command(after_help = "Example:\n  \
        shosoin account set-hours --dir ./vault taro.ito --hours 'Mon-Fri 08:00-18:00' --hours 'Sat 09:00-12:00'")]
    SetHours(SetHoursArgs),
    /// Stop somebody at once, and list everything that person could reach
    #[command(after_help = "Example:\n  shosoin account suspend --dir ./vault taro.ito --reason 'badge lost'")]
    Suspend(StopArgs),
    /// Let somebody act again who was stopped or locked out
    #[command(after_help = "Example:\n  shosoin account resume --dir ./vault taro.ito --reason 'badge found'")]
    Resume(StopArgs),
    /// End an account for ever; its id is never given again
    #[command(after_help = "Example:\n  shosoin account close --dir ./vault taro.ito --reason 'left the company'")]
    Close(StopArgs),
    /// Say which user of this machine a person is
    #[command(after_help = "Example:\n  shosoin account map --dir ./vault taro.ito --os-user taro")]
    Map(MapArgs),
    /// Remember the public key with which a person signs approvals outside the vault
    #[command(after_help = "Example:\n  shosoin account key --dir ./vault taro.ito --key 01d75a98...")]
    Key(KeyArgs),
    /// Choose your password, or give somebody a first one that is shown once
    #[command(after_help = "Examples:\n  \
        shosoin account password --dir ./vault\n  shosoin account password --dir ./vault taro.ito --first")]
    Password(own::PasswordArgs),
    /// Enrol your second factor, shown once as a QR code, and prove it; or have somebody's forgotten
    #[command(after_help = "Examples:\n  \
        shosoin account totp --dir ./vault\n  shosoin account totp --dir ./vault taro.ito --forget --reason 'phone lost'")]
    Totp(own::TotpArgs),
    /// See who may do what and say that you looked; or verify what a stopped person could reach
    #[command(after_help = "Examples:\n  \
        shosoin account review --dir ./vault --reason 'first quarter'\n  \
        shosoin account review --dir ./vault --suspended taro.ito")]
    Review(ReviewArgs),
    /// Ask for more roles, or other hours, for a while
    #[command(after_help = "Example:\n  \
        shosoin account break-glass --dir ./vault --role media --for 2h --reason 'volume v03 died, media staff away'")]
    BreakGlass(BreakGlassArgs),
    /// Show what waits for a second person
    #[command(after_help = "Example:\n  shosoin account requests --dir ./vault")]
    Requests(RequestsArgs),
    /// Agree to what somebody else asked for
    #[command(after_help = "Example:\n  shosoin account approve --dir ./vault 12")]
    Approve(ApproveArgs),
    /// Turn down what somebody asked for, or take back your own request
    #[command(after_help = "Example:\n  shosoin account turn-down --dir ./vault 12 --reason 'not needed any more'")]
    TurnDown(TurnDownArgs),
    /// Owner of the vault's folder: stand up for the accounts file after it was lost, or restored by hand
    #[command(after_help = "Example:\n  \
        shosoin account confirm-file --dir ./vault --reason 'restored from the backup of 1 April'")]
    ConfirmFile(ReasonArgs),
}

/// A vault and a person.
#[derive(Debug, Args)]
pub struct OneArgs {
    #[command(flatten)]
    dir: DirArgs,
    /// Id of the person
    #[arg(value_name = "ID")]
    id: AccountId,
}

/// Why.
#[derive(Debug, Args)]
pub struct WhyArgs {
    /// Why; it goes to the audit log
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
}

/// Duties.
#[derive(Debug, Args)]
pub struct RoleArgs {
    /// A duty: keeper, media, disposal-approver, auditor, admin; repeat for more
    #[arg(long = "role", value_name = "ROLE", value_parser = parse_role, required = true)]
    roles: Vec<Role>,
}

/// Arguments of `account add`.
#[derive(Debug, Args)]
pub struct AddArgs {
    #[command(flatten)]
    one: OneArgs,
    /// Name of the person
    #[arg(long, value_name = "NAME", default_value = "")]
    name: String,
    #[command(flatten)]
    roles: RoleArgs,
    /// User of this machine that is this person
    #[arg(long, value_name = "USER")]
    os_user: Option<String>,
    /// Days and hours in which the person may act [default: always]; repeat for more
    #[arg(long, value_name = "WINDOW")]
    hours: Vec<Window>,
    #[command(flatten)]
    why: WhyArgs,
}

/// Arguments of `account set-roles`.
#[derive(Debug, Args)]
pub struct SetRolesArgs {
    #[command(flatten)]
    one: OneArgs,
    #[command(flatten)]
    roles: RoleArgs,
    #[command(flatten)]
    why: WhyArgs,
}

/// Arguments of `account set-hours`.
#[derive(Debug, Args)]
pub struct SetHoursArgs {
    #[command(flatten)]
    one: OneArgs,
    /// Days and hours in which the person may act; repeat for more
    #[arg(long, value_name = "WINDOW", required_unless_present = "always")]
    hours: Vec<Window>,
    /// At any hour
    #[arg(long, conflicts_with = "hours")]
    always: bool,
    #[command(flatten)]
    why: WhyArgs,
}

/// Arguments of commands that stop somebody or let them act again.
#[derive(Debug, Args)]
pub struct StopArgs {
    #[command(flatten)]
    one: OneArgs,
    /// Why; it goes to the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// Arguments of `account map`.
#[derive(Debug, Args)]
pub struct MapArgs {
    #[command(flatten)]
    one: OneArgs,
    /// User of this machine
    #[arg(long, value_name = "USER", required_unless_present = "none")]
    os_user: Option<String>,
    /// No user of this machine: the person uses the console alone
    #[arg(long, conflicts_with = "os_user")]
    none: bool,
    #[command(flatten)]
    why: WhyArgs,
}

/// Arguments of `account key`.
#[derive(Debug, Args)]
pub struct KeyArgs {
    #[command(flatten)]
    one: OneArgs,
    /// Public key with its suite, in hex
    #[arg(long, value_name = "HEX", required_unless_present = "none")]
    key: Option<String>,
    /// Forget the key
    #[arg(long, conflicts_with = "key")]
    none: bool,
    #[command(flatten)]
    why: WhyArgs,
}

/// Arguments of `account review`.
#[derive(Debug, Args)]
pub struct ReviewArgs {
    #[command(flatten)]
    dir: DirArgs,
    /// Remark with which the review goes on record; without one it is only shown
    #[arg(long, value_name = "TEXT", conflicts_with = "suspended")]
    reason: Option<String>,
    /// Verify what this person could reach: start what is missing, or collect what is there
    #[arg(long, value_name = "ID")]
    suspended: Option<AccountId>,
}

/// Arguments of `account break-glass`.
#[derive(Debug, Args)]
pub struct BreakGlassArgs {
    #[command(flatten)]
    dir: DirArgs,
    /// A role besides your own; repeat for more, or leave it out to ask for the hour alone
    #[arg(long = "role", value_name = "ROLE", value_parser = parse_role)]
    roles: Vec<Role>,
    /// For how long, up to 12h
    #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration)]
    lasts: Duration,
    /// Why; it goes to the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// Arguments of `account requests`.
#[derive(Debug, Args)]
pub struct RequestsArgs {
    #[command(flatten)]
    dir: DirArgs,
    /// Those that ended too
    #[arg(long)]
    all: bool,
}

/// Arguments of `account approve`.
#[derive(Debug, Args)]
pub struct ApproveArgs {
    #[command(flatten)]
    dir: DirArgs,
    /// Number of the request
    #[arg(value_name = "NUMBER")]
    number: u64,
}

/// Arguments of `account turn-down`.
#[derive(Debug, Args)]
pub struct TurnDownArgs {
    #[command(flatten)]
    dir: DirArgs,
    /// Number of the request
    #[arg(value_name = "NUMBER")]
    number: u64,
    /// Why; it goes to the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// A vault and a reason.
#[derive(Debug, Args)]
pub struct ReasonArgs {
    #[command(flatten)]
    dir: DirArgs,
    /// Why; it goes to the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

fn parse_role(name: &str) -> Result<Role, String> {
    let names = Role::ALL.iter().map(|role| role.name()).collect::<Vec<_>>().join(", ");
    Role::parse(name).ok_or_else(|| format!("it is one of {names}"))
}

/// Runs one of them.
pub async fn run(command: AccountCommand, output: Output) -> Result<()> {
    match command {
        AccountCommand::Whoami(dir) => {
            let who = operator::account(&dir.dir, "ask who you are", &Asked::Whoami).await?;
            output.answer(&who, || show::whoami(&who))
        }
        AccountCommand::List(dir) => {
            let list = operator::account(&dir.dir, "list accounts", &Asked::List).await?;
            output.answer(&list, || show::list(&list))
        }
        AccountCommand::Show(one) => {
            let shown = operator::account(&one.dir.dir, "show the account", &Asked::Show { id: one.id }).await?;
            output.answer(&shown, || show::one(&shown["account"]) + &show::reach(&shown["reach"]))
        }
        AccountCommand::Add(args) => {
            let (AddArgs { one, name, roles, os_user, hours, why }, told) = (args, show::added);
            let (id, roles, reason) = (one.id.clone(), roles.roles, why.reason);
            let asked = Asked::Add { id, name, roles, os_user, hours, reason };
            change(&one, "add the account", asked, output, told).await
        }
        AccountCommand::SetRoles(SetRolesArgs { one, roles, why }) => {
            let asked = Asked::SetRoles { id: one.id.clone(), roles: roles.roles, reason: why.reason };
            change(&one, "change the roles", asked, output, show::changed).await
        }
        AccountCommand::SetHours(SetHoursArgs { one, hours, always: _, why }) => {
            let asked = Asked::SetHours { id: one.id.clone(), hours, reason: why.reason };
            change(&one, "change the hours", asked, output, show::changed).await
        }
        AccountCommand::Suspend(StopArgs { one, reason }) => {
            let asked = Asked::Suspend { id: one.id.clone(), reason };
            change(&one, "suspend the account", asked, output, show::suspended).await
        }
        AccountCommand::Resume(StopArgs { one, reason }) => {
            let asked = Asked::Resume { id: one.id.clone(), reason };
            change(&one, "resume the account", asked, output, show::changed).await
        }
        AccountCommand::Close(StopArgs { one, reason }) => {
            let asked = Asked::Close { id: one.id.clone(), reason };
            change(&one, "close the account", asked, output, show::changed).await
        }
        AccountCommand::Map(MapArgs { one, os_user, none: _, why }) => {
            let asked = Asked::Map { id: one.id.clone(), os_user, reason: why.reason };
            change(&one, "map the account", asked, output, show::changed).await
        }
        AccountCommand::Key(KeyArgs { one, key, none: _, why }) => {
            let asked = Asked::Key { id: one.id.clone(), key, reason: why.reason };
            change(&one, "remember the key", asked, output, show::changed).await
        }
        AccountCommand::Password(args) => own::password(args, output).await,
        AccountCommand::Totp(args) => own::totp(args, output).await,
        AccountCommand::Review(args) => review(args, output).await,
        AccountCommand::BreakGlass(args) => {
            let minutes = u32::try_from(args.lasts.as_secs().div_ceil(60)).unwrap_or(u32::MAX);
            let asked = Asked::BreakGlass { roles: args.roles, minutes, reason: args.reason };
            let answer = operator::account(&args.dir.dir, "ask for an emergency", &asked).await?;
            output.answer(&answer, || show::changed("you", &answer))
        }
        AccountCommand::Requests(RequestsArgs { dir, all }) => {
            let found = operator::account(&dir.dir, "show requests", &Asked::Requests { all }).await?;
            output.answer(&found, || show::requests(&found))
        }
        AccountCommand::Approve(ApproveArgs { dir, number }) => {
            let request = operator::account(&dir.dir, "agree to it", &Asked::Approve { number }).await?;
            output.answer(&request, || show::request(&request))
        }
        AccountCommand::TurnDown(TurnDownArgs { dir, number, reason }) => {
            let request = operator::account(&dir.dir, "turn it down", &Asked::TurnDown { number, reason }).await?;
            output.answer(&request, || show::request(&request))
        }
        AccountCommand::ConfirmFile(ReasonArgs { dir, reason }) => {
            let answer = operator::account(&dir.dir, "confirm the file", &Asked::ConfirmFile { reason }).await?;
            output.answer(&answer, || {
                "the accounts file counts from now on; the audit log says who stood up for it\n".into()
            })
        }
    }
}

/// Asks for a change, and says what became of it.
async fn change(
    one: &OneArgs,
    task: &'static str,
    asked: Asked,
    output: Output,
    told: fn(&str, &Value) -> String,
) -> Result<()> {
    let answer = operator::account(&one.dir.dir, task, &asked).await?;
    output.answer(&answer, || told(one.id.as_str(), &answer))
}

async fn review(args: ReviewArgs, output: Output) -> Result<()> {
    let Some(id) = args.suspended else {
        let asked = Asked::Review { reason: args.reason };
        let review = operator::account(&args.dir.dir, "review the accounts", &asked).await?;
        return output.answer(&review, || show::review(&review));
    };
    let asked = Asked::ReviewSuspended { id };
    let found = operator::account(&args.dir.dir, "verify what that person could reach", &asked).await?;
    output.answer(&found, || show::verification(&found))?;
    let proofs = found["proofs"].as_array().into_iter().flatten();
    match proofs.map(|proof| proof["findings"].as_u64().unwrap_or(0)).sum() {
        0 => Ok(()),
        count => Err(Error::Damage { count, what: "findings since that person was stopped" }),
    }
}
