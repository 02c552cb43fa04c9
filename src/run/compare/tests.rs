//! Tests of the comparison.

use super::*;
use crate::graph::{text, verify};
use crate::plan::{Send, Step, lower};
use crate::span::{FileId, Sources};

const HEAD: &str = "graph t\nformat ring=64 int=16 frac=16\nowners a b\n";

/// A graph whose nodes all have places of their own.
fn graph(body: &str) -> Graph {
    let mut graph = text::parse(&format!("{HEAD}{body}")).unwrap();
    for id in graph.dag.node_indices().collect::<Vec<_>>() {
        graph.dag[id].span = Some(Span::new(FileId(0), id.index(), id.index() + 1));
    }
    graph
}

fn data(x: &[f64], y: &[f64]) -> BTreeMap<String, Vec<f64>> {
    BTreeMap::from([("x".to_string(), x.to_vec()), ("y".to_string(), y.to_vec())])
}

/// A comparison with the evaluator in the place of the parties, after something went wrong.
fn compare(
    graph: &Graph,
    data: &BTreeMap<String, Vec<f64>>,
    wrong: impl FnOnce(&mut BTreeMap<String, Vec<f64>>),
) -> Comparison {
    let watch = Watch::new(graph);
    verify::verify(watch.graph()).unwrap();
    let mut results = eval::results(watch.graph(), data, Mode::Fixed).unwrap();
    wrong(&mut results);
    let mut comparison = Comparison::new(TOLERANCE);
    comparison.add(&watch, data, &results).unwrap();
    comparison
}

fn at(comparison: &Comparison, node: u32) -> &Line {
    comparison.lines.iter().find(|line| line.span.is_some_and(|span| span.start == node)).unwrap()
}

const PRODUCT: &str = "\
%0 = input \"x\" : clear(a) [4]
%1 = input \"y\" : clear(b) [4]
%2 = share scale=16 %0 : ring(16) [4]
%3 = share scale=16 %1 : ring(16) [4]
%4 = mul %2 %3 : ring(32) [4]
%5 = trunc bits=16 %4 : ring(16) [4]
%6 = reshape %5 : ring(16) [2, 2]
%7 = relu %6 : ring(16) [2, 2]
%8 = reveal \"out\" to=a %7 : ring(16) [2, 2]
";

#[test]
fn magnitudes_and_headroom() {
    let found = compare(&graph(PRODUCT), &data(&[1.0, -8.0, 0.5, 0.0], &[3.0, 16.0, 1.0, 1.0]), |_| {});
    let places: Vec<u32> = found.lines.iter().map(|line| line.span.unwrap().start).collect();
    assert_eq!(places, [4, 7], "what is only rearranged has no line");
    let of = |node: u32| (at(&found, node).largest, at(&found, node).headroom);
    assert_eq!(of(4), (Some(128.0), Some(8.0)), "a product and its truncation");
    assert_eq!(of(7), (Some(3.0), Some((32768.0_f64 / 3.0).log2())));
    assert!(found.first().is_none() && found.lines.iter().all(|line| !line.leaves && !line.overflows()));
    assert_eq!(found.lines.iter().map(|line| line.numbers).collect::<Vec<_>>(), [8, 4]);
}

#[test]
fn what_leaves_the_format_is_named_where_it_does() {
    let found = compare(&graph(PRODUCT), &data(&[300.0; 4], &[-200.0; 4]), |_| {});
    let leaves: Vec<u32> = found.lines.iter().filter(|l| l.leaves).map(|l| l.span.unwrap().start).collect();
    let overflows: Vec<u32> = found.lines.iter().filter(|l| l.overflows()).map(|l| l.span.unwrap().start).collect();
    assert_eq!((leaves, overflows), (vec![4], vec![4]));
}

