//! The stored form of a function URL.

use std::sync::Arc;
use std::time::Duration;

use base::arn::Qualifier;
use base::clock::Timestamp;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use store::Key;

use super::{VERSION, decode, encode};
use crate::root::Part;
use crate::{CatalogueError, Cors, FunctionKey, FunctionUrl, InvokeMode, UrlAuth};

impl Part for FunctionUrl {
    const KIND: &'static str = "url";
    type Name = Qualifier;
    type Owner = FunctionKey;

    fn write(&self) -> Bytes {
        encode(&UrlRecord {
            version: VERSION,
            id: self.id.to_string(),
            auth: self.auth,
            invoke_mode: self.invoke_mode,
            cors: self.cors.clone().map(CorsRecord::of),
            created: self.created,
            last_modified: self.last_modified,
        })
    }

    fn read(document: &Key, _: &FunctionKey, _: &Qualifier, body: &[u8]) -> Result<Self, CatalogueError> {
        let record: UrlRecord = decode(document, body)?;
        let corrupt = |reason| CatalogueError::Corrupt { key: document.clone(), reason };
        Ok(Self {
            id: record.id.parse().map_err(|error: crate::NoUrlId| corrupt(error.to_string()))?,
            auth: record.auth,
            invoke_mode: record.invoke_mode,
            cors: record.cors.map(CorsRecord::into_cors),
            created: record.created,
            last_modified: record.last_modified,
        })
    }
}

#[derive(Serialize, Deserialize)]
struct UrlRecord {
    version: u32,
    id: String,
    auth: UrlAuth,
    invoke_mode: InvokeMode,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cors: Option<CorsRecord>,
    created: Timestamp,
    last_modified: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct CorsRecord {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    allow_credentials: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    allow_headers: Option<Vec<Arc<str>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    allow_methods: Option<Vec<Arc<str>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    allow_origins: Option<Vec<Arc<str>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expose_headers: Option<Vec<Arc<str>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_age_seconds: Option<u64>,
}

impl CorsRecord {
    fn of(cors: Cors) -> Self {
        Self {
            allow_credentials: cors.allow_credentials,
            allow_headers: cors.allow_headers,
            allow_methods: cors.allow_methods,
            allow_origins: cors.allow_origins,
            expose_headers: cors.expose_headers,
            max_age_seconds: cors.max_age.map(|age| age.as_secs()),
        }
    }

    fn into_cors(self) -> Cors {
        Cors {
            allow_credentials: self.allow_credentials,
            allow_headers: self.allow_headers,
            allow_methods: self.allow_methods,
            allow_origins: self.allow_origins,
            expose_headers: self.expose_headers,
            max_age: self.max_age_seconds.map(Duration::from_secs),
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::rules::tests::a_key;

    #[test]
    fn the_stored_form_does_not_change() {
        let read = |url: &FunctionUrl| {
            let body = url.write();
            let key = Key::new("document");
            assert_eq!(FunctionUrl::read(&key, &a_key("f"), &Qualifier::Latest, &body).unwrap(), *url);
            String::from_utf8(body.to_vec()).unwrap()
        };
        let list = || Some(vec!["a".into()]);
        let plain = FunctionUrl {
            id: "0123456789abcdefghijklmnopqrstuv".parse().unwrap(),
            auth: UrlAuth::None,
            invoke_mode: InvokeMode::Buffered,
            cors: None,
            created: Timestamp::from_micros(1),
            last_modified: Timestamp::from_micros(2),
        };
        expect![[r#"{"version":1,"id":"0123456789abcdefghijklmnopqrstuv","auth":"NONE","invoke_mode":"BUFFERED","created":1,"last_modified":2}"#]]
            .assert_eq(&read(&plain));
        let full = FunctionUrl {
            auth: UrlAuth::AwsIam,
            invoke_mode: InvokeMode::ResponseStream,
            cors: Some(Cors {
                allow_credentials: Some(false),
                allow_headers: Some(Vec::new()),
                allow_methods: list(),
                allow_origins: list(),
                expose_headers: list(),
                max_age: Some(Duration::ZERO),
            }),
            ..plain
        };
        expect![[r#"{"version":1,"id":"0123456789abcdefghijklmnopqrstuv","auth":"AWS_IAM","invoke_mode":"RESPONSE_STREAM","cors":{"allow_credentials":false,"allow_headers":[],"allow_methods":["a"],"allow_origins":["a"],"expose_headers":["a"],"max_age_seconds":0},"created":1,"last_modified":2}"#]]
            .assert_eq(&read(&full));
    }
}
