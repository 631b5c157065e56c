//! What is to be thought of an answer.

use serde_json::Value;

use super::client::{Answer, Silence};
use super::request::{Kind, Request};
use super::world::{Service, World};
use crate::codegen::model::{Operation, Reference};

/// What the front end answers before an operation is asked, with its statuses.
const FRONT_END: [(&str, &[u16]); 12] = [
    ("AccessDeniedException", &[400, 403]),
    ("ExpiredTokenException", &[400, 403]),
    ("IncompleteSignatureException", &[400, 403]),
    ("InvalidChunkSizeException", &[400]),
    ("InvalidSignatureException", &[400, 403]),
    ("MissingAuthenticationTokenException", &[400, 403]),
    ("RequestEntityTooLargeException", &[413]),
    ("RequestTimeoutException", &[408]),
    ("SerializationException", &[400]),
    ("UnknownOperationException", &[404]),
    ("UnrecognizedClientException", &[400, 403]),
    ("ValidationException", &[400]),
];
/// What a part of an operation that is not built answers with 501: beginnings of its name.
const UNBUILT: [&str; 17] = [
    "AcceleratorConfig",
    "CapacityProviderConfig",
    "DurableConfig",
    "FileSystemConfigs",
    "ImageConfig",
    "PublishTo",
    "RuntimeConfig",
    "S3ObjectStorageMode",
    "SourceKMSKeyArn",
    "TenancyConfig",
    "code in S3",
    "durable executions",
    "functions from container images",
    "network connectors",
    "resource policies of runtimes",
    "the runtime custom",
    "the service ",
];
/// Operations that answer `{}` where there is nothing, whatever the model requires. Source: recorded answers.
const EMPTY: [&str; 1] = ["GetFunctionCodeSigningConfig"];
/// Faults that are the function's, or this host's, and that the model has.
const FAULTS: [&str; 1] = ["InvalidRuntimeException"];
/// What HTTP itself says of what is not HTTP.
const NOT_HTTP: [u16; 5] = [400, 408, 413, 414, 431];

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    Success,
    Refused,
    /// By the front end.
    Invalid,
    Unbuilt,
    /// None was asked for, or nobody can tell which.
    Unknown,
}

/// Judges what came of a request; the error says what is wrong with it.
pub fn judge(world: &World, request: &Request, came: &Result<Answer, Silence>) -> Result<Outcome, String> {
    let answer = match came {
        Ok(answer) => answer,
        Err(Silence::Closed(_)) if request.kind == Kind::Broken => return Ok(Outcome::Unknown),
        Err(silence) => return Err(silence.to_string()),
    };
    let bare = answer.body.is_empty() && answer.header("x-amzn-requestid").is_none();
    if request.kind == Kind::Broken && bare && NOT_HTTP.contains(&answer.status) {
        return Ok(Outcome::Unknown);
    }
    let ours = request.target.starts_with("/_samovar");
    if answer.header("x-amzn-requestid").is_none() && !ours {
        return Err("it has no request id".into());
    }
    let service = world.service(&request.service).map_err(|error| error.to_string())?;
    // Who bends the address asks for another operation, and perhaps another service.
    let sure = matches!(request.kind, Kind::Valid | Kind::Mutated) && leads(request);
    let operation = service.operation(&request.operation).ok().filter(|_| sure);
    if request.method == "HEAD" && (200..=501).contains(&answer.status) && answer.status != 500 {
        return Ok(Outcome::Unknown);
    }
    match answer.status {
        200..=299 => operation.map_or(Ok(Outcome::Unknown), |operation| success(service, operation, answer)),
        400..=499 if ours => Ok(Outcome::Unknown),
        400..=499 => refusal(service, operation, answer),
        501 => unbuilt(service, operation, answer),
        502 if answer.header("x-amzn-errortype").is_some_and(|code| FAULTS.contains(&code)) => {
            refusal(service, operation, answer)
        }
        status => Err(format!("status {status}")),
    }
}

/// Whether a request's path still has all its parts: an empty one leads elsewhere.
fn leads(request: &Request) -> bool {
    let path = request.target.split('?').next().unwrap_or_default();
    request.service != "lambda" || (!path.contains("//") && !path.ends_with('/'))
}

