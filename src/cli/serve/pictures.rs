//! `/images/<id>`: the bytes of an image of the index, as what they are.
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

use super::pages::missing;
use super::site::Site;
use crate::ingest::inspect;

/// The id is looked up among those of the index and becomes no path.
pub async fn image(State(site): State<Arc<Site>>, Path(id): Path<String>) -> Response {
    let read = tokio::task::spawn_blocking(move || site.picture(&id)).await;
    match read {
        Ok(Ok(Some(bytes))) => {
            let (content_type, disposition) = described(&bytes);
            ([(CONTENT_TYPE, content_type), (CONTENT_DISPOSITION, disposition)], bytes).into_response()
        }
        Ok(Ok(None)) => missing().await,
        Ok(Err(_)) | Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "the image cannot be read\n").into_response(),
    }
}

/// Type and disposition by the header of the picture itself. What is none of our formats is a file to be saved: as a page or a
/// drawing it could hold a script.
fn described(bytes: &[u8]) -> (&'static str, &'static str) {
    let content_type = match inspect(bytes).map(|(_, _, format)| format) {
        Ok("jpeg") => "image/jpeg",
        Ok("png") => "image/png",
        Ok("webp") => "image/webp",
        Ok("gif") => "image/gif",
        Ok("bmp") => "image/bmp",
        _ => return ("application/octet-stream", "attachment"),
    };
    (content_type, "inline")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_starts_like_a_picture_is_shown() {
        let mut png = std::io::Cursor::new(Vec::new());
        image::RgbImage::new(2, 3).write_to(&mut png, image::ImageFormat::Png).unwrap();
        assert_eq!(described(png.get_ref()), ("image/png", "inline"));
        let drawing = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>";
        let page = b"<!doctype html><script>alert(1)</script>";
        let fake = [b"GIF8".as_slice(), b"<script>alert(1)</script>"].concat();
        for bytes in [drawing.as_slice(), page, b"", b"%PDF-1.7", fake.as_slice()] {
            assert_eq!(described(bytes), ("application/octet-stream", "attachment"));
        }
    }
}
