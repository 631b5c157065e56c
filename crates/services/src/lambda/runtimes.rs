//! The runtime ids that Lambda knows, and those that it no longer takes.

/// The ids that functions may be created with, in the order in which AWS prints them (recorded November 2025),
/// followed by those that the service model has gained since.
pub const SUPPORTED: &[&str] = &[
    "nodejs20.x",
    "python3.14",
    "provided.al2023",
    "python3.12",
    "python3.13",
    "nodejs24.x",
    "nodejs22.x",
    "java25",
    "python3.10",
    "python3.11",
    "java21",
    "ruby3.3",
    "ruby3.4",
    "ruby3.2",
    "python3.8",
    "python3.9",
    "java17",
    "nodejs16.x",
    "dotnet10",
    "dotnet8",
    "java11",
    "dotnet6",
    "nodejs18.x",
    "provided.al2",
    "java8.al2",
    "ruby4.0",
    "nodejs26.x",
    "python3.15",
    "java8.al2023",
    "java11.al2023",
    "java17.al2023",
];

/// The ids that AWS knows and refuses. Source: the service model, less the list above.
const DEPRECATED: &[&str] = &[
    "nodejs",
    "nodejs4.3",
    "nodejs4.3-edge",
    "nodejs6.10",
    "nodejs8.10",
    "nodejs10.x",
    "nodejs12.x",
    "nodejs14.x",
    "java8",
    "python2.7",
    "python3.6",
    "python3.7",
    "dotnetcore1.0",
    "dotnetcore2.0",
    "dotnetcore2.1",
    "dotnetcore3.1",
    "go1.x",
    "ruby2.5",
    "ruby2.7",
    "provided",
];

/// What Lambda makes of a runtime id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// Functions may use it.
    Supported,
    /// AWS has ended it.
    Deprecated,
    /// `custom`: runtimes that customers manage themselves.
    Custom,
    /// No such id.
    Unknown,
}

/// Looks an id up.
pub(crate) fn known(runtime: &str) -> Known {
    if SUPPORTED.contains(&runtime) {
        Known::Supported
    } else if DEPRECATED.contains(&runtime) {
        Known::Deprecated
    } else if runtime == "custom" {
        Known::Custom
    } else {
        Known::Unknown
    }
}

/// Whether snapshots are offered for the runtime: Java from 11, Python from 3.12, .NET from 8.
///
/// Source: Lambda Developer Guide, "Improving startup performance with SnapStart".
pub(crate) fn snapshots(runtime: &str) -> bool {
    const WITHOUT: [&str; 7] =
        ["java8.al2", "java8.al2023", "python3.8", "python3.9", "python3.10", "python3.11", "dotnet6"];
    ["java", "python", "dotnet"].iter().any(|family| runtime.starts_with(family))
        && !WITHOUT.contains(&runtime)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_supported_ended_custom_or_unknown() {
        for (id, expected) in [
            ("python3.13", Known::Supported),
            ("provided.al2023", Known::Supported),
            ("python2.7", Known::Deprecated),
            ("provided", Known::Deprecated),
            ("custom", Known::Custom),
            ("cobol85", Known::Unknown),
            ("", Known::Unknown),
        ] {
            assert_eq!(known(id), expected, "{id}");
        }
    }

    #[test]
    fn layers_may_be_for_what_functions_may_and_might() {
        let among = wire::lambda::shapes::COMPATIBLE_RUNTIMES.among.unwrap();
        assert_eq!(among.printed, SUPPORTED);
        assert!(SUPPORTED.iter().all(|id| among.taken.contains(id)), "{:?}", among.taken);
        assert!(among.taken.iter().all(|id| known(id) != Known::Unknown), "{:?}", among.taken);
    }

    #[test]
    fn snapshots_are_for_newer_java_python_and_dotnet() {
        for (id, expected) in [
            ("java11", true),
            ("java8.al2", false),
            ("python3.12", true),
            ("python3.11", false),
            ("dotnet8", true),
            ("nodejs22.x", false),
            ("ruby3.4", false),
        ] {
            assert_eq!(snapshots(id), expected, "{id}");
        }
    }
}
