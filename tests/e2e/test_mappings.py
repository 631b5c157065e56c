"""Event source mappings against recorded answers: a table for each source of what is made, changed and refused."""

import json
import re
import time

import pytest

from recorded import ARNF, ECHO, UUID, invalid, not_found, user, value, violated
from samovar import ACCOUNT, REGION, create, until

PATH = "/2015-03-31/event-source-mappings"
ARN_MAPPING = f"arn:aws:lambda:{REGION}:{ACCOUNT}:event-source-mapping:"
MISSING = not_found("The resource you requested does not exist.")


def arn(service, rest):
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{rest}"


QUEUE, FIFO = arn("sqs", "q"), arn("sqs", "q.fifo")
STREAM = arn("kinesis", "stream/s")
CONSUMER = arn("kinesis", "stream/s/consumer/c:1700000000")
TABLE = arn("dynamodb", "table/t/stream/2026-01-01T00:00:00.000")
MSK = arn("kafka", "cluster/c/0a0b0c0d-0000-4000-8000-000000000000-1")
BROKER = arn("mq", "broker:b:b-0a0b0c0d-0000-4000-8000-000000000000")
DOCDB = arn("rds", "cluster:d")
SECRET = arn("secretsmanager", "secret:s")
BASIC = [{"Type": "BASIC_AUTH", "URI": SECRET}]
SERVERS = {"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": ["kafka:1000", "kafka:1001"]}}

# What a request names for each source beside the function, and nothing more than it needs.
SOURCES = {
    "sqs": {"EventSourceArn": QUEUE},
    "fifo": {"EventSourceArn": FIFO},
    "kinesis": {"EventSourceArn": STREAM, "StartingPosition": "LATEST"},
    "consumer": {"EventSourceArn": CONSUMER, "StartingPosition": "LATEST"},
    "dynamodb": {"EventSourceArn": TABLE, "StartingPosition": "TRIM_HORIZON"},
    "msk": {"EventSourceArn": MSK, "Topics": ["topic"]},
    "kafka": {"SelfManagedEventSource": SERVERS, "Topics": ["topic"], "SourceAccessConfigurations": BASIC},
    "mq": {"EventSourceArn": BROKER, "Queues": ["queue"], "SourceAccessConfigurations": BASIC},
    "docdb": {
        "EventSourceArn": DOCDB,
        "DocumentDBEventSourceConfig": {"DatabaseName": "data"},
        "SourceAccessConfigurations": BASIC,
    },
}
QUEUED = {
    "BatchSize": 10,
    "FunctionResponseTypes": [],
    "MaximumBatchingWindowInSeconds": 0,
    "StateTransitionReason": "USER_INITIATED",
}
STREAMED = {
    "BatchSize": 100,
    "BisectBatchOnFunctionError": False,
    "DestinationConfig": {"OnFailure": {}},
    "FunctionResponseTypes": [],
    "LastProcessingResult": "No records processed",
    "MaximumBatchingWindowInSeconds": 0,
    "MaximumRecordAgeInSeconds": -1,
    "MaximumRetryAttempts": -1,
    "ParallelizationFactor": 1,
    "StateTransitionReason": "User action",
    "TumblingWindowInSeconds": 0,
}
PULLED = {
    "BatchSize": 100,
    "LastProcessingResult": "No records processed",
    "StateTransitionReason": "USER_INITIATED",
}
# What the answer shows for each of them.
SHOWN = {
    "sqs": {**QUEUED, "EventSourceArn": QUEUE},
    "fifo": {**QUEUED, "EventSourceArn": FIFO},
    "kinesis": {**STREAMED, "EventSourceArn": STREAM, "StartingPosition": "LATEST"},
    "consumer": {**STREAMED, "EventSourceArn": CONSUMER, "StartingPosition": "LATEST"},
    "dynamodb": {**STREAMED, "EventSourceArn": TABLE, "StartingPosition": "TRIM_HORIZON"},
    "msk": {
        **PULLED,
        "AmazonManagedKafkaEventSourceConfig": {"ConsumerGroupId": "<uuid>"},
        "EventSourceArn": MSK,
        "StartingPosition": "TRIM_HORIZON",
        "Topics": ["topic"],
    },
    "kafka": {
        **PULLED,
        "SelfManagedEventSource": SERVERS,
        "SelfManagedKafkaEventSourceConfig": {"ConsumerGroupId": "<uuid>"},
        "SourceAccessConfigurations": BASIC,
        "StartingPosition": "TRIM_HORIZON",
        "Topics": ["topic"],
    },
    "mq": {**PULLED, "EventSourceArn": BROKER, "Queues": ["queue"], "SourceAccessConfigurations": BASIC},
    "docdb": {
        **PULLED,
        "DocumentDBEventSourceConfig": {"DatabaseName": "data", "FullDocument": "Default"},
        "EventSourceArn": DOCDB,
        "SourceAccessConfigurations": BASIC,
        "StartingPosition": "LATEST",
    },
}


