//! The stored form of an event: one line of JSON that says everything of it, and then its payload as it came.
//!
//! The structs below are what older and newer Samovars agree on: a member is never renamed and never changes its
//! meaning; a new one has a default. What cannot be read so gets a new `version`.

use std::sync::Arc;
use std::time::Duration;

use access::{FunctionIdentity, Principal, ServiceCall};
use base::arn::{AccountId, FunctionArn, Scope};
use base::clock::Timestamp;
use base::id::RequestId;
use bytes::{BufMut, Bytes, BytesMut};
use catalogue::FunctionKey;
use engine::TraceHeader;
use serde::{Deserialize, Serialize};

use super::rules::{Progress, Settings};

/// Version of all events written here.
const VERSION: u32 = 1;

/// First part of the names of all queues that hold events.
pub const PREFIX: &str = "events/";

/// An event that waits for its next attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What the caller, the function and the log call it, at every attempt.
    pub id: RequestId,
    /// Who sent it.
    pub principal: Principal,
    /// The function as the caller named it. What that means is found out at each attempt.
    pub requested: FunctionArn,
    /// The event itself.
    pub payload: Bytes,
    /// The trace that it belongs to.
    pub trace: TraceHeader,
    /// How far it has come.
    pub progress: Progress,
    /// How it was to be treated when somebody looked last: what counts when its function is gone.
    pub settings: Settings,
}

