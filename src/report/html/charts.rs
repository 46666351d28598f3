//! Charts with their legend and the same numbers as a table.
use std::fmt::Write;

use super::super::svg::{Chart, escape, key};
use super::{Table, number};

/// Rows of a chart's table; longer lines are thinned out.
const ROWS: usize = 40;

/// A card with a chart.
pub fn figure(page: &mut String, chart: &Chart<'_>) {
    let svg = chart.render();
    if svg.is_empty() {
        return;
    }
    let _ = write!(page, "<figure class=\"card\"><figcaption>{}</figcaption>{svg}", escape(chart.title));
    if chart.lines.len() > 1 {
        page.push_str("<ul class=\"legend\">");
        for line in &chart.lines {
            let _ = write!(page, "<li>{}{}</li>", key(line.series), escape(line.label));
        }
        page.push_str("</ul>");
    }
    let _ = writeln!(
        page,
        "<details><summary>Numbers<span class=\"hidden\"> of {}</span></summary>{}</details></figure>",
        escape(chart.title),
        numbers(chart)
    );
}

fn numbers(chart: &Chart<'_>) -> String {
    let mut places: Vec<f64> = chart.lines.iter().flat_map(|line| line.points.iter().map(|point| point.0)).collect();
    places.sort_by(f64::total_cmp);
    places.dedup();
    let step = places.len().div_ceil(ROWS).max(1);
    let last = places.len().saturating_sub(1);
    let caption = if step > 1 { format!("{} (every {step}th value)", chart.title) } else { chart.title.to_owned() };
    let mut heads = vec![if chart.x_label.is_empty() { "at".to_owned() } else { escape(chart.x_label) }];
    heads.extend(chart.lines.iter().map(|line| escape(line.label)));
    let mut table = Table::new(&caption, &heads);
    for (at, place) in places.iter().enumerate().filter(|(at, _)| at.is_multiple_of(step) || *at == last) {
        let head = match chart.x_names.get(at) {
            Some(name) => escape(name),
            None if place.fract() == 0.0 => format!("{place:.0}"),
            None => format!("{place:.3}"),
        };
        let cell = |line: &super::super::svg::Line<'_>| {
            let found = line.points.iter().find(|point| point.0 == *place);
            number(&found.map_or("–".to_owned(), |point| chart.value(point.1)))
        };
        table.row(&head, &chart.lines.iter().map(cell).collect::<Vec<_>>());
    }
    table.finish()
}
