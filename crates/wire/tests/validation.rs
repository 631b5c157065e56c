//! The front end's words for what breaks a constraint, as recorded.

use bytes::Bytes;
use http::Request;
use wire::http::Head;
use wire::{codec, lambda, request, route};

/// The message for a request that is refused; `fine` for others.
fn told(method: &str, address: &str, body: &str) -> String {
    let request = Request::builder().method(method).uri(address).body(()).expect("a request");
    let head = Head::of(&request.into_parts().0);
    let route = route::operation(&lambda::SERVICE, &head).expect("routed");
    match request::read(&route, &head, Bytes::from(body.to_owned())) {
        Ok(_) => "fine".into(),
        Err(error) => {
            assert_eq!(
                (error.code, error.status.as_u16(), error.type_user),
                ("ValidationException", 400, false)
            );
            let response =
                codec::refuse(lambda::SERVICE.protocol, &error, base::id::RequestId(uuid::Uuid::nil()));
            assert!(response.body().whole().is_some_and(|body| body.starts_with(b"{\"message\":")));
            error.message.unwrap_or_default()
        }
    }
}

/// CreateFunction with these further members.
fn create(members: &str) -> String {
    let body = format!(
        r#"{{"FunctionName":"f","Role":"arn:aws:iam::123456789012:role/r","Code":{{}}{}{members}}}"#,
        if members.is_empty() { "" } else { "," }
    );
    told("POST", "/2015-03-31/functions", &body)
}

const NAME: &str = r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_]+)(:(\$LATEST|[a-zA-Z0-9-_]+))?";
const READ_NAME: &str = r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_\.]+)(:(\$LATEST(\.PUBLISHED)?|[a-zA-Z0-9-_]+))?";
const LAYER: &str = r"((arn:(aws[a-zA-Z-]*)?:lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:layer:[a-zA-Z0-9-_]+:[0-9]+)|(arn:[a-zA-Z0-9-]+:lambda:::awslayer:[a-zA-Z0-9-_]+))";

