//! The fields of the platform's lines.

use super::*;

const ID: &str = "6f1b0c1e-7a52-4a9c-8a43-2f6d0f6b3c11";

fn check_lambda(messages: &[&str], query: &str, expected: Expect) {
    let query = Query::parse(query).unwrap();
    expected.assert_eq(&table(&execute(&query, "1:/aws/lambda/greet", messages).unwrap()));
}

fn text_lines() -> Vec<String> {
    vec![
        format!("INIT_START Runtime Version: python:3.13.v64\tRuntime Version ARN: arn\n"),
        format!("START RequestId: {ID} Version: $LATEST\n"),
        format!("[INFO]\t2026-11-21T10:00:00.000Z\t{ID}\thello {{\"cart\": {{\"items\": 3}}}}\n"),
        format!("END RequestId: {ID}\n"),
        format!(
            "REPORT RequestId: {ID}\tDuration: 12.34 ms\tBilled Duration: 13 ms\tMemory Size: 128 MB\t\
             Max Memory Used: 40 MB\tInit Duration: 101.5 ms\t\nXRAY TraceId: 1-abc-def\tSegmentId: 77\tSampled: true\n"
        ),
    ]
}

#[test]
fn text_lines_have_discovered_fields() {
    let lines = text_lines();
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    check_lambda(
        &lines,
        "fields @type, @requestId = '6f1b0c1e-7a52-4a9c-8a43-2f6d0f6b3c11' as mine, cart.items | sort @timestamp",
        expect![[r#"
        mine=0
        @type=START | mine=1
        mine=1 | cart.items=3
        @type=END | mine=1
        @type=REPORT | mine=1
    "#]],
    );
    check_lambda(
        &lines,
        "filter @type = 'REPORT' | fields @duration, @billedDuration, @initDuration, @memorySize, @maxMemoryUsed, @xrayTraceId, @xraySegmentId",
        expect![[r#"
            @duration=12.34 | @billedDuration=13.0 | @initDuration=101.5 | @memorySize=1.28E8 | @maxMemoryUsed=4.0E7 | @xrayTraceId=1-abc-def | @xraySegmentId=77
        "#]],
    );
    check_lambda(
        &lines,
        "filter @type = 'REPORT' | stats max(@memorySize / 1024 / 1024) as provisioned, avg(@duration) as d by bin(30m)",
        expect![[r#"
            bin(30m)=2026-11-21 10:00:00.000 | provisioned=122.0703 | d=12.34
        "#]],
    );
    let query = Query::parse("filter ispresent(@duration)").unwrap();
    assert_eq!(
        execute(&query, "1:/ecs/other", &lines).unwrap().rows.len(),
        0,
        "only functions' logs have them"
    );
}

#[test]
fn json_lines_have_discovered_fields_too() {
    let lines = [
        r#"{"time":"2026-11-21T10:00:00.000Z","type":"platform.start","record":{"requestId":"r1","version":"1"}}"#,
        r#"{"timestamp":"2026-11-21T10:00:00Z","level":"INFO","message":"hi","requestId":"r1"}"#,
        r#"{"time":"2026-11-21T10:00:00.000Z","type":"platform.report","record":{"requestId":"r1","metrics":{"durationMs":2.5,"billedDurationMs":3,"memorySizeMB":256,"maxMemoryUsedMB":31,"initDurationMs":90.1},"status":"success"}}"#,
    ];
    check_lambda(
        &lines,
        "fields @type, type, @requestId, @duration, @memorySize, level, record.metrics.durationMs | sort @timestamp",
        expect![[r#"
        @type=START | type=platform.start | @requestId=r1
        @requestId=r1 | level=INFO
        @type=REPORT | type=platform.report | @requestId=r1 | @duration=2.5 | @memorySize=2.56E8 | record.metrics.durationMs=2.5
    "#]],
    );
}
