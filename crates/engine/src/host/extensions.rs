//! The Lambda Extensions API, 2020-01-01, for one environment: beside the Runtime API, over the same listener.
//!
//! Source: Lambda Developer Guide, "Lambda Extensions API"; statuses and texts are those of AWS's published runtime
//! interface emulator.

use std::sync::Arc;

use base::limits::{EXTENSION_NAME_BYTES, EXTENSION_REQUEST_BYTES, EXTENSIONS};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use serde::Deserialize;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::runtime::answers::{accepted, error, internal, json, not_found, wrong_method};
use super::telemetry::Subscription;
use crate::environment::rules::{ExtensionCall, ExtensionId, ExtensionRefusal, Name};

/// The header by which an extension makes itself known.
const IDENTIFIER: &str = "lambda-extension-identifier";

/// The header that says what went wrong.
const ERROR_TYPE: &str = "Lambda-Extension-Function-Error-Type";

/// What an extension asks for.
#[derive(Debug)]
pub struct Request {
    /// What.
    pub asked: Asked,
    /// Where it waits for the answer.
    pub reply: oneshot::Sender<Reply>,
}

/// What an extension may ask for.
#[derive(Debug)]
pub enum Asked {
    /// To be registered.
    Register {
        /// Who it says it is.
        name: Name,
        /// Names of the events it wants.
        events: Vec<String>,
        /// Whether it wants to know the account.
        account: bool,
    },
    /// To be sent telemetry; what is wrong with that, where something is.
    Subscribe(ExtensionId, Result<Subscription, String>),
    /// Anything else.
    Call(ExtensionCall),
}

/// The answer.
#[derive(Debug)]
pub enum Reply {
    /// It is registered under this id, for a function that the JSON describes.
    Registered(ExtensionId, Bytes),
    /// An event, and its id where it has one.
    Event(Bytes, Option<Uuid>),
    /// What it reported was taken.
    Taken,
    /// It will be sent telemetry.
    Subscribed,
    /// This is wrong with its subscription.
    Invalid(String),
    /// Not this.
    Refused(ExtensionRefusal),
}

/// What is wrong with a request before anybody looks who it is from.
type Refused = (&'static str, String);

/// Where calls are handed to.
pub trait Desk {
    /// Hands a call over; false when nobody takes calls any more.
    fn take(&self, request: Request) -> bool;
}

/// Answers a request whose path lies below `/2020-01-01/extension/`.
pub async fn answer<B>(
    desk: &impl Desk,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
    body: B,
) -> Response<Full<Bytes>>
where
    B: hyper::body::Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    // A body that is left unread would cost its sender the connection.
    let body = Limited::new(body, EXTENSION_REQUEST_BYTES).collect().await;
    let body = body.map(|body| body.to_bytes()).map_err(|error| error.to_string());
    let asked = match (path, method) {
        ("register", &Method::POST) => registration(headers, body),
        ("event/next", &Method::GET) => identified(headers).map(ExtensionCall::Next).map(Asked::Call),
        ("init/error", &Method::POST) => reported(headers, ExtensionCall::InitError),
        ("exit/error", &Method::POST) => reported(headers, ExtensionCall::ExitError),
        ("register" | "event/next" | "init/error" | "exit/error", _) => return wrong_method(),
        _ => return not_found(),
    };
    match asked {
        Ok(asked) => asked_for(desk, asked).await,
        Err((kind, message)) => error(StatusCode::FORBIDDEN, kind, &message),
    }
}

async fn asked_for(desk: &impl Desk, asked: Asked) -> Response<Full<Bytes>> {
    let (reply, answer) = oneshot::channel();
    if !desk.take(Request { asked, reply }) {
        return internal();
    }
    match answer.await {
        Ok(Reply::Registered(id, body)) => with(json(StatusCode::OK, body), IDENTIFIER, id.0),
        Ok(Reply::Event(body, None)) => json(StatusCode::OK, body),
        Ok(Reply::Event(body, Some(id))) => {
            with(json(StatusCode::OK, body), "lambda-extension-event-identifier", id)
        }
        Ok(Reply::Taken) => accepted(),
        Ok(Reply::Refused(refusal)) => {
            let (kind, message) = refused(&refusal);
            error(StatusCode::FORBIDDEN, kind, &message)
        }
        Ok(Reply::Subscribed | Reply::Invalid(_)) | Err(_) => internal(),
    }
}

