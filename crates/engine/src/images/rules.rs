//! Which memory images are kept, and who is asked to make one. Pure.

use std::collections::HashMap;

use sandbox::protocol::Zygote;

use crate::pool::PoolKey;

/// The images of all versions, each as an `F`.
#[derive(Debug)]
pub struct Shelf<F> {
    books: HashMap<PoolKey, Book<F>>,
    /// The youngest zygote that was seen of each interpreter.
    youngest: HashMap<String, Zygote>,
    /// Bytes that all images may have together, and that they have.
    most: u64,
    bytes: u64,
    /// Counts uses, so that the image which was not used for longest is known.
    uses: u64,
}

/// What is known of one version's.
#[derive(Debug)]
struct Book<F> {
    image: Option<Image<F>>,
    interpreter: String,
    /// Children of this zygote, and of those before it, make no image that is of use.
    unfit: Option<Zygote>,
    /// Whether one is being made.
    is_made: bool,
    /// What its environments show to get their keys: an image holds it.
    word: Option<String>,
    used: u64,
}

#[derive(Debug)]
struct Image<F> {
    zygote: Zygote,
    file: F,
    bytes: u64,
}

/// What a new environment of a version gets.
#[derive(Debug, PartialEq, Eq)]
pub struct Offer<F> {
    /// The image, and whose children it fits.
    pub image: Option<(Zygote, F)>,
    /// Whether it is to make one, and to say what came of it.
    pub wanted: bool,
}

impl<F> Default for Book<F> {
    fn default() -> Self {
        Self { image: None, interpreter: String::new(), unfit: None, is_made: false, word: None, used: 0 }
    }
}

impl<F: Clone> Shelf<F> {
    /// An empty one for so many bytes.
    pub fn new(most: u64) -> Self {
        Self { books: HashMap::new(), youngest: HashMap::new(), most, bytes: 0, uses: 0 }
    }

    /// What environments of a version show to get their keys.
    pub fn word(&mut self, key: &PoolKey, fresh: impl FnOnce() -> String) -> String {
        self.books.entry(key.clone()).or_default().word.get_or_insert_with(fresh).clone()
    }

    /// Whether a version has an image.
    pub fn has(&self, key: &PoolKey) -> bool {
        self.books.get(key).is_some_and(|book| book.image.is_some())
    }

    /// What a new environment of a version gets.
    pub fn offer(&mut self, key: &PoolKey) -> Offer<F> {
        self.uses += 1;
        let book = self.books.entry(key.clone()).or_default();
        book.used = self.uses;
        let image = book.image.as_ref().map(|image| (image.zygote.clone(), image.file.clone()));
        let given_up = book.unfit.is_some() && book.unfit.as_ref() == self.youngest.get(&book.interpreter);
        let wanted = image.is_none() && !book.is_made && !given_up;
        book.is_made |= wanted;
        Offer { image, wanted }
    }

    /// None is being made any more.
    pub fn released(&mut self, key: &PoolKey) {
        if let Some(book) = self.books.get_mut(key) {
            book.is_made = false;
        }
    }

    /// Keeps an image that was made of a child of this zygote, in the place of those that were not used for longest.
    /// One that is too large, or too late, is none.
    pub fn keep(&mut self, key: &PoolKey, zygote: &Zygote, file: F, bytes: u64) {
        let Some(book) = self.books.get_mut(key) else { return };
        let is_late = self.youngest.get(&book.interpreter).is_some_and(|youngest| youngest > zygote);
        if bytes > self.most || is_late {
            return;
        }
        self.uses += 1;
        book.used = self.uses;
        let old = book.image.replace(Image { zygote: zygote.clone(), file, bytes });
        self.bytes = self.bytes + bytes - old.map_or(0, |old| old.bytes);
        while self.bytes > self.most {
            let images = self.books.values_mut().filter(|book| book.image.is_some());
            let Some(oldest) = images.min_by_key(|book| book.used) else { return };
            let gone = oldest.image.take().map_or(0, |image| image.bytes);
            self.bytes -= gone;
        }
    }

    /// Children of this zygote and older ones neither make nor use an image of the version.
    pub fn unfit(&mut self, key: &PoolKey, zygote: &Zygote) {
        let Some(book) = self.books.get_mut(key) else { return };
        if book.unfit.as_ref() < Some(zygote) {
            book.unfit = Some(zygote.clone());
        }
        let gone = book.image.take_if(|image| image.zygote <= *zygote);
        self.bytes -= gone.map_or(0, |image| image.bytes);
    }

    /// An environment of the version was borne by this zygote of this interpreter. Images that fit older ones go.
    pub fn seen(&mut self, key: &PoolKey, interpreter: &str, zygote: &Zygote) {
        if let Some(book) = self.books.get_mut(key)
            && book.interpreter != interpreter
        {
            interpreter.clone_into(&mut book.interpreter);
        }
        match self.youngest.get_mut(interpreter) {
            Some(youngest) if *youngest >= *zygote => return,
            Some(youngest) => youngest.clone_from(zygote),
            None => drop(self.youngest.insert(interpreter.to_owned(), zygote.clone())),
        }
        for book in self.books.values_mut().filter(|book| book.interpreter == interpreter) {
            let gone = book.image.take_if(|image| image.zygote < *zygote);
            self.bytes -= gone.map_or(0, |image| image.bytes);
        }
    }

    /// Forgets versions that are gone.
    pub fn forget(&mut self, gone: impl Fn(&PoolKey) -> bool) {
        let bytes = &mut self.bytes;
        self.books.retain(|key, book| {
            let is_gone = gone(key);
            if is_gone {
                *bytes -= book.image.as_ref().map_or(0, |image| image.bytes);
            }
            !is_gone
        });
    }
}

#[cfg(test)]
mod tests;
