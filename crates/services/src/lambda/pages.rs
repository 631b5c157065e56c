//! Pages of lists. A marker is the name of the last entry shown, so that it leads on whatever was made or deleted
//! meanwhile, the entry itself included.

use std::collections::BTreeMap;
use std::ops::Bound;

use base::arn::Qualifier;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::checks::Refusal;

/// Begins every marker, so that a later form can be told from this one.
const FORM: &str = "1:";

/// Where a page begins and how many entries it may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    /// The name after which it begins.
    pub(crate) after: Option<String>,
    size: usize,
}

impl Page {
    /// Reads a request's `Marker` and `MaxItems`; a list shows `most` entries a page whatever is asked for.
    pub(crate) fn read(marker: Option<&str>, max_items: Option<i32>, most: usize) -> Result<Self, Refusal> {
        let after = marker.filter(|marker| !marker.is_empty()).map(unmark).transpose()?;
        let asked = max_items.and_then(|items| usize::try_from(items).ok()).unwrap_or(most);
        Ok(Self { after, size: asked.clamp(1, most) })
    }

    /// How many entries to look for: one more than are shown tells that there is another page.
    pub(crate) const fn look_for(&self) -> usize {
        self.size + 1
    }

    /// The entries to show of what is kept by qualifier: `$LATEST`, versions by number, aliases by name.
    #[allow(clippy::type_complexity, reason = "a page is its entries and what leads on")]
    pub(crate) fn of_qualifiers<'a, T>(
        &self,
        kept: &'a BTreeMap<Qualifier, T>,
    ) -> Result<(Vec<(&'a Qualifier, &'a T)>, Option<String>), Refusal> {
        let after = self.after.as_deref().map(Qualifier::parse).transpose().map_err(|_| Refusal::Marker)?;
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        Ok(self.cut(kept.range((from, Bound::Unbounded)), |(qualifier, _)| qualifier.to_string()))
    }

    /// The entries to show, and the marker of the next page if `found` has more.
    pub(crate) fn cut<T>(
        &self,
        found: impl IntoIterator<Item = T>,
        name: impl FnOnce(&T) -> String,
    ) -> (Vec<T>, Option<String>) {
        let mut shown: Vec<T> = found.into_iter().take(self.look_for()).collect();
        let more = shown.len() > self.size;
        shown.truncate(self.size);
        let next = shown.last().filter(|_| more).map(|last| mark(&name(last)));
        (shown, next)
    }
}

fn mark(name: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{FORM}{name}"))
}

fn unmark(marker: &str) -> Result<String, Refusal> {
    let text = URL_SAFE_NO_PAD.decode(marker).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    text.and_then(|text| text.strip_prefix(FORM).map(str::to_owned)).ok_or(Refusal::Marker)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(marker: Option<&str>, max_items: Option<i32>) -> Page {
        Page::read(marker, max_items, 3).unwrap()
    }

    #[test]
    fn pages_lead_from_one_to_the_next_until_the_end() {
        let names = ["a", "b", "c", "d"];
        let (shown, next) = page(None, None).cut(names, |name| (*name).to_owned());
        assert_eq!(shown, ["a", "b", "c"]);
        let next = page(next.as_deref(), None);
        assert_eq!(next.after.as_deref(), Some("c"));
        assert_eq!(next.cut(["d"], |name| (*name).to_owned()), (vec!["d"], None));
    }

    #[test]
    fn a_page_has_as_many_entries_as_are_asked_for_up_to_the_lists_own_bound() {
        for (asked, size) in [(None, 3), (Some(2), 2), (Some(0), 1), (Some(-1), 3), (Some(10_000), 3)] {
            assert_eq!(page(None, asked).size, size, "{asked:?}");
        }
    }

    #[test]
    fn what_is_kept_by_qualifier_goes_on_after_a_qualifier_that_is_gone() {
        let kept: BTreeMap<Qualifier, ()> =
            ["$LATEST", "2", "10", "a", "b"].map(|text| (Qualifier::parse(text).unwrap(), ())).into();
        let told = |marker: Option<&str>, kept: &BTreeMap<Qualifier, ()>| {
            let (shown, next) = page(marker, Some(2)).of_qualifiers(kept).unwrap();
            (shown.iter().map(|(qualifier, ())| qualifier.to_string()).collect::<Vec<_>>().join(" "), next)
        };
        let (first, next) = told(None, &kept);
        let mut fewer = kept.clone();
        fewer.remove(&Qualifier::Version(2));
        let (second, next) = told(next.as_deref(), &fewer);
        let (third, end) = told(next.as_deref(), &fewer);
        assert_eq!([first, second, third], ["$LATEST 2", "10 a", "b"]);
        assert_eq!(end, None);
        assert_eq!(page(Some(&mark("$latest")), None).of_qualifiers(&kept).err(), Some(Refusal::Marker));
    }

    #[test]
    fn what_no_list_gave_out_is_no_marker() {
        for marker in ["x", "Mjph", "\u{e4}", &"a".repeat(10_000)] {
            assert_eq!(Page::read(Some(marker), None, 3), Err(Refusal::Marker), "{marker}");
        }
        assert_eq!(page(Some(""), None).after, None);
    }
}
