//! The service's head: its static description, its trait, its dispatch, its exceptions.

use std::fmt::Write as _;

use anyhow::{Context, Result, bail};

use super::Built;
use super::model::{Model, Operation};
use super::names::{constant, field};
use super::schema;

/// `SERVICE`, the trait, `dispatch` and `pub mod exception`.
pub fn emit(name: &str, model: &Model, built: &Built) -> Result<String> {
    let mut text = service(name, model, built)?;
    text += &service_trait(model, built)?;
    text += &dispatch(model, built)?;
    text += &exceptions(model)?;
    Ok(text)
}

fn service(name: &str, model: &Model, built: &Built) -> Result<String> {
    let metadata = &model.metadata;
    let protocol = match (metadata.protocol.as_str(), metadata.json_version.as_deref()) {
        ("rest-json", _) => "Protocol::RestJson",
        ("json", Some("1.0")) => "Protocol::AwsJson(JsonVersion::V1_0)",
        ("json", Some("1.1")) => "Protocol::AwsJson(JsonVersion::V1_1)",
        (other, version) => bail!("no codec for the protocol {other} {version:?}"),
    };
    let mut operations = String::new();
    for operation in model.sorted_operations() {
        operations += &schema::operation(operation, built)?;
    }
    Ok(format!(
        "/// The service with every operation of its model.\n\
         pub static SERVICE: Service = Service {{ name: {name:?}, signing_name: {:?}, protocol: {protocol}, \
         target_prefix: {:?}, violation: {:?}, operations: &[{operations}] }};\n\n",
        metadata.signing_name.as_ref().unwrap_or(&metadata.endpoint_prefix),
        metadata.target_prefix,
        built.violation,
    ))
}

fn built_operations<'a>(model: &'a Model, built: &Built) -> Vec<&'a Operation> {
    let mut operations = model.sorted_operations();
    operations.retain(|operation| built.operations.contains(&operation.name));
    operations
}

fn input(operation: &Operation) -> Result<&str> {
    Ok(&operation.input.as_ref().with_context(|| format!("{} has no input", operation.name))?.shape)
}

fn output(operation: &Operation) -> &str {
    operation.output.as_ref().map_or("()", |output| &output.shape)
}

fn service_trait(model: &Model, built: &Built) -> Result<String> {
    let mut text = format!(
        "/// The operations that Samovar implements.\n\
         pub trait {}: Send + Sync + 'static {{\n\
         /// What the server knows of a request beside its input: the caller, the scope, the request id.\n\
         type Context: Send + Sync;\n",
        built.trait_name
    );
    for operation in built_operations(model, built) {
        let answer = match model.event_stream(operation)? {
            Some(events) => format!("Streaming<{}, {events}>", output(operation)),
            None => format!("Answer<{}>", output(operation)),
        };
        writeln!(
            text,
            "\n/// `{}`\nfn {}(&self, context: &Self::Context, input: {}) \
             -> impl Future<Output = Result<{answer}, ServiceError>> + Send;",
            operation.name,
            field(&operation.name),
            input(operation)?,
        )?;
    }
    Ok(text + "}\n\n")
}

fn dispatch(model: &Model, built: &Built) -> Result<String> {
    let mut text = format!(
        "/// Calls the trait method of `operation` with `input`, which was read and validated for it.\n\
         ///\n/// An operation without a method answers [`ServiceError::not_built`].\n\
         pub async fn dispatch<S: {}>(service: &S, context: &S::Context, operation: &Operation, input: Value) \
         -> Result<Answer<Value>, ServiceError> {{\nmatch operation.name {{\n",
        built.trait_name
    );
    for operation in built_operations(model, built) {
        let untyped = if model.event_stream(operation)?.is_some() { ".into_answer()" } else { "" };
        writeln!(
            text,
            "{:?} => Ok(service.{}(context, FromValue::from_value(input)?).await?{untyped}\
             .map(IntoValue::into_value)),",
            operation.name,
            field(&operation.name),
        )?;
    }
    Ok(text + "other => Err(ServiceError::not_built(other)),\n}\n}\n\n")
}

fn exceptions(model: &Model) -> Result<String> {
    let mut text = String::from(
        "/// The model's exceptions, each with its status and the form of its body.\n\
         pub mod exception {\nuse crate::error::{Exception, MessageKey};\n",
    );
    let mut exceptions: Vec<_> = model.shapes.iter().filter(|(_, shape)| shape.exception).collect();
    exceptions.sort_by_key(|(name, _)| *name);
    for (name, shape) in exceptions {
        let status = match &shape.error {
            Some(error) => error.http_status_code,
            None if shape.fault => 500,
            None => 400,
        };
        let key = if shape.members.contains_key("Message") { "Upper" } else { "Lower" };
        writeln!(
            text,
            "pub static {}: Exception = Exception {{ code: {name:?}, status: {status}, \
             message_key: MessageKey::{key}, type_user: {} }};",
            constant(name.strip_suffix("Exception").unwrap_or(name)),
            shape.members.contains_key("Type"),
        )?;
    }
    Ok(text + "}\n\n")
}
