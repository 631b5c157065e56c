//! What counting adds to a warm invocation: all that the engine enters for one, again and again.
//!
//!     cargo run --release -p record --example count [threads] [functions]

use std::time::Duration;

use base::arn::{FunctionName, Scope};
use base::clock::Clock;
use base::units::Mib;
use record::Metrics;
use record::metrics::text::{Page, write};

/// Invocations of each thread.
const TIMES: u32 = 1_000_000;

fn main() {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<usize>().expect("a number"));
    let threads = numbers.next().unwrap_or(1);
    let functions = numbers.next().unwrap_or(1000);
    let clock = Clock::system();
    let metrics = Metrics::new(clock);
    let scope = Scope {
        account: "000000000000".parse().expect("an account"),
        region: "us-east-1".parse().expect("a region"),
    };
    let names: Vec<FunctionName> =
        (0..functions).map(|number| format!("function-{number}").parse().expect("a name")).collect();
    let began = clock.now();
    names.iter().for_each(|name| drop(metrics.watch(&scope, name)));
    println!(
        "the first invocations of {functions} functions: {:?} each",
        clock.now().since(began) / functions as u32
    );

    let began = clock.now();
    std::thread::scope(|all| {
        for _ in 0..threads {
            all.spawn(|| {
                for time in 0..TIMES {
                    let name = &names[time as usize % functions];
                    let running = metrics.watch(&scope, name).begin(clock);
                    running.invoked(Duration::from_micros(u64::from(time % 1000)), false, Mib(30));
                }
            });
        }
    });
    let took = clock.now().since(began);
    println!("{threads} threads, an invocation: {:?}", took / TIMES);
    println!(
        "an account holds {} invocations",
        metrics.accounts()[0].1.count(record::metrics::Count::Invocations)
    );

    let began = clock.now();
    let mut page = Page::default();
    write(&mut page, &metrics);
    let text = page.into_text();
    println!("a page of {} functions: {:?}, {} bytes", functions, clock.now().since(began), text.len());
}
