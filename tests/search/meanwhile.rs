//! What is told while a search goes on.

use crate::made::{Made, Plan, output};
use sealcast::search::{Fields, Meanwhile, Options, Query, Style, search_until};
use sealcast::store::Found;
use std::ops::ControlFlow;
use std::sync::Mutex;

#[test]
fn how_far_it_is_is_told_by_the_segment_and_comes_to_all_that_there_is() {
    let made = Made::new();
    let lines: Vec<_> = (0..8).map(|n| output(n * 1000, "a needle\r\n")).collect();
    let long = made.add(Plan { segment: 1, ..Plan::new((80, 24), &lines) });
    let short = made.add(Plan::new((80, 24), &[output(0, "nothing")]));
    let other = Made::new();
    let foreign = other.add(Plan::new((80, 24), &[output(0, "a needle")]));
    let length = |found: &Found| std::fs::metadata(&found.path).map_or(0, |facts| facts.len());
    let query = Query::text("needle", Style::default(), Fields::EVERYWHERE).unwrap();
    let told = |recordings: &[Found], workers: usize| {
        let told = Mutex::new(Vec::new());
        let done = |more| told.lock().unwrap().push(more);
        let meanwhile = Meanwhile { done: &done, ..Meanwhile::default() };
        let options = Options { workers, ..Options::default() };
        search_until(recordings, &made.opener, &query, &options, meanwhile, &mut |_, _| {
            ControlFlow::Continue(())
        });
        told.into_inner().unwrap()
    };
    let one = told(std::slice::from_ref(&long), 1);
    assert!(one.len() > 8 && one[0] == 0, "{one:?}");
    assert!(one.iter().all(|more| *more <= length(&long) / 7), "{one:?}");
    assert_eq!(one.iter().sum::<u64>(), length(&long));
    for workers in [1, 3] {
        let all = [long.clone(), short.clone(), foreign.clone()];
        let told = told(&all, workers);
        assert_eq!(told.iter().sum::<u64>(), all.iter().map(length).sum::<u64>(), "{told:?}");
    }
}
