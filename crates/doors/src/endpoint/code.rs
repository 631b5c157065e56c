//! Serves packages to whoever holds a link, and answers like S3 where the link is no good.

use access::LinkError;
use base::id::RequestId;
use http::request::Parts;
use http::{Method, StatusCode};
use services::Context;
use services::lambda::links;
use wire::{lambda, logs};

use super::Endpoint;
use super::surface::typed;
use crate::serve::Response;

impl<L, G> Endpoint<L, G>
where
    L: lambda::Lambda<Context = Context>,
    G: logs::Logs<Context = Context>,
{
    pub(super) async fn package(&self, parts: &Parts, id: RequestId) -> Response {
        let (path, query) = (parts.uri.path(), parts.uri.query().unwrap_or_default());
        let now = self.setup.clock.now();
        let refuse = |status, code, message: &str| {
            // HEAD has no body, and Hyper sends none.
            typed(status, "application/xml", error(code, message, id), id)
        };
        let digest = match links::package(&self.setup.vault, parts.method.as_str(), path, query, now) {
            Ok(digest) => digest,
            Err(LinkError::Expired) => {
                return refuse(StatusCode::FORBIDDEN, "AccessDenied", "Request has expired");
            }
            Err(LinkError::Forged) if parts.method == Method::GET => {
                let words = "The request signature we calculated does not match the signature you provided. Check \
                             your key and signing method.";
                return refuse(StatusCode::FORBIDDEN, "SignatureDoesNotMatch", words);
            }
            Err(LinkError::Forged) => return refuse(StatusCode::FORBIDDEN, "AccessDenied", "Access Denied"),
        };
        match self.setup.artifacts.blob(&digest).await {
            Ok(Some(archive)) => typed(StatusCode::OK, "application/octet-stream", archive, id),
            Ok(None) => refuse(StatusCode::NOT_FOUND, "NoSuchKey", "The specified key does not exist."),
            Err(error) => {
                tracing::error!(%error, package = %digest, "a package could not be read");
                let words = "We encountered an internal error. Please try again.";
                refuse(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", words)
            }
        }
    }
}

/// S3's error document; nothing in it comes from the request.
fn error(code: &str, message: &str, id: RequestId) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message>\
         <RequestId>{id}</RequestId></Error>"
    )
}
