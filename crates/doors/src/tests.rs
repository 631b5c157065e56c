//! Doors over real loopback sockets, with services that only echo.

mod admission;
mod layers;
mod limits;
mod metrics;
mod streaming;
mod surface;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use access::{AccessKey, FunctionIdentity, Gate, Secret, Vault};
use artifact::{Artifacts, InProcess};
use base::arn::{FunctionArn, Scope};
use base::clock::{Clock, Timestamp};
use base::random::Dice;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use services::Context;
use store::Blobs;
use store::memory::MemoryStore;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wire::answer::{Answer, Streaming};
use wire::error::ServiceError;
use wire::{lambda as api, logs};

use self::layers::Desk;
use crate::{Apis, Door, Endpoint, EndpointSetup, HostList, Reset};

const OPEN: &str = "Authorization: AWS4-HMAC-SHA256 Credential=000000000000/20261121/us-east-1/lambda/aws4_request, \
                    SignedHeaders=host, Signature=00\r\n";
const KEY: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// Operations that a double does not have.
macro_rules! unbuilt {
    ($service:ident; $($name:ident($input:ident) -> $output:ty;)*) => {
        $(async fn $name(&self, _: &Self::Context, _: $service::$input) -> Result<Answer<$output>, ServiceError> {
            Err(ServiceError::not_built(stringify!($name)))
        })*
    };
}

/// A Lambda that tells who asked, and panics when it is asked for the function `panic`.
struct Echo {
    finished: Arc<AtomicUsize>,
}

type Told<T> = Result<Answer<T>, ServiceError>;

impl api::Lambda for Echo {
    type Context = Context;

    async fn create_function(
        &self,
        _: &Context,
        input: api::CreateFunctionRequest,
    ) -> Told<api::FunctionConfiguration> {
        let size = input.code.zip_file.map(|zip| zip.len() as i64);
        Ok(api::FunctionConfiguration { code_size: size, ..Default::default() }.into())
    }

    async fn delete_function(
        &self,
        _: &Context,
        _: api::DeleteFunctionRequest,
    ) -> Told<api::DeleteFunctionResponse> {
        tokio::time::sleep(Duration::from_millis(200)).await;
        self.finished.fetch_add(1, Ordering::SeqCst);
        Ok(api::DeleteFunctionResponse { status_code: Some(204) }.into())
    }

    async fn get_function_configuration(
        &self,
        context: &Context,
        input: api::GetFunctionConfigurationRequest,
    ) -> Told<api::FunctionConfiguration> {
        assert!(input.function_name != "panic", "asked to");
        let Context { scope, principal, host, .. } = context;
        Ok(api::FunctionConfiguration {
            role: Some(principal.to_string()),
            description: Some(format!("{} {} {host}", scope.account, scope.region)),
            ..Default::default()
        }
        .into())
    }

    async fn invoke(
        &self,
        context: &Context,
        input: api::InvocationRequest,
    ) -> Told<api::InvocationResponse> {
        let executed_version = Some(context.request_id.to_string());
        Ok(api::InvocationResponse { payload: input.payload, executed_version, ..Default::default() }.into())
    }

    async fn list_functions(
        &self,
        _: &Context,
        _: api::ListFunctionsRequest,
    ) -> Told<api::ListFunctionsResponse> {
        Ok(api::ListFunctionsResponse { next_marker: None, functions: Some(Vec::new()) }.into())
    }

    async fn invoke_with_response_stream(
        &self,
        _: &Context,
        _: api::InvokeWithResponseStreamRequest,
    ) -> Result<
        Streaming<api::InvokeWithResponseStreamResponse, api::InvokeWithResponseStreamResponseEvent>,
        ServiceError,
    > {
        Err(ServiceError::not_built("InvokeWithResponseStream"))
    }

