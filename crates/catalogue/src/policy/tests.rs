use expect_test::{Expect, expect};

use super::*;

const ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function:f";

fn read(document: &str) -> Result<Policy, Malformed> {
    Policy::read(document, RevisionId(uuid::Uuid::nil()))
}

/// A document with one statement of these members.
fn one(members: &str) -> String {
    format!(r#"{{"Version":"2012-10-17","Statement":{{{members}}}}}"#)
}

/// A grant without conditions.
pub(crate) fn a_grant(principal: &str) -> Grant {
    Grant {
        sid: "s".into(),
        to: GrantedTo::read(principal).unwrap(),
        action: "lambda:InvokeFunction".into(),
        resource: ARN.into(),
        source_arn: None,
        source_account: None,
        url_auth_type: None,
        organization: None,
        event_source_token: None,
        via_url: None,
    }
}

#[test]
fn a_grant_is_written_as_recorded() {
    let check = |grant: Grant, expected: Expect| expected.assert_eq(grant.statement().text());
    check(
        a_grant("s3.amazonaws.com"),
        expect![[
            r#"{"Sid":"s","Effect":"Allow","Principal":{"Service":"s3.amazonaws.com"},"Action":"lambda:InvokeFunction","Resource":"arn:aws:lambda:us-east-1:000000000000:function:f"}"#
        ]],
    );
    check(
        Grant {
            source_arn: Some("arn:aws:s3:::b".into()),
            source_account: Some("111111111111".into()),
            organization: Some("o-1234567890".into()),
            event_source_token: Some("amzn1.skill".into()),
            url_auth_type: Some("NONE".into()),
            via_url: Some(true),
            ..a_grant("*")
        },
        expect![[
            r#"{"Sid":"s","Effect":"Allow","Principal":"*","Action":"lambda:InvokeFunction","Resource":"arn:aws:lambda:us-east-1:000000000000:function:f","Condition":{"StringEquals":{"AWS:SourceAccount":"111111111111","lambda:FunctionUrlAuthType":"NONE","aws:PrincipalOrgID":"o-1234567890","lambda:EventSourceToken":"amzn1.skill"},"ArnLike":{"AWS:SourceArn":"arn:aws:s3:::b"},"Bool":{"lambda:InvokedViaFunctionUrl":"true"}}}"#
        ]],
    );
    check(
        Grant { via_url: Some(false), ..a_grant("111111111111") },
        expect![[
            r#"{"Sid":"s","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"lambda:InvokeFunction","Resource":"arn:aws:lambda:us-east-1:000000000000:function:f","Condition":{"Bool":{"lambda:InvokedViaFunctionUrl":"false"}}}"#
        ]],
    );
}

#[test]
fn grants_are_to_everyone_accounts_arns_and_services() {
    let arn = |arn: &str| Some(GrantedTo::Arn(arn.to_owned()));
    let service = |name: &str| Some(GrantedTo::Service(name.to_owned()));
    for (text, expected) in [
        ("*", Some(GrantedTo::Everyone)),
        ("111111111111", arn("arn:aws:iam::111111111111:root")),
        ("arn:aws:iam::111111111111:root", arn("arn:aws:iam::111111111111:root")),
        ("arn:aws:iam::111111111111:role/a/b", arn("arn:aws:iam::111111111111:role/a/b")),
        ("arn:aws:iam::111111111111:user/u", arn("arn:aws:iam::111111111111:user/u")),
        ("arn:aws:sts::111111111111:assumed-role/r/s", arn("arn:aws:sts::111111111111:assumed-role/r/s")),
        ("s3.amazonaws.com", service("s3.amazonaws.com")),
        ("logs.us-east-1.amazonaws.com", service("logs.us-east-1.amazonaws.com")),
        ("alexa-appkit.amazon.com", service("alexa-appkit.amazon.com")),
        ("invalid.nonaws.com", None),
        ("amazonaws.com", None),
        (".amazonaws.com", None),
        ("11111111111", None),
        ("**", None),
        ("", None),
        ("arn:aws:iam:111111111111:role/x", None),
        ("arn:aws:iam::111111111111:role/", None),
        ("arn:aws:iam::1:root", None),
        ("arn:aws:sts::111111111111:root", None),
        ("arn:aws:s3:::b", None),
    ] {
        assert_eq!(GrantedTo::read(text), expected, "{text}");
    }
}

#[test]
fn a_document_is_shown_compact_in_its_authors_spelling() {
    let document = " {\n \"Statement\" : [ { \"Effect\": \"Deny\",\t\"Sid\": \"a b\\\" {\\\\\",\n\
                    \"Action\": [ \"lambda:*\", \"*\" ], \"Principal\": {\"AWS\": \"111111111111\"},\n\
                    \"Resource\":\"*\" } ], \"Version\":\"2008-10-17\"}\n";
    let policy = read(document).unwrap();
    expect![[r#"{"Version":"2008-10-17","Statement":[{"Effect":"Deny","Sid":"a b\" {\\","Action":["lambda:*","*"],"Principal":{"AWS":"111111111111"},"Resource":"*"}]}"#]]
        .assert_eq(&policy.document());
    assert_eq!(policy.statements[0].sid.as_deref(), Some("a b\" {\\"));
    assert_eq!(read(&policy.document()).unwrap(), policy, "what is shown reads as the same policy");
}

#[test]
fn principals_are_told_apart() {
    let named = |principal: &str| {
        let document = one(&format!(r#""Effect":"Allow","Action":"*","Resource":"*",{principal}"#));
        read(&document).unwrap().statements[0].principals.clone()
    };
    for (principal, excluded, expected) in [
        (r#""Principal":"*""#, false, vec![Named::Everyone]),
        (r#""Principal":{"AWS":"*"}"#, false, vec![Named::Everyone]),
        (r#""NotPrincipal":{"AWS":"111111111111"}"#, true, vec![Named::Account("111111111111".into())]),
        (
            r#""Principal":{"AWS":["arn:aws:iam::111111111111:root","arn:aws:iam::111111111111:role/root"]}"#,
            false,
            vec![
                Named::Account("111111111111".into()),
                Named::Arn("arn:aws:iam::111111111111:role/root".into()),
            ],
        ),
        (
            r#""Principal":{"Service":"s3.amazonaws.com","Federated":"anything at all","AWS":"AROA1234567890123456"}"#,
            false,
            vec![Named::Service("s3.amazonaws.com".into()), Named::Stranger, Named::Stranger],
        ),
    ] {
        assert_eq!(named(principal), Principals { excluded, named: expected }, "{principal}");
    }
}

#[test]
fn every_condition_is_kept_also_those_under_one_name_twice() {
    let condition = r#"{"StringEquals":{"AWS:SourceAccount":"1"},"StringEquals":{"A":["2","3"],"a":true},
        "ForAnyValue:StringNotLikeIfExists":{"b":"x*"},"ForAnyValue:StringNotEquals":{"b":"x"},
        "NumericLessThan":{"c":7},"ArnLike":{"d":"${aws:PrincipalArn}"},"Null":{"e":"false"}}"#;
    let document = one(&format!(
        r#""Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{condition}"#
    ));
    let told: Vec<String> = read(&document).unwrap().statements[0]
        .conditions
        .iter()
        .map(|Condition { test, negated, absent, key, values }| {
            format!("{key} {test:?} negated={negated} absent={absent} {values:?}")
        })
        .collect();
    expect![[r#"
        aws:sourceaccount Equal negated=false absent=false ["1"]
        a Equal negated=false absent=false ["2", "3"]
        a Equal negated=false absent=false ["true"]
        b Like negated=true absent=true ["x*"]
        b Equal negated=true absent=false ["x"]
        c Unjudged negated=false absent=false ["7"]
        d Unjudged negated=false absent=false ["${aws:PrincipalArn}"]
        e Null negated=false absent=false ["false"]"#]]
    .assert_eq(&told.join("\n"));
}

#[test]
fn what_is_no_policy_is_told_why() {
    let rest = r#""Principal":"*","Action":"lambda:InvokeFunction","Resource":"*""#;
    for (document, expected) in [
        ("", "policies and statements are JSON objects"),
        ("{", "EOF while parsing an object"),
        (r#"["2012-10-17","id",{}]"#, "policies and statements are JSON objects"),
        ("{}", "missing field `Statement`"),
        (r#"{"Statement":[]}"#, "there is no statement"),
        (r#"{"Statement":"x"}"#, "policies and statements are JSON objects"),
        (r#"{"Version":"2013","Statement":[]}"#, "the policy language has no version 2013"),
        (
            r#"{"Statement":[],"Statements":[]}"#,
            "unknown field `Statements`, expected one of `Version`, `Id`, `Statement`",
        ),
        (&one(rest), "missing field `Effect`"),
        (&one(&format!(r#""Effect":"Maybe",{rest}"#)), "Maybe is not an effect"),
        (
            &one(r#""Effect":"Allow","Action":"*","Resource":"*""#),
            "each statement must have either Principal or NotPrincipal",
        ),
        (
            &one(&format!(r#""Effect":"Allow","NotAction":"*",{rest}"#)),
            "each statement must have either Action or NotAction",
        ),
        (&one(r#""Effect":"Allow","Principal":"me","Action":"*","Resource":"*""#), "me is not a principal"),
        (
            &one(r#""Effect":"Allow","Principal":{"AWS":"me"},"Action":"*","Resource":"*""#),
            "me is not a principal",
        ),
        (
            &one(r#""Effect":"Allow","Principal":{"Aws":"*"},"Action":"*","Resource":"*""#),
            "Aws is not a kind of principal",
        ),
        (
            &one(r#""Effect":"Allow","Principal":{},"Action":"*","Resource":"*""#),
            "each statement must have either Principal or NotPrincipal",
        ),
        (
            &one(r#""Effect":"Allow","Principal":"*","Action":"Invoke","Resource":"*""#),
            "Invoke is not an action",
        ),
        (&one(r#""Effect":"Allow","Principal":"*","Action":"*","Resource":"f""#), "f is not a resource"),
        (
            &one(&format!(r#""Effect":"Allow",{rest},"Condition":{{"StringIs":{{"a":"b"}}}}"#)),
            "StringIs is not a condition operator",
        ),
        (
            &format!(
                r#"{{"Statement":[{{"Sid":"s","Effect":"Allow",{rest}}},{{"Sid":"s","Effect":"Deny",{rest}}}]}}"#
            ),
            "statement id s is used twice",
        ),
    ] {
        assert_eq!(
            read(document).map_err(|error| error.to_string()).err().as_deref(),
            Some(expected),
            "{document}"
        );
    }
}

#[test]
fn whatever_is_read_as_a_policy_is_shown_as_the_same_policy() {
    let dice = base::random::Dice::seeded(11);
    let condition =
        r#""Condition":{"StringLikeIfExists":{"aws:PrincipalArn":["a*",true,7]},"Null":{"k":"\u0041"}}"#;
    let seeds = [
        a_grant("*").statement().text().to_owned(),
        format!(
            r#"{{"Sid":"\u00e4 \\","Effect":"Deny","NotPrincipal":{{"AWS":["*"]}},"NotAction":["a:*"],"NotResource":"*",{condition}}}"#
        ),
    ];
    let parts =
        [r#"""#, "{", "}", "[", "]", ",", ":", "\\", "Sid", "*", " ", "\n", "null", "\u{e4}", "Effect", "0"];
    let mut read_well = 0;
    for _ in 0..20_000 {
        let [seed, at, cut, part] = [(); 4].map(|()| usize::from(u16::from_le_bytes(dice.bytes())));
        let mut text = format!(r#"{{"Statement":{}}}"#, seeds[seed % 2]);
        let at = (0..=at % text.len()).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let end = (at + cut % 3).min(text.len());
        if text.is_char_boundary(end) {
            text.replace_range(at..end, parts[part % parts.len()]);
        }
        if let Ok(policy) = read(&text) {
            read_well += 1;
            assert_eq!(read(&policy.document()).as_ref(), Ok(&policy), "{text}");
        }
    }
    assert!(read_well > 100, "{read_well} of the changed documents are policies");
}

#[test]
fn a_document_is_not_too_deep_to_be_refused() {
    for open in ["[", "{\"a\":", "{\"Statement\":"] {
        assert!(read(&open.repeat(5_000)).is_err(), "{open}");
    }
    let deep = "[".repeat(5_000) + &"]".repeat(5_000);
    for document in [format!(r#"{{"Statement":{deep}}}"#), one(&format!(r#""Condition":{deep}"#))] {
        assert!(read(&document).is_err());
    }
}
