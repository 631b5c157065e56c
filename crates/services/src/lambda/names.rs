//! Which function a request means: names, partial and full ARNs, qualifiers.

use base::arn::{FunctionArn, FunctionRef, Qualifier, Scope};
use catalogue::FunctionKey;

/// A function as a request means it, in the scope of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// The function, unqualified.
    pub(crate) function: FunctionArn,
    /// The qualifier as written, in the name or beside it; what nobody can be called may stand here too.
    pub(crate) qualifier: Option<Box<str>>,
}

/// A name that leads nowhere from here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NameError {
    /// Nothing can be called that.
    #[error("Function not found: {0}")]
    Unknown(String),
    /// A full ARN of another region.
    #[error("Functions from '{theirs}' are not reachable in this region ('{ours}')")]
    Region {
        /// The region in the ARN.
        theirs: String,
        /// The region of the request.
        ours: String,
    },
    /// There is no such alias.
    #[error("Cannot find alias arn: {0}")]
    NoAlias(String),
    /// A qualifier where only whole functions have something.
    #[error(
        "This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. \
         Please specify either a function name or an unqualified function ARN."
    )]
    Qualified,
    /// One qualifier in the name and another beside it.
    #[error("The derived qualifier from the function name does not match the specified qualifier.")]
    TwoQualifiers,
}

impl Target {
    /// Reads the name and the qualifier of a request in `scope`. The function may be another account's.
    pub(crate) fn read(scope: &Scope, name: &str, qualifier: Option<&str>) -> Result<Self, NameError> {
        let given = qualifier.filter(|text| !text.is_empty());
        let Ok(named) = name.parse::<FunctionRef>() else {
            return Err(NameError::Unknown(unparsed(scope, name, given)));
        };
        if let Some(theirs) = named.region.filter(|region| *region != scope.region) {
            return Err(NameError::Region { theirs: theirs.to_string(), ours: scope.region.to_string() });
        }
        let owner = named.account.unwrap_or_else(|| scope.account.clone());
        let function = FunctionArn::new(Scope { account: owner, region: scope.region.clone() }, named.name);
        let qualifier = match (named.qualifier, given) {
            (Some(derived), Some(given)) if *derived != *given => return Err(NameError::TwoQualifiers),
            (derived, given) => derived.or_else(|| given.map(Into::into)),
        };
        Ok(Self { function, qualifier })
    }

    /// The function's key in the catalogue.
    pub(crate) fn key(&self) -> FunctionKey {
        FunctionKey::new(self.function.scope.clone(), self.function.name.clone())
    }

    /// The function's ARN as the request names it; nothing when its qualifier is none.
    pub(crate) fn arn(&self) -> Option<FunctionArn> {
        match &self.qualifier {
            None => Some(self.function.clone()),
            Some(_) => Some(self.function.qualified(self.qualifier()?)),
        }
    }

    /// The qualifier, `$LATEST` when none is given; nothing for text that can be no qualifier.
    pub(crate) fn qualifier(&self) -> Option<Qualifier> {
        match &self.qualifier {
            None => Some(Qualifier::Latest),
            Some(text) => Qualifier::parse(text).ok(),
        }
    }

    /// The same function with this qualifier in place of its own.
    pub(crate) fn with(&self, qualifier: &str) -> Self {
        Self { function: self.function.clone(), qualifier: Some(qualifier.into()) }
    }

    /// The ARN as requested, with `$LATEST` where no qualifier is given.
    pub(crate) fn qualified_text(&self) -> String {
        format!("{}:{}", self.function, self.qualifier.as_deref().unwrap_or("$LATEST"))
    }

    /// The function of an operation that works on whole functions only: no qualifier may be given, not even
    /// `$LATEST`.
    pub(crate) fn unqualified(&self) -> Result<FunctionKey, NameError> {
        match self.qualifier {
            None => Ok(self.key()),
            Some(_) => Err(NameError::Qualified),
        }
    }

    /// The function of an operation that works on `$LATEST` or on the whole function: another qualifier is not
    /// found.
    pub(crate) fn latest(&self) -> Result<FunctionKey, NameError> {
        match self.qualifier() {
            Some(Qualifier::Latest) => Ok(self.key()),
            _ => Err(self.unknown()),
        }
    }

    /// That there is no such function: the ARN as requested.
    pub(crate) fn unknown(&self) -> NameError {
        NameError::Unknown(self.to_string())
    }

    /// The same in the words of Invoke, which says `:$LATEST` where no qualifier is given.
    pub(crate) fn unknown_to_invoke(&self) -> NameError {
        NameError::Unknown(self.qualified_text())
    }

    /// The same in the words of operations on what a version or alias has, which speak of aliases as such.
    pub(crate) fn unknown_part(&self) -> NameError {
        match self.qualifier() {
            Some(Qualifier::Alias(_)) => NameError::NoAlias(self.to_string()),
            _ => self.unknown(),
        }
    }

