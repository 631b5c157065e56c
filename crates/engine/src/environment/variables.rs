//! The environment variables of a runtime's process. Pure.
//!
//! Source: environments recorded in 2026 (zip functions of every runtime), and the merge order of AWS's runtime
//! interface emulator: defaults that customers may override, customer, credentials, platform.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use record::report::InitializationType;
use sandbox::identity::{INSIDE_ADDRESS, RUNTIME_API_PORT, TELEMETRY_FD};
use sandbox::interpreters::rules::waiting::{LANG, LIBRARIES, TIME_ZONE};

/// A runtime's family, where it matters for its variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// `python3.x`.
    Python,
    /// `nodejs<major>.x`.
    Node,
    /// `provided.*`: the customer's own runtime.
    Provided,
    /// Any other.
    Other,
}

impl Family {
    /// Of a runtime id.
    pub fn of(runtime: &str) -> Self {
        if runtime.starts_with("python") {
            Self::Python
        } else if runtime.starts_with("nodejs") {
            Self::Node
        } else if runtime.starts_with("provided") {
            Self::Provided
        } else {
            Self::Other
        }
    }
}

/// The keys by which an environment is known to its own AWS endpoint.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    /// `ASIA...`
    pub access_key: String,
    /// Its secret.
    pub secret: String,
    /// The session's token.
    pub token: String,
}

/// What the platform tells a runtime.
#[derive(Clone)]
pub struct Facts<'a> {
    /// The function's region.
    pub region: &'a str,
    /// The function's bare name.
    pub function: &'a str,
    /// `$LATEST` or a number.
    pub version: &'a str,
    /// The function's memory, in MB.
    pub memory: u32,
    /// The log group.
    pub group: &'a str,
    /// The log stream.
    pub stream: &'a str,
    /// The entry point.
    pub handler: Option<&'a str>,
    /// The runtime's id; none for images.
    pub runtime: Option<&'a str>,
    /// The environment's own keys.
    pub keys: Keys,
    /// Address of the function's AWS endpoint, when it has one.
    pub endpoint: Option<&'a str>,
    /// The level for JSON logs; none for text.
    pub json_level: Option<&'a str>,
    /// What the chosen interpreter needs besides; wins over the defaults, and gives way to the customer.
    pub interpreter: &'a [(String, String)],
    /// What the environment is made for.
    pub made_for: InitializationType,
    /// What the runtime of a version with SnapStart shows to get its keys; none for others.
    pub snap_start: Option<&'a str>,
}

/// The variable whose program wraps the start of a managed runtime.
pub const EXEC_WRAPPER: &str = "AWS_LAMBDA_EXEC_WRAPPER";

/// Where the runtime of a version with SnapStart gets its keys. SDKs take keys without encryption from the loopback
/// interface alone.
const CREDENTIALS_URL: &str = "http://127.0.0.1:9001/2021-04-23/credentials";

const ENDPOINT_URL: &str = "AWS_ENDPOINT_URL";

/// All variables, sorted by name.
pub fn variables(facts: &Facts<'_>, customer: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let family = facts.runtime.map_or(Family::Other, Family::of);
    let mut merged = BTreeMap::new();
    for (key, value) in overridable(facts) {
        merged.insert(key.to_owned(), value);
    }
    merged.extend(facts.interpreter.iter().cloned());
    // AWS's own platform keeps the underscore for itself: such keys never reach the process.
    let reaching = customer.iter().filter(|(key, _)| !key.starts_with('_'));
    merged.extend(reaching.map(|(key, value)| (key.clone(), value.clone())));
    for (key, value) in reserved(facts, family) {
        merged.insert(key.to_owned(), value);
    }
    // The kernel takes neither; a value that holds one would make the start fail.
    merged.retain(|key, value| !key.is_empty() && !key.contains(['\0', '=']) && !value.contains('\0'));
    merged.into_iter().collect()
}

