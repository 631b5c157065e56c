use std::time::Duration;

use expect_test::expect;
use store::Key;

use super::*;
use crate::SystemLogLevel;
use crate::mapping::{Access, DocumentSource, Metrics, Pollers, Retry, SchemaRegistry, Settings};
use crate::record::key_of;
use crate::rules::mappings::tests::a_mapping;

fn sources() -> Vec<Source> {
    let (topic, group) = (Arc::<str>::from("t"), Arc::<str>::from("g"));
    vec![
        Source::Sqs { queue: "q".into() },
        Source::Kinesis { stream: "k".into() },
        Source::DynamoDb { stream: "d".into() },
        Source::Msk { cluster: "c".into(), topic: Arc::clone(&topic), group: Arc::clone(&group) },
        Source::Kafka { servers: vec!["a:1".into(), "b:2".into()], topic, group },
        Source::Mq { broker: "b".into(), queue: "q".into() },
        Source::DocumentDb { cluster: "c".into() },
    ]
}

/// Settings with every member set.
fn full() -> Settings {
    let access = vec![Access { kind: Some("BASIC_AUTH".into()), uri: None }];
    Settings {
        batch_size: 7,
        window: Some(Duration::from_secs(3)),
        filters: vec![r#"{"a":["ä"]}"#.into()],
        kms_key: Some("key".into()),
        partial: true,
        on_failure: Some("queue".into()),
        retry: Some(Retry { attempts: Some(0), age: Some(Duration::from_secs(60)), bisect: true }),
        parallelization: 2,
        tumbling: Duration::from_secs(30),
        maximum_concurrency: Some(5),
        pollers: Some(Pollers { minimum: 1, maximum: 2, group: Some("p".into()) }),
        metrics: Some(vec![Metrics::EventCount, Metrics::ErrorCount, Metrics::KafkaMetrics]),
        log_level: Some(SystemLogLevel::Debug),
        access: access.clone(),
        registry: Some(SchemaRegistry {
            uri: Some("https://r".into()),
            format: Some("JSON".into()),
            access: Some(access),
            validation: Some(vec!["KEY".into()]),
        }),
        document: Some(DocumentSource { database: "d".into(), collection: Some("c".into()), full: true }),
    }
}

#[test]
fn what_is_stored_is_read_back() {
    let states = ["Creating", "Enabling", "Enabled", "Disabling", "Disabled", "Updating", "Deleting"];
    let starts =
        [None, Some(Start::TrimHorizon), Some(Start::Latest), Some(Start::At(Timestamp::from_millis(7)))];
    for (number, source) in sources().into_iter().enumerate() {
        let mut mapping = a_mapping(source, number % 2 == 0);
        mapping.state = MappingState::parse(states[number]).unwrap();
        mapping.start = starts[number % starts.len()];
        if number > 2 {
            mapping.settings = full();
            mapping.tags = BTreeMap::from([("k".into(), "v".into())]);
        }
        let document = key_of::<Mapping>(&mapping.key);
        assert_eq!(Mapping::read(&document, &mapping.key, &mapping.write()).unwrap(), mapping);
    }
}

#[test]
fn the_stored_form_of_a_queues_mapping_stays_what_it_is() {
    let mapping = a_mapping(Source::Sqs { queue: "q".into() }, true);
    let document: Key = key_of::<Mapping>(&mapping.key);
    expect!["catalogue/000000000000/us-east-1/event-source-mapping/0a0b0c0d-0000-4000-8000-000000000001"]
        .assert_eq(document.as_str());
    expect![[r#"{"version":1,"function":{"scope":{"account":"000000000000","region":"us-east-1"},"name":"f","qualifier":null},"source":{"sqs":{"queue":"q"}},"settings":{"batch_size":10,"window_seconds":0,"partial":false,"parallelization":1,"tumbling_seconds":0},"enabled":true,"state":"creating","processed":"No records processed","change":1,"last_modified":1000}"#]].assert_eq(std::str::from_utf8(&mapping.write()).unwrap());
}
