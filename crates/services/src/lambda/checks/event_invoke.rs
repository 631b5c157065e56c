//! What the back end refuses about the configuration of asynchronous events. Pure.

use base::arn::FunctionArn;
use wire::lambda::DestinationConfig;

/// A request about asynchronous events that the back end refuses, in the words of AWS.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EventInvokeRefusal {
    /// A configuration of nothing.
    #[error("You must specify at least one of error handling or destination setting.")]
    Nothing,
    /// There is no such function, version or alias.
    #[error("The function doesn't exist.")]
    NoFunction,
    /// Nothing was configured.
    #[error("The function {0} doesn't have an EventInvokeConfig")]
    NoConfig(String),
    /// Nothing can be sent there.
    #[error("The destination ARN {0} is invalid.")]
    Destination(String),
    /// What is told would be told of again.
    #[error("You can't specify the function as a destination for itself.")]
    Itself,
    /// A service that is no destination for such events.
    #[error(
        "The provided destination config DestinationConfig(onSuccess={}, onFailure={}) is invalid.",
        java("OnSuccess", .success),
        java("OnFailure", .failure)
    )]
    Service {
        /// What the request has for successes.
        success: Option<Option<String>>,
        /// What the request has for failures.
        failure: Option<Option<String>>,
    },
}

/// That a request configures something: an empty object of destinations is nothing, one with an empty member is.
pub(crate) fn something(
    retries: Option<i32>,
    age: Option<i32>,
    destinations: Option<&DestinationConfig>,
) -> Result<(), EventInvokeRefusal> {
    let told = |config: &DestinationConfig| config.on_success.is_some() || config.on_failure.is_some();
    if retries.is_some() || age.is_some() || destinations.is_some_and(told) {
        return Ok(());
    }
    Err(EventInvokeRefusal::Nothing)
}

/// The functions among the destinations of `function`, which must exist; all others are taken on trust.
pub(crate) fn destinations(
    config: &DestinationConfig,
    function: &FunctionArn,
) -> Result<Vec<FunctionDestination>, EventInvokeRefusal> {
    let success = config.on_success.as_ref().and_then(|told| told.destination.as_deref());
    let failure = config.on_failure.as_ref().and_then(|told| told.destination.as_deref());
    let wrong_service = || EventInvokeRefusal::Service {
        success: config.on_success.as_ref().map(|told| told.destination.clone()),
        failure: config.on_failure.as_ref().map(|told| told.destination.clone()),
    };
    let mut functions = Vec::new();
    for (told, arn) in [(Told::OfSuccess, success), (Told::OfFailure, failure)] {
        let Some(arn) = arn.filter(|arn| !arn.is_empty()) else { continue };
        match service(arn, told).ok_or_else(wrong_service)? {
            Service::Function => functions.push(FunctionDestination::read(arn, function)?),
            Service::Queue if resource(arn).ends_with(".fifo") => return Err(invalid(arn)),
            Service::Bus if !resource(arn).starts_with("event-bus/") => return Err(invalid(arn)),
            Service::Queue | Service::Bus | Service::Bucket => {}
        }
    }
    Ok(functions)
}

/// A function that is told of another's events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FunctionDestination {
    /// Where it is.
    pub(crate) arn: FunctionArn,
    /// As it was written.
    pub(crate) text: String,
}

impl FunctionDestination {
    fn read(text: &str, function: &FunctionArn) -> Result<Self, EventInvokeRefusal> {
        let arn: FunctionArn = text.parse().map_err(|_| invalid(text))?;
        if arn.scope == function.scope && arn.name == function.name {
            return Err(EventInvokeRefusal::Itself);
        }
        Ok(Self { arn, text: text.to_owned() })
    }

    /// That there is no such function.
    pub(crate) fn unknown(&self) -> EventInvokeRefusal {
        invalid(&self.text)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    OfSuccess,
    OfFailure,
}

enum Service {
    Function,
    /// A queue, or a topic.
    Queue,
    Bus,
    Bucket,
}

/// The service of an ARN, where it can be told; buckets hear of failures only.
fn service(arn: &str, told: Told) -> Option<Service> {
    match arn.split(':').nth(2)? {
        "lambda" => Some(Service::Function),
        "sqs" | "sns" => Some(Service::Queue),
        "events" => Some(Service::Bus),
        "s3" if told == Told::OfFailure => Some(Service::Bucket),
        _ => None,
    }
}

fn resource(arn: &str) -> &str {
    arn.splitn(6, ':').nth(5).unwrap_or_default()
}

fn invalid(arn: &str) -> EventInvokeRefusal {
    EventInvokeRefusal::Destination(arn.to_owned())
}

/// A member as Java prints it.
fn java(name: &str, member: &Option<Option<String>>) -> String {
    match member {
        None => "null".to_owned(),
        Some(arn) => format!("{name}(destination={})", arn.as_deref().unwrap_or("null")),
    }
}

#[cfg(test)]
mod tests {
    use base::arn::Scope;
    use wire::lambda::{OnFailure, OnSuccess};

