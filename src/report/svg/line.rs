//! Line charts. Lines differ in colour, dashes and markers, so that colour alone tells nothing.
use std::fmt::Write;

use super::{escape, nice};

const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 48.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 38.0;
/// Points drawn of a line.
const POINTS: usize = 400;

/// One line of a chart.
pub struct Line<'a> {
    pub label: &'a str,
    /// Number of the series: gives colour, dashes and marker.
    pub series: usize,
    pub points: &'a [(f64, f64)],
    /// Whether the points themselves are drawn.
    pub dots: bool,
}

/// A chart with both axes; values on the vertical axis start at zero.
pub struct Chart<'a> {
    pub title: &'a str,
    pub x_label: &'a str,
    /// Names instead of numbers on the horizontal axis.
    pub x_names: Vec<&'a str>,
    /// Whether the vertical axis is a fraction shown in percent.
    pub percent: bool,
    pub lines: Vec<Line<'a>>,
}

impl Chart<'_> {
    /// The `<svg>` element; nothing without points.
    pub fn render(&self) -> String {
        let points = || self.lines.iter().flat_map(|line| line.points.iter().copied());
        let x_low = points().map(|p| p.0).fold(f64::INFINITY, f64::min);
        let x_high = points().map(|p| p.0).fold(f64::NEG_INFINITY, f64::max);
        let y_high = nice(points().map(|p| p.1).fold(0.0, f64::max));
        if !x_low.is_finite() {
            return String::new();
        }
        let span = (x_high - x_low).max(1e-9);
        let x = |value: f64| LEFT + (value - x_low) / span * (WIDTH - LEFT - RIGHT);
        let y = |value: f64| HEIGHT - BOTTOM - value / y_high * (HEIGHT - TOP - BOTTOM);
        let mut svg = format!(
            "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\"><title>{}</title><desc>{}</desc>",
            escape(self.title),
            escape(&self.description())
        );
        for step in 0..=4 {
            let value = y_high * f64::from(step) / 4.0;
            let at = y(value);
            let _ = write!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                at + 4.0,
                self.tick(value, y_high)
            );
        }
        self.x_axis(&mut svg, x_low, x_high, &x);
        for line in &self.lines {
            let at: Vec<(f64, f64)> = thinned(line.points, POINTS).into_iter().map(|p| (x(p.0), y(p.1))).collect();
            draw(&mut svg, line, &at);
        }
        svg.push_str("</svg>");
        svg
    }

    /// First, last and extreme values in words.
    fn description(&self) -> String {
        let sentence = |line: &Line<'_>| {
            let (first, last) = (line.points.first()?, line.points.last()?);
            let high = line.points.iter().map(|p| p.1).fold(f64::NEG_INFINITY, f64::max);
            Some(format!(
                "{}: from {} to {}, at most {}.",
                line.label,
                self.value(first.1),
                self.value(last.1),
                self.value(high)
            ))
        };
        self.lines.iter().filter_map(sentence).collect::<Vec<_>>().join(" ")
    }

    /// A value as the chart's table and description give it.
    pub fn value(&self, value: f64) -> String {
        match value {
            _ if self.percent => format!("{:.1} %", 100.0 * value),
            _ if value != 0.0 && value.abs() < 0.01 => format!("{value:.2e}"),
            _ => format!("{value:.3}"),
        }
    }

    fn tick(&self, value: f64, high: f64) -> String {
        match value {
            _ if self.percent => format!("{:.0} %", 100.0 * value),
            0.0 => "0".to_owned(),
            _ if high < 0.5 => format!("{value:.1e}"),
            _ => format!("{value:.1}"),
        }
    }

    fn x_axis(&self, svg: &mut String, low: f64, high: f64, x: &impl Fn(f64) -> f64) {
        let base = HEIGHT - BOTTOM + 16.0;
        if self.x_names.is_empty() {
            let _ = write!(
                svg,
                "<text x=\"{:.1}\" y=\"{base:.1}\">{low:.0}</text><text x=\"{:.1}\" y=\"{base:.1}\" text-anchor=\"end\">{high:.0}</text><text x=\"{:.1}\" y=\"{base:.1}\" text-anchor=\"middle\">{}</text>",
                x(low),
                x(high),
                f64::midpoint(x(low), x(high)),
                escape(self.x_label)
            );
            return;
        }
        let last = self.x_names.len().saturating_sub(1);
        for (at, name) in self.x_names.iter().enumerate() {
            let anchor = match at {
                0 => "start",
                at if at == last => "end",
                _ => "middle",
            };
            // Every other name a line lower, so that long ones do not meet.
            let y = base + if at % 2 == 1 && last > 2 { 13.0 } else { 0.0 };
            let _ = write!(
                svg,
                "<text x=\"{:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>",
                x(at as f64),
                escape(name)
            );
        }
    }
}

