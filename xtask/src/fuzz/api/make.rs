//! Inputs that are valid by the model.

use anyhow::{Result, bail};

use super::dice::Dice;
use super::json::Json;
use super::world::{Service, World};
use super::{known, sample};
use crate::codegen::model::{Operation, Reference, Shape};

/// How many of a hundred optional members are there, and how often that is so; half of all requests are short.
const FULLNESS: [(usize, usize); 4] = [(45, 0), (25, 12), (20, 50), (10, 100)];
/// Optional by the model, and yet nothing works without.
const USUAL: [&str; 6] = ["Runtime", "Handler", "ZipFile", "EventSourceArn", "StartingPosition", "Content"];
/// Allowed by the model, and with them most requests end early.
const RARE: [&str; 23] = [
    "AcceleratorConfig",
    "CapacityProviderConfig",
    "CodeSha256",
    "CodeSigningConfigArn",
    "ContinuationOptions",
    "DryRun",
    "DurableConfig",
    "DurableExecutionName",
    "FileSystemConfigs",
    "ImageConfig",
    "ImageUri",
    "Layers",
    "Marker",
    "PublishTo",
    "RevisionId",
    "RuntimeConfig",
    "S3Bucket",
    "S3Key",
    "S3ObjectStorageMode",
    "S3ObjectVersion",
    "SourceKMSKeyArn",
    "TenancyConfig",
    "TenantId",
];
/// Of a hundred.
const USUALLY: usize = 95;
const RARELY: usize = 4;
/// Items of a list that has no bound, and longest free text.
const ITEMS: usize = 3;
const LONGEST: usize = 60;
/// Depth from which on optional members are left out.
const DEEP: usize = 8;

/// Makes the input of one request.
pub struct Maker<'a> {
    pub world: &'a World,
    pub service: &'a Service,
    pub dice: &'a mut Dice,
}

impl Maker<'_> {
    /// All members, by their names in the model; an operation without input has none.
    pub fn input(&mut self, operation: &Operation) -> Result<Vec<(String, Json)>> {
        let Some(input) = &operation.input else { return Ok(Vec::new()) };
        let mut draw = self.dice.below(100);
        let fullness = FULLNESS.iter().find_map(|(share, fullness)| {
            let chosen = draw < *share;
            draw = draw.saturating_sub(*share);
            chosen.then_some(*fullness)
        });
        self.members(self.service.model.shape(&input.shape)?, fullness.unwrap_or(0), 0)
    }

    fn members(&mut self, shape: &Shape, fullness: usize, depth: usize) -> Result<Vec<(String, Json)>> {
        let mut members = Vec::new();
        for (name, reference) in &shape.members {
            let percent = match name.as_str() {
                _ if shape.required.contains(name) => 100,
                _ if depth > DEEP => 0,
                name if USUAL.contains(&name) => USUALLY,
                name if RARE.contains(&name) => RARELY.min(fullness),
                _ => fullness,
            };
            if self.dice.chance(percent) {
                let mut value = self.value(reference, name, fullness, depth + 1)?;
                if let (Json::List(items), Some("querystring")) = (&mut value, reference.location.as_deref())
                    && items.is_empty()
                {
                    // A query cannot say that a list is there and empty.
                    items.push(self.value(
                        self.service.model.shape(&reference.shape)?.item()?,
                        name,
                        0,
                        depth,
                    )?);
                }
                members.push((name.clone(), value));
            }
        }
        Ok(members)
    }

    fn value(&mut self, reference: &Reference, member: &str, fullness: usize, depth: usize) -> Result<Json> {
        if let Some(known) = known::value(self.world, &reference.shape, member, self.dice) {
            return Ok(known);
        }
        let shape = self.service.model.shape(&reference.shape)?;
        Ok(match shape.kind.as_str() {
            "structure" => {
                let members = self.members(shape, fullness, depth)?;
                Json::Object(members.into_iter().map(|(name, value)| (wire(shape, &name), value)).collect())
            }
            "list" => {
                let item = shape.item()?;
                let items =
                    (0..self.length(shape, ITEMS)).map(|_| self.value(item, member, fullness, depth + 1));
                Json::List(items.collect::<Result<_>>()?)
            }
            "map" => self.map(shape, member, fullness, depth)?,
            "string" => Json::Text(self.text(shape)),
            "integer" | "long" => Json::Raw(self.number(shape).to_string()),
            "double" | "float" => {
                let (least, most) = (shape.min.unwrap_or(0.0), shape.max.unwrap_or(1.0));
                Json::Raw(format!("{}", least + (most - least) * self.dice.below(101) as f64 / 100.0))
            }
            "boolean" => Json::Bool(self.dice.chance(50)),
            "blob" => {
                let length = self.length(shape, LONGEST);
                Json::Bytes(self.dice.bytes(length))
            }
            "timestamp" => Json::Raw((self.world.now / 1000 - self.dice.between(0, 60)).to_string()),
            kind => bail!("{} is of the unknown kind {kind}", reference.shape),
        })
    }

    fn map(&mut self, shape: &Shape, member: &str, fullness: usize, depth: usize) -> Result<Json> {
        let (key, value) = (shape.map_key()?, shape.map_value()?);
        let mut entries: Vec<(String, Json)> = Vec::new();
        for _ in 0..self.length(shape, ITEMS) {
            let name = self.value(key, member, fullness, depth + 1)?.plain();
            if entries.iter().all(|(taken, _)| *taken != name) {
                entries.push((name, self.value(value, member, fullness, depth + 1)?));
            }
        }
        Ok(Json::Object(entries))
    }

    /// A length within the shape's bounds, at most `most` above the least.
    fn length(&mut self, shape: &Shape, most: usize) -> usize {
        let least = shape.min.map_or(0, |min| min as usize);
        let most = shape.max.map_or(least + most, |max| (max as usize).min(least + most));
        self.dice.between(least as i64, most as i64) as usize
    }

    fn text(&mut self, shape: &Shape) -> String {
        if let Some(value) = shape.values.get(self.dice.below(shape.values.len())) {
            return value.clone();
        }
        let bounds =
            (shape.min.map_or(0, |min| min as usize), shape.max.map_or(usize::MAX, |max| max as usize));
        if let Some(pattern) = &shape.pattern {
            return sample::text(pattern, bounds.0, bounds.1, self.dice);
        }
        let length = self.length(shape, LONGEST);
        (0..length).map(|_| char::from(b' ' + self.dice.below(95) as u8)).collect()
    }

    /// Mostly small; sometimes a bound.
    fn number(&mut self, shape: &Shape) -> i64 {
        let least = shape.min.map_or(0, |min| min as i64);
        let most = shape.max.map_or(least + 1000, |max| max as i64);
        match self.dice.below(6) {
            0 => least,
            1 => most,
            2 => self.dice.between(least, most),
            _ => self.dice.between(least, most.min(least + 10)),
        }
    }
}

/// A member's name in a body.
pub fn wire(shape: &Shape, member: &str) -> String {
    let reference = shape.members.get(member);
    reference.and_then(|reference| reference.location_name.clone()).unwrap_or_else(|| member.to_owned())
}
