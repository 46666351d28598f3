//! What a search found, as a page for people.
use std::fmt::Write;

use super::facts::HitFacts;
use super::gallery::Gallery;
use super::html::shell;
use super::svg::escape;

/// A self-contained page: the query, and every hit with its picture, caption, score and place.
pub fn render_hits(query: &str, hits: &[HitFacts], gallery: &Gallery) -> String {
    let mut body = format!("<h1 lang=\"zh\">{}</h1>\n", escape(query));
    if hits.is_empty() {
        body.push_str("<p>Nothing was found.</p>\n");
    }
    body.push_str("<ol class=\"hits\">\n");
    for hit in hits {
        let text = escape(&hit.text);
        let picture = hit.picture.and_then(|picture| gallery.url(picture));
        let picture = picture.map_or(String::new(), |url| format!("<img src=\"{url}\" alt=\"{text}\">"));
        let _ = writeln!(
            body,
            "<li class=\"hit\">{picture}<b lang=\"zh\">{text}</b> <span class=\"soft\">{} {} {:.4}</span></li>",
            escape(&hit.id),
            escape(&hit.split),
            hit.score
        );
    }
    body.push_str("</ol>\n");
    shell(query, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caption_that_looks_like_a_script_is_shown_and_not_run() {
        let hit = HitFacts {
            id: "d/1".to_owned(),
            score: 0.5,
            text: "<script>alert(1)</script>\"".to_owned(),
            split: "test".to_owned(),
            picture: None,
        };
        let page = render_hits("<b>", &[hit], &Gallery::default());
        assert!(!page.contains("<script>") && page.contains("&lt;script&gt;"));
        assert!(page.contains("script-src 'none'"));
    }
}