    unbuilt! {
        api;
        add_layer_version_permission(AddLayerVersionPermissionRequest) -> api::AddLayerVersionPermissionResponse;
        add_permission(AddPermissionRequest) -> api::AddPermissionResponse;
        create_alias(CreateAliasRequest) -> api::AliasConfiguration;
        create_code_signing_config(CreateCodeSigningConfigRequest) -> api::CreateCodeSigningConfigResponse;
        create_event_source_mapping(CreateEventSourceMappingRequest) -> api::EventSourceMappingConfiguration;
        create_function_url_config(CreateFunctionUrlConfigRequest) -> api::CreateFunctionUrlConfigResponse;
        delete_alias(DeleteAliasRequest) -> ();
        delete_code_signing_config(DeleteCodeSigningConfigRequest) -> api::DeleteCodeSigningConfigResponse;
        delete_event_source_mapping(DeleteEventSourceMappingRequest) -> api::EventSourceMappingConfiguration;
        delete_function_code_signing_config(DeleteFunctionCodeSigningConfigRequest) -> ();
        delete_function_concurrency(DeleteFunctionConcurrencyRequest) -> ();
        delete_function_event_invoke_config(DeleteFunctionEventInvokeConfigRequest) -> ();
        delete_function_url_config(DeleteFunctionUrlConfigRequest) -> ();
        delete_layer_version(DeleteLayerVersionRequest) -> ();
        delete_provisioned_concurrency_config(DeleteProvisionedConcurrencyConfigRequest) -> ();
        delete_resource_policy(DeleteResourcePolicyRequest) -> ();
        get_account_settings(GetAccountSettingsRequest) -> api::GetAccountSettingsResponse;
        get_alias(GetAliasRequest) -> api::AliasConfiguration;
        get_code_signing_config(GetCodeSigningConfigRequest) -> api::GetCodeSigningConfigResponse;
        get_event_source_mapping(GetEventSourceMappingRequest) -> api::EventSourceMappingConfiguration;
        get_function(GetFunctionRequest) -> api::GetFunctionResponse;
        get_function_code_signing_config(GetFunctionCodeSigningConfigRequest) -> api::GetFunctionCodeSigningConfigResponse;
        get_function_concurrency(GetFunctionConcurrencyRequest) -> api::GetFunctionConcurrencyResponse;
        get_function_event_invoke_config(GetFunctionEventInvokeConfigRequest) -> api::FunctionEventInvokeConfig;
        get_function_recursion_config(GetFunctionRecursionConfigRequest) -> api::GetFunctionRecursionConfigResponse;
        get_function_scaling_config(GetFunctionScalingConfigRequest) -> api::GetFunctionScalingConfigResponse;
        get_function_url_config(GetFunctionUrlConfigRequest) -> api::GetFunctionUrlConfigResponse;
        get_layer_version(GetLayerVersionRequest) -> api::GetLayerVersionResponse;
        get_layer_version_by_arn(GetLayerVersionByArnRequest) -> api::GetLayerVersionResponse;
        get_layer_version_policy(GetLayerVersionPolicyRequest) -> api::GetLayerVersionPolicyResponse;
        get_policy(GetPolicyRequest) -> api::GetPolicyResponse;
        get_provisioned_concurrency_config(GetProvisionedConcurrencyConfigRequest) -> api::GetProvisionedConcurrencyConfigResponse;
        get_resource_policy(GetResourcePolicyRequest) -> api::GetResourcePolicyResponse;
        get_runtime_management_config(GetRuntimeManagementConfigRequest) -> api::GetRuntimeManagementConfigResponse;
        invoke_async(InvokeAsyncRequest) -> api::InvokeAsyncResponse;
        list_aliases(ListAliasesRequest) -> api::ListAliasesResponse;
        list_code_signing_configs(ListCodeSigningConfigsRequest) -> api::ListCodeSigningConfigsResponse;
        list_event_source_mappings(ListEventSourceMappingsRequest) -> api::ListEventSourceMappingsResponse;
        list_function_event_invoke_configs(ListFunctionEventInvokeConfigsRequest) -> api::ListFunctionEventInvokeConfigsResponse;
        list_function_url_configs(ListFunctionUrlConfigsRequest) -> api::ListFunctionUrlConfigsResponse;
        list_functions_by_code_signing_config(ListFunctionsByCodeSigningConfigRequest) -> api::ListFunctionsByCodeSigningConfigResponse;
        list_layer_versions(ListLayerVersionsRequest) -> api::ListLayerVersionsResponse;
        list_layers(ListLayersRequest) -> api::ListLayersResponse;
        list_provisioned_concurrency_configs(ListProvisionedConcurrencyConfigsRequest) -> api::ListProvisionedConcurrencyConfigsResponse;
        list_tags(ListTagsRequest) -> api::ListTagsResponse;
        list_versions_by_function(ListVersionsByFunctionRequest) -> api::ListVersionsByFunctionResponse;
        publish_layer_version(PublishLayerVersionRequest) -> api::PublishLayerVersionResponse;
        publish_version(PublishVersionRequest) -> api::FunctionConfiguration;
        put_function_code_signing_config(PutFunctionCodeSigningConfigRequest) -> api::PutFunctionCodeSigningConfigResponse;
        put_function_concurrency(PutFunctionConcurrencyRequest) -> api::Concurrency;
        put_function_event_invoke_config(PutFunctionEventInvokeConfigRequest) -> api::FunctionEventInvokeConfig;
        put_function_recursion_config(PutFunctionRecursionConfigRequest) -> api::PutFunctionRecursionConfigResponse;
        put_function_scaling_config(PutFunctionScalingConfigRequest) -> api::PutFunctionScalingConfigResponse;
        put_provisioned_concurrency_config(PutProvisionedConcurrencyConfigRequest) -> api::PutProvisionedConcurrencyConfigResponse;
        put_resource_policy(PutResourcePolicyRequest) -> api::PutResourcePolicyResponse;
        put_runtime_management_config(PutRuntimeManagementConfigRequest) -> api::PutRuntimeManagementConfigResponse;
        remove_layer_version_permission(RemoveLayerVersionPermissionRequest) -> ();
        remove_permission(RemovePermissionRequest) -> ();
        tag_resource(TagResourceRequest) -> ();
        untag_resource(UntagResourceRequest) -> ();
        update_alias(UpdateAliasRequest) -> api::AliasConfiguration;
        update_code_signing_config(UpdateCodeSigningConfigRequest) -> api::UpdateCodeSigningConfigResponse;
        update_event_source_mapping(UpdateEventSourceMappingRequest) -> api::EventSourceMappingConfiguration;
        update_function_code(UpdateFunctionCodeRequest) -> api::FunctionConfiguration;
        update_function_configuration(UpdateFunctionConfigurationRequest) -> api::FunctionConfiguration;
        update_function_event_invoke_config(UpdateFunctionEventInvokeConfigRequest) -> api::FunctionEventInvokeConfig;
        update_function_url_config(UpdateFunctionUrlConfigRequest) -> api::UpdateFunctionUrlConfigResponse;
    }
}

