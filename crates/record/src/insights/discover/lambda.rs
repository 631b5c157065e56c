//! The fields of the lines that the Lambda platform writes, as text or as JSON.

use crate::insights::Event;
use crate::insights::json;
use crate::insights::value::Value;

/// A field of a platform line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    RequestId,
    Type,
    /// Milliseconds, as the next two.
    Duration,
    BilledDuration,
    InitDuration,
    /// Bytes, a megabyte being a million; as the next.
    MemorySize,
    MaxMemoryUsed,
    XrayTraceId,
    XraySegmentId,
}

/// By their places in [`Lambda`].
const FIELDS: [(&str, Platform); 9] = [
    ("@requestId", Platform::RequestId),
    ("@type", Platform::Type),
    ("@duration", Platform::Duration),
    ("@billedDuration", Platform::BilledDuration),
    ("@initDuration", Platform::InitDuration),
    ("@memorySize", Platform::MemorySize),
    ("@maxMemoryUsed", Platform::MaxMemoryUsed),
    ("@xrayTraceId", Platform::XrayTraceId),
    ("@xraySegmentId", Platform::XraySegmentId),
];

/// How text lines name them, and by what their numbers are to be multiplied.
const LABELS: [(&str, Platform, f64); 7] = [
    ("Duration: ", Platform::Duration, 1.0),
    ("Billed Duration: ", Platform::BilledDuration, 1.0),
    ("Init Duration: ", Platform::InitDuration, 1.0),
    ("Memory Size: ", Platform::MemorySize, MEGABYTE),
    ("Max Memory Used: ", Platform::MaxMemoryUsed, MEGABYTE),
    ("XRAY TraceId: ", Platform::XrayTraceId, 0.0),
    ("SegmentId: ", Platform::XraySegmentId, 0.0),
];

/// The service counts `128 MB` as 1.28E8 bytes.
const MEGABYTE: f64 = 1e6;

impl Platform {
    pub fn of(field: &str) -> Option<Self> {
        FIELDS.into_iter().find(|(name, _)| *name == field).map(|(_, platform)| platform)
    }
}

/// What a line tells.
#[derive(Debug)]
pub struct Lambda([Value; FIELDS.len()]);

impl Lambda {
    pub fn read(event: &Event<'_>) -> Self {
        let mut lambda = Self(std::array::from_fn(|_| Value::Missing));
        if is_lambda(event) {
            match (event.message.first(), std::str::from_utf8(event.message)) {
                (Some(b'{'), _) => lambda.read_json(event.message),
                (_, Ok(text)) => lambda.read_text(text),
                _ => {}
            }
        }
        lambda
    }

    pub fn value(&self, platform: Platform) -> Value {
        self.0[platform as usize].clone()
    }

    fn set(&mut self, platform: Platform, value: Value) {
        self.0[platform as usize] = value;
    }

    fn read_text(&mut self, text: &str) {
        let kinds = ["START", "END", "REPORT"];
        let begin = |kind| Some((kind, text.strip_prefix(kind)?.strip_prefix(" RequestId: ")?));
        let Some((kind, rest)) = kinds.into_iter().find_map(begin) else {
            // Lines of the runtimes: `[INFO]<tab>time<tab>id<tab>...` or `time<tab>id<tab>...`.
            if let Some(id) = text.split('\t').take(3).find(|part| is_request_id(part)) {
                self.set(Platform::RequestId, Value::text(id));
            }
            return;
        };
        self.set(Platform::Type, Value::text(kind));
        let id = rest.split_whitespace().next().unwrap_or_default();
        self.set(Platform::RequestId, Value::text(id));
        if kind != "REPORT" {
            return;
        }
        for part in rest.split(['\t', '\n']) {
            for (label, platform, factor) in LABELS {
                let Some(value) = part.strip_prefix(label) else { continue };
                let value = value.split(' ').next().unwrap_or_default();
                self.set(
                    platform,
                    match (factor == 0.0, value.parse::<f64>()) {
                        (true, _) => Value::text(value),
                        (false, Ok(number)) => Value::Measure(number * factor),
                        (false, Err(_)) => Value::Missing,
                    },
                );
            }
        }
    }

    fn read_json(&mut self, text: &[u8]) {
        const WAYS: [&str; 12] = [
            "type",
            "record.requestId",
            "record.metrics.durationMs",
            "record.metrics.billedDurationMs",
            "record.metrics.initDurationMs",
            "record.metrics.memorySizeMB",
            "record.metrics.maxMemoryUsedMB",
            "record.tracing.value",
            "record.tracing.spanId",
            "requestId",
            "AWSRequestId",
            "record.phase",
        ];
        let wanted: [_; WAYS.len()] = std::array::from_fn(|slot| (slot, WAYS[slot]));
        let mut found: [_; WAYS.len()] = std::array::from_fn(|_| Value::Missing);
        json::find(text, &wanted, &mut found);
        let [kind, id, duration, billed, init, size, used, trace, segment, plain_id, aws_id, phase] = found;
        let id = [id, plain_id, aws_id].into_iter().find(|id| !id.is_missing()).unwrap_or(Value::Missing);
        self.set(Platform::RequestId, id);
        let kind = match &*kind.shown() {
            "platform.start" => "START",
            "platform.report" if phase.is_missing() => "REPORT",
            _ => return,
        };
        self.set(Platform::Type, Value::text(kind));
        let measure =
            |value: Value, factor: f64| value.number().map_or(Value::Missing, |n| Value::Measure(n * factor));
        self.set(Platform::Duration, measure(duration, 1.0));
        self.set(Platform::BilledDuration, measure(billed, 1.0));
        self.set(Platform::InitDuration, measure(init, 1.0));
        self.set(Platform::MemorySize, measure(size, MEGABYTE));
        self.set(Platform::MaxMemoryUsed, measure(used, MEGABYTE));
        if let Some(root) = trace.shown().split(';').find_map(|part| part.strip_prefix("Root=")) {
            self.set(Platform::XrayTraceId, Value::text(root));
        }
        self.set(Platform::XraySegmentId, segment);
    }
}

/// Whether a function wrote this: by the group's name, or the shape `2026/11/21/[1]...` of the stream's.
pub fn is_lambda(event: &Event<'_>) -> bool {
    let group = event.log.split_once(':').map_or(event.log, |(_account, group)| group);
    let dated = || {
        let date = event.stream.as_bytes().first_chunk::<11>()?;
        let digits = date.iter().filter(|c| c.is_ascii_digit()).count() == 8;
        (digits && [date[4], date[7], date[10]] == *b"///" && event.stream.contains('[')).then_some(())
    };
    group.starts_with("/aws/lambda/") || dated().is_some()
}

/// 32 hexadecimal digits with four dashes between them.
fn is_request_id(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, c)| match at {
            8 | 13 | 18 | 23 => c == b'-',
            _ => c.is_ascii_hexdigit(),
        })
}
