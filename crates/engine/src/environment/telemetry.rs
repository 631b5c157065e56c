//! The events of one environment for the extensions that subscribed to them.
//!
//! Without subscribers nothing is encoded: events of an init are kept until it is over, for those who subscribe in it.

use std::sync::Arc;
use std::task::{Context, Poll};

use base::clock::{Clock, Timestamp};
use base::limits::TELEMETRY_HELD_BYTES;
use bytes::Bytes;
use record::level::Format;
use record::report::Record;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use super::rules::Name;
use crate::host::telemetry::delivery::{Delivery, Dial};
use crate::host::telemetry::{Api, Subscription, Types};

/// Whose output a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The function's.
    Function,
    /// An extension's.
    Extensions,
}

impl Origin {
    const fn name(self) -> &'static str {
        match self {
            Self::Function => "function",
            Self::Extensions => "extension",
        }
    }
}

/// Who subscribed, and what they may still want.
#[derive(Default)]
pub struct Telemetry {
    /// Events of the init under way.
    held: Option<Vec<Held>>,
    held_bytes: usize,
    subscribers: Vec<Subscriber>,
    dials: Option<(mpsc::UnboundedSender<Dial>, mpsc::UnboundedReceiver<Dial>)>,
}

struct Subscriber {
    name: Name,
    api: Api,
    types: Types,
    has_runtime_done: bool,
    delivery: Delivery,
}

#[derive(Clone)]
enum Held {
    Platform(Timestamp, Record),
    Fault(Timestamp, Bytes),
    Line(Timestamp, Origin, Bytes, Format),
}

/// What came of a subscription.
pub enum Subscribed {
    /// It is new.
    New,
    /// There was one of this name.
    Again,
    /// There was one over the other API.
    Mixed,
}

impl Telemetry {
    /// An init begins: what happens now is of interest to those who subscribe in it.
    pub fn hold(&mut self) {
        self.held = Some(Vec::new());
        self.held_bytes = 0;
    }

    /// The init is over.
    pub fn release(&mut self) {
        self.held = None;
    }

    /// Whether nobody wants anything.
    pub const fn is_off(&self) -> bool {
        self.held.is_none() && self.subscribers.is_empty()
    }

    /// Something happened.
    pub fn platform(&mut self, now: Timestamp, record: &Record) {
        if !self.is_off() {
            self.tell(now, Held::Platform(now, record.clone()));
        }
    }

    /// A process ended under an invocation, as this text says.
    pub fn fault(&mut self, now: Timestamp, text: &Bytes) {
        if !self.is_off() {
            self.tell(now, Held::Fault(now, text.clone()));
        }
    }

    /// A line was written.
    pub fn line(&mut self, now: Timestamp, at: Timestamp, origin: Origin, message: &Bytes, format: Format) {
        if !self.is_off() {
            self.tell(now, Held::Line(at, origin, message.clone(), format));
        }
    }

    fn tell(&mut self, now: Timestamp, event: Held) {
        self.subscribers.iter().for_each(|subscriber| subscriber.tell(now, &event));
        if let Some(held) = &mut self.held {
            self.held_bytes += event.size();
            if self.held_bytes <= TELEMETRY_HELD_BYTES {
                held.push(event);
            }
        }
    }

    /// Sends events to another extension, with those of the init so far. Subscriptions survive resets by their names.
    pub fn subscribe(&mut self, clock: Clock, name: &Name, subscription: &Subscription) -> Subscribed {
        if let Some(known) = self.subscribers.iter().find(|subscriber| subscriber.name == *name) {
            return if known.api == subscription.api { Subscribed::Again } else { Subscribed::Mixed };
        }
        let (dials, _) = self.dials.get_or_insert_with(mpsc::unbounded_channel);
        let delivery = Delivery::begin(subscription, clock, dials.clone());
        let Subscription { api, types, has_runtime_done, .. } = *subscription;
        let subscriber = Subscriber { name: Arc::clone(name), api, types, has_runtime_done, delivery };
        let now = clock.now();
        self.held.iter().flatten().for_each(|event| subscriber.tell(now, event));
        self.subscribers.push(subscriber);
        Subscribed::New
    }

    /// Sends what waits: the environment is about to end.
    pub fn flush(&self) {
        self.subscribers.iter().for_each(|subscriber| subscriber.delivery.flush());
    }

    /// The next connection that a delivery wants.
    pub fn poll_dial(&mut self, cx: &mut Context<'_>) -> Poll<Dial> {
        match &mut self.dials {
            // The sender is beside it.
            Some((_, dials)) => dials.poll_recv(cx).map(|dial| dial.expect("a sender is held")),
            None => Poll::Pending,
        }
    }
}

impl Held {
    fn size(&self) -> usize {
        match self {
            Self::Platform(..) => size_of::<Self>(),
            Self::Fault(_, message) | Self::Line(_, _, message, _) => size_of::<Self>() + message.len(),
        }
    }
}

impl Subscriber {
    fn tell(&self, now: Timestamp, event: &Held) {
        let encoded = match event {
            Held::Platform(_, Record::RuntimeDone(_)) if !self.has_runtime_done => None,
            Held::Platform(at, record) if self.types.platform => match self.api {
                Api::Telemetry => record.telemetry(*at),
                Api::Logs => record.logs_api(*at),
            },
            Held::Fault(at, text) if self.types.platform && self.api == Api::Logs => {
                Some(written(*at, "platform.fault", text.trim_ascii(), Format::Text))
            }
            Held::Line(at, origin, message, format) if self.wants(*origin) => {
                // Readers of the Logs API take strings only; objects came with the Telemetry API.
                let format = if self.api == Api::Logs { Format::Text } else { *format };
                Some(written(*at, origin.name(), message, format))
            }
            _ => None,
        };
        if let Some(encoded) = encoded {
            self.delivery.push(now, encoded.into());
        }
    }

    const fn wants(&self, origin: Origin) -> bool {
        match origin {
            Origin::Function => self.types.function,
            Origin::Extensions => self.types.extension,
        }
    }
}

/// Text as an event: a string, or the object that it is where the function logs JSON.
fn written(at: Timestamp, kind: &str, message: &[u8], format: Format) -> String {
    #[derive(Serialize)]
    struct Event<'a, R> {
        time: String,
        r#type: &'a str,
        record: R,
    }
    let time = at.iso_millis();
    let object = (format == Format::Json && message.trim_ascii_start().first() == Some(&b'{'))
        .then(|| serde_json::from_slice::<&RawValue>(message).ok())
        .flatten();
    let event = match object {
        Some(record) => serde_json::to_string(&Event { time, r#type: kind, record }),
        None => {
            let record = String::from_utf8_lossy(message);
            serde_json::to_string(&Event { time, r#type: kind, record })
        }
    };
    event.expect("strings and raw JSON serialise")
}
