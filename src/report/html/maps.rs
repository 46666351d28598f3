//! Maps of embeddings: one canvas per stage, drawn by the page's script, and the same points as a table.
use std::collections::HashMap;
use std::fmt::Write;

use serde_json::json;

use super::super::facts::{MapFacts, MapStage, PointKind, ReportFacts};
use super::super::map::PERPLEXITY;
use super::super::svg::escape;
use super::pictures::Pictures;
use super::{Table, chinese, number, td, thousands};

/// Names that get a colour of their own; the rest share one.
const COLOURS: usize = 7;
/// Steps of a coordinate to either side of the middle.
const STEPS: f32 = 500.0;
const REST: &str = "others";

pub(super) fn section(facts: &ReportFacts, pictures: &Pictures<'_>) -> String {
    let Some(map) = &facts.map else { return String::new() };
    if map.points.is_empty() || map.stages.is_empty() {
        return String::new();
    }
    let mut body = format!(
        "<p class=\"soft\">{} of {} images and texts under every stage; the same points, scales and axes throughout. t-SNE (perplexity {PERPLEXITY:.0}, no random numbers) of a stage starts from the map of the stage before it. Distances between far groups mean little in t-SNE.</p>\n",
        thousands(map.points.len() as u64),
        thousands(map.of)
    );
    body.push_str(&controls(map));
    body.push_str("<div class=\"panes\">\n");
    for stage in &map.stages {
        pane(&mut body, stage, map.points.len());
    }
    body.push_str("</div>\n<p id=\"map-live\" class=\"hidden\" aria-live=\"polite\"></p>\n");
    let _ = write!(
        body,
        "<details class=\"long\"><summary>Points of the maps as a table</summary><div id=\"map-table\">{}</div></details>\n<script type=\"application/json\" id=\"map-data\">{}</script>\n",
        table(map),
        data(map, pictures)
    );
    body
}

fn controls(map: &MapFacts) -> String {
    let grouped = map.points.iter().any(|point| !point.group.is_empty());
    let by_group =
        if grouped { "<label><input type=\"radio\" name=\"map-colour\" value=\"groups\"> group</label>" } else { "" };
    format!(
        "<div class=\"controls\" id=\"map-controls\"><fieldset><legend>Layout</legend><label><input type=\"radio\" name=\"map-layout\" value=\"tsne\" checked> t-SNE</label><label><input type=\"radio\" name=\"map-layout\" value=\"pca\"> principal components</label></fieldset><fieldset><legend>Colour</legend><label><input type=\"radio\" name=\"map-colour\" value=\"datasets\" checked> data set</label>{by_group}</fieldset><fieldset><legend>Show</legend><label><input type=\"checkbox\" name=\"map-images\" checked> ● images</label><label><input type=\"checkbox\" name=\"map-texts\" checked> ▲ texts</label></fieldset></div>\n<ul class=\"legend\" id=\"map-legend\"></ul>\n<noscript><p>The maps are drawn by a script; the table below has the same points.</p></noscript>\n"
    )
}

fn pane(body: &mut String, stage: &MapStage, points: usize) {
    let [first, second] = stage.explained.map(|share| 100.0 * share);
    let _ = writeln!(
        body,
        "<figure class=\"card pane\"><figcaption>{0} <span class=\"soft\">components {first:.0} % and {second:.0} % of the variance</span></figcaption><canvas tabindex=\"0\" role=\"application\" aria-label=\"Map of {0}, {points} points. Arrow keys move from point to point, Escape leaves the point.\" data-model=\"{0}\">The table below has the same points.</canvas><div class=\"tip\" hidden></div></figure>",
        escape(&stage.model)
    );
}

