//! Accounts, regions, names of functions and layers, and the ARNs made of them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A name that is not what its type promises.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Accounts are twelve ASCII digits.
    #[error("account id {0:?} is not twelve digits")]
    Account(String),
    /// Regions are lower-case words, digits and hyphens.
    #[error("region {0:?} is not a region name")]
    Region(String),
    /// See the function-name pattern in the service model.
    #[error("{0:?} is not a function name or ARN")]
    Function(String),
    /// See the layer-name pattern in the service model.
    #[error("{0:?} is not a layer name or ARN")]
    Layer(String),
}

macro_rules! shared_name {
    ($(#[$doc:meta])* $name:ident, $error:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                let check: fn(&str) -> bool = $check;
                if check(text) { Ok(Self(text.into())) } else { Err(NameError::$error(text.into())) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.as_ref().into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

shared_name!(
    /// Twelve digits that own resources.
    AccountId, Account, |text| text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
);

shared_name!(
    /// A region such as `us-east-1`.
    Region, Region, |text| {
        (3..=32).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    }
);

shared_name!(
    /// The bare name of a function, one to 64 of `[a-zA-Z0-9-_]` (140 for look-ups).
    FunctionName, Function, |text| text.len() <= 140 && is_word(text)
);

shared_name!(
    /// The bare name of a layer, one to 140 of `[a-zA-Z0-9-_]`.
    LayerName, Layer, |text| text.len() <= 140 && is_word(text)
);

/// The account and region that every resource, key and listing belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Scope {
    /// The owner.
    pub account: AccountId,
    /// The region the owner spoke to.
    pub region: Region,
}

/// What follows the function name: nothing is `None` at the places that hold one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Qualifier {
    /// `$LATEST`, the version that updates change.
    Latest,
    /// A published version's number.
    Version(u64),
    /// An alias.
    Alias(Arc<str>),
}

impl Qualifier {
    /// Reads a qualifier as requests carry it; all digits mean a version, and no version is written with a leading
    /// zero: one version has one name.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let error = || NameError::Function(text.into());
        if text == "$LATEST" {
            Ok(Self::Latest)
        } else if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            let number = text.parse().ok().filter(|_| !text.starts_with('0'));
            number.map(Self::Version).ok_or_else(error)
        } else if is_word(text) && text.len() <= 128 {
            Ok(Self::Alias(text.into()))
        } else {
            Err(error())
        }
    }
}

impl fmt::Display for Qualifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("$LATEST"),
            Self::Version(number) => write!(f, "{number}"),
            Self::Alias(name) => f.write_str(name),
        }
    }
}

/// `arn:aws:lambda:<region>:<account>:function:<name>[:<qualifier>]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FunctionArn {
    /// Account and region.
    pub scope: Scope,
    /// The bare name.
    pub name: FunctionName,
    /// Present only where the requester or the answer names one.
    pub qualifier: Option<Qualifier>,
}

impl FunctionArn {
    /// The ARN without qualifier.
    pub fn new(scope: Scope, name: FunctionName) -> Self {
        Self { scope, name, qualifier: None }
    }

    /// The same function, qualified.
    pub fn qualified(&self, qualifier: Qualifier) -> Self {
        Self { qualifier: Some(qualifier), ..self.clone() }
    }
}

impl fmt::Display for FunctionArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Scope { account, region } = &self.scope;
        write!(f, "arn:aws:lambda:{region}:{account}:function:{}", self.name)?;
        match &self.qualifier {
            Some(qualifier) => write!(f, ":{qualifier}"),
            None => Ok(()),
        }
    }
}

impl FromStr for FunctionArn {
    type Err = NameError;

    /// Accepts a full ARN, with or without qualifier, and nothing shorter.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let error = || NameError::Function(text.into());
        let FunctionRef { region, account, name, qualifier } = text.parse()?;
        let (Some(region), Some(account)) = (region, account) else { return Err(error()) };
        let qualifier = qualifier.map(|text| Qualifier::parse(&text)).transpose()?;
        Ok(Self { scope: Scope { account, region }, name, qualifier })
    }
}

/// A function as requests name it: bare, partial or full ARN, with or without qualifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionRef {
    /// The region in a full ARN.
    pub region: Option<Region>,
    /// The account in a full or partial ARN.
    pub account: Option<AccountId>,
    /// The bare name.
    pub name: FunctionName,
    /// The qualifier's text as written (`$latest` in lower case is an unknown alias, not an error).
    pub qualifier: Option<Box<str>>,
}

impl FromStr for FunctionRef {
    type Err = NameError;

    /// Accepts `f`, `f:q`, `function:f[:q]`, `<account>:function:f[:q]` and
    /// `arn:<partition>:lambda:<region>:<account>:function:f[:q]`.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let error = || NameError::Function(text.into());
        let mut parts: Vec<&str> = text.split(':').collect();
        let (mut region, mut account) = (None, None);
        if parts[0] == "arn" {
            // An ARN that stops at the word `function` names a function called `function`.
            if parts.len() < 6 || parts[2] != "lambda" {
                return Err(error());
            }
            region = Some(parts[3].parse().map_err(|_| error())?);
            account = Some(parts[4].parse().map_err(|_| error())?);
            parts.drain(..5);
        } else if parts.len() > 1 && parts[1] == "function" {
            account = Some(parts[0].parse().map_err(|_| error())?);
            parts.drain(..1);
        }
        if parts.len() > 1 && parts[0] == "function" {
            parts.drain(..1);
        }
        let (name, qualifier) = match parts[..] {
            [name] => (name, None),
            [name, qualifier] => (name, Some(qualifier.into())),
            _ => return Err(error()),
        };
        Ok(Self { region, account, name: name.parse().map_err(|_| error())?, qualifier })
    }
}

