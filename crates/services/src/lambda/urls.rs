//! Function URLs: their configuration.

use std::sync::Arc;

use base::arn::Qualifier;
use catalogue::rules::{Step, function_url as rules};
use catalogue::{
    CatalogueError, Cors, Function, FunctionUrl, FunctionUrlChange, InvokeMode, NewFunctionUrl, UrlAuth,
    UrlId,
};
use wire::lambda as api;

use super::Lambda;
use super::checks::urls::UrlRefusal;
use super::create::seconds;
use super::errors::Failure;
use super::names::Target;
use super::pages::Page;
use crate::Context;

/// Most function URLs on one page. Source: the service model.
const PAGE: usize = 50;

impl Lambda {
    pub(super) async fn create_function_url_config(
        &self,
        context: &Context,
        input: api::CreateFunctionUrlConfigRequest,
    ) -> Result<api::CreateFunctionUrlConfigResponse, Failure> {
        let action = "lambda:CreateFunctionUrlConfig";
        let target = self.target(context, &input.function_name, input.qualifier.as_deref(), action)?;
        let qualifier = target.qualifier().ok_or(UrlRefusal::NoFunction)?;
        let new = NewFunctionUrl {
            id: UrlId::fresh(&self.parts.dice),
            auth: auth(input.auth_type),
            invoke_mode: input.invoke_mode.map_or(InvokeMode::Buffered, invoke_mode),
            cors: input.cors.and_then(cors),
        };
        let decide =
            |function: &Function, step: Step| rules::create(function, &qualifier, new.clone(), step.now);
        let function = self.change_urls(&target, UrlRefusal::NoFunction, decide).await?;
        let made = shown(&function, &qualifier)?;
        Ok(api::CreateFunctionUrlConfigResponse {
            function_url: made.function_url,
            function_arn: made.function_arn,
            auth_type: made.auth_type,
            cors: made.cors,
            creation_time: made.creation_time,
            // Only told to who asked for one. Source: recorded answers.
            invoke_mode: input.invoke_mode,
        })
    }

    pub(super) async fn get_function_url_config(
        &self,
        context: &Context,
        input: api::GetFunctionUrlConfigRequest,
    ) -> Result<api::GetFunctionUrlConfigResponse, Failure> {
        let action = "lambda:GetFunctionUrlConfig";
        let target = self.target(context, &input.function_name, input.qualifier.as_deref(), action)?;
        let qualifier = target.qualifier().ok_or(UrlRefusal::NoUrl)?;
        let function = self.existing(&target, UrlRefusal::NoUrl).await?;
        let found = shown(&function, &qualifier)?;
        Ok(api::GetFunctionUrlConfigResponse {
            function_url: found.function_url,
            function_arn: found.function_arn,
            auth_type: found.auth_type,
            cors: found.cors,
            creation_time: found.creation_time,
            last_modified_time: found.last_modified_time,
            invoke_mode: found.invoke_mode,
        })
    }

    pub(super) async fn update_function_url_config(
        &self,
        context: &Context,
        input: api::UpdateFunctionUrlConfigRequest,
    ) -> Result<api::UpdateFunctionUrlConfigResponse, Failure> {
        let action = "lambda:UpdateFunctionUrlConfig";
        let target = self.target(context, &input.function_name, input.qualifier.as_deref(), action)?;
        let qualifier = target.qualifier().ok_or(UrlRefusal::NoUrl)?;
        let change = FunctionUrlChange {
            auth: input.auth_type.map(auth),
            invoke_mode: input.invoke_mode.map(invoke_mode),
            cors: input.cors.map(cors),
        };
        let decide =
            |function: &Function, step: Step| rules::update(function, &qualifier, change.clone(), step.now);
        let function = self.change_urls(&target, UrlRefusal::NoUrl, decide).await?;
        let changed = shown(&function, &qualifier)?;
        Ok(api::UpdateFunctionUrlConfigResponse {
            function_url: changed.function_url,
            function_arn: changed.function_arn,
            auth_type: changed.auth_type,
            cors: changed.cors,
            creation_time: changed.creation_time,
            last_modified_time: changed.last_modified_time,
            // Only told to who changed it. Source: recorded answers.
            invoke_mode: input.invoke_mode,
        })
    }