fn table(map: &MapFacts) -> String {
    let mut heads = ["caption", "kind", "data set", "group"].map(str::to_owned).to_vec();
    heads.extend(map.stages.iter().map(|stage| format!("{}<br>t-SNE x, y", escape(&stage.model))));
    let mut table = Table::new("Points of the maps", &heads);
    for (at, point) in map.points.iter().enumerate() {
        let kind = match point.kind {
            PointKind::Image => "image",
            PointKind::Text => "text",
        };
        let mut cells = vec![td(kind), td(&escape(&point.dataset)), td(&chinese(&point.group))];
        cells.extend(map.stages.iter().map(|stage| {
            let [x, y] = stage.tsne.get(at).copied().unwrap_or_default();
            number(&format!("{x:.1}, {y:.1}"))
        }));
        let caption = if point.text.is_empty() { &point.id } else { &point.text };
        table.row(&chinese(caption), &cells);
    }
    table.finish()
}

/// What the script draws: numbers only, and names as JSON strings that cannot end the element.
fn data(map: &MapFacts, pictures: &Pictures<'_>) -> String {
    let (datasets, dataset) = numbered(map.points.iter().map(|point| point.dataset.as_str()));
    let (groups, group) = numbered(map.points.iter().map(|point| point.group.as_str()));
    let picture = |id: Option<usize>| id.filter(|id| pictures.has(*id)).map_or(-1, usize::cast_signed);
    let pca = limit(map.stages.iter().flat_map(|stage| &stage.pca));
    let tsne = limit(map.stages.iter().flat_map(|stage| &stage.tsne));
    let stages: Vec<_> = map
        .stages
        .iter()
        .map(|stage| json!({"model": stage.model, "pca": steps(&stage.pca, pca), "tsne": steps(&stage.tsne, tsne)}))
        .collect();
    let value = json!({
        "texts": map.points.iter().map(|point| u8::from(point.kind == PointKind::Text)).collect::<Vec<_>>(),
        "datasets": dataset,
        "groups": group,
        "names": {"datasets": datasets, "groups": groups},
        "pictures": map.points.iter().map(|point| picture(point.picture)).collect::<Vec<_>>(),
        "stages": stages,
    });
    value.to_string().replace('<', "\\u003c")
}

/// The most frequent names, with one for all others, and the number of every item's name.
fn numbered<'a>(items: impl Iterator<Item = &'a str> + Clone) -> (Vec<String>, Vec<usize>) {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for item in items.clone() {
        let place = *places.entry(item).or_insert_with(|| {
            counts.push((item, 0));
            counts.len() - 1
        });
        counts[place].1 += 1;
    }
    let distinct = counts.len();
    // Stable: of equally frequent names the one that came first.
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts.truncate(COLOURS);
    let mut names: Vec<String> =
        counts.iter().map(|(name, _)| if name.is_empty() { "none" } else { name }.to_owned()).collect();
    if distinct > names.len() {
        names.push(REST.to_owned());
    }
    let known: HashMap<&str, usize> = counts.iter().enumerate().map(|(at, (name, _))| (*name, at)).collect();
    (names, items.map(|item| known.get(item).copied().unwrap_or(COLOURS)).collect())
}

fn limit<'a>(points: impl Iterator<Item = &'a [f32; 2]>) -> f32 {
    points.flatten().fold(1e-12f32, |most, value| most.max(value.abs()))
}

fn steps(points: &[[f32; 2]], limit: f32) -> Vec<i32> {
    points.iter().flatten().map(|value| (value / limit * STEPS).round() as i32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_names_share_a_number() {
        let items = ["b", "a", "a", "c", "d", "e", "f", "g", "h", "i", "a"];
        let (names, numbers) = numbered(items.into_iter());
        assert_eq!(names.first().map(String::as_str), Some("a"));
        assert_eq!((names.len(), names.last().map(String::as_str)), (8, Some(REST)));
        assert_eq!((numbers[1], numbers[9]), (0, 7));
    }

    #[test]
    fn coordinates_keep_their_proportions() {
        assert_eq!(steps(&[[2.0, -1.0], [0.0, 0.5]], 2.0), [500, -250, 0, 125]);
    }
}
