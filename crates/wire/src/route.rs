//! Which service and which operation a request is for.

use std::collections::HashMap;
use std::sync::LazyLock;

use http::StatusCode;

use crate::error::ServiceError;
use crate::http::{Head, decoded};
use crate::schema::{Operation, Protocol, Segment, Service};

/// Every service of which we have a model.
pub static SERVICES: &[&Service] = &[&crate::lambda::SERVICE, &crate::logs::SERVICE];

/// Where a request leads.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// The service.
    pub service: &'static Service,
    /// One of its operations, built or not.
    pub operation: &'static Operation,
    /// What the path holds for each label, by label name, decoded.
    pub labels: Vec<(&'static str, String)>,
}

impl PartialEq for Service {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl PartialEq for Operation {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

/// Tells the service: by the signature's scope where there is one, else by target header, host or path.
///
/// The scope decides alone: what was signed for one service is not for another.
pub fn service(head: &Head, scope: Option<&str>) -> Result<&'static Service, ServiceError> {
    if let Some(name) = scope {
        let known = SERVICES.iter().find(|service| service.signing_name == name);
        return known.copied().ok_or_else(|| unknown_service(name));
    }
    by_target(head).or_else(|| by_host(head)).or_else(|| by_path(head)).ok_or_else(unknown_operation)
}

/// Tells the operation. Needs no body, so that the body's limit can depend on the operation.
pub fn operation(service: &'static Service, head: &Head) -> Result<Route, ServiceError> {
    match service.protocol {
        Protocol::RestJson => by_address(service, head),
        Protocol::AwsJson(_) => target(head)
            .filter(|(prefix, _)| service.target_prefix == Some(prefix))
            .and_then(|(_, name)| service.operation(name))
            .map(|operation| Route { service, operation, labels: Vec::new() }),
    }
    .ok_or_else(unknown_operation)
}

fn unknown_operation() -> ServiceError {
    ServiceError::plain(
        StatusCode::NOT_FOUND,
        "UnknownOperationException",
        "The requested operation is not recognized by the service.",
    )
}

fn unknown_service(name: &str) -> ServiceError {
    ServiceError::plain(
        StatusCode::NOT_IMPLEMENTED,
        "NotImplementedException",
        format!("Samovar does not implement the service {name}"),
    )
}

fn target(head: &Head) -> Option<(&str, &str)> {
    head.header("x-amz-target")?.split_once('.')
}

fn by_target(head: &Head) -> Option<&'static Service> {
    let (prefix, _) = target(head)?;
    SERVICES.iter().copied().find(|service| service.target_prefix == Some(prefix))
}

/// `lambda.us-east-1.amazonaws.com` or `lambda.localhost:4566`: the first label, when more follows.
fn by_host(head: &Head) -> Option<&'static Service> {
    let (label, _) = head.header("host")?.split_once('.')?;
    SERVICES.iter().copied().find(|service| service.name == label)
}

fn by_path(head: &Head) -> Option<&'static Service> {
    let rest = SERVICES.iter().copied().filter(|service| service.protocol == Protocol::RestJson);
    rest.into_iter().find(|service| by_address(service, head).is_some())
}

/// The paths of one service as a tree, one level a segment.
#[derive(Debug, Default)]
struct Node {
    literals: HashMap<&'static str, Node>,
    label: Option<Box<Node>>,
    ends: Vec<&'static Operation>,
}

static TREES: LazyLock<Vec<(&'static Service, Node)>> = LazyLock::new(|| {
    let rest = SERVICES.iter().filter(|service| service.protocol == Protocol::RestJson);
    rest.map(|service| (*service, tree(service))).collect()
});

fn tree(service: &'static Service) -> Node {
    let mut root = Node::default();
    for operation in service.operations {
        let mut node = &mut root;
        for segment in operation.path {
            node = match segment {
                Segment::Literal(text) => node.literals.entry(text).or_default(),
                Segment::Label(_) => node.label.get_or_insert_default(),
            };
        }
        node.ends.push(operation);
    }
    root
}

fn by_address(service: &'static Service, head: &Head) -> Option<Route> {
    let (_, root) = TREES.iter().find(|(owner, _)| *owner == service)?;
    // Older SDKs end the path of collections with a slash.
    let path = head.path.strip_prefix('/')?;
    let segments: Vec<&str> = path.strip_suffix('/').unwrap_or(path).split('/').collect();
    let query: Vec<(String, String)> = head.query_pairs().collect();
    let operation = descend(root, &segments, &|ends: &[&'static Operation]| {
        let fits = |operation: &&Operation| {
            operation.method == head.method.as_str()
                && operation
                    .query
                    .iter()
                    .all(|(key, value)| query.iter().any(|(k, v)| k == key && v == value))
        };
        // Of two operations at one address the one that fixes a query parameter is meant.
        ends.iter().copied().filter(fits).max_by_key(|operation| operation.query.len())
    })?;
    let labels: Option<Vec<_>> = operation
        .path
        .iter()
        .zip(&segments)
        .filter_map(|(segment, text)| match segment {
            Segment::Label(name) => Some(decoded(text).map(|text| (*name, text))),
            Segment::Literal(_) => None,
        })
        .collect();
    Some(Route { service, operation, labels: labels? })
}

