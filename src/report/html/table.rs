//! Tables with caption and scopes, in a box of their own that scrolls and takes the focus.
use std::fmt::Write;

use super::super::svg::escape;

/// How a cell of text begins.
const TEXT: &str = "<td class=\"text";

/// A table under construction. Texts are HTML already, except the caption.
pub struct Table {
    caption: String,
    heads: Vec<String>,
    /// Whether the cells below a head are text; as in the first row.
    texts: Vec<bool>,
    rows: String,
}

impl Table {
    /// Begins with the caption and the heads of the columns.
    pub fn new(caption: &str, heads: &[String]) -> Self {
        Self { caption: escape(caption), heads: heads.to_vec(), texts: Vec::new(), rows: String::new() }
    }

    /// A row: its head, then cells made by [`td`] and its like.
    pub fn row(&mut self, head: &str, cells: &[String]) {
        if self.texts.is_empty() {
            self.texts = std::iter::once(true).chain(cells.iter().map(|cell| cell.starts_with(TEXT))).collect();
        }
        let _ = writeln!(self.rows, "<tr><th scope=\"row\">{head}</th>{}</tr>", cells.concat());
    }

    /// The element, with the caption above it.
    pub fn finish(self) -> String {
        let mut heads = String::new();
        for (at, head) in self.heads.iter().enumerate() {
            let class = if self.texts.get(at) == Some(&true) { " class=\"text\"" } else { "" };
            let _ = write!(heads, "<th scope=\"col\"{class}>{head}</th>");
        }
        format!(
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{0}\"><table><caption><span>{0}</span></caption>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{1}</tbody></table></div>\n",
            self.caption, self.rows
        )
    }
}

/// A cell of text.
pub fn td(html: &str) -> String {
    format!("{TEXT}\">{html}</td>")
}

/// A cell of numbers.
pub fn number(html: &str) -> String {
    format!("<td>{html}</td>")
}
