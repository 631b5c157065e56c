//! Layers and their versions in the store.

use std::sync::Arc;

use base::arn::{AccountId, LayerVersionArn};
use base::clock::Timestamp;
use base::id::RevisionId;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use store::{Key, Revision};

use super::function::CodeRecord;
use super::{VERSION, decode, encode};
use crate::follower::Event;
use crate::root::{Differences, Part, PartChange, Root};
use crate::snapshot::{Shelves, Snapshot};
use crate::{
    Architecture, CatalogueError, CodeRef, Grant, Layer, LayerAbout, LayerKey, LayerVersion, Named, Policy,
    Statement,
};

impl Root for Layer {
    const KIND: &'static str = "layer";
    type Key = LayerKey;

    fn key(&self) -> &LayerKey {
        &self.key
    }

    fn stored(&self) -> Revision {
        self.stored
    }

    fn set_stored(&mut self, revision: Revision) {
        self.stored = revision;
    }

    fn write(&self) -> Bytes {
        encode(&LayerRecord { version: VERSION, next_version: self.next_version })
    }

    fn read(document: &Key, key: &LayerKey, body: &[u8]) -> Result<Self, CatalogueError> {
        let LayerRecord { next_version, .. } = decode(document, body)?;
        Ok(Self { next_version, ..Self::empty(key.clone()) })
    }

    fn with_parts_of(self, older: &Self) -> Self {
        Self { versions: older.versions.clone(), ..self }
    }

    fn differences(old: Option<&Self>, new: Option<&Self>, told: &mut Differences) {
        told.add::<LayerVersion>(old.map(|it| &it.versions), new.map(|it| &it.versions));
    }

    fn take_over(&mut self, part: &PartChange<'_>) -> Result<(), CatalogueError> {
        match part.kind {
            LayerVersion::KIND => part.among(&self.key, &mut self.versions),
            _ => Ok(()),
        }
    }

    fn codes(&self, each: &mut dyn FnMut(&CodeRef)) {
        self.versions.values().for_each(|version| each(&version.code));
    }

    fn event(_: &LayerKey, _: bool) -> Option<Event> {
        None
    }

    fn shelves(snapshot: &Snapshot) -> &Shelves<Self> {
        &snapshot.layers
    }

    fn shelves_mut(snapshot: &mut Snapshot) -> &mut Shelves<Self> {
        &mut snapshot.layers
    }
}

impl Part for LayerVersion {
    const KIND: &'static str = "version";
    type Name = u64;
    type Owner = LayerKey;

    fn write(&self) -> Bytes {
        encode(&LayerVersionRecord {
            version: VERSION,
            code: CodeRecord::of(self.code),
            created: self.created,
            description: Arc::clone(&self.about.description),
            runtimes: self.about.runtimes.clone(),
            architectures: self.about.architectures.clone(),
            license: self.about.license.clone(),
            policy: self.policy.as_ref().map(PolicyRecord::of),
        })
    }

    fn read(document: &Key, owner: &LayerKey, name: &u64, body: &[u8]) -> Result<Self, CatalogueError> {
        let record: LayerVersionRecord = decode(document, body)?;
        let arn = owner.version(*name);
        Ok(Self {
            code: record.code.into_code(),
            created: record.created,
            about: LayerAbout {
                description: record.description,
                runtimes: record.runtimes,
                architectures: record.architectures,
                license: record.license,
            },
            policy: record.policy.and_then(|policy| policy.into_policy(&arn)),
            arn,
        })
    }
}

#[derive(Serialize, Deserialize)]
struct LayerRecord {
    version: u32,
    next_version: u64,
}

#[derive(Serialize, Deserialize)]
struct LayerVersionRecord {
    version: u32,
    code: CodeRecord,
    created: Timestamp,
    description: Arc<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    runtimes: Option<Vec<Arc<str>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    architectures: Option<Vec<Architecture>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    license: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    policy: Option<PolicyRecord>,
}

/// The policy of a layer version. Its statements are grants of one action on the version itself, so that only what
/// tells them apart is stored.
#[derive(Serialize, Deserialize)]
struct PolicyRecord {
    revision: RevisionId,
    statements: Vec<GrantRecord>,
}

