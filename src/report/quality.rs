//! Quality of the data: numbers, a contact sheet, leaks.
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use serde::Serialize;

use super::facts::{ReportFacts, direction_words};
use super::gather::thumbnail_url;
use super::html::{Table, chinese, number, percent, shell, td, thousands};
use super::svg::escape;
use crate::data::Split;
use crate::evaluate::{Direction, UNLEAKED_QUERIES};
use crate::ingest::{Dataset, Leak, Quantiles, Statistics};
use crate::stage::StageError;

/// A picture of a contact sheet.
#[derive(Debug, Clone, Serialize)]
pub struct SheetItem {
    pub id: String,
    pub split: String,
    /// Its first caption, or nothing.
    pub text: String,
    #[serde(skip)]
    pub thumbnail: String,
}

/// Leaks of one data set for one reason.
#[derive(Debug, Clone, Serialize)]
pub struct LeakFacts {
    pub data: String,
    pub split: String,
    pub reason: String,
    pub items: u64,
    /// One of them in words.
    pub example: String,
}

/// Pictures evenly spread over the splits of a data set.
pub fn contact_sheet(dataset: &Dataset, images: usize) -> Result<Vec<SheetItem>, StageError> {
    let mut all = Vec::new();
    for split in Split::ALL {
        all.extend(dataset.image_ids(split)?.into_iter().map(|id| (split, id)));
    }
    let step = all.len().div_ceil(images.max(1)).max(1);
    let chosen: Vec<(Split, String)> = all.into_iter().step_by(step).collect();
    let mut captions: HashMap<String, String> = HashMap::new();
    for split in Split::ALL {
        let wanted: HashMap<String, String> = dataset
            .pairs(split)?
            .into_iter()
            .rev()
            .filter(|pair| chosen.iter().any(|(_, id)| *id == pair.image_id))
            .map(|pair| (pair.text_id, pair.image_id))
            .collect();
        for text in dataset.texts(split)?.into_iter().rev() {
            if let Some(image) = wanted.get(&text.id) {
                captions.insert(image.clone(), text.text);
            }
        }
    }
    chosen
        .into_iter()
        .map(|(split, id)| {
            let thumbnail = thumbnail_url(&dataset.image_bytes(&id)?)?;
            Ok(SheetItem { text: captions.remove(&id).unwrap_or_default(), split: split.to_string(), id, thumbnail })
        })
        .collect()
}

/// Counts of an audit's table by data set, split and reason.
pub(super) fn leak_facts(leaks: &[Leak]) -> Vec<LeakFacts> {
    let mut groups: BTreeMap<(&str, &str, &str), (u64, String)> = BTreeMap::new();
    for leak in leaks.iter().filter(|leak| !leak.dropped) {
        let group = groups.entry((&leak.data, &leak.split, &leak.reason)).or_insert_with(|| {
            let example = format!("`{}` is `{}` of {} {}", leak.id, leak.other_id, leak.other_data, leak.other_split);
            (0, example)
        });
        group.0 += 1;
    }
    groups
        .into_iter()
        .map(|((data, split, reason), (items, example))| LeakFacts {
            data: data.to_owned(),
            split: split.to_owned(),
            reason: reason.to_owned(),
            items,
            example,
        })
        .collect()
}

/// A self-contained page about one data set.
pub fn render_contact_sheet(name: &str, statistics: &Statistics, items: &[SheetItem]) -> String {
    let mut body = format!("<h1>{}</h1>\n", escape(name));
    numbers(&mut body, &[(name, statistics)]);
    sheet(&mut body, items);
    shell(name, &body)
}

/// The section of the report.
pub(super) fn section(facts: &ReportFacts) -> String {
    let known: Vec<(&str, &Statistics)> =
        facts.datasets.iter().map(|data| (data.id.as_str(), &data.statistics)).collect();
    let mut body = String::new();
    if known.is_empty() {
        return body;
    }
    numbers(&mut body, &known);
    leaks(&mut body, facts);
    for dataset in facts.datasets.iter().filter(|dataset| !dataset.sheet.is_empty()) {
        let _ = writeln!(body, "<details><summary>Contact sheet of {}</summary>", escape(&dataset.id));
        sheet(&mut body, &dataset.sheet);
        body.push_str("</details>\n");
    }
    body
}

fn numbers(page: &mut String, datasets: &[(&str, &Statistics)]) {
    let mut heads = vec!["property".to_owned()];
    heads.extend(datasets.iter().map(|(name, _)| escape(name)));
    let mut table = Table::new("Properties of the data", &heads);
    let rows = datasets.first().map_or(Vec::new(), |(_, first)| first.lines());
    for (at, (label, _)) in rows.iter().enumerate() {
        let value = |statistics: &Statistics| statistics.lines().get(at).map_or(String::new(), |line| escape(&line.1));
        table.row(&escape(label), &datasets.iter().map(|(_, each)| number(&value(each))).collect::<Vec<_>>());
    }
    page.push_str(&table.finish());
}

