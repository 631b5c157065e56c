//! Every operation that is built, and the method that does it.

use wire::answer::{Answer, Streaming};
use wire::error::ServiceError;
use wire::lambda as api;

use super::Lambda;
use crate::Context;

/// Serves each operation with the inherent method of its name, which speaks of a `Failure` where the API speaks of
/// an error.
macro_rules! operations {
    ($($operation:ident($input:ident) -> $answer:ty;)*) => {
        impl api::Lambda for Lambda {
            type Context = Context;

            $(async fn $operation(
                &self,
                context: &Context,
                input: api::$input,
            ) -> Result<$answer, ServiceError> {
                Ok(Lambda::$operation(self, context, input).await?.into())
            })*
        }
    };
}

operations! {
    add_layer_version_permission(AddLayerVersionPermissionRequest) -> Answer<api::AddLayerVersionPermissionResponse>;
    add_permission(AddPermissionRequest) -> Answer<api::AddPermissionResponse>;
    create_alias(CreateAliasRequest) -> Answer<api::AliasConfiguration>;
    create_code_signing_config(CreateCodeSigningConfigRequest) -> Answer<api::CreateCodeSigningConfigResponse>;
    create_event_source_mapping(CreateEventSourceMappingRequest) -> Answer<api::EventSourceMappingConfiguration>;
    create_function(CreateFunctionRequest) -> Answer<api::FunctionConfiguration>;
    create_function_url_config(CreateFunctionUrlConfigRequest) -> Answer<api::CreateFunctionUrlConfigResponse>;
    delete_alias(DeleteAliasRequest) -> Answer<()>;
    delete_code_signing_config(DeleteCodeSigningConfigRequest) -> Answer<api::DeleteCodeSigningConfigResponse>;
    delete_event_source_mapping(DeleteEventSourceMappingRequest) -> Answer<api::EventSourceMappingConfiguration>;
    delete_function(DeleteFunctionRequest) -> Answer<api::DeleteFunctionResponse>;
    delete_function_code_signing_config(DeleteFunctionCodeSigningConfigRequest) -> Answer<()>;
    delete_function_concurrency(DeleteFunctionConcurrencyRequest) -> Answer<()>;
    delete_function_event_invoke_config(DeleteFunctionEventInvokeConfigRequest) -> Answer<()>;
    delete_function_url_config(DeleteFunctionUrlConfigRequest) -> Answer<()>;
    delete_layer_version(DeleteLayerVersionRequest) -> Answer<()>;
    delete_provisioned_concurrency_config(DeleteProvisionedConcurrencyConfigRequest) -> Answer<()>;
    delete_resource_policy(DeleteResourcePolicyRequest) -> Answer<()>;
    get_account_settings(GetAccountSettingsRequest) -> Answer<api::GetAccountSettingsResponse>;
    get_alias(GetAliasRequest) -> Answer<api::AliasConfiguration>;
    get_code_signing_config(GetCodeSigningConfigRequest) -> Answer<api::GetCodeSigningConfigResponse>;
    get_event_source_mapping(GetEventSourceMappingRequest) -> Answer<api::EventSourceMappingConfiguration>;
    get_function(GetFunctionRequest) -> Answer<api::GetFunctionResponse>;
    get_function_code_signing_config(GetFunctionCodeSigningConfigRequest) -> Answer<api::GetFunctionCodeSigningConfigResponse>;
    get_function_concurrency(GetFunctionConcurrencyRequest) -> Answer<api::GetFunctionConcurrencyResponse>;
    get_function_configuration(GetFunctionConfigurationRequest) -> Answer<api::FunctionConfiguration>;
    get_function_event_invoke_config(GetFunctionEventInvokeConfigRequest) -> Answer<api::FunctionEventInvokeConfig>;
    get_function_recursion_config(GetFunctionRecursionConfigRequest) -> Answer<api::GetFunctionRecursionConfigResponse>;
    get_function_scaling_config(GetFunctionScalingConfigRequest) -> Answer<api::GetFunctionScalingConfigResponse>;
    get_function_url_config(GetFunctionUrlConfigRequest) -> Answer<api::GetFunctionUrlConfigResponse>;
    get_layer_version(GetLayerVersionRequest) -> Answer<api::GetLayerVersionResponse>;
    get_layer_version_by_arn(GetLayerVersionByArnRequest) -> Answer<api::GetLayerVersionResponse>;
    get_layer_version_policy(GetLayerVersionPolicyRequest) -> Answer<api::GetLayerVersionPolicyResponse>;
    get_policy(GetPolicyRequest) -> Answer<api::GetPolicyResponse>;
    get_provisioned_concurrency_config(GetProvisionedConcurrencyConfigRequest) -> Answer<api::GetProvisionedConcurrencyConfigResponse>;
    get_resource_policy(GetResourcePolicyRequest) -> Answer<api::GetResourcePolicyResponse>;
    get_runtime_management_config(GetRuntimeManagementConfigRequest) -> Answer<api::GetRuntimeManagementConfigResponse>;
    invoke(InvocationRequest) -> Answer<api::InvocationResponse>;
    invoke_async(InvokeAsyncRequest) -> Answer<api::InvokeAsyncResponse>;
    invoke_with_response_stream(InvokeWithResponseStreamRequest) -> Streaming<api::InvokeWithResponseStreamResponse, api::InvokeWithResponseStreamResponseEvent>;
    list_aliases(ListAliasesRequest) -> Answer<api::ListAliasesResponse>;
    list_code_signing_configs(ListCodeSigningConfigsRequest) -> Answer<api::ListCodeSigningConfigsResponse>;
    list_event_source_mappings(ListEventSourceMappingsRequest) -> Answer<api::ListEventSourceMappingsResponse>;
    list_function_event_invoke_configs(ListFunctionEventInvokeConfigsRequest) -> Answer<api::ListFunctionEventInvokeConfigsResponse>;
    list_function_url_configs(ListFunctionUrlConfigsRequest) -> Answer<api::ListFunctionUrlConfigsResponse>;
    list_functions(ListFunctionsRequest) -> Answer<api::ListFunctionsResponse>;
    list_functions_by_code_signing_config(ListFunctionsByCodeSigningConfigRequest) -> Answer<api::ListFunctionsByCodeSigningConfigResponse>;
    list_layer_versions(ListLayerVersionsRequest) -> Answer<api::ListLayerVersionsResponse>;
    list_layers(ListLayersRequest) -> Answer<api::ListLayersResponse>;
    list_provisioned_concurrency_configs(ListProvisionedConcurrencyConfigsRequest) -> Answer<api::ListProvisionedConcurrencyConfigsResponse>;
    list_tags(ListTagsRequest) -> Answer<api::ListTagsResponse>;
    list_versions_by_function(ListVersionsByFunctionRequest) -> Answer<api::ListVersionsByFunctionResponse>;
    publish_layer_version(PublishLayerVersionRequest) -> Answer<api::PublishLayerVersionResponse>;
    publish_version(PublishVersionRequest) -> Answer<api::FunctionConfiguration>;
    put_function_code_signing_config(PutFunctionCodeSigningConfigRequest) -> Answer<api::PutFunctionCodeSigningConfigResponse>;
    put_function_concurrency(PutFunctionConcurrencyRequest) -> Answer<api::Concurrency>;
    put_function_event_invoke_config(PutFunctionEventInvokeConfigRequest) -> Answer<api::FunctionEventInvokeConfig>;
    put_function_recursion_config(PutFunctionRecursionConfigRequest) -> Answer<api::PutFunctionRecursionConfigResponse>;
    put_function_scaling_config(PutFunctionScalingConfigRequest) -> Answer<api::PutFunctionScalingConfigResponse>;
    put_provisioned_concurrency_config(PutProvisionedConcurrencyConfigRequest) -> Answer<api::PutProvisionedConcurrencyConfigResponse>;
    put_resource_policy(PutResourcePolicyRequest) -> Answer<api::PutResourcePolicyResponse>;
    put_runtime_management_config(PutRuntimeManagementConfigRequest) -> Answer<api::PutRuntimeManagementConfigResponse>;
    remove_layer_version_permission(RemoveLayerVersionPermissionRequest) -> Answer<()>;
    remove_permission(RemovePermissionRequest) -> Answer<()>;
    tag_resource(TagResourceRequest) -> Answer<()>;
    untag_resource(UntagResourceRequest) -> Answer<()>;
    update_alias(UpdateAliasRequest) -> Answer<api::AliasConfiguration>;
    update_code_signing_config(UpdateCodeSigningConfigRequest) -> Answer<api::UpdateCodeSigningConfigResponse>;
    update_event_source_mapping(UpdateEventSourceMappingRequest) -> Answer<api::EventSourceMappingConfiguration>;
    update_function_code(UpdateFunctionCodeRequest) -> Answer<api::FunctionConfiguration>;
    update_function_configuration(UpdateFunctionConfigurationRequest) -> Answer<api::FunctionConfiguration>;
    update_function_event_invoke_config(UpdateFunctionEventInvokeConfigRequest) -> Answer<api::FunctionEventInvokeConfig>;
    update_function_url_config(UpdateFunctionUrlConfigRequest) -> Answer<api::UpdateFunctionUrlConfigResponse>;
}
