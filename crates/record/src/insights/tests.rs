//! Queries over a few events, as sentences with data; then whatever text comes.

mod lambda;

use expect_test::{Expect, expect};

use super::*;

const LOG: &str = "123456789012:/app/orders";

/// Events a second apart, the first at 10:00:00.
fn at(number: usize) -> Timestamp {
    Timestamp::from_millis(1_795_255_200_000 + number as i64 * 1000)
}

fn execute(query: &Query, log: &str, messages: &[&str]) -> Result<Results, QueryLimit> {
    let mut execution = query.run(None);
    for (number, message) in messages.iter().enumerate().rev() {
        let event = Event {
            timestamp: at(number),
            ingested: at(number),
            log,
            stream: "web",
            id: &number,
            message: message.as_bytes(),
        };
        execution.take(&event)?;
    }
    execution.finish()
}

/// The rows of an answer, one a line, without @ptr.
fn table(results: &Results) -> String {
    let mut table = String::new();
    for row in &results.rows {
        let cells = row.iter().filter(|(name, _)| &**name != "@ptr");
        table += &cells.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" | ");
        table.push('\n');
    }
    table
}

#[track_caller]
fn check_on(messages: &[&str], query: &str, expected: Expect) {
    let parsed = Query::parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    expected.assert_eq(&table(&execute(&parsed, LOG, messages).unwrap()));
}

#[track_caller]
fn check(query: &str, expected: Expect) {
    check_on(ORDERS, query, expected);
}

