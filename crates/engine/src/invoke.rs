//! One request to run a function, and what comes of it.

use std::sync::Arc;

use access::{Authorized, Guarded};
use base::arn::{FunctionArn, Qualifier};
use base::id::RequestId;
use base::limits;
use bytes::Bytes;
use catalogue::Version;
use http::HeaderValue;
use record::metrics::{Count, Running};
use tokio::sync::oneshot;
use tracing::Span;

use crate::Engine;
use crate::admission::{AdmitError, Permit};
use crate::environment::rules::restore::RestoreError;
use crate::flow::{Flow, Sink, flow};
use crate::outcome::{Answer, Fault, UNNAMED};
use crate::starter::StartError;
use crate::trace::TraceHeader;

/// What an error is that is told in the place of a response.
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// One request to run a function.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// What the caller, the function and the log call this run.
    pub id: RequestId,
    /// What runs: an alias is already resolved.
    pub version: Arc<Version>,
    /// The function as the caller named it: unqualified, or with the alias or version used.
    pub requested: FunctionArn,
    /// The event.
    pub payload: Bytes,
    /// The trace that this run belongs to.
    pub trace: TraceHeader,
    /// The client context's JSON, decoded from base64.
    pub client_context: Option<String>,
    /// The Cognito identity's JSON.
    pub cognito_identity: Option<String>,
    /// Whether the caller wants the end of the log.
    pub tail: bool,
}

impl Guarded for Invocation {
    fn action(&self) -> &'static str {
        "lambda:InvokeFunction"
    }

    fn resource(&self) -> &FunctionArn {
        &self.requested
    }
}

/// What the caller gets: the payload as soon as the function answered, or a [`Flow`] as soon as it began to.
#[derive(Debug)]
pub struct Reply<P = Bytes> {
    /// The version that ran.
    pub executed_version: Qualifier,
    /// Present when the function failed, and had not begun to answer.
    pub function_error: Option<FunctionError>,
    /// Whether the error is Samovar's and not the function's: the sandbox went while it ran.
    pub broken: bool,
    /// The function's result, or its error as JSON.
    pub payload: P,
    /// The trace header.
    pub trace: String,
    /// Resolves when log and report are written. An environment that broke drops it.
    pub end: oneshot::Receiver<Ended>,
}

/// The mark of a failed function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FunctionError {
    /// The only one that AWS's current runtimes produce, for errors of every kind.
    Unhandled,
}

impl FunctionError {
    /// As the header `X-Amz-Function-Error` says it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unhandled => "Unhandled",
        }
    }
}

/// The end of an invocation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ended {
    /// The end of the log, at most [`limits::LOG_TAIL_BYTES`] before broken characters are mended; empty
    /// unless it was asked for.
    pub tail: Bytes,
}

/// Why a function did not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvokeError {
    /// Too much runs already. AWS answers 429; safe to retry.
    #[error("{reason}")]
    Throttled {
        /// Which limit it was.
        reason: AdmitError,
    },
    /// The machine carries no more environments. Safe to retry.
    #[error(
        "this machine's budget of {budget} environments is used up and none is idle; raise the limit on open \
         files or run less at once"
    )]
    NoPlace {
        /// How many there may be.
        budget: usize,
    },
    /// The machine has too little memory for another environment. Safe to retry.
    #[error(
        "this machine has no {needed} bytes of memory for another environment and none is idle; lower --memory-reserve, \
         raise --memory-limit or run less at once"
    )]
    NoMemory {
        /// What an environment of the function is expected to hold.
        needed: u64,
    },
    /// The payload is larger than [`limits::SYNC_REQUEST_BYTES`].
    #[error("the payload has {size} bytes and may have {limit}", limit = limits::SYNC_REQUEST_BYTES)]
    TooLarge {
        /// Bytes it has.
        size: usize,
    },
    /// No installed interpreter may run the function; a person reads this.
    #[error("{0}")]
    Runtime(String),
    /// The function's code could not be brought into place.
    #[error("the function's code is not available: {0}")]
    Code(String),
    /// The function's environment variables could not be opened.
    #[error("the function's environment variables could not be opened: {0}")]
    Variables(String),
    /// The environment could not be restored.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// The sandbox could not be built, or broke before the function ran.
    #[error(transparent)]
    Sandbox(#[from] StartError),
    /// Samovar is ending.
    #[error("the server is shutting down")]
    ShuttingDown,
}

