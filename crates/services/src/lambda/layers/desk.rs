//! What the operator does with layers beside the API: layers of other accounts are brought here under their own ARNs.

use async_trait::async_trait;
use base::arn::LayerVersionArn;
use bytes::Bytes;
use catalogue::rules::layers::{self as rules, LayerError};
use catalogue::{Layer, LayerVersion};
use http::StatusCode;
use wire::error::ServiceError;

use crate::lambda::Lambda;
use crate::lambda::errors::Failure;

/// Highest number that a version may be imported under. Ours: numbers go on from there, and must not run out.
const NUMBER: u64 = 1_000_000_000;

/// Most versions that are listed. Ours.
const LISTED: usize = 10_000;

/// What the operator does with layers.
#[async_trait]
pub trait LayerDesk: Send + Sync + 'static {
    /// Publishes an archive under an ARN of any account, for every account to use.
    async fn import(&self, import: LayerImport) -> Result<Imported, ServiceError>;

    /// The layer versions of all accounts and regions, by ARN.
    fn versions(&self) -> Vec<ListedVersion>;
}

/// An archive, and the ARN that it is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerImport {
    /// With the version's number.
    pub arn: LayerVersionArn,
    /// The zip archive.
    pub archive: Bytes,
    /// Whether another archive may be replaced. Functions that have it keep it until they are updated.
    pub replace: bool,
}

/// A layer version that stands after an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// What stands there.
    pub version: ListedVersion,
    /// What was there before.
    pub before: Before,
}

/// What stood under an ARN before an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// Nothing.
    Nothing,
    /// The same archive.
    Same,
    /// Another archive.
    Other,
}

/// A layer version as the operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedVersion {
    /// Its ARN.
    pub arn: LayerVersionArn,
    /// SHA-256 of the archive, as the API writes it.
    pub sha256: String,
    /// Bytes of the archive.
    pub size: u64,
    /// When it was published or imported, as the API writes it.
    pub created: String,
}

impl ListedVersion {
    fn of(version: &LayerVersion) -> Self {
        Self {
            arn: version.arn.clone(),
            sha256: version.code.sha256(),
            size: version.code.size,
            created: version.created.last_modified(),
        }
    }
}

#[async_trait]
impl LayerDesk for Lambda {
    async fn import(&self, import: LayerImport) -> Result<Imported, ServiceError> {
        let LayerImport { arn, archive, replace } = import;
        if !(1..=NUMBER).contains(&arn.number) {
            let words = format!("the version's number must be between 1 and {NUMBER}");
            return Err(ServiceError::plain(StatusCode::BAD_REQUEST, "ValidationException", words));
        }
        let code = self.take_in(archive).await?;
        let before = match self.layer_version(&arn).await.map_err(Failure::from)? {
            None => Before::Nothing,
            Some(there) if there.code.digest == code.digest => Before::Same,
            Some(_) => Before::Other,
        };
        let put =
            |layer: Option<&Layer>, step| rules::import(layer, &arn.layer, arn.number, code, replace, step);
        let layer = self.parts.catalogue.upsert(&arn.layer, put).await.map_err(|error| told(error, &arn))?;
        let version = layer.versions.get(&arn.number).expect("it was just put there");
        Ok(Imported { version: ListedVersion::of(version), before })
    }

    fn versions(&self) -> Vec<ListedVersion> {
        let layers = self.parts.catalogue.everywhere::<Layer>(|_| true);
        let versions = layers.iter().flat_map(|layer| layer.versions.values());
        let mut listed: Vec<_> = versions.map(|version| ListedVersion::of(version)).collect();
        listed.sort_by(|one, other| one.arn.cmp(&other.arn));
        listed.truncate(LISTED);
        listed
    }
}

fn told(error: LayerError, arn: &LayerVersionArn) -> ServiceError {
    match error {
        LayerError::OtherPackage => ServiceError::plain(
            StatusCode::CONFLICT,
            "ResourceConflictException",
            format!("{arn} holds another archive; --replace puts this one in its place"),
        ),
        LayerError::Catalogue(error) => Failure::from(error).into(),
    }
}
