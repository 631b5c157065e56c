//! What Lambda's back end refuses about layers.

use base::limits::FUNCTION_LAYERS;

use super::Refusal;
use crate::lambda::runtimes::{self, Known};

/// A request about layers that the back end refuses, in the words of AWS.
///
/// Texts are recorded unless their comment says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LayerRefusal {
    /// Versions are counted from one.
    #[error("Layer Version Cannot be less than 1")]
    Number,
    /// There is no such layer version.
    #[error("The resource you requested does not exist.")]
    Missing,
    /// There is no such layer version; about its policy.
    #[error("Layer version {0} does not exist.")]
    NoVersion(String),
    /// A runtime that nobody knows, in the words of the front end.
    #[error(
        "1 validation error detected: Value '{0}' at 'compatibleRuntime' failed to satisfy constraint: Member must \
         satisfy enum value set: [{list}]",
        list = LISTED.join(", ")
    )]
    UnknownRuntime(String),
    /// More layers than a function may have.
    #[error("Cannot reference more than {FUNCTION_LAYERS} layers.")]
    TooMany,
    /// A layer of another region.
    #[error("Layers are not in the same region as the function. Layers are expected to be in region {0}.")]
    Region(String),
    /// A layer that a function cannot have, because it is not there.
    #[error("Layer version {0} does not exist.")]
    Unknown(String),
    /// Two versions of one layer, or one twice.
    #[error(
        "Two different versions of the same layer are not allowed to be referenced in the same function. {0} and {1} \
         are versions of the same layer."
    )]
    Twice(String, String),
}

/// The runtimes that layers may be looked for by, in the order in which AWS prints them (recorded November 2025).
const LISTED: &[&str] = &[
    "ruby2.6",
    "dotnetcore1.0",
    "python3.7",
    "nodejs8.10",
    "nasa",
    "ruby2.7",
    "python2.7-greengrass",
    "dotnetcore2.0",
    "python3.8",
    "java21",
    "dotnet6",
    "dotnetcore2.1",
    "python3.9",
    "java11",
    "nodejs6.10",
    "provided",
    "dotnetcore3.1",
    "dotnet8",
    "java25",
    "java17",
    "nodejs",
    "nodejs4.3",
    "java8.al2",
    "go1.x",
    "dotnet10",
    "nodejs20.x",
    "go1.9",
    "byol",
    "nodejs10.x",
    "provided.al2023",
    "nodejs22.x",
    "python3.10",
    "java8",
    "nodejs12.x",
    "python3.11",
    "nodejs24.x",
    "nodejs8.x",
    "python3.12",
    "nodejs14.x",
    "nodejs8.9",
    "python3.13",
    "python3.14",
    "nodejs16.x",
    "provided.al2",
    "nodejs4.3-edge",
    "nodejs18.x",
    "ruby3.2",
    "python3.4",
    "ruby3.3",
    "ruby3.4",
    "ruby2.5",
    "python3.6",
    "python2.7",
];

/// Layers are looked for by runtimes that there are or were.
pub(crate) fn looked_for(runtime: Option<&str>) -> Result<(), LayerRefusal> {
    match runtime {
        Some(runtime) if runtimes::known(runtime) == Known::Unknown && !LISTED.contains(&runtime) => {
            Err(LayerRefusal::UnknownRuntime(runtime.to_owned()))
        }
        _ => Ok(()),
    }
}

/// A number that requests carry as a number of a version.
pub(crate) fn number(number: i64) -> Result<u64, LayerRefusal> {
    u64::try_from(number).ok().filter(|number| *number > 0).ok_or(LayerRefusal::Number)
}

/// A function has no more layers than it may have.
pub(crate) fn count(arns: &[String]) -> Result<(), LayerRefusal> {
    if arns.len() > FUNCTION_LAYERS { Err(LayerRefusal::TooMany) } else { Ok(()) }
}

/// Content that Samovar does not take.
pub(crate) fn content(content: &wire::lambda::LayerVersionContentInput) -> Result<(), Refusal> {
    if content.s3_object_storage_mode.is_some() {
        return Err(Refusal::NotBuilt("S3ObjectStorageMode"));
    }
    super::rules::changed_code(content.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_looked_for_by_runtimes_that_there_are_or_were() {
        assert_eq!(looked_for(None), Ok(()));
        for known in ["nasa", "python3.12", "python3.15"] {
            assert_eq!(looked_for(Some(known)), Ok(()), "{known}");
        }
        let words = looked_for(Some("cobol85")).unwrap_err().to_string();
        assert!(words.starts_with(
            "1 validation error detected: Value 'cobol85' at 'compatibleRuntime' failed to satisfy constraint: Member \
             must satisfy enum value set: [ruby2.6, dotnetcore1.0, "
        ));
    }

    #[test]
    fn versions_are_counted_from_one_and_layers_up_to_five() {
        assert_eq!([-1, 0, 1].map(|n| number(n).ok()), [None, None, Some(1)]);
        let layers = vec!["l".to_owned(); 6];
        assert_eq!((count(&layers[..5]), count(&layers)), (Ok(()), Err(LayerRefusal::TooMany)));
    }
}