/// `arn:aws:lambda:<region>:<account>:layer:<name>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LayerArn {
    /// Account and region.
    pub scope: Scope,
    /// The bare name.
    pub name: LayerName,
}

impl LayerArn {
    /// One of the layer's versions.
    pub fn version(&self, number: u64) -> LayerVersionArn {
        LayerVersionArn { layer: self.clone(), number }
    }
}

impl fmt::Display for LayerArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Scope { account, region } = &self.scope;
        write!(f, "arn:aws:lambda:{region}:{account}:layer:{}", self.name)
    }
}

impl FromStr for LayerArn {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let error = || NameError::Layer(text.into());
        let parts: Vec<&str> = text.split(':').collect();
        let &["arn", _, "lambda", region, account, "layer", name] = parts.as_slice() else {
            return Err(error());
        };
        let region = region.parse().map_err(|_| error())?;
        let account = account.parse().map_err(|_| error())?;
        Ok(Self { scope: Scope { account, region }, name: name.parse().map_err(|_| error())? })
    }
}

/// `arn:aws:lambda:<region>:<account>:layer:<name>:<number>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LayerVersionArn {
    /// The layer.
    pub layer: LayerArn,
    /// The version's number.
    pub number: u64,
}

impl fmt::Display for LayerVersionArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.layer, self.number)
    }
}

impl FromStr for LayerVersionArn {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let error = || NameError::Layer(text.into());
        let (layer, number) = text.rsplit_once(':').ok_or_else(error)?;
        let layer = layer.parse().map_err(|_| error())?;
        // A version has one name; and `+1` would be a number to Rust.
        let digits = number.bytes().all(|byte| byte.is_ascii_digit()) && !number.starts_with('0');
        let number = number.parse().ok().filter(|_| digits).ok_or_else(error)?;
        Ok(Self { layer, number })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_version_is_read_and_written() {
        let text = "arn:aws:lambda:us-east-1:770693421928:layer:Klayers-p312-boto3:12";
        let arn: LayerVersionArn = text.parse().expect(text);
        assert_eq!((arn.layer.name.as_str(), arn.number), ("Klayers-p312-boto3", 12));
        assert_eq!(arn.to_string(), text);
        assert_eq!(arn.layer.to_string().parse::<LayerArn>().as_ref(), Ok(&arn.layer));
        assert_eq!(arn.layer.version(12), arn);
        for text in [
            "arn:aws:lambda:us-east-1:770693421928:layer:x",
            "arn:aws:lambda:us-east-1:770693421928:layer:x:",
            "arn:aws:lambda:us-east-1:770693421928:layer:x:+1",
            "arn:aws:lambda:us-east-1:770693421928:layer:x:0",
            "arn:aws:lambda:us-east-1:770693421928:layer:x:01",
            "arn:aws:lambda:us-east-1:770693421928:layer:x:1:2",
            "arn:aws:lambda:us-east-1:770693421928:function:x:1",
            "arn:aws:lambda:us-east-1:1:layer:x:1",
            "arn:aws:lambda:::awslayer:AmazonLinux1803",
            "x:1",
        ] {
            assert!(text.parse::<LayerVersionArn>().is_err(), "{text}");
        }
    }

    #[test]
    fn qualifiers_are_latest_numbers_and_names() {
        for (text, expected) in [
            ("$LATEST", Some(Qualifier::Latest)),
            ("1", Some(Qualifier::Version(1))),
            ("10", Some(Qualifier::Version(10))),
            ("live", Some(Qualifier::Alias("live".into()))),
            ("1a", Some(Qualifier::Alias("1a".into()))),
            ("0", None),
            ("01", None),
            ("99999999999999999999", None),
            ("$latest", None),
            ("a.b", None),
            ("", None),
        ] {
            assert_eq!(Qualifier::parse(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn a_function_arn_is_read_and_written() {
        for text in [
            "arn:aws:lambda:us-east-1:123456789012:function:f",
            "arn:aws:lambda:us-east-1:123456789012:function:f:$LATEST",
            "arn:aws:lambda:us-east-1:123456789012:function:f:7",
            "arn:aws:lambda:us-east-1:123456789012:function:f:live",
        ] {
            assert_eq!(text.parse::<FunctionArn>().expect(text).to_string(), text);
        }
        for text in
            ["f", "123456789012:function:f", "arn:aws:lambda:us-east-1:123456789012:function:f:$latest"]
        {
            assert!(text.parse::<FunctionArn>().is_err(), "{text}");
        }
    }

    #[test]
    fn every_form_of_a_function_name_is_read() {
        for (text, name, account, qualifier) in [
            ("f", "f", None, None),
            ("f:1", "f", None, Some("1")),
            ("function:f", "f", None, None),
            ("123456789012:function:f", "f", Some("123456789012"), None),
            (
                "arn:aws:lambda:us-east-1:123456789012:function:f:live",
                "f",
                Some("123456789012"),
                Some("live"),
            ),
            ("arn:aws:lambda:us-east-1:123456789012:function", "function", Some("123456789012"), None),
        ] {
            let read: FunctionRef = text.parse().expect(text);
            assert_eq!(read.name.as_str(), name, "{text}");
            assert_eq!(read.account.as_ref().map(AccountId::as_str), account, "{text}");
            assert_eq!(read.qualifier.as_deref(), qualifier, "{text}");
        }
        for text in ["", "a b", "f:1:2", "arn:aws:s3:::b", "arn:aws:lambda:us-east-1:12:function:f"] {
            assert!(text.parse::<FunctionRef>().is_err(), "{text}");
        }
    }
}
