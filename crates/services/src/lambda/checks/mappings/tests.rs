use std::sync::Arc;

use catalogue::FunctionKey;

use super::*;

const KINDS: [SourceKind; 7] = [
    SourceKind::Sqs,
    SourceKind::Kinesis,
    SourceKind::DynamoDb,
    SourceKind::Msk,
    SourceKind::Kafka,
    SourceKind::Mq,
    SourceKind::DocumentDb,
];

type Input = api::UpdateEventSourceMappingRequest;

type Row = (&'static str, fn() -> Input, &'static str);

/// A member, and for each kind of source whether it is known: `y`es, `n`o, or only with `p`ollers kept ready.
const TABLE: [Row; 14] = [
    ("DestinationConfig", || Input { destination_config: destination("d"), ..Input::default() }, "nyyyynn"),
    ("FilterCriteria", || Input { filter_criteria: filters("{}"), ..Input::default() }, "yyyyyyn"),
    ("ParallelizationFactor", || Input { parallelization_factor: Some(1), ..Input::default() }, "nyynnnn"),
    ("MaximumRecordAge", || Input { maximum_record_age_in_seconds: Some(60), ..Input::default() }, "nyyppnn"),
    ("Bisect", || Input { bisect_batch_on_function_error: Some(false), ..Input::default() }, "nyyppnn"),
    ("MaximumRetryAttempts", || Input { maximum_retry_attempts: Some(1), ..Input::default() }, "nyyppnn"),
    ("TumblingWindow", || Input { tumbling_window_in_seconds: Some(0), ..Input::default() }, "nyynnnn"),
    (
        "FunctionResponseTypes",
        || Input { function_response_types: Some(vec![]), ..Input::default() },
        "yyyppnn",
    ),
    ("ScalingConfig", || Input { scaling_config: Some(Default::default()), ..Input::default() }, "ynnnnnn"),
    (
        "Pollers",
        || Input { provisioned_poller_config: Some(Default::default()), ..Input::default() },
        "ynnyynn",
    ),
    ("MetricsConfig", || Input { metrics_config: Some(Default::default()), ..Input::default() }, "yyyppnn"),
    ("LoggingConfig", || Input { logging_config: Some(Default::default()), ..Input::default() }, "nnnppnn"),
    ("Access", || Input { source_access_configurations: Some(vec![]), ..Input::default() }, "nnnyyyy"),
    ("BatchSize", || Input { batch_size: Some(1), ..Input::default() }, "yyyyyyy"),
];

fn destination(arn: &str) -> Option<api::DestinationConfig> {
    let on_failure = Some(api::OnFailure { destination: Some(arn.to_owned()) });
    Some(api::DestinationConfig { on_success: None, on_failure })
}

fn filters(pattern: &str) -> Option<api::FilterCriteria> {
    Some(api::FilterCriteria { filters: Some(vec![api::Filter { pattern: Some(pattern.to_owned()) }]) })
}

#[test]
fn each_source_knows_its_own_members() {
    for (name, input, expected) in TABLE {
        let known = |kind| match (members(kind, &input(), false), members(kind, &input(), true)) {
            (Ok(()), Ok(())) => 'y',
            (Err(_), Ok(())) => 'p',
            (Err(_), Err(_)) => 'n',
            (Ok(()), Err(error)) => panic!("{name}: pollers make it worse: {error}"),
        };
        assert_eq!(KINDS.map(known).iter().collect::<String>(), expected, "{name}");
    }
}

#[test]
fn an_empty_destination_is_none() {
    let input = Input { destination_config: destination(""), ..Input::default() };
    assert!(KINDS.iter().all(|kind| members(*kind, &input, false) == Ok(())));
}

#[test]
fn two_services_refuse_in_two_forms() {
    let words = |kind| unsupported(kind, "DocumentDBEventSourceConfig.DatabaseName").to_string();
    let rest = "parameter for given event source mapping type.";
    assert_eq!(
        words(SourceKind::Sqs),
        format!("Unsupported DocumentDBEventSourceConfig.DatabaseName {rest}")
    );
    assert_eq!(
        words(SourceKind::Mq),
        format!("Unsupported 'documentDBEventSourceConfig.databaseName' {rest}")
    );
}

#[test]
fn queues_wait_only_for_what_they_can_wait_for() {
    let check = |queue: &str, batch_size, window: Option<u64>| {
        let window = window.map(Duration::from_secs);
        let chosen = Settings { batch_size, window, ..Settings::default_of(SourceKind::Sqs) };
        settings(&Source::Sqs { queue: queue.into() }, &chosen)
    };
    assert_eq!(check("q", 10, Some(0)), Ok(()));
    assert_eq!(check("q", 11, Some(1)), Ok(()));
    assert_eq!(check("q", 11, Some(0)), Err(MappingRefusal::NoWindow));
    assert_eq!(check("q", 11, None), Err(MappingRefusal::NoWindow));
    assert_eq!(check("q.fifo", 10, Some(0)), Ok(()));
    assert_eq!(check("q.fifo", 11, Some(1)), Err(MappingRefusal::FifoWindow));
    assert_eq!(check("q.fifo", 11, Some(0)), Err(MappingRefusal::NoWindow));
}

#[test]
fn pollers_keep_to_the_bounds_of_their_source() {
    let check = |kind, minimum, maximum, group: Option<&str>| {
        let pollers = Pollers { minimum, maximum, group: group.map(Arc::from) };
        check_pollers(kind, &pollers).map_err(|error| error.to_string())
    };
    assert_eq!(check(SourceKind::Sqs, 2, 10_000, None), Ok(()));
    assert_eq!(check(SourceKind::Kafka, 1, 2000, Some("g")), Ok(()));
    for (kind, minimum, maximum, group, words) in [
        (SourceKind::Sqs, 1, 5, None, "greater than or equal to 2"),
        (SourceKind::Sqs, 201, 500, None, "less than or equal to 200"),
        (SourceKind::Msk, 1, 2001, None, "less than or equal to 2000"),
        (SourceKind::Msk, 6, 5, None, "must not be greater than MaximumPollers"),
        (SourceKind::Sqs, 2, 5, Some("g"), "PollerGroupName"),
    ] {
        let refused = check(kind, minimum, maximum, group).unwrap_err();
        assert!(refused.contains(words), "{refused}");
    }
}

#[test]
fn a_second_mapping_is_named_with_its_functions_qualifier() {
    let scope =
        base::arn::Scope { account: "000000000000".parse().unwrap(), region: "us-east-1".parse().unwrap() };
    let function = FunctionKey::new(scope, "f".parse().unwrap()).arn();
    let function = function.qualified(base::arn::Qualifier::Version(3));
    let queue = Source::Sqs { queue: "q".into() };
    assert_eq!(
        pair(&queue, &function),
        "An event source mapping with SQS arn (\" q \") and function (\" f:3 \")"
    );
}
