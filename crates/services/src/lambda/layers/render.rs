//! Layers as answers show them.

use std::sync::Arc;

use catalogue::{Architecture, Layer, LayerVersion};
use wire::lambda as api;

use crate::Context;
use crate::lambda::{Lambda, links};

impl Lambda {
    /// A version as it is shown to who published it.
    pub(super) fn published(
        &self,
        context: &Context,
        version: &LayerVersion,
    ) -> api::PublishLayerVersionResponse {
        let item = self::version(version);
        api::PublishLayerVersionResponse {
            content: Some(self.content(context, version)),
            layer_arn: Some(version.arn.layer.to_string()),
            layer_version_arn: item.layer_version_arn,
            description: item.description,
            created_date: item.created_date,
            version: item.version,
            compatible_architectures: item.compatible_architectures,
            compatible_runtimes: item.compatible_runtimes,
            license_info: item.license_info,
        }
    }

    /// A version whole.
    pub(super) fn whole(&self, context: &Context, version: &LayerVersion) -> api::GetLayerVersionResponse {
        let item = self::version(version);
        api::GetLayerVersionResponse {
            content: Some(self.content(context, version)),
            layer_arn: Some(version.arn.layer.to_string()),
            layer_version_arn: item.layer_version_arn,
            description: item.description,
            created_date: item.created_date,
            version: item.version,
            compatible_architectures: item.compatible_architectures,
            compatible_runtimes: item.compatible_runtimes,
            license_info: item.license_info,
        }
    }

    fn content(&self, context: &Context, version: &LayerVersion) -> api::LayerVersionContentOutput {
        let (vault, now) = (&self.parts.vault, self.parts.clock.now());
        api::LayerVersionContentOutput {
            location: Some(links::location(vault, &context.host, &version.code.digest, now)),
            code_sha256: Some(version.code.sha256()),
            code_size: i64::try_from(version.code.size).ok(),
            ..Default::default()
        }
    }
}

/// A layer as lists show it, by the latest version that the list wants.
pub(super) fn layer(layer: &Layer, latest: &LayerVersion) -> api::LayersListItem {
    api::LayersListItem {
        layer_name: Some(layer.key.name.to_string()),
        layer_arn: Some(layer.key.to_string()),
        latest_matching_version: Some(version(latest)),
    }
}

/// A version as lists show it. What its owner did not say of it is left out; empty lists were said.
///
/// Source: recorded answers.
pub(super) fn version(version: &LayerVersion) -> api::LayerVersionsListItem {
    let about = &version.about;
    let architectures = |sets: &Vec<Architecture>| {
        sets.iter().filter_map(|set| api::Architecture::parse(set.as_str())).collect()
    };
    let runtimes = |ids: &Vec<Arc<str>>| ids.iter().map(ToString::to_string).collect();
    api::LayerVersionsListItem {
        layer_version_arn: Some(version.arn.to_string()),
        version: i64::try_from(version.arn.number).ok(),
        description: Some(about.description.to_string()),
        created_date: Some(version.created.last_modified()),
        compatible_architectures: about.architectures.as_ref().map(architectures),
        compatible_runtimes: about.runtimes.as_ref().map(runtimes),
        license_info: about.license.as_ref().map(ToString::to_string),
    }
}
