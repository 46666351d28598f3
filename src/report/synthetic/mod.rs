//! Believable facts for tests of the renderers: three data sets, four stages, seeded.
mod retrieval;
mod training;

use std::collections::BTreeMap;
use std::io::Cursor;

use image::{ImageFormat, Rgb, RgbImage};

use super::Gallery;
use super::facts::*;
use super::quality::{LeakFacts, SheetItem};
use crate::ingest::{Quantiles, Statistics};
use retrieval::{attribution, case, churn, gate, histogram, map, query, ranks, timings};
use training::{changes, curve, models, recall_curves, scores};

/// A caption that would run if it were not escaped.
pub const HOSTILE: &str = "<script>alert(1)</script>";
const MODELS: [&str; 4] = ["untrained", "muge-tuned", "flickr-tuned", "surfaces-tuned"];
const DATASETS: [&str; 3] = ["muge", "flickr", "surfaces"];
const METRICS: [&str; 4] = ["hit@1", "hit@5", "hit@10", "mean_recall"];
const NOUNS: [&str; 12] = [
    "红心",
    "绿色大理石",
    "女宇航员",
    "警察",
    "黑色碳纤维材料表面",
    "葡萄",
    "木纹地板",
    "小狗",
    "雪山",
    "茶杯",
    "自行车",
    "蓝色瓷砖",
];
const DIMENSIONS: usize = 64;

/// A small generator; tests need no better one.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Uniform in 0..1.
    pub fn unit(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn below(&mut self, count: usize) -> usize {
        (self.unit() * count as f64) as usize
    }

    /// Nearly normal, of mean 0 and variance 1.
    pub fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}

/// A report with every section and a small map.
pub fn facts(seed: u64) -> ReportFacts {
    sized(seed, 150)
}

/// The same with a map of `points`.
pub fn sized(seed: u64, points: usize) -> ReportFacts {
    let mut dice = Dice::new(seed);
    let mut gallery = Gallery::default();
    let pictures: Vec<usize> = (0..points.div_ceil(2)).map(|at| picture(&mut gallery, at)).collect();
    let (forgetting, comparisons) = changes(&mut dice);
    ReportFacts {
        title: "Retrieval report".to_owned(),
        about: about(),
        datasets: DATASETS.iter().map(|id| dataset(id, &gallery)).collect(),
        models: models(),
        scores: scores(&mut dice),
        gate: Some(gate()),
        forgetting,
        comparisons,
        curves: MODELS[1..].iter().map(|model| curve(model, &mut dice)).collect(),
        recall_curves: recall_curves(),
        timings: timings(),
        map: Some(map(&mut dice, points, &pictures)),
        cases: NOUNS[..5].iter().chain([&HOSTILE]).map(|query| case(query, &mut dice, &pictures)).collect(),
        ranks: DATASETS.iter().map(|data| ranks(data, &mut dice, &pictures)).collect(),
        histograms: DATASETS.iter().map(|data| histogram(data, &mut dice)).collect(),
        attribution: DATASETS.iter().map(|data| attribution(data)).collect(),
        churn: churn(&mut dice),
        queries: NOUNS[..3].iter().chain([&HOSTILE]).map(|text| query(text, &mut dice, &pictures)).collect(),
        leaks: Some(vec![LeakFacts {
            data: "flickr".to_owned(),
            split: "test".to_owned(),
            reason: "caption".to_owned(),
            items: 12,
            example: "`17` is `203` of flickr train".to_owned(),
        }]),
        gallery,
    }
}

fn about() -> AboutFacts {
    let artifacts = DATASETS.iter().map(|id| (*id, "dataset")).chain(MODELS.iter().map(|id| (*id, "checkpoint")));
    AboutFacts {
        settings: serde_json::Map::from_iter([(
            "muge".to_owned(),
            serde_json::json!({ "source": { "format": "chinese-clip", "root": "<data>" } }),
        )]),
        artifacts: artifacts
            .zip(1u64..)
            .map(|((stage, kind), at)| ArtifactFacts {
                stage: stage.to_owned(),
                kind: kind.to_owned(),
                fingerprint: format!("{:032x}", u128::from(at).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)),
            })
            .collect(),
        versions: vec![("tuwen".to_owned(), "0.1.0".to_owned()), ("device".to_owned(), "CPU, f32".to_owned())],
    }
}

fn picture(gallery: &mut Gallery, at: usize) -> usize {
    let mut dice = Dice::new(at as u64 + 7);
    let base = [dice.below(200), dice.below(200), dice.below(200)];
    let mut image = RgbImage::new(128, 96);
    for (x, y, pixel) in image.enumerate_pixels_mut() {
        let wave = ((f64::from(x) * 0.1 * (1.0 + at as f64 % 5.0)).sin() * 30.0 + f64::from(y) * 0.3) as usize;
        let noise = dice.below(14);
        *pixel = Rgb(base.map(|channel| (channel + wave + noise).min(255) as u8));
    }
    let mut jpeg = Cursor::new(Vec::new());
    image.write_to(&mut jpeg, ImageFormat::Jpeg).unwrap();
    let url = format!("data:image/jpeg;base64,{}", base64_simd::STANDARD.encode_to_string(jpeg.into_inner()));
    gallery.add(&format!("synthetic/{at}"), || Ok(url)).unwrap()
}

fn dataset(id: &str, gallery: &Gallery) -> DatasetFacts {
    let spread = Quantiles { min: 90, p5: 128, median: 128, p95: 480, max: 640 };
    let counts = |pairs: &[(&str, u64)]| pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
    DatasetFacts {
        id: id.to_owned(),
        splits: vec![("train".to_owned(), 620, 1200, 1785), ("valid".to_owned(), 80, 160, 214)],
        quarantined: 3,
        measured: "valid".to_owned(),
        statistics: Statistics {
            images: 700,
            texts: 1360,
            pairs: 1999,
            formats: counts(&[("jpeg", 690), ("png", 10)]),
            width: spread,
            height: spread,
            bytes: Quantiles { min: 900, p5: 1500, median: 4200, p95: 9000, max: 24_000 },
            scripts: counts(&[("chinese", 1300), ("mixed", 60)]),
            images_per_text: BTreeMap::from([(1, 900), (2, 300), (8, 160)]),
            texts_per_image: BTreeMap::from([(1, 200), (2, 500)]),
            ..Statistics::default()
        },
        sheet: (0..6)
            .map(|at| SheetItem {
                id: format!("{id}-{at}"),
                split: "train".to_owned(),
                text: if at == 0 { HOSTILE.to_owned() } else { NOUNS[at % NOUNS.len()].to_owned() },
                thumbnail: gallery.url(at).unwrap().to_owned(),
            })
            .collect(),
    }
}
