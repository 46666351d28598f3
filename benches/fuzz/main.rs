//! Mutated files for every parser: `cargo bench --bench fuzz -- SECONDS [TARGET]`. Begins with the fixtures of `tests/formats`,
//! changes, cuts, repeats and joins them, and keeps what gave an outcome that was not seen before. A panic, or ten seconds for
//! one file, is a finding: the file is written down and the program fails.
#![expect(clippy::print_stdout, reason = "a fuzzer prints its result")]
use std::collections::HashSet;
use std::error::Error;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use tuwen::ingest::{ImageContent, SourceRow, SourceSpec, decode, parse_pickle, source_rows};
use tuwen::pipeline::check;
use tuwen::store::SourceFolder;

const SLOWEST: Duration = Duration::from_secs(10);
/// Rows that are looked at of one file.
const ROWS: usize = 2000;
const MAX_BYTES: usize = 1 << 20;

/// A parser with its seeds.
struct Target {
    name: &'static str,
    seeds: Vec<Vec<u8>>,
    parse: Parse,
}

/// What a parser comes to, in few words.
type Parse = Box<dyn Fn(&[u8]) -> String>;

fn main() -> Result<(), Box<dyn Error>> {
    // Cargo adds an option of its own.
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let seconds: f64 = arguments.next().ok_or("usage: cargo bench --bench fuzz -- SECONDS [TARGET]")?.parse()?;
    let only = arguments.next();
    let work = std::env::temp_dir().join(format!("tuwen-fuzz-{}", std::process::id()));
    fs::create_dir_all(&work)?;
    let targets = targets(&work)?;
    let targets: Vec<Target> =
        targets.into_iter().filter(|target| only.as_ref().is_none_or(|only| only == target.name)).collect();
    let share = Duration::from_secs_f64(seconds / targets.len() as f64);
    // What a guarded decoder panics with is an answer like any other; it need not be printed.
    std::panic::set_hook(Box::new(|_| {}));
    let mut findings = 0;
    println!("| parser | files | outcomes | slowest ms | findings |\n|---|---:|---:|---:|---:|");
    for target in targets {
        findings += run(target, share, &work)?;
    }
    if findings > 0 {
        return Err(format!("{findings} findings, kept in {}", work.display()).into());
    }
    fs::remove_dir_all(&work)?;
    Ok(())
}

fn run(target: Target, share: Duration, work: &Path) -> Result<usize, Box<dyn Error>> {
    let Target { name, mut seeds, parse } = target;
    let mut rng = ChaCha8Rng::seed_from_u64(123);
    let (mut files, mut findings, mut slowest) = (0u64, 0, Duration::ZERO);
    let mut outcomes = HashSet::new();
    let began = Instant::now();
    while began.elapsed() < share {
        let input = if files < seeds.len() as u64 { seeds[files as usize].clone() } else { mutate(&seeds, &mut rng) };
        files += 1;
        let start = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| parse(&input)));
        let took = start.elapsed();
        slowest = slowest.max(took);
        match outcome {
            Ok(outcome) if took < SLOWEST => {
                if outcomes.insert(outcome) && seeds.len() < 4096 && input.len() <= MAX_BYTES {
                    seeds.push(input);
                }
            }
            _ => {
                findings += 1;
                fs::write(work.join(format!("{name}-{findings}")), &input)?;
                if findings >= 5 {
                    break;
                }
            }
        }
    }
    println!("| {name} | {files} | {} | {} | {findings} |", outcomes.len(), slowest.as_millis());
    Ok(findings)
}

fn mutate(seeds: &[Vec<u8>], rng: &mut ChaCha8Rng) -> Vec<u8> {
    const WORDS: [&[u8]; 16] = [
        b"\0",
        b"\xff\xff\xff\xff",
        b"\n",
        b"\t",
        b"\"",
        b"{",
        b"[",
        b"\\u",
        b"../",
        b"=",
        b"%",
        b"999999999999999999999",
        b"\x80\x04\x95",
        b"\x7f\xff",
        b"&a",
        b"*a",
    ];
    let mut bytes = seeds[rng.random_range(0..seeds.len())].clone();
    for _ in 0..rng.random_range(1..6) {
        if bytes.is_empty() {
            bytes.push(0);
        }
        let at = rng.random_range(0..bytes.len());
        let length = rng.random_range(1..64).min(bytes.len() - at);
        match rng.random_range(0..9) {
            0 => bytes[at] ^= 1 << rng.random_range(0..8),
            1 => bytes[at] = rng.random(),
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..at + length)),
            4 => {
                let copied = bytes[at..at + length].to_vec();
                bytes.splice(at..at, copied);
            }
            5 => drop(bytes.splice(at..at, WORDS[rng.random_range(0..WORDS.len())].iter().copied())),
            6 => rng.fill_bytes(&mut bytes[at..at + length.min(8)]),
            7 => {
                let other = &seeds[rng.random_range(0..seeds.len())];
                let from = rng.random_range(0..=other.len());
                bytes.truncate(at);
                bytes.extend(&other[from..]);
            }
            _ => {
                for byte in &mut bytes[at..at + length] {
                    *byte = byte.wrapping_add(1);
                }
            }
        }
    }
    bytes.truncate(MAX_BYTES);
    bytes
}

