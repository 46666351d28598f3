//! The page as a whole: structure, safety, contrast, size.
use std::collections::HashSet;

use super::super::synthetic::{HOSTILE, facts, sized};
use super::matrix::SHADE;
use super::page::{SCRIPT, SCRIPT_HASH};
use super::*;

const STYLE: &str = include_str!("../style.css");
const SECTIONS: [&str; 18] = [
    "overview",
    "matrix",
    "gate",
    "forgetting",
    "comparison",
    "recall",
    "cases",
    "ranks",
    "cut-off",
    "attribution",
    "churn",
    "map",
    "training",
    "speed",
    "search",
    "data",
    "quality",
    "about",
];

#[test]
fn every_section_stands_once_and_the_navigation_leads_to_it() {
    let page = render_html(&facts(1));
    for id in SECTIONS {
        assert_eq!(page.matches(&format!("<section id=\"{id}\" ")).count(), 1, "{id}");
        assert_eq!(page.matches(&format!("href=\"#{id}\"")).count(), 1, "{id}");
    }
    assert_eq!(page.matches("<section ").count(), SECTIONS.len());
    assert_eq!(page.matches("<main ").count(), 1);
}

#[test]
fn no_facts_make_a_page_without_sections() {
    let page = render_html(&ReportFacts::default());
    assert_eq!(page.matches("<section ").count(), 0);
    assert!(page.ends_with("</html>\n"));
}

#[test]
fn a_hostile_caption_is_text_everywhere() {
    let page = render_html(&facts(1));
    assert!(!page.contains(HOSTILE));
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert_eq!(page.matches("<script").count(), 2, "the data of the map and the script of the page");
}

#[test]
fn a_hostile_name_cannot_leave_the_data_of_the_map() {
    let mut facts = facts(1);
    for point in facts.map.iter_mut().flat_map(|map| &mut map.points) {
        point.group = "</script><script>alert(1)</script>".to_owned();
        point.dataset = "\"><img src=x onerror=alert(1)>".to_owned();
    }
    let page = render_html(&facts);
    assert_eq!(page.matches("<script").count(), 2);
    assert!(!page.contains("<img src=x"));
}

#[test]
fn the_page_asks_no_network_for_anything() {
    let page = render_html(&facts(1));
    assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("url("));
    assert!(!page.contains("@import") && !page.contains("<link"));
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn the_policy_allows_the_script_of_the_page_and_no_other() {
    // That it is the hash of this script is what `tests/browser/check_report.py` finds out: the browser refuses any other.
    let page = render_html(&facts(1));
    assert!(page.contains(&format!("script-src 'sha256-{}'", SCRIPT_HASH.trim())) && page.contains(SCRIPT));
}

#[test]
fn ids_are_unique_and_every_shown_picture_is_stored_once() {
    let page = render_html(&facts(1));
    let ids: Vec<&str> = page.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let distinct: HashSet<&str> = ids.iter().copied().collect();
    assert_eq!(ids.len(), distinct.len());
    let used = page.split("<use href=\"#").skip(1).filter_map(|rest| rest.split('"').next());
    let used: HashSet<&str> = used.collect();
    assert!(used.len() > 20 && used.is_subset(&distinct));
}

#[test]
fn every_table_has_a_caption_and_every_head_a_scope() {
    let page = render_html(&facts(1));
    assert_eq!(page.matches("<table>").count(), page.matches("<table><caption>").count());
    assert_eq!(page.matches("<th").count() - page.matches("<thead").count(), page.matches("<th scope=").count());
    assert_eq!(page.matches("<img ").count(), page.matches(" alt=\"").count());
}

/// The pages also go to `target/report`, where `tests/browser/check_report.py` opens them.
#[test]
fn fifteen_hundred_points_under_four_stages_fit_into_three_megabytes() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/report");
    std::fs::create_dir_all(&folder).unwrap();
    let facts = sized(1, 1500);
    let page = render_html(&facts);
    assert!(page.len() < 3_000_000, "{} bytes", page.len());
    std::fs::write(folder.join("report.html"), page).unwrap();
    std::fs::write(folder.join("report.md"), super::super::render_markdown(&facts)).unwrap();
    std::fs::write(folder.join("report.json"), super::super::render_json(&facts).unwrap()).unwrap();
    std::fs::write(folder.join("report.csv"), super::super::render_csv(&facts).unwrap()).unwrap();
}

/// The colours of one theme: name and channels in 0..=255.
fn theme(block: &str) -> impl Fn(&str) -> [f64; 3] {
    let start = STYLE.find(block).unwrap();
    let body = STYLE[start..].split(":root{").nth(1).unwrap().split('}').next().unwrap();
    let colours: Vec<(String, [f64; 3])> = body
        .split(';')
        .filter_map(|pair| pair.trim().trim_start_matches("--").split_once(':'))
        .map(|(name, value)| (name.to_owned(), channels(value)))
        .collect();
    move |name| colours.iter().find(|(known, _)| known == name).unwrap().1
}

fn channels(value: &str) -> [f64; 3] {
    let Some(hex) = value.strip_prefix('#') else {
        let parts: Vec<f64> = value.split(',').map(|part| part.parse().unwrap()).collect();
        return [parts[0], parts[1], parts[2]];
    };
    let full: String = if hex.len() == 3 { hex.chars().flat_map(|c| [c, c]).collect() } else { hex.to_owned() };
    [0, 2, 4].map(|at| f64::from(u8::from_str_radix(&full[at..at + 2], 16).unwrap()))
}

/// Contrast as WCAG 2.2 defines it.
fn contrast(a: [f64; 3], b: [f64; 3]) -> f64 {
    let luminance = |colour: [f64; 3]| {
        let linear = colour.map(|channel| {
            let share = channel / 255.0;
            if share <= 0.04045 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    };
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[test]
fn texts_and_marks_stand_out_in_both_themes() {
    assert!((contrast([0.0; 3], [255.0; 3]) - 21.0).abs() < 1e-9);
    for block in [":root{", "@media (prefers-color-scheme:dark)"] {
        let colour = theme(block);
        for ground in ["page", "card"] {
            for text in ["ink", "soft", "link", "good", "bad"] {
                let ratio = contrast(colour(text), colour(ground));
                assert!(ratio >= 4.5, "{block} {text} on {ground}: {ratio:.2}");
            }
            for series in 0..8 {
                let ratio = contrast(colour(&format!("c{series}")), colour(ground));
                assert!(ratio >= 3.0, "{block} c{series} on {ground}: {ratio:.2}");
            }
        }
        let (card, heat) = (colour("card"), colour("heat"));
        let shaded = [0, 1, 2].map(|at| card[at] + (heat[at] - card[at]) * SHADE);
        assert!(contrast(colour("ink"), shaded) >= 4.5, "{block} ink on the darkest cell");
    }
}