def given(source, **members):
    """A request for a source with some members; None takes one away."""
    return {name: member for name, member in {**SOURCES[source], **members}.items() if member is not None}


def send(raw, method, path, body=b"", **more):
    """Status and body of an answer that is no error; the mapping's id is masked after it was checked."""
    status, headers, content = raw(method, path, body, **more)
    assert headers == {"content-type": "application/json"}, content
    mapping = json.loads(content)
    uuid, modified = mapping.pop("UUID"), mapping.pop("LastModified")
    assert re.fullmatch(UUID, uuid)
    assert isinstance(modified, (int, float)) and abs(modified - time.time()) < 600
    assert mapping.pop("EventSourceMappingArn") == ARN_MAPPING + uuid
    return status, json.loads(json.dumps(mapping).replace(uuid, "<uuid>")), uuid


def settled(raw, uuid):
    """The mapping when nothing is being brought about any more."""

    def once():
        mapping = json.loads(raw("GET", f"{PATH}/{uuid}")[2])
        return mapping if mapping["State"] in ("Enabled", "Disabled") else None

    return until(once)


@pytest.fixture
def function(lam, name):
    create(lam, name, ECHO)
    return name


@pytest.mark.parametrize("source", SOURCES)
def test_what_a_mapping_of_each_source_shows(raw, function, source):
    body = {"FunctionName": function, **SOURCES[source]}
    shown = {**SHOWN[source], "FunctionArn": ARNF + function}
    status, mapping, uuid = send(raw, "POST", PATH, body)
    assert (status, mapping) == (202, {**shown, "State": "Creating"})
    settled(raw, uuid)
    assert send(raw, "GET", f"{PATH}/{uuid}")[:2] == (200, {**shown, "State": "Enabled"})
    status, mapping, _ = send(raw, "DELETE", f"{PATH}/{uuid}")
    assert (status, mapping) == (202, {**shown, "State": "Deleting"})
    until(lambda: raw("GET", f"{PATH}/{uuid}")[0] == 404)
    assert raw.error("GET", f"{PATH}/{uuid}") == MISSING


