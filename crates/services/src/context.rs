//! What a door knows of a request beside its input.

use access::Principal;
use base::arn::Scope;
use base::id::RequestId;

/// What a door knows of a request beside its input.
#[derive(Debug, Clone)]
pub struct Context {
    /// Account and region that the request speaks to.
    pub scope: Scope,
    /// Who asks.
    pub principal: Principal,
    /// What the answer carries; for an invocation, what the function sees.
    pub request_id: RequestId,
    /// Where links in answers lead: host and port, as the caller reaches us.
    pub host: Box<str>,
    /// The header `X-Amzn-Trace-Id` as it was sent.
    pub trace: Option<String>,
}
