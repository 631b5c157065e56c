//! Layers and their versions.

pub mod desk;
mod render;
mod uses;

use std::sync::Arc;

use access::Act;
use base::arn::LayerVersionArn;
use catalogue::{Architecture, CatalogueError, Layer, LayerAbout, LayerKey, LayerVersion, rules};
use wire::lambda as api;

use super::checks::Refusal;
use super::checks::layers::{self as checks, LayerRefusal};
use super::errors::Failure;
use super::pages::Page;
use super::{Lambda, settings};
use crate::Context;

/// Most layers or versions on one page, whatever is asked for. Source: Lambda API reference, ListLayers.
const PAGE: usize = 50;

impl Lambda {
    pub(super) async fn publish_layer_version(
        &self,
        context: &Context,
        input: api::PublishLayerVersionRequest,
    ) -> Result<api::PublishLayerVersionResponse, Failure> {
        let key = self.own_layer(context, &input.layer_name, "lambda:PublishLayerVersion")?;
        checks::content(&input.content)?;
        let code = self.take_in(input.content.zip_file.clone().unwrap_or_default()).await?;
        let about = about(input);
        let publish = |layer: Option<&Layer>, step| {
            Ok::<_, CatalogueError>(rules::layers::publish(layer, &key, code, &about, step))
        };
        let layer = self.parts.catalogue.upsert(&key, publish).await?;
        let (_, published) = layer.versions.last_key_value().expect("it was just published");
        Ok(self.published(context, published))
    }

    pub(super) async fn get_layer_version(
        &self,
        context: &Context,
        input: api::GetLayerVersionRequest,
    ) -> Result<api::GetLayerVersionResponse, Failure> {
        let key = named(context, &input.layer_name)?;
        let number = checks::number(input.version_number)?;
        Ok(self.whole(context, &*self.readable(context, &key.version(number)).await?))
    }

    pub(super) async fn get_layer_version_by_arn(
        &self,
        context: &Context,
        input: api::GetLayerVersionByArnRequest,
    ) -> Result<api::GetLayerVersionResponse, Failure> {
        // What AWS itself publishes has ARNs of another form; none of it is here.
        let arn: LayerVersionArn = input.arn.parse().map_err(|_| LayerRefusal::Missing)?;
        Ok(self.whole(context, &*self.readable(context, &arn).await?))
    }

    /// A version that does not exist is deleted without complaint. Functions that have it keep it.
    pub(super) async fn delete_layer_version(
        &self,
        context: &Context,
        input: api::DeleteLayerVersionRequest,
    ) -> Result<(), Failure> {
        let key = self.own_layer(context, &input.layer_name, "lambda:DeleteLayerVersion")?;
        let number = checks::number(input.version_number)?;
        if self.layer_version(&key.version(number)).await?.is_some() {
            let delete = |layer: &Layer, _| Ok::<_, CatalogueError>(rules::layers::delete(layer, number));
            self.parts.catalogue.change(&key, delete).await?;
        }
        Ok(())
    }

    pub(super) async fn list_layers(
        &self,
        context: &Context,
        input: api::ListLayersRequest,
    ) -> Result<api::ListLayersResponse, Failure> {
        let wanted = Wanted::read(input.compatible_runtime, input.compatible_architecture)?;
        let page = Page::read(input.marker.as_deref(), input.max_items, PAGE)?;
        let keep = |layer: &Layer| wanted.latest(layer).is_some();
        let found = self.parts.catalogue.list(&context.scope, page.after.as_deref(), page.look_for(), keep);
        let (layers, next_marker) = page.cut(found, |layer: &Arc<Layer>| layer.key.name.to_string());
        let shown = |layer: &Arc<Layer>| Some(render::layer(layer, wanted.latest(layer)?));
        Ok(api::ListLayersResponse { next_marker, layers: Some(layers.iter().filter_map(shown).collect()) })
    }