#[test]
fn good_requests_pass() {
    assert_eq!(create(""), "fine");
    assert_eq!(create(r#""Environment":{"Variables":{"KEY":"","OTHER_1":"x"}}"#), "fine");
    assert_eq!(create(r#""Tags":{"a key":"ä:/=+-@"},"Layers":[]"#), "fine");
    assert_eq!(told("GET", "/2015-03-31/functions/a.b?Qualifier=$latest", ""), "fine");
}

#[test]
fn runtimes_and_plain_names_of_any_length_are_left_to_the_service() {
    assert_eq!(create(r#""Runtime":"cobol85""#), "fine");
    let name = "f".repeat(65);
    assert_eq!(told("GET", &format!("/2015-03-31/functions/{name}"), ""), "fine");
    let body =
        format!(r#"{{"FunctionName":"{name}","Role":"arn:aws:iam::123456789012:role/r","Code":{{}}}}"#);
    assert_eq!(told("POST", "/2015-03-31/functions", &body), "fine");
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    assert_eq!(
        told("POST", "/2015-03-31/functions", "{}"),
        "3 validation errors detected: \
         Value null at 'functionName' failed to satisfy constraint: Member must not be null; \
         Value null at 'role' failed to satisfy constraint: Member must not be null; \
         Value null at 'code' failed to satisfy constraint: Member must not be null"
    );
    let name = format!("{}!", "f".repeat(140));
    assert_eq!(
        told("PUT", &format!("/2015-03-31/functions/{name}/code"), "{}"),
        format!(
            "2 validation errors detected: \
             Value '{name}' at 'functionName' failed to satisfy constraint: Member must have length less than or equal \
             to 140; \
             Value '{name}' at 'functionName' failed to satisfy constraint: Member must satisfy regular expression \
             pattern: {NAME}"
        )
    );
    assert_eq!(
        told("GET", "/2015-03-31/functions/a%20b?Qualifier=a.b", ""),
        format!(
            "2 validation errors detected: \
             Value 'a b' at 'functionName' failed to satisfy constraint: Member must satisfy regular expression \
             pattern: {READ_NAME}; \
             Value 'a.b' at 'qualifier' failed to satisfy constraint: Member must satisfy regular expression pattern: \
             \\$(LATEST(\\.PUBLISHED)?)|[a-zA-Z0-9-_$]+"
        )
    );
}

#[test]
fn items_of_open_enums_are_told_with_what_aws_prints_and_may_be_what_it_takes() {
    let publish = |runtimes: &str, architectures: &str| {
        let body = format!(
            r#"{{"Content":{{}},"CompatibleRuntimes":[{runtimes}],"CompatibleArchitectures":[{architectures}]}}"#
        );
        told("POST", "/2018-10-31/layers/l/versions", &body)
    };
    // Runtimes that have ended are taken, and not printed.
    let both = publish(r#""go1.x","cobol85""#, r#""m68k""#);
    let runtimes = "2 validation errors detected: Value '[go1.x, cobol85]' at 'compatibleRuntimes' failed to satisfy \
                    constraint: Member must satisfy enum value set: [nodejs20.x, python3.14, provided.al2023, ";
    assert!(both.starts_with(runtimes) && !both.contains("go1.x, nodejs"), "{both}");
    let architectures = "; Value '[m68k]' at 'compatibleArchitectures' failed to satisfy constraint: Member must satisfy \
                         constraint: [Member must satisfy enum value set: [x86_64, arm64], Member must not be null]";
    assert!(both.ends_with(architectures), "{both}");
    let one = publish(r#""go1.x""#, r#""m68k""#);
    assert!(one.starts_with("1 validation error detected: Value '[m68k]'"), "{one}");
}

#[test]
fn each_constraint_has_its_words() {
    for (members, expected) in [
        (
            r#""Role":"r""#,
            r"Value 'r' at 'role' failed to satisfy constraint: Member must satisfy regular expression pattern: arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+",
        ),
        (
            r#""Timeout":0"#,
            "Value '0' at 'timeout' failed to satisfy constraint: Member must have value greater than or equal to 1",
        ),
        (
            r#""MemorySize":40000"#,
            "Value '40000' at 'memorySize' failed to satisfy constraint: Member must have value less than or equal to \
             32768",
        ),
        (
            r#""PackageType":"Tar""#,
            "Value 'Tar' at 'packageType' failed to satisfy constraint: Member must satisfy enum value set: [Zip, \
             Image]",
        ),
        (
            r#""EphemeralStorage":{}"#,
            "Value null at 'ephemeralStorage.size' failed to satisfy constraint: Member must not be null",
        ),
        (
            r#""SnapStart":{"ApplyOn":"x"}"#,
            "Value 'x' at 'snapStart.applyOn' failed to satisfy constraint: Member must satisfy enum value set: \
             [PublishedVersions, None]",
        ),
        (
            r#""KMSKeyArn":"k""#,
            "Value 'k' at 'kMSKeyArn' failed to satisfy constraint: Member must satisfy regular expression pattern: \
             (arn:(aws[a-zA-Z-]*)?:[a-z0-9-.]+:.*)|()",
        ),
        (
            r#""CapacityProviderConfig":{"LambdaManagedInstancesCapacityProviderConfig":{"CapacityProviderArn":"arn:aws:lambda:us-east-1:123456789012:capacity-provider:c","ExecutionEnvironmentMemoryGiBPerVCpu":9}}"#,
            "Value '9.0' at 'capacityProviderConfig.lambdaManagedInstancesCapacityProviderConfig.\
             executionEnvironmentMemoryGiBPerVCpu' failed to satisfy constraint: Member must have value less than or \
             equal to 8.0",
        ),
    ] {
        assert_eq!(create(members), format!("1 validation error detected: {expected}"));
    }
}

#[test]
fn lists_and_maps_are_told_as_a_whole_with_every_constraint_of_their_items() {
    let wrapped_layer = format!(
        "Member must satisfy constraint: [Member must have length less than or equal to 2048, Member must have length \
         greater than or equal to 1, Member must satisfy regular expression pattern: {LAYER}, Member must not be null]"
    );
    for (members, expected) in [
        (
            r#""Architectures":["x86"]"#,
            "Value '[x86]' at 'architectures' failed to satisfy constraint: Member must satisfy constraint: [Member \
             must satisfy enum value set: [x86_64, arm64], Member must not be null]"
                .to_owned(),
        ),
        (
            r#""Architectures":["x86_64","arm64"]"#,
            "Value '[x86_64, arm64]' at 'architectures' failed to satisfy constraint: Member must have length less \
             than or equal to 1"
                .to_owned(),
        ),
        (
            r#""Layers":["arn:aws:lambda:us-east-1:123456789012:layer:l","x"]"#,
            format!(
                "Value '[arn:aws:lambda:us-east-1:123456789012:layer:l, x]' at 'layers' failed to satisfy constraint: \
                 {wrapped_layer}"
            ),
        ),
        (
            r#""Layers":[null]"#,
            format!("Value '[null]' at 'layers' failed to satisfy constraint: {wrapped_layer}"),
        ),
        (
            r#""VpcConfig":{"SubnetIds":["subnet-1","net-2"]}"#,
            "Value '[subnet-1, net-2]' at 'vpcConfig.subnetIds' failed to satisfy constraint: Member must satisfy \
             constraint: [Member must have length less than or equal to 1024, Member must have length greater than or \
             equal to 0, Member must satisfy regular expression pattern: subnet-[0-9a-z]*, Member must not be null]"
                .to_owned(),
        ),
        (
            r#""Environment":{"Variables":{"1":"secret"}}"#,
            "Value at 'environment.variables' failed to satisfy constraint: Map keys must satisfy constraint: [Member \
             must satisfy regular expression pattern: [a-zA-Z]([a-zA-Z0-9_])+, Member must not be null]"
                .to_owned(),
        ),
        (
            r#""Tags":{"a":"b!","c":"d"}"#,
            r"Value '{a=b!, c=d}' at 'tags' failed to satisfy constraint: Map value must satisfy constraint: [Member must have length less than or equal to 256, Member must have length greater than or equal to 0, Member must satisfy regular expression pattern: ([\p{L}\p{Z}\p{N}_.:/=+\-@]*), Member must not be null]"
                .to_owned(),
        ),
        (
            r#""FileSystemConfigs":[{"Arn":"arn:aws:elasticfilesystem:us-east-1:123456789012:access-point/fsap-0123456789abcdef0","LocalMountPath":"/x"}]"#,
            "Value '/x' at 'fileSystemConfigs.1.member.localMountPath' failed to satisfy constraint: Member must \
             satisfy regular expression pattern: /mnt/[a-zA-Z0-9-_.]+"
                .to_owned(),
        ),
    ] {
        assert_eq!(create(members), format!("1 validation error detected: {expected}"));
    }
}

#[test]
fn an_answer_does_not_grow_with_a_hostile_value() {
    let members = format!(r#""Handler":"{}""#, "x ".repeat(1_000_000));
    assert!(create(&members).len() < 100_000);
}
