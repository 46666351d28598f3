//! Pictures stored once in the page and shown wherever they are needed.
use std::collections::HashSet;
use std::fmt::Write;

use super::super::facts::ReportFacts;
use super::super::gallery::PictureId;
use super::super::svg::escape;
use super::chinese;

/// Bytes of `data:` URLs in a page; what does not fit is shown as text.
const BUDGET: usize = 2_000_000;

/// The pictures that a page holds.
pub(super) struct Pictures<'a> {
    facts: &'a ReportFacts,
    kept: Vec<PictureId>,
    has: HashSet<PictureId>,
}

impl<'a> Pictures<'a> {
    /// Those of queries first, then those of the maps, as long as there is room.
    pub(super) fn of(facts: &'a ReportFacts) -> Self {
        let cases = facts.cases.iter().flat_map(|case| &case.stages).flat_map(|stage| &stage.hits);
        let ranks = facts.ranks.iter().flat_map(|ranks| ranks.best.iter().chain(&ranks.worst));
        let found = facts.queries.iter().flat_map(|query| &query.hits);
        let points = facts.map.iter().flat_map(|map| &map.points);
        let wanted = cases.filter_map(|hit| hit.picture);
        let wanted = wanted.chain(ranks.filter_map(|rank| rank.picture));
        let wanted = wanted.chain(found.filter_map(|hit| hit.picture));
        let wanted = wanted.chain(points.filter_map(|point| point.picture));
        let kept = facts.gallery.within(wanted, BUDGET);
        let has = kept.iter().copied().collect();
        Self { facts, kept, has }
    }

    pub(super) fn has(&self, picture: PictureId) -> bool {
        self.has.contains(&picture)
    }

    /// A picture with its text alternative.
    pub(super) fn show(&self, picture: Option<PictureId>, alternative: &str) -> String {
        match picture.filter(|picture| self.has(*picture)) {
            Some(picture) => format!(
                "<svg class=\"pic\" viewBox=\"0 0 128 128\" role=\"img\" aria-label=\"{}\"><use href=\"#p{picture}\"/></svg>",
                escape(alternative)
            ),
            None => format!("<span class=\"pic none\">{}</span>", chinese(alternative)),
        }
    }

    /// The store that the rest of the page refers to.
    pub(super) fn definitions(&self) -> String {
        if self.kept.is_empty() {
            return String::new();
        }
        let mut store = String::from("<svg class=\"store\" width=\"0\" height=\"0\" aria-hidden=\"true\"><defs>\n");
        for picture in &self.kept {
            let url = self.facts.gallery.url(*picture).unwrap_or_default();
            let _ = writeln!(store, "<image id=\"p{picture}\" width=\"128\" height=\"128\" href=\"{}\"/>", escape(url));
        }
        store.push_str("</defs></svg>\n");
        store
    }
}