FILTERS = {"Filters": [{"Pattern": '{"body":{"a":[1]}}'}, {"Pattern": '{"b":[{"exists":true}]}'}]}
REGISTRY = {
    "SchemaRegistryURI": "https://registry",
    "EventRecordFormat": "JSON",
    "AccessConfigs": [{"Type": "BASIC_AUTH", "URI": SECRET}],
    "SchemaValidationConfigs": [{"Attribute": "KEY"}],
}
POLLERS = {"MinimumPollers": 2, "MaximumPollers": 5}
# Members that are given, and what the answer shows otherwise than without them (None: it does not show it).
CHOSEN = [
    ("sqs", {"BatchSize": 10000, "MaximumBatchingWindowInSeconds": 300}, {}),
    ("sqs", {"BatchSize": 10}, {}),
    ("sqs", {"FilterCriteria": FILTERS}, {}),
    ("sqs", {"FilterCriteria": {"Filters": []}}, {"FilterCriteria": None}),
    ("sqs", {"FilterCriteria": {}}, {"FilterCriteria": None}),
    ("sqs", {"FunctionResponseTypes": ["ReportBatchItemFailures"]}, {}),
    ("sqs", {"ScalingConfig": {"MaximumConcurrency": 2}}, {}),
    ("sqs", {"ScalingConfig": {}}, {"ScalingConfig": None}),
    ("sqs", {"ProvisionedPollerConfig": POLLERS}, {}),
    (
        "sqs",
        {"ProvisionedPollerConfig": {"MinimumPollers": 3}},
        {"ProvisionedPollerConfig": {"MinimumPollers": 3, "MaximumPollers": 200}},
    ),
    ("sqs", {"MetricsConfig": {"Metrics": ["EventCount"]}}, {}),
    ("sqs", {"KMSKeyArn": arn("kms", "key/k")}, {}),
    ("sqs", {"Enabled": False}, {"State": "Disabled", "Enabled": None}),
    ("sqs", {"DestinationConfig": {}}, {"DestinationConfig": None}),
    ("fifo", {"BatchSize": 3, "MaximumBatchingWindowInSeconds": 0}, {}),
    (
        "kinesis",
        {
            "BatchSize": 10000,
            "MaximumBatchingWindowInSeconds": 1,
            "ParallelizationFactor": 10,
            "DestinationConfig": {"OnFailure": {"Destination": arn("sqs", "d")}},
            "MaximumRecordAgeInSeconds": 60,
            "BisectBatchOnFunctionError": True,
            "MaximumRetryAttempts": 0,
            "FilterCriteria": FILTERS,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "MetricsConfig": {"Metrics": ["EventCount"]},
        },
        {},
    ),
    ("kinesis", {"TumblingWindowInSeconds": 900, "MaximumRecordAgeInSeconds": -1}, {}),
    ("kinesis", {"StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": 1700000000.5}, {}),
    ("kinesis", {"DestinationConfig": {"OnFailure": {"Destination": ""}}}, {"DestinationConfig": {"OnFailure": {}}}),
    ("kinesis", {"DestinationConfig": {"OnFailure": {"Destination": "arn:aws:s3:::bucket"}}}, {}),
    ("dynamodb", {"BatchSize": 101, "StartingPosition": "LATEST"}, {}),
    ("dynamodb", {"Enabled": False}, {"Enabled": None}),
    ("msk", {"StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": 5}, {}),
    ("msk", {"AmazonManagedKafkaEventSourceConfig": {"ConsumerGroupId": "mine"}}, {}),
    ("msk", {"DestinationConfig": {"OnFailure": {"Destination": "kafka://failed"}}}, {}),
    ("msk", {"ProvisionedPollerConfig": {**POLLERS, "PollerGroupName": "group"}}, {}),
    (
        "msk",
        {
            "ProvisionedPollerConfig": {"MinimumPollers": 1, "MaximumPollers": 200},
            "AmazonManagedKafkaEventSourceConfig": {"ConsumerGroupId": "mine", "SchemaRegistryConfig": REGISTRY},
            "MetricsConfig": {"Metrics": ["EventCount", "ErrorCount", "KafkaMetrics"]},
            "LoggingConfig": {"SystemLogLevel": "DEBUG"},
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "MaximumRetryAttempts": 3,
            "MaximumRecordAgeInSeconds": 60,
            "BisectBatchOnFunctionError": True,
        },
        {},
    ),
    ("kafka", {"MaximumBatchingWindowInSeconds": 0, "FilterCriteria": FILTERS}, {}),
    (
        "kafka",
        {"SelfManagedKafkaEventSourceConfig": {}},
        {"SelfManagedKafkaEventSourceConfig": {"ConsumerGroupId": "<uuid>"}},
    ),
    ("mq", {"BatchSize": 1, "MaximumBatchingWindowInSeconds": 300, "FilterCriteria": FILTERS}, {}),
    (
        "mq",
        {"SourceAccessConfigurations": [*BASIC, {"Type": "VIRTUAL_HOST", "URI": "/"}]},
        {},
    ),
    (
        "docdb",
        {
            "DocumentDBEventSourceConfig": {
                "DatabaseName": "data",
                "CollectionName": "c",
                "FullDocument": "UpdateLookup",
            },
            "StartingPosition": "TRIM_HORIZON",
        },
        {},
    ),
]


def overlaid(shown, *layers):
    for layer in layers:
        shown = {**shown, **layer}
    return {name: member for name, member in shown.items() if member is not None}


@pytest.mark.parametrize(("source", "members", "otherwise"), CHOSEN)
def test_what_is_chosen_is_shown(raw, function, source, members, otherwise):
    status, mapping, uuid = send(raw, "POST", PATH, {"FunctionName": function, **given(source, **members)})
    shown = overlaid(SHOWN[source], {"State": "Creating", "FunctionArn": ARNF + function}, members, otherwise)
    assert (status, mapping) == (202, shown)
    assert send(raw, "GET", f"{PATH}/{uuid}")[:2] == (200, shown)


def unsupported(member):
    return invalid(f"Unsupported {member} parameter for given event source mapping type.")


def pollers(number, member, bound):
    return invalid(
        "1 validation error detected: " + value(f"'{number}'", f"provisionedPollerConfig.{member}", f"have value {bound}")
    )


