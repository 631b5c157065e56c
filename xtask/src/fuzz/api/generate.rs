//! The request of a number: all that is drawn for it follows from the seed.

use anyhow::Result;

use super::dice::Dice;
use super::hostile;
use super::json::Json;
use super::make::Maker;
use super::mutate::mutate;
use super::request::{Kind, Request};
use super::world::{Service, World};
use crate::codegen::model::Operation;

/// Of a hundred requests: to Lambda, to what is not built, valid, and hostile; the rest is mutated.
const LAMBDA: usize = 75;
const UNBUILT: usize = 4;
const VALID: usize = 45;
const HOSTILE: usize = 15;

/// The request of that number.
pub fn request(world: &World, seed: u64, number: u64) -> Result<Request> {
    Ok(drawn(world, seed, number)?.settled())
}

fn drawn(world: &World, seed: u64, number: u64) -> Result<Request> {
    let dice = &mut Dice::of(seed, number);
    let service = world.service(if dice.chance(LAMBDA) { "lambda" } else { "logs" })?;
    let operation = operation(service, dice)?;
    let draw = dice.below(100);
    let mut input = Maker { world, service, dice }.input(operation)?;
    if draw < VALID {
        return Request::bind(service, operation, input);
    }
    if draw < VALID + HOSTILE {
        let mut request = Request::bind(service, operation, input)?;
        hostile::spoil(&mut request, dice);
        return Ok(request);
    }
    let mut mutated = Json::Object(std::mem::take(&mut input));
    mutate(&mut mutated, dice);
    if let Json::Object(members) = mutated {
        input = members;
    }
    Ok(Request { kind: Kind::Mutated, ..Request::bind(service, operation, input)? })
}

fn operation<'a>(service: &'a Service, dice: &mut Dice) -> Result<&'a Operation> {
    let all = &service.drawn[usize::from(dice.chance(UNBUILT))];
    service.operation(&all[dice.below(all.len())])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn world() -> World {
        World::new(vec![b"archive".to_vec()], 1_795_000_000_000).expect("the models are in the repository")
    }

    #[test]
    fn a_seed_and_a_number_say_all_of_a_request() {
        let (one, other) = (world(), world());
        for number in 0..500 {
            let bytes = |world, seed| request(world, seed, number).expect("a request").bytes();
            assert_eq!(bytes(&one, 7), bytes(&other, 7), "{number}");
        }
        let texts: BTreeSet<Vec<u8>> =
            (0..500).map(|number| request(&one, 7, number).expect("a request").bytes()).collect();
        assert!(texts.len() > 400, "{} of 500 differ", texts.len());
    }

    #[test]
    fn every_built_operation_is_reached_validly_and_otherwise() {
        let world = world();
        let mut seen: BTreeSet<(String, bool)> = BTreeSet::new();
        for number in 0..6_000 {
            let request = request(&world, 1, number).expect("a request");
            seen.insert((request.operation, request.kind == Kind::Valid));
        }
        let built = world.services.iter().flat_map(|service| &service.built.operations);
        for (name, valid) in built.flat_map(|name| [(name.clone(), true), (name.clone(), false)]) {
            assert!(seen.contains(&(name.clone(), valid)), "{name}, valid: {valid}");
        }
        assert!(
            seen.contains(&("StopDurableExecution".into(), true)),
            "what is not built is asked for as well"
        );
    }

    /// Held against the product's own front end: the generator knows nothing of it.
    #[test]
    fn valid_requests_pass_the_front_end_and_others_may_not() {
        let world = world();
        let (mut refused, mut all) = ([0_u32; 2], [0_u32; 2]);
        for number in 0..4_000 {
            let request = request(&world, 3, number).expect("a request");
            if !matches!(request.kind, Kind::Valid | Kind::Mutated) {
                continue;
            }
            let valid = request.kind == Kind::Valid;
            let read = read(&request);
            all[usize::from(valid)] += 1;
            refused[usize::from(valid)] += u32::from(read.is_err());
            if valid && let Err(error) = read {
                let text = String::from_utf8_lossy(&request.bytes()).into_owned();
                assert_eq!(error, "501", "number {number}\n{text}");
                refused[1] -= 1;
            }
        }
        let [mutated, valid] = [refused[0] * 100 / all[0], refused[1] * 100 / all[1]];
        assert_eq!(valid, 0, "of a hundred valid ones");
        assert!((30..95).contains(&mutated), "{mutated} of a hundred mutated ones are refused");
    }

    /// The operation's name, when the request is routed to it and its input is valid; else why not.
    fn read(request: &Request) -> Result<&'static str, String> {
        let mut built = http::Request::builder().method(request.method.as_str()).uri(&request.target);
        for (name, value) in &request.headers {
            built = built.header(name, &value[..]);
        }
        let (parts, ()) = built.body(()).map_err(|error| error.to_string())?.into_parts();
        let head = wire::http::Head::from(parts);
        let told = |error: wire::error::ServiceError| match error.status.as_u16() {
            501 => "501".to_owned(),
            _ => error.to_string(),
        };
        let service = wire::route::service(&head, Some(&request.service)).map_err(told)?;
        let route = wire::route::operation(service, &head).map_err(told)?;
        if request.kind == Kind::Valid {
            assert_eq!(route.operation.name, request.operation, "{} {}", request.method, request.target);
        }
        wire::request::read(&route, &head, request.body.clone().into()).map_err(told)?;
        Ok(route.operation.name)
    }
}
