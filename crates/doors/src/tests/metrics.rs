//! `/metrics`.

use super::*;

#[tokio::test]
async fn neighbours_read_what_is_measured_and_others_need_a_key() {
    for closed in [false, true] {
        let bench = Bench::of(Kind { closed, reset: false }).await;
        for (method, path, headers, expected) in [
            ("GET", "/metrics", "", "200 samovar_pools 0"),
            ("GET", "/_samovar/metrics", "", "200 samovar_pools 0"),
            ("HEAD", "/metrics", "", "200"),
            ("POST", "/metrics", "", "405"),
            ("GET", "/metrics", "Host: attacker.example\r\n", "403 {\"message\":\"Host "),
            ("GET", "/metrics", "Origin: https://attacker.example\r\n", "403"),
            ("GET", "/metrics", "X-Forwarded-For: 192.0.2.1\r\n", "403"),
            ("GET", "/_samovar/metrics", "Forwarded: for=192.0.2.1\r\n", "403"),
        ] {
            let answer = told(&bench.ask(method, path, headers, "").await);
            assert!(answer.starts_with(expected), "{closed} {method} {path} {headers}: {answer}");
        }
        let whole = bench.ask("GET", "/metrics", "", "").await;
        assert_eq!(header(&whole, "content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    }
}

#[tokio::test]
async fn a_signed_request_for_something_of_that_name_is_for_a_service() {
    let bench = Bench::open().await;
    let answer = told(&bench.ask("GET", "/metrics", OPEN, "").await);
    assert!(answer.starts_with("404 "), "{answer}");
    let passed_on = format!("{OPEN}X-Forwarded-For: 192.0.2.1\r\n");
    let answer = told(&bench.ask("GET", "/_samovar/metrics", &passed_on, "").await);
    assert_eq!(answer, "200 samovar_pools 0\n");
}
