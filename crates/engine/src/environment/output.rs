//! What an environment writes: its processes' output from the log pipe, and the platform's lines among it.
//!
//! All of it goes through one queue in the order in which it happened. Where the log is slow the queue fills,
//! the pipe is no longer read, and a flooding function waits in its own `write`.

use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use base::arn::{FunctionArn, Qualifier};
use base::clock::{Clock, Timestamp};
use base::id::RequestId;
use base::limits::{OUTPUT_QUEUE_BYTES, OUTPUT_TURN_BYTES};
use base::units::Mib;
use bytes::Bytes;
use record::level::{Format, Level, SystemLevel, application_passes, system_passes};
use record::lines::{Event, Splitter};
use record::report::{
    Ending, Extension, InitReport, InitRuntimeDone, InitStart, InitializationType, Phase, Record, Report,
    RestoreReport, RestoreStart, Restored, RuntimeDone, Span, Start, crash_line,
};
use record::tail::Tail;
use record::{LogEvent, LogWriter};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::unix::pipe;

use super::rules::{InitPhase, Name, Spent, Standing, Status};
use super::telemetry::{Origin, Subscribed, Telemetry};
use crate::host::telemetry::{Api, Subscription};
use crate::invoke::Invocation;
use crate::outcome::Fault;

/// Bytes read from the pipe at once. Ours.
const CHUNK: usize = 16 * 1024;

/// What an event costs beside its message, in bytes: a flood of empty lines must fill the queue, too.
const EVENT_COST: usize = size_of::<LogEvent>();

/// Bytes that a pipe holds unless somebody changed that. Source: pipe(7).
const PIPE_BYTES: usize = 64 * 1024;

/// Where and how one environment's log is written.
#[derive(Clone)]
pub struct LogPlan {
    /// The stream.
    pub writer: LogWriter,
    /// The stream's name.
    pub stream: Arc<str>,
    /// Text or JSON.
    pub format: Format,
    /// Threshold for the function's own lines; JSON only.
    pub application: Level,
    /// Threshold for the platform's lines; JSON only.
    pub system: SystemLevel,
    /// The function, without qualifier.
    pub function: FunctionArn,
    /// The version that runs.
    pub version: Qualifier,
    /// Its memory.
    pub memory: Mib,
    /// The runtime's version, such as `python:3.13.v64`, and its ARN.
    pub runtime: Option<(Arc<str>, Arc<str>)>,
    /// What the environment is made for.
    pub made_for: InitializationType,
    /// What a person should know about how the function runs here.
    pub notice: Option<String>,
}

/// What an invocation took.
pub struct Figures<'a> {
    /// Its time.
    pub spent: &'a Spent,
    /// The most memory that the environment has used.
    pub used: Mib,
}

/// What came of the runtime's answer, and when.
#[derive(Debug, Clone, Copy, Default)]
pub struct Produced {
    /// Its size.
    pub bytes: Option<u64>,
    /// When the invocation began.
    pub began: Option<Timestamp>,
    /// When the answer began to come and when all of it was there.
    pub answered: Option<(Timestamp, Timestamp)>,
}

impl Produced {
    /// Source: Lambda Developer Guide, "Telemetry API event schema reference".
    fn spans(&self, done: Timestamp) -> Vec<Span> {
        let Some((began, (first, last))) = self.began.zip(self.answered) else { return Vec::new() };
        let span = |name, start: Timestamp, end: Timestamp| Span { name, start, duration: end.since(start) };
        vec![
            span("responseLatency", began, first),
            span("responseDuration", first, last),
            span("runtimeOverhead", last, done),
        ]
    }
}

type Writing = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One of the pipes.
struct Source {
    pipe: pipe::Receiver,
    /// The pipe's other end is gone.
    ended: bool,
    splitter: Splitter,
}

/// One environment's output.
pub struct Output {
    function: Source,
    /// What extensions write, where there are any.
    extensions: Option<Source>,
    telemetry: Telemetry,
    plan: LogPlan,
    clock: Clock,
    tail: Tail,
    /// The restore that the next report tells of.
    restored: Option<Restored>,
    /// Whether somebody may want the tail.
    tailing: bool,
    queue: Vec<LogEvent>,
    queued: usize,
    writing: Option<Writing>,
    events: Vec<Event>,
}

impl Output {
    /// Reads `pipe` and writes as `plan` says.
    pub fn new(pipe: OwnedFd, plan: LogPlan, clock: Clock) -> io::Result<Self> {
        Ok(Self {
            function: Source::new(pipe)?,
            extensions: None,
            telemetry: Telemetry::default(),
            tail: Tail::new(plan.format),
            tailing: true,
            restored: None,
            plan,
            clock,
            queue: Vec::new(),
            queued: 0,
            writing: None,
            events: Vec::new(),
        })
    }

