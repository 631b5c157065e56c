//! A sorted map of roots that is cheap to clone and to change afterwards.
//!
//! A change copies one chunk and the list of chunks, not every entry: with 10,000 functions about 250 pointers.

use std::sync::Arc;

use crate::root::{Root, RootKey};

/// Roots in a chunk before it is split in two.
const CHUNK: usize = 128;

/// Roots in chunks that are shared until one of them changes.
type Chunks<R> = Arc<Vec<Arc<Vec<Arc<R>>>>>;

/// The roots of one kind, account and region, by name.
#[derive(Debug)]
pub(crate) struct Shelf<R> {
    /// Never empty ones; sorted within and among each other.
    chunks: Chunks<R>,
}

impl<R> Default for Shelf<R> {
    fn default() -> Self {
        Self { chunks: Arc::default() }
    }
}

impl<R> Clone for Shelf<R> {
    fn clone(&self) -> Self {
        Self { chunks: Arc::clone(&self.chunks) }
    }
}

impl<R: Root> Shelf<R> {
    pub(crate) fn get(&self, name: &str) -> Option<&Arc<R>> {
        let chunk = &self.chunks[self.chunk_of(name)?];
        Some(&chunk[place_in(chunk, name).ok()?])
    }

    /// The root's place, to change what is in it; the new one must have the same name.
    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Arc<R>> {
        let index = self.chunk_of(name)?;
        let place = place_in(&self.chunks[index], name).ok()?;
        Some(&mut Arc::make_mut(&mut Arc::make_mut(&mut self.chunks)[index])[place])
    }

    /// Puts `root` in its place and answers what was there.
    pub(crate) fn insert(&mut self, root: Arc<R>) -> Option<Arc<R>> {
        let index = self.chunk_of(root.key().name());
        let chunks = Arc::make_mut(&mut self.chunks);
        let Some(index) = index else {
            chunks.push(Arc::new(vec![root]));
            return None;
        };
        let chunk = Arc::make_mut(&mut chunks[index]);
        match place_in(chunk, root.key().name()) {
            Ok(place) => Some(std::mem::replace(&mut chunk[place], root)),
            Err(place) => {
                chunk.insert(place, root);
                if chunk.len() > CHUNK {
                    let upper = chunk.split_off(CHUNK / 2);
                    chunks.insert(index + 1, Arc::new(upper));
                }
                None
            }
        }
    }

    pub(crate) fn remove(&mut self, name: &str) -> Option<Arc<R>> {
        let index = self.chunk_of(name)?;
        let place = place_in(&self.chunks[index], name).ok()?;
        let chunks = Arc::make_mut(&mut self.chunks);
        let chunk = Arc::make_mut(&mut chunks[index]);
        let removed = chunk.remove(place);
        if chunk.is_empty() {
            chunks.remove(index);
        }
        Some(removed)
    }

    /// Roots in the order of their names, those after `after` if given. The marker need not exist any more.
    pub(crate) fn after<'a>(&'a self, after: Option<&'a str>) -> impl Iterator<Item = &'a Arc<R>> {
        let past = move |root: &R| after.is_none_or(|after| root.key().name() > after);
        let first = self.chunks.partition_point(|chunk| chunk.last().is_some_and(|last| !past(last)));
        self.chunks[first..].iter().flat_map(|chunk| chunk.iter()).skip_while(move |root| !past(root))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// The chunk that holds `name` or would; none when there is no chunk.
    fn chunk_of(&self, name: &str) -> Option<usize> {
        let after =
            self.chunks.partition_point(|chunk| chunk.first().is_some_and(|root| root.key().name() <= name));
        (!self.chunks.is_empty()).then(|| after.saturating_sub(1))
    }
}

fn place_in<R: Root>(chunk: &[Arc<R>], name: &str) -> Result<usize, usize> {
    chunk.binary_search_by(|root| root.key().name().cmp(name))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use base::random::Dice;

    use super::*;
    use crate::Function;
    use crate::rules::tests::a_function;

    #[test]
    fn a_shelf_is_a_sorted_map_whatever_happens_to_it() {
        let dice = Dice::seeded(7);
        let (mut shelf, mut model) = (Shelf::default(), BTreeMap::new());
        let mut earlier = (shelf.clone(), model.clone());
        for round in 0..6000 {
            let name = format!("f{}", u16::from_le_bytes(dice.bytes()) % 900);
            let function = Arc::new(a_function(&name));
            if dice.bytes::<1>()[0].is_multiple_of(3) {
                assert_eq!(shelf.remove(&name), model.remove(&name));
            } else {
                assert_eq!(shelf.insert(Arc::clone(&function)), model.insert(name.clone(), function));
            }
            if round % 500 == 0 {
                compare(&earlier.0, &earlier.1);
                compare(&shelf, &model);
                earlier = (shelf.clone(), model.clone());
            }
        }
    }

    fn compare(shelf: &Shelf<Function>, model: &BTreeMap<String, Arc<Function>>) {
        let listed: Vec<_> = shelf.after(None).collect();
        assert_eq!(listed, model.values().collect::<Vec<_>>());
        assert_eq!(shelf.is_empty(), model.is_empty());
        for (name, function) in model {
            assert_eq!(shelf.get(name), Some(function));
            let next = model.range(name.clone()..).nth(1).map(|(_, next)| next);
            assert_eq!(shelf.after(Some(name)).next(), next, "after {name}");
        }
        assert_eq!(shelf.get("nothing"), None);
    }
}
