//! What members are called by that mean something which exists.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::dice::Dice;
use super::json::Json;
use super::world::{ACCOUNT, ALIASES, FUNCTIONS, GROUPS, LAYERS, REGION, STREAMS, World};

const ROLE: &str = "arn:aws:iam::000000000000:role/fuzz";
const RUNTIMES: [&str; 8] = [
    "provided.al2023",
    "provided.al2023",
    "provided.al2023",
    "provided.al2",
    "python3.13",
    "nodejs22.x",
    "java21",
    "nodejs8.10",
];
const NUMBERS: [&str; 5] = ["1", "2", "3", "7", "$LATEST"];
const ACTIONS: [&str; 4] =
    ["lambda:InvokeFunction", "lambda:InvokeFunctionUrl", "lambda:GetFunction", "lambda:*"];
const PRINCIPALS: [&str; 6] = [
    "s3.amazonaws.com",
    "apigateway.amazonaws.com",
    "123456789012",
    "*",
    "arn:aws:iam::123456789012:root",
    "arn:aws:iam::123456789012:user/tea",
];
const STATEMENTS: [&str; 4] = ["s1", "s2", "allow-s3", "UrlPolicyInvokeURL"];
const PAYLOADS: [&str; 5] = ["{}", "{\"n\":1}", "null", "[1,2]", "not json"];
const PATTERNS: [&str; 4] = ["{\"a\":[1]}", "{\"body\":{\"x\":[{\"prefix\":\"t\"}]}}", "{}", "no pattern"];
const FILTERS: [&str; 6] = ["tea", "{ $.a = 1 }", "[ip, user, n > 5]", "%re.x%", "?a ?b", "\"open"];
const QUERIES: [&str; 4] =
    ["fields @timestamp", "stats count(*) by bin(5m)", "filter @message like /t/ | limit 3", "drop tables"];
const RETENTIONS: [&str; 3] = ["1", "30", "3653"];
const BATCHES: [&str; 4] = ["1", "10", "100", "10000"];

/// Sources of events, and whatever else has an ARN. `@` stands for region and account.
pub const ARNS: [&str; 26] = [
    "arn:aws:sqs:@:tea",
    "arn:aws:sqs:@:tea.fifo",
    "arn:aws:kinesis:@:stream/tea",
    "arn:aws:kinesis:@:stream/tea/consumer/milk:1700000000",
    "arn:aws:dynamodb:@:table/tea/stream/2026-11-21T00:00:00.000",
    "arn:aws:kafka:@:cluster/tea/00000000-0000-0000-0000-000000000000-1",
    "arn:aws:mq:@:broker:tea:b-00000000-0000-0000-0000-000000000000",
    "arn:aws:rds:@:cluster:tea",
    "arn:aws:sns:@:tea",
    "arn:aws:s3:::tea",
    "arn:aws:events:@:event-bus/tea",
    "arn:aws:iam::000000000000:role/fuzz",
    "arn:aws:kms:@:key/00000000-0000-0000-0000-000000000000",
    "arn:aws:lambda:@:function:anise",
    "arn:aws:lambda:@:function:anise:live",
    "arn:aws:lambda:@:function:basil:1",
    "arn:aws:lambda:@:function:chive:$LATEST",
    "arn:aws:lambda:@:layer:moss",
    "arn:aws:lambda:@:layer:moss:1",
    "arn:aws:lambda:@:code-signing-config:csc-00000000000000000",
    "arn:aws:lambda:@:event-source-mapping:00000000-0000-0000-0000-000000000000",
    "arn:aws:lambda:eu-west-1:000000000000:function:anise",
    "arn:aws:lambda:us-east-1:999999999999:function:anise",
    "arn:aws-cn:lambda:cn-north-1:000000000000:function:anise",
    "arn:aws:logs:@:log-group:kettle:*",
    "arn:aws:signer:@:/signing-profiles/tea/0123456789",
];

/// The ARN of that place in [`ARNS`].
pub fn arn(dice: &mut Dice) -> String {
    dice.pick(&ARNS).replace('@', &format!("{REGION}:{ACCOUNT}"))
}

