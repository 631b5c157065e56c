//! Requests for every operation that is built: read and validated, or refused in its protocol.
#![no_main]

use std::sync::LazyLock;

use base::id::RequestId;
use libfuzzer_sys::fuzz_target;
use samovar_fuzz::{choice, request};
use wire::codec::refuse;
use wire::route::{Route, SERVICES, operation, service};
use wire::schema::{Operation, Segment, Service};

static BUILT: LazyLock<Vec<(&'static Service, &'static Operation)>> = LazyLock::new(|| {
    let all = SERVICES.iter().flat_map(|service| service.operations.iter().map(move |one| (*service, one)));
    all.filter(|(_, operation)| operation.built).collect()
});

fuzz_target!(|data: &[u8]| {
    let Some((which, data)) = choice(data) else { return };
    let Some((head, body)) = request(data) else { return };
    let id: RequestId = "00000000-0000-0000-0000-000000000001".parse().map(RequestId).expect("an id");
    let addressed = service(&head, None).and_then(|service| operation(service, &head));
    // Whatever the address says, the body is tried on the operation that the first byte names.
    let (service, operation) = BUILT[usize::from(which) % BUILT.len()];
    let labels = operation.path.iter().filter_map(|segment| match segment {
        Segment::Label(name) => Some((*name, head.path.trim_start_matches('/').to_owned())),
        Segment::Literal(_) => None,
    });
    let forced = Route { service, operation, labels: labels.collect() };
    for route in addressed.into_iter().chain([forced]) {
        if let Err(error) = wire::request::read(&route, &head, body.clone()) {
            let answer = refuse(route.service.protocol, &error, id);
            assert!(answer.status().is_client_error() || answer.status().is_server_error());
        }
    }
});
