use tuwen::augment::item_rng;
use tuwen::data::{best_rank, top_k};
use tuwen::evaluate::{Metric, chance, score};

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
    let documents = 20;
    let mut ranks = Vec::new();
    for _ in 0..4000 {
        for count in relevant {
            let mut order: Vec<usize> = (0..documents).collect();
            rng.shuffle(&mut order);
            ranks.push(order.iter().position(|document| *document < count).unwrap() + 1);
        }
    }
    for metric in [Metric::Hit(1), Metric::Hit(5), Metric::Hit(10), Metric::MeanRecall] {
        let (expected, drawn) = (chance(metric, &relevant, documents), score(metric, &ranks));
        assert!((expected - drawn).abs() < 0.01, "{metric}: {expected} against {drawn}");
    }
}