fn sheet(page: &mut String, items: &[SheetItem]) {
    page.push_str("<ul class=\"hits\">\n");
    for item in items {
        let _ = writeln!(
            page,
            "<li class=\"hit\"><img src=\"{}\" alt=\"{}\" loading=\"lazy\"><b>{}</b><span class=\"soft\">{} {}</span></li>",
            escape(&item.thumbnail),
            escape(if item.text.is_empty() { &item.id } else { &item.text }),
            chinese(&item.text),
            escape(&item.id),
            escape(&item.split)
        );
    }
    page.push_str("</ul>\n");
}

fn leaks(page: &mut String, facts: &ReportFacts) {
    let Some(leaks) = &facts.leaks else { return };
    page.push_str("<h3>Leaks</h3>\n");
    if leaks.is_empty() {
        page.push_str(
            "<p>No image, near-identical image, family or caption of validation or test stands in training data.</p>\n",
        );
        return;
    }
    let heads = ["data set", "split", "the same", "items", "for example"].map(str::to_owned);
    let mut table = Table::new("Items of validation or test that stand in training data too", &heads);
    for leak in leaks {
        let [data, split, reason, example] =
            [&leak.data, &leak.split, &leak.reason, &leak.example].map(|text| escape(text));
        table.row(&data, &[td(&split), td(&reason), number(&thousands(leak.items)), td(&example)]);
    }
    page.push_str(&table.finish());
    page.push_str(&unleaked(facts));
}

/// Scores of all queries beside those that no leak touches.
fn unleaked(facts: &ReportFacts) -> String {
    let mut heads = vec!["checkpoint".to_owned()];
    for dataset in &facts.datasets {
        for direction in Direction::CROSS_MODAL {
            let words = direction_words(direction.as_str());
            heads.push(format!("{}<br>{words}, all", escape(&dataset.id)));
            heads.push(format!("{words},<br>unleaked"));
        }
    }
    let caption = "Mean recall in percent of all queries, and of those that have, with everything relevant to them, no counterpart in an earlier split";
    let mut table = Table::new(caption, &heads);
    for model in &facts.models {
        let mut cells = Vec::new();
        for dataset in &facts.datasets {
            for direction in Direction::CROSS_MODAL.map(Direction::as_str) {
                let all = facts.value(&model.id, &dataset.id, direction, "mean_recall");
                let clean = facts.value_of(UNLEAKED_QUERIES, &model.id, &dataset.id, direction, "mean_recall");
                cells.extend([all, clean].map(|value| number(&percent(value))));
            }
        }
        table.row(&escape(&model.id), &cells);
    }
    table.finish()
}

impl Statistics {
    /// What there is to say, line by line.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let share = |part: u64, of: u64| {
            let percent = if of == 0 { 0.0 } else { 100.0 * part as f64 / of as f64 };
            format!("{} ({percent:.1} %)", thousands(part))
        };
        let list = |counts: &BTreeMap<String, u64>| {
            counts.iter().map(|(name, count)| format!("{name} {}", thousands(*count))).collect::<Vec<_>>().join(", ")
        };
        let spread = |q: &Quantiles| format!("{} · {} · {} · {} · {}", q.min, q.p5, q.median, q.p95, q.max);
        let histogram = |counts: &BTreeMap<u64, u64>| {
            let mut parts: Vec<String> =
                counts.iter().take(6).map(|(size, count)| format!("{size}: {}", thousands(*count))).collect();
            let rest: u64 = counts.values().skip(6).sum();
            if rest > 0 {
                parts.push(format!("more: {}", thousands(rest)));
            }
            parts.join(", ")
        };
        vec![
            ("images, texts, pairs", [self.images, self.texts, self.pairs].map(thousands).join(", ")),
            ("formats", list(&self.formats)),
            ("width: least, 5 %, median, 95 %, most", spread(&self.width)),
            ("height", spread(&self.height)),
            ("bytes of an image", spread(&self.bytes)),
            ("images with the bytes of another", share(self.identical_images, self.images)),
            ("images that look like another", share(self.near_identical_images, self.images)),
            ("tokens of a text", spread(&self.tokens)),
            ("texts of more than 52 tokens", share(self.truncated_texts, self.texts)),
            ("tokens unknown to the vocabulary", share(self.unknown_tokens, self.all_tokens)),
            ("texts that repeat another", share(self.repeated_texts, self.texts)),
            ("scripts", list(&self.scripts)),
            ("images per text", histogram(&self.images_per_text)),
            ("texts per image", histogram(&self.texts_per_image)),
        ]
    }
}

impl std::fmt::Display for Statistics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.lines().iter().try_for_each(|(label, value)| writeln!(f, "{label:<40} {value}"))
    }
}