    /// Reads what extensions write, too. What is no pipe is none of theirs.
    pub fn hear_extensions(&mut self, pipe: OwnedFd) {
        self.extensions = Source::new(pipe).ok();
    }

    /// Moves what can be moved from the pipes to the log, and registers for more.
    pub fn poll(&mut self, cx: &mut Context<'_>) {
        self.poll_source(cx, Origin::Function);
        if self.extensions.is_some() {
            self.poll_source(cx, Origin::Extensions);
        }
    }

    fn poll_source(&mut self, cx: &mut Context<'_>, origin: Origin) {
        let mut turn = 0;
        loop {
            // Where the log is slow, its future wakes the task again.
            let _ = self.poll_write(cx);
            let Some(source) = self.source(origin).filter(|source| !source.ended) else { return };
            if turn >= OUTPUT_TURN_BYTES {
                return cx.waker().wake_by_ref();
            }
            let mut chunk = [MaybeUninit::uninit(); CHUNK];
            let mut chunk = ReadBuf::uninit(&mut chunk);
            let Poll::Ready(read) = source.poll_read(cx, &mut chunk) else { return };
            self.accept(origin, chunk.filled());
            turn += read;
        }
    }

    /// The pipe, unless the queue is full.
    fn source(&mut self, origin: Origin) -> Option<&mut Source> {
        if self.queued >= OUTPUT_QUEUE_BYTES {
            return None;
        }
        match origin {
            Origin::Function => Some(&mut self.function),
            Origin::Extensions => self.extensions.as_mut(),
        }
    }

    /// Reads all that was written before this moment, and hands it on.
    pub async fn drain(&mut self) {
        self.drain_source(Origin::Function).await;
        if self.extensions.is_some() {
            self.drain_source(Origin::Extensions).await;
        }
    }

    async fn drain_source(&mut self, origin: Origin) {
        let (mut read, mut capacity) = (0, None);
        while capacity.is_none_or(|capacity| read < capacity) {
            if self.queued >= OUTPUT_QUEUE_BYTES {
                self.flush().await;
            }
            match self.read(origin) {
                0 => return,
                more => read += more,
            }
            capacity = capacity.or_else(|| self.capacity(origin));
        }
    }

    /// Every process that wrote is gone: an unfinished line is as long as it will be.
    pub async fn finish(&mut self) {
        self.drain().await;
        for origin in [Origin::Function, Origin::Extensions] {
            let mut events = std::mem::take(&mut self.events);
            match (origin, &mut self.extensions) {
                (Origin::Function, _) => self.function.splitter.finish(&mut events),
                (Origin::Extensions, Some(source)) => source.splitter.finish(&mut events),
                (Origin::Extensions, None) => {}
            }
            self.take(origin, events);
        }
    }

    /// Waits until the log has taken everything.
    pub async fn flush(&mut self) {
        std::future::poll_fn(|cx| self.poll_write(cx)).await;
    }

    /// An init begins.
    pub fn init_start(&mut self, phase: InitPhase) {
        self.catch_up();
        self.telemetry.hold();
        let (runtime_version, runtime_version_arn) = self.plan.runtime.clone().unzip();
        self.record(&Record::InitStart(InitStart {
            initialization_type: self.plan.made_for,
            phase: phase_of(phase),
            runtime_version,
            runtime_version_arn,
            function: self.plan.function.clone(),
            version: self.plan.version.clone(),
            stream: Arc::clone(&self.plan.stream),
            memory: self.plan.memory,
        }));
        if let Some(notice) = self.plan.notice.take() {
            let message = notice_line(self.plan.format, &self.clock.now().iso_millis(), &notice);
            self.enqueue(message);
        }
    }

    /// An init ended for the runtime.
    pub fn init_runtime_done(&mut self, phase: InitPhase, status: &Status) {
        self.catch_up();
        let (phase, ending) = (phase_of(phase), ending_of(status));
        let initialization_type = self.plan.made_for;
        self.record(&Record::InitRuntimeDone(InitRuntimeDone { initialization_type, phase, ending }));
    }

    /// How an extension came out of an init.
    pub fn extension(&mut self, standing: &Standing) {
        let Standing { name, stage, wanted, error } = standing;
        self.record(&Record::Extension(Extension {
            name: Arc::clone(name),
            state: format!("{stage:?}"),
            events: [("INVOKE", wanted.invoke), ("SHUTDOWN", wanted.shutdown)]
                .into_iter()
                .filter_map(|(event, is_wanted)| is_wanted.then_some(event))
                .collect(),
            error_type: error.clone(),
        }));
    }