/// The value of an expression over one event.
#[track_caller]
fn value(expression: &str) -> String {
    let query =
        Query::parse(&format!("fields {expression} as x | display x")).unwrap_or_else(|e| panic!("{e}"));
    let results =
        execute(&query, LOG, &[r#"{"a": "Foo bar", "n": -2.5, "big": 123456789, "ip": "10.1.2.3"}"#]);
    results.unwrap().rows[0]
        .iter()
        .find(|(name, _)| &**name == "x")
        .map_or("-".into(), |(_, value)| value.clone())
}

#[track_caller]
fn refused(query: &str, words: &str) {
    match Query::parse(query) {
        Ok(_) => panic!("{query} was taken"),
        Err(error) => assert!(error.message.contains(words), "{query}: {error}"),
    }
}

const ORDERS: &[&str] = &[
    r#"{"level": "INFO", "ms": 12, "user": {"name": "ann", "tags": ["x", "y"]}, "ok": true}"#,
    r#"{"level": "ERROR", "ms": 340.5, "user": {"name": "bob"}, "ok": false}"#,
    r#"{"level": "INFO", "ms": 7, "user": {"name": "bob"}}"#,
    "plain text, code=502 user=carl",
];

#[test]
fn without_fields_time_and_message_are_answered_latest_first() {
    check(
        "filter level = 'INFO' | limit 1",
        expect![[r#"
        @timestamp=2026-11-21 10:00:02.000 | @message={"level": "INFO", "ms": 7, "user": {"name": "bob"}}
    "#]],
    );
    let query = Query::parse("fields @log, @logStream, @ingestionTime").unwrap();
    let results = execute(&query, LOG, &["a"]).unwrap();
    let names: Vec<_> = results.rows[0].iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["@log", "@logStream", "@ingestionTime", "@ptr"]);
    assert_eq!(results.matched, 1);
}

#[test]
fn fields_of_json_are_found_by_dots_and_left_out_where_they_are_not() {
    check(
        "fields user.name, user.tags.1, ms, ok | sort @timestamp",
        expect![[r#"
        user.name=ann | user.tags.1=y | ms=12 | ok=1
        user.name=bob | ms=340.5 | ok=0
        user.name=bob | ms=7

    "#]],
    );
    check_on(
        &[r#"{"@t": 1, "a-b": 2, "x.y": 3}"#],
        "fields @@t, `a-b`, x.y",
        expect![[r#"
        @@t=1 | a-b=2 | x.y=3
    "#]],
    );
    check_on(
        &["before {\"a\": 1}", "{\"a\": 2} after", "{\"a\": 3, broken"],
        "fields a",
        expect![[r#"

        a=2

    "#]],
    );
}

#[test]
fn filters_compare_match_and_join() {
    for (filter, wanted) in [
        ("ms > 10", "10"),
        ("ms >= 12 and ms <= 340.5", "10"),
        ("ms < '12'", "2"),
        ("level = \"INFO\" or ms = 340.5", "210"),
        ("level != 'INFO'", "31"),
        ("not level = 'INFO'", "31"),
        ("level = 'INFO' and (ms = 7 or ms = 12) and not user.name = 'ann'", "2"),
        ("ok = true", "0"),
        ("ok = 1", "0"),
        ("ok = false", "1"),
        ("ok", "0"),
        ("ispresent(ok)", "10"),
        ("not ispresent(ok)", "32"),
        ("@message like 'code='", "3"),
        ("@message like \"CODE\"", ""),
        ("@message like /(?i)CODE=\\d+/", "3"),
        ("@message =~ /bob|ann/", "210"),
        ("level like /^INFO$/", "20"),
        ("level not like /INFO/", "31"),
        ("@message like /a\\/b|carl/", "3"),
        ("user.name in ['ann', \"carl\"]", "0"),
        ("user.name not in ['ann']", "321"),
        ("ms in [7, 12]", "20"),
        ("ms * 2 + 1 = 25", "0"),
        ("strcontains(user.name, 'b')", "21"),
        ("@timestamp >= 1795255202000", "32"),
        ("@timestamp < '2026-11-21 10:00:01'", "0"),
    ] {
        let query = Query::parse(&format!("fields @timestamp | filter {filter}")).unwrap();
        let results = execute(&query, LOG, ORDERS).unwrap();
        let found: String = results.rows.iter().map(|row| row[0].1[18..19].to_owned()).collect();
        assert_eq!(found, wanted, "{filter}");
        assert_eq!(results.matched as usize, wanted.len(), "{filter}");
    }
}

#[test]
fn functions_calculate() {
    for (expression, wanted) in [
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("2 ^ 3 ^ 2", "512"),
        ("10 % 3", "1"),
        ("1 / 3", "0.3333"),
        ("1 / 0", "-"),
        ("7 - -2", "9"),
        ("-n", "2.5"),
        ("abs(n)", "2.5"),
        ("ceil(n)", "-2"),
        ("FLOOR(n)", "-3"),
        ("sqrt(16)", "4"),
        ("sqrt(n)", "-"),
        ("log(1)", "0"),
        ("greatest(1, n, 3)", "3"),
        ("least(1, n, 3)", "-2.5"),
        ("big", "123456789"),
        ("big + 0.00004", "123456789"),
        ("1e3 + .5", "1000.5"),
        ("strlen(a)", "7"),
        ("strlen('äö')", "2"),
        ("toupper(a)", "FOO BAR"),
        ("tolower(a)", "foo bar"),
        ("substr(a, 4)", "bar"),
        ("substr('xyZfooxyZ', 3, 3)", "foo"),
        ("substr(a, 99)", ""),
        ("replace('foo', 'o', '0')", "f00"),
        ("replace('foo', '', '0')", "foo"),
        ("trim('  x ')", "x"),
        ("trim('xyZfooxyZ', 'xyZ')", "foo"),
        ("ltrim('xyZfooxyZ', 'xyZ')", "fooxyZ"),
        ("rtrim('xyZfooxyZ', 'xyZ')", "xyZfoo"),
        ("concat(a, '-', missing, 5)", "Foo bar-5"),
        ("strcontains(a, 'bar')", "1"),
        ("strcontains(a, 'BAR')", "0"),
        ("isempty(missing)", "1"),
        ("isempty(' ')", "0"),
        ("isblank(' ')", "1"),
        ("ispresent(a)", "1"),
        ("coalesce(missing, a)", "Foo bar"),
        ("toupper(missing)", "-"),
        ("a + 1", "-"),
        ("@timestamp", "2026-11-21 10:00:00.000"),
        ("toMillis(@timestamp)", "1795255200000"),
        ("fromMillis(1795255200001)", "2026-11-21 10:00:00.001"),
        ("bin(1d)", "2026-11-21 00:00:00.000"),
        ("bin(1mo)", "2026-11-01 00:00:00.000"),
        ("bin(1q)", "2026-10-01 00:00:00.000"),
        ("bin(1w)", "2026-11-19 00:00:00.000"),
        ("datefloor(fromMillis(1795255261999), 1m)", "2026-11-21 10:01:00.000"),
        ("dateceil(fromMillis(1795255261999), 30s)", "2026-11-21 10:01:30.000"),
        ("dateceil(@timestamp, 1h)", "2026-11-21 10:00:00.000"),
        ("dateceil(@timestamp, 1y)", "2027-01-01 00:00:00.000"),
        ("isValidIp(ip)", "1"),
        ("isValidIpv6(ip)", "0"),
        ("isIpInSubnet(ip, '10.0.0.0/8')", "1"),
        ("isIpv4InSubnet(ip, '10.2.0.0/16')", "0"),
        ("isIpInSubnet(ip, '0.0.0.0/0')", "1"),
        ("isIpv6InSubnet('2001:db8::1', '2001:db8::/32')", "1"),
        ("isIpInSubnet(ip, 'no/99')", "0"),
        ("a like 'Foo'", "1"),
        ("n > 0", "0"),
    ] {
        assert_eq!(value(expression), wanted, "{expression}");
    }
}

#[test]
fn parse_cuts_with_stars_and_with_named_groups() {
    check(
        "parse @message 'code=* user=*' as code, who | filter ispresent(code) | display code, who",
        expect![[r#"
        code=502 | who=carl
    "#]],
    );
    check(
        "parse '*, code' as first | filter ispresent(first) | fields first",
        expect![[r#"
        first=plain text
    "#]],
    );
    check(
        "fields 1 as one | parse /code=(?<code>\\d)(?<rest>\\d+)/ | filter code = 5 | display one, rest, code * 2",
        expect![[r#"
        one=1 | rest=02 | code * 2=10
    "#]],
    );
    check(
        "parse user.name 'b*b' as vowel | stats count(*) as n by vowel | sort n",
        expect![[r#"
        n=2
        vowel=o | n=2
    "#]],
    );
    check_on(
        &["a=1\n", "none"],
        "parse 'a=*' as a",
        expect![[r#"
        @timestamp=2026-11-21 10:00:01.000 | @message=none
        @timestamp=2026-11-21 10:00:00.000 | @message=a=1
         | a=1
    "#]],
    );
}

#[test]
fn stats_count_and_calculate_by_groups() {
    check(
        "stats count(*), count(ms) as timed, sum(ms), avg(ms), min(ms), max(ms) by user.name",
        expect![[r#"
        count(*)=1 | timed=0
        user.name=bob | count(*)=2 | timed=2 | sum(ms)=347.5 | avg(ms)=173.75 | min(ms)=7 | max(ms)=340.5
        user.name=ann | count(*)=1 | timed=1 | sum(ms)=12 | avg(ms)=12 | min(ms)=12 | max(ms)=12
    "#]],
    );
    check(
        "stats count_distinct(user.name) as users, stddev(ms), pct(ms, 50), median(ms), pct(ms, 99)",
        expect![[r#"
        users=2 | stddev(ms)=191.1193 | pct(ms, 50)=12 | median(ms)=12 | pct(ms, 99)=340.5
    "#]],
    );
    check(
        "stats earliest(level), latest(user.name) as who, sortsFirst(user.name), sortsLast(ms)",
        expect![[r#"
        earliest(level)=INFO | who=bob | sortsFirst(user.name)=ann | sortsLast(ms)=340.5
    "#]],
    );
    check(
        "stats count(*) by bin(2s) | sort bin(2s)",
        expect![[r#"
        bin(2s)=2026-11-21 10:00:00.000 | count(*)=2
        bin(2s)=2026-11-21 10:00:02.000 | count(*)=2
    "#]],
    );
    check(
        "stats max(@timestamp) - min(@timestamp) as span, fromMillis(max(@timestamp)) as last",
        expect![[r#"
        span=3000 | last=2026-11-21 10:00:03.000
    "#]],
    );
    check(
        "stats count() as n by level, ok | filter n > 0 and level != '' | sort n desc, level | limit 2 | fields n * 10",
        expect![[r#"
        n=1 | n * 10=10
        level=ERROR | ok=0 | n=1 | n * 10=10
    "#]],
    );
    check(
        "stats sum(ms) as s by user.name | stats max(s) as most, count(*) as users",
        expect![[r#"
        most=347.5 | users=3
    "#]],
    );
    check("filter level = 'NONE' | stats count(*)", expect![""]);
    check(
        "stats count(*) as n by level | display level | sort count(*)",
        expect![[r#"

            level=ERROR
            level=INFO
        "#]],
    );
}

#[test]
fn rows_are_sorted_naturally_limited_and_told_apart() {
    let names = ["file10", "file9", "12", "9", "", "file9b"];
    let messages: Vec<_> = names.iter().map(|name| format!("{{\"f\": \"{name}\"}}")).collect();
    let messages: Vec<_> = messages.iter().map(String::as_str).collect();
    check_on(
        &messages,
        "fields f | sort f",
        expect![[r#"
        f=
        f=file9
        f=file9b
        f=file10
        f=9
        f=12
    "#]],
    );
    check_on(
        &messages,
        "fields f | sort f desc | head 2",
        expect![[r#"
        f=12
        f=9
    "#]],
    );
    check_on(
        &messages,
        "fields f | sort @timestamp asc | tail 2",
        expect![[r#"
        f=
        f=file9b
    "#]],
    );
    check(
        "fields user.name, ms | filter ispresent(ms) | sort ms desc | dedup user.name",
        expect![[r#"
        user.name=bob | ms=340.5
        user.name=ann | ms=12
    "#]],
    );
    check(
        "fields level | dedup level",
        expect![[r#"

        level=INFO
        level=ERROR
    "#]],
    );
}

#[test]
fn comments_and_any_case_of_words_are_read() {
    check(
        "# all errors\nFIELDS ms # milliseconds\n| FILTER level = 'ERROR' | SORT ms DESC | LIMIT 5",
        expect![[r#"
        ms=340.5
    "#]],
    );
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    refused("", "end of query");
    refused("select 1", "unexpected symbol found select at line 1 and position 1");
    refused("fields @message\n| filtr x", "unexpected symbol found filtr at line 2 and position 3");
    refused("fields a b", "unexpected symbol found b");
    refused("fields a,", "end of query");
    refused("filter a =", "a value is expected");
    refused("filter (a = 1", ") is missing");
    refused("filter a like 5", "text or a /regular");
    refused("filter a like /(/", "not valid");
    refused("filter a like /x", "closing /");
    refused("filter a = 'x", "quotation mark");
    refused("filter a not b", "like or in");
    refused("fields nonesuch(a)", "function nonesuch");
    refused("fields abs()", "does not take 0");
    refused("fields bin(5)", "period");
    refused("fields bin(0m)", "period");
    refused("fields bin(5parsecs)", "period");
    refused("fields count(*)", "only in stats");
    refused("stats sum(count(*))", "cannot be inside");
    refused("stats pct(a, 101)", "0 to 100");
    refused("parse @message 'a * b *' as x", "2 stars and 1 names");
    refused("parse @message /a(b)/", "named group");
    refused("parse @message 'a'", "as is expected");
    refused(&format!("filter {}a", "a like /x/ and ".repeat(21)), "20 regular expressions");
    refused("limit 0", "1 to 100000");
    refused("limit 100001", "1 to 100000");
    refused("fields a ; b", "no meaning");
    refused("pattern @message", "command pattern");
    refused("fields @timestamp | unmask @message", "command unmask");
    refused("SOURCE logGroups()", "command SOURCE");
    refused(&format!("filter {}a{}", "(".repeat(60), ")".repeat(60)), "48 nested");
    refused(&format!("fields {}1", "1+".repeat(300)), "200 operations");
    refused(&format!("fields {}", "a".repeat(10_000)), "longer than 10000");
    let error = Query::parse("fields é | limt 5").unwrap_err();
    assert_eq!((error.start, error.end), (11, 15));
}

#[test]
fn a_query_stops_when_it_needs_too_much() {
    let run = |query: &str, message: &dyn Fn(usize) -> String, count: usize| {
        let mut execution = Query::parse(query).unwrap().run(None);
        for number in 0..count {
            let message = message(number);
            let event = Event {
                timestamp: at(number),
                ingested: at(number),
                log: LOG,
                stream: "s",
                id: &1,
                message: message.as_bytes(),
            };
            if let Err(limit) = execution.take(&event) {
                return Some(limit);
            }
        }
        execution.finish().err()
    };
    let large = |_| "x".repeat(100_000);
    let different = |number| format!("{{\"n\": {number}}}");
    assert_eq!(run("fields @message", &large, 1000), Some(QueryLimit::Bytes));
    assert_eq!(run("fields @message | sort @timestamp | limit 10", &large, 1000), None);
    assert_eq!(run("stats count(*)", &large, 1000), None);
    assert_eq!(run("stats count(*) by n", &different, QUERY_GROUPS + 1), Some(QueryLimit::Groups));
    assert_eq!(run("dedup n", &different, QUERY_GROUPS + 1), Some(QueryLimit::Groups));
    assert_eq!(run("sort n | dedup n", &different, QUERY_SORTED_ROWS + 1), Some(QueryLimit::Rows));
}

#[test]
fn a_query_is_full_when_nothing_can_change_its_answer() {
    for (query, full_after) in [
        ("limit 2", Some(2)),
        ("limit 2 | stats count(*)", Some(2)),
        ("stats count(*) | limit 1", None),
        ("fields a", Some(5)),
    ] {
        let mut execution = Query::parse(query).unwrap().run(Some(5));
        let mut found = None;
        for number in 0..8 {
            let event = Event {
                timestamp: at(number),
                ingested: at(0),
                log: LOG,
                stream: "s",
                id: &1,
                message: b"m",
            };
            execution.take(&event).unwrap();
            found = found.or(execution.is_full().then_some(number + 1));
        }
        assert_eq!(found, full_after, "{query}");
    }
}

#[test]
fn a_clone_tells_what_has_been_found_so_far() {
    let mut execution = Query::parse("stats count(*) as n").unwrap().run(None);
    for number in 0..3 {
        let event = Event { timestamp: at(0), ingested: at(0), log: LOG, stream: "s", id: &1, message: b"m" };
        execution.take(&event).unwrap();
        assert_eq!(table(&execution.clone().finish().unwrap()), format!("n={}\n", number + 1));
    }
}

#[test]
fn many_values_are_counted_and_ranked_nearly() {
    let mut execution = Query::parse("stats count_distinct(n) as d, pct(n, 90) as p").unwrap().run(Some(1));
    for number in 0..50_000 {
        let message = format!("{{\"n\": {number}}}");
        let event = Event {
            timestamp: at(0),
            ingested: at(0),
            log: LOG,
            stream: "s",
            id: &1,
            message: message.as_bytes(),
        };
        execution.take(&event).unwrap();
    }
    let results = execution.finish().unwrap();
    let near = |at: usize, wanted: f64| {
        let value: f64 = results.rows[0][at].1.parse().unwrap();
        assert!((value / wanted - 1.0).abs() < 0.06, "{value} is not near {wanted}");
    };
    near(0, 50_000.0);
    near(1, 45_000.0);
}

#[test]
fn no_text_makes_it_panic() {
    const PIECES: [&str; 44] = [
        "fields ",
        "filter ",
        "stats ",
        "parse ",
        "sort ",
        "limit ",
        "dedup ",
        "display ",
        "| ",
        "@message ",
        "@timestamp ",
        "a ",
        "b.0 ",
        "count(*) ",
        "avg(",
        "pct(",
        "bin(",
        "5m",
        ") ",
        "(",
        ", ",
        "= ",
        "!= ",
        "> ",
        "like ",
        "in ",
        "[",
        "] ",
        "'x' ",
        "\"*\" ",
        "/a(?<b>.)/ ",
        "and ",
        "or ",
        "not ",
        "as ",
        "by ",
        "1 ",
        "-",
        "^ ",
        "`q` ",
        "#",
        "\n",
        "é",
        "substr(",
    ];
    let mut seed = 11_u64;
    let mut next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize
    };
    let messages = [ORDERS[0], ORDERS[3], "\u{0}{[", ""];
    let mut compiled = 0;
    for round in 0..60_000 {
        let text: String = (0..round % 14).map(|_| PIECES[next() % PIECES.len()]).collect();
        let begin = ["", "fields ", "filter ", "stats count(*) ", "fields a | "][next() % 5];
        if let Ok(query) = Query::parse(&format!("{begin}{text}")) {
            compiled += 1;
            execute(&query, LOG, &messages).unwrap();
        }
    }
    assert!(compiled > 1000, "{compiled} queries were valid");
}
