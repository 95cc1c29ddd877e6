//! `shosoin get`: fetch records straight from the vault. A file appears whole and verified, or not at all; what a fetch
//! that had to stop for a medium on its shelf has verified is kept, and the next one goes on after it.

mod plan;

use crate::args::SiteArgs;
use crate::error::{Error, Result};
use crate::output::Output;
use crate::partial::{self, Partial};
use crate::progress::Progress;
use crate::session::Session;
use crate::text;
use clap::Args;
use futures::StreamExt as _;
use serde_json::json;
use shosoin_client::{MountPlan, OpenObject, SignatureProof};
use shosoin_protocol::VersionId;
use shosoin_protocol::api::code;
use std::collections::BTreeSet;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::time::Instant;

/// Between two looks whether the media are there, for `--wait`.
const LOOK: Duration = Duration::from_secs(2);

/// Arguments of `get`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    shosoin get --dir ./hospital records ct-0001.dcm --out ./ct-0001.dcm\n  \
    shosoin get --dir ./hospital records ct-0001.dcm ct-0002.dcm --out-dir ./fetched --plan\n  \
    shosoin get --dir ./hospital records ct-0001.dcm --wait 2h")]
pub struct GetArgs {
    /// Bucket
    bucket: String,
    /// Names of records in it
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// A version of one record by its id [default: the newest]
    #[arg(long, value_name = "ID")]
    version: Option<String>,
    /// File to write one record to, which must not exist; `-` writes to stdout [default: the last part of the name]
    #[arg(long, short, value_name = "FILE", conflicts_with = "out_dir")]
    out: Option<PathBuf>,
    /// Folder for the files, which must exist [default: the current one]
    #[arg(long, value_name = "DIR")]
    out_dir: Option<PathBuf>,
    /// Replace files that exist
    #[arg(long)]
    force: bool,
    /// Fetch nothing: say which media must be mounted first, in which order, and what that takes
    #[arg(long)]
    plan: bool,
    /// Where media must be mounted, wait for them as long as this
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, conflicts_with = "plan")]
    wait: Option<Duration>,
    #[command(flatten)]
    site: SiteArgs,
}

/// A record that is wanted, and where its bytes go.
struct Wanted {
    name: String,
    target: Target,
    object: Option<OpenObject>,
}

/// Where the bytes go.
enum Target {
    /// stdout, which has so many bytes already
    Stdout(u64),
    File(PathBuf),
}

/// Fetches the records and prints what they were, or what must be mounted first.
pub async fn run(args: GetArgs, output: Output) -> Result<()> {
    let mut wanted = wanted(&args)?;
    let session = Session::open(&args.site).await?;
    let outcome = match args.plan {
        true => show_plan(&session, &args, &mut wanted, output).await,
        false => Fetch { session: &session, args: &args, output }.run(wanted).await,
    };
    session.finish(outcome).await
}

fn wanted(args: &GetArgs) -> Result<Vec<Wanted>> {
    let single = |what: &str| Error::invalid(what, "it goes with one record");
    match args.names.len() {
        1 => {}
        _ if args.out.is_some() => return Err(single("--out")),
        _ if args.version.is_some() => return Err(single("--version")),
        _ => {}
    }
    let mut paths = BTreeSet::new();
    let mut wanted = Vec::with_capacity(args.names.len());
    for name in &args.names {
        let target = target(args, name)?;
        if let Target::File(path) = &target
            && !paths.insert(path.clone())
        {
            return Err(Error::invalid(path.display().to_string(), "two of the records would be written to it"));
        }
        wanted.push(Wanted { name: name.clone(), target, object: None });
    }
    Ok(wanted)
}

fn target(args: &GetArgs, name: &str) -> Result<Target> {
    let path = match (&args.out, &args.out_dir) {
        (Some(path), _) if path == Path::new("-") => return Ok(Target::Stdout(0)),
        (Some(path), _) => path.clone(),
        (None, folder) => match (Path::new(name).file_name(), folder) {
            (Some(name), Some(folder)) => folder.join(name),
            (Some(name), None) => PathBuf::from(name),
            (None, _) => {
                return Err(Error::invalid("--out", "the name ends in no file name, so say where to write"));
            }
        },
    };
    match path.exists() && !args.force && !args.plan {
        true => Err(Error::invalid(path.display().to_string(), "it exists; --force replaces it")),
        false => Ok(Target::File(path)),
    }
}