impl InvokeError {
    /// Whether there was no place, so that AWS answers 429.
    pub const fn is_throttle(&self) -> bool {
        matches!(self, Self::Throttled { .. } | Self::NoPlace { .. } | Self::Sandbox(StartError::Full { .. }))
    }
}

impl From<AdmitError> for InvokeError {
    fn from(reason: AdmitError) -> Self {
        Self::Throttled { reason }
    }
}

/// An admitted invocation on its way to an environment. It lives in the pool's queue or in the environment's
/// own task, never in the caller: a caller that goes away stops nothing and frees nothing.
#[derive(Debug)]
pub struct Job {
    /// What to run.
    pub invocation: Invocation,
    /// The invocation's span.
    pub span: Span,
    /// Where what becomes of it is counted.
    pub watch: Running,
    permit: Permit,
    caller: Option<Caller>,
    end: Option<oneshot::Sender<Ended>>,
}

/// Where the caller waits for its reply, until it has one.
#[derive(Debug)]
enum Caller {
    /// It takes the response whole.
    Whole(Asked<Bytes>),
    /// It takes the response as it comes.
    Flowing(Asked<Flow>),
}

type Asked<P> = oneshot::Sender<Result<Reply<P>, InvokeError>>;

/// Where the caller waits.
pub type Answered<P = Bytes> = oneshot::Receiver<Result<Reply<P>, InvokeError>>;

impl Job {
    /// An admitted invocation and the place where its caller waits.
    pub fn new(invocation: Invocation, permit: Permit, watch: Running) -> (Box<Self>, Answered) {
        let (sender, answered) = oneshot::channel();
        (Self::of(invocation, permit, watch, Caller::Whole(sender)), answered)
    }

    /// The same for a caller that takes the response as it comes.
    pub fn streaming(invocation: Invocation, permit: Permit, watch: Running) -> (Box<Self>, Answered<Flow>) {
        let (sender, answered) = oneshot::channel();
        (Self::of(invocation, permit, watch, Caller::Flowing(sender)), answered)
    }

    fn of(invocation: Invocation, permit: Permit, watch: Running, caller: Caller) -> Box<Self> {
        let span = tracing::debug_span!(
            "invoke",
            request_id = %invocation.id,
            function = %invocation.version.arn,
            version = %invocation.version.qualifier,
            environment = tracing::field::Empty,
        );
        Box::new(Self { invocation, span, watch, permit, caller: Some(caller), end: None })
    }

    /// Whether the caller waits for a whole response.
    pub const fn is_whole(&self) -> bool {
        matches!(self.caller, Some(Caller::Whole(_)))
    }

    /// Tells the caller that the function will not run.
    pub fn refuse(mut self: Box<Self>, error: InvokeError) {
        match error.is_throttle() {
            true => self.watch.throttled(),
            false if error == InvokeError::ShuttingDown => {}
            false => self.watch.failed(),
        }
        // A caller that went away needs no answer.
        match self.caller.take() {
            Some(Caller::Whole(asked)) => drop(asked.send(Err(error))),
            Some(Caller::Flowing(asked)) => drop(asked.send(Err(error))),
            None => {}
        }
    }

