//! Links to packages: `Code.Location` of GetFunction, served by a door.

use access::{LinkError, Vault};
use base::clock::Timestamp;
use base::id::Digest;
use base::limits::CODE_LINK_LIFE;

/// Where a door serves packages.
pub const PREFIX: &str = "/_samovar/code/";

/// The one method that a link is good for, as with S3's presigned ones.
const METHOD: &str = "GET";

/// A link to a package through the door that `host` reaches, good for ten minutes.
pub fn location(vault: &Vault, host: &str, package: &Digest, now: Timestamp) -> String {
    let path = format!("{PREFIX}{package}");
    // Whole seconds, as the query carries them.
    let seconds = (now + CODE_LINK_LIFE).as_millis() / 1000;
    let signature = vault.sign_link(METHOD, &path, Timestamp::from_millis(seconds * 1000));
    format!("http://{host}{path}?Expires={seconds}&Signature={signature}")
}

/// The package that a link's method, path and query lead to.
pub fn package(
    vault: &Vault,
    method: &str,
    path: &str,
    query: &str,
    now: Timestamp,
) -> Result<Digest, LinkError> {
    let digest = path.strip_prefix(PREFIX).and_then(|text| text.parse().ok()).ok_or(LinkError::Forged)?;
    let parameter = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value).ok_or(LinkError::Forged)
    };
    let seconds: i64 = parameter("Expires")?.parse().map_err(|_| LinkError::Forged)?;
    let expires = Timestamp::from_millis(seconds.saturating_mul(1000));
    vault.verify_link(method, path, expires, parameter("Signature")?, now)?;
    Ok(digest)
}

#[cfg(test)]
mod tests {
    use base::random::Dice;

    use super::*;

    #[test]
    fn a_link_is_good_for_one_method_one_package_and_ten_minutes() {
        let directory = tempfile::tempdir().unwrap();
        let vault = Vault::open(&directory.path().join("key"), Dice::seeded(1)).unwrap();
        let now = Timestamp::from_millis(1_800_000_000_500);
        let digest = Digest([7; 32]);
        let link = location(&vault, "localhost:4566", &digest, now);
        let rest = link.strip_prefix("http://localhost:4566").unwrap();
        let (path, query) = rest.split_once('?').unwrap();
        let later = |seconds| now + std::time::Duration::from_secs(seconds);
        assert_eq!(package(&vault, "GET", path, query, later(599)), Ok(digest));
        assert_eq!(package(&vault, "GET", path, query, later(601)), Err(LinkError::Expired));
        assert_eq!(package(&vault, "HEAD", path, query, now), Err(LinkError::Forged));
        let other = path.replace("07", "08");
        let longer = query.replace("Expires=1", "Expires=2");
        for (path, query) in [
            (&*other, query),
            (path, &*longer),
            (path, "Expires=1800000600"),
            (path, ""),
            ("/_samovar/code/x", query),
        ] {
            assert_eq!(package(&vault, "GET", path, query, now), Err(LinkError::Forged), "{path}?{query}");
        }
    }
}
