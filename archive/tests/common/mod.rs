//! A store in memory that fails when told to.

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::*;
use parking_lot::Mutex;
use std::sync::Arc;

/// One request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    Put,
    BeginParts,
    Part,
    Complete,
    Abort,
    Get,
    Delete,
    List,
    Copy,
}

/// What goes wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// it fails with this status and code
    Answer(u16, &'static str),
    /// it is never answered
    Silence,
    /// the first byte that is sent or received is another one
    Flip,
    /// the last byte that is received is missing
    Short,
    /// it is done, its answer is lost, and it is asked again
    DoneTwice,
}

type Rule = Box<dyn FnMut(Op, &Path) -> Option<Wrong> + Send>;

/// A store that fails as its rule says.
#[derive(Clone, Default)]
pub struct Flaky {
    pub inner: Arc<InMemory>,
    rule: Arc<Mutex<Option<Rule>>>,
    calls: Arc<Mutex<Vec<Op>>>,
}

impl std::fmt::Debug for Flaky {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Flaky")
    }
}

impl std::fmt::Display for Flaky {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Flaky")
    }
}

fn failed(status: u16, code: &str) -> Error {
    let source = format!("status code: {status} x: <Error><Code>{code}</Code><AWSAccessKeyId>hunter2</AWSAccessKeyId>");
    Error::Generic { store: "S3", source: source.into() }
}

impl Flaky {
    /// From now on `rule` decides; `None` lets a request pass.
    pub fn when(&self, rule: impl FnMut(Op, &Path) -> Option<Wrong> + Send + 'static) {
        *self.rule.lock() = Some(Box::new(rule));
    }

    /// Every request passes again.
    pub fn heal(&self) {
        *self.rule.lock() = None;
    }

    /// The requests since the last time this was asked.
    pub fn take_calls(&self) -> Vec<Op> {
        std::mem::take(&mut self.calls.lock())
    }

    async fn before(&self, op: Op, path: &Path) -> Result<Option<Wrong>> {
        self.calls.lock().push(op);
        let wrong = self.rule.lock().as_mut().and_then(|rule| rule(op, path));
        match wrong {
            Some(Wrong::Answer(status, code)) => Err(failed(status, code)),
            Some(Wrong::Silence) => std::future::pending().await,
            other => Ok(other),
        }
    }
}

fn spoil(wrong: Option<Wrong>, payload: PutPayload) -> PutPayload {
    let mut bytes: Vec<u8> = payload.iter().flatten().copied().collect();
    if let (Some(Wrong::Flip), Some(first)) = (wrong, bytes.first_mut()) {
        *first ^= 1;
    }
    bytes.into()
}

#[async_trait]
impl ObjectStore for Flaky {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let wrong = self.before(Op::Put, location).await?;
        if wrong == Some(Wrong::DoneTwice) {
            self.inner.put_opts(location, payload.clone(), opts.clone()).await?;
        }
        self.inner.put_opts(location, spoil(wrong, payload), opts).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.before(Op::BeginParts, location).await?;
        let upload = self.inner.put_multipart_opts(location, opts).await?;
        Ok(Box::new(FlakyUpload { upload, store: self.clone(), path: location.clone() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let head = options.head;
        let wrong = if head { None } else { self.before(Op::Get, location).await? };
        let mut got = self.inner.get_opts(location, options).await?;
        if let Some(Wrong::Short | Wrong::Flip) = wrong {
            let (meta, range, attributes) = (got.meta.clone(), got.range.clone(), got.attributes.clone());
            let mut bytes = got.bytes().await?.to_vec();
            match wrong {
                Some(Wrong::Short) => drop(bytes.pop()),
                _ => bytes[0] ^= 1,
            }
            let stream = futures::stream::once(async move { Ok(bytes.into()) }).boxed();
            got = GetResult {
                payload: GetResultPayload::Stream(stream),
                meta,
                range,
                attributes,
                extensions: Default::default(),
            };
        }
        Ok(got)
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let checked = locations.then(move |location| {
            let store = store.clone();
            async move {
                let location = location?;
                store.before(Op::Delete, &location).await?;
                Ok(location)
            }
        });
        self.inner.delete_stream(checked.boxed())
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (store, at) = (self.clone(), prefix.cloned().unwrap_or_default());
        let listed = self.inner.list(prefix);
        futures::stream::once(async move {
            match store.before(Op::List, &at).await {
                Ok(_) => listed,
                Err(error) => futures::stream::iter([Err(error)]).boxed(),
            }
        })
        .flatten()
        .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.before(Op::List, &prefix.cloned().unwrap_or_default()).await?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let wrong = self.before(Op::Copy, from).await?;
        self.inner.copy_opts(from, to, options).await?;
        if wrong == Some(Wrong::Flip) {
            let mut bytes = self.inner.get(to).await?.bytes().await?.to_vec();
            bytes[0] ^= 1;
            self.inner.put(to, bytes.into()).await?;
        }
        Ok(())
    }
}

#[derive(Debug)]
struct FlakyUpload {
    upload: Box<dyn MultipartUpload>,
    store: Flaky,
    path: Path,
}

#[async_trait]
impl MultipartUpload for FlakyUpload {
    fn put_part(&mut self, payload: PutPayload) -> UploadPart {
        // the part counts where it is made, so that parts keep their order; what goes wrong with it comes out when it is awaited
        let flip = self.store.rule.lock().as_mut().and_then(|rule| rule(Op::Part, &self.path));
        self.store.calls.lock().push(Op::Part);
        let part = self.upload.put_part(spoil(flip, payload));
        Box::pin(async move {
            match flip {
                Some(Wrong::Answer(status, code)) => Err(failed(status, code)),
                Some(Wrong::Silence) => std::future::pending().await,
                _ => part.await,
            }
        })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.store.before(Op::Complete, &self.path).await?;
        self.upload.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        self.store.before(Op::Abort, &self.path).await?;
        self.upload.abort().await
    }
}