    use super::*;

    const ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function";

    fn config(success: Option<&str>, failure: Option<&str>) -> DestinationConfig {
        let destination = |arn: &str| Some(arn.to_owned());
        DestinationConfig {
            on_success: success.map(|arn| OnSuccess { destination: destination(arn) }),
            on_failure: failure.map(|arn| OnFailure { destination: destination(arn) }),
        }
    }

    #[track_caller]
    fn told(success: Option<&str>, failure: Option<&str>) -> String {
        let scope = Scope { account: "000000000000".parse().unwrap(), region: "us-east-1".parse().unwrap() };
        let function = FunctionArn::new(scope, "f".parse().unwrap());
        match destinations(&config(success, failure), &function) {
            Ok(functions) => {
                functions.iter().map(|found| format!("{} ", found.arn).replace(ARN, "ARNF")).collect()
            }
            Err(refusal) => refusal.to_string().replace(ARN, "ARNF"),
        }
    }

    #[test]
    fn destinations_are_queues_topics_buses_functions_and_for_failures_buckets() {
        let queue = "arn:aws:sqs:us-east-1:000000000000:q";
        let bucket = "arn:aws:s3:::b";
        let of = |name: &str| format!("{ARN}:{name}");
        for arn in [
            queue,
            "arn:aws:sns:us-east-1:000000000000:t",
            "arn:aws:events:us-east-1:000000000000:event-bus/b",
            "",
        ] {
            assert_eq!(
                (told(Some(arn), None), told(None, Some(arn))),
                (String::new(), String::new()),
                "{arn}"
            );
        }
        assert_eq!(told(Some(&of("g")), Some(&of("h:live"))), "ARNF:g ARNF:h:live ");
        assert_eq!(told(None, Some(bucket)), "");
        let wrong = |success: &str, failure: &str| {
            format!(
                "The provided destination config DestinationConfig(onSuccess={success}, onFailure={failure}) is invalid."
            )
        };
        assert_eq!(told(Some(bucket), None), wrong("OnSuccess(destination=arn:aws:s3:::b)", "null"));
        let iam = "arn:aws:iam:us-east-1:000000000000:function:f";
        assert_eq!(told(Some(iam), None), wrong(&format!("OnSuccess(destination={iam})"), "null"));
        assert_eq!(
            told(Some(""), Some("kafka://t")),
            wrong("OnSuccess(destination=)", "OnFailure(destination=kafka://t)")
        );
        for itself in [of("f"), of("f:live")] {
            assert_eq!(
                told(None, Some(&itself)),
                "You can't specify the function as a destination for itself."
            );
        }
        for arn in [
            "arn:aws:sqs:us-east-1:000000000000:q.fifo",
            "arn:aws:sns:us-east-1:000000000000:t.fifo",
            "arn:aws:events:us-east-1:000000000000:rule/r",
            "arn:aws:lambda:us-east-1:000000000000:layer:l:1",
            &of("g:$latest"),
        ] {
            let shown = arn.replace(ARN, "ARNF");
            assert_eq!(told(Some(arn), None), format!("The destination ARN {shown} is invalid."));
        }
    }

    #[test]
    fn something_is_configured_even_by_an_empty_member() {
        let empty = DestinationConfig::default();
        assert_eq!(something(None, None, None), Err(EventInvokeRefusal::Nothing));
        assert_eq!(something(None, None, Some(&empty)), Err(EventInvokeRefusal::Nothing));
        let member = DestinationConfig { on_failure: Some(OnFailure::default()), ..empty };
        assert_eq!(something(None, None, Some(&member)), Ok(()));
        assert_eq!(something(Some(0), None, None), Ok(()));
        assert_eq!(something(None, Some(60), None), Ok(()));
    }
}
