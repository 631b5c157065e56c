use super::*;
use crate::{Grant, Grantee};

const R: [RevisionId; 3] = [revision(1), revision(2), revision(3)];

const fn revision(number: u128) -> RevisionId {
    RevisionId(uuid::Uuid::from_u128(number))
}

fn statement(sid: &str) -> Statement {
    let grant = Grant {
        sid: sid.into(),
        grantee: Grantee::Everyone,
        action: "lambda:InvokeFunction".into(),
        resource: "arn:aws:lambda:us-east-1:000000000000:function:f".into(),
        source_arn: None,
        source_account: None,
        url_auth_type: None,
        organization: None,
        event_source_token: None,
        via_url: None,
    };
    grant.statement()
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
    assert_eq!(revoke(Some(&third), "b", Some(&R[2].to_string()), R[0]), Ok(None));
}

#[test]
fn what_is_wrong_with_a_statement_is_told_before_a_stale_revision() {
    let policy = grant(None, statement("a"), None, R[0]).unwrap();
    let (some, stale, fresh) = (Some(&policy), Some("stale"), Some(R[0].to_string()));
    let granted = |sid: &str, expected| grant(some, statement(sid), expected, R[1]).map(|_| ());
    assert_eq!(granted("a", stale), Err(PolicyError::StatementExists("a".into())));
    assert_eq!(granted("b", stale), Err(PolicyError::Stale));
    assert_eq!(granted("b", fresh.as_deref()), Ok(()));
    let revoked = |sid: &str, expected| revoke(some, sid, expected, R[1]).map(|_| ());
    assert_eq!(revoked("b", stale), Err(PolicyError::UnknownStatement("b".into())));
    assert_eq!(revoked("a", stale), Err(PolicyError::Stale));
    assert_eq!(revoke(None, "a", stale, R[1]), Err(PolicyError::Missing));
    assert_eq!(grant(None, statement("a"), fresh.as_deref(), R[1]), Err(PolicyError::Stale));
    assert_eq!(replace(None, policy.clone(), stale), Err(PolicyError::Stale));
    assert_eq!(replace(some, policy.clone(), fresh.as_deref()), Ok(policy.clone()));
    assert_eq!(drop_all(None, stale), Err(PolicyError::Missing));
    assert_eq!(drop_all(some, stale), Err(PolicyError::Stale));
    assert_eq!(drop_all(some, None), Ok(()));
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