    pub(super) async fn list_layer_versions(
        &self,
        context: &Context,
        input: api::ListLayerVersionsRequest,
    ) -> Result<api::ListLayerVersionsResponse, Failure> {
        let key = self.own_layer(context, &input.layer_name, "lambda:ListLayerVersions")?;
        let wanted = Wanted::read(input.compatible_runtime, input.compatible_architecture)?;
        let page = Page::read(input.marker.as_deref(), input.max_items, PAGE)?;
        let below = page.after.as_deref().map(str::parse).transpose().map_err(|_| Refusal::Marker)?;
        let layer = match self.parts.catalogue.get(&key).await {
            Err(CatalogueError::NotFound { .. }) => Arc::new(Layer::empty(key)),
            other => other?,
        };
        let newest = layer.versions.range(..below.unwrap_or(u64::MAX)).rev().map(|(_, version)| version);
        let found = newest.filter(|version| wanted.matches(version));
        let (versions, next_marker) = page.cut(found, |version| version.arn.number.to_string());
        let shown = versions.into_iter().map(|version| render::version(version)).collect();
        Ok(api::ListLayerVersionsResponse { next_marker, layer_versions: Some(shown) })
    }

    /// A layer version that the sender of the request may see.
    async fn readable(&self, context: &Context, arn: &LayerVersionArn) -> Result<Arc<LayerVersion>, Failure> {
        Ok(self.usable(context, arn).await?.ok_or(LayerRefusal::Missing)?)
    }

    /// The layer that a name or an ARN means, of the caller's own account: nobody may do `action` to another's.
    pub(super) fn own_layer(
        &self,
        context: &Context,
        name: &str,
        action: &'static str,
    ) -> Result<LayerKey, Failure> {
        let key = named(context, name)?;
        let act = Act { action, resource: &key.to_string(), url: None };
        self.parts.gate.permit(&context.principal, act, &key.scope.account, None)?;
        if key.scope.region != context.scope.region {
            return Err(LayerRefusal::Missing.into());
        }
        Ok(key)
    }
}

/// The layer that a name or an ARN means.
fn named(context: &Context, name: &str) -> Result<LayerKey, Failure> {
    if let Ok(key) = name.parse() {
        return Ok(key);
    }
    let name = name.parse().map_err(|_| LayerRefusal::Missing)?;
    Ok(LayerKey { scope: context.scope.clone(), name })
}

fn about(input: api::PublishLayerVersionRequest) -> LayerAbout {
    let runtimes = |ids: Vec<String>| ids.into_iter().map(Into::into).collect();
    let architectures = |sets: Vec<_>| sets.into_iter().map(settings::instruction_set).collect();
    LayerAbout {
        description: input.description.unwrap_or_default().into(),
        runtimes: input.compatible_runtimes.map(runtimes),
        architectures: input.compatible_architectures.map(architectures),
        license: input.license_info.map(Into::into),
    }
}

/// Which versions a list is to show.
struct Wanted {
    runtime: Option<String>,
    architecture: Option<Architecture>,
}

impl Wanted {
    fn read(runtime: Option<String>, architecture: Option<api::Architecture>) -> Result<Self, LayerRefusal> {
        checks::looked_for(runtime.as_deref())?;
        Ok(Self { runtime, architecture: architecture.map(settings::instruction_set) })
    }

    /// Only versions that say so are made for a runtime or an instruction set.
    fn matches(&self, version: &LayerVersion) -> bool {
        let LayerAbout { runtimes, architectures, .. } = &version.about;
        self.runtime
            .as_ref()
            .is_none_or(|wanted| runtimes.iter().flatten().any(|runtime| **runtime == **wanted))
            && self.architecture.is_none_or(|wanted| architectures.iter().flatten().any(|set| *set == wanted))
    }

    fn latest<'a>(&self, layer: &'a Layer) -> Option<&'a LayerVersion> {
        layer.versions.values().rev().map(Arc::as_ref).find(|version| self.matches(version))
    }
}
