//! `/_samovar/layers`.

use std::sync::Mutex;

use async_trait::async_trait;
use services::lambda::layers::desk::{Before, Imported, LayerDesk, LayerImport, ListedVersion};
use wire::http::Head;
use wire::sigv4::{self, Credentials};

use super::*;

const ARN: &str = "arn:aws:lambda:us-east-1:770693421928:layer:tools:12";

/// A desk that notes what it is asked to import.
#[derive(Default)]
pub(super) struct Desk(Mutex<Vec<LayerImport>>);

#[async_trait]
impl LayerDesk for Desk {
    async fn import(&self, import: LayerImport) -> Result<Imported, ServiceError> {
        let version = listed(&import.arn.to_string());
        self.0.lock().unwrap().push(import);
        Ok(Imported { version, before: Before::Nothing })
    }

    fn versions(&self) -> Vec<ListedVersion> {
        vec![listed(ARN)]
    }
}

fn listed(arn: &str) -> ListedVersion {
    ListedVersion { arn: arn.parse().unwrap(), sha256: "AAAA".into(), size: 7, created: "now".into() }
}

fn path(query: &str) -> String {
    format!("/_samovar/layers?arn={ARN}{query}")
}

/// The header lines of a request signed with this key.
fn signed(bench: &Bench, method: &str, path: &str, body: &str, key: &str, secret: &str) -> String {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut headers = http::HeaderMap::new();
    headers.insert("host", "localhost".parse().unwrap());
    let (path, query) = (path.to_owned(), query.to_owned());
    let mut head = Head { method: method.parse().unwrap(), path, query, headers };
    let credentials = Credentials { access_key: key, secret, session_token: None };
    sigv4::sign(&mut head, body.as_bytes(), credentials, "us-east-1", "lambda", bench.clock.now()).unwrap();
    head.headers.remove("host");
    let line = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        format!("{name}: {}\r\n", value.to_str().unwrap())
    };
    head.headers.iter().map(line).collect()
}

#[tokio::test]
async fn who_may_speak_to_an_open_endpoint_may_import() {
    let bench = Bench::open().await;
    let origin = format!("{OPEN}Origin: https://attacker.example\r\n");
    for (method, path, headers, body, expected) in [
        ("PUT", path(""), "", "zip", "403 {\"message\":\""),
        ("PUT", path(""), &*origin, "zip", "403 {\"message\":\"pages of the origin"),
        (
            "PUT",
            "/_samovar/layers".into(),
            OPEN,
            "zip",
            "400 {\"message\":\"\\\"\\\" is not the ARN of a layer",
        ),
        ("PUT", format!("/_samovar/layers?arn={}", &ARN[..ARN.len() - 3]), OPEN, "zip", "400"),
        ("POST", path(""), OPEN, "zip", "405"),
        ("GET", "/_samovar/layers".into(), "", "", "403"),
        ("GET", "/_samovar/layers".into(), OPEN, "", "200 {\"LayerVersions\":[{\"CodeSha256\":\"AAAA"),
    ] {
        let answer = told(&bench.ask(method, &path, headers, body).await);
        assert!(answer.starts_with(expected), "{method} {path}: {answer}");
    }
    assert_eq!(*bench.desk.0.lock().unwrap(), []);
    let imported = told(&bench.ask("PUT", &path("&replace=true"), OPEN, "zip").await);
    assert!(imported.starts_with("200 {\"Before\":\"nothing\","), "{imported}");
    let expected = LayerImport { arn: ARN.parse().unwrap(), archive: "zip".into(), replace: true };
    assert_eq!(*bench.desk.0.lock().unwrap(), [expected]);
    let long = format!("{OPEN}Content-Length: 52428801\r\n");
    let refused = told(&bench.ask("PUT", &path(""), &long, "").await);
    assert!(refused.starts_with("413 {\"message\":\"the body is larger than 52428800 bytes"), "{refused}");
}

#[tokio::test]
async fn a_closed_endpoint_wants_a_signature_of_its_own_accounts_key() {
    let bench = Bench::of(Kind { closed: true, reset: false }).await;
    let sign = |body, key, secret| signed(&bench, "PUT", &path(""), body, key, secret);
    for (headers, body, expected) in [
        (sign("zip", KEY, "wrong"), "zip", "403 {\"message\":\"The request signature we calculated"),
        (sign("other", KEY, SECRET), "zip", "403"),
        (sign("zip", "AKIDOTHER", SECRET), "zip", "403"),
        (OPEN.to_owned(), "zip", "403"),
        (format!("{}Origin: https://attacker.example\r\n", sign("zip", KEY, SECRET)), "zip", "403"),
    ] {
        let answer = told(&bench.ask("PUT", &path(""), &headers, body).await);
        assert!(answer.starts_with(expected), "{headers}: {answer}");
    }
    assert_eq!(*bench.desk.0.lock().unwrap(), []);
    let imported = told(&bench.ask("PUT", &path(""), &sign("zip", KEY, SECRET), "zip").await);
    assert!(imported.starts_with("200"), "{imported}");
    assert_eq!(bench.desk.0.lock().unwrap().len(), 1);
}