#[test]
fn what_is_not_chosen_does_not_count() {
    let body = "\
%0 = input \"x\" : clear(a) [2]
%1 = share scale=16 %0 : ring(16) [2]
%2 = mul %1 %1 : ring(32) [2]
%3 = trunc bits=16 %2 : ring(16) [2]
%4 = is_negative %1 : bit [2]
%5 = select %4 %3 %1 : ring(16) [2]
%6 = reveal \"out\" to=a %5 : ring(16) [2]
";
    let found = |x: &[f64]| {
        compare(&graph(body), &data(x, &[]), |results| {
            for value in results.get_mut("@3").unwrap().iter_mut().filter(|v| **v > 32768.0) {
                *value = 1.0;
            }
        })
    };
    let right = found(&[-3.0, 200.0]);
    assert!(right.first().is_none() && right.lines.iter().all(|line| !line.leaves));
    assert_eq!((at(&right, 2).largest, at(&right, 2).numbers, at(&right, 5).numbers), (Some(9.0), 2, 2));
    let wrong = found(&[-200.0, 3.0]);
    let span = Some(Span::new(FileId(0), 2, 3));
    let cause = Some(Cause { span, largest: 40000.0 });
    assert_eq!(wrong.first(), Some(&Parting { span, run: 1.0, plain: 40000.0, allowed: 400.0, cause, outside: None }));
    assert_eq!(found(&[3.0, 2.0]).lines.len(), 2, "nothing of the product is used");
}

#[test]
fn what_comes_of_an_overflow_leaves_nothing_anew() {
    let body = "\
%0 = input \"x\" : clear(a) [1]
%1 = share scale=16 %0 : ring(16) [1]
%2 = mul %1 %1 : ring(32) [1]
%3 = trunc bits=16 %2 : ring(16) [1]
%4 = mul %3 %1 : ring(32) [1]
%5 = trunc bits=16 %4 : ring(16) [1]
%6 = sub %5 %5 : ring(16) [1]
%7 = add %6 %3 : ring(16) [1]
%8 = reveal \"out\" to=a %7 : ring(16) [1]
";
    let found = compare(&graph(body), &data(&[200.0], &[]), |_| {});
    let leaves: Vec<u32> = found.lines.iter().filter(|l| l.leaves).map(|l| l.span.unwrap().start).collect();
    assert_eq!(leaves, [2]);
    assert_eq!(found.lines.iter().filter(|l| l.overflows()).count(), 3);
}

#[test]
fn a_wrong_value_is_found_where_it_is() {
    let (graph, data) = (graph(PRODUCT), data(&[1.0, 2.0, 3.0, 4.0], &[1.0; 4]));
    let found = compare(&graph, &data, |results| {
        results.get_mut("@5").unwrap()[2] = 2.0;
        results.get_mut("@7").unwrap()[2] = 2.5;
    });
    let span = Some(Span::new(FileId(0), 4, 5));
    assert_eq!(found.first(), Some(&Parting { span, run: 2.0, plain: 3.0, allowed: 0.04, cause: None, outside: None }));
    assert_eq!(found.lines.iter().map(|l| l.parts).collect::<Vec<_>>(), [true, true]);
    assert_eq!((at(&found, 4).max_error, at(&found, 4).mean_error()), (1.0, 0.125));
    // Within a hundredth of the largest.
    let found = compare(&graph, &data, |results| results.get_mut("@5").unwrap()[2] = 3.039);
    assert!(found.first().is_none());
    let missing = Comparison::new(TOLERANCE).add(&Watch::new(&graph), &data, &BTreeMap::new());
    assert!(matches!(missing, Err(CompareError::NotOpened(name)) if name == "@4"));
}

#[test]
fn the_earliest_of_several_runs_counts() {
    let (graph, data) = (graph(PRODUCT), data(&[1.0; 4], &[1.0; 4]));
    let watch = Watch::new(&graph);
    let right = eval::results(watch.graph(), &data, Mode::Fixed).unwrap();
    let mut comparison = Comparison::new(TOLERANCE);
    for name in ["@7", "@5", "@7"] {
        let mut results = right.clone();
        results.get_mut(name).unwrap()[0] = 9.0;
        comparison.add(&watch, &data, &results).unwrap();
    }
    assert_eq!(comparison.first().unwrap().span.unwrap().start, 4);
    assert_eq!(at(&comparison, 4).numbers, 24);
}

