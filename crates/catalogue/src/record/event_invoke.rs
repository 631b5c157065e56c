//! The stored form of a configuration for asynchronous events.

use std::sync::Arc;
use std::time::Duration;

use base::arn::Qualifier;
use base::clock::Timestamp;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use store::Key;

use super::{VERSION, decode, encode};
use crate::root::Part;
use crate::{CatalogueError, EventInvokeConfig, FunctionKey};

impl Part for EventInvokeConfig {
    const KIND: &'static str = "event-invoke";
    type Name = Qualifier;
    type Owner = FunctionKey;

    fn write(&self) -> Bytes {
        let it = self.clone();
        encode(&EventInvokeRecord {
            version: VERSION,
            last_modified: it.last_modified,
            maximum_retry_attempts: it.maximum_retry_attempts,
            maximum_event_age_seconds: it.maximum_event_age.map(|age| age.as_secs()),
            on_success: it.on_success,
            on_failure: it.on_failure,
        })
    }

    fn read(document: &Key, _: &FunctionKey, _: &Qualifier, body: &[u8]) -> Result<Self, CatalogueError> {
        let record: EventInvokeRecord = decode(document, body)?;
        Ok(Self {
            last_modified: record.last_modified,
            maximum_retry_attempts: record.maximum_retry_attempts,
            maximum_event_age: record.maximum_event_age_seconds.map(Duration::from_secs),
            on_success: record.on_success,
            on_failure: record.on_failure,
        })
    }
}

#[derive(Serialize, Deserialize)]
struct EventInvokeRecord {
    version: u32,
    last_modified: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    maximum_retry_attempts: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    maximum_event_age_seconds: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    on_success: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    on_failure: Option<Arc<str>>,
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::rules::tests::a_key;

    #[test]
    fn the_stored_form_does_not_change() {
        let read = |config: &EventInvokeConfig| {
            let body = config.write();
            let key = Key::new("document");
            assert_eq!(
                EventInvokeConfig::read(&key, &a_key("f"), &Qualifier::Latest, &body).unwrap(),
                *config
            );
            String::from_utf8(body.to_vec()).unwrap()
        };
        let empty = EventInvokeConfig {
            last_modified: Timestamp::from_micros(1),
            maximum_retry_attempts: None,
            maximum_event_age: None,
            on_success: None,
            on_failure: None,
        };
        expect![[r#"{"version":1,"last_modified":1}"#]].assert_eq(&read(&empty));
        let full = EventInvokeConfig {
            maximum_retry_attempts: Some(0),
            maximum_event_age: Some(Duration::from_secs(60)),
            on_success: Some("a".into()),
            on_failure: Some("b".into()),
            ..empty
        };
        expect![[r#"{"version":1,"last_modified":1,"maximum_retry_attempts":0,"maximum_event_age_seconds":60,"on_success":"a","on_failure":"b"}"#]]
            .assert_eq(&read(&full));
    }
}