    /// The same in the words of DeleteFunction, which never names a qualifier.
    pub(crate) fn unknown_function(&self) -> NameError {
        NameError::Unknown(self.function.to_string())
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.qualifier {
            Some(qualifier) => write!(f, "{}:{qualifier}", self.function),
            None => self.function.fmt(f),
        }
    }
}

/// The ARN of a name that no function can have, such as one with dots.
fn unparsed(scope: &Scope, name: &str, qualifier: Option<&str>) -> String {
    let Scope { account, region } = scope;
    let mut arn = if name.starts_with("arn:") {
        name.to_owned()
    } else {
        format!("arn:aws:lambda:{region}:{account}:function:{name}")
    };
    if let Some(qualifier) = qualifier {
        arn.push(':');
        arn.push_str(qualifier);
    }
    arn
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:lambda:us-east-1:123456789012:function";

    fn scope() -> Scope {
        Scope { account: "123456789012".parse().unwrap(), region: "us-east-1".parse().unwrap() }
    }

    fn read(name: &str, qualifier: Option<&str>) -> String {
        match Target::read(&scope(), name, qualifier) {
            Ok(target) => target.to_string().replace(ARN, "ARNF"),
            Err(error) => error.to_string().replace(ARN, "ARNF"),
        }
    }

    #[test]
    fn every_form_of_a_name_means_the_same_function() {
        for (name, qualifier, expected) in [
            ("f", None, "ARNF:f"),
            ("f", Some(""), "ARNF:f"),
            ("f:1", None, "ARNF:f:1"),
            ("f", Some("live"), "ARNF:f:live"),
            ("f:live", Some("live"), "ARNF:f:live"),
            ("function:f", Some("$LATEST"), "ARNF:f:$LATEST"),
            ("123456789012:function:f", None, "ARNF:f"),
            ("arn:aws:lambda:us-east-1:123456789012:function:f:$LATEST", None, "ARNF:f:$LATEST"),
            (
                "f:1",
                Some("2"),
                "The derived qualifier from the function name does not match the specified qualifier.",
            ),
            (
                "arn:aws:lambda:eu-west-1:123456789012:function:f",
                None,
                "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')",
            ),
            ("111111111111:function:f:1", None, "arn:aws:lambda:us-east-1:111111111111:function:f:1"),
            ("ns.f", Some("1"), "Function not found: ARNF:ns.f:1"),
        ] {
            assert_eq!(read(name, qualifier), expected, "{name} {qualifier:?}");
        }
    }

    #[test]
    fn what_is_not_found_is_named_as_each_operation_names_it() {
        for (name, others, invoke, delete, part) in [
            ("f", "ARNF:f", "ARNF:f:$LATEST", "ARNF:f", "Function not found: ARNF:f"),
            ("f:live", "ARNF:f:live", "ARNF:f:live", "ARNF:f", "Cannot find alias arn: ARNF:f:live"),
            ("f:42", "ARNF:f:42", "ARNF:f:42", "ARNF:f", "Function not found: ARNF:f:42"),
            ("f:$latest", "ARNF:f:$latest", "ARNF:f:$latest", "ARNF:f", "Function not found: ARNF:f:$latest"),
        ] {
            let target = Target::read(&scope(), name, None).unwrap();
            let words = |error: NameError| error.to_string().replace(ARN, "ARNF");
            assert_eq!(words(target.unknown()), format!("Function not found: {others}"));
            assert_eq!(words(target.unknown_to_invoke()), format!("Function not found: {invoke}"));
            assert_eq!(words(target.unknown_function()), format!("Function not found: {delete}"));
            assert_eq!(words(target.unknown_part()), part);
        }
    }

    #[test]
    fn some_operations_take_no_qualifier_and_some_only_latest() {
        for (name, whole, latest) in
            [("f", true, true), ("f:$LATEST", false, true), ("f:1", false, false), ("f:live", false, false)]
        {
            let target = Target::read(&scope(), name, None).unwrap();
            assert_eq!(target.latest().is_ok(), latest, "{name}");
            assert_eq!(target.unqualified() == Err(NameError::Qualified), !whole, "{name}");
        }
    }

    #[test]
    fn lower_case_latest_is_no_qualifier() {
        let qualifier = |text: &str| Target::read(&scope(), text, None).unwrap().qualifier();
        assert_eq!(qualifier("f"), Some(Qualifier::Latest));
        assert_eq!(qualifier("f:$LATEST"), Some(Qualifier::Latest));
        assert_eq!(qualifier("f:7"), Some(Qualifier::Version(7)));
        assert_eq!(qualifier("f:live"), Some(Qualifier::Alias("live".into())));
        assert_eq!(qualifier("f:$latest"), None);
    }
}
