//! PublishVersion and ListVersionsByFunction.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base::arn::Qualifier;
use catalogue::rules::{self, Publication};
use catalogue::{Function, Version};
use wire::lambda as api;

use super::checks::Refusal;
use super::create::refuse_first;
use super::errors::Failure;
use super::pages::Page;
use super::update::revision;
use super::{Lambda, render};
use crate::Context;

/// Most versions on one page, whatever is asked for. Source: recorded lists.
const PAGE: usize = 50;

impl Lambda {
    pub(super) async fn publish_version(
        &self,
        context: &Context,
        input: api::PublishVersionRequest,
    ) -> Result<api::FunctionConfiguration, Failure> {
        let target = self.whole_function(context, &input.function_name, "lambda:PublishVersion")?;
        let key = target.latest()?;
        self.existing(&target, target.unknown()).await?;
        refuse_first(&[(input.publish_to.is_some(), "PublishTo")])?;
        let asked = Publication {
            expected: revision(input.revision_id.as_deref())?,
            code_sha256: input.code_sha256.map(Into::into),
            description: input.description.map(Into::into),
        };
        let made = AtomicBool::new(false);
        let publish = |function: &Function, step| {
            let published = rules::versions::publish(function, &asked, step)?;
            made.store(published.next_version > function.next_version, Ordering::Relaxed);
            Ok::<_, rules::VersionError>(published)
        };
        let function = self.parts.catalogue.change(&key, publish).await?;
        let published = function.published.and_then(|published| function.versions.get(&published.version));
        let version = published.expect("what was published is there");
        if made.into_inner() && version.snap_starts() {
            self.initialize(Arc::clone(version));
        }
        Ok(self.shown(version, &version.qualified_arn()))
    }

    pub(super) async fn list_versions_by_function(
        &self,
        context: &Context,
        input: api::ListVersionsByFunctionRequest,
    ) -> Result<api::ListVersionsByFunctionResponse, Failure> {
        let target = self.whole_function(context, &input.function_name, "lambda:ListVersionsByFunction")?;
        target.latest()?;
        let function = self.existing(&target, target.unknown()).await?;
        let page = Page::read(input.marker.as_deref(), input.max_items, PAGE)?;
        let after = page.after.as_deref().map(Qualifier::parse).transpose().map_err(|_| Refusal::Marker)?;
        let found = function.versions_after(after.as_ref());
        let (versions, next_marker) = page.cut(found, |last| last.qualifier.to_string());
        let versions = versions.into_iter().map(|version| self.listed_qualified(version)).collect();
        Ok(api::ListVersionsByFunctionResponse { next_marker, versions: Some(versions) })
    }

    /// A version as lists of versions show it.
    pub(super) fn listed_qualified(&self, version: &Arc<Version>) -> api::FunctionConfiguration {
        render::listed(version, version.qualified_arn().to_string(), self.environment(version))
    }
}
