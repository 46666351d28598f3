//! Line charts as inline SVG.
use std::fmt::Write;

const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 44.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 34.0;

/// One line of a chart.
pub struct Line<'a> {
    pub label: &'a str,
    /// CSS class that gives the colour.
    pub class: String,
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
    /// The `<svg>` element.
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
            "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
            escape(self.title)
        );
        for step in 0..=4 {
            let value = y_high * f64::from(step) / 4.0;
            let label = match value {
                _ if self.percent => format!("{:.0} %", 100.0 * value),
                0.0 => "0".to_owned(),
                _ if y_high < 0.5 => format!("{value:.0e}"),
                _ => format!("{value:.1}"),
            };
            let at = y(value);
            let _ = write!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                at + 4.0
            );
        }
        self.x_axis(&mut svg, x_low, x_high, &x);
        for line in &self.lines {
            let path: Vec<String> = line.points.iter().map(|p| format!("{:.1},{:.1}", x(p.0), y(p.1))).collect();
            let _ = write!(
                svg,
                "<polyline class=\"{}\" points=\"{}\"><title>{}</title></polyline>",
                line.class,
                path.join(" "),
                escape(line.label)
            );
            for point in line.points.iter().filter(|_| line.dots) {
                let value = if self.percent { format!("{:.1} %", 100.0 * point.1) } else { format!("{:.3}", point.1) };
                let _ = write!(
                    svg,
                    "<circle class=\"{}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.2\"><title>{}: {value}</title></circle>",
                    line.class,
                    x(point.0),
                    y(point.1),
                    escape(line.label)
                );
            }
        }
        svg.push_str("</svg>");
        svg
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
            let _ = write!(
                svg,
                "<text x=\"{:.1}\" y=\"{base:.1}\" text-anchor=\"{anchor}\">{}</text>",
                x(at as f64),
                escape(name)
            );
        }
    }
}

/// The next of 1, 2, 5 times a power of ten, in quarters that read well.
fn nice(high: f64) -> f64 {
    if high <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf(high.log10().floor());
    let steps = [1.0, 1.2, 1.6, 2.0, 2.4, 3.2, 4.0, 5.0, 6.0, 8.0, 10.0];
    steps.iter().map(|step| step * power).find(|candidate| *candidate >= high).unwrap_or(10.0 * power)
}

/// Text made safe for HTML and SVG.
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}
