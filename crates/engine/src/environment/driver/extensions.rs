//! The driver's part in extensions: their calls become events, and what is decided becomes their answers.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use base::clock::Timestamp;
use base::random::Dice;
use bytes::Bytes;
use catalogue::Version;
use serde::Serialize;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::Driver;
use crate::environment::recipe::reason;
use crate::environment::rules::{Action, Event, ExtensionCall, ExtensionId, ExtensionRefusal, Name, Reason};
use crate::host::extensions::{Asked, Reply, Request};
use crate::host::telemetry::Subscription;
use crate::host::telemetry::delivery::Dial;

/// Whose calls wait.
pub(super) struct Extensions {
    dice: Dice,
    version: Arc<Version>,
    /// Names of files that the sandbox has told so far.
    found: Vec<Name>,
    /// The call that is being decided on, and whether it wants to know the account.
    asker: Option<(oneshot::Sender<Reply>, bool)>,
    /// The subscription that is being decided on.
    subscription: Option<Result<Subscription, String>>,
    /// Connections that deliveries wait for, by their numbers, and the number of the last.
    dials: Vec<(u32, oneshot::Sender<TcpStream>)>,
    dialed: u32,
    /// Calls for the next event.
    waiting: Vec<(ExtensionId, oneshot::Sender<Reply>)>,
    /// Events for those who did not wait for one, or whose connection had broken.
    owed: Vec<(ExtensionId, Occasion)>,
}

/// What an event is about.
#[derive(Clone)]
enum Occasion {
    Invoke(Bytes),
    Shutdown(Bytes),
}

impl Extensions {
    pub(super) fn new(dice: Dice, version: Arc<Version>) -> Self {
        let (waiting, owed) = (Vec::new(), Vec::new());
        Self {
            dice,
            version,
            found: Vec::new(),
            asker: None,
            subscription: None,
            dials: Vec::new(),
            dialed: 0,
            waiting,
            owed,
        }
    }

    /// A call becomes an event, unless it can be answered from what is owed.
    pub(super) fn called(&mut self, request: Request) -> Option<Event> {
        let Request { asked, reply } = request;
        let (call, account) = match asked {
            Asked::Register { name, events, account } => {
                let id = ExtensionId(uuid::Builder::from_random_bytes(self.dice.bytes()).into_uuid());
                (ExtensionCall::Register { name, events, id }, account)
            }
            Asked::Subscribe(id, subscription) => {
                self.subscription = Some(subscription);
                (ExtensionCall::Subscribe(id), false)
            }
            Asked::Call(call) => (call, false),
        };
        if let ExtensionCall::Next(id) = call
            && let Some(index) = self.owed.iter().position(|(other, _)| *other == id)
        {
            let (_, occasion) = self.owed.swap_remove(index);
            self.send(id, reply, occasion);
            return None;
        }
        self.asker = Some((reply, account));
        Some(Event::Extension(call))
    }

    /// Another file was named.
    pub(super) fn found(&mut self, name: &str) {
        self.found.push(name.into());
    }

    /// All were.
    pub(super) fn all_found(&mut self) -> Event {
        Event::Found(std::mem::take(&mut self.found))
    }

    pub(super) fn not_launched(number: u32, errno: i32) -> Event {
        Event::NotLaunched(number, errno, reason(errno))
    }

    /// Answers the call that was decided on.
    pub(super) fn answer(&mut self, reply: Reply) {
        if let Some((asker, _)) = self.asker.take() {
            let _ = asker.send(reply);
        }
    }

    pub(super) fn refuse(&mut self, refusal: ExtensionRefusal) {
        self.answer(Reply::Refused(refusal));
    }

