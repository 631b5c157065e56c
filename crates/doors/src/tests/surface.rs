//! `/_samovar/`.

use services::lambda::links;

use super::*;

const RESET: &str = "/_samovar/reset";
const YES: &str = "X-Samovar-Reset: yes\r\n";

#[tokio::test]
async fn health_needs_no_credential_but_a_known_host() {
    let bench = Bench::open().await;
    for (method, headers, expected) in [
        ("GET", "", "200 {\"status\":\"ready\",\"version\":"),
        ("HEAD", "", "200"),
        ("POST", "", "405"),
        ("GET", "Host: attacker.example\r\n", "403 {\"message\":\"Host "),
        ("GET", "Origin: https://attacker.example\r\n", "403 {\"message\":\"pages of the origin "),
    ] {
        let answer = told(&bench.ask(method, "/_samovar/health", headers, "").await);
        assert!(answer.starts_with(expected), "{method} {headers}: {answer}");
    }
    let nowhere = told(&bench.ask("GET", "/_samovar/else", "", "").await);
    assert_eq!(nowhere, "404 {\"message\":\"there is nothing at /_samovar/else\"}");
}

#[tokio::test]
async fn reset_wants_its_flag_its_header_and_nobody_elses_page() {
    let bench = Bench::open().await;
    for (method, headers, expected) in [
        ("POST", "", "400 {\"message\":\"reset wants the header X-Samovar-Reset: yes\"}"),
        ("POST", "X-Samovar-Reset: no\r\n", "400"),
        ("GET", YES, "405"),
        ("POST", "X-Samovar-Reset: yes\r\nOrigin: https://attacker.example\r\n", "403"),
        ("POST", "X-Samovar-Reset: yes\r\nHost: attacker.example\r\n", "403"),
    ] {
        let answer = told(&bench.ask(method, RESET, headers, "").await);
        assert!(answer.starts_with(expected), "{method} {headers}: {answer}");
    }
    assert_eq!(bench.resets.load(Ordering::SeqCst), 0);
    assert_eq!(told(&bench.ask("POST", RESET, YES, "").await), "200 {\"status\":\"reset\"}");
    assert_eq!(bench.resets.load(Ordering::SeqCst), 1);
    for kind in [Kind { closed: false, reset: false }, Kind { closed: true, reset: false }] {
        let other = Bench::of(kind).await;
        let answer = told(&other.ask("POST", RESET, YES, "").await);
        assert!(answer.starts_with("403 {\"message\":\"reset is not allowed here"), "{answer}");
    }
    let closed = Bench::of(Kind { closed: true, reset: true }).await;
    let forged =
        told(&closed.ask("POST", RESET, "X-Samovar-Reset: yes\r\nHost: attacker.example\r\n", "").await);
    assert!(forged.starts_with("403"), "{forged}");
}

#[tokio::test]
async fn a_package_is_served_to_who_holds_its_link() {
    let bench = Bench::of(Kind { closed: true, reset: false }).await;
    let zip = {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        zip.start_file("a", zip::write::SimpleFileOptions::default()).unwrap();
        Bytes::from(zip.finish().unwrap().into_inner())
    };
    let package = bench.artifacts.ingest(zip.clone()).await.unwrap();
    let link = |at: Timestamp| {
        let location = links::location(&bench.vault, "localhost", &package.digest, at);
        location.strip_prefix("http://localhost").unwrap().to_owned()
    };
    let now = bench.clock.now();
    let good = link(now);
    let whole = bench.ask("GET", &good, "", "").await;
    assert!(whole.starts_with("HTTP/1.1 200") && whole.contains("application/octet-stream"), "{whole}");
    assert_eq!(header(&whole, "content-length"), Some(zip.len().to_string().as_str()));
    let stale = link(Timestamp::from_micros(now.as_micros() - 700_000_000));
    let forged = format!("{}0000", &good[..good.len() - 4]);
    for (method, path, expected) in [
        ("HEAD", good.as_str(), "403"),
        ("POST", &good, "403 <?xml"),
        (
            "GET",
            &stale,
            "403 <?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>AccessDenied</Code><Message>\
                         Request has expired</Message><RequestId>",
        ),
        (
            "GET",
            &forged,
            "403 <?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>SignatureDoesNotMatch</Code>",
        ),
        ("GET", "/_samovar/code/x", "403 <?xml"),
    ] {
        let answer = told(&bench.ask(method, path, "", "").await);
        assert!(answer.starts_with(expected), "{method} {path}: {answer}");
    }
}