/// The variables of an extension's process, from those of the runtime's. Source: Lambda Developer Guide, "Lambda
/// Extensions API"; runtime interface emulator.
pub fn of_extensions(runtime: &[(String, String)]) -> Vec<(String, String)> {
    const WITHHELD: [&str; 8] = [
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_XRAY_CONTEXT_MISSING",
        "AWS_XRAY_DAEMON_ADDRESS",
        "LAMBDA_RUNTIME_DIR",
        "LAMBDA_TASK_ROOT",
        "_HANDLER",
    ];
    let is_given =
        |(name, _): &&(String, String)| !name.starts_with('_') && !WITHHELD.contains(&name.as_str());
    runtime.iter().filter(is_given).cloned().collect()
}

type Pairs = Vec<(&'static str, String)>;

/// What a customer may set otherwise.
fn overridable(facts: &Facts<'_>) -> Pairs {
    let mut pairs: Pairs = vec![
        ("AWS_XRAY_CONTEXT_MISSING", "LOG_ERROR".into()),
        ("AWS_XRAY_DAEMON_ADDRESS", "169.254.100.1:2000".into()),
        ("LANG", LANG.into()),
        ("LD_LIBRARY_PATH", LIBRARIES.into()),
        ("PATH", "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin".into()),
        ("TZ", TIME_ZONE.into()),
    ];
    if let Some(level) = facts.json_level {
        pairs.extend([("AWS_LAMBDA_LOG_FORMAT", "JSON".into()), ("AWS_LAMBDA_LOG_LEVEL", level.into())]);
    }
    if let Some(endpoint) = facts.endpoint {
        pairs.push((ENDPOINT_URL, endpoint.into()));
    }
    pairs
}

/// What the platform alone sets.
fn reserved(facts: &Facts<'_>, family: Family) -> Pairs {
    let mut pairs: Pairs = vec![
        ("AWS_REGION", facts.region.into()),
        ("AWS_DEFAULT_REGION", facts.region.into()),
        ("AWS_LAMBDA_FUNCTION_NAME", facts.function.into()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", facts.memory.to_string()),
        ("AWS_LAMBDA_FUNCTION_VERSION", facts.version.into()),
        ("AWS_LAMBDA_RUNTIME_API", format!("{}:{RUNTIME_API_PORT}", Ipv4Addr::from(INSIDE_ADDRESS))),
        ("LAMBDA_RUNTIME_DIR", "/var/runtime".into()),
        ("LAMBDA_TASK_ROOT", "/var/task".into()),
        ("_AWS_XRAY_DAEMON_ADDRESS", "169.254.100.1".into()),
        ("_AWS_XRAY_DAEMON_PORT", "2000".into()),
    ];
    pairs.extend(of_this_environment(facts));
    if let Some(handler) = facts.handler {
        pairs.push(("_HANDLER", handler.into()));
    }
    match (facts.runtime, family) {
        (Some(_), Family::Provided) => {}
        (Some(runtime), _) => pairs.extend([
            ("AWS_EXECUTION_ENV", format!("AWS_Lambda_{runtime}")),
            ("PWD", "/var/task".into()),
            ("SHLVL", "0".into()),
        ]),
        (None, _) => pairs.push(("AWS_EXECUTION_ENV", "AWS_Lambda_Image".into())),
    }
    // Our own clients write frames there, so that a line may hold newlines and carries its level.
    if matches!(family, Family::Python | Family::Node) {
        pairs.push(("_LAMBDA_TELEMETRY_LOG_FD", TELEMETRY_FD.to_string()));
    }
    pairs
}

/// What differs between environments of a version. A snapshot is of all of them, so it holds neither keys nor the name
/// of a log. Source: Lambda Developer Guide, "Monitoring for Lambda SnapStart", and AWS's runtime interface emulator.
fn of_this_environment(facts: &Facts<'_>) -> Pairs {
    if let Some(authorization) = facts.snap_start {
        return vec![
            ("AWS_LAMBDA_INITIALIZATION_TYPE", facts.made_for.as_str().into()),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN", authorization.into()),
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", CREDENTIALS_URL.into()),
        ];
    }
    let Keys { access_key, secret, token } = facts.keys.clone();
    vec![
        ("AWS_LAMBDA_INITIALIZATION_TYPE", facts.made_for.as_str().into()),
        ("AWS_ACCESS_KEY_ID", access_key),
        ("AWS_SECRET_ACCESS_KEY", secret),
        ("AWS_SESSION_TOKEN", token),
        ("AWS_LAMBDA_LOG_GROUP_NAME", facts.group.into()),
        ("AWS_LAMBDA_LOG_STREAM_NAME", facts.stream.into()),
    ]
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn facts(runtime: &'static str) -> Facts<'static> {
        Facts {
            region: "eu-central-1",
            function: "lotto",
            version: "$LATEST",
            memory: 128,
            group: "/aws/lambda/lotto",
            stream: "2026/11/21/[$LATEST]00",
            handler: Some("app.handler"),
            runtime: Some(runtime),
            keys: Keys { access_key: "ASIAX".into(), secret: "s".into(), token: "t".into() },
            endpoint: Some("http://169.254.100.1:4566"),
            json_level: None,
            interpreter: &[],
            made_for: InitializationType::OnDemand,
            snap_start: None,
        }
    }

    fn check(facts: &Facts<'_>, customer: &[(&str, &str)], expected: &Expect) {
        let customer = customer.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        let lines = variables(facts, &customer);
        let lines: Vec<String> = lines.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
        expected.assert_eq(&lines.concat());
    }

    #[test]
    fn a_python_function_sees_what_was_recorded() {
        check(
            &facts("python3.13"),
            &[],
            &expect![[r#"
            AWS_ACCESS_KEY_ID=ASIAX
            AWS_DEFAULT_REGION=eu-central-1
            AWS_ENDPOINT_URL=http://169.254.100.1:4566
            AWS_EXECUTION_ENV=AWS_Lambda_python3.13
            AWS_LAMBDA_FUNCTION_MEMORY_SIZE=128
            AWS_LAMBDA_FUNCTION_NAME=lotto
            AWS_LAMBDA_FUNCTION_VERSION=$LATEST
            AWS_LAMBDA_INITIALIZATION_TYPE=on-demand
            AWS_LAMBDA_LOG_GROUP_NAME=/aws/lambda/lotto
            AWS_LAMBDA_LOG_STREAM_NAME=2026/11/21/[$LATEST]00
            AWS_LAMBDA_RUNTIME_API=169.254.100.1:9001
            AWS_REGION=eu-central-1
            AWS_SECRET_ACCESS_KEY=s
            AWS_SESSION_TOKEN=t
            AWS_XRAY_CONTEXT_MISSING=LOG_ERROR
            AWS_XRAY_DAEMON_ADDRESS=169.254.100.1:2000
            LAMBDA_RUNTIME_DIR=/var/runtime
            LAMBDA_TASK_ROOT=/var/task
            LANG=en_US.UTF-8
            LD_LIBRARY_PATH=/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib
            PATH=/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin
            PWD=/var/task
            SHLVL=0
            TZ=:UTC
            _AWS_XRAY_DAEMON_ADDRESS=169.254.100.1
            _AWS_XRAY_DAEMON_PORT=2000
            _HANDLER=app.handler
            _LAMBDA_TELEMETRY_LOG_FD=62
        "#]],
        );
    }

    #[test]
    fn an_extension_gets_the_customers_variables_and_keys_but_not_the_runtimes_own() {
        let customer = [("OWN".to_owned(), "x".to_owned())].into();
        let names: Vec<String> = of_extensions(&variables(&facts("python3.13"), &customer))
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        expect![[r#"
            AWS_ACCESS_KEY_ID AWS_DEFAULT_REGION AWS_ENDPOINT_URL AWS_LAMBDA_FUNCTION_MEMORY_SIZE AWS_LAMBDA_FUNCTION_NAME AWS_LAMBDA_FUNCTION_VERSION AWS_LAMBDA_INITIALIZATION_TYPE AWS_LAMBDA_RUNTIME_API AWS_REGION AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN LANG LD_LIBRARY_PATH OWN PATH PWD SHLVL TZ
        "#]]
        .assert_eq(&format!("{}\n", names.join(" ")));
    }

    #[test]
    fn a_runtime_of_the_customers_own_has_no_execution_environment() {
        let facts = Facts { endpoint: None, ..facts("provided.al2023") };
        check(
            &facts,
            &[],
            &expect![[r#"
            AWS_ACCESS_KEY_ID=ASIAX
            AWS_DEFAULT_REGION=eu-central-1
            AWS_LAMBDA_FUNCTION_MEMORY_SIZE=128
            AWS_LAMBDA_FUNCTION_NAME=lotto
            AWS_LAMBDA_FUNCTION_VERSION=$LATEST
            AWS_LAMBDA_INITIALIZATION_TYPE=on-demand
            AWS_LAMBDA_LOG_GROUP_NAME=/aws/lambda/lotto
            AWS_LAMBDA_LOG_STREAM_NAME=2026/11/21/[$LATEST]00
            AWS_LAMBDA_RUNTIME_API=169.254.100.1:9001
            AWS_REGION=eu-central-1
            AWS_SECRET_ACCESS_KEY=s
            AWS_SESSION_TOKEN=t
            AWS_XRAY_CONTEXT_MISSING=LOG_ERROR
            AWS_XRAY_DAEMON_ADDRESS=169.254.100.1:2000
            LAMBDA_RUNTIME_DIR=/var/runtime
            LAMBDA_TASK_ROOT=/var/task
            LANG=en_US.UTF-8
            LD_LIBRARY_PATH=/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib
            PATH=/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin
            TZ=:UTC
            _AWS_XRAY_DAEMON_ADDRESS=169.254.100.1
            _AWS_XRAY_DAEMON_PORT=2000
            _HANDLER=app.handler
        "#]],
        );
    }

    #[test]
    fn customers_override_paths_and_endpoint_but_neither_identity_nor_underscores() {
        let interpreter = [("PATH".to_owned(), "/interpreter/bin:/bin".to_owned())];
        let facts = Facts { json_level: Some("DEBUG"), interpreter: &interpreter, ..facts("nodejs24.x") };
        let customer = [
            ("AWS_ENDPOINT_URL", "https://example.com"),
            ("AWS_REGION", "mine"),
            ("_HANDLER", "mine"),
            ("NODE_PATH", "/mine"),
            ("AWS_LAMBDA_LOG_LEVEL", "WARN"),
            ("BAD", "a\0b"),
            ("OWN", "x=y"),
        ];
        check(
            &facts,
            &customer,
            &expect![[r#"
            AWS_ACCESS_KEY_ID=ASIAX
            AWS_DEFAULT_REGION=eu-central-1
            AWS_ENDPOINT_URL=https://example.com
            AWS_EXECUTION_ENV=AWS_Lambda_nodejs24.x
            AWS_LAMBDA_FUNCTION_MEMORY_SIZE=128
            AWS_LAMBDA_FUNCTION_NAME=lotto
            AWS_LAMBDA_FUNCTION_VERSION=$LATEST
            AWS_LAMBDA_INITIALIZATION_TYPE=on-demand
            AWS_LAMBDA_LOG_FORMAT=JSON
            AWS_LAMBDA_LOG_GROUP_NAME=/aws/lambda/lotto
            AWS_LAMBDA_LOG_LEVEL=WARN
            AWS_LAMBDA_LOG_STREAM_NAME=2026/11/21/[$LATEST]00
            AWS_LAMBDA_RUNTIME_API=169.254.100.1:9001
            AWS_REGION=eu-central-1
            AWS_SECRET_ACCESS_KEY=s
            AWS_SESSION_TOKEN=t
            AWS_XRAY_CONTEXT_MISSING=LOG_ERROR
            AWS_XRAY_DAEMON_ADDRESS=169.254.100.1:2000
            LAMBDA_RUNTIME_DIR=/var/runtime
            LAMBDA_TASK_ROOT=/var/task
            LANG=en_US.UTF-8
            LD_LIBRARY_PATH=/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib
            NODE_PATH=/mine
            OWN=x=y
            PATH=/interpreter/bin:/bin
            PWD=/var/task
            SHLVL=0
            TZ=:UTC
            _AWS_XRAY_DAEMON_ADDRESS=169.254.100.1
            _AWS_XRAY_DAEMON_PORT=2000
            _HANDLER=app.handler
            _LAMBDA_TELEMETRY_LOG_FD=62
        "#]],
        );
    }
}
