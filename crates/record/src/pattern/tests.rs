//! What the documentation says of each language, as sentences with data; then whatever bytes come.

use super::*;

/// Which of the messages a pattern wants, by their numbers.
#[track_caller]
fn check(pattern: &str, messages: &[&str], wanted: &[usize]) {
    let compiled = Pattern::parse(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
    let found: Vec<_> = (0..)
        .zip(messages)
        .filter(|(_, m)| compiled.matches(m.as_bytes()))
        .map(|(number, _)| number)
        .collect();
    assert_eq!(found, wanted, "{pattern}");
}

#[track_caller]
fn refused(pattern: &str, words: &str) {
    match Pattern::parse(pattern) {
        Ok(_) => panic!("{pattern} was taken"),
        Err(error) => assert!(error.to_string().contains(words), "{pattern}: {error}"),
    }
}

const LINES: &[&str] = &[
    "[INFO] payment accepted",                   // 0
    "[WARN] payment slow: 1200 ms",              // 1
    "[ERROR] payment refused, code 502",         // 2
    "[ERROR 401] UNAUTHORIZED \"card\" C:\\tmp", // 3
    "",                                          // 4
];

#[test]
fn terms_are_substrings_in_their_case() {
    check("", LINES, &[0, 1, 2, 3, 4]);
    check("  ", LINES, &[0, 1, 2, 3, 4]);
    check("ERROR", LINES, &[2, 3]);
    check("error", LINES, &[]);
    check("AUTHORIZED", LINES, &[3]);
    check("payment ERROR", LINES, &[2]);
    check("\"payment refused\"", LINES, &[2]);
    check("\"refused payment\"", LINES, &[]);
    check(r#""\"card\"""#, LINES, &[3]);
    check(r#""C:\\tmp""#, LINES, &[3]);
}

#[test]
fn terms_are_excluded_and_optional() {
    check("-payment", LINES, &[3, 4]);
    check("ERROR -payment", LINES, &[3]);
    check("payment -\"1200 ms\" -accepted", LINES, &[2]);
    check("ERROR - \"payment\"", LINES, &[3]);
    check("?INFO ?WARN", LINES, &[0, 1]);
    check("?\"1200 ms\" ?UNAUTHORIZED", LINES, &[1, 3]);
    check("?INFO payment", LINES, &[0, 1, 2]);
    check("?INFO -payment", LINES, &[3, 4]);
}

#[test]
fn regular_expressions_stand_alone_or_among_terms() {
    check(r"%\d{3,4} ms%", LINES, &[1]);
    check("%[45]0[0-9]%", LINES, &[2, 3]);
    check(r"%^\[ERROR%", LINES, &[2, 3]);
    check("%accepted$|refused%", LINES, &[0, 2]);
    check("payment -%50.%", LINES, &[0, 1]);
    check(r"%\x5bWARN\x5d%", LINES, &[1]);
    refused("%a(b)%", "Invalid character(s) in term '('");
    refused(r"%a\(b\)%", "Invalid character(s) in term");
    refused("%something!%", "'!'");
    refused("%[a%", "not valid");
    refused("%a{1000}{1000}{1000}%", "not valid");
    refused("%a", "closing %");
    refused("%%", "empty");
    refused("%a% %b% %c%", "more than 2");
    refused("%é%", "'é'");
}

#[test]
fn terms_with_other_characters_need_quotes() {
    refused("a:b", "Invalid character(s) in term ':'");
    refused("error.log", "'.'");
    refused("(", "'('");
    refused("\"\"", "'\"\"'");
    refused("\"open", "quotation mark");
    refused("-", "missing");
    refused("a ?", "missing");
    refused("{ $.a = 1", "If a filter pattern starts with '{' it must end with '}'");
    refused("[a, b", "If a filter pattern starts with '[' it must end with ']'");
    refused(&"a".repeat(1025), "longer than 1024");
    assert!(Pattern::parse(&"é".repeat(1025)).is_err());
    check(&"a".repeat(1024), &[], &[]);
}

const EVENT: &str = r#"{
    "kind": "UpdateTrail", "address": "111.111.111.111", "tags": ["one", "another"], "n.m": {"o p": 1},
    "list": [{"name": "a", "id": 1}, {"name": "b", "id": 2}], "nothing": null, "flag": true, "off": false,
    "latency": 501.5, "code": "404", "big": 1e3, "grid": [[0, 1, 2], [4, 5, 6]], "é": "ü", "Ev*ent": "Ev*ent"
}
"#;

#[track_caller]
fn event(condition: &str, holds: bool) {
    check(&format!("{{ {condition} }}"), &[EVENT], if holds { &[0] } else { &[] });
}

#[test]
fn json_strings_are_compared_with_wildcards_at_their_ends() {
    event("$.kind = \"UpdateTrail\"", true);
    event("$.kind = UpdateTrail", true);
    event("$.kind = \"updateTrail\"", false);
    event("$.kind = Update*", true);
    event("$.kind = *Trail", true);
    event("$.kind = \"*dateT*\"", true);
    event("$.kind = *", true);
    event("$['Ev*ent'] = Ev*ent", true);
    event("$.kind = Up*il", false);
    event("$.kind != \"Update*\"", false);
    event("$.address != 123.123.*", true);
    event("$.address = 111.111.*", true);
    event("$['é'] = \"ü\"", true);
    event("$.kind = %^Up[a-z]+Trail$%", true);
    event("$.kind != %Trail%", false);
    event("$.latency = %^50.%", true);
}

#[test]
fn json_numbers_are_compared_as_numbers() {
    for (condition, holds) in [
        ("$.latency > 500", true),
        ("$.latency >= 501.5", true),
        ("$.latency < +501.5", false),
        ("$.latency <= 0.5015e3", true),
        ("$.latency = 5015e-1", true),
        ("$.latency != 501.5", false),
        ("$.big = 1000", true),
        ("$.code = 404", true),
        ("$.code = 4*", true),
        ("$.latency = 5*", true),
        ("$.code > 403", true),
        ("$.kind > 1", false),
        ("$.kind != 1", true),
    ] {
        event(condition, holds);
    }
}

#[test]
fn json_selectors_lead_into_objects_and_arrays() {
    event("$.tags[0] = one", true);
    event("$.tags[1] = one", false);
    event("$.tags[*] = another", true);
    event("$.tags[*] = third", false);
    event("$.list[1].id = 2", true);
    event("$.list[*].id = 2", true);
    event("$.list[*].id = 3", false);
    event("$.grid[1][2] = 6", true);
    event("$['n.m']['o p'] = 1", true);
    event("$.['n.m'].* = 1", true);
    event("$.kind[0] = U", false);
    event("$.list.id = 1", false);
    check("{ $[0].a = 1 }", &[r#"[{"a": 1}]"#, r#"{"a": 1}"#], &[0]);
}

#[test]
fn json_conditions_do_not_apply_to_what_is_no_value() {
    event("$.tags = one", false);
    event("$.tags != one", false);
    event("$.missing = 1", false);
    event("$.missing != 1", false);
    event("$.nothing != 1", false);
    event("$.nothing IS NULL", true);
    event("$.missing IS NULL", false);
    event("$.flag IS TRUE", true);
    event("$.flag is false", false);
    event("$.off IS FALSE", true);
    event("$.flag = true", true);
    event("$.missing NOT EXISTS", true);
    event("$.nothing NOT EXISTS", false);
    event("$.tags NOT EXISTS", false);
}

#[test]
fn and_binds_closer_than_or() {
    event("($.kind = UpdateTrail) && ($.tags[0] = \"one\")", true);
    event("($.kind = x && $.tags[0] = one) || $.tags[1] = x", false);
    event("$.kind = UpdateTrail || $.code = x && $.flag IS FALSE", true);
    event("($.kind = UpdateTrail || $.code = x) && $.flag IS FALSE", false);
    event("$.a=1||$.code=404&&$.flag IS TRUE", true);
    let deep = format!("{{ {}$.kind = *{} }}", "(".repeat(32), ")".repeat(32));
    check(&deep, &[EVENT], &[0]);
    let deeper = format!("{{ {}$.kind = *{} }}", "(".repeat(33), ")".repeat(33));
    refused(&deeper, "more than 32 nested");
    refused(&format!("{{ {}$.a=1 }}", "$.a=1||".repeat(140)), "more than 128 conditions");
}

#[test]
fn only_json_messages_match_json_patterns() {
    let messages =
        ["plain", "{broken", r#"{"a": 1} and more"#, "  {\"a\": 1}\n", r#"2026 {"a": 1}"#, "", "[]"];
    check("{ $.a = 1 }", &messages, &[3]);
    check("{ $.b NOT EXISTS }", &messages, &[3, 6]);
    let latin = Pattern::parse("{ $.b NOT EXISTS }").unwrap();
    assert!(!latin.matches(b"{\"a\": \"\xff"));
    let nested = format!("{{\"a\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    check("{ $.b = 1 }", &[&nested], &[]);
    check("{ $.a[0] = 1 }", &[&nested], &[]);
}

#[test]
fn json_patterns_are_refused_where_they_are_wrong() {
    refused("{}", "must begin with $");
    refused("{ $ = 1 }", "$ needs");
    refused("{ $.a }", "operator is missing");
    refused("{ $.a*b = 1 }", "operator is missing");
    refused("{ $.a = }", "value is missing");
    refused("{ $.a = \"x }", "quotation mark");
    refused("{ $.a > x }", "needs a number");
    refused("{ $.a > \"1\" }", "needs a number");
    refused("{ $.a = x@y }", "Invalid character(s) in term '@'");
    refused("{ $.\"a\" = 1 }", "Invalid character(s) in term '\"'");
    refused("{ ($.a = 1 }", "a ) is missing");
    refused("{ $.a = 1 ) }", "not expected");
    refused("{ $.a = 1 && }", "must begin with $");
    refused("{ $.a IS SMALL }", "NULL, TRUE or FALSE");
    refused("{ $.a NOT NULL }", "EXISTS");
    refused("{ $.a[x] = 1 }", "brackets");
    refused("{ $.a[99999999999999999999999] = 1 }", "brackets");
    refused("{ $.a[*].b[*] = 1 }", "more than one wildcard");
    refused("{ $.a[*]=1 || $.b[*]=1 || $.c[*]=1 || $.d[*]=1 }", "more than 3 wildcards");
    refused("{ $.a = %a% || $.a = %b% || $.a = %c% }", "more than 2");
}

const ACCESS: &[&str] = &[
    r#"127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /apache_pb.gif HTTP/1.0" 200 1534"#,
    r#"127.0.0.1 - frank [10/Oct/2000:13:35:22 -0700] "GET /apache_pb.gif HTTP/1.0" 500 5324"#,
    r#"127.0.0.2 - - [10/Oct/2000:13:50:35 -0700] "POST /index.html HTTP/1.0" 404 4355"#,
    "ERROR message",
    "ERROR WARN message",
];

#[test]
fn fields_are_counted_and_compared() {
    check("[ip, user, name, time, request, status, bytes]", ACCESS, &[0, 1, 2]);
    check("[ip, user, name, time, request, status, bytes > 4000]", ACCESS, &[1, 2]);
    check("[ip, user, name, time, request, status = 4*, bytes]", ACCESS, &[2]);
    check("[ip, user, name, time, request = *html*, status = 4*, bytes]", ACCESS, &[2]);
    check("[ip, user, name, time, request, status = 4* && status != 404, bytes]", ACCESS, &[]);
    check("[ip, user, name != frank, ...]", ACCESS, &[2, 4]);
    check("[..., status = 500, bytes]", ACCESS, &[1]);
    check("[ip, ..., status, bytes > 1000 && bytes < 5000]", ACCESS, &[0, 2]);
    check("[..., request = *.html*, status = 4*,]", ACCESS, &[2]);
    check("[ip = %^127\\.0\\.0\\.[2-9]%, ...]", ACCESS, &[2]);
    check("[time = \"x\" || time = \"127.0.0.2\", ...]", ACCESS, &[2]);
    check("[a = 127* && (a = *1 || a = *3), ...]", ACCESS, &[0, 1]);
    check("[w1 = ERROR, w2]", ACCESS, &[3]);
    check("[w1=ERROR || w1=WARN, w2]", ACCESS, &[3]);
    check("[..., time=10*, , ,]", ACCESS, &[0, 1, 2]);
    check("[...]", ACCESS, &[0, 1, 2, 3, 4]);
    check("[]", &["", "a", "a b"], &[1]);
}

#[test]
fn brackets_and_quotes_make_one_field_when_they_close() {
    check("[a = \"x y\", b = \"u v\"]", &["[x y] \"u v\"", "x y u v", "\"x y\"[u v]"], &[0, 2]);
    check("[a = \"[x\", b = y]", &["[x y", "\"x y"], &[0]);
    check("[a, b]", &["  one\ttwo\n", "one"], &[0]);
}

#[test]
fn field_patterns_are_refused_where_they_are_wrong() {
    refused("[a = 1 b]", "comma is missing");
    refused("[..., a, ...]", "more than one ...");
    refused("[a = 1 && b = 1]", "its own field");
    refused("[a > x]", "needs a number");
    refused("[a = ]", "value is missing");
    refused("[a = “x“]", "Invalid character(s) in term '“'");
}

/// Bytes that are likely to be syntax, from a fixed seed.
fn noise(seed: &mut u64, length: usize) -> Vec<u8> {
    const PIECES: &[u8] = b"{}[]()$.*%&|=!<>\"'\\?-, 01eaISNULTRX\n\xff\xc3";
    let mut next = || {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*seed >> 33) as usize
    };
    (0..length).map(|_| PIECES[next() % PIECES.len()]).collect()
}

#[test]
fn no_bytes_make_it_panic() {
    let mut seed = 7;
    let mut compiled = 0;
    for round in 0..20_000 {
        let text = String::from_utf8_lossy(&noise(&mut seed, round % 24)).into_owned();
        for text in [text.clone(), format!("{{{text}}}"), format!("[{text}]"), format!("{{$.a{text}}}")] {
            let Ok(pattern) = Pattern::parse(&text) else { continue };
            compiled += 1;
            pattern.matches(&noise(&mut seed, 40));
            pattern.matches(EVENT.as_bytes());
            pattern.matches(b"\xff\xfe [\xff] \"\xc3");
        }
    }
    assert!(compiled > 1000, "{compiled} patterns were valid");
}