impl PolicyRecord {
    fn of(policy: &Policy) -> Self {
        let statements = policy.statements.iter().map(|statement| GrantRecord::of(statement)).collect();
        Self { revision: policy.revision, statements }
    }

    /// None when nobody is granted anything.
    fn into_policy(self, arn: &LayerVersionArn) -> Option<Policy> {
        let mut statements = self.statements.iter().map(|grant| grant.statement(arn));
        let mut policy = Policy::of(statements.next()?, self.revision);
        policy.statements.extend(statements.map(Arc::new));
        Some(policy)
    }
}

#[derive(Serialize, Deserialize)]
struct GrantRecord {
    sid: Arc<str>,
    /// Absent for everyone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account: Option<AccountId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    organization: Option<Arc<str>>,
}

impl GrantRecord {
    fn of(statement: &Statement) -> Self {
        let account = match &statement.principals.named[..] {
            [Named::Everyone] => None,
            [Named::Account(account)] => Some(account.parse().expect("policies name accounts by number")),
            others => unreachable!("layers are granted to everyone or to one account, not to {others:?}"),
        };
        // The one condition that such a grant can have.
        let organization =
            statement.conditions.iter().flat_map(|condition| &condition.values).next().cloned();
        let sid = statement.sid.clone().expect("every grant has an id");
        Self { sid, account, organization }
    }

    fn statement(&self, arn: &LayerVersionArn) -> Statement {
        let Self { sid, account, organization } = self;
        Grant::of_layer_version(arn, sid, account.as_ref(), organization.as_deref()).statement()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use base::clock::Timestamp;
    use expect_test::expect;

    use super::*;
    use crate::rules::tests::code;

    #[test]
    fn a_layer_is_stored_and_read_back_and_its_form_does_not_change() {
        let key: LayerKey = "arn:aws:lambda:us-east-1:000000000000:layer:tools".parse().unwrap();
        let document = crate::record::key_of::<Layer>(&key);
        let layer = Layer { next_version: 9, ..Layer::empty(key.clone()) };
        expect![[r#"{"version":1,"next_version":9}"#]]
            .assert_eq(std::str::from_utf8(&layer.write()).unwrap());
        assert_eq!(Layer::read(&document, &key, &layer.write()).unwrap(), layer);

        let plain = LayerVersion {
            arn: key.version(8),
            code: code(3),
            created: Timestamp::from_millis(5),
            about: LayerAbout::default(),
            policy: None,
        };
        expect![[r#"{"version":1,"code":{"digest":"0303030303030303030303030303030303030303030303030303030303030303","size":100,"unzipped":200},"created":5000,"description":""}"#]]
            .assert_eq(std::str::from_utf8(&plain.write()).unwrap());
        let arn = key.version(8);
        let (account, members) = ("111111111111".parse().unwrap(), "o-1");
        let mut policy = Policy::of(
            Grant::of_layer_version(&arn, "a", Some(&account), None).statement(),
            RevisionId(uuid::Uuid::nil()),
        );
        let statement = Grant::of_layer_version(&arn, "b", None, Some(members)).statement();
        policy.statements.push(Arc::new(statement));
        let full = LayerVersion {
            about: LayerAbout {
                description: "d".into(),
                runtimes: Some(vec!["python3.12".into()]),
                architectures: Some(vec![Architecture::Arm64]),
                license: Some("MIT".into()),
            },
            policy: Some(policy),
            ..plain.clone()
        };
        expect![[r#"{"version":1,"code":{"digest":"0303030303030303030303030303030303030303030303030303030303030303","size":100,"unzipped":200},"created":5000,"description":"d","runtimes":["python3.12"],"architectures":["arm64"],"license":"MIT","policy":{"revision":"00000000-0000-0000-0000-000000000000","statements":[{"sid":"a","account":"111111111111"},{"sid":"b","organization":"o-1"}]}}"#]].assert_eq(std::str::from_utf8(&full.write()).unwrap());
        let silent = LayerAbout {
            runtimes: Some(Vec::new()),
            architectures: Some(Vec::new()),
            ..LayerAbout::default()
        };
        for version in [LayerVersion { about: silent, ..plain.clone() }, plain, full] {
            assert_eq!(LayerVersion::read(&document, &key, &8, &version.write()).unwrap(), version);
        }
        assert_eq!(layer.versions, BTreeMap::new());
    }
}