DESTINATION = {"OnFailure": {"Destination": arn("sqs", "d")}}
NO_START = invalid("1 validation error detected: " + value("null", "startingPosition", "not be null") + ".")
NO_WINDOW = invalid(
    "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"
)
NO_FILTER = invalid("Invalid filter pattern definition.")
UNKNOWN = invalid("Unrecognized event source.")
STRAY = invalid("Timestamp only valid with StartingPosition AT_TIMESTAMP")
QUEUE_START = invalid("StartingPosition is not valid for SQS event sources.")
REFUSED = [
    # No source, or none that there is.
    ("sqs", {"EventSourceArn": None}, UNKNOWN),
    ("sqs", {"EventSourceArn": arn("sns", "topic")}, UNKNOWN),
    ("kafka", {"SelfManagedEventSource": {}}, UNKNOWN),
    # Queues.
    ("sqs", {"BatchSize": 11}, NO_WINDOW),
    ("sqs", {"BatchSize": 11, "MaximumBatchingWindowInSeconds": 0}, NO_WINDOW),
    ("fifo", {"BatchSize": 11}, NO_WINDOW),
    ("fifo", {"MaximumBatchingWindowInSeconds": 5}, invalid("Batching window is not supported for FIFO queues")),
    ("sqs", {"StartingPosition": "LATEST"}, QUEUE_START),
    ("sqs", {"StartingPosition": "LATEST", "StartingPositionTimestamp": 1}, QUEUE_START),
    ("sqs", {"DestinationConfig": DESTINATION}, unsupported("DestinationConfig")),
    ("sqs", {"DestinationConfig": {"OnSuccess": {"Destination": arn("sqs", "d")}}}, unsupported("DestinationConfig")),
    ("sqs", {"ParallelizationFactor": 1}, unsupported("ParallelizationFactor")),
    ("sqs", {"MaximumRetryAttempts": 1}, unsupported("MaximumRetryAttempts")),
    ("sqs", {"MaximumRecordAgeInSeconds": 60}, unsupported("MaximumRecordAgeInSeconds")),
    ("sqs", {"BisectBatchOnFunctionError": False}, unsupported("BisectBatchOnFunctionError")),
    ("sqs", {"TumblingWindowInSeconds": 0}, unsupported("TumblingWindowInSeconds")),
    ("sqs", {"Topics": ["topic"]}, unsupported("Topics")),
    ("sqs", {"Queues": ["queue"]}, unsupported("Queues")),
    ("sqs", {"SelfManagedEventSource": SERVERS}, unsupported("SelfManagedEventSource")),
    ("sqs", {"SourceAccessConfigurations": BASIC}, unsupported("SourceAccessConfigurations")),
    ("sqs", {"LoggingConfig": {"SystemLogLevel": "INFO"}}, unsupported("LoggingConfig")),
    ("sqs", {"MetricsConfig": {"Metrics": ["KafkaMetrics"]}}, unsupported("MetricsConfig")),
    ("sqs", {"DocumentDBEventSourceConfig": {}}, unsupported("DocumentDBEventSourceConfig")),
    ("sqs", {"AmazonManagedKafkaEventSourceConfig": {}}, unsupported("AmazonManagedKafkaEventSourceConfig")),
    ("sqs", {"ProvisionedPollerConfig": {**POLLERS, "PollerGroupName": "g"}}, unsupported("PollerGroupName")),
    (
        "sqs",
        {"ProvisionedPollerConfig": {"MinimumPollers": 1}},
        pollers(1, "minimumPollers", "greater than or equal to 2"),
    ),
    (
        "sqs",
        {"ProvisionedPollerConfig": {"MinimumPollers": 5, "MaximumPollers": 4}},
        invalid("MinimumPollers must not be greater than MaximumPollers."),
    ),
    (
        "sqs",
        {"ProvisionedPollerConfig": POLLERS, "ScalingConfig": {"MaximumConcurrency": 2}},
        invalid("ScalingConfig and ProvisionedPollerConfig are mutually exclusive."),
    ),
    # Filters.
    ("sqs", {"FilterCriteria": {"Filters": [{"Pattern": "plain"}]}}, NO_FILTER),
    ("sqs", {"FilterCriteria": {"Filters": [{"Pattern": '{"eventName": ["INSERT"=123}'}]}}, NO_FILTER),
    ("sqs", {"FilterCriteria": {"Filters": [{}]}}, NO_FILTER),
    ("sqs", {"FilterCriteria": {"Filters": [{"Pattern": '{"a":"x"}'}]}}, NO_FILTER),
    (
        "sqs",
        {"FilterCriteria": {"Filters": [{"Pattern": '{"a":[1]}'}] * 6}},
        invalid("An event source mapping cannot have more than 5 filters."),
    ),
    # Streams.
    ("kinesis", {"StartingPosition": None}, NO_START),
    ("dynamodb", {"StartingPosition": None}, NO_START),
    ("kinesis", {"StartingPositionTimestamp": 1}, STRAY),
    ("dynamodb", {"StartingPositionTimestamp": 1}, STRAY),
    ("kinesis", {"StartingPosition": "AT_TIMESTAMP"}, invalid("Need to specify a timestamp")),
    (
        "kinesis",
        {"StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": -1},
        invalid(
            "Received Exception while reading from provided stream. class java.lang.Long can not be converted to a "
            "Timestamp"
        ),
    ),
    (
        "dynamodb",
        {"StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": -1},
        invalid(f"Unsupported starting position for arn type: {TABLE}"),
    ),
    (
        "dynamodb",
        {"StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": 1},
        invalid(f"Unsupported starting position for arn type: {TABLE}"),
    ),
    ("kinesis", {"ScalingConfig": {"MaximumConcurrency": 2}}, unsupported("ScalingConfig")),
    ("kinesis", {"ProvisionedPollerConfig": POLLERS}, unsupported("ProvisionedPollerConfig")),
    ("kinesis", {"DestinationConfig": {"OnSuccess": {}}}, unsupported("DestinationConfig")),
    (
        "kinesis",
        {"DestinationConfig": {"OnFailure": {"Destination": "kafka://topic"}}},
        invalid(
            "The provided destination config DestinationConfig(onSuccess=null, "
            "onFailure=OnFailure(destination=kafka://topic)) is invalid."
        ),
    ),
    (
        "kinesis",
        {"MaximumRecordAgeInSeconds": 59},
        invalid(
            "1 validation error detected: "
            + value("'59'", "maximumRecordAgeInSeconds", "have value greater than or equal to 60")
        ),
    ),
    (
        "kinesis",
        {"TumblingWindowInSeconds": 1, "ParallelizationFactor": 2},
        invalid("Tumbling windows are not supported with a ParallelizationFactor greater than 1."),
    ),
    (
        "dynamodb",
        {"TumblingWindowInSeconds": 1, "FilterCriteria": FILTERS},
        invalid("Tumbling windows are not supported with FilterCriteria."),
    ),
    # Kafka.
    ("kafka", {"Topics": None}, invalid("Required 'topics' parameter is missing.")),
    ("msk", {"Topics": None}, invalid("Required 'topics' parameter is missing.")),
    (
        "kafka",
        {"SourceAccessConfigurations": None},
        invalid("Required 'sourceAccessConfigurations' parameter is missing."),
    ),
    ("kafka", {"Queues": ["queue"]}, unsupported("'queues'")),
    (
        "kafka",
        {"StartingPosition": "AT_TIMESTAMP"},
        invalid("When the starting position is 'AT_TIMESTAMP', a starting position timestamp must be provided."),
    ),
    ("msk", {"ParallelizationFactor": 1}, unsupported("'parallelizationFactor'")),
    ("msk", {"MetricsConfig": {"Metrics": ["EventCount"]}}, unsupported("'metricsConfig'")),
    ("msk", {"SelfManagedKafkaEventSourceConfig": {}}, unsupported("'selfManagedKafkaEventSourceConfig'")),
    (
        "msk",
        {"ProvisionedPollerConfig": {"MaximumPollers": 2001}},
        pollers(2001, "maximumPollers", "less than or equal to 2000"),
    ),
    (
        "kafka",
        {"SelfManagedKafkaEventSourceConfig": {"ConsumptionMode": "Queue"}},
        unsupported("'ConsumptionMode'"),
    ),
    (
        "kafka",
        {"SelfManagedKafkaEventSourceConfig": {"SchemaRegistryConfig": REGISTRY}},
        unsupported("'selfManagedKafkaEventSourceConfig.schemaRegistryConfig'"),
    ),
    # Amazon MQ.
    ("mq", {"Queues": None}, invalid("Required 'queues' parameter is missing.")),
    (
        "mq",
        {"SourceAccessConfigurations": []},
        invalid("Required 'sourceAccessConfigurations' parameter is missing."),
    ),
    ("mq", {"StartingPosition": "LATEST"}, unsupported("'startingPosition'")),
    ("mq", {"FunctionResponseTypes": []}, unsupported("'functionResponseTypes'")),
    ("mq", {"DestinationConfig": DESTINATION}, unsupported("'destinationConfig'")),
    # DocumentDB.
    (
        "docdb",
        {"DocumentDBEventSourceConfig": None},
        invalid("Invalid parameters: documentDBEventSourceConfig, databaseName"),
    ),
    ("docdb", {"DocumentDBEventSourceConfig": {}}, invalid("Invalid parameters: databaseName")),
    (
        "docdb",
        {"SourceAccessConfigurations": None},
        invalid("Invalid parameters: sourceAccessConfigurations, sourceAccessConfigurations"),
    ),
    ("docdb", {"FilterCriteria": FILTERS}, unsupported("'filterCriteria'")),
    # The function.
    ("sqs", {"FunctionName": "nope"}, invalid("Function does not exist")),
    ("sqs", {"FunctionName": "E:7"}, invalid("Function does not exist")),
    ("sqs", {"FunctionName": "E:live"}, invalid("Function does not exist")),
    ("sqs", {"FunctionName": "a.b"}, invalid("Function does not exist")),
    # The front end.
    ("sqs", {"BatchSize": 0}, violated(value("'0'", "batchSize", "have value greater than or equal to 1"))),
    ("sqs", {"BatchSize": 10001}, violated(value("'10001'", "batchSize", "have value less than or equal to 10000"))),
    (
        "kinesis",
        {"StartingPosition": "0"},
        violated(
            value("'0'", "startingPosition", "satisfy enum value set: [LATEST, AT_TIMESTAMP, TRIM_HORIZON]")
        ),
    ),
    (
        "kafka",
        {"Topics": ["one", "two"]},
        violated(value("'[one, two]'", "topics", "have length less than or equal to 1")),
    ),
    ("sqs", {"FunctionName": None}, violated(value("null", "functionName", "not be null"))),
]


