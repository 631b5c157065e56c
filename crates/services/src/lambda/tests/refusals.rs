//! What is refused, in the words of AWS.

use super::*;

/// Code and message of a refusal.
fn words(answer: &str) -> String {
    let (head, body) = answer.split_once('\n').unwrap();
    let body: Value = serde_json::from_str(body).unwrap();
    let message = body.get("message").or(body.get("Message")).and_then(Value::as_str).unwrap_or_default();
    format!("{head}: {message}")
}

const ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function";

#[tokio::test]
async fn what_create_refuses() {
    let bench = Bench::new().await;
    bench.create("taken").await;
    let bomb = STANDARD.encode(archive("zeros", &vec![0; 262_144_001]));
    let text = json!({ "LogFormat": "Text", "SystemLogLevel": "INFO" });
    for (change, expected) in [
        (json!({ "FunctionName": "taken" }), "409 ResourceConflictException: Function already exist: taken".to_owned()),
        (
            json!({ "Code": { "ZipFile": "bm90IGEgemlw" } }),
            "400 InvalidParameterValueException: Could not unzip uploaded file. Please check your file, then try to \
             upload again."
                .to_owned(),
        ),
        (
            json!({ "Code": { "ZipFile": "" } }),
            "400 InvalidParameterValueException: Uploaded file must be a non-empty zip".to_owned(),
        ),
        (
            json!({ "Code": { "ZipFile": bomb } }),
            "400 InvalidParameterValueException: Unzipped size must be smaller than 262144000 bytes".to_owned(),
        ),
        (
            json!({ "Code": { "ZipFile": STANDARD.encode(vec![0; 52_428_801]) } }),
            "413 RequestEntityTooLargeException: Zipped size must be smaller than 52428800 bytes".to_owned(),
        ),
        (
            json!({ "Code": {} }),
            "400 InvalidParameterValueException: Please provide a source for function code.".to_owned(),
        ),
        (
            json!({ "Code": { "S3Bucket": "bucket", "S3Key": "key" } }),
            "501 NotImplementedException: Samovar does not implement code in S3; send it as ZipFile".to_owned(),
        ),
        (
            json!({ "Code": { "ImageUri": "repo:tag" }, "PackageType": "Image" }),
            "501 NotImplementedException: Samovar does not implement functions from container images".to_owned(),
        ),
        (
            json!({ "PublishTo": "LATEST_PUBLISHED" }),
            "501 NotImplementedException: Samovar does not implement PublishTo".to_owned(),
        ),
        (
            json!({ "Handler": null }),
            "400 InvalidParameterValueException: Runtime and Handler are mandatory parameters for functions created \
             with deployment packages."
                .to_owned(),
        ),
        (
            json!({ "Runtime": "nodejs14.x" }),
            "400 InvalidParameterValueException: The runtime parameter of nodejs14.x is no longer supported for \
             creating or updating AWS Lambda functions. We recommend you use a supported runtime while creating or \
             updating functions."
                .to_owned(),
        ),
        (
            json!({ "MemorySize": 10_241 }),
            "400 InvalidParameterValueException: 1 validation error detected: Value '10241' at 'memorySize' failed to \
             satisfy constraint: Member must have value less than or equal to 10240"
                .to_owned(),
        ),
        (
            json!({ "LoggingConfig": text }),
            "400 InvalidParameterValueException: LogLevel is not supported when LogFormat is set to \"Text\". Remove \
             LogLevel from your request or change the LogFormat to \"JSON\" and try again."
                .to_owned(),
        ),
        (
            json!({ "SnapStart": { "ApplyOn": "PublishedVersions" }, "Runtime": "nodejs22.x" }),
            "400 InvalidParameterValueException: nodejs22.x is not supported for SnapStart enabled functions."
                .to_owned(),
        ),
        (
            json!({ "Tags": (0..51).map(|n| (n.to_string(), json!(""))).collect::<serde_json::Map<_, _>>() }),
            "400 InvalidParameterValueException: Number of tags exceeds resource tag limit.".to_owned(),
        ),
        (
            json!({ "Layers": ["arn:aws:lambda:us-east-1:000000000000:layer:l:1"] }),
            "400 InvalidParameterValueException: Layer version arn:aws:lambda:us-east-1:000000000000:layer:l:1 does \
             not exist."
                .to_owned(),
        ),
        (
            json!({ "FunctionName": format!("{ARN}:f").replace("us-east-1", "eu-west-1") }),
            "404 ResourceNotFoundException: Functions from 'eu-west-1' are not reachable in this region ('us-east-1')"
                .to_owned(),
        ),
        (
            json!({ "FunctionName": format!("{ARN}:f").replace("000000000000", "111111111111") }),
            "403 AccessDeniedException: User: arn:aws:iam::000000000000:root is not authorized to perform: \
             lambda:CreateFunction on resource: arn:aws:lambda:us-east-1:111111111111:function:f because no \
             resource-based policy allows the lambda:CreateFunction action"
                .to_owned(),
        ),
    ] {
        let shown = change.to_string();
        let answer = bench.ask("POST", FUNCTIONS, with("refused", change)).await;
        assert_eq!(words(&answer), expected, "{shown:.200}");
    }
    let listed = bench.ask("GET", FUNCTIONS, Value::Null).await;
    assert_eq!(listed.matches("FunctionName").count(), 1, "{listed}");
}

