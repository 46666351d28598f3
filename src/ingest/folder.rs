//! Image files in a folder with one file of captions, CSV or JSONL: `image`, `text`, optionally `split` and `family`.
use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use super::source::{ImageContent, ImageRow, Place, SourceRow, SourceRows, TextRow};
use super::spec::SplitSpec;
use super::{IngestError, SplitRule};
use crate::data::Split;

/// A caption with its place.
struct Caption {
    line: u64,
    fields: Result<CaptionFields, String>,
}

#[derive(Deserialize)]
struct CaptionFields {
    image: String,
    text: String,
    #[serde(default)]
    split: Option<String>,
    #[serde(default)]
    family: Option<String>,
}

type Captions = Box<dyn Iterator<Item = Result<Caption, IngestError>> + Send>;

/// Rows of the folder. The captions are read twice: once for the images, once for the texts. An image that several
/// captions name comes once per caption; the writer keeps the first.
pub fn rows(root: &Path, captions: &Path, split: Option<&SplitSpec>, seed: u64) -> Result<SourceRows, IngestError> {
    let path = root.join(captions);
    let rule = SplitRule::new(split, seed);
    let source = captions.to_string_lossy().into_owned();
    let images = {
        let (source, root, rule) = (source.clone(), root.to_owned(), rule.clone());
        open(&path)?.map(move |caption| Ok(image_row(&root, &source, &rule, caption?)))
    };
    let texts = open(&path)?.filter_map(move |caption| match caption {
        Ok(caption) => text_row(&source, &rule, caption).map(Ok),
        Err(error) => Some(Err(error)),
    });
    Ok(Box::new(images.chain(texts)))
}

/// Image files below `root` that the captions could mean, sorted.
pub fn image_files(root: &Path) -> Result<Vec<PathBuf>, IngestError> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(IngestError::io(&folder))? {
            let path = entry.map_err(IngestError::io(&folder))?.path();
            let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("").to_ascii_lowercase();
            if path.is_dir() {
                folders.push(path);
            } else if matches!(extension.as_str(), "jpg" | "jpeg" | "png" | "webp" | "gif" | "bmp") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The image files below `root` by themselves. An id is the path below `root` without its ending, or with it where two
/// files would share one.
pub fn image_rows(root: &Path) -> Result<SourceRows, IngestError> {
    let files = image_files(root)?;
    let below = |path: &Path| path.strip_prefix(root).unwrap_or(path).to_owned();
    let short: HashSet<PathBuf> = files.iter().map(|path| below(path).with_extension("")).collect();
    let unique = short.len() == files.len();
    let source = root.to_string_lossy().into_owned();
    let root = root.to_owned();
    Ok(Box::new(files.into_iter().map(move |path| {
        let name = path.strip_prefix(&root).unwrap_or(&path);
        let id = if unique { name.with_extension("") } else { name.to_owned() };
        // A file of its own has no line.
        let place = Place { source: format!("{source}/{}", name.display()), line: 0 };
        let id = id.to_string_lossy().into_owned();
        Ok(SourceRow::Image(ImageRow { place, id, split: Split::Test, content: ImageContent::File(path) }))
    })))
}

fn image_row(root: &Path, source: &str, rule: &SplitRule, caption: Caption) -> SourceRow {
    let place = Place { source: source.to_owned(), line: caption.line };
    let bad = |id: String, reason: String| SourceRow::Bad { place: place.clone(), table: "images", id, reason };
    let fields = match caption.fields {
        Ok(fields) => fields,
        Err(reason) => return bad(String::new(), reason),
    };
    let image = Path::new(&fields.image);
    if !image.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        return bad(fields.image, "image path must stay below the folder of the source".to_owned());
    }
    match rule.split(&fields.image, fields.split.as_deref(), fields.family.as_deref()) {
        Ok(split) => {
            let content = ImageContent::File(root.join(image));
            SourceRow::Image(ImageRow { place, id: fields.image, split, content })
        }
        Err(reason) => bad(fields.image, reason),
    }
}

/// A caption that is bad as a whole, or names no split there is, was reported with the images already.
fn text_row(source: &str, rule: &SplitRule, caption: Caption) -> Option<SourceRow> {
    let fields = caption.fields.ok()?;
    let split = rule.split(&fields.image, fields.split.as_deref(), fields.family.as_deref()).ok()?;
    Some(SourceRow::Text(TextRow {
        place: Place { source: source.to_owned(), line: caption.line },
        id: caption.line.to_string(),
        split,
        text: fields.text,
        image_ids: vec![fields.image],
    }))
}

fn open(path: &Path) -> Result<Captions, IngestError> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("csv") => open_csv(path),
        Some("jsonl") => open_jsonl(path),
        _ => Err(IngestError::CaptionFormat { path: path.to_owned() }),
    }
}

fn open_csv(path: &Path) -> Result<Captions, IngestError> {
    let csv_error = |source| IngestError::Csv { path: path.to_owned(), source };
    let file = File::open(path).map_err(IngestError::io(path))?;
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(skip_mark(file, path)?);
    let headers = reader.headers().map_err(csv_error)?.clone();
    for column in ["image", "text"] {
        if !headers.iter().any(|header| header == column) {
            return Err(IngestError::Column { path: path.to_owned(), column });
        }
    }
    let rows = reader.into_records().zip(2..).map(move |(record, row)| {
        let line = record.as_ref().ok().and_then(csv::StringRecord::position).map_or(row, csv::Position::line);
        let fields = record
            .and_then(|record| record.deserialize::<CaptionFields>(Some(&headers)))
            .map_err(|error| format!("not a valid CSV row: {error}"));
        Ok(Caption { line, fields })
    });
    Ok(Box::new(rows))
}

fn open_jsonl(path: &Path) -> Result<Captions, IngestError> {
    let file = File::open(path).map_err(IngestError::io(path))?;
    let path = path.to_owned();
    let lines = skip_mark(file, &path)?.split(b'\n').zip(1..).filter_map(move |(line, number)| match line {
        Ok(bytes) if bytes.trim_ascii().is_empty() => None,
        Ok(bytes) => {
            let fields = serde_json::from_slice(&bytes).map_err(|error| format!("not a valid JSON row: {error}"));
            Some(Ok(Caption { line: number, fields }))
        }
        Err(error) => Some(Err(IngestError::io(&path)(error))),
    });
    Ok(Box::new(lines))
}

/// Passes over a byte order mark.
fn skip_mark(file: File, path: &Path) -> Result<BufReader<File>, IngestError> {
    let mut reader = BufReader::new(file);
    if reader.fill_buf().map_err(IngestError::io(path))?.starts_with(b"\xef\xbb\xbf") {
        reader.consume(3);
    }
    Ok(reader)
}
