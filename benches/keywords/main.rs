//! Keyword search: `cargo bench --bench keywords -- FOLDER WHAT...` prints one JSON object for each WHAT.
//!
//! FOLDER is from data.py. WHAT is `terms` (words alone), `grams` (and the second field) or `weights` (MRR over the weight of the second field,
//! on `sample_data`; in an empty FOLDER). `terms` also leaves the tokens and the found lists for the peers. benches/keywords/run.py puts these beside ours.
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]
mod weights;

use std::error::Error;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Value, json};
use tuwen::data::Split;
use tuwen::index::{Analyzer, AnalyzerKind, Document, KeywordIndex, grams, write_keywords};

const K: usize = 10;
const ROUNDS: usize = 5;
/// Weight of the second field while it is timed.
const GRAM_WEIGHT: f32 = 0.5;

/// A query as the index takes it: words, and characters with pairs of neighbours.
type Query = (Vec<String>, Vec<String>);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let folder = PathBuf::from(arguments.next().ok_or("give the folder that data.py wrote")?);
    for what in arguments {
        let found = match what.as_str() {
            "terms" => measure(&folder, false)?,
            "grams" => measure(&folder, true)?,
            "weights" => weights::measure(&folder)?,
            other => return Err(format!("unknown: {other}").into()),
        };
        println!("{found}");
    }
    Ok(())
}

fn measure(folder: &Path, second: bool) -> Result<Value, Box<dyn Error>> {
    let captions = lines(&folder.join("captions.txt"))?;
    let documents: Vec<Document> = captions.iter().enumerate().map(|(row, text)| document(row, text)).collect();
    let (before, started) = (cpu_seconds()?, Instant::now());
    let analyzer = Analyzer::new(AnalyzerKind::Jieba, true, None)?;
    let open_s = started.elapsed().as_secs_f64();
    let out = folder.join(if second { "grams" } else { "terms" });
    if out.exists() {
        std::fs::remove_dir_all(&out)?;
    }
    write_keywords(&out, &analyzer, second, &documents)?;
    let (build_cpu_s, build_s) = (cpu_seconds()? - before, started.elapsed().as_secs_f64());
    let (before, started) = (cpu_seconds()?, Instant::now());
    for caption in &captions {
        analyzer.for_each_term(&analyzer.normalize(caption), |term| {
            std::hint::black_box(term);
        });
    }
    let (cut_cpu_s, cut_s) = (cpu_seconds()? - before, started.elapsed().as_secs_f64());
    let index = KeywordIndex::open(&out)?;
    let texts = lines(&folder.join("queries.txt"))?;
    let queries: Vec<Query> =
        texts.iter().map(|text| (analyzer.terms(text), grams(&analyzer.normalize(text)))).collect();
    let mut microseconds = Vec::new();
    for _ in 0..ROUNDS {
        let before = cpu_seconds()?;
        for (terms, grams) in &queries {
            index.search(terms, grams, GRAM_WEIGHT, K)?;
        }
        microseconds.push((cpu_seconds()? - before) * 1e6 / queries.len() as f64);
    }
    if !second {
        leave_for_peers(folder, &analyzer, &index, &captions, &queries)?;
    }
    microseconds.sort_by(f64::total_cmp);
    Ok(json!({
        "rows": captions.len(), "build_s": build_s, "build_cpu_s": build_cpu_s, "analyzer_s": open_s,
        "cut_s": cut_s, "cut_cpu_s": cut_cpu_s, "query_us": microseconds[ROUNDS / 2],
    }))
}

/// `tokens.txt` and `query_tokens.txt`: a space between two; `lists.txt`: `document:score` likewise.
fn leave_for_peers(
    folder: &Path,
    analyzer: &Analyzer,
    index: &KeywordIndex,
    captions: &[String],
    queries: &[Query],
) -> Result<(), Box<dyn Error>> {
    let tokens: String = captions.iter().map(|caption| analyzer.terms(caption).join(" ") + "\n").collect();
    std::fs::write(folder.join("tokens.txt"), tokens)?;
    let asked: String = queries.iter().map(|(terms, _)| terms.join(" ") + "\n").collect();
    std::fs::write(folder.join("query_tokens.txt"), asked)?;
    let mut lists = String::new();
    for (terms, _) in queries {
        for (document, score) in index.search(terms, &[], 0.0, K)? {
            write!(lists, "{document}:{score} ")?;
        }
        lists.push('\n');
    }
    Ok(std::fs::write(folder.join("lists.txt"), lists)?)
}

fn document(row: usize, text: &str) -> Document {
    Document {
        id: format!("made/{row}"),
        data: "made".to_owned(),
        image_id: row.to_string(),
        split: Split::Train,
        source: format!("train_imgs.tsv:{row}"),
        captions: vec![text.to_owned()],
    }
}

fn lines(path: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// CPU time of all threads that are alive, from the scheduler.
fn cpu_seconds() -> Result<f64, Box<dyn Error>> {
    let mut nanoseconds = 0u64;
    for thread in std::fs::read_dir("/proc/self/task")? {
        let line = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        nanoseconds += line.split(' ').next().unwrap_or_default().parse::<u64>()?;
    }
    Ok(nanoseconds as f64 / 1e9)
}
