use base::arn::Qualifier;

use super::*;
use crate::principal::ServiceCall;

fn account(text: &str) -> AccountId {
    text.parse().unwrap()
}

fn shown<'a>(access_key: &'a str, token: Option<&'a str>) -> Shown<'a> {
    Shown { access_key, token, region: "eu-west-1" }
}

fn identity() -> FunctionIdentity {
    let scope = Scope { account: account("222222222222"), region: "us-east-1".parse().unwrap() };
    FunctionIdentity {
        function: FunctionArn::new(scope.clone(), "f".parse().unwrap()),
        scope,
        role: "arn:aws:iam::222222222222:role/service-role/basic".into(),
        session: "f".into(),
    }
}

fn fine(_: &Secret) -> Result<(), &'static str> {
    Ok(())
}

fn never(_: &Secret) -> Result<(), &'static str> {
    panic!("an open gate verifies nothing")
}

struct Call(FunctionArn);

impl Guarded for Call {
    fn action(&self) -> &'static str {
        "lambda:InvokeFunction"
    }
    fn resource(&self) -> &FunctionArn {
        &self.0
    }
}

#[test]
fn an_open_gate_takes_twelve_digits_for_the_account_and_the_region_from_the_scope() {
    let gate = Gate::open(account("000000000000"));
    for (key, expected) in [
        ("123456789012", "123456789012"),
        ("AKIAIOSFODNN7EXAMPLE", "000000000000"),
        ("test", "000000000000"),
        ("1234567890123", "000000000000"),
        ("12345678901x", "000000000000"),
        ("", "000000000000"),
    ] {
        let caller = gate.identify(shown(key, None), never).unwrap();
        let region = "eu-west-1".parse().unwrap();
        assert_eq!(caller, Caller::account(account(expected), region), "{key}");
    }
    let nowhere = Shown { access_key: "test", token: None, region: "Not A Region" };
    assert_eq!(gate.identify(nowhere, never), Err(Stranger::Region));
}

#[test]
fn a_closed_gate_takes_configured_keys_with_a_verified_signature() {
    let keys = [
        AccessKey { id: "AKIAONE".into(), secret: Secret::new("one"), account: None },
        AccessKey {
            id: "AKIATWO".into(),
            secret: Secret::new("two"),
            account: Some(account("111111111111")),
        },
    ];
    let gate = Gate::closed(account("000000000000"), keys);
    let verify =
        |right: &'static str| move |secret: &Secret| if secret.is(right) { Ok(()) } else { Err("bad") };
    let one = gate.identify(shown("AKIAONE", None), verify("one")).unwrap();
    assert_eq!(one.scope.account, account("000000000000"));
    let two = gate.identify(shown("AKIATWO", None), verify("two")).unwrap();
    assert_eq!(two.scope.account, account("111111111111"));
    assert_eq!(gate.identify(shown("AKIATWO", None), verify("one")), Err(Stranger::Signature("bad")));
    for unknown in ["123456789012", "AKIATHREE", ""] {
        assert_eq!(gate.identify(shown(unknown, None), fine), Err(Stranger::UnknownKey), "{unknown}");
    }
}

#[test]
fn temporary_keys_stand_for_their_function_until_they_are_dropped() {
    for gate in [Gate::open(account("000000000000")), Gate::closed(account("000000000000"), [])] {
        let issued = gate.issue(identity(), &Dice::seeded(1));
        assert!(issued.access_key.len() == 20 && issued.access_key.starts_with("ASIA"));
        assert_eq!(issued.secret.expose().len(), 40);
        let key = Arc::clone(&issued.access_key);
        let caller = gate.identify(shown(&key, Some(issued.token.expose())), fine).unwrap();
        assert_eq!(caller, Caller::function(Arc::new(identity()), Some("eu-west-1".parse().unwrap())));
        assert_eq!(caller.principal.to_string(), "arn:aws:sts::222222222222:assumed-role/basic/f");
        for token in [None, Some(""), Some("other")] {
            assert_eq!(gate.identify(shown(&key, token), fine), Err(Stranger::WrongToken));
        }
        if !gate.is_open() {
            let bad = |_: &Secret| Err("bad");
            let token = Some(issued.token.expose());
            assert_eq!(gate.identify(shown(&key, token), bad), Err(Stranger::Signature("bad")));
        }
        let debug = format!("{gate:?} {issued:?}");
        assert!(!debug.contains(issued.secret.expose()) && !debug.contains(issued.token.expose()), "{debug}");
        drop(issued);
        let after = gate.identify(shown(&key, None), fine);
        assert!(!after.is_ok_and(|caller| matches!(caller.principal, Principal::Function(_))));
    }
}

#[test]
fn every_environment_gets_its_own_keys() {
    let (gate, dice) = (Gate::open(account("000000000000")), Dice::system());
    let (a, b) = (gate.issue(identity(), &dice), gate.issue(identity(), &dice));
    assert_ne!(a.access_key, b.access_key);
    assert!(!a.secret.is(b.secret.expose()) && !a.token.is(b.token.expose()));
}

