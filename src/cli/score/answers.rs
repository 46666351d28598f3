//! What ranked lists give to those who score them: texts for the reference, ranks for us.
use crate::evaluate::Direction;
use crate::evaluate::files::{
    FoundList, FoundRanks, JudgedQueries, PlainRank, PlainTruth, ReferenceScore, reference_score, score_json,
    write_predictions,
};

use super::truth::Truth;

/// Length of the lists that the reference scores.
const REFERENCE_K: usize = 10;
/// Lists that a core makes answers of at a time.
pub const LISTS_AT_A_TIME: usize = 128;

/// One direction, ready for lists.
pub struct Scorer<'t> {
    pub direction: Direction,
    pub k: usize,
    truth: &'t Truth,
    judged: JudgedQueries<'t>,
    /// The truth as the reference reads it, if it is plain.
    plain: Option<PlainTruth>,
}

/// What is made of ranked lists.
#[derive(Default)]
pub struct Answers {
    /// Lines of a prediction file.
    pub predictions: Vec<u8>,
    /// The same of ten documents each, if the former have more or fewer.
    tens: Option<Vec<u8>>,
    /// For the reference's score, if all is plain.
    ranks: Option<Vec<PlainRank>>,
    pub found: Vec<FoundRanks>,
}

impl<'t> Scorer<'t> {
    pub fn new(direction: Direction, k: usize, truth: &'t Truth) -> Self {
        let plain = PlainTruth::read(&truth.bytes, direction);
        Self { direction, k, truth, judged: JudgedQueries::new(&truth.judgements), plain }
    }

    pub fn judged(&self) -> &JudgedQueries<'t> {
        &self.judged
    }

    /// No lists yet.
    pub fn none(&self) -> Answers {
        Answers { ranks: self.plain.as_ref().map(|_| Vec::new()), ..Answers::default() }
    }

    pub fn answers(&self, lists: &[FoundList]) -> Answers {
        let predictions = lines(lists, self.direction, self.k);
        let tens = (self.k != REFERENCE_K).then(|| lines(lists, self.direction, REFERENCE_K));
        let scored = tens.as_ref().unwrap_or(&predictions);
        let ranks = self.plain.as_ref().and_then(|plain| plain.ranks(scored, self.direction));
        Answers { ranks, found: lists.iter().filter_map(|list| self.judged.found(list)).collect(), tens, predictions }
    }

    /// The score of the reference.
    pub fn reference(&self, answers: &Answers) -> ReferenceScore {
        let plain = self.plain.as_ref().zip(answers.ranks.as_ref());
        match plain.and_then(|(plain, ranks)| plain.recalls(ranks.iter().copied())) {
            Some(recalls) => score_json(Ok(recalls)),
            None => reference_score(&self.truth.bytes, answers.for_reference(), self.direction),
        }
    }
}

impl Answers {
    /// Adds those of the lists that come next.
    pub fn append(&mut self, part: Self) {
        self.predictions.extend_from_slice(&part.predictions);
        if let Some(tens) = part.tens {
            self.tens.get_or_insert_default().extend_from_slice(&tens);
        }
        match (&mut self.ranks, part.ranks) {
            (Some(ranks), Some(more)) => ranks.extend(more),
            (ranks, _) => *ranks = None,
        }
        self.found.extend(part.found);
    }

    fn for_reference(&self) -> &[u8] {
        self.tens.as_ref().unwrap_or(&self.predictions)
    }
}

fn lines(lists: &[FoundList], direction: Direction, k: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(lists.len() * (32 + 10 * k.min(64)));
    // Writing into memory does not fail.
    let _ = write_predictions(&mut bytes, direction, lists, k);
    bytes
}
