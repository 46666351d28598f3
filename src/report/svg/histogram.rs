//! Two histograms over the same bins, one above and one below the axis.
use std::fmt::Write;

use super::escape;

const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 210.0;
const LEFT: f64 = 14.0;
const RIGHT: f64 = 14.0;
/// The axis between both.
const MIDDLE: f64 = 98.0;
/// Longest bar.
const BAR: f64 = 74.0;

/// Counts of both kinds; bars up and bars down need no colour to be told apart.
pub struct Histogram<'a> {
    pub title: &'a str,
    /// Edges of the bins, one more than there are bins.
    pub edges: &'a [f64],
    pub up: (&'a str, &'a [u64]),
    pub down: (&'a str, &'a [u64]),
    /// A vertical line with its label.
    pub mark: Option<(f64, String)>,
}

impl Histogram<'_> {
    /// The `<svg>` element; nothing without bins.
    pub fn render(&self) -> String {
        let (Some(low), Some(high)) = (self.edges.first(), self.edges.last()) else { return String::new() };
        let span = (high - low).max(1e-9);
        let x = |value: f64| LEFT + (value - low) / span * (WIDTH - LEFT - RIGHT);
        let mut svg = format!(
            "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\"><title>{}</title><desc>{}</desc>",
            escape(self.title),
            escape(&self.description())
        );
        for (series, counts, down) in [(1, self.up.1, false), (2, self.down.1, true)] {
            // Shares of each kind: there may be fewer of one than of the other.
            let most = counts.iter().copied().max().unwrap_or(0).max(1) as f64;
            let _ = write!(svg, "<g class=\"s{series}\">");
            for (edges, count) in self.edges.windows(2).zip(counts) {
                let &[from, to] = edges else { continue };
                let height = *count as f64 / most * BAR;
                let top = if down { MIDDLE } else { MIDDLE - height };
                let width = (x(to) - x(from) - 1.0).max(0.5);
                let _ = write!(
                    svg,
                    "<rect x=\"{:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>",
                    x(from)
                );
            }
            svg.push_str("</g>");
        }
        let _ = write!(
            svg,
            "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{MIDDLE}\" y2=\"{MIDDLE}\"/><text x=\"{LEFT}\" y=\"16\">↑ {}</text><text x=\"{LEFT}\" y=\"{:.1}\">↓ {}</text><text x=\"{LEFT}\" y=\"{:.1}\">{low:.2}</text><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{high:.2}</text><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">similarity</text>",
            WIDTH - RIGHT,
            escape(self.up.0),
            MIDDLE + BAR + 14.0,
            escape(self.down.0),
            HEIGHT - 6.0,
            WIDTH - RIGHT,
            HEIGHT - 6.0,
            WIDTH / 2.0,
            HEIGHT - 6.0
        );
        if let Some((value, label)) = &self.mark {
            let at = x(*value);
            let anchor = if at > WIDTH * 0.6 { "end" } else { "start" };
            let aside = if anchor == "end" { at - 5.0 } else { at + 5.0 };
            let _ = write!(
                svg,
                "<line class=\"mark\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"8\" y2=\"{:.1}\"/><text x=\"{aside:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\" class=\"strong\">{}</text>",
                MIDDLE + BAR,
                MIDDLE + BAR,
                escape(label)
            );
        }
        svg.push_str("</svg>");
        svg
    }

    fn description(&self) -> String {
        let mean = |counts: &[u64]| {
            let total: u64 = counts.iter().sum();
            let weighted: f64 = self
                .edges
                .windows(2)
                .zip(counts)
                .map(|(edge, count)| *count as f64 * f64::midpoint(edge[0], edge[1]))
                .sum();
            (total, weighted / total.max(1) as f64)
        };
        let ((up, up_mean), (down, down_mean)) = (mean(self.up.1), mean(self.down.1));
        let mark = self.mark.as_ref().map_or(String::new(), |(_, label)| format!(" {label}."));
        format!("{}: {up}, about {up_mean:.2}. {}: {down}, about {down_mean:.2}.{mark}", self.up.0, self.down.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_of_both_kinds_meet_at_the_axis() {
        let histogram = Histogram {
            title: "t",
            edges: &[0.0, 0.5, 1.0],
            up: ("matches", &[0, 4]),
            down: ("others", &[2, 1]),
            mark: Some((0.5, "cut-off 0.50".to_owned())),
        };
        let svg = histogram.render();
        assert_eq!(svg.matches("<rect").count(), 4);
        assert!(svg.contains("matches: 4, about 0.75. others: 3, about 0.42. cut-off 0.50."), "{svg}");
        assert!(svg.contains("y=\"24.0\" width=\"215.0\" height=\"74.0\""), "{svg}");
    }
}
