//! Environments without walls: an init and a directory each, and nothing of the kernel's to make or remove.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener};
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use rustix::process::Pid;

use super::{Born, Keys, log_pipe};
use crate::init::{self, Around};
use crate::plan::plain::{Addresses, Places, PlainHouse};
use crate::seccomp::Program;
use crate::spec::SandboxSpec;
use crate::sys::{Step, StepError, network, packets, process};

/// Forks the init of an environment without walls.
pub(super) fn build(house: &PlainHouse, spec: &SandboxSpec, filter: &Program) -> Result<Born, StepError> {
    let (socket, launcher) = packets::pair().doing("making an init's socket")?;
    let (control, server) = packets::pair().doing("making a control socket")?;
    let (read, log) = log_pipe().doing("making a log pipe")?;
    let (runtime_api, runtime_address) = listen().doing("listening for the runtime")?;
    let endpoint = spec.endpoint.then(listen).transpose().doing("listening for the function's AWS calls")?;
    let heard =
        Addresses { runtime_api: runtime_address, endpoint: endpoint.as_ref().map(|(_, address)| *address) };
    let around = Around::Nothing(Places::of(house, spec), heard);
    let birth = init::Birth { around, launcher, control: server, log, filter, nursery: None };
    let pid = process::spawn(0, move || init::run(birth)).doing("forking an init")?;
    // The child is not collected before it was noted, so the number is still its own.
    let meter = family_of(pid).doing("looking at an init")?;
    let endpoint = endpoint.map(|(listener, _)| listener);
    let keys =
        Keys { control, log: read, meter, runtime_api, loopback: None, endpoint, names: None, freezer: None };
    Ok(Born { pid, holding: None, socket, keys, nest: None, stack: None })
}

fn listen() -> io::Result<(OwnedFd, SocketAddrV4)> {
    let listener = network::listen_at(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
    match TcpListener::from(listener.try_clone()?).local_addr()? {
        SocketAddr::V4(address) => Ok((listener, address)),
        SocketAddr::V6(_) => Err(io::ErrorKind::AddrNotAvailable.into()),
    }
}

/// The directory by which a meter finds the processes of an init, whoever gets its number later.
fn family_of(init: Pid) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(format!("/proc/{}", init.as_raw_nonzero()), flags, Mode::empty())
}
