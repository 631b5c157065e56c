//! One environment played without sandbox, socket and clock, for whatever bytes a function sends to its Runtime API.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use base::clock::Timestamp;
use base::id::RequestId;
use base::limits::SYNC_RESPONSE_BYTES;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::super::extensions::{Asked, Reply, Request};
use super::{Call, NextReply, Passage, Posted, Shared, Verdict, Work, converse};
use crate::environment::rules::{Action, Environment, Event, ExtensionCall, ExtensionId, Limits, Refusal};
use crate::flow::{Flow, flow};
use crate::outcome::{Answer, UNNAMED};

/// Holds whatever one input can be answered with.
const PIPE: usize = 16 << 20;

/// Sends `bytes` over one connection, as much of them as the API takes; what it answered, and how many invocations
/// their callers had an answer for.
///
/// The function is invoked again whenever its environment is free, with the ids 1, 2, 3, ... Callers with even ids take
/// responses as they come.
///
/// # Panics
///
/// When a caller is answered twice or not before the end, when an answer is larger than it may be, or when the
/// runtime is given what it did not ask for.
pub fn exchange(bytes: &[u8]) -> (Vec<u8>, u128) {
    let (shared, mut calls) = Shared::fresh(None);
    let (mut client, server) = tokio::io::duplex(PIPE);
    // Nothing here waits for anything but the other side, so whoever stands still has nothing to do.
    let mut cx = Context::from_waker(Waker::noop());
    let mut connection = pin!(converse(server, shared));
    let mut played = Played::new();
    let mut answered = Vec::new();
    let _ = Pin::new(&mut client).poll_write(&mut cx, bytes);
    let mut is_open = true;
    loop {
        let ended = connection.as_mut().poll(&mut cx).is_ready();
        let read = read(&mut client, &mut cx, &mut answered);
        if ended {
            return (answered, played.replies);
        }
        match calls.poll_recv(&mut cx) {
            Poll::Ready(Some(call)) => played.hear(call),
            _ if read || played.takes(&mut cx) => {}
            _ if is_open => {
                let _ = Pin::new(&mut client).poll_shutdown(&mut cx);
                is_open = false;
            }
            _ => return (answered, played.replies),
        }
    }
}

/// Takes what the API has written; whether that was anything.
fn read(client: &mut DuplexStream, cx: &mut Context<'_>, answered: &mut Vec<u8>) -> bool {
    let mut chunk = [0; 4096];
    let mut buffer = ReadBuf::new(&mut chunk);
    let _ = Pin::new(client).poll_read(cx, &mut buffer);
    answered.extend_from_slice(buffer.filled());
    !buffer.filled().is_empty()
}

/// An environment under the real rules, whose actions only count.
struct Played {
    environment: Environment,
    now: Timestamp,
    called: u128,
    replies: u128,
    asker: Option<Asker>,
    parked: Option<oneshot::Sender<NextReply>>,
    /// The extension's call that is being decided on.
    extension: Option<oneshot::Sender<Reply>>,
    /// Extensions that wait for an event, and how many have registered.
    held: Vec<(ExtensionId, oneshot::Sender<Reply>)>,
    registered: u128,
    /// What the last caller gets that takes its response as it comes.
    flow: Option<Flow>,
}

enum Asker {
    Next(oneshot::Sender<NextReply>),
    Stream(oneshot::Sender<Passage>),
    Post(oneshot::Sender<Verdict>),
}

impl Played {
    fn new() -> Self {
        let limits = Limits::default();
        let mut played = Self {
            environment: Environment::new(limits, false),
            now: Timestamp::from_millis(0),
            called: 0,
            replies: 0,
            asker: None,
            parked: None,
            extension: None,
            held: Vec::new(),
            registered: 0,
            flow: None,
        };
        played.on(Event::Built);
        played
    }

    fn hear(&mut self, call: Call) {
        let event = match call {
            Call::Extension(Request { asked, reply }) => {
                self.extension = Some(reply);
                Event::Extension(self.asked(asked))
            }
            Call::Next(asker) => {
                self.asker = Some(Asker::Next(asker));
                Event::Next
            }
            // No call of a runtime that is not restored.
            Call::RestoreNext(asker, _) => return drop(asker),
            Call::Stream(_, _, asker) if !self.is_answered() && self.called % 2 == 1 => {
                return drop(asker.send(Passage::Whole));
            }
            Call::Stream(id, _, asker) => {
                self.asker = Some(Asker::Stream(asker));
                match id {
                    Some(id) => Event::Begun(id),
                    None => return self.refuse(Refusal::RequestId),
                }
            }
            Call::Post(posted, asker) => {
                self.asker = Some(Asker::Post(asker));
                match posted {
                    Posted::Streamed(id, _, fault) => Event::Streamed(id, fault),
                    Posted::Answer(Some(id), answer) => Event::Answered(id, answer),
                    Posted::Answer(None, _) => return self.refuse(Refusal::RequestId),
                    Posted::InitError(answer) => Event::InitFailed(answer),
                    Posted::RestoreError(answer) => Event::RestoreFailed(answer),
                }
            }
        };
        self.on(event);
        assert!(self.asker.is_none(), "a call of the runtime was neither answered nor kept");
        assert!(self.extension.is_none(), "a call of an extension was neither answered nor kept");
    }

