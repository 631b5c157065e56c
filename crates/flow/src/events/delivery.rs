//! Who is told how an event ended: functions by events of their own, everybody else not yet, which the log says.

use std::sync::Arc;

use access::{FunctionIdentity, Principal};
use base::arn::{FunctionArn, Qualifier};
use base::id::RequestId;
use base::limits::ASYNC_REQUEST_BYTES;
use catalogue::{CatalogueError, FunctionKey};
use engine::{Invocation, TraceHeader};
use record::metrics::Count;

use super::ending::Ending;
use super::rules::Condition;
use super::stored::Event;
use super::{EventsSetup, arrived};

/// Why a destination is not told.
#[derive(Debug, thiserror::Error)]
enum Undelivered {
    #[error("samovar does not have the service of this destination")]
    Service,
    #[error("there is no such function")]
    Missing,
    #[error("the record has {0} bytes and may have {ASYNC_REQUEST_BYTES}")]
    TooLarge(usize),
    #[error(transparent)]
    Denied(#[from] access::Denied),
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
}

/// The events by which an ending is told. Whatever of it nobody can be told of has a line in the server's log.
pub(super) async fn deliveries(house: &EventsSetup, event: &Event, ending: &Ending) -> Vec<Event> {
    let settings = &event.settings;
    let success = ending.condition == Condition::Success;
    let destination = if success { &settings.on_success } else { &settings.on_failure };
    let dead_letter = settings.dead_letter.as_ref().filter(|_| !success);
    if !success && destination.is_none() && dead_letter.is_none() {
        lost(event, ending, "", "nobody wants to know");
    }
    if let Some(target) = dead_letter {
        lost(event, ending, target, &Undelivered::Service.to_string());
        house.watch(&event.function()).add(house.clock.now(), Count::DeadLetterErrors);
    }
    let Some(target) = destination else { return Vec::new() };
    match delivery(house, event, ending, target).await {
        Ok(delivery) => vec![delivery],
        Err(error) => {
            lost(event, ending, target, &error.to_string());
            house.watch(&event.function()).add(house.clock.now(), Count::DestinationDeliveryFailures);
            Vec::new()
        }
    }
}

/// The event by which a function is told.
async fn delivery(
    house: &EventsSetup,
    event: &Event,
    ending: &Ending,
    target: &str,
) -> Result<Event, Undelivered> {
    let requested: FunctionArn = target.parse().map_err(|_| Undelivered::Service)?;
    let key = FunctionKey::new(requested.scope.clone(), requested.name.clone());
    let function = match house.catalogue.get(&key).await {
        Err(CatalogueError::NotFound { .. }) => return Err(Undelivered::Missing),
        other => other?,
    };
    let qualifier = requested.qualifier.as_ref().unwrap_or(&Qualifier::Latest);
    let version = function.shown(qualifier).ok_or(Undelivered::Missing)?;
    let now = house.clock.now();
    let payload = ending.record(event, now);
    if payload.len() > ASYNC_REQUEST_BYTES {
        return Err(Undelivered::TooLarge(payload.len()));
    }
    let chain = event.trace.to_string();
    let invocation = Invocation {
        id: RequestId::fresh(&house.dice),
        version: Arc::clone(version),
        trace: TraceHeader::of_invoke(Some(&chain), &requested, now, &house.dice),
        requested,
        payload,
        client_context: None,
        cognito_identity: None,
        tail: false,
    };
    Ok(arrived(house, house.gate.authorize(&teller(event, ending), invocation)?))
}

/// Destinations are told under the name of the function that the event was for.
fn teller(event: &Event, ending: &Ending) -> Principal {
    let executed = ending.response.as_ref().and_then(|response| response.executed.clone());
    let FunctionArn { scope, name, .. } = &event.requested;
    Principal::Function(Arc::new(FunctionIdentity {
        scope: scope.clone(),
        function: event.requested.qualified(executed.unwrap_or(Qualifier::Latest)),
        role: Arc::clone(&event.settings.role),
        session: name.as_str().into(),
    }))
}

/// Nothing ends without a trace.
fn lost(event: &Event, ending: &Ending, target: &str, reason: &str) {
    let (function, condition) = (&event.requested, ending.condition.as_str());
    tracing::warn!(request_id = %event.id, %function, condition, target, reason, "an event's end was told to nobody");
}