@pytest.mark.parametrize(("source", "members", "answer"), REFUSED)
def test_what_does_not_fit_is_refused(raw, echo, source, members, answer):
    body = json.dumps(given(source, **{"FunctionName": echo, **members})).replace('"E:', f'"{echo}:').encode()
    assert raw.error("POST", PATH, body) == answer


def test_other_tags_than_a_resource_may_have_are_refused(raw, echo):
    tags = {f"k{number}": "v" for number in range(51)}
    body = {"FunctionName": echo, **SOURCES["sqs"], "Tags": tags}
    assert raw.error("POST", PATH, body) == invalid("Number of tags exceeds resource tag limit.")


# Changes of a mapping, one after another, and what is then shown otherwise.
CHANGES = {
    "sqs": [
        ({"BatchSize": 20, "MaximumBatchingWindowInSeconds": 2}, {}),
        ({"FilterCriteria": FILTERS, "FunctionResponseTypes": ["ReportBatchItemFailures"]}, {}),
        ({"FilterCriteria": {}, "FunctionResponseTypes": []}, {"FilterCriteria": None}),
        ({"ScalingConfig": {"MaximumConcurrency": 1000}}, {}),
        ({"ScalingConfig": {}}, {"ScalingConfig": None}),
        ({"ProvisionedPollerConfig": POLLERS}, {}),
        ({"ProvisionedPollerConfig": {}}, {"ProvisionedPollerConfig": None}),
        ({"KMSKeyArn": arn("kms", "key/k")}, {}),
        ({"KMSKeyArn": ""}, {"KMSKeyArn": None}),
    ],
    "kinesis": [
        ({"MaximumRetryAttempts": 10000, "MaximumRecordAgeInSeconds": 604800}, {}),
        ({"MaximumRetryAttempts": -1}, {}),
        ({"DestinationConfig": DESTINATION}, {}),
        ({"DestinationConfig": {"OnFailure": {"Destination": ""}}}, {"DestinationConfig": {"OnFailure": {}}}),
        ({"ParallelizationFactor": 2, "BisectBatchOnFunctionError": True}, {}),
    ],
    "kafka": [
        (
            {
                "ProvisionedPollerConfig": POLLERS,
                "SelfManagedKafkaEventSourceConfig": {"SchemaRegistryConfig": REGISTRY},
            },
            {
                "SelfManagedKafkaEventSourceConfig": {
                    "ConsumerGroupId": "<uuid>",
                    "SchemaRegistryConfig": REGISTRY,
                }
            },
        ),
        # An empty block changes nothing, an empty registry takes the registry away.
        (
            {"SelfManagedKafkaEventSourceConfig": {}},
            {
                "SelfManagedKafkaEventSourceConfig": {
                    "ConsumerGroupId": "<uuid>",
                    "SchemaRegistryConfig": REGISTRY,
                }
            },
        ),
        (
            {"SelfManagedKafkaEventSourceConfig": {"SchemaRegistryConfig": {}}},
            {"SelfManagedKafkaEventSourceConfig": {"ConsumerGroupId": "<uuid>"}},
        ),
        ({"MetricsConfig": {"Metrics": ["ErrorCount"]}}, {}),
        ({"MetricsConfig": {"Metrics": []}}, {}),
    ],
    "docdb": [
        (
            {"DocumentDBEventSourceConfig": {"DatabaseName": "other", "CollectionName": "c"}},
            {
                "DocumentDBEventSourceConfig": {
                    "DatabaseName": "other",
                    "CollectionName": "c",
                    "FullDocument": "Default",
                }
            },
        ),
    ],
}


