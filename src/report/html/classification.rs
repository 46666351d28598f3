//! Zero-shot classification.
use super::super::facts::ReportFacts;
use super::super::svg::escape;
use super::{Table, chinese, number, percent, td, thousands};

pub(super) fn section(facts: &ReportFacts) -> String {
    if facts.classification.is_empty() {
        return String::new();
    }
    let heads = ["checkpoint", "data set", "classes", "images", "top-1", "top-5"].map(str::to_owned);
    let mut table = Table::new("Accuracy in percent, class names as texts", &heads);
    let confused = ["checkpoint", "data set", "class", "taken for", "images"].map(str::to_owned);
    let mut confusions = Table::new("Classes taken for another most often", &confused);
    for result in &facts.classification {
        let (model, dataset) = (escape(&result.model), td(&escape(&result.dataset)));
        let counts = [result.classes, result.images].map(|count| number(&thousands(count)));
        let shares = [result.top1, result.top5].map(|share| number(&percent(Some(share))));
        table.row(&model, &[vec![dataset.clone()], counts.to_vec(), shares.to_vec()].concat());
        for confusion in &result.confusions {
            let names = [&confusion.truth, &confusion.predicted].map(|name| td(&chinese(name)));
            let images = number(&thousands(confusion.images));
            confusions.row(&model, &[vec![dataset.clone()], names.to_vec(), vec![images]].concat());
        }
    }
    format!("{}<details><summary>Worst confusions</summary>{}</details>\n", table.finish(), confusions.finish())
}
