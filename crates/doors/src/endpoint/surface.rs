//! `/_samovar/`: health, reset, layers and packages; what is measured has a place of its own.

use std::net::{IpAddr, SocketAddr};

use base::id::RequestId;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, StatusCode};
use hyper::body::Incoming;
use serde_json::{Value, json};
use services::Context;
use services::lambda::links;
use wire::{lambda, logs};

use super::Endpoint;
use super::layers::LAYERS;
use crate::sent::Sent;
use crate::serve::Response;

/// Tells that the server is ready.
const HEALTH: &str = "/_samovar/health";

/// Empties the server.
const RESET: &str = "/_samovar/reset";

/// Must say `yes`, so that no form and no slip empties a server.
const CONFIRMATION: HeaderName = HeaderName::from_static("x-samovar-reset");

const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

impl<L, G> Endpoint<L, G>
where
    L: lambda::Lambda<Context = Context>,
    G: logs::Logs<Context = Context>,
{
    pub(super) async fn surface(
        &self,
        parts: &Parts,
        body: Incoming,
        peer: SocketAddr,
        id: RequestId,
    ) -> Response {
        match parts.uri.path() {
            HEALTH => health(&parts.method, id),
            LAYERS => self.layers(parts, body, id).await,
            RESET => self.reset(parts, peer, id).await,
            path if path.starts_with(links::PREFIX) => self.package(parts, id).await,
            path => told(StatusCode::NOT_FOUND, &format!("there is nothing at {path}"), id),
        }
    }

    async fn reset(&self, parts: &Parts, peer: SocketAddr, id: RequestId) -> Response {
        let Some(reset) = &self.setup.reset else {
            return told(
                StatusCode::FORBIDDEN,
                "reset is not allowed here; start samovar with --allow-reset",
                id,
            );
        };
        if parts.method != Method::POST {
            return told(StatusCode::METHOD_NOT_ALLOWED, "reset takes POST", id);
        }
        if !is_loopback(peer.ip()) {
            return told(StatusCode::FORBIDDEN, "reset is for callers on the server's own host", id);
        }
        if parts.headers.get(CONFIRMATION).is_none_or(|value| value != "yes") {
            return told(StatusCode::BAD_REQUEST, "reset wants the header X-Samovar-Reset: yes", id);
        }
        match reset().await {
            Ok(()) => answered(StatusCode::OK, &json!({ "status": "reset" }), id),
            Err(reason) => {
                tracing::error!(reason, "the server could not be emptied");
                told(StatusCode::INTERNAL_SERVER_ERROR, &reason, id)
            }
        }
    }
}

fn health(method: &Method, id: RequestId) -> Response {
    if *method == Method::GET || *method == Method::HEAD {
        answered(StatusCode::OK, &json!({ "status": "ready", "version": env!("CARGO_PKG_VERSION") }), id)
    } else {
        told(StatusCode::METHOD_NOT_ALLOWED, "health takes GET", id)
    }
}

pub(super) fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Whether a path is of what changes something.
pub(super) fn changes(path: &str) -> bool {
    path == RESET || path == LAYERS
}

/// A sentence for people.
pub(super) fn told(status: StatusCode, message: &str, id: RequestId) -> Response {
    answered(status, &json!({ "message": message }), id)
}

pub(super) fn answered(status: StatusCode, body: &Value, id: RequestId) -> Response {
    typed(status, "application/json", body.to_string(), id)
}

/// An answer that nobody caches and no browser guesses the type of.
pub(super) fn typed(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
    id: RequestId,
) -> Response {
    let mut response = Response::new(Sent::Whole(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    if let Ok(id) = HeaderValue::try_from(id.to_string()) {
        headers.insert(REQUEST_ID, id);
    }
    response
}
