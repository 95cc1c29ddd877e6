//! `shosoin gateway`: S3 for the hospital's services, and who may use it.

use crate::args::SiteArgs;
use crate::commands::up::REGION;
use crate::error::{Error, Result};
use crate::hospital::{GatewayConfig, HospitalDir};
use crate::output::Output;
use crate::session::Session;
use crate::stop::Stop;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use shosoin_gateway::{GatewayOptions, Role, UserStore};
use std::net::SocketAddr;

/// Commands about the gateway.
#[derive(Debug, Subcommand)]
pub enum GatewayCommand {
    /// Serve S3 in front of a vault
    #[command(after_help = "Example:\n  \
        shosoin gateway serve --dir ./hospital --s3 0.0.0.0:9000 --passphrase-file ./passphrase")]
    Serve(ServeArgs),
    /// Access keys: who may use the gateway, for what; a running gateway honours changes at once
    #[command(subcommand)]
    User(UserCommand),
}

/// Arguments of `gateway serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Address to listen on; port 0 picks a free one [default: from gateway.toml, else 127.0.0.1:9000]
    #[arg(long, value_name = "ADDRESS")]
    s3: Option<SocketAddr>,
    /// Region that S3 clients sign for [default: from gateway.toml, else us-east-1]
    #[arg(long)]
    region: Option<String>,
    /// Domain under which buckets are host names, as in BUCKET.DOMAIN [default: from gateway.toml]
    #[arg(long)]
    domain: Option<String>,
    #[command(flatten)]
    site: SiteArgs,
}

/// Commands about access keys.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Make an access key and print it, secret included, this once
    #[command(after_help = "Example:\n  \
        shosoin gateway user add --dir ./hospital --name pacs --role write --bucket records --json")]
    Add(AddArgs),
    /// List access keys without their secrets
    #[command(after_help = "Example:\n  shosoin gateway user list --dir ./hospital")]
    List(ListArgs),
    /// End an access key
    #[command(after_help = "Example:\n  shosoin gateway user remove --dir ./hospital --name pacs")]
    Remove(RemoveArgs),
}

/// What an access key may do.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum RoleArg {
    /// get, head, list
    Read,
    /// read, and put and delete objects
    Write,
    /// write, and make, change and delete buckets
    Admin,
}

impl From<RoleArg> for Role {
    fn from(arg: RoleArg) -> Self {
        match arg {
            RoleArg::Read => Role::Read,
            RoleArg::Write => Role::Write,
            RoleArg::Admin => Role::Admin,
        }
    }
}

/// Arguments of `gateway user add`.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// Name for people
    #[arg(long)]
    name: String,
    /// What it may do
    #[arg(long, value_enum)]
    role: RoleArg,
    /// Only in this bucket [default: in all]
    #[arg(long)]
    bucket: Option<String>,
    #[command(flatten)]
    site: SiteArgs,
}

/// Arguments of `gateway user list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    site: SiteArgs,
}

/// Arguments of `gateway user remove`.
#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// Name it was given
    #[arg(long)]
    name: String,
    #[command(flatten)]
    site: SiteArgs,
}

/// Runs one of them.
pub async fn run(command: GatewayCommand, output: Output) -> Result<()> {
    match command {
        GatewayCommand::Serve(args) => serve(args, output).await,
        GatewayCommand::User(UserCommand::Add(args)) => add(&args, output),
        GatewayCommand::User(UserCommand::List(args)) => list(&args, output),
        GatewayCommand::User(UserCommand::Remove(args)) => remove(&args, output),
    }
}

async fn serve(args: ServeArgs, output: Output) -> Result<()> {
    let stop = Stop::listen()?;
    let hospital = HospitalDir::of(&args.site)?;
    let config = GatewayConfig::load(&hospital)?;
    let options = GatewayOptions {
        listen: args.s3.or(config.listen).unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 9000))),
        state_dir: hospital.root().to_owned(),
        region: args.region.or(config.region).unwrap_or_else(|| REGION.to_owned()),
        domain: args.domain.or(config.domain),
    };
    let session = Session::open(&args.site).await?;
    let served = serve_until(&session, options, stop, output).await;
    session.finish(served).await?;
    output.answer(&json!({ "closed": true }), || "closed".to_owned())
}

async fn serve_until(session: &Session, options: GatewayOptions, stop: Stop, output: Output) -> Result<()> {
    let (listen, region) = (options.listen, options.region.clone());
    let gateway = shosoin_gateway::serve(session.client.clone(), options, stop.asked()).await;
    let gateway = gateway.map_err(Error::gateway(format!("serve S3 on {listen}")))?;
    let (endpoint, hospital) = (format!("http://{}", gateway.addr), session.client.keyring().hospital().to_string());
    let answer = json!({ "s3_endpoint": endpoint, "region": region, "hospital": hospital, "pid": std::process::id() });
    output.answer(&answer, || format!("s3 endpoint  {endpoint}\nregion       {region}\nhospital     {hospital}"))?;
    gateway.finished().await;
    Ok(())
}

fn add(args: &AddArgs, output: Output) -> Result<()> {
    let hospital = HospitalDir::of(&args.site)?;
    let keyring = hospital.open_keyring(&args.site.passphrase)?;
    let added = UserStore::at(hospital.root()).add(&keyring, &args.name, args.role.into(), args.bucket.as_deref());
    let credentials = added.map_err(Error::gateway(format!("add user {}", args.name)))?;
    let answer = json!({
        "name": args.name,
        "access_key_id": credentials.user.access_key_id,
        "secret_access_key": credentials.secret_access_key.expose(),
    });
    output.answer(&answer, || {
        format!(
            "access key id      {}\nsecret access key  {}",
            credentials.user.access_key_id,
            credentials.secret_access_key.expose()
        )
    })
}

fn list(args: &ListArgs, output: Output) -> Result<()> {
    let hospital = HospitalDir::of(&args.site)?;
    let users = UserStore::at(hospital.root()).list().map_err(Error::gateway("list the gateway's users"))?;
    for user in users {
        let (role, bucket) = (user.role.name(), user.bucket.as_deref());
        let answer = json!({ "name": user.name, "access_key_id": user.access_key_id, "role": role, "bucket": bucket });
        output.answer(&answer, || {
            format!("{:<24}{:<24}{role:<8}{}", user.name, user.access_key_id, bucket.unwrap_or("all buckets"))
        })?;
    }
    Ok(())
}

fn remove(args: &RemoveArgs, output: Output) -> Result<()> {
    let hospital = HospitalDir::of(&args.site)?;
    let removed = UserStore::at(hospital.root()).remove(&args.name);
    removed.map_err(Error::gateway(format!("remove user {}", args.name)))?;
    output.answer(&json!({ "name": args.name, "removed": true }), || format!("{} is removed", args.name))
}