/// Logs without any, but for live tails that send an update every few milliseconds for ever.
struct Silence {
    /// Held by each tail under way.
    tails: Arc<()>,
}

impl logs::Logs for Silence {
    type Context = Context;

    async fn start_live_tail(
        &self,
        context: &Context,
        _: logs::StartLiveTailRequest,
    ) -> Result<Streaming<logs::StartLiveTailResponse, logs::StartLiveTailResponseStream>, ServiceError> {
        let start = logs::LiveTailSessionStart {
            request_id: Some(context.request_id.to_string()),
            ..Default::default()
        };
        let told = stream::iter([logs::StartLiveTailResponseStream::SessionStart(start)]);
        let updates = stream::unfold(self.tails.clone(), |tail| async move {
            tokio::time::sleep(Duration::from_millis(5)).await;
            // Enough to fill what the system holds back for a client that does not read.
            let event =
                logs::LiveTailSessionLogEvent { message: Some("x".repeat(1 << 16)), ..Default::default() };
            let update =
                logs::LiveTailSessionUpdate { session_results: Some(vec![event]), ..Default::default() };
            Some((logs::StartLiveTailResponseStream::SessionUpdate(update), tail))
        });
        Ok(Streaming::new(logs::StartLiveTailResponse {}, told.chain(updates)))
    }

    unbuilt! {
        logs;
        associate_kms_key(AssociateKmsKeyRequest) -> ();
        create_log_group(CreateLogGroupRequest) -> ();
        create_log_stream(CreateLogStreamRequest) -> ();
        delete_log_group(DeleteLogGroupRequest) -> ();
        delete_log_stream(DeleteLogStreamRequest) -> ();
        delete_retention_policy(DeleteRetentionPolicyRequest) -> ();
        describe_log_groups(DescribeLogGroupsRequest) -> logs::DescribeLogGroupsResponse;
        describe_log_streams(DescribeLogStreamsRequest) -> logs::DescribeLogStreamsResponse;
        describe_queries(DescribeQueriesRequest) -> logs::DescribeQueriesResponse;
        disassociate_kms_key(DisassociateKmsKeyRequest) -> ();
        filter_log_events(FilterLogEventsRequest) -> logs::FilterLogEventsResponse;
        get_log_events(GetLogEventsRequest) -> logs::GetLogEventsResponse;
        get_query_results(GetQueryResultsRequest) -> logs::GetQueryResultsResponse;
        list_tags_for_resource(ListTagsForResourceRequest) -> logs::ListTagsForResourceResponse;
        list_tags_log_group(ListTagsLogGroupRequest) -> logs::ListTagsLogGroupResponse;
        put_log_events(PutLogEventsRequest) -> logs::PutLogEventsResponse;
        put_retention_policy(PutRetentionPolicyRequest) -> ();
        start_query(StartQueryRequest) -> logs::StartQueryResponse;
        stop_query(StopQueryRequest) -> logs::StopQueryResponse;
        tag_log_group(TagLogGroupRequest) -> ();
        tag_resource(TagResourceRequest) -> ();
        untag_log_group(UntagLogGroupRequest) -> ();
        untag_resource(UntagResourceRequest) -> ();
    }
}

