//! A Lambda that answers what it is told to.

use std::sync::Mutex;

use wire::answer::{Answer, Streaming};
use wire::error::ServiceError;
use wire::lambda;
use wire::lambda::*;

/// Operations that a double does not have.
macro_rules! unbuilt {
    ($service:ident; $($name:ident($input:ident) -> $output:ty;)*) => {
        $(async fn $name(&self, _: &Self::Context, _: $service::$input) -> Result<Answer<$output>, ServiceError> {
            Err(ServiceError::not_built(stringify!($name)))
        })*
    };
}

/// Answers with what it is told to, and keeps what it was asked.
#[derive(Default)]
pub struct Fake {
    pub asked: Mutex<Vec<String>>,
    pub invoke: Mutex<Option<Answer<InvocationResponse>>>,
    pub error: Mutex<Option<ServiceError>>,
}

impl Fake {
    fn note(&self, input: &dyn std::fmt::Debug) {
        self.asked.lock().expect("no panic").push(format!("{input:?}"));
    }
}

impl Lambda for Fake {
    type Context = ();

    async fn create_function(
        &self,
        (): &(),
        input: CreateFunctionRequest,
    ) -> Result<Answer<FunctionConfiguration>, ServiceError> {
        self.note(&input);
        let configuration = FunctionConfiguration {
            function_name: Some(input.function_name),
            runtime: input.runtime,
            code_size: input.code.zip_file.map(|zip| zip.len() as i64),
            timeout: Some(3),
            last_modified: Some("2026-11-21T10:00:00.000+0000".into()),
            vpc_config: Some(VpcConfigResponse { subnet_ids: Some(vec![]), ..Default::default() }),
            state: Some(State::Pending),
            architectures: Some(vec![Architecture::X86_64]),
            environment: input
                .environment
                .map(|environment| EnvironmentResponse { variables: environment.variables, error: None }),
            ..Default::default()
        };
        Ok(configuration.into())
    }

    async fn delete_function(
        &self,
        (): &(),
        input: DeleteFunctionRequest,
    ) -> Result<Answer<DeleteFunctionResponse>, ServiceError> {
        self.note(&input);
        Ok(DeleteFunctionResponse { status_code: Some(204) }.into())
    }

    async fn get_function(
        &self,
        (): &(),
        input: GetFunctionRequest,
    ) -> Result<Answer<GetFunctionResponse>, ServiceError> {
        self.note(&input);
        Err(self.error.lock().expect("no panic").take().unwrap_or_else(ServiceError::internal))
    }

    async fn get_function_configuration(
        &self,
        (): &(),
        input: GetFunctionConfigurationRequest,
    ) -> Result<Answer<FunctionConfiguration>, ServiceError> {
        self.note(&input);
        Ok(FunctionConfiguration::default().into())
    }

    async fn invoke(
        &self,
        (): &(),
        input: InvocationRequest,
    ) -> Result<Answer<InvocationResponse>, ServiceError> {
        self.note(&input);
        Ok(self
            .invoke
            .lock()
            .expect("no panic")
            .take()
            .unwrap_or_else(|| InvocationResponse::default().into()))
    }

    async fn list_functions(
        &self,
        (): &(),
        input: ListFunctionsRequest,
    ) -> Result<Answer<ListFunctionsResponse>, ServiceError> {
        self.note(&input);
        Ok(ListFunctionsResponse { next_marker: None, functions: Some(vec![]) }.into())
    }

    async fn update_function_code(
        &self,
        (): &(),
        input: UpdateFunctionCodeRequest,
    ) -> Result<Answer<FunctionConfiguration>, ServiceError> {
        self.note(&input);
        Ok(FunctionConfiguration::default().into())
    }

    async fn update_function_configuration(
        &self,
        (): &(),
        input: UpdateFunctionConfigurationRequest,
    ) -> Result<Answer<FunctionConfiguration>, ServiceError> {
        self.note(&input);
        Ok(FunctionConfiguration::default().into())
    }

    async fn invoke_with_response_stream(
        &self,
        (): &(),
        _: InvokeWithResponseStreamRequest,
    ) -> Result<
        Streaming<InvokeWithResponseStreamResponse, InvokeWithResponseStreamResponseEvent>,
        ServiceError,
    > {
        Err(ServiceError::not_built("InvokeWithResponseStream"))
    }