/// An event that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StoredError {
    /// Another Samovar wrote it.
    #[error("version {0} of events is not known to this samovar")]
    Version(u32),
    /// Nobody wrote it so.
    #[error("the event's {0} is damaged")]
    Damaged(&'static str),
    /// It is no JSON, or lacks something.
    #[error("the event's head is damaged")]
    Head(#[from] serde_json::Error),
}

/// The queue of a function's events: each function has one of its own.
pub fn queue_of(FunctionKey { scope: Scope { account, region }, name }: &FunctionKey) -> Arc<str> {
    format!("{PREFIX}{account}/{region}/{name}").into()
}

/// The function whose queue has this name.
pub fn function_of(queue: &str) -> Option<FunctionKey> {
    let mut words = queue.strip_prefix(PREFIX)?.split('/');
    let scope = Scope { account: words.next()?.parse().ok()?, region: words.next()?.parse().ok()? };
    Some(FunctionKey::new(scope, words.next()?.parse().ok()?))
}

impl Event {
    /// The function that it is for.
    pub fn function(&self) -> FunctionKey {
        FunctionKey::new(self.requested.scope.clone(), self.requested.name.clone())
    }

    /// As it is stored.
    pub fn write(&self) -> Bytes {
        let Self { progress, settings, .. } = self;
        let head = EventRecord {
            version: VERSION,
            id: self.id,
            principal: PrincipalRecord::of(&self.principal),
            requested: self.requested.to_string(),
            trace: self.trace.to_string(),
            accepted: progress.accepted,
            due: progress.due,
            attempts: progress.attempts,
            settings: SettingsRecord {
                retries: settings.retries,
                age_seconds: settings.age.as_secs(),
                on_success: settings.on_success.clone(),
                on_failure: settings.on_failure.clone(),
                dead_letter: settings.dead_letter.clone(),
                role: Arc::clone(&settings.role),
            },
        };
        let head = serde_json::to_vec(&head).expect("records have text keys and no failing members");
        let mut body = BytesMut::with_capacity(head.len() + 1 + self.payload.len());
        body.put_slice(&head);
        body.put_u8(b'\n');
        body.put_slice(&self.payload);
        body.freeze()
    }

    /// As it was stored.
    pub fn read(body: &Bytes) -> Result<Self, StoredError> {
        let line = body.iter().position(|byte| *byte == b'\n').ok_or(StoredError::Damaged("head"))?;
        let (head, payload) = (&body[..line], body.slice(line + 1..));
        let Versioned { version } = serde_json::from_slice(head)?;
        if version != VERSION {
            return Err(StoredError::Version(version));
        }
        let head: EventRecord = serde_json::from_slice(head)?;
        let EventRecord { accepted, due, attempts, settings, .. } = head;
        Ok(Self {
            id: head.id,
            principal: head.principal.restored()?,
            requested: arn(&head.requested)?,
            payload,
            trace: TraceHeader::stored(&head.trace).ok_or(StoredError::Damaged("trace"))?,
            progress: Progress { accepted, due, attempts },
            settings: Settings {
                retries: settings.retries,
                age: Duration::from_secs(settings.age_seconds),
                on_success: settings.on_success,
                on_failure: settings.on_failure,
                dead_letter: settings.dead_letter,
                role: settings.role,
            },
        })
    }
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

#[derive(Serialize, Deserialize)]
struct EventRecord {
    version: u32,
    id: RequestId,
    principal: PrincipalRecord,
    requested: String,
    trace: String,
    accepted: Timestamp,
    due: Timestamp,
    attempts: u32,
    settings: SettingsRecord,
}

#[derive(Serialize, Deserialize)]
struct SettingsRecord {
    retries: u8,
    age_seconds: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    on_success: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    on_failure: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dead_letter: Option<Arc<str>>,
    role: Arc<str>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PrincipalRecord {
    Account(AccountId),
    Function {
        version: String,
        role: Arc<str>,
        session: Arc<str>,
    },
    Service {
        service: Arc<str>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source_arn: Option<Arc<str>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source_account: Option<AccountId>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        event_source_token: Option<Arc<str>>,
    },
}

impl PrincipalRecord {
    fn of(principal: &Principal) -> Self {
        match principal {
            Principal::Account(account) => Self::Account(account.clone()),
            Principal::Function(identity) => Self::Function {
                version: identity.function.to_string(),
                role: Arc::clone(&identity.role),
                session: Arc::clone(&identity.session),
            },
            Principal::Service(call) => {
                let ServiceCall { service, source_arn, source_account, event_source_token } =
                    ServiceCall::clone(call);
                Self::Service { service, source_arn, source_account, event_source_token }
            }
        }
    }

    fn restored(self) -> Result<Principal, StoredError> {
        Ok(match self {
            Self::Account(account) => Principal::Account(account),
            Self::Function { version, role, session } => {
                let function = arn(&version)?;
                let scope = function.scope.clone();
                Principal::Function(Arc::new(FunctionIdentity { scope, function, role, session }))
            }
            Self::Service { service, source_arn, source_account, event_source_token } => {
                Principal::Service(Arc::new(ServiceCall {
                    service,
                    source_arn,
                    source_account,
                    event_source_token,
                }))
            }
        })
    }
}

fn arn(text: &str) -> Result<FunctionArn, StoredError> {
    text.parse().map_err(|_| StoredError::Damaged("function"))
}

#[cfg(test)]
pub(super) mod tests {
    use expect_test::expect;

    use super::*;

    pub fn an_event() -> Event {
        let requested: FunctionArn = "arn:aws:lambda:us-east-1:000000000000:function:f:live".parse().unwrap();
        let trace =
            "Root=1-6b0cc900-c15c0289ec2d0a9167ec8e65;Parent=5e5532fbeea293f8;Sampled=0;Lineage=1:e7b3a0ee:0";
        Event {
            id: RequestId(uuid::Uuid::from_u128(7)),
            principal: Principal::Account(requested.scope.account.clone()),
            requested,
            payload: Bytes::from_static(b"{\"a\":\n1}"),
            trace: TraceHeader::stored(trace).unwrap(),
            progress: Progress {
                accepted: Timestamp::from_micros(1),
                due: Timestamp::from_micros(2),
                attempts: 0,
            },
            settings: Settings {
                retries: 2,
                age: Duration::from_secs(21_600),
                on_success: None,
                on_failure: None,
                dead_letter: None,
                role: "r".into(),
            },
        }
    }

    #[test]
    fn the_stored_form_does_not_change() {
        let read = |event: &Event| {
            let body = event.write();
            assert_eq!(Event::read(&body).unwrap(), *event);
            String::from_utf8(body.to_vec()).unwrap()
        };
        let event = an_event();
        expect![[r#"
            {"version":1,"id":"00000000-0000-0000-0000-000000000007","principal":{"account":"000000000000"},"requested":"arn:aws:lambda:us-east-1:000000000000:function:f:live","trace":"Root=1-6b0cc900-c15c0289ec2d0a9167ec8e65;Parent=5e5532fbeea293f8;Sampled=0;Lineage=1:e7b3a0ee:0","accepted":1,"due":2,"attempts":0,"settings":{"retries":2,"age_seconds":21600,"role":"r"}}
            {"a":
            1}"#]].assert_eq(&read(&event));
        let identity = FunctionIdentity {
            scope: event.requested.scope.clone(),
            function: event.requested.clone(),
            role: "r".into(),
            session: "g".into(),
        };
        let full = Event {
            principal: Principal::Function(Arc::new(identity)),
            settings: Settings {
                on_success: Some("s".into()),
                on_failure: Some("n".into()),
                dead_letter: Some("d".into()),
                ..event.settings.clone()
            },
            ..event
        };
        expect![[r#"
            {"version":1,"id":"00000000-0000-0000-0000-000000000007","principal":{"function":{"version":"arn:aws:lambda:us-east-1:000000000000:function:f:live","role":"r","session":"g"}},"requested":"arn:aws:lambda:us-east-1:000000000000:function:f:live","trace":"Root=1-6b0cc900-c15c0289ec2d0a9167ec8e65;Parent=5e5532fbeea293f8;Sampled=0;Lineage=1:e7b3a0ee:0","accepted":1,"due":2,"attempts":0,"settings":{"retries":2,"age_seconds":21600,"on_success":"s","on_failure":"n","dead_letter":"d","role":"r"}}
            {"a":
            1}"#]].assert_eq(&read(&full));
    }

    #[test]
    fn services_are_who_they_were() {
        let service = |source_arn: Option<&str>| {
            Principal::Service(Arc::new(ServiceCall {
                service: "s3.amazonaws.com".into(),
                source_arn: source_arn.map(Into::into),
                source_account: source_arn.map(|_| "000000000000".parse().unwrap()),
                event_source_token: None,
            }))
        };
        for (principal, expected) in [
            (service(None), r#"{"service":{"service":"s3.amazonaws.com"}}"#),
            (
                service(Some("arn:aws:s3:::b")),
                r#"{"service":{"service":"s3.amazonaws.com","source_arn":"arn:aws:s3:::b","source_account":"000000000000"}}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&PrincipalRecord::of(&principal)).unwrap(), expected);
            let event = Event { principal, ..an_event() };
            assert_eq!(Event::read(&event.write()).unwrap(), event);
        }
    }

    #[test]
    fn what_cannot_be_read_is_no_event() {
        let body = an_event().write();
        let text = String::from_utf8(body.to_vec()).unwrap();
        for (from, to, error) in [
            ("\"version\":1", "\"version\":2", "version 2 of events is not known to this samovar"),
            ("000000000000:function:f:live", "0:function:f", "the event's function is damaged"),
            ("Root=1-", "Root=2-", "the event's trace is damaged"),
            ("\"attempts\"", "\"tries\"", "the event's head is damaged"),
            ("\n", " ", "the event's head is damaged"),
        ] {
            let damaged = Bytes::from(text.replace(from, to));
            assert_eq!(Event::read(&damaged).unwrap_err().to_string(), error);
        }
    }

    #[test]
    fn each_function_has_a_queue_of_its_own() {
        let function = an_event().function();
        let queue = queue_of(&function);
        assert_eq!(&*queue, "events/000000000000/us-east-1/f");
        assert_eq!(function_of(&queue), Some(function));
        assert_eq!(function_of("events/"), None);
    }
}