    fn asked(&mut self, asked: Asked) -> ExtensionCall {
        match asked {
            Asked::Register { name, events, .. } => {
                self.registered += 1;
                ExtensionCall::Register { name, events, id: ExtensionId(Uuid::from_u128(self.registered)) }
            }
            Asked::Subscribe(id, _) => ExtensionCall::Subscribe(id),
            Asked::Call(call) => call,
        }
    }

    fn answer_extension(&mut self, reply: Reply) {
        drop(self.extension.take().expect("what is answered was asked").send(reply));
    }

    fn on(&mut self, event: Event) {
        self.now = self.now + Duration::from_millis(1);
        let (environment, actions) = self.environment.clone().on(self.now, event);
        self.environment = environment;
        for action in actions {
            self.act(action);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Park => self.park(),
            Action::Deliver => {
                // A runtime that asks twice is told twice.
                self.park();
                let asker = self.parked.take().expect("work goes to a runtime that asked for it");
                drop(asker.send(NextReply::Work(Box::new(work(self.called)))));
            }
            Action::Accept => match self.asker.take() {
                Some(Asker::Post(asker)) => drop(asker.send(Ok(()))),
                _ => panic!("what is accepted was posted"),
            },
            Action::Refuse(refusal) => self.refuse(refusal),
            Action::Reply(answer) => {
                self.replied();
                if let Answer::Response { body, .. } | Answer::Error { body, .. } = answer {
                    assert!(body.len() <= SYNC_RESPONSE_BYTES);
                }
            }
            Action::Flow => {
                self.replied();
                let (sink, flow) = flow(UNNAMED);
                self.flow = Some(flow);
                match self.asker.take() {
                    Some(Asker::Stream(asker)) => drop(asker.send(Passage::Flowing(id(self.called), sink))),
                    _ => panic!("what flows is a response"),
                }
            }
            Action::Registered(id) => self.answer_extension(Reply::Registered(id, "{}".into())),
            Action::Subscribe(_) => self.answer_extension(Reply::Subscribed),
            Action::Taken => self.answer_extension(Reply::Taken),
            Action::RefuseExtension(refusal) => self.answer_extension(Reply::Refused(refusal)),
            Action::Hold(id) => {
                let asker = self.extension.take().expect("who is kept waiting asked");
                self.held.push((id, asker));
            }
            Action::Invoke(ids) => {
                for (_, asker) in self.held.extract_if(.., |(id, _)| ids.contains(id)) {
                    drop(asker.send(Reply::Event("{}".into(), None)));
                }
            }
            Action::Finish(_) => assert_eq!(self.replies, self.called, "what ends has been answered"),
            Action::Reset => {
                self.parked = None;
                self.on(Event::ResetDone);
            }
            Action::Offer => {
                self.called += 1;
                self.on(Event::Called(id(self.called)));
            }
            _ => {}
        }
    }

    fn replied(&mut self) {
        self.replies += 1;
        assert_eq!(self.replies, self.called, "every invocation is answered once");
    }

    fn is_answered(&self) -> bool {
        self.replies == self.called
    }

    /// Takes what has come of a streamed response; whether there was any.
    fn takes(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(flow) = &mut self.flow else { return false };
        let taken = pin!(flow.next()).poll(cx).map(|piece| piece.is_some());
        taken == Poll::Ready(true)
    }

    fn park(&mut self) {
        match self.asker.take() {
            Some(Asker::Next(asker)) => self.parked = Some(asker),
            Some(Asker::Stream(_) | Asker::Post(_)) => panic!("what is parked is a call for work"),
            None => {}
        }
    }

    fn refuse(&mut self, refusal: Refusal) {
        match self.asker.take().expect("what is refused was asked") {
            Asker::Next(asker) => drop(asker.send(NextReply::Refused(refusal))),
            Asker::Stream(asker) => drop(asker.send(Passage::Refused(refusal))),
            Asker::Post(asker) => drop(asker.send(Err(refusal))),
        }
    }
}

fn id(number: u128) -> RequestId {
    RequestId(Uuid::from_u128(number))
}

fn work(number: u128) -> Work {
    Work {
        id: id(number),
        deadline: Timestamp::from_millis(3_000),
        arn: "arn:aws:lambda:us-east-1:000000000000:function:f".into(),
        trace: "Root=1-0-0".into(),
        client_context: Some("{\"custom\":\n{}}".into()),
        cognito_identity: None,
        payload: "{}".into(),
    }
}