    unbuilt! {
        lambda;
        add_layer_version_permission(AddLayerVersionPermissionRequest) -> AddLayerVersionPermissionResponse;
        add_permission(AddPermissionRequest) -> AddPermissionResponse;
        create_alias(CreateAliasRequest) -> AliasConfiguration;
        create_code_signing_config(CreateCodeSigningConfigRequest) -> CreateCodeSigningConfigResponse;
        create_event_source_mapping(CreateEventSourceMappingRequest) -> EventSourceMappingConfiguration;
        create_function_url_config(CreateFunctionUrlConfigRequest) -> CreateFunctionUrlConfigResponse;
        delete_alias(DeleteAliasRequest) -> ();
        delete_code_signing_config(DeleteCodeSigningConfigRequest) -> DeleteCodeSigningConfigResponse;
        delete_event_source_mapping(DeleteEventSourceMappingRequest) -> EventSourceMappingConfiguration;
        delete_function_code_signing_config(DeleteFunctionCodeSigningConfigRequest) -> ();
        delete_function_concurrency(DeleteFunctionConcurrencyRequest) -> ();
        delete_function_event_invoke_config(DeleteFunctionEventInvokeConfigRequest) -> ();
        delete_function_url_config(DeleteFunctionUrlConfigRequest) -> ();
        delete_layer_version(DeleteLayerVersionRequest) -> ();
        delete_provisioned_concurrency_config(DeleteProvisionedConcurrencyConfigRequest) -> ();
        delete_resource_policy(DeleteResourcePolicyRequest) -> ();
        get_account_settings(GetAccountSettingsRequest) -> GetAccountSettingsResponse;
        get_alias(GetAliasRequest) -> AliasConfiguration;
        get_code_signing_config(GetCodeSigningConfigRequest) -> GetCodeSigningConfigResponse;
        get_event_source_mapping(GetEventSourceMappingRequest) -> EventSourceMappingConfiguration;
        get_function_code_signing_config(GetFunctionCodeSigningConfigRequest) -> GetFunctionCodeSigningConfigResponse;
        get_function_concurrency(GetFunctionConcurrencyRequest) -> GetFunctionConcurrencyResponse;
        get_function_event_invoke_config(GetFunctionEventInvokeConfigRequest) -> FunctionEventInvokeConfig;
        get_function_recursion_config(GetFunctionRecursionConfigRequest) -> GetFunctionRecursionConfigResponse;
        get_function_scaling_config(GetFunctionScalingConfigRequest) -> GetFunctionScalingConfigResponse;
        get_function_url_config(GetFunctionUrlConfigRequest) -> GetFunctionUrlConfigResponse;
        get_layer_version(GetLayerVersionRequest) -> GetLayerVersionResponse;
        get_layer_version_by_arn(GetLayerVersionByArnRequest) -> GetLayerVersionResponse;
        get_layer_version_policy(GetLayerVersionPolicyRequest) -> GetLayerVersionPolicyResponse;
        get_policy(GetPolicyRequest) -> GetPolicyResponse;
        get_provisioned_concurrency_config(GetProvisionedConcurrencyConfigRequest) -> GetProvisionedConcurrencyConfigResponse;
        get_resource_policy(GetResourcePolicyRequest) -> GetResourcePolicyResponse;
        get_runtime_management_config(GetRuntimeManagementConfigRequest) -> GetRuntimeManagementConfigResponse;
        invoke_async(InvokeAsyncRequest) -> InvokeAsyncResponse;
        list_aliases(ListAliasesRequest) -> ListAliasesResponse;
        list_code_signing_configs(ListCodeSigningConfigsRequest) -> ListCodeSigningConfigsResponse;
        list_event_source_mappings(ListEventSourceMappingsRequest) -> ListEventSourceMappingsResponse;
        list_function_event_invoke_configs(ListFunctionEventInvokeConfigsRequest) -> ListFunctionEventInvokeConfigsResponse;
        list_function_url_configs(ListFunctionUrlConfigsRequest) -> ListFunctionUrlConfigsResponse;
        list_functions_by_code_signing_config(ListFunctionsByCodeSigningConfigRequest) -> ListFunctionsByCodeSigningConfigResponse;
        list_layer_versions(ListLayerVersionsRequest) -> ListLayerVersionsResponse;
        list_layers(ListLayersRequest) -> ListLayersResponse;
        list_provisioned_concurrency_configs(ListProvisionedConcurrencyConfigsRequest) -> ListProvisionedConcurrencyConfigsResponse;
        list_tags(ListTagsRequest) -> ListTagsResponse;
        list_versions_by_function(ListVersionsByFunctionRequest) -> ListVersionsByFunctionResponse;
        publish_layer_version(PublishLayerVersionRequest) -> PublishLayerVersionResponse;
        publish_version(PublishVersionRequest) -> FunctionConfiguration;
        put_function_code_signing_config(PutFunctionCodeSigningConfigRequest) -> PutFunctionCodeSigningConfigResponse;
        put_function_concurrency(PutFunctionConcurrencyRequest) -> Concurrency;
        put_function_event_invoke_config(PutFunctionEventInvokeConfigRequest) -> FunctionEventInvokeConfig;
        put_function_recursion_config(PutFunctionRecursionConfigRequest) -> PutFunctionRecursionConfigResponse;
        put_function_scaling_config(PutFunctionScalingConfigRequest) -> PutFunctionScalingConfigResponse;
        put_provisioned_concurrency_config(PutProvisionedConcurrencyConfigRequest) -> PutProvisionedConcurrencyConfigResponse;
        put_resource_policy(PutResourcePolicyRequest) -> PutResourcePolicyResponse;
        put_runtime_management_config(PutRuntimeManagementConfigRequest) -> PutRuntimeManagementConfigResponse;
        remove_layer_version_permission(RemoveLayerVersionPermissionRequest) -> ();
        remove_permission(RemovePermissionRequest) -> ();
        tag_resource(TagResourceRequest) -> ();
        untag_resource(UntagResourceRequest) -> ();
        update_alias(UpdateAliasRequest) -> AliasConfiguration;
        update_code_signing_config(UpdateCodeSigningConfigRequest) -> UpdateCodeSigningConfigResponse;
        update_event_source_mapping(UpdateEventSourceMappingRequest) -> EventSourceMappingConfiguration;
        update_function_event_invoke_config(UpdateFunctionEventInvokeConfigRequest) -> FunctionEventInvokeConfig;
        update_function_url_config(UpdateFunctionUrlConfigRequest) -> UpdateFunctionUrlConfigResponse;
    }
}
