//! The layers of functions.

use std::sync::Arc;

use base::arn::LayerVersionArn;
use catalogue::{CatalogueError, LayerUse, LayerVersion};

use crate::Context;
use crate::lambda::Lambda;
use crate::lambda::checks::layers::{self as checks, LayerRefusal};
use crate::lambda::errors::Failure;
use crate::lambda::errors::layers::denied;

/// What somebody else's policy must allow.
pub(super) const ACTION: &str = "lambda:GetLayerVersion";

/// Why a layer version is not to be had.
pub(super) enum Unusable {
    /// It is of the caller's account, but of another region.
    Region,
    /// There is none.
    Missing,
    /// It is another account's that does not let the caller have it, or has none: which of the two is not told.
    Denied,
}

impl Lambda {
    /// The layers that a request names for a function of its own account and region.
    pub(in crate::lambda) async fn layer_uses(
        &self,
        context: &Context,
        arns: &[String],
    ) -> Result<Vec<LayerUse>, Failure> {
        checks::count(arns)?;
        let mut uses: Vec<(LayerVersionArn, LayerUse)> = Vec::with_capacity(arns.len());
        for text in arns {
            // What AWS itself publishes has ARNs of another form; none of it is here.
            let arn: LayerVersionArn = text.parse().map_err(|_| LayerRefusal::Unknown(text.clone()))?;
            let version = match self.usable(context, &arn).await? {
                Ok(version) => version,
                Err(Unusable::Region) => {
                    return Err(LayerRefusal::Region(context.scope.region.to_string()).into());
                }
                Err(Unusable::Missing) => return Err(LayerRefusal::Unknown(text.clone()).into()),
                Err(Unusable::Denied) => return Err(denied(context, ACTION, &arn)),
            };
            if let Some((_, earlier)) = uses.iter().find(|(other, _)| other.layer == arn.layer) {
                return Err(LayerRefusal::Twice(earlier.arn.to_string(), text.clone()).into());
            }
            uses.push((arn, LayerUse { arn: text.as_str().into(), code: version.code }));
        }
        Ok(uses.into_iter().map(|(_, layer)| layer).collect())
    }

    /// A layer version, if the caller may have it.
    pub(super) async fn usable(
        &self,
        context: &Context,
        arn: &LayerVersionArn,
    ) -> Result<Result<Arc<LayerVersion>, Unusable>, CatalogueError> {
        let own = arn.layer.scope.account == context.scope.account;
        if arn.layer.scope.region != context.scope.region {
            return Ok(Err(if own { Unusable::Region } else { Unusable::Denied }));
        }
        let version = match self.parts.catalogue.get(&arn.layer).await {
            Err(CatalogueError::NoLayer { .. }) => None,
            other => other?.versions.get(&arn.number).cloned(),
        };
        Ok(match version {
            Some(version) if version.admits(&context.scope.account) => Ok(version),
            _ if own => Err(Unusable::Missing),
            _ => Err(Unusable::Denied),
        })
    }
}
