//! What a service model says, as static data: services, operations, shapes and their constraints.
//!
//! Codecs and validation walk this data, so one more service costs data and not code.

/// One AWS service.
#[derive(Debug)]
pub struct Service {
    /// The endpoint's first label and our module's name: `lambda`.
    pub name: &'static str,
    /// The service in a signature's scope.
    pub signing_name: &'static str,
    /// How requests and answers are written.
    pub protocol: Protocol,
    /// The first half of `X-Amz-Target`, for protocols that use it.
    pub target_prefix: Option<&'static str>,
    /// The code of the error for a request that breaks the model's constraints.
    pub violation: &'static str,
    /// Every operation of the model, built or not, sorted by name.
    pub operations: &'static [Operation],
}

impl Service {
    /// The operation of that name.
    pub fn operation(&self, name: &str) -> Option<&'static Operation> {
        self.operations
            .binary_search_by(|operation| operation.name.cmp(name))
            .ok()
            .map(|at| &self.operations[at])
    }
}

/// How a service's requests and answers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `restJson1`: members in path, query, headers and a JSON body.
    RestJson,
    /// `awsJson1.0` and `awsJson1.1`: the operation in `X-Amz-Target`, all members in a JSON body.
    AwsJson(JsonVersion),
}

/// The version in awsJson's content type; nothing else differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonVersion {
    /// `application/x-amz-json-1.0`
    V1_0,
    /// `application/x-amz-json-1.1`
    V1_1,
}

/// One API operation.
#[derive(Debug)]
pub struct Operation {
    /// As the model and the SDKs call it: `CreateFunction`.
    pub name: &'static str,
    /// The HTTP method.
    pub method: &'static str,
    /// The path as segments.
    pub path: &'static [Segment],
    /// Query parameters that belong to the address: `?List=ALL`.
    pub query: &'static [(&'static str, &'static str)],
    /// The HTTP status of success.
    pub status: u16,
    /// A structure.
    pub input: &'static Shape,
    /// A structure; `None` when success has no body.
    pub output: Option<&'static Shape>,
    /// Whether Samovar implements it.
    pub built: bool,
}

/// One part of a path between slashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Segment {
    /// Exactly this text.
    Literal(&'static str),
    /// The value of the input member of this name.
    Label(&'static str),
}

/// A type of the model with its constraints.
#[derive(Debug)]
pub struct Shape {
    /// Its name in the model.
    pub name: &'static str,
    /// What it is made of.
    pub kind: Kind,
    /// Smallest length or value.
    pub min: Option<f64>,
    /// Largest length or value.
    pub max: Option<f64>,
    /// The regular expression that a whole string must match, in the model's text.
    pub pattern: Option<&'static str>,
    /// Never shown in logs.
    pub sensitive: bool,
    /// What the items of a list may be, where their own shape lets everything through.
    pub among: Option<Among>,
}

/// What the items of a list may be. The two differ: AWS takes more than it prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Among {
    /// What is told of those that may not be there, in AWS's order.
    pub printed: &'static [&'static str],
    /// What is let through.
    pub taken: &'static [&'static str],
}

/// What a shape is made of.
#[derive(Debug)]
pub enum Kind {
    /// Named members.
    Structure {
        /// In the model's order, which is the order in answers.
        members: &'static [Member],
        /// The index of the member that is the whole HTTP body.
        payload: Option<usize>,
    },
    /// A list of one shape.
    List(&'static Shape),
    /// A map from strings.
    Map {
        /// The shape of keys.
        key: &'static Shape,
        /// The shape of values.
        value: &'static Shape,
    },
    /// Text; for an enum, with the values allowed.
    String {
        /// In the model's order; empty for plain text and for enums that the front end lets through.
        values: &'static [&'static str],
    },
    /// 32-bit integer.
    Integer,
    /// 64-bit integer.
    Long,
    /// Floating point, single or double.
    Double,
    /// True or false.
    Boolean,
    /// Bytes; base64 inside JSON.
    Blob,
    /// A moment.
    Timestamp,
}

