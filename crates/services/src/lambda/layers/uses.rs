//! The layers of functions.

use std::sync::Arc;

use access::Act;
use base::arn::LayerVersionArn;
use catalogue::{CatalogueError, LayerUse, LayerVersion};

use crate::Context;
use crate::lambda::Lambda;
use crate::lambda::checks::layers::{self as checks, LayerRefusal};
use crate::lambda::errors::Failure;

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
            let region = &context.scope.region;
            let version = match self.usable(context, &arn).await? {
                Some(version) => version,
                None if arn.layer.scope.region != *region => {
                    return Err(LayerRefusal::Region(region.to_string()).into());
                }
                None => return Err(LayerRefusal::Unknown(text.clone()).into()),
            };
            if let Some((_, earlier)) = uses.iter().find(|(other, _)| other.layer == arn.layer) {
                return Err(LayerRefusal::Twice(earlier.arn.to_string(), text.clone()).into());
            }
            uses.push((arn, LayerUse { arn: text.as_str().into(), code: version.code }));
        }
        Ok(uses.into_iter().map(|(_, layer)| layer).collect())
    }

    /// A layer version that the caller may have; none where there is none, as in another region. Of another account
    /// it is not told which of the two is wrong.
    pub(super) async fn usable(
        &self,
        context: &Context,
        arn: &LayerVersionArn,
    ) -> Result<Option<Arc<LayerVersion>>, Failure> {
        let here = arn.layer.scope.region == context.scope.region;
        let version = if here { self.layer_version(arn).await? } else { None };
        let act = Act { action: "lambda:GetLayerVersion", resource: &arn.to_string(), url: None };
        let policy = version.as_ref().and_then(|version| version.policy.as_ref());
        self.parts.gate.permit(&context.principal, act, &arn.layer.scope.account, policy)?;
        Ok(version)
    }

    /// A layer version, if there is one, whoever may have it.
    pub(in crate::lambda) async fn layer_version(
        &self,
        arn: &LayerVersionArn,
    ) -> Result<Option<Arc<LayerVersion>>, CatalogueError> {
        match self.parts.catalogue.get(&arn.layer).await {
            Err(CatalogueError::NotFound { .. }) => Ok(None),
            other => Ok(other?.versions.get(&arn.number).cloned()),
        }
    }
}
