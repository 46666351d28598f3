//! What the sides of a direction are called.
use crate::data::ItemKind;
use crate::evaluate::Direction;

/// Names of one direction in files and in messages.
pub struct Names {
    pub query: &'static str,
    pub documents: &'static str,
    pub message: &'static str,
    pub plural: &'static str,
}

impl Names {
    pub fn of(direction: Direction) -> Self {
        match direction.kinds().0 {
            ItemKind::Text => Self { query: "text_id", documents: "image_ids", message: "Text_id", plural: "images" },
            ItemKind::Image => Self { query: "image_id", documents: "text_ids", message: "Image_id", plural: "texts" },
        }
    }
}
