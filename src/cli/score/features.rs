//! Scores features of both sides, in one direction or in both, by exact search.
use std::mem::ManuallyDrop;
use std::panic::resume_unwind;
use std::path::Path;

use rayon::prelude::*;

use super::answers::{Answers, LISTS_AT_A_TIME, Scorer};
use super::truth::Truth;
use super::{DirectionScore, Failure, ScoreArgs, given, write_score};
use crate::data::ItemKind;
use crate::evaluate::Direction;
use crate::evaluate::files::{Features, FileError, FoundList, Kept, read_features};
use crate::store::write_whole;

/// What was found in one direction, or in both.
pub fn score_features(args: &ScoreArgs) -> Result<Vec<DirectionScore>, Failure> {
    let (truths, held) = rayon::join(|| read_truths(args), || Held::read(args));
    // The process ends soon and gives all memory back at once; piece by piece takes milliseconds.
    let truths = ManuallyDrop::new(truths?);
    let scorers = truths.par_iter().map(|(direction, truth)| Scorer::new(*direction, args.k as usize, truth));
    let scorers: Vec<Scorer> = scorers.collect();
    let (scorers, held) = (ManuallyDrop::new(scorers), ManuallyDrop::new(held));
    let as_read = held.as_ref().and_then(|held| held.answers(args, &scorers));
    let answers = ManuallyDrop::new(match as_read {
        Some(answers) => answers,
        None => {
            let sides = ManuallyDrop::new(Sides::read(args)?);
            scorers.iter().map(|scorer| sides.answers(scorer)).collect::<Result<_, _>>()?
        }
    });
    let mut finished: Vec<Result<DirectionScore, Failure>> = Vec::new();
    std::thread::scope(|scope| {
        let start = |(scorer, answers)| scope.spawn(move || finish(args, scorer, answers));
        let threads: Vec<_> = scorers.iter().zip(&*answers).map(start).collect();
        let joined = threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        finished.extend(joined);
    });
    finished.into_iter().collect()
}

/// What is relevant in each direction.
fn read_truths(args: &ScoreArgs) -> Result<Vec<(Direction, Truth)>, FileError> {
    let path = given(args.truth.as_ref());
    if let Some(direction) = args.direction.one() {
        return Ok(vec![(direction, Truth::read(path, direction)?)]);
    }
    let truth = Truth::read(path, Direction::TextToImage)?;
    let turned = Truth::turned(&truth.judgements).map_err(FileError::io(path))?;
    Ok(vec![(Direction::TextToImage, truth), (Direction::ImageToText, turned)])
}

/// Writes what was asked for.
fn finish(args: &ScoreArgs, scorer: &Scorer, answers: &Answers) -> Result<DirectionScore, Failure> {
    let path = |path: &Path| args.path_of(path, scorer.direction);
    let write = || match &args.predictions_out {
        Some(to) => write_whole(&path(to), &answers.predictions),
        None => Ok(()),
    };
    // A disk takes milliseconds to make a file durable: this thread waits for it, and all others work.
    let (mut outcomes, mut refusal) = (Vec::new(), Ok(None));
    let written = rayon::in_place_scope(|scope| {
        scope.spawn(|_| refusal = write_score(scorer.reference(answers), args, scorer.direction));
        scope.spawn(|_| outcomes = scorer.judged().outcomes(answers.found.iter().cloned()));
        write()
    });
    written?;
    Ok(DirectionScore { direction: scorer.direction, outcomes, refusal: refusal? })
}

fn features_path(args: &ScoreArgs, kind: ItemKind) -> &Path {
    match kind {
        ItemKind::Image => given(args.image_features.as_ref()),
        ItemKind::Text => given(args.text_features.as_ref()),
    }
}

/// The documents of one direction, of both the smaller side: they stay in memory while the queries go by.
struct Held {
    kind: ItemKind,
    features: Features,
}

impl Held {
    /// Reads them; `None` if anything is wrong, or a side is no file: such a one can be read once only.
    fn read(args: &ScoreArgs) -> Option<Self> {
        let size = |kind| {
            let metadata = features_path(args, kind).metadata().ok()?;
            metadata.is_file().then_some(metadata.len())
        };
        let fewer_images = size(ItemKind::Image)? <= size(ItemKind::Text)?;
        let smaller = if fewer_images { ItemKind::Image } else { ItemKind::Text };
        let kind = args.direction.one().map_or(smaller, |direction| direction.kinds().1);
        Some(Self { kind, features: read_features(features_path(args, kind), kind).ok()? })
    }

    /// Answers that are made as the queries are read, then those of the other direction; `None` if anything is wrong.
    fn answers(&self, args: &ScoreArgs, scorers: &[Scorer]) -> Option<Vec<Answers>> {
        let is_first = |scorer: &Scorer| scorer.direction.kinds().1 == self.kind;
        let scorer = scorers.iter().find(|scorer| is_first(scorer))?;
        let mut first = scorer.none();
        let (kind, take) = (scorer.direction.kinds().0, |lists: &[FoundList]| scorer.answers(lists));
        let sink = |part| first.append(part);
        let path = features_path(args, kind);
        let kept = if scorers.len() > 1 { Kept::Vectors } else { Kept::Ids };
        let queries = self.features.nearest_to_file(path, kind, scorer.k, take, sink, kept)?;
        let (mut first, queries) = (Some(first), ManuallyDrop::new(queries));
        let of = |scorer: &Scorer| {
            if is_first(scorer) {
                return first.take();
            }
            Some(answers_of(scorer, &self.features.nearest(&queries, scorer.k).ok()?))
        };
        scorers.iter().map(of).collect()
    }
}

/// Both sides, read whole: whatever is wrong is found in the order of images, texts and vectors.
struct Sides {
    images: Features,
    texts: Features,
}

impl Sides {
    fn read(args: &ScoreArgs) -> Result<Self, Failure> {
        let read = |kind| read_features(features_path(args, kind), kind);
        let (images, texts) = rayon::join(|| read(ItemKind::Image), || read(ItemKind::Text));
        Ok(Self { images: images?, texts: texts? })
    }

    fn answers(&self, scorer: &Scorer) -> Result<Answers, Failure> {
        let (queries, documents) = match scorer.direction.kinds().0 {
            ItemKind::Text => (&self.texts, &self.images),
            ItemKind::Image => (&self.images, &self.texts),
        };
        if queries.dimension != documents.dimension {
            return Err(FileError::Dimensions { queries: queries.dimension, documents: documents.dimension }.into());
        }
        Ok(answers_of(scorer, &queries.nearest(documents, scorer.k)?))
    }
}

fn answers_of(scorer: &Scorer, lists: &[FoundList]) -> Answers {
    let parts: Vec<Answers> = lists.par_chunks(LISTS_AT_A_TIME).map(|lists| scorer.answers(lists)).collect();
    let mut answers = scorer.none();
    parts.into_iter().for_each(|part| answers.append(part));
    answers
}