fn draw(svg: &mut String, line: &Line<'_>, points: &[(f64, f64)]) {
    let path: Vec<String> = points.iter().map(|p| format!("{:.1},{:.1}", p.0, p.1)).collect();
    let _ = write!(
        svg,
        "<g class=\"s{0} d{0}\"><polyline points=\"{1}\"><title>{2}</title></polyline>",
        line.series % 6,
        path.join(" "),
        escape(line.label)
    );
    for (x, y) in points.iter().filter(|_| line.dots) {
        svg.push_str(&marker(line.series, *x, *y));
    }
    svg.push_str("</g>");
}

/// The sample of a series in a legend.
pub fn key(series: usize) -> String {
    format!(
        "<svg class=\"key\" viewBox=\"0 0 28 12\" aria-hidden=\"true\"><g class=\"s{0} d{0}\"><polyline points=\"0,6 28,6\"/>{1}</g></svg>",
        series % 6,
        marker(series, 14.0, 6.0)
    )
}

/// At most about `limit` points that keep every peak: of each stretch the lowest and the highest.
fn thinned(points: &[(f64, f64)], limit: usize) -> Vec<(f64, f64)> {
    if points.len() <= limit {
        return points.to_vec();
    }
    let stretch = (2 * points.len()).div_ceil(limit).max(2);
    let mut kept = Vec::new();
    for part in points.chunks(stretch) {
        let low = part.iter().enumerate().min_by(|a, b| a.1.1.total_cmp(&b.1.1)).map_or(0, |found| found.0);
        let high = part.iter().enumerate().max_by(|a, b| a.1.1.total_cmp(&b.1.1)).map_or(0, |found| found.0);
        kept.push(part[low.min(high)]);
        if low != high {
            kept.push(part[low.max(high)]);
        }
    }
    kept
}

/// Circle, square, triangle, diamond, cross or ring.
fn marker(series: usize, x: f64, y: f64) -> String {
    match series % 6 {
        0 => format!("<circle class=\"open\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.4\"/>"),
        1 => format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.4\"/>"),
        2 => format!("<rect x=\"{:.1}\" y=\"{:.1}\" width=\"6.4\" height=\"6.4\"/>", x - 3.2, y - 3.2),
        3 => format!("<path d=\"M{x:.1} {:.1}l4 7h-8z\"/>", y - 4.4),
        4 => format!("<path d=\"M{x:.1} {:.1}l4.4 4.4-4.4 4.4-4.4-4.4z\"/>", y - 4.4),
        _ => format!("<path class=\"stroke\" d=\"M{:.1} {:.1}l6.4 6.4m0-6.4l-6.4 6.4\"/>", x - 3.2, y - 3.2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_thinned_and_keeps_its_peak() {
        let mut points: Vec<(f64, f64)> = (0..5000u32).map(|at| (f64::from(at), 1.0)).collect();
        points[1234].1 = 9.0;
        let kept = thinned(&points, 400);
        assert!(kept.len() <= 400 && kept.contains(&(1234.0, 9.0)), "{}", kept.len());
    }

    #[test]
    fn a_chart_says_in_words_what_it_shows() {
        let points = [(0.0, 0.1), (1.0, 0.5), (2.0, 0.4)];
        let lines = vec![Line { label: "a<b", series: 1, points: &points, dots: true }];
        let svg = Chart { title: "t", x_label: "k", x_names: Vec::new(), percent: true, lines }.render();
        assert!(svg.contains("<desc>a&lt;b: from 10.0 % to 40.0 %, at most 50.0 %.</desc>"), "{svg}");
    }
}
