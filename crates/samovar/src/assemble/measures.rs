//! What is measured, as one page: functions and accounts, environments, and the server's own processes.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use base::arn::{FunctionArn, FunctionName, Scope};
use base::clock::{Clock, Timestamp};
use catalogue::{Catalogue, FunctionKey};
use doors::Measures;
use engine::Engine;
use record::Metrics;
use record::metrics::text::{self, Kind, Labels, Page, scope_labels};
use rustix::process::{Resource, getppid, getrlimit};

/// Ticks of the processor a second, in which the kernel counts for everybody. Source: proc_pid_stat(5).
const TICKS: f64 = 100.0;

/// Everything that a page tells of.
#[derive(Clone)]
pub struct Measured {
    /// Functions and accounts.
    pub metrics: Metrics,
    /// Environments.
    pub engine: Engine,
    /// Which functions there are.
    pub catalogue: Catalogue,
    /// Tells since when this process runs.
    pub clock: Clock,
}

impl Measured {
    /// As the endpoint calls it.
    pub fn into_callback(self) -> Measures {
        let since = self.clock.now();
        Arc::new(move || self.page(since))
    }

    fn page(&self, since: Timestamp) -> String {
        let exists = |scope: &Scope, name: &FunctionName| {
            self.catalogue.peek(&FunctionKey::new(scope.clone(), name.clone())).is_some()
        };
        // A request that was under way when its function was deleted may have made its figures again.
        self.metrics.retain(exists);
        let mut page = Page::default();
        text::write(&mut page, &self.metrics);
        self.environments(&mut page);
        self.provisioned(&mut page);
        self.accounts(&mut page);
        gauge(
            &mut page,
            "samovar_build_info",
            "Which Samovar this is.",
            &[("version", env!("CARGO_PKG_VERSION"))],
            1,
        );
        process(&mut page, since);
        page.into_text()
    }

    fn environments(&self, page: &mut Page) {
        let census = self.engine.census();
        let name = "samovar_function_environments";
        page.family(name, Kind::Gauge, "Environments of a function by state.");
        let mut sums = [("starting", 0), ("idle", 0), ("busy", 0)];
        for figures in self.metrics.functions() {
            let Some(scope) = &figures.scope else { continue };
            let Ok(function) = figures.name.parse::<FunctionName>() else { continue };
            let there = census.functions.get(&(scope.clone(), function)).copied().unwrap_or_default();
            let [account, region] = scope_labels(scope);
            for (state, count) in [("starting", there.starting), ("idle", there.idle), ("busy", there.busy)] {
                let labels = [account, region, ("function", &*figures.name), ("state", state)];
                page.sample(name, &labels, count);
            }
        }
        for there in census.functions.values() {
            sums[0].1 += there.starting;
            sums[1].1 += there.idle;
            sums[2].1 += there.busy;
        }
        let name = "samovar_environments";
        page.family(name, Kind::Gauge, "Environments of all functions by state; each has a sandbox.");
        for (state, count) in sums {
            page.sample(name, &[("state", state)], count);
        }
        let help = "Environments that the machine carries at most.";
        gauge(page, "samovar_environments_limit", help, &[], census.places);
        let help = "Versions that have environments, or requests that wait for one.";
        gauge(page, "samovar_pools", help, &[], census.pools);
    }

    /// Versions are summed up; functions without provisioned concurrency are left out. What an account may run at once
    /// bounds how many have some.
    fn provisioned(&self, page: &mut Page) {
        let mut functions: BTreeMap<(Scope, FunctionName), (usize, usize)> = BTreeMap::new();
        for one in self.engine.provisioned() {
            let FunctionArn { scope, name, .. } = one.version;
            let (wanted, running) = functions.entry((scope, name)).or_default();
            *wanted += one.standing.wanted;
            *running += one.standing.in_use;
        }
        let mut family = |name: &str, help: &str, value: &dyn Fn(usize, usize) -> Option<f64>| {
            page.family(name, Kind::Gauge, help);
            for ((scope, function), (wanted, running)) in &functions {
                let [account, region] = scope_labels(scope);
                if let Some(value) = value(*wanted, *running) {
                    page.sample(name, &[account, region, ("function", function.as_str())], value);
                }
            }
        };
        family(
            "samovar_function_provisioned_environments",
            "Environments that are to be kept ready.",
            &|wanted, _| Some(wanted as f64),
        );
        family(
            "samovar_function_provisioned_concurrent_executions",
            "Requests that run on provisioned environments.",
            &|_, running| Some(running as f64),
        );
        family(
            "samovar_function_provisioned_concurrency_utilization_ratio",
            "What of the provisioned concurrency is used, from 0 to 1.",
            &|wanted, running| (wanted > 0).then(|| running as f64 / wanted as f64),
        );
    }