@pytest.mark.parametrize("source", CHANGES)
def test_changes_leave_what_they_do_not_name(raw, function, source):
    _, shown, uuid = send(raw, "POST", PATH, {"FunctionName": function, **SOURCES[source]})
    for members, otherwise in CHANGES[source]:
        settled(raw, uuid)
        shown = overlaid(shown, members, otherwise, {"State": "Updating"})
        status, mapping, _ = send(raw, "PUT", f"{PATH}/{uuid}", members)
        assert (status, mapping) == (202, shown)
    settled(raw, uuid)
    assert send(raw, "GET", f"{PATH}/{uuid}")[1] == {**shown, "State": "Enabled"}


@pytest.mark.parametrize(
    ("source", "members", "answer"),
    [
        ("sqs", {"BatchSize": 11}, NO_WINDOW),
        ("sqs", {"FilterCriteria": {"Filters": [{"Pattern": "x"}]}}, NO_FILTER),
        ("sqs", {"FunctionName": "nope"}, invalid("Function does not exist")),
        ("sqs", {"DestinationConfig": DESTINATION}, unsupported("DestinationConfig")),
        (
            "kafka",
            {"SelfManagedKafkaEventSourceConfig": {"ConsumerGroupId": "other"}},
            unsupported("'selfManagedKafkaEventSourceConfig.consumerGroupId'"),
        ),
        ("kafka", {"MaximumRetryAttempts": 1}, unsupported("'maximumRetryAttempts'")),
    ],
)
def test_a_change_is_refused_as_a_creation_is(raw, function, source, members, answer):
    uuid = send(raw, "POST", PATH, {"FunctionName": function, **SOURCES[source]})[2]
    settled(raw, uuid)
    assert raw.error("PUT", f"{PATH}/{uuid}", members) == answer