    /// An init ended.
    pub fn init_report(&mut self, phase: InitPhase, duration: Duration, status: &Status) {
        self.catch_up();
        let (phase, ending) = (phase_of(phase), ending_of(status));
        let initialization_type = self.plan.made_for;
        self.record(&Record::InitReport(InitReport { initialization_type, phase, ending, duration }));
        self.telemetry.release();
    }

    /// A restore begins: from here on the environment writes to another stream.
    pub async fn restore_start(&mut self, writer: LogWriter, stream: Arc<str>) {
        self.finish().await;
        self.flush().await;
        (self.plan.writer, self.plan.stream) = (writer, stream);
        // What the init wrote is no call's.
        self.tail = Tail::new(self.plan.format);
        let (runtime_version, runtime_version_arn) = self.plan.runtime.clone().unzip();
        self.record(&Record::RestoreStart(RestoreStart {
            runtime_version,
            runtime_version_arn,
            function: self.plan.function.clone(),
            version: self.plan.version.clone(),
            stream: Arc::clone(&self.plan.stream),
            memory: self.plan.memory,
        }));
    }

    /// A restore ended; the next report tells what it took.
    pub fn restore_report(&mut self, restored: Restored, status: &Status) {
        self.catch_up();
        let (ending, duration) = (ending_of(status), restored.duration);
        self.record(&Record::RestoreRuntimeDone(ending.clone()));
        self.record(&Record::RestoreReport(RestoreReport { ending, duration }));
        self.restored = Some(restored);
    }

    /// An invocation begins.
    pub fn start(&mut self, invocation: &Invocation) {
        self.catch_up();
        self.tailing = invocation.tail;
        self.record(&Record::Start(Start {
            request: invocation.id,
            function: invocation.requested.clone(),
            version: self.plan.version.clone(),
        }));
    }

    /// The runtime ended by a fault. JSON logs hold the platform's objects only, and tell it in the report.
    pub fn fault(&mut self, request: RequestId, fault: &Fault) {
        if self.plan.format == Format::Json {
            return;
        }
        let line = crash_line(request, &fault.cause(), fault.error_type());
        if self.tailing {
            self.tail.push(&line);
        }
        self.enqueue(line);
    }

    /// The runtime is done with an invocation.
    pub fn runtime_done(&mut self, request: RequestId, took: Duration, status: &Status, produced: &Produced) {
        // Text has no line for it, and is the common format.
        if self.plan.format == Format::Text && self.telemetry.is_off() {
            return;
        }
        self.catch_up();
        let ending = ending_of(status);
        let spans = produced.spans(self.clock.now());
        let produced = produced.bytes;
        self.record(&Record::RuntimeDone(RuntimeDone { request, ending, duration: took, produced, spans }));
    }

    /// An invocation ended; drain before.
    pub fn end(&mut self, request: RequestId, figures: &Figures<'_>) {
        let Figures { spent: Spent { took, init, status, extensions }, used } = *figures;
        let ending = ending_of(status);
        self.record(&Record::End(request));
        let memory = self.plan.memory;
        let (duration, init, restore) = (*took, *init, self.restored.take());
        let now = self.clock.now();
        let overhead = extensions.map(|time| Span {
            name: "extensionOverhead",
            start: now.before(time),
            duration: time,
        });
        let spans = overhead.into_iter().collect();
        let report = Report { request, ending, duration, init, restore, memory, used, spans };
        self.record(&Record::Report(report));
    }

    /// The end of the log since the last cut, when the invocation asked for it.
    pub fn cut_tail(&mut self) -> Bytes {
        let tail = std::mem::replace(&mut self.tail, Tail::new(self.plan.format));
        if std::mem::replace(&mut self.tailing, true) { tail.finish().into() } else { Bytes::new() }
    }

    /// Reads what is there at once, so that it stands before the next line of the platform.
    fn catch_up(&mut self) {
        self.catch_up_with(Origin::Function);
        if self.extensions.is_some() {
            self.catch_up_with(Origin::Extensions);
        }
    }

    fn catch_up_with(&mut self, origin: Origin) {
        let mut read = 0;
        // Mostly there is nothing, and then nobody needs to know how much there could be.
        let mut capacity = None;
        while capacity.is_none_or(|capacity| read < capacity) {
            match self.read(origin) {
                0 => return,
                more => read += more,
            }
            capacity = capacity.or_else(|| self.capacity(origin));
        }
    }

    /// What the pipe can hold now, which its writers may change: reading so much after a moment reads all that was
    /// written before it.
    fn capacity(&mut self, origin: Origin) -> Option<usize> {
        let source = self.source(origin)?;
        Some(rustix::pipe::fcntl_getpipe_size(&source.pipe).unwrap_or(PIPE_BYTES))
    }

    /// Who wants to know of all this.
    pub const fn telemetry(&mut self) -> &mut Telemetry {
        &mut self.telemetry
    }

