//! Subscriptions that are taken, and what is wrong with the others.

use super::*;

fn read(api: Api, body: &str) -> Result<Subscription, String> {
    parse(api, body.as_bytes())
}

#[test]
fn a_subscription_has_the_documented_defaults() {
    let body = r#"{"schemaVersion":"2022-12-13","types":["platform","extension"],
        "destination":{"protocol":"HTTP","URI":"http://sandbox.localdomain:8080/a?b"}}"#;
    let subscription = read(Api::Telemetry, body).expect("it is one");
    let buffering = Buffering { items: 10_000, bytes: 262_144, timeout: Duration::from_secs(1) };
    assert_eq!(subscription.buffering, buffering);
    assert_eq!(subscription.types.names(), ["Platform", "Extension"]);
    let destination = Destination::Http { port: 8080, path: "/a?b".into(), method: Method::POST };
    assert_eq!(subscription.destination, destination);
    let body = r#"{"types":["function"],"destination":{"protocol":"TCP","port":7}}"#;
    assert_eq!(read(Api::Logs, body).map(|read| read.destination), Ok(Destination::Tcp { port: 7 }));
}

#[test]
fn what_is_wrong_is_said_in_one_answer() {
    for (body, said) in [
        (
            r#"{"types":[],"destination":{"protocol":"HTTP","URI":"http://sandbox.localdomain"}}"#,
            "URI port is not provided; types should not be empty",
        ),
        (
            r#"{"types":["platform.start"],"destination":{"protocol":"TCP","port":7}}"#,
            "type platform.start is not supported",
        ),
        (
            r#"{"types":["platform"],"destination":{"protocol":"HTTP","URI":"http://example.com:80/"}}"#,
            "URI should begin with http://sandbox.localdomain",
        ),
        (r#"{"types":["platform"],"destination":{"protocol":"TCP","port":9001}}"#, "port 9001 is reserved"),
        (r#"{"types":["platform"],"destination":{"protocol":"TCP","port":70000}}"#, "port is not valid"),
        (r#"{"types":["platform"]}"#, "destination is not provided"),
        (
            r#"{"schemaVersion":"2020-08-15","types":["platform"],"destination":{"protocol":"TCP","port":7}}"#,
            "schemaVersion 2020-08-15 is not supported",
        ),
        (
            r#"{"types":["platform"],"destination":{"protocol":"TCP","port":7},
                "buffering":{"maxItems":999,"maxBytes":1048577,"timeoutMs":24}}"#,
            "maxItems should be between 1000 and 10000; maxBytes should be between 262144 and 1048576; timeoutMs \
             should be between 25 and 30000",
        ),
    ] {
        assert_eq!(read(Api::Telemetry, body), Err(said.to_owned()), "{body}");
    }
    assert!(read(Api::Telemetry, "[").is_err());
}

#[test]
fn the_first_schema_of_logs_has_no_end_of_the_runtime() {
    for (api, version, has) in [
        (Api::Logs, "2020-08-15", false),
        (Api::Logs, "2021-03-18", true),
        (Api::Telemetry, "2022-07-01", true),
    ] {
        let body = format!(
            r#"{{"schemaVersion":"{version}","types":["platform"],"destination":{{"protocol":"TCP","port":7}}}}"#
        );
        assert_eq!(read(api, &body).map(|read| read.has_runtime_done), Ok(has), "{version}");
    }
}