    /// Source of the members and their order: runtime interface emulator; recorded, with the line feed at the end.
    pub(super) fn registered(&mut self, id: ExtensionId) {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Function<'a> {
            function_name: &'a str,
            function_version: String,
            handler: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            account_id: Option<&'a str>,
        }
        let Version { arn, qualifier, configuration, .. } = &*self.version;
        let wants_account = self.asker.as_ref().is_some_and(|(_, account)| *account);
        let mut body = serialised(&Function {
            function_name: arn.name.as_str(),
            function_version: qualifier.to_string(),
            handler: configuration.handler.as_deref().unwrap_or_default(),
            account_id: wants_account.then_some(arn.scope.account.as_str()),
        });
        body.push(b'\n');
        self.answer(Reply::Registered(id, body.into()));
    }

    /// Keeps the call waiting. One over a connection that broke is stale.
    pub(super) fn hold(&mut self, id: ExtensionId) {
        let Some((asker, _)) = self.asker.take() else { return };
        self.waiting.retain(|(other, _)| *other != id);
        self.waiting.push((id, asker));
    }

    /// Tells of an event now, or when it is asked for.
    fn tell(&mut self, ids: &[ExtensionId], occasion: &Occasion) {
        for id in ids {
            self.owed.retain(|(other, _)| other != id);
            match self.waiting.iter().position(|(other, _)| other == id) {
                Some(index) => {
                    let (_, asker) = self.waiting.swap_remove(index);
                    self.send(*id, asker, occasion.clone());
                }
                None => self.owed.push((*id, occasion.clone())),
            }
        }
    }

    fn send(&mut self, id: ExtensionId, asker: oneshot::Sender<Reply>, occasion: Occasion) {
        let reply = match occasion.clone() {
            Occasion::Invoke(body) => {
                Reply::Event(body, Some(uuid::Builder::from_random_bytes(self.dice.bytes()).into_uuid()))
            }
            // Recorded without an id.
            Occasion::Shutdown(body) => Reply::Event(body, None),
        };
        if asker.send(reply).is_err() {
            self.owed.push((id, occasion));
        }
    }

    /// Their processes are gone.
    pub(super) fn forget(&mut self) {
        self.asker = None;
        self.dials.clear();
        self.waiting.clear();
        self.owed.clear();
    }

    /// The call that was decided on fell through.
    pub(super) fn drop_asker(&mut self) {
        self.asker = None;
    }

    /// Tells these extensions that all ends.
    pub(super) fn shut_down(&mut self, ids: &[ExtensionId], deadline: Timestamp, reason: Reason) {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Shutdown {
            event_type: &'static str,
            deadline_ms: i64,
            shutdown_reason: &'static str,
        }
        let body = serialised(&Shutdown {
            event_type: "SHUTDOWN",
            deadline_ms: deadline.as_millis(),
            shutdown_reason: reason.as_str(),
        });
        self.tell(ids, &Occasion::Shutdown(body.into()));
    }

    fn invoke(&mut self, ids: &[ExtensionId], work: &Invoke<'_>) {
        self.tell(ids, &Occasion::Invoke(serialised(work).into()));
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Invoke<'a> {
    event_type: &'static str,
    deadline_ms: i64,
    request_id: String,
    invoked_function_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tracing: Option<Tracing<'a>>,
}

#[derive(Serialize)]
struct Tracing<'a> {
    r#type: &'static str,
    value: &'a str,
}

fn serialised(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("strings and numbers serialise")
}

impl Driver {
    /// Carries out what concerns extensions.
    pub(super) fn perform_for_extensions(&mut self, action: Action) {
        match action {
            Action::Discover => self.sandbox_says(|control| control.discover()),
            Action::Launch(number, name) => {
                let command = self.recipe.extension(&name);
                self.sandbox_says(|control| control.launch(number, command));
            }
            Action::Signal(who, stop) => self.sandbox_says(|control| control.signal(who, stop)),
            Action::Registered(id) => self.extensions.registered(id),
            Action::Hold(id) => self.extensions.hold(id),
            Action::Taken => self.extensions.answer(Reply::Taken),
            Action::RefuseExtension(refusal) => self.extensions.refuse(refusal),
            Action::Invoke(ids) => self.tell_of_invoke(&ids),
            Action::Shutdown(ids, deadline, reason) => {
                self.wake();
                self.extensions.shut_down(&ids, deadline, reason);
                self.output.telemetry().flush();
            }
            Action::Subscribe(name) => self.subscribe(&name),
            Action::ExtensionLine(standing) => self.output.extension(&standing),
            _ => {}
        }
    }

    fn subscribe(&mut self, name: &Name) {
        let reply = match self.extensions.subscription.take() {
            Some(Ok(subscription)) => match self.output.subscribe(name, &subscription) {
                true => Reply::Subscribed,
                false => Reply::Invalid("an extension may use one of Logs API and Telemetry API only".into()),
            },
            Some(Err(problem)) => Reply::Invalid(problem),
            None => return,
        };
        self.extensions.answer(reply);
    }

    /// Has a connection made inside. That thaws nothing: a frozen listener's backlog takes it.
    pub(super) fn dial(&mut self, Dial { port, reply }: Dial) {
        self.extensions.dialed = self.extensions.dialed.wrapping_add(1);
        let number = self.extensions.dialed;
        if self.control.dial(number, port).is_ok() {
            self.extensions.dials.push((number, reply));
        }
    }

    /// Hands a connection to the delivery that wanted it. What is no socket of its kind is none.
    pub(super) fn dialed(&mut self, number: u32, socket: Option<OwnedFd>) {
        let Some(index) = self.extensions.dials.iter().position(|(other, _)| *other == number) else {
            return;
        };
        let (_, reply) = self.extensions.dials.swap_remove(index);
        let stream = socket.and_then(|socket| {
            let stream = std::net::TcpStream::from(socket);
            stream.set_nonblocking(true).ok()?;
            TcpStream::from_std(stream).ok()
        });
        if let Some(stream) = stream {
            let _ = reply.send(stream);
        }
    }

    fn tell_of_invoke(&mut self, ids: &[ExtensionId]) {
        let (Some(run), Some(call)) = (&self.run, self.rules.call()) else { return };
        let invocation = &run.job.invocation;
        let trace = invocation.trace.to_string();
        let work = Invoke {
            event_type: "INVOKE",
            deadline_ms: call.deadline.as_millis(),
            request_id: invocation.id.to_string(),
            invoked_function_arn: invocation.requested.to_string(),
            tracing: (!trace.is_empty()).then_some(Tracing { r#type: "X-Amzn-Trace-Id", value: &trace }),
        };
        self.extensions.invoke(ids, &work);
    }
}
