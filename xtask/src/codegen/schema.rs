//! The static schema: shapes, operations, routes.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::{Result, bail, ensure};

use super::Built;
use super::model::{Model, Operation, Reference, Shape};
use super::names::constant;

/// `pub mod shapes` with a static for each shape that an operation reaches.
pub fn emit(model: &Model, built: &Built) -> Result<String> {
    let roots =
        model.operations.values().flat_map(|operation| operation.input.iter().chain(&operation.output));
    let reached = model.reach(roots)?;
    let names: BTreeSet<String> = reached.iter().map(|name| constant(name)).collect();
    ensure!(names.len() == reached.len(), "two shapes have the same name as constants");
    let mut text = String::from("\n/// The model's shapes with their constraints.\npub mod shapes {\n");
    text += "use crate::schema::{Kind, Location, Member, Shape};\n";
    if model.operations.values().any(|operation| operation.input.is_none()) {
        text += "/// The input of operations that have none.\n";
        text += "pub static NOTHING: Shape = Shape::structure(\"Nothing\", &[]);\n";
    }
    for name in reached {
        let shape = expression(model, built, name)?;
        writeln!(text, "pub static {}: Shape = {shape};", constant(name))?;
    }
    if !text.contains("Location::") {
        text = text.replace("Location, ", "");
    }
    Ok(text + "}\n")
}

/// One `Operation { .. }`.
pub fn operation(operation: &Operation, built: &Built) -> Result<String> {
    let (path, query) =
        operation.http.request_uri.split_once('?').unwrap_or((&operation.http.request_uri, ""));
    let segments: Vec<String> = path.split('/').skip(1).filter(|s| !s.is_empty()).map(segment).collect();
    let query: Vec<String> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(key, value)| format!("({key:?}, {value:?})"))
        .collect();
    let input = operation.input.as_ref().map_or("NOTHING".into(), |input| constant(&input.shape));
    let output = match &operation.output {
        Some(output) => format!("Some(&shapes::{})", constant(&output.shape)),
        None => "None".into(),
    };
    Ok(format!(
        "Operation {{ name: {:?}, method: {:?}, path: &[{}], query: &[{}], status: {}, input: &shapes::{input}, \
         output: {output}, built: {} }},\n",
        operation.name,
        operation.http.method,
        segments.join(", "),
        query.join(", "),
        operation.http.response_code.unwrap_or(200),
        built.operations.contains(&operation.name),
    ))
}

fn segment(segment: &str) -> String {
    match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        Some(label) => format!("Segment::Label({:?})", label.trim_end_matches('+')),
        None => format!("Segment::Literal({segment:?})"),
    }
}

fn expression(model: &Model, built: &Built, name: &str) -> Result<String> {
    let shape = model.shape(name)?;
    let mut text = match shape.kind.as_str() {
        "structure" => structure(model, name, shape)?,
        "list" => list(model, built, name, shape)?,
        "map" => {
            let (key, value) = (&shape.map_key()?.shape, &shape.map_value()?.shape);
            format!("Shape::map({name:?}, &{}, &{})", constant(key), constant(value))
        }
        "string" if shape.values.is_empty() || built.open.iter().any(|open| open == name) => {
            format!("Shape::string({name:?})")
        }
        "string" => format!("Shape::enumeration({name:?}, &{:?})", ordered(built, name, shape)?),
        kind => format!("Shape::new({name:?}, {})", scalar(kind)?),
    };
    if let Some(min) = shape.min {
        write!(text, ".min({min:?})")?;
    }
    if let Some(max) = shape.max {
        write!(text, ".max({max:?})")?;
    }
    if let Some(pattern) = &shape.pattern {
        write!(text, ".pattern({})", raw(pattern))?;
    }
    if shape.sensitive {
        text += ".sensitive()";
    }
    Ok(text)
}

fn list(model: &Model, built: &Built, name: &str, shape: &Shape) -> Result<String> {
    let item = &shape.item()?.shape;
    let list = format!("Shape::list({name:?}, &{})", constant(item));
    Ok(match built.among.get(name) {
        Some(printed) => format!("{list}.among(&{printed:?}, &{:?})", model.shape(item)?.values),
        None => list,
    })
}

/// The values of an enum in the order in which refusals list them.
fn ordered<'a>(built: &'a Built, name: &str, shape: &'a Shape) -> Result<&'a [String]> {
    let Some(order) = built.orders.get(name) else {
        return Ok(&shape.values);
    };
    let complete =
        order.len() == shape.values.len() && shape.values.iter().all(|value| order.contains(value));
    ensure!(complete, "the order of {name} does not have the values that the model has");
    Ok(order)
}

fn scalar(kind: &str) -> Result<&'static str> {
    Ok(match kind {
        "integer" => "Kind::Integer",
        "long" => "Kind::Long",
        "double" | "float" => "Kind::Double",
        "boolean" => "Kind::Boolean",
        "blob" => "Kind::Blob",
        "timestamp" => "Kind::Timestamp",
        other => bail!("no shape kind for {other}"),
    })
}

fn structure(model: &Model, name: &str, shape: &Shape) -> Result<String> {
    let members: Result<Vec<String>> = shape
        .members
        .iter()
        .map(|(member, reference)| self::member(model, shape, member, reference))
        .collect();
    let members = members?.join(", ");
    let named = shape.payload.as_ref().and_then(|payload| shape.members.get_index_of(payload));
    match named.or_else(|| shape.members.values().position(|reference| reference.event_payload)) {
        Some(at) => Ok(format!("Shape::with_payload({name:?}, &[{members}], {at})")),
        None => Ok(format!("Shape::structure({name:?}, &[{members}])")),
    }
}

fn member(model: &Model, owner: &Shape, name: &str, reference: &Reference) -> Result<String> {
    let mut text = format!("Member::new({name:?}, &{})", constant(&reference.shape));
    if owner.required.iter().any(|required| required == name) {
        text += ".required()";
    }
    let location = match reference.location.as_deref() {
        None => None,
        Some("uri") => Some("Uri"),
        Some("querystring") => Some("Query"),
        Some("header") => Some("Header"),
        Some("headers") => Some("Headers"),
        Some("statusCode") => Some("StatusCode"),
        Some(other) => bail!("no place called {other}"),
    };
    if let Some(location) = location {
        write!(text, ".at(Location::{location})")?;
    }
    if let Some(wire) = reference.location_name.as_ref().filter(|wire| *wire != name) {
        write!(text, ".named({wire:?})")?;
    }
    let shape = model.shape(&reference.shape)?;
    if let Some(format) = reference.timestamp_format.as_ref().or(shape.timestamp_format.as_ref()) {
        let format = match format.as_str() {
            "unixTimestamp" => "EpochSeconds",
            "iso8601" => "DateTime",
            "rfc822" => "HttpDate",
            other => bail!("no timestamp format called {other}"),
        };
        write!(text, ".format(crate::schema::TimestampFormat::{format})")?;
    }
    Ok(text)
}

/// A raw string literal.
fn raw(text: &str) -> String {
    let mut fence = String::new();
    while text.contains(&format!("\"{fence}")) {
        fence.push('#');
    }
    format!("r{fence}\"{text}\"{fence}")
}