fn descend(
    node: &Node,
    segments: &[&str],
    end: &dyn Fn(&[&'static Operation]) -> Option<&'static Operation>,
) -> Option<&'static Operation> {
    let Some((segment, rest)) = segments.split_first() else {
        return end(&node.ends);
    };
    let literal = node.literals.get(segment).and_then(|next| descend(next, rest, end));
    literal.or_else(|| node.label.as_ref().and_then(|next| descend(next, rest, end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(method: &str, address: &str, headers: &[(&str, &str)]) -> Head {
        let mut request = ::http::Request::builder().method(method).uri(address);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Head::of(&request.body(()).expect("a request").into_parts().0)
    }

    fn routed(method: &str, address: &str, headers: &[(&str, &str)]) -> String {
        let head = head(method, address, headers);
        match service(&head, None).and_then(|service| operation(service, &head)) {
            Ok(route) => {
                let labels: String =
                    route.labels.iter().map(|(name, text)| format!(" {name}={text}")).collect();
                format!("{}.{}{labels}", route.service.name, route.operation.name)
            }
            Err(error) => format!("{} {}", error.status.as_u16(), error.code),
        }
    }

    #[test]
    fn method_path_and_fixed_query_tell_the_operation() {
        for (method, address, expected) in [
            ("POST", "/2015-03-31/functions", "lambda.CreateFunction"),
            ("POST", "/2015-03-31/functions/", "lambda.CreateFunction"),
            ("GET", "/2015-03-31/functions/?MaxItems=1", "lambda.ListFunctions"),
            ("GET", "/2015-03-31/functions/f", "lambda.GetFunction FunctionName=f"),
            ("POST", "/2015-03-31/functions/f/invocations", "lambda.Invoke FunctionName=f"),
            ("GET", "/2018-10-31/layers?find=LayerVersion&Arn=a", "lambda.GetLayerVersionByArn"),
            ("GET", "/2018-10-31/layers?find=x", "lambda.ListLayers"),
            (
                "GET",
                "/2019-09-30/functions/f/provisioned-concurrency?List=ALL",
                "lambda.ListProvisionedConcurrencyConfigs FunctionName=f",
            ),
            (
                "GET",
                "/2019-09-30/functions/f/provisioned-concurrency?Qualifier=1",
                "lambda.GetProvisionedConcurrencyConfig FunctionName=f",
            ),
            ("GET", "/2015-03-31/functions/f/aliases/a", "lambda.GetAlias FunctionName=f Name=a"),
            ("PATCH", "/2015-03-31/functions", "404 UnknownOperationException"),
            ("GET", "/2015-03-31/nothing", "404 UnknownOperationException"),
            ("GET", "/", "404 UnknownOperationException"),
            ("GET", "/2015-03-31/functions/%FF", "404 UnknownOperationException"),
        ] {
            assert_eq!(routed(method, address, &[]), expected, "{method} {address}");
        }
    }

    #[test]
    fn arns_in_paths_may_be_encoded_or_have_raw_colons() {
        let expected =
            "lambda.GetFunction FunctionName=arn:aws:lambda:us-east-1:123456789012:function:f:$LATEST";
        for address in [
            "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Af%3A%24LATEST",
            "/2015-03-31/functions/arn:aws:lambda:us-east-1:123456789012:function:f:$LATEST",
        ] {
            assert_eq!(routed("GET", address, &[]), expected);
        }
        assert_eq!(
            routed("GET", "/2025-12-01/durable-executions/arn%3Aaws%2Fa%2Fb/state", &[]),
            "lambda.GetDurableExecutionState DurableExecutionArn=arn:aws/a/b"
        );
    }

    #[test]
    fn target_host_and_scope_tell_the_service() {
        let target = [("x-amz-target", "Logs_20140328.GetLogEvents")];
        assert_eq!(routed("POST", "/", &target), "logs.GetLogEvents");
        let unknown = [("x-amz-target", "Logs_20140328.Nothing")];
        assert_eq!(routed("POST", "/", &unknown), "404 UnknownOperationException");
        let host = [("host", "lambda.localhost:4566")];
        assert_eq!(routed("GET", "/2015-03-31/functions", &host), "lambda.ListFunctions");
        let head = head("POST", "/", &target);
        assert_eq!(service(&head, Some("lambda")).map(|service| service.name), Ok("lambda"));
        assert_eq!(
            service(&head, Some("s3")).map_err(|error| error.to_string()).map(|service| service.name),
            Err("NotImplementedException: Samovar does not implement the service s3".into())
        );
    }

    #[test]
    fn every_rest_operation_is_found_at_its_own_address() {
        for service in SERVICES.iter().filter(|service| service.protocol == Protocol::RestJson) {
            for expected in service.operations {
                let path: String = expected
                    .path
                    .iter()
                    .map(|segment| match segment {
                        Segment::Literal(text) => format!("/{text}"),
                        Segment::Label(_) => "/x".into(),
                    })
                    .collect();
                let query: Vec<String> = expected.query.iter().map(|(k, v)| format!("{k}={v}")).collect();
                let address = format!("{path}?{}", query.join("&"));
                let route = operation(service, &head(expected.method, &address, &[]));
                assert_eq!(route.map(|route| route.operation.name), Ok(expected.name));
            }
        }
    }
}