fn success(service: &Service, operation: &Operation, answer: &Answer) -> Result<Outcome, String> {
    if !service.is_built(operation) {
        return Err("it is not built, and yet it works".into());
    }
    let model = &service.model;
    let shape = match &operation.output {
        Some(output) => Some(model.shape(&output.shape).map_err(|error| error.to_string())?),
        None => None,
    };
    let tells_status = |reference: &Reference| reference.location.as_deref() == Some("statusCode");
    let free = shape.is_some_and(|shape| shape.members.values().any(tells_status));
    let expected = operation.http.response_code.unwrap_or(200);
    if !free && answer.status != expected {
        return Err(format!("status {} instead of {expected}", answer.status));
    }
    let Some((shape, reference)) = shape.zip(operation.output.as_ref()) else {
        return if answer.body.is_empty() {
            Ok(Outcome::Success)
        } else {
            Err("a body where none is due".into())
        };
    };
    let streams = matches!(model.event_stream(operation), Ok(Some(_)));
    let head_only = shape.members.values().all(|reference| reference.location.is_some());
    let bodiless = answer.body.is_empty() && (answer.status == 204 || head_only);
    if streams || shape.payload.is_some() || bodiless {
        return Ok(Outcome::Success);
    }
    let body: Value =
        serde_json::from_slice(&answer.body).map_err(|error| format!("the body is no JSON: {error}"))?;
    if body != serde_json::json!({}) || !EMPTY.contains(&operation.name.as_str()) {
        conforms(service, reference, &body, &operation.name)?;
    }
    Ok(Outcome::Success)
}

/// Whether a value is of its shape; the error says where it is not.
fn conforms(service: &Service, reference: &Reference, value: &Value, path: &str) -> Result<(), String> {
    let shape = service.model.shape(&reference.shape).map_err(|error| error.to_string())?;
    let wrong = |due: &str| Err(format!("{path} is not {due}"));
    match (shape.kind.as_str(), value) {
        // Lambda has members that are told to be null.
        (_, Value::Null) => Ok(()),
        ("structure", Value::Object(told)) => {
            for (name, value) in told {
                let member = shape.members.iter().find(|(member, reference)| {
                    reference.location_name.as_deref().unwrap_or(member.as_str()) == name
                });
                let Some((_, reference)) = member.filter(|(_, reference)| {
                    reference.location.is_none() || reference.location_name.is_some()
                }) else {
                    return Err(format!("{path} has no member {name}"));
                };
                conforms(service, reference, value, &format!("{path}.{name}"))?;
            }
            let missing = shape.required.iter().find(|name| {
                shape.members.get(*name).is_some_and(|reference| {
                    reference.location.is_none()
                        && !told.contains_key(reference.location_name.as_deref().unwrap_or(name))
                })
            });
            missing.map_or(Ok(()), |name| Err(format!("{path} lacks {name}")))
        }
        ("list", Value::Array(items)) => {
            let item = shape.item().map_err(|error| error.to_string())?;
            items.iter().try_for_each(|value| conforms(service, item, value, &format!("{path}[]")))
        }
        ("map", Value::Object(entries)) => {
            let inner = shape.map_value().map_err(|error| error.to_string())?;
            entries.values().try_for_each(|value| conforms(service, inner, value, &format!("{path}{{}}")))
        }
        ("string", Value::String(text)) => {
            let open = shape.values.is_empty() || service.built.open.contains(&reference.shape);
            if open || shape.values.contains(text) {
                Ok(())
            } else {
                Err(format!("{path} is {text:?}, which the model lacks"))
            }
        }
        ("blob", Value::String(_)) | ("boolean", Value::Bool(_)) | ("timestamp", Value::String(_)) => Ok(()),
        ("double" | "float" | "timestamp", Value::Number(_)) => Ok(()),
        ("integer" | "long", Value::Number(number)) if number.is_i64() => Ok(()),
        (kind, _) => wrong(&format!("a {kind}")),
    }
}

fn refusal(service: &Service, operation: Option<&Operation>, answer: &Answer) -> Result<Outcome, String> {
    let (code, message) = told(answer)?;
    let front = FRONT_END.iter().find(|(name, _)| *name == code).map(|(_, statuses)| *statuses);
    if front.is_some_and(|statuses| statuses.contains(&answer.status)) {
        return Ok(Outcome::Invalid);
    }
    if code == service.built.violation && answer.status == 400 && message.contains("validation error") {
        return Ok(Outcome::Invalid);
    }
    let Some(operation) = operation else { return Ok(Outcome::Unknown) };
    if !operation.errors.iter().any(|error| error.shape == code) {
        return Err(format!("{code} is no error of {} ({message})", operation.name));
    }
    let shape = service.model.shape(&code).map_err(|error| error.to_string())?;
    match shape.error.as_ref().map_or(400, |error| error.http_status_code) {
        due if due == answer.status => Ok(Outcome::Refused),
        due => Err(format!("{code} with status {} instead of {due}", answer.status)),
    }
}

/// The code and the message of an error.
fn told(answer: &Answer) -> Result<(String, String), String> {
    let body: Value = serde_json::from_slice(&answer.body)
        .map_err(|error| format!("the error's body is no JSON: {error}"))?;
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let code = answer.header("x-amzn-errortype").map(str::to_owned).or_else(|| text("__type"));
    let code = code.filter(|code| !code.is_empty()).ok_or("the error has no code")?;
    let message =
        text("message").or_else(|| text("Message")).ok_or_else(|| format!("{code} has no message"))?;
    Ok((code, message))
}

