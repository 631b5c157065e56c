//! `/_samovar/layers`: the operator brings layers of other accounts here, and sees all there are.

use std::sync::Arc;

use access::{Gate, Principal};
use base::arn::LayerVersionArn;
use base::id::RequestId;
use base::limits::ZIP_BYTES;
use bytes::Bytes;
use http::request::Parts;
use http::{Method, StatusCode};
use hyper::body::Incoming;
use serde_json::{Value, json};
use services::Context;
use services::lambda::layers::desk::{Before, LayerImport, ListedVersion};
use wire::http::Head;
use wire::schema::Protocol;
use wire::{lambda, logs};

use super::Endpoint;
use super::surface::{answered, told};
use crate::body::{self, BodyError};
use crate::entry::Entry;
use crate::serve::Response;

/// Where layers are brought (PUT, with the ARN as `arn` in the query) and listed (GET).
pub(super) const LAYERS: &str = "/_samovar/layers";

/// What only operators do here, in words.
const IMPORTED: &str = "layers are imported";

/// A request that is not performed: what its sender is told.
pub(super) struct Refused(pub(super) StatusCode, pub(super) String);

impl<L, G> Endpoint<L, G>
where
    L: lambda::Lambda<Context = Context>,
    G: logs::Logs<Context = Context>,
{
    pub(super) async fn layers(&self, parts: &Parts, body: Incoming, id: RequestId) -> Response {
        let head = Head::of(parts);
        let performed = match head.method {
            Method::PUT => self.import(head, body).await,
            Method::GET => self.list(head, body).await,
            _ => Err(Refused(StatusCode::METHOD_NOT_ALLOWED, "layers take GET and PUT".to_owned())),
        };
        match performed {
            Ok(value) => answered(StatusCode::OK, &value, id),
            Err(Refused(status, words)) => told(status, &words, id),
        }
    }

    async fn import(&self, head: Head, body: Incoming) -> Result<Value, Refused> {
        let (arn, replace) = asked(&head)?;
        let _room = self.entrance.room().take(body::most(&body, ZIP_BYTES)).await;
        let archive = self.operators_body(head, body, ZIP_BYTES, IMPORTED).await?;
        let size = archive.len();
        let imported = self.setup.layers.import(LayerImport { arn, archive, replace }).await;
        let imported = imported.map_err(|error| Refused(error.status, error.message.unwrap_or_default()))?;
        tracing::info!(arn = %imported.version.arn, size, "a layer was imported");
        let mut shown = shown(&imported.version);
        shown["Before"] = match imported.before {
            Before::Nothing => "nothing",
            Before::Same => "same",
            Before::Other => "other",
        }
        .into();
        Ok(shown)
    }

    async fn list(&self, head: Head, body: Incoming) -> Result<Value, Refused> {
        self.operators_body(head, body, 0, IMPORTED).await?;
        let versions: Vec<Value> = self.setup.layers.versions().iter().map(shown).collect();
        Ok(json!({ "LayerVersions": versions }))
    }

    /// The body of a request whose sender has a key of the server's own account; others are told what is done so.
    pub(super) async fn operators_body(
        &self,
        head: Head,
        body: Incoming,
        limit: usize,
        done: &str,
    ) -> Result<Bytes, Refused> {
        let papers = self.entrance.papers(&head).map_err(forbidden)?;
        let body = body::read(body, limit).await.map_err(unread)?;
        let (entrance, now) = (Arc::clone(&self.entrance), self.setup.clock.now());
        // Hashing megabytes takes longer than others on this thread may wait.
        let admitted = tokio::task::spawn_blocking(move || entrance.admit(&papers, &head, body, now)).await;
        let broken = |_| Refused(StatusCode::INTERNAL_SERVER_ERROR, "the signature was not verified".into());
        let (caller, body) = admitted.map_err(broken)?.map_err(forbidden)?;
        if is_operator(&self.setup.gate, &caller.principal) {
            Ok(body)
        } else {
            let words = format!("{done} with a key of the server's own account");
            Err(Refused(StatusCode::FORBIDDEN, words))
        }
    }
}

/// Who takes any key knows operators by nothing; but a function is none.
fn is_operator(gate: &Gate, principal: &Principal) -> bool {
    match principal {
        Principal::Account(account) => gate.is_open() || account == gate.account(),
        Principal::Function(_) | Principal::Service(_) => false,
    }
}

/// The ARN to import under, and whether what is there may be replaced.
fn asked(head: &Head) -> Result<(LayerVersionArn, bool), Refused> {
    let parameter = |name: &str| head.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value);
    let text = parameter("arn").unwrap_or_default();
    let arn = text.parse().map_err(|_| {
        let words = format!(
            "{text:?} is not the ARN of a layer version, such as arn:aws:lambda:us-east-1:770693421928:layer:tools:12"
        );
        Refused(StatusCode::BAD_REQUEST, words)
    })?;
    Ok((arn, parameter("replace").as_deref() == Some("true")))
}

fn shown(version: &ListedVersion) -> Value {
    json!({
        "LayerVersionArn": version.arn.to_string(),
        "CodeSha256": version.sha256,
        "CodeSize": version.size,
        "CreatedDate": version.created,
    })
}

fn forbidden(error: wire::sigv4::SignatureError) -> Refused {
    let error = error.told(Protocol::RestJson);
    Refused(error.status, error.message.unwrap_or_default())
}

fn unread(error: BodyError) -> Refused {
    let status = match error {
        BodyError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        BodyError::Stalled | BodyError::Slow => StatusCode::REQUEST_TIMEOUT,
        BodyError::Broken(_) => StatusCode::BAD_REQUEST,
    };
    Refused(status, error.to_string())
}
