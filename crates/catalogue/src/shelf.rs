//! A sorted map of functions that is cheap to clone and to change afterwards.
//!
//! A change copies one chunk and the list of chunks, not every entry: with 10,000 functions about 250 pointers.

use std::sync::Arc;

use base::arn::FunctionName;

use crate::Function;

/// Functions in a chunk before it is split in two.
const CHUNK: usize = 128;

/// The functions of one account and region, by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shelf {
    /// Never empty ones; sorted within and among each other.
    chunks: Arc<Vec<Arc<Vec<Arc<Function>>>>>,
}

impl Shelf {
    pub(crate) fn get(&self, name: &FunctionName) -> Option<&Arc<Function>> {
        let chunk = &self.chunks[self.chunk_of(name)?];
        let place = chunk.binary_search_by(|function| function.key.name.cmp(name)).ok()?;
        Some(&chunk[place])
    }

    /// Puts `function` in its place and answers what was there.
    pub(crate) fn insert(&mut self, function: Arc<Function>) -> Option<Arc<Function>> {
        let index = self.chunk_of(&function.key.name);
        let chunks = Arc::make_mut(&mut self.chunks);
        let Some(index) = index else {
            chunks.push(Arc::new(vec![function]));
            return None;
        };
        let chunk = Arc::make_mut(&mut chunks[index]);
        match chunk.binary_search_by(|other| other.key.name.cmp(&function.key.name)) {
            Ok(place) => Some(std::mem::replace(&mut chunk[place], function)),
            Err(place) => {
                chunk.insert(place, function);
                if chunk.len() > CHUNK {
                    let upper = chunk.split_off(CHUNK / 2);
                    chunks.insert(index + 1, Arc::new(upper));
                }
                None
            }
        }
    }

    pub(crate) fn remove(&mut self, name: &FunctionName) -> Option<Arc<Function>> {
        let index = self.chunk_of(name)?;
        let place = self.chunks[index].binary_search_by(|function| function.key.name.cmp(name)).ok()?;
        let chunks = Arc::make_mut(&mut self.chunks);
        let chunk = Arc::make_mut(&mut chunks[index]);
        let removed = chunk.remove(place);
        if chunk.is_empty() {
            chunks.remove(index);
        }
        Some(removed)
    }

    /// Functions in the order of their names, those after `after` if given. The marker need not exist any more.
    pub(crate) fn after<'a>(&'a self, after: Option<&'a str>) -> impl Iterator<Item = &'a Arc<Function>> {
        let past = move |function: &Function| after.is_none_or(|after| function.key.name.as_str() > after);
        let first = self.chunks.partition_point(|chunk| chunk.last().is_some_and(|last| !past(last)));
        self.chunks[first..].iter().flat_map(|chunk| chunk.iter()).skip_while(move |function| !past(function))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// The chunk that holds `name` or would; none when there is no chunk.
    fn chunk_of(&self, name: &FunctionName) -> Option<usize> {
        let after = self.chunks.partition_point(|chunk| chunk.first().is_some_and(|f| f.key.name <= *name));
        (!self.chunks.is_empty()).then(|| after.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use base::random::Dice;

    use super::*;
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
                assert_eq!(shelf.remove(&function.key.name), model.remove(&name));
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

    fn compare(shelf: &Shelf, model: &BTreeMap<String, Arc<Function>>) {
        let listed: Vec<_> = shelf.after(None).collect();
        assert_eq!(listed, model.values().collect::<Vec<_>>());
        assert_eq!(shelf.is_empty(), model.is_empty());
        for (name, function) in model {
            assert_eq!(shelf.get(&function.key.name), Some(function));
            let next = model.range(name.clone()..).nth(1).map(|(_, next)| next);
            assert_eq!(shelf.after(Some(name)).next(), next, "after {name}");
        }
        assert_eq!(shelf.get(&"nothing".parse().unwrap()), None);
    }
}