/// One file of a source changes, the others stay.
fn file_targets(work: &Path, formats: &Path) -> Result<Vec<Target>, Box<dyn Error>> {
    let read = |names: &[&str]| -> Result<Vec<Vec<u8>>, std::io::Error> {
        names.iter().map(|name| fs::read(formats.join(name))).collect()
    };
    let file = |name: &'static str, seeds: Vec<Vec<u8>>, folder: &str, place: &str, source: Value| {
        let folder = formats.join(folder);
        let (copy, place) = (work.join(name), place.to_owned());
        copy_folder(&folder, &copy)?;
        let mut source = source;
        source["root"] = json!(copy);
        let spec: SourceSpec = serde_json::from_value(source)?;
        let path = copy.join(&place);
        let scratch = work.join("scratch");
        let parse: Parse = Box::new(move |bytes| {
            if fs::write(&path, bytes).is_err() {
                return "not written".to_owned();
            }
            rows(&spec, &scratch)
        });
        Ok::<Target, Box<dyn Error>>(Target { name, seeds, parse })
    };
    let train = json!(["train"]);
    let clip = json!({ "format": "chinese-clip", "splits": train });
    let lmdb = json!({ "format": "chinese-clip-lmdb", "splits": train });
    let folder = |captions: &str| json!({ "format": "folder", "captions": captions });
    let flickr = json!({ "format": "flickr30k-cn", "captions": { "train": "plain/train.txt" } });
    let images = ["chinese-clip/train_imgs.tsv", "chinese-clip/valid_imgs.tsv", "chinese-clip/test_imgs.tsv"];
    let texts = ["chinese-clip/train_texts.jsonl", "chinese-clip/valid_texts.jsonl", "chinese-clip/test_texts.jsonl"];
    let tars = [
        "webdataset/train-000000.tar",
        "webdataset/train-000001.tar",
        "webdataset-names/train-000000.tar",
        "webdataset-names/valid-000000.tar",
        "webdataset-hostile/symlink.tar",
    ];
    let parquet =
        ["parquet/train-00000-of-00001.parquet", "parquet-binary/train.parquet", "parquet-paths/train.parquet"];
    Ok(vec![
        file("tsv-row-and-base64-image", read(&images)?, "chinese-clip", "train_imgs.tsv", clip.clone())?,
        file("jsonl-texts", read(&texts)?, "chinese-clip", "train_texts.jsonl", clip)?,
        file(
            "muge-queries",
            read(&["muge-2021/MR_train_queries.jsonl"])?,
            "muge-2021",
            "MR_train_queries.jsonl",
            json!({ "format": "muge-2021", "splits": train }),
        )?,
        file(
            "lmdb-images",
            read(&["reference-lmdb/train/imgs/data.mdb"])?,
            "reference-lmdb",
            "train/imgs/data.mdb",
            lmdb.clone(),
        )?,
        file(
            "lmdb-pairs",
            read(&["reference-lmdb/train/pairs/data.mdb", "reference-lmdb-memo/train/pairs/data.mdb"])?,
            "reference-lmdb",
            "train/pairs/data.mdb",
            lmdb,
        )?,
        file(
            "flickr30k-cn",
            read(&["flickr30k-cn/plain/train.txt", "flickr30k-cn/plain/test.txt"])?,
            "flickr30k-cn",
            "plain/train.txt",
            flickr,
        )?,
        file("csv", read(&["folder/captions.csv"])?, "folder", "captions.csv", folder("captions.csv"))?,
        file(
            "jsonl-captions",
            read(&["folder/captions.jsonl"])?,
            "folder",
            "captions.jsonl",
            folder("captions.jsonl"),
        )?,
        file("csv-gzip", read(&["folder/captions.csv.gz"])?, "folder", "captions.csv.gz", folder("captions.csv.gz"))?,
        file(
            "zstd",
            read(&["chinese-clip-zst/train_texts.jsonl.zst"])?,
            "chinese-clip-zst",
            "train_texts.jsonl.zst",
            json!({ "format": "chinese-clip", "splits": train }),
        )?,
        file("parquet", read(&parquet)?, "parquet", "train-00000-of-00001.parquet", json!({ "format": "parquet" }))?,
        file("tar", read(&tars)?, "webdataset", "train-000000.tar", json!({ "format": "webdataset" }))?,
    ])
}