async fn open(session: &Session, args: &GetArgs, wanted: &mut Wanted) -> Result<OpenObject> {
    if let Some(object) = &wanted.object {
        return Ok(object.clone());
    }
    let version = parse_version(args.version.as_ref())?;
    let object = session.client.open_object(&args.bucket, &wanted.name, version).await;
    let object = object.map_err(Error::client(task(args, &wanted.name)))?;
    wanted.object = Some(object.clone());
    Ok(object)
}

/// What must be mounted for what is not fetched yet of these records.
async fn plan_of(session: &Session, args: &GetArgs, wanted: &mut [Wanted]) -> Result<MountPlan> {
    let mut objects = Vec::with_capacity(wanted.len());
    for wanted in wanted.iter_mut() {
        let object = open(session, args, wanted).await?;
        let kept_bytes = match &wanted.target {
            Target::File(path) => partial::kept_bytes(path, object.version(), object.facts().size_bytes),
            Target::Stdout(sent_bytes) => *sent_bytes,
        };
        objects.push((object, kept_bytes));
    }
    session.client.plan(&objects).await.map_err(Error::client("plan the mounts"))
}

async fn show_plan(session: &Session, args: &GetArgs, wanted: &mut [Wanted], output: Output) -> Result<()> {
    let plan = plan_of(session, args, wanted).await?;
    output.answer(&json!({ "plan": plan }), || plan::table(&plan))
}

/// One run over all that is wanted.
struct Fetch<'a> {
    session: &'a Session,
    args: &'a GetArgs,
    output: Output,
}

