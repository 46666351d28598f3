//! Small pictures of a report, each kept once however often it is shown.
use std::collections::HashMap;

use crate::stage::StageError;

/// Number of a picture in its gallery.
pub type PictureId = usize;

/// Pictures by key, e.g. data set and image id.
#[derive(Debug, Clone, Default)]
pub struct Gallery {
    numbers: HashMap<String, PictureId>,
    /// `data:` URLs.
    urls: Vec<String>,
}

impl Gallery {
    /// The number of a picture; `make` gives its `data:` URL the first time.
    pub fn add(
        &mut self,
        key: &str,
        make: impl FnOnce() -> Result<String, StageError>,
    ) -> Result<PictureId, StageError> {
        if let Some(number) = self.numbers.get(key) {
            return Ok(*number);
        }
        let url = make()?;
        self.urls.push(url);
        let number = self.urls.len() - 1;
        self.numbers.insert(key.to_owned(), number);
        Ok(number)
    }

    /// The `data:` URL of a picture.
    pub fn url(&self, picture: PictureId) -> Option<&str> {
        self.urls.get(picture).map(String::as_str)
    }

    /// Of `wanted`, the first ones that fit into `bytes` together, without repeats.
    pub fn within(&self, wanted: impl Iterator<Item = PictureId>, bytes: usize) -> Vec<PictureId> {
        let (mut taken, mut used) = (vec![false; self.urls.len()], 0);
        let mut kept = Vec::new();
        for picture in wanted {
            let (Some(url), Some(taken)) = (self.urls.get(picture), taken.get_mut(picture)) else { continue };
            if *taken || used + url.len() > bytes {
                continue;
            }
            *taken = true;
            used += url.len();
            kept.push(picture);
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_made_once_and_a_failure_is_not_kept() {
        let mut gallery = Gallery::default();
        assert!(gallery.add("a", || Err(StageError::internal("broken".to_owned()))).is_err());
        assert_eq!(gallery.add("a", || Ok("data:x".to_owned())).unwrap(), 0);
        assert_eq!(gallery.add("a", || panic!("made twice")).unwrap(), 0);
        assert_eq!(gallery.url(0), Some("data:x"));
    }

    #[test]
    fn what_is_wanted_first_stays_when_there_is_little_room() {
        let mut gallery = Gallery::default();
        for (key, size) in [("a", 10), ("b", 50), ("c", 10)] {
            gallery.add(key, || Ok("x".repeat(size))).unwrap();
        }
        assert_eq!(gallery.within([2, 1, 2, 0, 9].into_iter(), 25), [2, 0]);
    }
}