fn unbuilt(service: &Service, operation: Option<&Operation>, answer: &Answer) -> Result<Outcome, String> {
    let (code, message) = told(answer)?;
    let what =
        message.strip_prefix("Samovar does not implement ").filter(|_| code == "NotImplementedException");
    let what = what.ok_or_else(|| format!("501 with {code}: {message}"))?;
    let expected = match operation {
        Some(operation) if !service.is_built(operation) => {
            what == format!("the operation {}", operation.name)
        }
        Some(_) => UNBUILT.iter().any(|known| what.starts_with(known)),
        None => true,
    };
    if expected { Ok(Outcome::Unbuilt) } else { Err(format!("501 for what is built: {message}")) }
}

#[cfg(test)]
mod tests {
    use super::super::json::Json;
    use super::*;

    fn judged(
        operation: &str,
        kind: Kind,
        status: u16,
        code: Option<&str>,
        body: &str,
    ) -> Result<Outcome, String> {
        let world = World::new(Vec::new(), 0).expect("the models are in the repository");
        let service = world.service("lambda").expect("Lambda has a model");
        let input = vec![("FunctionName".to_owned(), Json::text("anise"))];
        let operation = service.operation(operation).expect("an operation");
        let request = Request { kind, ..Request::bind(service, operation, input).expect("a request") };
        let mut headers = Vec::new();
        if kind != Kind::Broken {
            headers.push(("x-amzn-requestid".to_owned(), "1".to_owned()));
        }
        headers.extend(code.map(|code| ("x-amzn-errortype".to_owned(), code.to_owned())));
        judge(&world, &request, &Ok(Answer { status, headers, body: body.as_bytes().to_vec() }))
    }

    #[test]
    fn an_answer_is_what_the_model_says_or_a_finding() {
        use Outcome::{Invalid, Refused, Success, Unbuilt, Unknown};
        let missing = Some("ResourceNotFoundException");
        let unbuilt = Some("NotImplementedException");
        let durable = r#"{"message":"Samovar does not implement the operation StopDurableExecution"}"#;
        for (operation, kind, status, code, body, expected) in [
            ("GetFunction", Kind::Valid, 200, None, "{}", Ok(Success)),
            ("GetFunction", Kind::Valid, 201, None, "{}", Err("status 201")),
            ("GetFunction", Kind::Valid, 200, None, "", Err("no JSON")),
            ("InvokeAsync", Kind::Valid, 202, None, "", Ok(Success)),
            ("GetFunction", Kind::Valid, 200, None, r#"{"Tea":1}"#, Err("no member Tea")),
            (
                "GetFunction",
                Kind::Valid,
                200,
                None,
                r#"{"Configuration":{"MemorySize":"128"}}"#,
                Err("not a integer"),
            ),
            (
                "GetFunction",
                Kind::Valid,
                200,
                None,
                r#"{"Configuration":{"State":"Tea"}}"#,
                Err("which the model lacks"),
            ),
            ("GetFunctionUrlConfig", Kind::Valid, 200, None, "{}", Err("lacks ")),
            ("DeleteAlias", Kind::Valid, 204, None, "", Ok(Success)),
            ("GetFunction", Kind::Mutated, 404, missing, r#"{"Message":"no"}"#, Ok(Refused)),
            ("GetFunction", Kind::Mutated, 400, missing, r#"{"Message":"no"}"#, Err("instead of 404")),
            ("GetFunction", Kind::Mutated, 404, missing, "{}", Err("no message")),
            ("GetFunction", Kind::Mutated, 404, None, r#"{"Message":"no"}"#, Err("no code")),
            (
                "GetFunction",
                Kind::Mutated,
                400,
                Some("TeaException"),
                r#"{"Message":"no"}"#,
                Err("no error of"),
            ),
            (
                "GetFunction",
                Kind::Mutated,
                400,
                Some("ValidationException"),
                r#"{"message":"no"}"#,
                Ok(Invalid),
            ),
            (
                "GetFunction",
                Kind::Valid,
                500,
                Some("ServiceException"),
                r#"{"Message":"no"}"#,
                Err("status 500"),
            ),
            ("StopDurableExecution", Kind::Valid, 501, unbuilt, durable, Ok(Unbuilt)),
            ("GetFunction", Kind::Valid, 501, unbuilt, durable, Err("for what is built")),
            ("GetFunction", Kind::Broken, 400, None, "", Ok(Unknown)),
            ("GetFunction", Kind::Broken, 500, None, "", Err("no request id")),
        ] {
            match (judged(operation, kind, status, code, body), expected) {
                (Ok(outcome), Ok(expected)) => assert_eq!(outcome, expected, "{operation} {status} {body}"),
                (Err(wrong), Err(expected)) => {
                    assert!(wrong.contains(expected), "{operation} {status}: {wrong}")
                }
                (came, _) => panic!("{operation} {status} {body}: {came:?}"),
            }
        }
    }
}