impl Fetch<'_> {
    async fn run(&self, mut wanted: Vec<Wanted>) -> Result<()> {
        let deadline = self.args.wait.map(|wait| Instant::now() + wait);
        let (mut files, several) = (Vec::new(), wanted.len() > 1);
        let stopped = loop {
            let mut left = Vec::new();
            for mut one in std::mem::take(&mut wanted) {
                match self.fetch(&mut one).await {
                    Ok(answer) => files.extend(answer),
                    Err(error) if error.is_problem(code::ON_SHELF) => left.push((one, error)),
                    Err(error) => return Err(error),
                }
            }
            let Some(first) = left.first().map(|(one, _)| one.name.clone()) else { break None };
            let (mut waiting, errors): (Vec<_>, Vec<_>) = left.into_iter().unzip();
            match (self.await_media(&mut waiting, deadline).await?, errors.into_iter().next()) {
                (None, _) => wanted = waiting,
                (Some(plan), Some(error)) if plan.is_empty() => return Err(error),
                (Some(plan), _) => break Some((first, plan)),
            }
        };
        let Some((name, plan)) = stopped else { return self.answer(&files, several, None) };
        self.answer(&files, several, Some(&plan))?;
        let task = task(self.args, &name);
        Err(Error::OnShelf { task, mounts: plan::clause(&plan), count: plan.mounts.len() })
    }

    /// Waits until what is needed is mounted; gives the plan where that did not happen in time.
    async fn await_media(&self, waiting: &mut [Wanted], deadline: Option<Instant>) -> Result<Option<MountPlan>> {
        let mut told = false;
        loop {
            let plan = plan_of(self.session, self.args, waiting).await?;
            if plan.waiting == 0 && plan.unknown == 0 {
                return Ok(None);
            }
            if deadline.is_none_or(|deadline| Instant::now() + LOOK > deadline) {
                return Ok(Some(plan));
            }
            if !std::mem::replace(&mut told, true) {
                self.output.note(&plan::table(&plan));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn answer(&self, files: &[serde_json::Value], several: bool, plan: Option<&MountPlan>) -> Result<()> {
        let told = |file: &serde_json::Value| {
            let size = file["size_bytes"].as_u64().unwrap_or(0);
            let signers = file["signature"]["signers"].as_array().map_or(0, Vec::len);
            let trusted = |signer: &&serde_json::Value| signer["now"] == "trusted";
            let trusted = file["signature"]["signers"].as_array().into_iter().flatten().filter(trusted).count();
            let signed = match signers {
                0 => String::new(),
                count => format!("; its signature holds, {trusted} of {count} signers are trusted"),
            };
            format!("fetched {} to {}{signed}", text::bytes(size), file["file"].as_str().unwrap_or_default())
        };
        let lines = || files.iter().map(told).collect::<Vec<_>>().join("\n");
        match (plan, files) {
            (None, []) => Ok(()),
            (None, [file]) if !several => self.output.answer(file, lines),
            (None, _) => self.output.answer(&json!({ "files": files }), lines),
            (Some(plan), _) => self.output.answer(&json!({ "files": files, "plan": plan }), lines),
        }
    }

    /// Fetches one record; nothing is told of one that went to stdout.
    async fn fetch(&self, wanted: &mut Wanted) -> Result<Option<serde_json::Value>> {
        let object = open(self.session, self.args, wanted).await?;
        let path = match &mut wanted.target {
            Target::File(path) => path,
            Target::Stdout(sent_bytes) => {
                return self.to_stdout(&object, &wanted.name, sent_bytes).await.map(|()| None);
            }
        };
        let (size_bytes, version) = (object.facts().size_bytes, object.version());
        let signature = self.signature(&object, &wanted.name).await?;
        let mut file = Partial::open(path, version, size_bytes)?;
        let resumed_bytes = file.kept_bytes();
        match self.to_file(&object, &wanted.name, &mut file).await {
            Ok(()) => file.finish().await?,
            Err(error) if error.kind() == shosoin_protocol::ErrorKind::Unavailable => {
                file.keep().await?;
                return Err(error);
            }
            Err(error) => {
                file.discard();
                return Err(error);
            }
        }
        let version = version.to_string();
        let answer = json!({ "file": path, "size_bytes": size_bytes, "version": version, "resumed_bytes": resumed_bytes,
                    "signature": signature });
        Ok(Some(answer))
    }

    /// Holds a document against the signature that it brought, before any of it is given out.
    async fn signature(&self, object: &OpenObject, name: &str) -> Result<Option<SignatureProof>> {
        object.verify_signature().await.map_err(Error::client(task(self.args, name)))
    }

    async fn to_file(&self, object: &OpenObject, name: &str, file: &mut Partial) -> Result<()> {
        let (size_bytes, kept_bytes) = (object.facts().size_bytes, file.kept_bytes());
        let progress = Progress::bytes(self.output, "fetched", Some(size_bytes));
        progress.add(kept_bytes);
        let mut pieces = object.read(kept_bytes..size_bytes);
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(Error::client(task(self.args, name)))?;
            file.write(&piece).await?;
            progress.add(piece.len() as u64);
        }
        Ok(())
    }

    async fn to_stdout(&self, object: &OpenObject, name: &str, sent_bytes: &mut u64) -> Result<()> {
        let stdout = std::io::stdout().as_fd().try_clone_to_owned().map_err(Error::file("open", "stdout"))?;
        let mut stdout = tokio::fs::File::from_std(stdout.into());
        let size_bytes = object.facts().size_bytes;
        if *sent_bytes == 0 {
            self.signature(object, name).await?;
        }
        let progress = Progress::bytes(self.output, "fetched", Some(size_bytes));
        let mut pieces = object.read(*sent_bytes..size_bytes);
        while let Some(piece) = pieces.next().await {
            let piece = match piece {
                Ok(piece) => piece,
                Err(error) => {
                    stdout.flush().await.map_err(Error::file("write", "stdout"))?;
                    return Err(Error::client(task(self.args, name))(error));
                }
            };
            stdout.write_all(&piece).await.map_err(Error::file("write", "stdout"))?;
            *sent_bytes += piece.len() as u64;
            progress.add(piece.len() as u64);
        }
        stdout.flush().await.map_err(Error::file("write", "stdout"))
    }
}

fn task(args: &GetArgs, name: &str) -> String {
    format!("get {name} from bucket {}", args.bucket)
}

/// The version that was asked for.
pub fn parse_version(text: Option<&String>) -> Result<Option<VersionId>> {
    let bad = |_| Error::invalid("--version", "it must be a version id, 32 hex digits as `stat` prints it");
    text.map(|text| text.parse().map_err(bad)).transpose()
}