    /// Sends telemetry to an extension; false when it is sent some over the other API.
    pub fn subscribe(&mut self, name: &Name, subscription: &Subscription) -> bool {
        let state = match self.telemetry.subscribe(self.clock, name, subscription) {
            Subscribed::New => "Subscribed",
            Subscribed::Again => "Already subscribed",
            Subscribed::Mixed => return false,
        };
        self.record(&Record::Subscription(record::report::Subscription {
            is_logs_api: subscription.api == Api::Logs,
            name: Arc::clone(name),
            state,
            types: subscription.types.names(),
        }));
        true
    }

    fn record(&mut self, record: &Record) {
        self.telemetry.platform(self.clock.now(), record);
        let Some(message) = record.message(self.plan.format, self.clock.now()) else { return };
        if self.tailing && record.in_tail() {
            self.tail.push(&message);
        }
        if self.plan.format == Format::Text || system_passes(self.plan.system, record) {
            self.enqueue(message);
        }
    }

    fn enqueue(&mut self, message: Bytes) {
        self.queued += message.len() + EVENT_COST;
        self.queue.push(LogEvent { timestamp: self.clock.now(), message });
    }

    /// What `read` gave so far becomes events of the log.
    fn take(&mut self, origin: Origin, mut events: Vec<Event>) {
        let now = self.clock.now();
        for event in events.drain(..) {
            let at = event.timestamp.unwrap_or(now);
            self.telemetry.line(now, at, origin, &event.message, self.plan.format);
            if self.tailing {
                self.tail.push(&event.message);
            }
            // Levels are the function's.
            let passes = self.plan.format == Format::Text
                || origin == Origin::Extensions
                || application_passes(self.plan.application, &event);
            if passes {
                self.queued += event.message.len() + EVENT_COST;
                self.queue.push(LogEvent { timestamp: at, message: event.message });
            }
        }
        self.events = events;
    }

    /// Bytes read at once; zero when there are none. Asks the kernel, and not tokio, which learns of fresh bytes
    /// later.
    fn read(&mut self, origin: Origin) -> usize {
        let mut chunk = [MaybeUninit::uninit(); CHUNK];
        let Some(source) = self.source(origin) else { return 0 };
        // It does not wait, so nothing interrupts it.
        let Ok((read, _)) = rustix::io::read(&source.pipe, &mut chunk[..]) else { return 0 };
        self.accept(origin, read);
        read.len()
    }

    fn accept(&mut self, origin: Origin, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let mut events = std::mem::take(&mut self.events);
        let splitter = match (origin, &mut self.extensions) {
            (Origin::Extensions, Some(source)) => &mut source.splitter,
            _ => &mut self.function.splitter,
        };
        splitter.push(bytes, &mut events);
        self.take(origin, events);
    }

    /// Ready when nothing waits.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Some(writing) = &mut self.writing {
                std::task::ready!(writing.as_mut().poll(cx));
                self.writing = None;
            }
            if self.queue.is_empty() {
                return Poll::Ready(());
            }
            let batch = std::mem::take(&mut self.queue);
            self.queued = 0;
            let writer = self.plan.writer.clone();
            self.writing = Some(Box::pin(async move {
                if let Err(error) = writer.write(batch).await {
                    tracing::error!(group = writer.group(), stream = writer.stream(), %error, "log lines lost");
                }
            }));
        }
    }
}

impl Source {
    fn new(pipe: OwnedFd) -> io::Result<Self> {
        let pipe = pipe::Receiver::from_owned_fd(pipe)?;
        Ok(Self { pipe, ended: false, splitter: Splitter::new() })
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, chunk: &mut ReadBuf<'_>) -> Poll<usize> {
        let read = std::task::ready!(Pin::new(&mut self.pipe).poll_read(cx, chunk));
        self.ended = read.is_err() || chunk.filled().is_empty();
        Poll::Ready(chunk.filled().len())
    }
}

const fn phase_of(phase: InitPhase) -> Phase {
    match phase {
        InitPhase::Init => Phase::Init,
        InitPhase::Invoke => Phase::Invoke,
    }
}

fn ending_of(status: &Status) -> Ending {
    match status {
        Status::Success => Ending::Success,
        Status::Error(kind) => Ending::Error(kind.clone()),
        Status::Timeout => Ending::Timeout,
    }
}

fn notice_line(format: Format, time: &str, notice: &str) -> Bytes {
    match format {
        Format::Text => format!("SAMOVAR\t{notice}\n").into(),
        Format::Json => {
            let line = serde_json::json!({ "timestamp": time, "level": "WARN", "message": notice });
            format!("{line}\n").into()
        }
    }
}

#[cfg(test)]
mod tests;
