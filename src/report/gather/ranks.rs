//! The queries of a data set that gained most, and those that are answered worst.
use std::collections::HashMap;

use super::{Material, PictureSize};
use crate::data::Split;
use crate::evaluate::{Direction, OutcomeGroup};
use crate::report::facts::{RankChange, RankFacts};
use crate::report::gallery::Gallery;
use crate::stage::StageError;

const SHOWN: usize = 6;

/// Per data set, from the first checkpoint to the last.
pub(super) fn ranks(
    material: &Material<'_>,
    outcomes: &[OutcomeGroup],
    gallery: &mut Gallery,
) -> Result<Vec<RankFacts>, StageError> {
    let mut facts = Vec::new();
    let models = &material.summary.models;
    let (Some(first), Some(last)) = (models.first(), models.last()) else { return Ok(facts) };
    for (data, dataset) in &material.datasets {
        let of = |model: &str| {
            outcomes.iter().find(|group| {
                group.model == model && group.dataset == *data && group.direction == Direction::TextToImage
            })
        };
        let (Some(before), Some(after)) = (of(&first.id), of(&last.id)) else { continue };
        let Some(split) = Split::ALL.into_iter().find(|split| split.as_str() == after.split) else { continue };
        let texts: HashMap<String, String> =
            dataset.texts(split)?.into_iter().map(|text| (format!("txt:{data}/{}", text.id), text.text)).collect();
        let mut images: HashMap<String, String> = HashMap::new();
        for pair in dataset.pairs(split)? {
            images.entry(format!("txt:{data}/{}", pair.text_id)).or_insert(pair.image_id);
        }
        let rank = |group: &OutcomeGroup| -> HashMap<String, u64> {
            let ranks = group.outcomes.iter().map(|outcome| (outcome.query.clone(), outcome.best_rank()));
            ranks.filter_map(|(query, rank)| Some((query, u64::from(rank?)))).collect()
        };
        let (was, is) = (rank(before), rank(after));
        let mut changes: Vec<(&String, u64, u64)> =
            is.iter().filter_map(|(query, after)| Some((query, *was.get(query)?, *after))).collect();
        changes.sort();
        let mut shown = |list: &[(&String, u64, u64)]| -> Result<Vec<RankChange>, StageError> {
            let mut rows = Vec::new();
            for (query, rank_before, rank_after) in list.iter().take(SHOWN).copied() {
                let image_id = images.get(query).cloned().unwrap_or_default();
                let picture = material.picture(gallery, data, &image_id, PictureSize::Shown)?;
                let query = texts.get(query).cloned().unwrap_or_default();
                rows.push(RankChange { query, rank_before, rank_after, picture, image_id });
            }
            Ok(rows)
        };
        let mut best = changes.clone();
        best.sort_by_key(|(_, before, after)| std::cmp::Reverse(i128::from(*before) - i128::from(*after)));
        best.retain(|(_, before, after)| after < before);
        let mut worst = changes;
        worst.sort_by_key(|(_, _, after)| std::cmp::Reverse(*after));
        worst.retain(|(_, _, after)| *after > 1);
        facts.push(RankFacts {
            dataset: data.clone(),
            before: first.id.clone(),
            after: last.id.clone(),
            pool: dataset.image_ids(split)?.len() as u64,
            best: shown(&best)?,
            worst: shown(&worst)?,
        });
    }
    Ok(facts)
}