const COMPARISONS: &str = "\
%0 = input \"x\" : clear(a) [1, 4]
%1 = input \"y\" : clear(b) [1, 4]
%2 = share scale=16 %0 : ring(16) [1, 4]
%3 = share scale=16 %1 : ring(16) [1, 4]
%4 = sub %2 %3 : ring(16) [1, 4]
%5 = is_negative %4 : bit [1, 4]
%6 = xor %5 %5 : bit [1, 4]
%7 = neg %3 : ring(16) [1, 4]
%8 = argmax axis=1 %7 : ring(0) [1]
%9 = reveal \"out.0\" to=a %6 : bit [1, 4]
%10 = reveal \"out.1\" to=a %8 : ring(0) [1]
";

#[test]
fn what_follows_from_roundings_does_not_part() {
    let graph = graph(COMPARISONS);
    let data = data(&[1.0, 1.0001, 5.0, -30000.0], &[1.0, 3.0, 3.0, 30000.0]);
    let flip = |name: &'static str, at: usize, value: f64| {
        compare(&graph, &data, move |results| results.get_mut(name).unwrap()[at] = value)
    };
    let right = compare(&graph, &data, |_| {});
    assert!(right.lines.iter().all(|line| !line.leaves && !line.parts), "a difference has a bit more");
    assert_eq!((at(&right, 5).kind, at(&right, 5).whole, at(&right, 5).largest), (Kind::Whole, 4, None));
    // The run has 1.0 - 1.0 a little below 0.
    let tie = compare(&graph, &data, |results| {
        results.get_mut("@4").unwrap()[0] = -0.0001;
        results.get_mut("@5").unwrap()[0] = 1.0;
        results.get_mut("@6").unwrap()[0] = 0.0;
    });
    assert_eq!((tie.first(), at(&tie, 5).differ), (None, 1));
    assert!(flip("@5", 0, 1.0).first().is_none(), "it may be less than a unit below");
    let wrong = flip("@5", 3, 0.0);
    assert_eq!(wrong.first().map(|p| (p.span.unwrap().start, p.run, p.plain)), Some((5, 0.0, 1.0)));
    assert!(flip("@6", 0, 1.0).first().is_some());
    let argmax = |x: f64, place: f64| {
        let found = compare(&graph, &data, |results| {
            results.get_mut("@7").unwrap()[1] = x;
            results.get_mut("@8").unwrap()[0] = place;
        });
        found.first().map(|parting| parting.run)
    };
    assert_eq!((argmax(-1.0001, 1.0), argmax(-0.9999, 1.0), argmax(-3.0, 17.0)), (Some(1.0), None, Some(17.0)));
}

/// To be watched changes nothing: every step and every message of the plan is in the plan that opens all values, in
/// the same round, with the same streams.
#[test]
fn what_is_watched_does_what_it_does_unwatched() {
    let long = "\
%0 = input \"x\" : clear(a) [2, 80]
%1 = input \"y\" : clear(b) [80, 3]
%2 = share scale=16 %0 : ring(16) [2, 80]
%3 = share scale=16 %1 : ring(16) [80, 3]
%4 = matmul %2 %3 : ring(32) [2, 3]
%5 = trunc bits=16 %4 : ring(16) [2, 3]
%6 = reveal \"out\" to=a %5 : ring(16) [2, 3]
";
    for body in [PRODUCT, COMPARISONS, long] {
        let graph = graph(body);
        let lower =
            |graph: &Graph| lower::lower(graph, &sources(), lower::Options { fused: false, ..Default::default() });
        let (alone, watched) = (lower(&graph), lower(Watch::new(&graph).graph()));
        assert!(watched.outputs.len() > alone.outputs.len() && watched.rounds.len() >= alone.rounds.len());
        for (alone, watched) in alone.rounds.iter().zip(&watched.rounds) {
            let step = |step: &Step| Step { free: Vec::new(), ..step.clone() };
            let send = |send: &Send| Send { free: Vec::new(), ..send.clone() };
            let (steps, sends): (Vec<Step>, Vec<Send>) =
                (watched.steps.iter().map(step).collect(), watched.sends.iter().map(send).collect());
            assert!(alone.steps.iter().all(|one| steps.contains(&step(one))));
            assert!(alone.sends.iter().all(|one| sends.contains(&send(one))));
        }
    }
}

fn sources() -> Sources {
    let mut sources = Sources::default();
    sources.add("t.sml", " ".repeat(64));
    sources
}