#[test]
fn one_may_do_everything_in_ones_own_account_and_nothing_elsewhere() {
    let gate = Gate::open(account("000000000000"));
    let function = identity().function;
    let own = Principal::Function(Arc::new(identity()));
    let authorized = gate.authorize(&own, Call(function.clone())).unwrap();
    assert_eq!(authorized.principal(), &own);
    assert_eq!(authorized.resource(), &function);
    assert_eq!(authorized.into_inner().0, function);
    let other = Principal::Account(account("000000000000"));
    let Err(denied) = gate.authorize(&other, Call(function)) else { panic!("let in") };
    assert_eq!(
        denied.to_string(),
        "User: arn:aws:iam::000000000000:root is not authorized to perform: lambda:InvokeFunction on resource: \
         arn:aws:lambda:us-east-1:222222222222:function:f because no resource-based policy allows the \
         lambda:InvokeFunction action"
    );
}

/// The policies of resources, by ARN.
#[derive(Debug)]
struct Shelf(HashMap<String, Arc<Policy>>);

impl ResourcePolicies for Shelf {
    fn policy_of(&self, resource: &FunctionArn) -> Option<Arc<Policy>> {
        self.0.get(&resource.to_string()).cloned()
    }
}

/// A gate with policies of one statement, each of a resource.
fn guarding<'a>(policies: impl IntoIterator<Item = (&'a FunctionArn, &'a str)>) -> Gate {
    let read = |(resource, statement): (&FunctionArn, &str)| {
        let document = format!(r#"{{"Statement":{{"Resource":"*",{statement}}}}}"#);
        let revision = base::id::RevisionId::fresh(&Dice::seeded(1));
        (resource.to_string(), Arc::new(Policy::read(&document, revision).unwrap()))
    };
    Gate::open(account("000000000000")).with_policies(Shelf(policies.into_iter().map(read).collect()))
}

#[test]
fn others_may_do_what_the_policy_of_the_very_resource_allows() {
    let function = identity().function;
    let allow = r#""Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":"lambda:InvokeFunction""#;
    let gate = guarding([(&function, allow)]);
    let may = |caller: &str, resource: &FunctionArn| {
        gate.authorize(&Principal::Account(account(caller)), Call(resource.clone())).is_ok()
    };
    assert!(may("111111111111", &function));
    assert!(may("222222222222", &function), "the owner needs no policy");
    assert!(!may("333333333333", &function));
    for qualifier in [Qualifier::Latest, Qualifier::Version(1), Qualifier::Alias("live".into())] {
        assert!(!may("111111111111", &function.qualified(qualifier)), "what is unqualified covers no more");
    }
    let latest = function.qualified(Qualifier::Latest);
    let Err(denied) = gate.authorize(&Principal::Account(account("111111111111")), Call(latest)) else {
        panic!("let in")
    };
    assert!(
        denied
            .to_string()
            .contains("on resource: arn:aws:lambda:us-east-1:222222222222:function:f:$LATEST b")
    );
}

#[test]
fn a_denial_binds_the_owner_too_who_can_still_remove_it() {
    let function = identity().function;
    let gate = guarding([(&function, r#""Effect":"Deny","Principal":"*","Action":"lambda:*""#)]);
    let owner = Principal::Account(account("222222222222"));
    let words = "with an explicit deny in a resource-based policy";
    for caller in
        [&owner, &Principal::Function(Arc::new(identity())), &Principal::Account(account("111111111111"))]
    {
        let Err(denied) = gate.authorize(caller, Call(function.clone())) else {
            panic!("{caller} was let in")
        };
        assert_eq!(
            denied.to_string(),
            format!(
                "User: {caller} is not authorized to perform: lambda:InvokeFunction on resource: {function} {words}"
            )
        );
    }
    let removes = |caller: &Principal| {
        let resource = function.to_string();
        let act = Act { action: "lambda:DeleteResourcePolicy", resource: &resource, url: None };
        gate.permit(caller, act, &function.scope.account, gate_policy(&gate, &function).as_deref()).is_ok()
    };
    assert!(removes(&owner));
    assert!(!removes(&Principal::Function(Arc::new(identity()))));
    assert!(!removes(&Principal::Account(account("111111111111"))));
}

fn gate_policy(gate: &Gate, resource: &FunctionArn) -> Option<Arc<Policy>> {
    gate.policies.as_ref()?.policy_of(resource)
}

#[test]
fn a_service_has_the_rights_that_a_policy_gives_it_and_no_others() {
    let function = identity().function;
    let allow = r#""Effect":"Allow","Principal":{"Service":"s3.amazonaws.com"},"Action":"lambda:InvokeFunction",
        "Condition":{"ArnLike":{"AWS:SourceArn":"arn:aws:s3:::photos"}}"#;
    let gate = guarding([(&function, allow)]);
    let acts_for = |bucket: &str| {
        let service = Principal::Service(Arc::new(ServiceCall {
            service: "s3.amazonaws.com".into(),
            source_arn: Some(bucket.into()),
            source_account: Some(account("222222222222")),
            event_source_token: None,
        }));
        gate.authorize(&service, Call(function.clone())).is_ok()
    };
    assert!(acts_for("arn:aws:s3:::photos"));
    assert!(!acts_for("arn:aws:s3:::films"), "not even in the account of the function");
}
