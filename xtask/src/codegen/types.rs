//! Typed inputs and outputs of the built operations, and their conversions from and to dynamic values.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::{Result, bail};

use super::Built;
use super::model::{Model, Shape};
use super::names::{constant, field, variant};

/// Which way a shape travels in the built operations.
struct Travels<'a> {
    inward: BTreeSet<&'a str>,
    outward: BTreeSet<&'a str>,
}

/// A type for each structure and closed enum that a built operation reaches.
pub fn emit(model: &Model, built: &Built) -> Result<String> {
    let operations =
        || model.operations.values().filter(|operation| built.operations.contains(&operation.name));
    let travels = Travels {
        inward: model.reach(operations().flat_map(|operation| &operation.input))?,
        outward: model.reach(operations().flat_map(|operation| &operation.output))?,
    };
    let mut text = String::new();
    for name in travels.inward.union(&travels.outward) {
        let shape = model.shape(name)?;
        match shape.kind.as_str() {
            "structure" if shape.event_stream => text += &events(model, name, shape)?,
            "structure" => text += &structure(model, built, &travels, name, shape)?,
            "string" if is_enum(built, name, shape) => text += &enumeration(&travels, name, shape)?,
            _ => {}
        }
    }
    Ok(text)
}

fn is_enum(built: &Built, name: &str, shape: &Shape) -> bool {
    !shape.values.is_empty() && !built.open.iter().any(|open| open == name)
}

/// The Rust type of a shape.
fn rust_type(model: &Model, built: &Built, name: &str) -> Result<String> {
    let shape = model.shape(name)?;
    Ok(match shape.kind.as_str() {
        "structure" => name.into(),
        "string" if is_enum(built, name, shape) => name.into(),
        "string" => "String".into(),
        "integer" => "i32".into(),
        "long" => "i64".into(),
        "double" | "float" => "f64".into(),
        "boolean" => "bool".into(),
        "blob" => "Bytes".into(),
        "timestamp" => "Timestamp".into(),
        "list" => format!("Vec<{}>", rust_type(model, built, &shape.item()?.shape)?),
        "map" => format!("BTreeMap<String, {}>", rust_type(model, built, &shape.map_value()?.shape)?),
        other => bail!("no type for a {other}"),
    })
}

/// Answers may leave out what the model calls required, so only inputs have members that are always there.
fn is_required(travels: &Travels, name: &str, shape: &Shape, member: &str) -> bool {
    travels.inward.contains(name) && shape.required.iter().any(|required| required == member)
}

fn structure(model: &Model, built: &Built, travels: &Travels, name: &str, shape: &Shape) -> Result<String> {
    let sensitive = |member: &str| model.shape(member).is_ok_and(|shape| shape.sensitive);
    let hides = shape.members.values().any(|reference| sensitive(&reference.shape));
    let mut derives = vec!["Clone", "PartialEq"];
    if !hides {
        derives.push("Debug");
    }
    if has_default(model, built, travels, name)? {
        derives.push("Default");
    }
    let mut text = format!("#[derive({})]\npub struct {name} {{\n", derives.join(", "));
    for (member, reference) in &shape.members {
        if model.shape(&reference.shape)?.event_stream {
            continue;
        }
        let inner = rust_type(model, built, &reference.shape)?;
        let required = is_required(travels, name, shape, member);
        let whole = if required { inner } else { format!("Option<{inner}>") };
        writeln!(text, "pub {}: {whole},", field(member))?;
    }
    text += "}\n\n";
    if hides {
        text += &debug(name, shape, &sensitive)?;
    }
    if travels.inward.contains(name) {
        text += &from_value(travels, name, shape)?;
    }
    if travels.outward.contains(name) {
        text += &into_value(model, travels, name, shape)?;
    }
    Ok(text)
}

/// What a stream carries, one a frame.
fn events(model: &Model, name: &str, shape: &Shape) -> Result<String> {
    let mut text = format!("#[derive(Debug, Clone, PartialEq)]\npub enum {name} {{\n");
    for (member, reference) in &shape.members {
        writeln!(text, "{}({}),", variant(member), reference.shape)?;
    }
    write!(
        text,
        "}}\n\nimpl From<{name}> for Event {{\nfn from(event: {name}) -> Self {{\nmatch event {{\n"
    )?;
    for (member, reference) in &shape.members {
        let kind = if model.shape(&reference.shape)?.exception { "exception" } else { "of" };
        writeln!(
            text,
            "{name}::{}(inner) => Event::{kind}({member:?}, &shapes::{}, inner.into_value()),",
            variant(member),
            constant(&reference.shape)
        )?;
    }
    Ok(text + "}\n}\n}\n\n")
}

