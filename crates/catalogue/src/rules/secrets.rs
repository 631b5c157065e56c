//! What becomes of sealed environment variables when the key changes that seals them.

use std::sync::Arc;

use crate::{Configuration, Function, SealedEnvironment, Version};

/// The function with its sealed variables, those of its versions too, as `reseal` makes them; nothing when there
/// is nothing to change. Nobody can tell the difference: revisions and generations stay.
///
/// `reseal` answers nothing for what is well sealed.
pub fn reseal<E>(
    function: &Function,
    reseal: impl Fn(&SealedEnvironment) -> Result<Option<SealedEnvironment>, E>,
) -> Result<Option<Function>, E> {
    let mut changed = false;
    let mut renew = |version: &mut Arc<Version>| {
        if let Some(sealed) = &version.configuration.environment
            && let Some(environment) = reseal(sealed)?
        {
            changed = true;
            let environment = Some(environment);
            let configuration = Configuration { environment, ..version.configuration.clone() };
            *version = Arc::new(Version { configuration, ..Version::clone(version) });
        }
        Ok(())
    };
    let mut function = function.clone();
    let one = Arc::ptr_eq(&function.latest, &function.live);
    renew(&mut function.latest)?;
    if one {
        function.live = Arc::clone(&function.latest);
    } else {
        renew(&mut function.live)?;
    }
    function.versions.values_mut().try_for_each(renew)?;
    Ok(changed.then_some(function))
}

#[cfg(test)]
mod tests {
    use base::arn::Qualifier;

    use super::*;
    use crate::rules::tests::a_function;

    fn sealed(text: &str) -> SealedEnvironment {
        SealedEnvironment(text.as_bytes().to_vec().into())
    }

    /// Seals under `new` what is sealed under `old`, and does not know what else there is.
    fn to_new(environment: &SealedEnvironment) -> Result<Option<SealedEnvironment>, String> {
        match std::str::from_utf8(&environment.0).unwrap().split_once(' ') {
            Some(("old", rest)) => Ok(Some(sealed(&format!("new {rest}")))),
            Some(("new", _)) => Ok(None),
            _ => Err("unknown key".into()),
        }
    }

    fn with(environment: Option<&str>, version: &Version) -> Arc<Version> {
        let environment = environment.map(sealed);
        let configuration = Configuration { environment, ..version.configuration.clone() };
        Arc::new(Version { configuration, ..version.clone() })
    }

    fn environments(function: &Function) -> Vec<Option<String>> {
        let versions = [&function.latest, &function.live].into_iter().chain(function.versions.values());
        let text = |sealed: &SealedEnvironment| String::from_utf8(sealed.0.to_vec()).unwrap();
        versions.map(|version| version.configuration.environment.as_ref().map(text)).collect()
    }

    #[test]
    fn every_version_is_sealed_anew_and_nothing_else_changes() {
        let mut function = a_function("f");
        function.latest = with(Some("old a"), &function.latest);
        function.live = with(Some("old b"), &function.live);
        let published = |environment, number| {
            let version = with(environment, &function.live);
            (number, Arc::new(Version { qualifier: Qualifier::Version(number), ..Version::clone(&version) }))
        };
        let versions = [published(Some("old c"), 1), published(Some("new d"), 2), published(None, 3)];
        function.versions = versions.into();
        let resealed = reseal(&function, to_new).unwrap().unwrap();
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            environments(&resealed),
            [text("new a"), text("new b"), text("new c"), text("new d"), None]
        );
        assert!(Arc::ptr_eq(&resealed.versions[&2], &function.versions[&2]), "it was well sealed");
        assert_eq!(resealed.latest.revision, function.latest.revision);
        assert_eq!(reseal(&resealed, to_new), Ok(None), "once is enough");
    }

    #[test]
    fn what_is_one_version_stays_one() {
        let mut function = a_function("f");
        assert_eq!(reseal(&function, to_new), Ok(None), "there are no variables");
        function.latest = with(Some("old a"), &function.latest);
        function.live = Arc::clone(&function.latest);
        let resealed = reseal(&function, to_new).unwrap().unwrap();
        assert!(Arc::ptr_eq(&resealed.latest, &resealed.live));
    }

    #[test]
    fn what_does_not_open_changes_nothing() {
        let mut function = a_function("f");
        function.latest = with(Some("lost a"), &function.latest);
        assert_eq!(reseal(&function, to_new), Err("unknown key".into()));
    }
}
