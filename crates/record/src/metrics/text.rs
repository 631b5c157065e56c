//! Figures in Prometheus' text form.
//!
//! Sources: Prometheus documentation, "Exposition formats" and "Metric and label naming".

use std::fmt::{Display, Write};
use std::time::Duration;

use base::arn::Scope;

use super::{BOUNDS, Count, Distribution, FunctionFigures, Metrics, Sample, Series};

/// How a family's values behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// They only grow.
    Counter,
    /// They go up and down.
    Gauge,
    /// They are of buckets.
    Histogram,
}

/// Labels of a sample.
pub type Labels<'a> = [(&'a str, &'a str)];

/// A page of families.
#[derive(Debug, Default)]
pub struct Page {
    text: String,
}

impl Page {
    /// Begins a family. All its samples follow it, before the next one begins.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// One sample.
    pub fn sample(&mut self, name: &str, labels: &Labels<'_>, value: impl Display) {
        self.text.push_str(name);
        if !labels.is_empty() {
            self.text.push('{');
            for (place, (label, text)) in labels.iter().enumerate() {
                let comma = if place == 0 { "" } else { "," };
                let _ = write!(self.text, "{comma}{label}=\"");
                escape(&mut self.text, text);
                self.text.push('"');
            }
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }

    /// One histogram, in seconds.
    pub fn histogram(&mut self, name: &str, labels: &Labels<'_>, shown: &Distribution) {
        let ends = BOUNDS.iter().map(|micros| seconds(Duration::from_micros(*micros)).to_string());
        let mut below = 0;
        for (count, end) in shown.buckets.iter().zip(ends.chain(["+Inf".to_owned()])) {
            below += count;
            let labels = [labels, &[("le", &*end)]].concat();
            self.sample(&format!("{name}_bucket"), &labels, below);
        }
        self.sample(&format!("{name}_sum"), labels, seconds(shown.sum));
        self.sample(&format!("{name}_count"), labels, below);
    }

    /// The page.
    pub fn into_text(self) -> String {
        self.text
    }
}

fn escape(text: &mut String, label: &str) {
    for letter in label.chars() {
        match letter {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            letter => text.push(letter),
        }
    }
}

/// Prometheus' unit of time.
pub fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

/// A counter's name after `samovar_function_` and `samovar_account_`, and what it is.
const fn words(count: Count) -> (&'static str, &'static str) {
    match count {
        Count::Invocations => ("invocations_total", "Times that the function ran, whatever came of it."),
        Count::Errors => (
            "errors_total",
            "Invocations that ended in a function error, a timeout or a fault of the runtime.",
        ),
        Count::Throttles => {
            ("throttles_total", "Requests that found no concurrency; they are no invocations.")
        }
        Count::PlatformFailures => (
            "platform_failures_total",
            "Requests that Samovar failed, before or while the function ran; they are no invocations.",
        ),
        Count::ColdStarts => ("cold_starts_total", "Invocations that waited for a new environment."),
        Count::ProvisionedConcurrencyInvocations => {
            ("provisioned_concurrency_invocations_total", "Invocations on provisioned environments.")
        }
        Count::ProvisionedConcurrencySpilloverInvocations => (
            "provisioned_concurrency_spillover_invocations_total",
            "Invocations that found all provisioned environments of their version busy.",
        ),
        Count::AsyncEventsReceived => ("async_events_received_total", "Events that were queued."),
        Count::AsyncEventsDropped => ("async_events_dropped_total", "Events that were given up."),
        Count::DeadLetterErrors => {
            ("dead_letter_errors_total", "Events that could not be handed to their dead-letter queue.")
        }
        Count::DestinationDeliveryFailures => {
            ("destination_delivery_failures_total", "Events whose end could not be told to a destination.")
        }
    }
}

/// Histograms of each function.
const FUNCTION_HISTOGRAMS: [(Sample, &str, &str); 3] = [
    (
        Sample::Duration,
        "samovar_function_duration_seconds",
        "How long invocations took, without the init of a cold start.",
    ),
    (
        Sample::PostRuntimeExtensionsDuration,
        "samovar_function_post_runtime_extensions_duration_seconds",
        "How long extensions went on after the runtime was done; of functions with extensions.",
    ),
    (
        Sample::AsyncEventAge,
        "samovar_function_async_event_age_seconds",
        "Time from an event's acceptance to each of its attempts; of functions that have had events.",
    ),
];

/// Writes what functions and accounts show.
pub fn write(page: &mut Page, metrics: &Metrics) {
    let (functions, accounts) = (metrics.functions(), metrics.accounts());
    let functions: Vec<([(&str, &str); 3], &Series)> =
        functions.iter().map(|figures| (figures.labels(), &*figures.series)).collect();
    let accounts: Vec<([(&str, &str); 2], &Series)> =
        accounts.iter().map(|(scope, series)| (scope_labels(scope), &**series)).collect();
    for count in Count::ALL {
        let (name, help) = words(count);
        counters(page, &format!("samovar_function_{name}"), help, &functions, count);
    }
    gauges(page, &functions);
    for (sample, name, help) in FUNCTION_HISTOGRAMS {
        page.family(name, Kind::Histogram, help);
        for (labels, series) in &functions {
            let shown = series.distribution(sample);
            if sample == Sample::Duration || shown.count() > 0 {
                page.histogram(name, labels, &shown);
            }
        }
    }
    phase_sums(page, &functions);
    for count in Count::ALL {
        let (name, help) = words(count);
        counters(page, &format!("samovar_account_{name}"), help, &accounts, count);
    }
    phases(page, &accounts);
}

fn counters<const LABELS: usize>(
    page: &mut Page,
    name: &str,
    help: &str,
    of: &[([(&str, &str); LABELS], &Series)],
    count: Count,
) {
    page.family(name, Kind::Counter, help);
    for (labels, series) in of {
        page.sample(name, labels, series.count(count));
    }
}

fn gauges(page: &mut Page, functions: &[([(&str, &str); 3], &Series)]) {
    let name = "samovar_function_concurrent_executions";
    page.family(name, Kind::Gauge, "Requests that were admitted and are not over.");
    for (labels, series) in functions {
        page.sample(name, labels, series.running());
    }
    let name = "samovar_function_max_memory_used_bytes";
    page.family(name, Kind::Gauge, "The most memory that a report has told of.");
    for (labels, series) in functions {
        page.sample(name, labels, series.memory());
    }
}

/// Histograms of five phases of every function would be too many samples: each function has their sums, by which an
/// average is told, and each account the histograms.
fn phase_sums(page: &mut Page, functions: &[([(&str, &str); 3], &Series)]) {
    let name = "samovar_function_cold_start_seconds_total";
    page.family(name, Kind::Counter, "Time that cold starts took, by phase.");
    for (labels, series) in functions {
        for (sample, phase) in Sample::PHASES {
            let labels = [&labels[..], &[("phase", phase)]].concat();
            page.sample(name, &labels, seconds(series.distribution(sample).sum));
        }
    }
}

fn phases(page: &mut Page, accounts: &[([(&str, &str); 2], &Series)]) {
    let name = "samovar_account_cold_start_phase_seconds";
    page.family(name, Kind::Histogram, "Time that each phase of a cold start took.");
    for (labels, series) in accounts {
        for (sample, phase) in Sample::PHASES {
            let labels = [&labels[..], &[("phase", phase)]].concat();
            page.histogram(name, &labels, &series.distribution(sample));
        }
    }
}

/// Account and region as labels.
pub fn scope_labels(scope: &Scope) -> [(&'static str, &str); 2] {
    [("account", scope.account.as_str()), ("region", scope.region.as_str())]
}

impl FunctionFigures {
    fn labels(&self) -> [(&'static str, &str); 3] {
        let [account, region] = self.scope.as_ref().map_or([("account", ""), ("region", "")], scope_labels);
        [account, region, ("function", &self.name)]
    }
}