/// A value that is likely to exist; none for members that mean nothing in particular.
pub fn value(world: &World, shape: &str, member: &str, dice: &mut Dice) -> Option<Json> {
    // Drawn whether it is known or not: what follows must not depend on what the server told.
    let choice = dice.below(1 << 16);
    let learned = |kind: &str| world.learned.one(kind, choice);
    let text = match shape {
        "FunctionName" | "NamespacedFunctionName" => function(dice, Some(&[&NUMBERS[..], &ALIASES].concat())),
        "FunctionUrlFunctionName" => function(dice, Some(&ALIASES)),
        "UnqualifiedFunctionName" => function(dice, None),
        "Alias" | "FunctionUrlQualifier" => dice.pick(&ALIASES).to_owned(),
        "AdditionalVersion" | "PublishedFunctionQualifier" => dice.pick(&NUMBERS[..3]).to_owned(),
        "Version" | "VersionWithLatestPublished" => dice.pick(&NUMBERS).to_owned(),
        "Qualifier" | "NumericLatestPublishedOrAliasQualifier" => {
            dice.pick(&[&NUMBERS[..], &ALIASES].concat()).to_owned()
        }
        "LayerName" => dice.pick(&LAYERS).to_owned(),
        "LayerNameOrArn" if dice.chance(80) => dice.pick(&LAYERS).to_owned(),
        "LayerNameOrArn" => layer(dice),
        "LayerVersionArn" => learned("layer").unwrap_or_else(|| format!("{}:{}", layer(dice), 1)),
        "LayerVersionNumber" => {
            let number = dice.pick(&NUMBERS[..4]).to_owned();
            return Some(Json::Raw(learned("layer version").unwrap_or(number)));
        }
        "RoleArn" => ROLE.into(),
        "CodeSigningConfigArn" => learned("signing")?,
        "UUIDString" => learned("mapping").unwrap_or_else(|| "00000000-0000-0000-0000-000000000000".into()),
        "RevisionId" => learned("revision")?,
        "StatementId" | "NamespacedStatementId" => dice.pick(&STATEMENTS).to_owned(),
        "Runtime" => dice.pick(&RUNTIMES).to_owned(),
        "Handler" => "index.handler".into(),
        "Action" => dice.pick(&ACTIONS).to_owned(),
        "Principal" => dice.pick(&PRINCIPALS).to_owned(),
        "Pattern" => dice.pick(&PATTERNS).to_owned(),
        "ResourcePolicy" => policy(dice),
        "Arn" | "DestinationArn" | "ResourceArn" => arn(dice),
        "TaggableResource" => {
            let kind = dice.pick(&["function", "mapping arn", "signing"]);
            learned(kind).unwrap_or_else(|| function_arn(dice.pick(&FUNCTIONS)))
        }
        "PolicyResourceArn" => function_arn(dice.pick(&FUNCTIONS)),
        "KMSKeyArn" | "KmsKeyId" => format!("arn:aws:kms:{REGION}:{ACCOUNT}:key/tea"),
        "InvocationType" if dice.chance(85) => "DryRun".into(),
        "PackageType" if dice.chance(90) => "Zip".into(),
        "EnvironmentVariableName" => dice.pick(&["TEA", "LEAF", "AWS_REGION", "PATH"]).to_owned(),
        "Blob" | "BlobStream" => return Some(Json::Bytes(bytes(world, member, dice))),
        "PositiveInteger" | "ReservedConcurrentExecutions" | "Timeout" => {
            return Some(Json::Raw(dice.between(1, 4).to_string()));
        }
        "BatchSize" => return Some(Json::Raw(dice.pick(&BATCHES).to_owned())),
        "LogGroupName" => dice.pick(&GROUPS).to_owned(),
        "LogGroupIdentifier" | "AmazonResourceName" | "ResourceIdentifier" => group(dice),
        "LogStreamName" => dice.pick(&STREAMS).to_owned(),
        "FilterPattern" => dice.pick(&FILTERS).to_owned(),
        "QueryString" => dice.pick(&QUERIES).to_owned(),
        "QueryId" => learned("query")?,
        "NextToken" => learned("token")?,
        "Days" => return Some(Json::Raw(dice.pick(&RETENTIONS).to_owned())),
        "Timestamp" => return Some(Json::Raw((world.now - dice.between(0, 60_000)).to_string())),
        "String" => match member {
            "Marker" => learned("marker")?,
            "RevisionId" => learned("revision")?,
            "CodeSha256" => learned("digest")?,
            "ClientContext" => STANDARD.encode("{\"custom\":{}}"),
            _ => return None,
        },
        _ => return None,
    };
    Some(Json::Text(text))
}

/// A name, a partial ARN or an ARN of a function, sometimes with a qualifier.
fn function(dice: &mut Dice, qualifiers: Option<&[&str]>) -> String {
    let name = dice.pick(&FUNCTIONS);
    let mut text = match dice.below(10) {
        0 => function_arn(name),
        1 => format!("{ACCOUNT}:function:{name}"),
        _ => name.to_owned(),
    };
    if let Some(qualifiers) = qualifiers
        && dice.chance(10)
    {
        text.push(':');
        text.push_str(dice.pick(qualifiers));
    }
    text
}

fn function_arn(name: &str) -> String {
    format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}")
}

fn layer(dice: &mut Dice) -> String {
    format!("arn:aws:lambda:{REGION}:{ACCOUNT}:layer:{}", dice.pick(&LAYERS))
}

fn group(dice: &mut Dice) -> String {
    let name = dice.pick(&GROUPS);
    if dice.chance(30) {
        name.to_owned()
    } else {
        format!("arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{name}")
    }
}

fn policy(dice: &mut Dice) -> String {
    let (statement, principal, action) =
        (dice.pick(&STATEMENTS), dice.pick(&PRINCIPALS), dice.pick(&ACTIONS));
    serde_json::json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": statement, "Effect": "Allow", "Principal": { "AWS": principal }, "Action": action,
            "Resource": function_arn(dice.pick(&FUNCTIONS)),
        }],
    })
    .to_string()
}

fn bytes(world: &World, member: &str, dice: &mut Dice) -> Vec<u8> {
    match member {
        "ZipFile" => world.archives.get(dice.below(world.archives.len())).cloned().unwrap_or_default(),
        _ => dice.pick(&PAYLOADS).as_bytes().to_vec(),
    }
}
