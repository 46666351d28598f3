use tuwen::augment::item_rng;
use tuwen::data::{best_rank, top_k};
use tuwen::evaluate::{Metric, Outcome, chance, measure};

#[test]
fn ranks_equal_those_of_a_full_sort() {
    let mut rng = item_rng(1, 0, "ranks");
    for _ in 0..300 {
        let count = 1 + rng.below(40) as usize;
        // Few distinct values, so that ties are common.
        let scores: Vec<f32> = (0..count).map(|_| rng.below(6) as f32).collect();
        let relevant: Vec<usize> = (0..count).filter(|_| rng.below(4) == 0).collect();
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
        let expected = order.iter().position(|document| relevant.contains(document)).map(|at| at + 1);
        assert_eq!(best_rank(&scores, &relevant), expected);
        let k = 1 + rng.below(45) as usize;
        assert_eq!(top_k(&scores, k), order[..k.min(count)]);
    }
}

#[test]
fn chance_level_is_what_random_orders_give() {
    let mut rng = item_rng(2, 0, "chance");
    let relevant = [1usize, 3, 2, 1, 5];
    let ideals = relevant.map(|count| vec![1; count]);
    let documents = 20;
    let mut outcomes = Vec::new();
    for _ in 0..4000 {
        for count in relevant {
            let mut order: Vec<usize> = (0..documents).collect();
            rng.shuffle(&mut order);
            let judged =
                order.iter().zip(1..).filter(|(document, _)| **document < count).map(|(_, rank)| (Some(rank), 1));
            outcomes.push(Outcome::new("q", 0, judged));
        }
    }
    for metric in ["hit@1", "hit@5", "hit@10", "mean_recall", "recall@5", "precision@5", "mrr", "ndcg@10", "map"] {
        let metric: Metric = metric.parse().unwrap();
        let expected = chance(metric, ideals.iter().map(Vec::as_slice), documents).unwrap();
        let drawn = measure(metric, &outcomes).unwrap();
        assert!((expected - drawn).abs() < 0.01, "{metric}: {expected} against {drawn}");
    }
}