fn targets(work: &Path) -> Result<Vec<Target>, Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut targets = file_targets(work, &root.join("tests/formats"))?;
    targets.push(Target {
        name: "pickle",
        seeds: vec![
            b"\x80\x02J\x79\x6c\x10\x00M\xec\x20X\x03\x00\x00\x00\xe7\xba\xa2q\x00\x87q\x01.".to_vec(),
            b"\x80\x04\x95\x10\0\0\0\0\0\0\0K\x01K\x02\x8c\x03\xe7\xba\xa2\x94\x87\x94.".to_vec(),
            b"(I1\nI2\nV\\u7ea2\np0\ntp1\n.".to_vec(),
            b"\x80\x03]q\x00(K\x01\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7fh\x00e.".to_vec(),
        ],
        parse: Box::new(|bytes| match parse_pickle(bytes) {
            Ok(value) => format!("{value:?}").chars().take(20).collect(),
            Err(reason) => reason,
        }),
    });
    let yaml = ["pipelines/quickstart.yaml", "pipelines/chinese-clip.yaml"].map(|name| fs::read(root.join(name)));
    let mut bombs = vec![b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n".to_vec()];
    for seed in yaml {
        bombs.push(seed?);
    }
    targets.push(Target {
        name: "yaml",
        seeds: bombs,
        parse: Box::new(|bytes| match check("fuzz.yaml", &String::from_utf8_lossy(bytes), &|_| None) {
            Ok(spec) => format!("{} stages", spec.stages.len()),
            Err(problems) => problems.iter().map(|p| p.message.chars().take(12).collect::<String>()).take(3).collect(),
        }),
    });
    targets.push(Target {
        name: "image",
        seeds: pictures(&root.join("tests/golden"))?,
        parse: Box::new(|bytes| match decode(bytes) {
            Ok((picture, format)) => format!("{format} {:?}", picture.mode),
            Err(error) => error.to_string(),
        }),
    });
    Ok(targets)
}

/// What all rows of a source come to, in few words.
fn rows(spec: &SourceSpec, scratch: &Path) -> String {
    let Ok(source) = SourceFolder::open(spec.root()) else { return "no folder".to_owned() };
    let rows = match source_rows(spec, &source, scratch) {
        Ok(rows) => rows,
        Err(error) => return error.to_string().chars().rev().take(24).collect(),
    };
    let mut outcome = [0u32; 3];
    let mut last = String::new();
    for row in rows.take(ROWS) {
        match row {
            Ok(SourceRow::Image(image)) => {
                outcome[0] += 1;
                if !matches!(image.content, ImageContent::File(_))
                    && let Err(error) = image.content.into_bytes(&source).and_then(|bytes| decode(&bytes).map(drop))
                {
                    last = error.to_string();
                }
            }
            Ok(SourceRow::Text(_)) => outcome[1] += 1,
            Ok(SourceRow::Bad { reason, .. }) => {
                outcome[2] += 1;
                last = reason;
            }
            Err(error) => last = error.to_string(),
        }
    }
    format!("{outcome:?} {}", last.chars().rev().take(24).collect::<String>())
}

fn pictures(folder: &Path) -> Result<Vec<Vec<u8>>, std::io::Error> {
    let mut pictures = Vec::new();
    for name in ["jpeg", "preprocess", "augment"] {
        let mut paths: Vec<PathBuf> =
            fs::read_dir(folder.join(name))?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
        paths.sort();
        for path in paths {
            let bytes = fs::read(path)?;
            if decode(&bytes).is_ok() && bytes.len() < 100_000 {
                pictures.push(bytes);
            }
        }
    }
    Ok(pictures)
}

fn copy_folder(from: &Path, to: &Path) -> Result<(), std::io::Error> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy_folder(&path, &target)?;
        } else {
            fs::copy(&path, &target).map(drop)?;
        }
    }
    Ok(())
}
