use std::sync::Arc;

use base::arn::{FunctionArn, Scope};
use base::id::RevisionId;

use super::*;
use crate::principal::{FunctionIdentity, ServiceCall};

const F: &str = "arn:aws:lambda:us-east-1:000000000000:function:f";

/// What a policy of one statement says, whose effect is Allow and whose resource is `F` unless it has them.
fn says(statement: &str, asked: Asked<'_>) -> Ruling {
    let or = |name: &str, member: &str| {
        if statement.contains(name) { String::new() } else { format!(",{member}") }
    };
    let effect = or("Effect", r#""Effect":"Allow""#);
    let resource = or("Resource", &format!(r#""Resource":"{F}""#));
    let action = or("Action", r#""Action":"lambda:InvokeFunction""#);
    judge(&policy(&format!("{statement}{effect}{resource}{action}")), &asked)
}

fn policy(statements: &str) -> Policy {
    let document = format!(r#"{{"Version":"2012-10-17","Statement":[{{{statements}}}]}}"#);
    Policy::read(&document, RevisionId::fresh(&base::random::Dice::seeded(1))).expect("a policy")
}

fn account(number: &str) -> Principal {
    Principal::Account(number.parse().unwrap())
}

/// A function of account 222222222222 with the role `service-role/basic`.
fn function() -> Principal {
    let scope = Scope { account: "222222222222".parse().unwrap(), region: "us-east-1".parse().unwrap() };
    Principal::Function(Arc::new(FunctionIdentity {
        function: FunctionArn::new(scope.clone(), "g".parse().unwrap()),
        scope,
        role: "arn:aws:iam::222222222222:role/service-role/basic".into(),
        session: "g".into(),
    }))
}

/// S3, for a bucket of account 333333333333.
fn bucket() -> Principal {
    Principal::Service(Arc::new(ServiceCall {
        service: "s3.amazonaws.com".into(),
        source_arn: Some("arn:aws:s3:::photos".into()),
        source_account: Some("333333333333".parse().unwrap()),
        event_source_token: None,
    }))
}

/// An Alexa skill.
fn skill() -> Principal {
    Principal::Service(Arc::new(ServiceCall {
        service: "alexa-appkit.amazon.com".into(),
        source_arn: None,
        source_account: None,
        event_source_token: Some("amzn1.ask.skill.1".into()),
    }))
}

fn asked(principal: &Principal) -> Asked<'_> {
    Asked { principal, action: "lambda:InvokeFunction", resource: F, url: None, organization: None }
}

#[test]
fn a_statement_is_about_those_whom_it_names() {
    let one = account("111111111111");
    for (whom, who, ruling) in [
        (r#""Principal":"*""#, &one, Ruling::Allowed),
        (r#""Principal":{"AWS":"*"}"#, &function(), Ruling::Allowed),
        (r#""Principal":"*""#, &bucket(), Ruling::Allowed),
        (r#""Principal":{"AWS":"111111111111"}"#, &one, Ruling::Allowed),
        (r#""Principal":{"AWS":"arn:aws:iam::111111111111:root"}"#, &one, Ruling::Allowed),
        (r#""Principal":{"AWS":"arn:aws:iam::222222222222:root"}"#, &function(), Ruling::Allowed),
        (r#""Principal":{"AWS":["999999999999","111111111111"]}"#, &one, Ruling::Allowed),
        (r#""Principal":{"AWS":"111111111112"}"#, &one, Ruling::Silent),
        (r#""Principal":{"AWS":"arn:aws:iam::111111111111:user/root"}"#, &one, Ruling::Silent),
        (
            r#""Principal":{"AWS":"arn:aws:iam::222222222222:role/service-role/basic"}"#,
            &function(),
            Ruling::Allowed,
        ),
        (r#""Principal":{"AWS":"arn:aws:iam::222222222222:role/basic"}"#, &function(), Ruling::Silent),
        (
            r#""Principal":{"AWS":"arn:aws:sts::222222222222:assumed-role/basic/g"}"#,
            &function(),
            Ruling::Allowed,
        ),
        (
            r#""Principal":{"AWS":"arn:aws:sts::222222222222:assumed-role/basic/h"}"#,
            &function(),
            Ruling::Silent,
        ),
        (r#""Principal":{"Service":"s3.amazonaws.com"}"#, &bucket(), Ruling::Allowed),
        (r#""Principal":{"Service":"sns.amazonaws.com"}"#, &bucket(), Ruling::Silent),
        (r#""Principal":{"AWS":"333333333333"}"#, &bucket(), Ruling::Silent),
        (r#""Principal":{"Federated":"s3.amazonaws.com"}"#, &bucket(), Ruling::Silent),
        (r#""NotPrincipal":{"AWS":"111111111111"}"#, &one, Ruling::Silent),
        (r#""NotPrincipal":{"AWS":"111111111111"}"#, &function(), Ruling::Allowed),
        (r#""Effect":"Deny","NotPrincipal":{"AWS":"111111111111"}"#, &one, Ruling::Silent),
        (r#""Effect":"Deny","NotPrincipal":{"AWS":"111111111111"}"#, &bucket(), Ruling::Denied),
    ] {
        assert_eq!(says(whom, asked(who)), ruling, "{whom} {who}");
    }
}

#[test]
fn a_statement_is_about_the_actions_and_resources_that_it_lists() {
    let one = account("111111111111");
    for (lists, ruling) in [
        (r#""Action":"*""#, Ruling::Allowed),
        (r#""Action":"lambda:*""#, Ruling::Allowed),
        (r#""Action":"lambda:invoke*""#, Ruling::Allowed),
        (r#""Action":["lambda:GetFunction","lambda:InvokeFunctio?"]"#, Ruling::Allowed),
        (r#""Action":"lambda:InvokeFunctionUrl""#, Ruling::Silent),
        (r#""Action":"lambda:InvokeAsync""#, Ruling::Silent),
        (r#""NotAction":"lambda:Get*""#, Ruling::Allowed),
        (r#""NotAction":["lambda:Get*","lambda:Invoke*"]"#, Ruling::Silent),
        (r#""Resource":"*""#, Ruling::Allowed),
        (r#""Resource":"arn:aws:lambda:*:000000000000:function:?""#, Ruling::Allowed),
        (r#""Resource":"arn:aws:lambda:us-east-1:000000000000:function:f:*""#, Ruling::Silent),
        (r#""Resource":"arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST""#, Ruling::Silent),
        (r#""NotResource":"arn:aws:lambda:us-east-1:000000000000:function:g""#, Ruling::Allowed),
        (r#""NotResource":"arn:aws:lambda:us-east-1:000000000000:function:*""#, Ruling::Silent),
        (r#""Resource":"arn:aws:lambda:us-east-1:${aws:PrincipalAccount}:function:f""#, Ruling::Silent),
        (
            r#""Effect":"Deny","Resource":"arn:aws:lambda:us-east-1:${aws:PrincipalAccount}:function:f""#,
            Ruling::Denied,
        ),
    ] {
        let statement = format!(r#""Principal":"*",{lists}"#);
        assert_eq!(says(&statement, asked(&one)), ruling, "{lists}");
    }
}

#[test]
fn a_denial_wins_whatever_stands_beside_it() {
    let one = account("111111111111");
    let allow = format!(r#""Effect":"Allow","Principal":"*","Action":"*","Resource":"{F}""#);
    let deny = r#""Effect":"Deny","Principal":{"AWS":"111111111111"},"Action":"*","Resource":"*""#.to_owned();
    for (statements, ruling) in [
        (vec![&allow], Ruling::Allowed),
        (vec![&deny], Ruling::Denied),
        (vec![&allow, &deny], Ruling::Denied),
        (vec![&deny, &allow], Ruling::Denied),
    ] {
        let statements: Vec<&str> = statements.into_iter().map(String::as_str).collect();
        assert_eq!(judge(&policy(&statements.join("},{")), &asked(&one)), ruling, "{statements:?}");
    }
    let both = policy(&format!("{allow}}},{{{deny}"));
    assert_eq!(judge(&both, &asked(&function())), Ruling::Allowed, "it is about somebody else");
}

#[test]
fn grants_hold_for_the_sources_accounts_and_tokens_that_they_name() {
    for (who, condition, ruling) in [
        (bucket(), r#""ArnLike":{"AWS:SourceArn":"arn:aws:s3:::photos"}"#, Ruling::Allowed),
        (bucket(), r#""ArnLike":{"AWS:SourceArn":"arn:aws:s3:::ph*"}"#, Ruling::Allowed),
        (bucket(), r#""ArnEquals":{"aws:sourcearn":"arn:aws:s3:*:*:photo?"}"#, Ruling::Allowed),
        (bucket(), r#""ArnLike":{"AWS:SourceArn":"arn:aws:s3:::films"}"#, Ruling::Silent),
        (bucket(), r#""ArnNotLike":{"AWS:SourceArn":"arn:aws:s3:::films"}"#, Ruling::Allowed),
        (bucket(), r#""StringEquals":{"AWS:SourceAccount":"333333333333"}"#, Ruling::Allowed),
        (bucket(), r#""StringEquals":{"AWS:SourceAccount":["1","333333333333"]}"#, Ruling::Allowed),
        (bucket(), r#""StringEquals":{"AWS:SourceAccount":"333333333334"}"#, Ruling::Silent),
        (bucket(), r#""StringNotEquals":{"AWS:SourceAccount":["333333333333","1"]}"#, Ruling::Silent),
        (
            bucket(),
            r#""StringEquals":{"AWS:SourceAccount":"333333333333"},"ArnLike":{"AWS:SourceArn":"arn:aws:s3:::films"}"#,
            Ruling::Silent,
        ),
        (bucket(), r#""StringEquals":{"aws:PrincipalServiceName":"s3.amazonaws.com"}"#, Ruling::Allowed),
        (bucket(), r#""Bool":{"aws:PrincipalIsAWSService":"TRUE"}"#, Ruling::Allowed),
        (function(), r#""Bool":{"aws:PrincipalIsAWSService":true}"#, Ruling::Silent),
        (skill(), r#""StringEquals":{"lambda:EventSourceToken":"amzn1.ask.skill.1"}"#, Ruling::Allowed),
        (skill(), r#""StringEquals":{"lambda:EventSourceToken":"amzn1.ask.skill.2"}"#, Ruling::Silent),
        (skill(), r#""ArnLike":{"AWS:SourceArn":"*"}"#, Ruling::Silent),
        (skill(), r#""ArnLikeIfExists":{"AWS:SourceArn":"arn:aws:s3:::films"}"#, Ruling::Allowed),
        (bucket(), r#""ArnLikeIfExists":{"AWS:SourceArn":"arn:aws:s3:::films"}"#, Ruling::Silent),
        (skill(), r#""Null":{"AWS:SourceArn":"true"}"#, Ruling::Allowed),
        (bucket(), r#""Null":{"AWS:SourceArn":"true"}"#, Ruling::Silent),
        (bucket(), r#""Null":{"AWS:SourceArn":"false"}"#, Ruling::Allowed),
        (skill(), r#""StringNotEquals":{"AWS:SourceAccount":"1"}"#, Ruling::Allowed),
        (skill(), r#""ForAnyValue:StringNotEquals":{"AWS:SourceAccount":"1"}"#, Ruling::Silent),
        (skill(), r#""ForAllValues:StringEquals":{"AWS:SourceAccount":"1"}"#, Ruling::Allowed),
        (
            function(),
            r#""ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/service-role/*"}"#,
            Ruling::Allowed,
        ),
        (function(), r#""StringEquals":{"aws:PrincipalAccount":"222222222222"}"#, Ruling::Allowed),
        (function(), r#""StringEqualsIgnoreCase":{"aws:PrincipalAccount":"222222222222"}"#, Ruling::Allowed),
        (function(), r#""StringLike":{"aws:PrincipalAccount":"2?22222222*2"}"#, Ruling::Allowed),
    ] {
        let statement = format!(r#""Principal":"*","Condition":{{{condition}}}"#);
        assert_eq!(says(&statement, asked(&who)), ruling, "{condition} {who}");
    }
}

#[test]
fn an_organization_is_its_accounts_and_no_services() {
    let (one, s3) = (account("111111111111"), bucket());
    let statement = r#""Principal":"*","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-1234567890"}}"#;
    for (principal, organization, ruling) in [
        (&one, Some("o-1234567890"), Ruling::Allowed),
        (&one, Some("o-1234567891"), Ruling::Silent),
        (&one, None, Ruling::Silent),
        (&s3, Some("o-1234567890"), Ruling::Silent),
    ] {
        assert_eq!(says(statement, Asked { organization, ..asked(principal) }), ruling, "{organization:?}");
    }
}

#[test]
fn requests_through_function_urls_are_told_from_others() {
    let one = account("111111111111");
    let via = |url, action| Asked { url, action, ..asked(&one) };
    let (invoke, invoke_url) = ("lambda:InvokeFunction", "lambda:InvokeFunctionUrl");
    let (iam, nobody) = (Some(UrlAuth::AwsIam), Some(UrlAuth::None));
    let none = r#""StringEquals":{"lambda:FunctionUrlAuthType":"NONE"}"#;
    let through = r#""Bool":{"lambda:InvokedViaFunctionUrl":"true"}"#;
    let directly = r#""Bool":{"lambda:InvokedViaFunctionUrl":"false"}"#;
    for (condition, asked, ruling) in [
        (none, via(nobody, invoke_url), Ruling::Allowed),
        (none, via(iam, invoke_url), Ruling::Silent),
        (none, via(None, invoke), Ruling::Silent),
        (through, via(nobody, invoke), Ruling::Allowed),
        (through, via(iam, invoke), Ruling::Allowed),
        (through, via(None, invoke), Ruling::Silent),
        (directly, via(None, invoke), Ruling::Allowed),
        (directly, via(iam, invoke), Ruling::Silent),
        (through, via(iam, invoke_url), Ruling::Silent),
    ] {
        let statement = format!(r#""Principal":"*","Action":"lambda:Invoke*","Condition":{{{condition}}}"#);
        assert_eq!(says(&statement, asked), ruling, "{condition} {asked:?}");
    }
}

#[test]
fn what_nobody_can_judge_allows_nothing_and_denies() {
    let one = account("111111111111");
    for condition in [
        r#""StringEquals":{"aws:SourceVpc":"vpc-1"}"#,
        r#""StringNotEquals":{"aws:SourceVpc":"vpc-1"}"#,
        r#""StringEqualsIfExists":{"aws:SourceVpc":"vpc-1"}"#,
        r#""Null":{"aws:SourceVpc":"true"}"#,
        r#""IpAddress":{"aws:SourceIp":"0.0.0.0/0"}"#,
        r#""DateGreaterThan":{"aws:CurrentTime":"2020-01-01T00:00:00Z"}"#,
        r#""StringEquals":{"aws:PrincipalAccount":"${aws:PrincipalAccount}"}"#,
    ] {
        let statement =
            |effect| format!(r#""Effect":"{effect}","Principal":"*","Condition":{{{condition}}}"#);
        assert_eq!(says(&statement("Allow"), asked(&one)), Ruling::Silent, "{condition}");
        assert_eq!(says(&statement("Deny"), asked(&one)), Ruling::Denied, "{condition}");
        let other = statement("Deny").replace(r#""Principal":"*""#, r#""Principal":{"AWS":"999999999999"}"#);
        assert_eq!(says(&other, asked(&one)), Ruling::Silent, "it is about somebody else: {condition}");
    }
}
