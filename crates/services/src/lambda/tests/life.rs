//! Functions from creation to deletion.

use std::collections::BTreeMap;

use base::id::Digest;
use catalogue::{CodeRef, Configuration, NewFunction};
use expect_test::expect;

use super::*;

#[tokio::test]
async fn a_function_is_pending_then_active_then_gone() {
    let bench = Bench::new().await;
    expect![[r#"
        201
        {
          "Architectures": [
            "x86_64"
          ],
          "CodeSha256": "lJgnIoPhli3Z0jB1223c6t8Gkzk8bjKrHxZtQ1T6ubQ=",
          "CodeSize": 144,
          "Description": "",
          "EphemeralStorage": {
            "Size": 512
          },
          "FunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:f",
          "FunctionName": "f",
          "Handler": "index.handler",
          "LastModified": "*",
          "LoggingConfig": {
            "LogFormat": "Text",
            "LogGroup": "/aws/lambda/f"
          },
          "MemorySize": 128,
          "PackageType": "Zip",
          "RevisionId": "*",
          "Role": "arn:aws:iam::000000000000:role/test",
          "Runtime": "python3.13",
          "RuntimeVersionConfig": {
            "RuntimeVersionArn": "*"
          },
          "SnapStart": {
            "ApplyOn": "None",
            "OptimizationStatus": "Off"
          },
          "State": "Pending",
          "StateReason": "The function is being created.",
          "StateReasonCode": "Creating",
          "Timeout": 3,
          "TracingConfig": {
            "Mode": "PassThrough"
          },
          "Version": "$LATEST"
        }"#]]
    .assert_eq(&bench.ask("POST", FUNCTIONS, new("f")).await);
    expect![[r#"
        200
        {
          "Architectures": [
            "x86_64"
          ],
          "CodeSha256": "lJgnIoPhli3Z0jB1223c6t8Gkzk8bjKrHxZtQ1T6ubQ=",
          "CodeSize": 144,
          "Description": "",
          "EphemeralStorage": {
            "Size": 512
          },
          "FunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:f",
          "FunctionName": "f",
          "Handler": "index.handler",
          "LastModified": "*",
          "LastUpdateStatus": "Successful",
          "LoggingConfig": {
            "LogFormat": "Text",
            "LogGroup": "/aws/lambda/f"
          },
          "MemorySize": 128,
          "PackageType": "Zip",
          "RevisionId": "*",
          "Role": "arn:aws:iam::000000000000:role/test",
          "Runtime": "python3.13",
          "RuntimeVersionConfig": {
            "RuntimeVersionArn": "*"
          },
          "SnapStart": {
            "ApplyOn": "None",
            "OptimizationStatus": "Off"
          },
          "State": "Active",
          "Timeout": 3,
          "TracingConfig": {
            "Mode": "PassThrough"
          },
          "Version": "$LATEST"
        }"#]]
    .assert_eq(&bench.settle("f").await);
    expect!["204"].assert_eq(&bench.ask("DELETE", &format!("{FUNCTIONS}/f"), Value::Null).await);
    expect![[r#"
        404 ResourceNotFoundException
        {
          "Message": "Function not found: arn:aws:lambda:us-east-1:000000000000:function:f",
          "Type": "User"
        }"#]]
    .assert_eq(&bench.ask("GET", &format!("{FUNCTIONS}/f"), Value::Null).await);
    bench.create("f").await;
}

#[tokio::test]
async fn everything_that_was_chosen_is_shown() {
    let bench = Bench::new().await;
    let chosen = json!({
        "Description": "tea",
        "Timeout": 7,
        "MemorySize": 256,
        "EphemeralStorage": { "Size": 512 },
        "Environment": { "Variables": { "COLOUR": "red" } },
        "KMSKeyArn": "arn:aws:kms:us-east-1:000000000000:key/k",
        "Architectures": ["arm64"],
        "TracingConfig": { "Mode": "Active" },
        "LoggingConfig": { "LogFormat": "JSON", "SystemLogLevel": "WARN", "LogGroup": "/shared" },
        "DeadLetterConfig": { "TargetArn": "arn:aws:sqs:us-east-1:000000000000:q" },
        "VpcConfig": { "SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"] },
        "SnapStart": { "ApplyOn": "PublishedVersions" },
        "Tags": { "team": "tea" },
        "Layers": [],
    });
    let answer = bench.ask("POST", FUNCTIONS, with("f", chosen)).await;
    assert!(answer.starts_with("201"), "{answer}");
    bench.settle("f").await;
    expect![[r#"
        200
        {
          "Code": {
            "Location": "*",
            "RepositoryType": "S3"
          },
          "Configuration": {
            "Architectures": [
              "arm64"
            ],
            "CodeSha256": "lJgnIoPhli3Z0jB1223c6t8Gkzk8bjKrHxZtQ1T6ubQ=",
            "CodeSize": 144,
            "DeadLetterConfig": {
              "TargetArn": "arn:aws:sqs:us-east-1:000000000000:q"
            },
            "Description": "tea",
            "Environment": {
              "Variables": {
                "COLOUR": "red"
              }
            },
            "EphemeralStorage": {
              "Size": 512
            },
            "FunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:f",
            "FunctionName": "f",
            "Handler": "index.handler",
            "KMSKeyArn": "arn:aws:kms:us-east-1:000000000000:key/k",
            "LastModified": "*",
            "LastUpdateStatus": "Successful",
            "LoggingConfig": {
              "ApplicationLogLevel": "INFO",
              "LogFormat": "JSON",
              "LogGroup": "/shared",
              "SystemLogLevel": "WARN"
            },
            "MemorySize": 256,
            "PackageType": "Zip",
            "RevisionId": "*",
            "Role": "arn:aws:iam::000000000000:role/test",
            "Runtime": "python3.13",
            "RuntimeVersionConfig": {
              "RuntimeVersionArn": "*"
            },
            "SnapStart": {
              "ApplyOn": "PublishedVersions",
              "OptimizationStatus": "Off"
            },
            "State": "Active",
            "Timeout": 7,
            "TracingConfig": {
              "Mode": "Active"
            },
            "Version": "$LATEST",
            "VpcConfig": {
              "Ipv6AllowedForDualStack": false,
              "SecurityGroupIds": [
                "sg-1"
              ],
              "SubnetIds": [
                "subnet-1"
              ],
              "VpcId": "vpc-09fb161df20f21d72"
            }
          },
          "Tags": {
            "team": "tea"
          }
        }"#]]
    .assert_eq(&bench.ask("GET", &format!("{FUNCTIONS}/f"), Value::Null).await);
    let latest = bench.ask("GET", &format!("{FUNCTIONS}/f?Qualifier=%24LATEST"), Value::Null).await;
    assert!(latest.contains("function:f:$LATEST\"") && !latest.contains("Tags"), "{latest}");
}

#[tokio::test]
async fn an_update_of_configuration_changes_what_it_names() {
    let bench = Bench::new().await;
    let chosen = json!({
        "Description": "tea",
        "Environment": { "Variables": { "COLOUR": "red" } },
        "KMSKeyArn": "arn:aws:kms:us-east-1:000000000000:key/k",
        "LoggingConfig": { "LogFormat": "JSON", "LogGroup": "/shared" },
        "DeadLetterConfig": { "TargetArn": "arn:aws:sqs:us-east-1:000000000000:q" },
        "VpcConfig": { "SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"] },
    });
    bench.ask("POST", FUNCTIONS, with("f", chosen)).await;
    bench.settle("f").await;
    let address = format!("{FUNCTIONS}/f/configuration");
    expect![[r#"
        200
        {
          "Architectures": [
            "x86_64"
          ],
          "CodeSha256": "lJgnIoPhli3Z0jB1223c6t8Gkzk8bjKrHxZtQ1T6ubQ=",
          "CodeSize": 144,
          "DeadLetterConfig": {
            "TargetArn": "arn:aws:sqs:us-east-1:000000000000:q"
          },
          "Description": "tea",
          "Environment": {
            "Variables": {
              "COLOUR": "red"
            }
          },
          "EphemeralStorage": {
            "Size": 512
          },
          "FunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:f",
          "FunctionName": "f",
          "Handler": "index.handler",
          "KMSKeyArn": "arn:aws:kms:us-east-1:000000000000:key/k",
          "LastModified": "*",
          "LastUpdateStatus": "InProgress",
          "LastUpdateStatusReason": "The function is being created.",
          "LastUpdateStatusReasonCode": "Creating",
          "LoggingConfig": {
            "ApplicationLogLevel": "INFO",
            "LogFormat": "JSON",
            "LogGroup": "/shared",
            "SystemLogLevel": "INFO"
          },
          "MemorySize": 128,
          "PackageType": "Zip",
          "RevisionId": "*",
          "Role": "arn:aws:iam::000000000000:role/test",
          "Runtime": "python3.13",
          "RuntimeVersionConfig": {
            "RuntimeVersionArn": "*"
          },
          "SnapStart": {
            "ApplyOn": "None",
            "OptimizationStatus": "Off"
          },
          "State": "Active",
          "Timeout": 9,
          "TracingConfig": {
            "Mode": "PassThrough"
          },
          "Version": "$LATEST",
          "VpcConfig": {
            "Ipv6AllowedForDualStack": false,
            "SecurityGroupIds": [
              "sg-1"
            ],
            "SubnetIds": [
              "subnet-1"
            ],
            "VpcId": "vpc-09fb161df20f21d72"
          }
        }"#]]
    .assert_eq(&bench.ask("PUT", &address, json!({ "Timeout": 9, "DeadLetterConfig": {} })).await);
    bench.settle("f").await;
    let cleared = json!({
        "KMSKeyArn": "",
        "DeadLetterConfig": { "TargetArn": "" },
        "Environment": { "Variables": {} },
        "VpcConfig": { "SubnetIds": [], "SecurityGroupIds": [] },
        "LoggingConfig": {},
        "Runtime": "nodejs22.x",
        "Handler": "a.b",
    });
    bench.ask("PUT", &address, cleared).await;
    expect![[r#"
        200
        {
          "Architectures": [
            "x86_64"
          ],
          "CodeSha256": "lJgnIoPhli3Z0jB1223c6t8Gkzk8bjKrHxZtQ1T6ubQ=",
          "CodeSize": 144,
          "Description": "tea",
          "Environment": {
            "Variables": {}
          },
          "EphemeralStorage": {
            "Size": 512
          },
          "FunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:f",
          "FunctionName": "f",
          "Handler": "a.b",
          "LastModified": "*",
          "LastUpdateStatus": "Successful",
          "LoggingConfig": {
            "LogFormat": "Text",
            "LogGroup": "/aws/lambda/f"
          },
          "MemorySize": 128,
          "PackageType": "Zip",
          "RevisionId": "*",
          "Role": "arn:aws:iam::000000000000:role/test",
          "Runtime": "nodejs22.x",
          "RuntimeVersionConfig": {
            "RuntimeVersionArn": "*"
          },
          "SnapStart": {
            "ApplyOn": "None",
            "OptimizationStatus": "Off"
          },
          "State": "Active",
          "Timeout": 9,
          "TracingConfig": {
            "Mode": "PassThrough"
          },
          "Version": "$LATEST",
          "VpcConfig": {
            "Ipv6AllowedForDualStack": false,
            "SecurityGroupIds": [],
            "SubnetIds": [],
            "VpcId": ""
          }
        }"#]]
    .assert_eq(&bench.settle("f").await);
}

#[tokio::test]
async fn an_update_of_code_is_in_progress_then_in_force() {
    let bench = Bench::new().await;
    bench.create("f").await;
    let address = format!("{FUNCTIONS}/f/code");
    let zip = STANDARD.encode(archive("index.py", b"two"));
    let digest = |answer: &str| answer.split("CodeSha256\": ").nth(1).unwrap()[..46].to_owned();
    let before = digest(&bench.settle("f").await);
    let dry = bench.ask("PUT", &address, json!({ "ZipFile": zip, "DryRun": true })).await;
    assert!(dry.starts_with("200") && digest(&dry) == before, "{dry}");
    assert_eq!(digest(&bench.settle("f").await), before);
    let answer = bench.ask("PUT", &address, json!({ "ZipFile": zip, "Architectures": ["arm64"] })).await;
    for part in [
        "200",
        "\"LastUpdateStatus\": \"InProgress\"",
        "\"LastUpdateStatusReason\": \"The function is being created.\"",
        "\"LastUpdateStatusReasonCode\": \"Creating\"",
        "\"State\": \"Active\"",
        "\"arm64\"",
    ] {
        assert!(answer.contains(part), "{part} in {answer}");
    }
    let after = bench.settle("f").await;
    assert!(digest(&after) != before && after.contains("\"LastUpdateStatus\": \"Successful\""), "{after}");
    assert!(!after.contains("Reason"), "{after}");
}

#[tokio::test]
async fn lists_are_pages_that_survive_inserts_and_deletes() {
    let bench = Bench::new().await;
    for number in 0..53 {
        bench.ask("POST", FUNCTIONS, new(&format!("f{number:02}"))).await;
    }
    let names = |answer: &str| -> Vec<String> {
        let lines = answer.lines().filter_map(|line| line.trim().strip_prefix("\"FunctionName\": \""));
        lines.map(|rest| rest.trim_end_matches("\",").to_owned()).collect()
    };
    let first = bench.ask("GET", &format!("{FUNCTIONS}?MaxItems=1000"), Value::Null).await;
    assert_eq!(names(&first).len(), 50);
    let marker = first.split("\"NextMarker\": \"").nth(1).unwrap().split('"').next().unwrap();
    bench.ask("DELETE", &format!("{FUNCTIONS}/f49"), Value::Null).await;
    bench.ask("POST", FUNCTIONS, new("a-newcomer")).await;
    let rest = bench.ask("GET", &format!("{FUNCTIONS}?Marker={marker}"), Value::Null).await;
    assert_eq!(names(&rest), ["f50", "f51", "f52"]);
    assert!(!rest.contains("NextMarker"));
    let one = bench.ask("GET", &format!("{FUNCTIONS}?MaxItems=1&FunctionVersion=ALL"), Value::Null).await;
    expect![[r#"
        200
        {
          "Functions": [
            {
              "Architectures": [
                "x86_64"
              ],
              "CodeSha256": "lJgnIoPhli3Z0jB1223c6t8Gkzk8bjKrHxZtQ1T6ubQ=",
              "CodeSize": 144,
              "Description": "",
              "EphemeralStorage": {
                "Size": 512
              },
              "FunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:a-newcomer:$LATEST",
              "FunctionName": "a-newcomer",
              "Handler": "index.handler",
              "LastModified": "*",
              "LoggingConfig": {
                "LogFormat": "Text",
                "LogGroup": "/aws/lambda/a-newcomer"
              },
              "MemorySize": 128,
              "PackageType": "Zip",
              "RevisionId": "*",
              "Role": "arn:aws:iam::000000000000:role/test",
              "Runtime": "python3.13",
              "SnapStart": {
                "ApplyOn": "None",
                "OptimizationStatus": "Off"
              },
              "Timeout": 3,
              "TracingConfig": {
                "Mode": "PassThrough"
              },
              "Version": "$LATEST"
            }
          ],
          "NextMarker": "MTphLW5ld2NvbWVyOiRMQVRFU1Q"
        }"#]]
    .assert_eq(&one);
    assert_eq!(
        names(&bench.ask("GET", &format!("{FUNCTIONS}?MasterRegion=eu-west-1"), Value::Null).await).len(),
        0
    );
}

#[tokio::test]
async fn accounts_and_regions_never_meet() {
    let bench = Bench::new().await;
    for (account, region) in
        [("111111111111", "us-east-1"), ("222222222222", "us-east-1"), ("111111111111", "eu-west-1")]
    {
        let body: Bytes = new("twin").to_string().into();
        let made = bench.send_as(account, region, "POST", FUNCTIONS, &[], body).await;
        assert_eq!(made.status(), 201);
        let made: Value = serde_json::from_slice(made.body().whole().unwrap()).unwrap();
        assert_eq!(made["FunctionArn"], format!("arn:aws:lambda:{region}:{account}:function:twin"));
        let listed = bench.send_as(account, region, "GET", FUNCTIONS, &[], Bytes::new()).await;
        let listed: Value = serde_json::from_slice(listed.body().whole().unwrap()).unwrap();
        assert_eq!(listed["Functions"].as_array().unwrap().len(), 1);
    }
    let none = bench.send("GET", FUNCTIONS, &[], Bytes::new()).await;
    assert_eq!(&none.body().whole().unwrap()[..], b"{\"Functions\":[]}");
}

#[tokio::test]
async fn what_an_earlier_process_left_is_finished() {
    let bench = Bench::new().await;
    let package = bench.artifacts.ingest(archive("index.py", b"x").into()).await.unwrap();
    let new = |name: &str, digest| NewFunction {
        key: Bench::key(name),
        configuration: Configuration::zip(
            name,
            "python3.13",
            "index.handler",
            "arn:aws:iam::000000000000:role/r",
        ),
        code: CodeRef { digest, size: 1, unzipped: 1 },
        code_signing: None,
        tags: BTreeMap::new(),
        publish: false,
    };
    bench.catalogue.create(new("whole", package.digest)).await.unwrap();
    bench.catalogue.create(new("lost", Digest([7; 32]))).await.unwrap();
    bench.lambda.resume();
    let whole = bench.settle("whole").await;
    assert!(whole.contains("\"State\": \"Active\""), "{whole}");
    let lost = bench.settle("lost").await;
    assert!(lost.contains("\"State\": \"Failed\"") && lost.contains("\"InternalError\""), "{lost}");
}

#[tokio::test]
async fn variables_are_ciphertext_in_the_catalogue() {
    let bench = Bench::new().await;
    let secret = json!({ "Environment": { "Variables": { "PASSWORD": "hunter2-hunter2" } } });
    bench.ask("POST", FUNCTIONS, with("f", secret)).await;
    let function = bench.catalogue.peek(&Bench::key("f")).unwrap();
    let sealed = function.latest.configuration.environment.as_ref().unwrap();
    assert!(!sealed.0.windows(7).any(|window| window == b"hunter2"));
}