fn with(mut response: Response<Full<Bytes>>, name: &'static str, id: Uuid) -> Response<Full<Bytes>> {
    let value = HeaderValue::from_str(&id.to_string()).expect("an id is hexadecimal");
    response.headers_mut().insert(name, value);
    response
}

fn registration(headers: &HeaderMap, body: Result<Bytes, String>) -> Result<Asked, Refused> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Registration {
        #[serde(default)]
        events: Option<Vec<String>>,
        #[serde(default)]
        configuration_keys: Option<Vec<String>>,
    }
    let name = headers.get("lambda-extension-name").and_then(|name| name.to_str().ok()).unwrap_or_default();
    if name.is_empty() || name.len() > EXTENSION_NAME_BYTES {
        return Err(("Extension.InvalidExtensionName", "Empty extension name".into()));
    }
    let malformed = |message: String| ("InvalidRequestFormat", message);
    let body = body.map_err(malformed)?;
    let Registration { events, configuration_keys } =
        serde_json::from_slice(&body).map_err(|error| malformed(error.to_string()))?;
    if configuration_keys.is_some_and(|keys| !keys.is_empty()) {
        return Err(malformed("configurationKeys are deprecated; use environment variables instead".into()));
    }
    let features = headers.get("lambda-extension-accept-feature").and_then(|features| features.to_str().ok());
    let account = features.is_some_and(|features| features.split(',').any(|one| one.trim() == "accountId"));
    Ok(Asked::Register { name: Arc::from(name), events: events.unwrap_or_default(), account })
}

/// Who a request says it is from.
pub fn identified(headers: &HeaderMap) -> Result<ExtensionId, Refused> {
    let Some(id) = headers.get(IDENTIFIER) else {
        let message = "Missing Lambda-Extension-Identifier header".to_owned();
        return Err(("Extension.MissingExtensionIdentifier", message));
    };
    let id = id.to_str().ok().and_then(|id| Uuid::try_parse(id).ok());
    let invalid =
        || ("Extension.InvalidExtensionIdentifier", "Invalid Lambda-Extension-Identifier".to_owned());
    id.map(ExtensionId).ok_or_else(invalid)
}

fn reported(
    headers: &HeaderMap,
    call: impl FnOnce(ExtensionId, String) -> ExtensionCall,
) -> Result<Asked, Refused> {
    let id = identified(headers)?;
    let kind = headers.get(ERROR_TYPE).and_then(|kind| kind.to_str().ok()).filter(|kind| !kind.is_empty());
    let missing = || ("Extension.MissingHeader", format!("{ERROR_TYPE} not found"));
    let kind = kind.ok_or_else(missing)?;
    Ok(Asked::Call(call(id, kind.chars().take(EXTENSION_NAME_BYTES).collect())))
}

/// How a refusal is worded.
pub fn refused(refusal: &ExtensionRefusal) -> Refused {
    match refusal {
        ExtensionRefusal::UnknownEvent(event) => {
            ("Extension.InvalidEventType", format!("{event}: ErrorInvalidEventType"))
        }
        ExtensionRefusal::ShutdownOfInternal => (
            "Extension.InvalidEventType",
            "SHUTDOWN: ShutdownEventNotSupportedForInternalExtension".to_owned(),
        ),
        ExtensionRefusal::Transition { from, to, who } => (
            "Extension.InvalidExtensionState",
            format!(
                "State transition from {from:?} to {to:?} failed for extension {who}. Error: State transition is \
                 not allowed"
            ),
        ),
        ExtensionRefusal::NameTaken => {
            ("Extension.InvalidExtensionState", "Extension with this name already registered".to_owned())
        }
        ExtensionRefusal::RegistrationClosed => {
            ("Extension.RegistrationClosed", "Extension registration closed already".to_owned())
        }
        ExtensionRefusal::TooMany => {
            ("Extension.TooManyExtensions", format!("Extension limit ({EXTENSIONS}) reached"))
        }
        ExtensionRefusal::SubscriptionClosed => {
            ("Telemetry.SubscriptionClosed", "Telemetry API subscription is closed already".to_owned())
        }
        ExtensionRefusal::Unknown(id) => {
            ("Extension.UnknownExtensionIdentifier", format!("Unknown extension {id}"))
        }
    }
}