    /// Answers the caller; only the first answer counts.
    pub fn reply(&mut self, answer: Answer) {
        let Some(caller) = self.caller.take() else { return };
        let broken = matches!(answer, Answer::Fault(Fault::Sandbox));
        let (content_type, payload, error) = match answer {
            Answer::Response { content_type, body } => (content_type.unwrap_or(UNNAMED), body, None),
            Answer::Error { body, .. } => (JSON, body, Some(FunctionError::Unhandled)),
            Answer::Fault(fault) => (JSON, fault.payload(self.invocation.id), Some(FunctionError::Unhandled)),
        };
        match caller {
            Caller::Whole(asked) => self.send(asked, payload, error, broken),
            Caller::Flowing(asked) => self.send(asked, Flow::whole(content_type, payload), error, broken),
        }
    }

    /// Answers a caller that takes the response as it comes; what is then put into the sink is what it gets.
    pub fn begin(&mut self, content_type: Option<HeaderValue>) -> Sink {
        let (sink, flow) = flow(content_type.unwrap_or(UNNAMED));
        if let Some(Caller::Flowing(asked)) =
            self.caller.take_if(|caller| matches!(caller, Caller::Flowing(_)))
        {
            self.send(asked, flow, None, false);
        }
        sink
    }

    fn send<P>(&mut self, asked: Asked<P>, payload: P, function_error: Option<FunctionError>, broken: bool) {
        let Invocation { version, trace, .. } = &self.invocation;
        let (executed_version, trace) = (version.qualifier.clone(), trace.to_string());
        let (end, ended) = oneshot::channel();
        self.end = Some(end);
        let _ =
            asked.send(Ok(Reply { executed_version, function_error, broken, payload, trace, end: ended }));
    }

    /// Gives the permit back and tells whoever waits that log and report are written.
    pub fn finish(mut self: Box<Self>, ended: Ended) {
        // Whatever led here, a caller that still waits is told that its function did not answer.
        self.reply(Answer::Fault(Fault::Sandbox));
        let Self { permit, end, watch, .. } = *self;
        drop((permit, watch));
        if let Some(end) = end {
            let _ = end.send(ended);
        }
    }
}

impl Engine {
    /// Runs a function and answers as soon as it did.
    ///
    /// Dropping the returned future changes nothing for the function once it was admitted.
    pub async fn invoke(&self, invocation: Authorized<Invocation>) -> Result<Reply, InvokeError> {
        self.run(invocation, Job::new).await
    }

    /// Runs a function and answers as soon as its response begins, or is there where it does not stream.
    ///
    /// Neither dropping the returned future nor the reply changes anything for the function once it was admitted.
    pub async fn stream(&self, invocation: Authorized<Invocation>) -> Result<Reply<Flow>, InvokeError> {
        self.run(invocation, Job::streaming).await
    }

    /// Whether an invocation may run now.
    fn admit(&self, version: &Version) -> Result<Permit, AdmitError> {
        if !self.events {
            self.admission.request(version, self.clock.now())?;
        }
        self.admission.admit(version)
    }

    async fn run<P>(
        &self,
        invocation: Authorized<Invocation>,
        job: impl FnOnce(Invocation, Permit, Running) -> (Box<Job>, Answered<P>),
    ) -> Result<Reply<P>, InvokeError> {
        let invocation = invocation.into_inner();
        let size = invocation.payload.len();
        if size > limits::SYNC_REQUEST_BYTES {
            return Err(InvokeError::TooLarge { size });
        }
        let FunctionArn { scope, name, .. } = &invocation.version.arn;
        let watch = self.metrics.watch(scope, name);
        let permit = match self.admit(&invocation.version) {
            Ok(permit) => permit,
            Err(reason) => {
                watch.add(self.clock.now(), Count::Throttles);
                return Err(reason.into());
            }
        };
        let (job, answered) = job(invocation, permit, watch.begin(self.clock));
        self.pools.run(job);
        // The pool drops a job without an answer only when its environment was torn down.
        answered.await.unwrap_or(Err(InvokeError::ShuttingDown))
    }
}