fn has_default(model: &Model, built: &Built, travels: &Travels, name: &str) -> Result<bool> {
    let shape = model.shape(name)?;
    for member in shape.required.iter().filter(|member| is_required(travels, name, shape, member)) {
        let inner = &shape.members[member].shape;
        let inner_shape = model.shape(inner)?;
        let defaults = match inner_shape.kind.as_str() {
            "structure" => has_default(model, built, travels, inner)?,
            "string" => !is_enum(built, inner, inner_shape),
            "timestamp" => false,
            _ => true,
        };
        if !defaults {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A `Debug` that does not show what the model calls sensitive.
fn debug(name: &str, shape: &Shape, sensitive: &dyn Fn(&str) -> bool) -> Result<String> {
    let mut text = format!(
        "impl fmt::Debug for {name} {{\nfn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {{\n\
         f.debug_struct({name:?})"
    );
    for (member, reference) in &shape.members {
        let field = field(member);
        match sensitive(&reference.shape) {
            true => write!(text, ".field({field:?}, &format_args!(\"hidden\"))")?,
            false => write!(text, ".field({field:?}, &self.{field})")?,
        }
    }
    Ok(text + ".finish()\n}\n}\n\n")
}

fn from_value(travels: &Travels, name: &str, shape: &Shape) -> Result<String> {
    if shape.members.is_empty() {
        return Ok(format!(
            "impl FromValue for {name} {{\nfn from_value(value: Value) -> Result<Self, Mismatch> {{\n\
             value.into_structure().map(|_| Self {{}})\n}}\n}}\n\n"
        ));
    }
    let mut text = format!(
        "impl FromValue for {name} {{\nfn from_value(value: Value) -> Result<Self, Mismatch> {{\n\
         let mut value = value.into_structure()?;\nOk(Self {{\n"
    );
    for (at, member) in shape.members.keys().enumerate() {
        let reader = if is_required(travels, name, shape, member) { "required" } else { "optional" };
        writeln!(text, "{}: value.{reader}({at})?,", field(member))?;
    }
    Ok(text + "})\n}\n}\n\n")
}

fn into_value(model: &Model, travels: &Travels, name: &str, shape: &Shape) -> Result<String> {
    let mut text = format!(
        "impl IntoValue for {name} {{\nfn into_value(self) -> Value {{\n\
         Value::Structure(Structure::of(&shapes::{})",
        constant(name)
    );
    for (at, (member, reference)) in shape.members.iter().enumerate() {
        if model.shape(&reference.shape)?.event_stream {
            continue;
        }
        let writer = if is_required(travels, name, shape, member) { "with" } else { "with_some" };
        write!(text, ".{writer}({at}, self.{})", field(member))?;
    }
    Ok(text + ")\n}\n}\n\n")
}

fn enumeration(travels: &Travels, name: &str, shape: &Shape) -> Result<String> {
    let variants: Vec<(String, &String)> = shape.values.iter().map(|value| (variant(value), value)).collect();
    let mut text = format!("#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]\npub enum {name} {{\n");
    for (variant, _) in &variants {
        writeln!(text, "{variant},")?;
    }
    write!(text, "}}\n\nimpl {name} {{\npub const fn as_str(self) -> &'static str {{\nmatch self {{\n")?;
    for (variant, value) in &variants {
        writeln!(text, "Self::{variant} => {value:?},")?;
    }
    write!(text, "}}\n}}\n\npub fn parse(text: &str) -> Option<Self> {{\nSome(match text {{\n")?;
    for (variant, value) in &variants {
        writeln!(text, "{value:?} => Self::{variant},")?;
    }
    text += "_ => return None,\n})\n}\n}\n\n";
    if travels.inward.contains(name) {
        write!(
            text,
            "impl FromValue for {name} {{\nfn from_value(value: Value) -> Result<Self, Mismatch> {{\n\
             let text = String::from_value(value)?;\n\
             Self::parse(&text).ok_or(Mismatch {{ expected: {name:?} }})\n}}\n}}\n\n"
        )?;
    }
    if travels.outward.contains(name) {
        write!(
            text,
            "impl IntoValue for {name} {{\nfn into_value(self) -> Value {{\n\
             Value::String(self.as_str().into())\n}}\n}}\n\n"
        )?;
    }
    Ok(text)
}