/// A member of a structure.
#[derive(Debug)]
pub struct Member {
    /// Its name in the model.
    pub name: &'static str,
    /// Its name on the wire.
    pub wire_name: &'static str,
    /// Its type.
    pub shape: &'static Shape,
    /// Where it travels in HTTP bindings.
    pub location: Location,
    /// Whether requests must carry it.
    pub required: bool,
    /// How it is written, where that differs from the place's default.
    pub timestamp_format: Option<TimestampFormat>,
}

/// Where a member travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Location {
    /// In the body.
    Body,
    /// In the path.
    Uri,
    /// In the query.
    Query,
    /// In the header of its wire name.
    Header,
    /// In all headers that begin with its wire name.
    Headers,
    /// It is the HTTP status.
    StatusCode,
}

/// How a moment is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampFormat {
    /// Seconds since the epoch with fraction; the default in JSON bodies.
    EpochSeconds,
    /// `2026-11-21T10:00:00Z`; the default in path and query.
    DateTime,
    /// `Sat, 21 Nov 2026 10:00:00 GMT`; the default in headers.
    HttpDate,
}

impl Shape {
    /// A shape without constraints.
    pub const fn new(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, min: None, max: None, pattern: None, sensitive: false, among: None }
    }

    /// A structure whose members all travel on their own.
    pub const fn structure(name: &'static str, members: &'static [Member]) -> Self {
        Self::new(name, Kind::Structure { members, payload: None })
    }

    /// A structure one of whose members is the HTTP body.
    pub const fn with_payload(name: &'static str, members: &'static [Member], payload: usize) -> Self {
        Self::new(name, Kind::Structure { members, payload: Some(payload) })
    }

    /// Text.
    pub const fn string(name: &'static str) -> Self {
        Self::new(name, Kind::String { values: &[] })
    }

    /// Text of a closed set.
    pub const fn enumeration(name: &'static str, values: &'static [&'static str]) -> Self {
        Self::new(name, Kind::String { values })
    }

    /// A list.
    pub const fn list(name: &'static str, member: &'static Shape) -> Self {
        Self::new(name, Kind::List(member))
    }

    /// A map.
    pub const fn map(name: &'static str, key: &'static Shape, value: &'static Shape) -> Self {
        Self::new(name, Kind::Map { key, value })
    }

    /// With a smallest length or value.
    pub const fn min(mut self, min: f64) -> Self {
        self.min = Some(min);
        self
    }

    /// With a largest length or value.
    pub const fn max(mut self, max: f64) -> Self {
        self.max = Some(max);
        self
    }

    /// With a pattern.
    pub const fn pattern(mut self, pattern: &'static str) -> Self {
        self.pattern = Some(pattern);
        self
    }

    /// Never shown in logs.
    pub const fn sensitive(mut self) -> Self {
        self.sensitive = true;
        self
    }

    /// With items of a set, though their own shape is open.
    pub const fn among(mut self, printed: &'static [&'static str], taken: &'static [&'static str]) -> Self {
        self.among = Some(Among { printed, taken });
        self
    }

    /// The members of a structure; nothing for other shapes.
    pub const fn members(&self) -> &'static [Member] {
        match self.kind {
            Kind::Structure { members, .. } => members,
            _ => &[],
        }
    }

    /// The member that is the HTTP body, with its index.
    pub fn payload(&self) -> Option<(usize, &'static Member)> {
        match self.kind {
            Kind::Structure { members, payload: Some(at) } => Some((at, &members[at])),
            _ => None,
        }
    }
}

impl Member {
    /// A member of the body.
    pub const fn new(name: &'static str, shape: &'static Shape) -> Self {
        Self {
            name,
            wire_name: name,
            shape,
            location: Location::Body,
            required: false,
            timestamp_format: None,
        }
    }

    /// Requests must carry it.
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// It travels elsewhere than in the body.
    pub const fn at(mut self, location: Location) -> Self {
        self.location = location;
        self
    }

    /// It has another name on the wire.
    pub const fn named(mut self, wire_name: &'static str) -> Self {
        self.wire_name = wire_name;
        self
    }

    /// It is written in another way than its place's default.
    pub const fn format(mut self, format: TimestampFormat) -> Self {
        self.timestamp_format = Some(format);
        self
    }
}