#[tokio::test]
async fn a_name_may_be_an_arn_when_a_function_is_made() {
    let bench = Bench::new().await;
    for (name, made) in [
        (format!("{ARN}:whole"), "whole"),
        ("000000000000:function:partial".to_owned(), "partial"),
        (ARN.to_owned(), "function"),
    ] {
        let answer = bench.ask("POST", FUNCTIONS, with("x", json!({ "FunctionName": name }))).await;
        assert!(answer.contains(&format!("\"FunctionName\": \"{made}\"")), "{answer}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_named_as_each_operation_names_it() {
    let bench = Bench::new().await;
    bench.create("f").await;
    for (method, path, body, expected) in [
        ("GET", "g", Value::Null, "404 ResourceNotFoundException: Function not found: ARNF:g"),
        (
            "GET",
            "f?Qualifier=live",
            Value::Null,
            "404 ResourceNotFoundException: Function not found: ARNF:f:live",
        ),
        ("GET", "f:7", Value::Null, "404 ResourceNotFoundException: Function not found: ARNF:f:7"),
        ("GET", "f:%24latest", Value::Null, "400 ValidationException"),
        (
            "GET",
            "g/configuration?Qualifier=1",
            Value::Null,
            "404 ResourceNotFoundException: Function not found: ARNF:g:1",
        ),
        (
            "GET",
            "f:1?Qualifier=2",
            Value::Null,
            "400 InvalidParameterValueException: The derived qualifier from the function name does not match the \
             specified qualifier.",
        ),
        ("DELETE", "g?Qualifier=3", Value::Null, "404 ResourceNotFoundException: Function not found: ARNF:g"),
        (
            "DELETE",
            "f?Qualifier=live",
            Value::Null,
            "400 InvalidParameterValueException: Deletion of aliases is not currently supported.",
        ),
        (
            "DELETE",
            "f:%24LATEST",
            Value::Null,
            "400 InvalidParameterValueException: $LATEST version cannot be deleted without deleting the function.",
        ),
        ("PUT", "g/configuration", json!({}), "404 ResourceNotFoundException: Function not found: ARNF:g"),
        (
            "PUT",
            "g/code",
            json!({ "ZipFile": "" }),
            "404 ResourceNotFoundException: Function not found: ARNF:g",
        ),
        (
            "PUT",
            "f:1/configuration",
            json!({}),
            "404 ResourceNotFoundException: Function not found: ARNF:f:1",
        ),
        (
            "PUT",
            "f/code",
            json!({ "ImageUri": "repo:tag" }),
            "400 InvalidParameterValueException: Please don't provide ImageUri when updating a function with \
             packageType Zip.",
        ),
        (
            "PUT",
            "f/code",
            json!({ "Architectures": ["arm64"] }),
            "400 InvalidParameterValueException: Please provide a source for function code.",
        ),
        (
            "PUT",
            "f/configuration",
            json!({ "Timeout": 9, "RevisionId": "00000000-0000-4000-8000-000000000000" }),
            "412 PreconditionFailedException: The Revision Id provided does not match the latest Revision Id. Call the \
             GetFunction/GetAlias API to retrieve the latest Revision Id",
        ),
        (
            "PUT",
            "f/code",
            json!({ "ZipFile": "", "RevisionId": "x" }),
            "412 PreconditionFailedException: The Revision Id provided does not match the latest Revision Id. Call the \
             GetFunction/GetAlias API to retrieve the latest Revision Id",
        ),
    ] {
        let answer = bench.ask(method, &format!("{FUNCTIONS}/{path}"), body).await;
        let told = words(&answer).replace(ARN, "ARNF");
        assert!(told.starts_with(expected), "{method} {path}: {told}");
    }
    let version = bench.ask("DELETE", &format!("{FUNCTIONS}/f:3"), Value::Null).await;
    assert_eq!(version, "204", "a version that is not there is deleted without complaint");
    let marker = bench.ask("GET", &format!("{FUNCTIONS}?Marker=x"), Value::Null).await;
    assert_eq!(words(&marker), "400 InvalidParameterValueException: Invalid Marker");
}

#[tokio::test]
async fn a_change_under_way_keeps_others_out() {
    let bench = Bench::new().await;
    let package = bench.artifacts.ingest(archive("index.py", b"x").into()).await.unwrap();
    let function = catalogue::NewFunction {
        key: Bench::key("f"),
        configuration: catalogue::Configuration::zip(
            "f",
            "python3.13",
            "i.h",
            "arn:aws:iam::000000000000:role/r",
        ),
        code: catalogue::CodeRef { digest: package.digest, size: 1, unzipped: 1 },
        code_signing: None,
        tags: Default::default(),
        publish: false,
    };
    let pending = bench.catalogue.create(function).await.unwrap();
    let address = format!("{FUNCTIONS}/f/configuration");
    let told = words(&bench.ask("PUT", &address, json!({ "Timeout": 9 })).await);
    assert_eq!(
        told,
        format!(
            "409 ResourceConflictException: The operation cannot be performed at this time. The resource {ARN}:f is \
             currently in the following state: 'Pending'. StateReasonCode: 'Creating'"
        )
    );
    bench.catalogue.finish(&Bench::key("f"), pending.latest.generation).await.unwrap();
    let update = catalogue::ConfigurationUpdate::default();
    bench.catalogue.update_configuration(&Bench::key("f"), update).await.unwrap();
    let told = words(&bench.ask("PUT", &address, json!({ "Timeout": 9 })).await);
    assert_eq!(
        told,
        format!(
            "409 ResourceConflictException: The operation cannot be performed at this time. An update is in progress \
             for resource: {ARN}:f"
        )
    );
}