/// An endpoint at a free port of loopback.
struct Bench {
    door: Door,
    address: SocketAddr,
    apis: Arc<Apis<Echo, Silence>>,
    artifacts: Artifacts,
    desk: Arc<Desk>,
    vault: Vault,
    finished: Arc<AtomicUsize>,
    resets: Arc<AtomicUsize>,
    tails: Arc<()>,
    clock: Clock,
    _directory: TempDir,
}

/// What an endpoint of a test is like.
struct Kind {
    closed: bool,
    reset: bool,
}

impl Bench {
    async fn open() -> Self {
        Self::of(Kind { closed: false, reset: true }).await
    }

    async fn of(kind: Kind) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Clock::starting_at(Timestamp::from_millis(1_795_255_200_000));
        let dice = Dice::seeded(1);
        let store = Arc::new(MemoryStore::new(clock));
        let unpacker = Arc::new(InProcess::new(directory.path()));
        let artifacts =
            Artifacts::open(store, Blobs::memory(), unpacker, directory.path(), clock, dice.clone())
                .await
                .unwrap();
        let vault = Vault::open(&directory.path().join("key"), dice.clone()).unwrap();
        let tails = Arc::new(());
        let silence = Silence { tails: tails.clone() };
        let (finished, resets) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let account = "000000000000".parse().unwrap();
        let key = AccessKey { id: KEY.into(), secret: Secret::new(SECRET), account: None };
        let apis = Arc::new(Apis { lambda: Echo { finished: finished.clone() }, logs: silence, clock });
        let counted = resets.clone();
        let reset: Reset = Arc::new(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            Box::pin(async { Ok(()) })
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let desk = Arc::new(Desk::default());
        let setup = EndpointSetup {
            apis: apis.clone(),
            gate: if kind.closed { Gate::closed(account, [key]) } else { Gate::open(account) },
            hosts: HostList::default(),
            artifacts: artifacts.clone(),
            layers: desk.clone(),
            vault: vault.clone(),
            reset: kind.reset.then_some(reset),
            measures: Arc::new(|| "samovar_pools 0\n".to_owned()),
            clock,
            dice,
        };
        let door = Endpoint::open(listener, setup);
        Self {
            door,
            address,
            apis,
            artifacts,
            desk,
            vault,
            finished,
            resets,
            tails,
            clock,
            _directory: directory,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Live tails under way.
    fn tails(&self) -> usize {
        // The bench and its service hold one each.
        Arc::strong_count(&self.tails) - 2
    }

    async fn wait_for_tails(&self, count: usize) {
        let settled = async {
            while self.tails() != count {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(300), settled).await.expect("tails end in time");
    }

    /// Sends these bytes and gives all that comes back until the server closes.
    async fn raw(&self, request: impl AsRef<[u8]>) -> String {
        exchange(self.address, request.as_ref()).await
    }

    /// One request with these header lines; the connection is closed after it.
    async fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> String {
        self.raw(request(method, path, headers, body)).await
    }
}

fn request(method: &str, path: &str, headers: &str, body: &str) -> String {
    let host = if headers.contains("Host:") { "" } else { "Host: localhost\r\n" };
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    format!("{method} {path} HTTP/1.1\r\n{host}{headers}{length}Connection: close\r\n\r\n{body}")
}

async fn exchange(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let (mut reading, mut writing) = stream.split();
    let mut answer = Vec::new();
    // The server may answer, and close, before it has taken everything.
    let (_, _) = tokio::join!(writing.write_all(request), reading.read_to_end(&mut answer));
    String::from_utf8_lossy(&answer).into_owned()
}

/// Status, error type and body.
fn told(answer: &str) -> String {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    let status = head.split(' ').nth(1).unwrap_or_default();
    let code = head.lines().find_map(|line| line.strip_prefix("x-amzn-errortype: ")).unwrap_or_default();
    [status, code, body].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let (head, _) = answer.split_once("\r\n\r\n")?;
    head.lines()
        .find_map(|line| line.split_once(": ").filter(|(key, _)| *key == name).map(|(_, value)| value))
}

fn identity() -> Arc<FunctionIdentity> {
    let scope = Scope { account: "999999999999".parse().unwrap(), region: "eu-west-1".parse().unwrap() };
    Arc::new(FunctionIdentity {
        function: FunctionArn::new(scope.clone(), "inside".parse().unwrap()),
        scope,
        role: "arn:aws:iam::999999999999:role/worker".into(),
        session: "inside".into(),
    })
}