UNMADE = "0a0b0c0d-0000-4000-8000-000000000000"


@pytest.mark.parametrize(("method", "body"), [("GET", b""), ("PUT", {}), ("DELETE", b"")])
@pytest.mark.parametrize("uuid", [UNMADE, UNMADE.upper(), "x" * 36])
def test_what_is_not_there_is_said_to_be_missing(raw, method, body, uuid):
    assert raw.error(method, f"{PATH}/{uuid}", body) == MISSING


def test_an_id_of_another_length_is_none(raw):
    assert raw.error("GET", f"{PATH}/short") == violated(
        value("'short'", "uUID", "have length greater than or equal to 36")
    )


def exists(words, uuid):
    words = f"{words} already exists. Please update or delete the existing mapping with UUID {uuid}"
    return 409, "ResourceConflictException", user("message", words)


def test_a_function_reads_no_source_twice(raw, function):
    own = ARNF + function
    rows = {
        "sqs": f'An event source mapping with SQS arn (" {QUEUE} ") and function (" {function} ")',
        "kinesis": f'The event source arn (" {STREAM} ") and function (" {function} ") provided mapping',
        "kafka": f'An event source mapping with event source ("kafka:1000,kafka:1001"), function ("{own}"), '
        'topics ("topic")',
        "msk": f'An event source mapping with event source ("{MSK}"), function ("{own}"), topics ("topic")',
        "mq": f'An event source mapping with event source ("{BROKER}"), function ("{own}"), queues ("queue")',
    }
    for source, words in rows.items():
        uuid = send(raw, "POST", PATH, {"FunctionName": function, **SOURCES[source]})[2]
        # Whatever the function is called by, and also while the first one is being made.
        for name in (function, f"function:{function}", f"{ACCOUNT}:function:{function}", own):
            assert raw.error("POST", PATH, {"FunctionName": name, **SOURCES[source]}) == exists(words, uuid)
    # Another qualifier, another queue and another topic are other pairs.
    send(raw, "POST", PATH, {"FunctionName": f"{function}:$LATEST", **SOURCES["sqs"]})
    send(raw, "POST", PATH, {"FunctionName": function, **SOURCES["fifo"]})
    send(raw, "POST", PATH, {"FunctionName": function, **given("kafka", Topics=["other"])})


