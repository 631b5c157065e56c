use base::arn::Qualifier;

use super::*;
use crate::Grant;
use crate::policy::tests::a_grant;
use crate::root::PartName;
use crate::rules::tests::a_function;

const R: [RevisionId; 3] = [revision(1), revision(2), revision(3)];

const fn revision(number: u128) -> RevisionId {
    RevisionId(uuid::Uuid::from_u128(number))
}

fn statement(sid: &str) -> Statement {
    Grant { sid: sid.into(), ..a_grant("*") }.statement()
}

fn sids(policy: &Policy) -> Vec<&str> {
    policy.statements.iter().filter_map(|statement| statement.sid.as_deref()).collect()
}

#[test]
fn grants_are_kept_in_order_and_the_last_revocation_ends_the_policy() {
    let first = grant(None, statement("a"), None, R[0]).unwrap();
    assert!(
        first.document().starts_with(r#"{"Version":"2012-10-17","Id":"default","Statement":[{"Sid":"a","#)
    );
    let second = grant(Some(&first), statement("b"), Some(&R[0].to_string()), R[1]).unwrap();
    assert_eq!((sids(&second), second.revision), (vec!["a", "b"], R[1]));
    let third = revoke(Some(&second), "a", None, R[2]).unwrap().unwrap();
    assert_eq!((sids(&third), third.revision), (vec!["b"], R[2]));
    assert_eq!(revoke(Some(&third), "b", Some(&R[2].to_string()), R[0]).unwrap(), None);
}

#[test]
fn what_is_wrong_with_a_statement_is_told_before_a_stale_revision() {
    let policy = grant(None, statement("a"), None, R[0]).unwrap();
    let (some, stale, fresh) = (Some(&policy), Some("stale"), R[0].to_string());
    let granted = |sid: &str, expected| told(grant(some, statement(sid), expected, R[1]));
    assert_eq!(granted("a", stale), "statement a exists");
    assert_eq!(granted("b", stale), "the policy has another revision");
    assert_eq!(granted("b", Some(&fresh)), "");
    let revoked = |sid: &str, expected| told(revoke(some, sid, expected, R[1]));
    assert_eq!(revoked("b", stale), "there is no statement b");
    assert_eq!(revoked("a", stale), "the policy has another revision");
    assert_eq!(told(revoke(None, "a", stale, R[1])), "there is no policy");
    assert_eq!(told(grant(None, statement("a"), Some(&fresh), R[1])), "the policy has another revision");
    assert_eq!(told(replace(None, policy.clone(), stale)), "the policy has another revision");
    assert_eq!(told(replace(some, policy.clone(), Some(&fresh))), "");
    assert_eq!(told(drop_all(None, stale)), "there is no policy");
    assert_eq!(told(drop_all(some, stale)), "the policy has another revision");
    assert_eq!(told(drop_all(some, None)), "");
}

fn told<T>(result: Result<T, PolicyError>) -> String {
    result.err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn each_resource_of_a_function_has_a_policy_of_its_own() {
    let function = a_function("f");
    let names = [None, Some(Qualifier::Latest)].map(PolicyName);
    let granted = |function: &Function, name, sid: &str| {
        of_function(function, name, |policy| grant(policy, statement(sid), None, R[1]).map(Some))
    };
    let one = granted(&function, &names[0], "a").unwrap();
    let two = granted(&one, &names[1], "a").unwrap();
    assert_eq!(two.policies.keys().collect::<Vec<_>>(), names.iter().collect::<Vec<_>>());
    assert!(Arc::ptr_eq(&one.policies[&names[0]], &two.policies[&names[0]]), "the other is not touched");
    assert_eq!(two.latest, function.latest, "nor is the function");
    let none = of_function(&two, &names[0], |policy| revoke(policy, "a", None, R[2])).unwrap();
    assert_eq!(none.policies.keys().collect::<Vec<_>>(), [&names[1]]);
    let missing = PolicyName(Some(Qualifier::Version(7)));
    assert_eq!(told(granted(&two, &missing, "a")), format!("there is no function {}:7", function.key));
}

#[test]
fn names_of_policies_are_read_back() {
    let alias = |name: &str| Some(Qualifier::Alias(name.into()));
    for qualifier in
        [None, Some(Qualifier::Latest), Some(Qualifier::Version(7)), alias("UNQUALIFIED"), alias("-")]
    {
        let name = PolicyName(qualifier);
        assert_eq!(PolicyName::parse(&name.to_string()), Some(name));
    }
    assert_eq!(PolicyName::parse("$OTHER"), None);
}

#[test]
fn a_policy_is_no_longer_than_it_may_be() {
    let mut policy = grant(None, statement("a"), None, R[0]).unwrap();
    let refused = (0..)
        .find_map(|number| match grant(Some(&policy), statement(&format!("s{number}")), None, R[1]) {
            Ok(longer) => {
                policy = longer;
                None
            }
            Err(error) => Some(error),
        })
        .unwrap();
    let PolicyError::TooLong { size } = refused else { panic!("{refused}") };
    assert!(policy.document().len() <= POLICY_BYTES && size > POLICY_BYTES);
}
