//! The host's side of the way out: the packet filter, the instance's addresses, and forwarding.

use std::fs;
use std::io::{self, Write};
use std::process::{Command, Stdio};

use super::forwarding::Forwarding;
use super::house::House;
use crate::plan::egress::{self, Facts, Mode, Plan, Wishes};
use crate::setup::LaunchError;
use crate::sys::network::{self, Routes};
use crate::sys::{self, Step, StepError};

/// Where `nft` is when the PATH does not say so.
const NFT: &[&str] = &["nft", "/usr/sbin/nft", "/sbin/nft"];

/// Largest packet where nothing leads out yet, in bytes. Source: IEEE 802.3.
const USUAL_MTU: u32 = 1500;

/// The way out, open while this lives.
pub(super) struct Egress {
    plan: Plan,
    routes: Routes,
    /// Dropped last, when the packet filter is gone.
    forwarding: Forwarding,
}

impl Egress {
    /// Opens the way out, or says why functions have none; fails when it was asked for explicitly.
    ///
    /// Needs the host's own file system, and this process in the host's network namespace.
    pub(super) fn open(house: &mut House, wishes: &Wishes) -> Result<Option<Self>, LaunchError> {
        // What a killed launcher left switched on goes even when nothing is wanted now.
        let forwarding = Forwarding::take_over(&house.runs()).doing("looking at the host's forwarding");
        if wishes.mode == Mode::None {
            return Ok(None);
        }
        let opened = forwarding.map_err(|error| told(&error));
        match (opened.and_then(|forwarding| open(house, wishes, forwarding)), wishes.mode) {
            (Ok(egress), _) => Ok(Some(egress)),
            (Err(reason), Mode::Auto) => {
                sys::say(format_args!(
                    "functions reach no network: {reason}; --egress none starts without this line"
                ));
                Ok(None)
            }
            (Err(reason), mode) => {
                let wish = if mode == Mode::Open { "open" } else { "nat" };
                Err(LaunchError::Setup(format!("--egress {wish} cannot be had: {reason}")))
            }
        }
    }

    /// What was decided.
    pub(super) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Fails when somebody has removed the packet filter, as `nft flush ruleset` does: without it no sandbox gets out.
    pub(super) fn check(&self) -> Result<(), StepError> {
        network::find_table(&self.plan.table).step(|| {
            format!("looking for the packet filter {} (restart samovar to set it again)", self.plan.table)
        })
    }

    /// The host's routes.
    pub(super) fn routes(&self) -> &Routes {
        &self.routes
    }
}

impl Drop for Egress {
    fn drop(&mut self) {
        let removed =
            network::remove_table(&self.plan.table).and_then(|()| self.routes.release(self.plan.block));
        if let Err(error) = removed {
            sys::say(format_args!("the packet filter or the route of sandboxes is left behind: {error}"));
        }
    }
}

/// Removes what an earlier launcher of this instance left, whose block was noted.
pub(super) fn sweep(instance: &str, block: &str) {
    // It may have come to neither of them.
    let _ = network::remove_table(&egress::table(instance));
    if let (Ok(block), Ok(routes)) = (block.parse(), Routes::here()) {
        let _ = routes.release(block);
    }
}

fn open(house: &mut House, wishes: &Wishes, forwarding: Forwarding) -> Result<Egress, String> {
    let routes = Routes::here().doing("asking for the host's routes").map_err(|error| told(&error))?;
    let nft = NFT.iter().copied().find(|nft| run(nft, &["--version"], "").is_ok());
    let facts = facts(&routes, &forwarding, nft.is_some());
    let plan = egress::decide(wishes, &facts, &house.instance)?;
    let nft = nft.expect("a plan is made only with nft");
    let egress = raise(house, nft, routes, plan, forwarding).map_err(|error| told(&error))?;
    warn_of_other_filters(nft, &egress.plan.table);
    announce(&egress.plan, &facts, wishes);
    Ok(egress)
}

/// What was done is undone when the value is dropped, or by the next start's sweep.
fn raise(
    house: &mut House,
    nft: &str,
    routes: Routes,
    plan: Plan,
    forwarding: Forwarding,
) -> Result<Egress, StepError> {
    routes.reserve(plan.block).step(|| format!("reserving {}", plan.block))?;
    let mut egress = Egress { plan, routes, forwarding };
    house.note_egress(&egress.plan.block.to_string())?;
    run(nft, &["-f", "-"], &egress::text(&egress.plan)).doing("setting the packet filter with nft")?;
    let families = egress.plan.switch_on;
    egress.forwarding.switch_on(families).doing("switching forwarding on")?;
    Ok(egress)
}

fn told(StepError { step, source }: &StepError) -> String {
    format!("{step}: {source}")
}

fn facts(routes: &Routes, forwarding: &Forwarding, nft: bool) -> Facts {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let (networks, way_out) = egress::routes4(&read("/proc/net/route"));
    let way_out6 = egress::way_out6(&read("/proc/net/ipv6_route"));
    let ways = [&way_out, &way_out6].into_iter().flatten();
    let mtu = ways.filter_map(|name| Some(routes.interface(name).ok()?.1)).min();
    Facts {
        nft,
        forwarding: Forwarding::found(),
        forwarding_is_ours: forwarding.is_ours(),
        route6: way_out6.is_some(),
        routes: networks,
        mtu: mtu.unwrap_or(USUAL_MTU),
    }
}

/// Another table's verdict to drop is final, so its owner has to let our packets pass.
fn warn_of_other_filters(nft: &str, own: &str) {
    let listing = run(nft, &["list", "chains"], "").unwrap_or_default();
    for chain in egress::foreign_drops(&listing, own) {
        sys::say(format_args!(
            "the host's firewall ({chain}) drops what it does not know: let it accept packets from and to the \
             interfaces {any}*, or functions reach nothing (with Docker: iptables -I DOCKER-USER -i {any}+ -j ACCEPT; \
             iptables -I DOCKER-USER -o {any}+ -j ACCEPT)",
            any = egress::ANY_INTERFACE
        ));
    }
}

fn announce(plan: &Plan, facts: &Facts, wishes: &Wishes) {
    let reach = match (plan.reach, plan.private) {
        (egress::Reach::Open, _) => {
            "whatever this host reaches, a cloud's keys at 169.254.169.254 among it, but neither the host nor each other"
        }
        (_, true) => "the internet and private networks",
        (_, false) => "the internet",
    };
    let families = match plan.prefix6 {
        Some(_) => "IPv4 and IPv6",
        None if facts.route6 && !wishes.may_forward => {
            "IPv4; not IPv6, which this host does not forward without --allow-ip-forward on"
        }
        None => "IPv4; this host has no route to the internet over IPv6",
    };
    sys::say(format_args!("functions reach {reach} ({families}), from {}", plan.block));
}

/// Runs `nft`; what it printed, or as an error what it complained of.
fn run(nft: &str, arguments: &[&str], input: &str) -> io::Result<String> {
    let mut command = Command::new(nft);
    command.args(arguments).env("LC_ALL", "C").current_dir("/");
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let written = child.stdin.take().map(|mut stdin| stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output()?;
    if output.status.success() {
        written.transpose()?;
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(complaint.lines().next().unwrap_or("it gives no reason").to_owned()))
}
