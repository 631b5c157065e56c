//! What is measured, in Prometheus' text form: `/_samovar/metrics`, and `/metrics` where scrapers look for it.
//!
//! Callers on the server's own host need no key, as for health: what they read are names and numbers. Everybody else
//! shows a key of the server's own account, as for layers. No web page reads it, whoever opens it.

use std::net::SocketAddr;
use std::sync::Arc;

use base::id::RequestId;
use http::header::{AUTHORIZATION, FORWARDED, HeaderName};
use http::request::Parts;
use http::{Method, StatusCode};
use hyper::body::Incoming;
use services::Context;
use wire::http::Head;
use wire::{lambda, logs};

use super::Endpoint;
use super::layers::Refused;
use super::surface::{is_loopback, told, typed};
use crate::serve::Response;

/// Its own place.
const OWN: &str = "/_samovar/metrics";

/// Where scrapers look. No operation of a service has this path; one that is signed may name a bucket so one day.
const USUAL: &str = "/metrics";

/// What proxies add: whoever sends it is not the caller.
const PASSED_ON: [HeaderName; 2] = [FORWARDED, HeaderName::from_static("x-forwarded-for")];

/// What the text is. Source: Prometheus documentation, "Exposition formats".
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Whether a request is for what is measured.
pub(super) fn is_asked(parts: &Parts) -> bool {
    match parts.uri.path() {
        OWN => true,
        USUAL => !parts.headers.contains_key(AUTHORIZATION) && parts.uri.query().is_none(),
        _ => false,
    }
}

impl<L, G> Endpoint<L, G>
where
    L: lambda::Lambda<Context = Context>,
    G: logs::Logs<Context = Context>,
{
    pub(super) async fn measures(
        &self,
        parts: &Parts,
        body: Incoming,
        peer: SocketAddr,
        id: RequestId,
    ) -> Response {
        if parts.method != Method::GET && parts.method != Method::HEAD {
            return told(StatusCode::METHOD_NOT_ALLOWED, "metrics take GET", id);
        }
        let near = is_loopback(peer.ip()) && !PASSED_ON.iter().any(|name| parts.headers.contains_key(name));
        // A page in a browser on this host is near, too, but shows another name.
        let open = self.setup.gate.is_open() || near;
        if open && let Err(reason) = self.admits(parts) {
            return told(StatusCode::FORBIDDEN, &reason, id);
        }
        if !near
            && let Err(Refused(status, words)) =
                self.operators_body(Head::of(parts), body, 0, "metrics are read").await
        {
            return told(status, &words, id);
        }
        // A page of a thousand functions takes longer than others on this thread may wait.
        let measures = Arc::clone(&self.setup.measures);
        match tokio::task::spawn_blocking(move || measures()).await {
            Ok(text) => typed(StatusCode::OK, CONTENT_TYPE, text, id),
            Err(_) => told(StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be written", id),
        }
    }
}