    fn accounts(&self, page: &mut Page) {
        let uses: Vec<_> = self
            .metrics
            .accounts()
            .into_iter()
            .map(|(scope, _)| (self.engine.account_use(&scope), scope))
            .collect();
        let name = "samovar_account_concurrent_executions";
        page.family(name, Kind::Gauge, "What an account runs now.");
        for (account, scope) in &uses {
            page.sample(name, &scope_labels(scope), account.running.0);
        }
        let name = "samovar_account_unreserved_concurrent_executions";
        page.family(name, Kind::Gauge, "What of it runs on what no function has for itself.");
        for (account, scope) in &uses {
            page.sample(name, &scope_labels(scope), account.unreserved.0);
        }
        let name = "samovar_account_concurrent_executions_limit";
        page.family(name, Kind::Gauge, "What an account may run at once.");
        for (account, scope) in &uses {
            page.sample(name, &scope_labels(scope), account.limit.0);
        }
    }
}

fn gauge(page: &mut Page, name: &str, help: &str, labels: &Labels<'_>, value: impl std::fmt::Display) {
    page.family(name, Kind::Gauge, help);
    page.sample(name, labels, value);
}

/// What every program tells of itself, and the launcher's memory. Source of the names: Prometheus documentation,
/// "Writing client libraries".
fn process(page: &mut Page, since: Timestamp) {
    let page_size = rustix::param::page_size() as u64;
    if let Some([_, resident]) = memory("self") {
        let help = "Memory of the server that is in the machine's.";
        gauge(page, "process_resident_memory_bytes", help, &[], resident * page_size);
    }
    if let Some([size, _]) = memory("self") {
        gauge(page, "process_virtual_memory_bytes", "Addresses of the server.", &[], size * page_size);
    }
    if let Some([_, resident]) = getppid().and_then(|launcher| memory(&launcher.to_string())) {
        let help = "Memory of the launcher that is in the machine's.";
        gauge(page, "samovar_launcher_resident_memory_bytes", help, &[], resident * page_size);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // The look itself holds one.
        let open = open.count().saturating_sub(1);
        gauge(page, "process_open_fds", "Descriptors that the server holds.", &[], open);
    }
    if let Some(most) = getrlimit(Resource::Nofile).current {
        gauge(page, "process_max_fds", "Descriptors that the server may hold.", &[], most);
    }
    if let Some(spent) = processor() {
        page.family("process_cpu_seconds_total", Kind::Counter, "Time on processors that the server spent.");
        page.sample("process_cpu_seconds_total", &[], spent);
    }
    let help = "When the server was ready to open its door, in seconds since 1970.";
    gauge(page, "process_start_time_seconds", help, &[], since.as_secs_f64());
}

/// Size and resident part of a process, in pages. Source: proc_pid_statm(5).
fn memory(process: &str) -> Option<[u64; 2]> {
    let text = fs::read_to_string(format!("/proc/{process}/statm")).ok()?;
    let mut fields = text.split(' ').map(str::parse);
    Some([fields.next()?.ok()?, fields.next()?.ok()?])
}

/// Time on processors in seconds. Source: proc_pid_stat(5), utime and stime.
fn processor() -> Option<f64> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    // The program's name comes before, in parentheses, and may hold anything.
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11).map(str::parse::<u64>);
    Some((fields.next()?.ok()? + fields.next()?.ok()?) as f64 / TICKS)
}
