//! `awsJson1.0` and `awsJson1.1`: all members in a JSON body, whatever their HTTP bindings say.

use ::http::StatusCode;
use bytes::Bytes;

use super::rest_json::{message_key, object};
use super::{Codec, Whole, json, response};
use crate::error::ServiceError;
use crate::http::Head;
use crate::route::Route;
use crate::schema::{JsonVersion, Operation};
use crate::value::Value;

/// The codec of one version.
pub struct AwsJson {
    content_type: &'static str,
}

/// The codec of that version.
pub fn of(version: JsonVersion) -> &'static AwsJson {
    match version {
        JsonVersion::V1_0 => &AwsJson { content_type: "application/x-amz-json-1.0" },
        JsonVersion::V1_1 => &AwsJson { content_type: "application/x-amz-json-1.1" },
    }
}

impl Codec for AwsJson {
    fn read(&self, route: &Route, _: &Head, body: Bytes) -> Result<Value, ServiceError> {
        json::read(route.operation.input, &body)
    }

    fn write(&self, operation: &Operation, output: Value) -> Result<Whole, ServiceError> {
        // Operations without output answer with an empty body, not with an empty object.
        let body = operation.output.map(|shape| json::write(shape, &output)).unwrap_or_default();
        Ok(response(StatusCode::OK, self.content_type, body))
    }

    fn write_error(&self, error: &ServiceError) -> Whole {
        let mut members = vec![("__type", error.code.into())];
        members.extend(error.members.iter().cloned());
        members
            .extend(error.message.as_deref().map(|message| (message_key(error.message_key), message.into())));
        response(error.status, self.content_type, object(&members))
    }

    fn event_content_type(&self) -> &'static str {
        self.content_type
    }

    fn opens_with_output(&self) -> bool {
        true
    }
}
