//! What exists: functions with their configuration, code and life cycle, and layers, in an in-memory snapshot that the
//! store's `watch` keeps current.
//!
//! Reading a function costs no I/O. A write is durable and visible in the snapshot when it answers.

mod alias;
mod catalogue;
pub mod code_signing;
mod concurrency;
mod configuration;
mod error;
mod event_invoke;
mod follower;
mod function;
mod function_url;
mod layer;
pub mod mapping;
mod policy;
mod qualified;
mod record;
mod recursion;
mod request;
mod root;
pub mod rules;
mod runtime_management;
mod shelf;
mod snapshot;
mod usage;

pub use alias::{Alias, AliasUpdate, NewAlias, Routing, Weight};
pub use catalogue::{Catalogue, Unfinished};
pub use concurrency::{ProvisionedConcurrency, Shares};
pub use configuration::{
    Architecture, Configuration, FileSystem, ImageConfig, LayerUse, LogFormat, LogLevel, LoggingConfig,
    PackageType, SealedEnvironment, SnapStart, SystemLogLevel, TracingMode, VpcConfig,
};
pub use error::{Busy, CatalogueError};
pub use event_invoke::{EventInvokeChange, EventInvokeConfig};
pub use follower::{Event, Subscription};
pub use function::{CodeRef, Function, FunctionKey, LastUpdate, Published, Reason, State, Version};
pub use function_url::{
    Cors, FunctionUrl, FunctionUrlChange, InvokeMode, NewFunctionUrl, NoUrlId, UrlAuth, UrlId,
};
pub use layer::{Grantee, Layer, LayerAbout, LayerKey, LayerPolicy, LayerStatement, LayerVersion};
pub use policy::{
    Condition, Effect, Grant, GrantedTo, Listed, Malformed, Named, Policy, PolicyName, Principals, Statement,
    Test,
};
pub use recursion::RecursiveLoop;
pub use request::{CodeUpdate, ConfigurationUpdate, NewFunction};
pub use root::{Root, RootKey};
pub use runtime_management::RuntimeManagement;
pub use usage::Usage;