    pub(super) async fn delete_function_url_config(
        &self,
        context: &Context,
        input: api::DeleteFunctionUrlConfigRequest,
    ) -> Result<(), Failure> {
        let action = "lambda:DeleteFunctionUrlConfig";
        let target = self.target(context, &input.function_name, input.qualifier.as_deref(), action)?;
        let qualifier = target.qualifier().ok_or(UrlRefusal::NoUrl)?;
        let decide = |function: &Function, _| rules::delete(function, &qualifier);
        self.change_urls(&target, UrlRefusal::NoUrl, decide).await?;
        Ok(())
    }

    pub(super) async fn list_function_url_configs(
        &self,
        context: &Context,
        input: api::ListFunctionUrlConfigsRequest,
    ) -> Result<api::ListFunctionUrlConfigsResponse, Failure> {
        let target = self.target(context, &input.function_name, None, "lambda:ListFunctionUrlConfigs")?;
        let page = Page::read(input.marker.as_deref(), input.max_items, PAGE)?;
        let function = self.existing(&target, UrlRefusal::NoFunction).await?;
        let (listed, next_marker) = page.of_qualifiers(&function.urls)?;
        let urls = listed.into_iter().map(|(qualifier, url)| rendered(&function, qualifier, url));
        Ok(api::ListFunctionUrlConfigsResponse { function_url_configs: Some(urls.collect()), next_marker })
    }

    async fn change_urls(
        &self,
        target: &Target,
        missing: UrlRefusal,
        decide: impl Fn(&Function, Step) -> Result<Function, rules::FunctionUrlError> + Send + Sync,
    ) -> Result<Arc<Function>, Failure> {
        match self.parts.catalogue.change(&target.key(), decide).await {
            Err(rules::FunctionUrlError::Catalogue(CatalogueError::NotFound { .. })) => Err(missing.into()),
            other => Ok(other?),
        }
    }
}

/// The URL of a qualifier as lists show it.
fn shown(function: &Function, qualifier: &Qualifier) -> Result<api::FunctionUrlConfig, Failure> {
    Ok(rendered(function, qualifier, rules::found(function, qualifier)?))
}

fn rendered(function: &Function, qualifier: &Qualifier, url: &FunctionUrl) -> api::FunctionUrlConfig {
    let region = &function.key.scope.region;
    api::FunctionUrlConfig {
        function_url: Some(format!("https://{}.lambda-url.{region}.on.aws/", url.id)),
        function_arn: Some(rules::arn(function, qualifier).to_string()),
        creation_time: Some(url.created.iso_micros()),
        last_modified_time: Some(url.last_modified.iso_micros()),
        cors: url.cors.as_ref().map(shown_cors),
        auth_type: api::FunctionUrlAuthType::parse(url.auth.as_str()),
        invoke_mode: api::InvokeMode::parse(url.invoke_mode.as_str()),
    }
}

fn shown_cors(cors: &Cors) -> api::Cors {
    let list = |list: &Option<Vec<Arc<str>>>| {
        list.as_ref().map(|list| list.iter().map(ToString::to_string).collect())
    };
    api::Cors {
        allow_credentials: cors.allow_credentials,
        allow_headers: list(&cors.allow_headers),
        allow_methods: list(&cors.allow_methods),
        allow_origins: list(&cors.allow_origins),
        expose_headers: list(&cors.expose_headers),
        max_age: cors.max_age.and_then(|age| i32::try_from(age.as_secs()).ok()),
    }
}

fn auth(auth: api::FunctionUrlAuthType) -> UrlAuth {
    match auth {
        api::FunctionUrlAuthType::None => UrlAuth::None,
        api::FunctionUrlAuthType::AwsIam => UrlAuth::AwsIam,
    }
}

fn invoke_mode(mode: api::InvokeMode) -> InvokeMode {
    match mode {
        api::InvokeMode::Buffered => InvokeMode::Buffered,
        api::InvokeMode::ResponseStream => InvokeMode::ResponseStream,
    }
}

/// What a request says of other origins; an empty object says nothing, and takes away what there was.
fn cors(given: api::Cors) -> Option<Cors> {
    let list = |list: Option<Vec<String>>| {
        list.map(|list| list.into_iter().map(Arc::from).collect::<Vec<Arc<str>>>())
    };
    let cors = Cors {
        allow_credentials: given.allow_credentials,
        allow_headers: list(given.allow_headers),
        allow_methods: list(given.allow_methods),
        allow_origins: list(given.allow_origins),
        expose_headers: list(given.expose_headers),
        max_age: given.max_age.map(seconds),
    };
    (cors != Cors::default()).then_some(cors)
}
