//! Layers and their versions in the store.

use std::sync::Arc;

use base::arn::AccountId;
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
    Architecture, CatalogueError, CodeRef, Grantee, Layer, LayerAbout, LayerKey, LayerPolicy, LayerStatement,
    LayerVersion,
};

impl Root for Layer {
    const KIND: &'static str = "layer";
    type Key = LayerKey;

    fn key(&self) -> &LayerKey {
        &self.key
    }

    fn missing(key: &LayerKey) -> CatalogueError {
        CatalogueError::NoLayer { arn: key.clone() }
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
        Ok(Self {
            arn: owner.version(*name),
            code: record.code.into_code(),
            created: record.created,
            about: LayerAbout {
                description: record.description,
                runtimes: record.runtimes,
                architectures: record.architectures,
                license: record.license,
            },
            policy: record.policy.map(PolicyRecord::into_policy),
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
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    runtimes: Vec<Arc<str>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    architectures: Vec<Architecture>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    license: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    policy: Option<PolicyRecord>,
}

#[derive(Serialize, Deserialize)]
struct PolicyRecord {
    revision: RevisionId,
    statements: Vec<StatementRecord>,
}

impl PolicyRecord {
    fn of(policy: &LayerPolicy) -> Self {
        let statements = policy.statements.iter().map(StatementRecord::of).collect();
        Self { revision: policy.revision, statements }
    }

    fn into_policy(self) -> LayerPolicy {
        let statements = self.statements.into_iter().map(StatementRecord::into_statement).collect();
        LayerPolicy { revision: self.revision, statements }
    }
}

#[derive(Serialize, Deserialize)]
struct StatementRecord {
    sid: Arc<str>,
    /// Absent for everyone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account: Option<AccountId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    organization: Option<Arc<str>>,
}

impl StatementRecord {
    fn of(statement: &LayerStatement) -> Self {
        let account = match &statement.grantee {
            Grantee::Everyone => None,
            Grantee::Account(account) => Some(account.clone()),
        };
        let LayerStatement { sid, organization, .. } = statement.clone();
        Self { sid, account, organization }
    }

    fn into_statement(self) -> LayerStatement {
        let Self { sid, account, organization } = self;
        LayerStatement { sid, grantee: account.map_or(Grantee::Everyone, Grantee::Account), organization }
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
        let statement = |sid: &str, grantee| LayerStatement { sid: sid.into(), grantee, organization: None };
        let members =
            LayerStatement { organization: Some("o-1".into()), ..statement("b", Grantee::Everyone) };
        let full = LayerVersion {
            about: LayerAbout {
                description: "d".into(),
                runtimes: vec!["python3.12".into()],
                architectures: vec![Architecture::Arm64],
                license: Some("MIT".into()),
            },
            policy: Some(LayerPolicy {
                revision: RevisionId(uuid::Uuid::nil()),
                statements: vec![statement("a", Grantee::Account("111111111111".parse().unwrap())), members],
            }),
            ..plain.clone()
        };
        for version in [plain, full] {
            assert_eq!(LayerVersion::read(&document, &key, &8, &version.write()).unwrap(), version);
        }
        assert_eq!(layer.versions, BTreeMap::new());
    }
}