def test_a_change_does_not_make_a_function_read_twice(raw, lam, function):
    create(lam, other := f"{function}-other", ECHO)
    first = send(raw, "POST", PATH, {"FunctionName": function, **SOURCES["sqs"]})[2]
    second = send(raw, "POST", PATH, {"FunctionName": other, **SOURCES["sqs"]})[2]
    settled(raw, first), settled(raw, second)
    words = f'An event source mapping with SQS arn (" {QUEUE} ") and function (" {function} ")'
    assert raw.error("PUT", f"{PATH}/{second}", {"FunctionName": function}) == exists(words, first)
    moved = send(raw, "PUT", f"{PATH}/{second}", {"FunctionName": f"{function}:$LATEST"})[1]
    assert moved["FunctionArn"] == f"{ARNF}{function}:$LATEST"


def test_lists_find_by_source_and_by_function_in_pages(server, raw):
    account = "565656565656"
    lam = server.client("lambda", account=account)
    arnf = f"arn:aws:lambda:{REGION}:{account}:function:"
    for name in ("one", "two"):
        create(lam, name, ECHO)
    made = {}
    for name in ("one", "two", "one:$LATEST"):
        for source in ("sqs", "kinesis"):
            made[name, source] = lam.create_event_source_mapping(FunctionName=name, **SOURCES[source])["UUID"]

    def listed(**query):
        page = lam.list_event_source_mappings(**query)
        assert "NextMarker" not in page
        return [mapping["UUID"] for mapping in page["EventSourceMappings"]]

    assert listed() == sorted(made.values())
    assert listed(EventSourceArn=QUEUE) == sorted(uuid for (_, source), uuid in made.items() if source == "sqs")
    ones = sorted([made["one", "sqs"], made["one", "kinesis"]])
    for form in ("one", "function:one", f"{account}:function:one", f"{arnf}one"):
        assert listed(FunctionName=form) == ones, form
    assert listed(FunctionName="one:$LATEST", EventSourceArn=STREAM) == [made["one:$LATEST", "kinesis"]]
    assert listed(FunctionName="on") == listed(FunctionName="one:live") == listed(FunctionName="a.b") == []
    # Pages lead on whatever is deleted meanwhile.
    page = lam.list_event_source_mappings(MaxItems=4)
    assert [mapping["UUID"] for mapping in page["EventSourceMappings"]] == sorted(made.values())[:4]
    last = sorted(made.values())[3]
    until(lambda: lam.get_event_source_mapping(UUID=last)["State"] == "Enabled")
    lam.delete_event_source_mapping(UUID=last)
    rest = lam.list_event_source_mappings(Marker=page["NextMarker"])
    assert [mapping["UUID"] for mapping in rest["EventSourceMappings"]] == sorted(made.values())[4:]
    assert raw("GET", PATH, account="676767676767")[2] == b'{"EventSourceMappings":[]}'
    assert raw.error("GET", f"{PATH}?Marker=x") == invalid("Invalid Marker")


def test_lists_do_not_show_filters_under_a_customers_key(lam, function):
    more = {**SOURCES["sqs"], "FilterCriteria": FILTERS, "KMSKeyArn": arn("kms", "key/k")}
    uuid = lam.create_event_source_mapping(FunctionName=function, **more)["UUID"]
    assert lam.get_event_source_mapping(UUID=uuid)["FilterCriteria"] == FILTERS
    (listed,) = lam.list_event_source_mappings(FunctionName=function)["EventSourceMappings"]
    assert "FilterCriteria" not in listed and listed["KMSKeyArn"] == more["KMSKeyArn"]
