//! Tests of sizes and shapes.

use super::*;

fn n(value: i64) -> Dim {
    Dim::constant(value)
}

fn v(name: &str) -> Dim {
    Dim::var(name)
}

fn window(h: Dim, pad: i64, k: i64, stride: i64) -> Dim {
    h.plus(&n(2 * pad)).minus(&n(k)).over(&n(stride)).unwrap().plus(&n(1))
}

#[test]
fn normal_forms_are_equal() {
    assert_eq!(window(v("H"), 1, 3, 1), v("H"));
    assert_eq!(window(v("H"), 1, 3, 2), v("H").minus(&n(1)).over(&n(2)).unwrap().plus(&n(1)));
    assert_eq!(window(v("H"), 0, 2, 2), v("H").over(&n(2)).unwrap());
    assert_eq!(v("H").over(&n(2)).unwrap().over(&n(2)).unwrap(), v("H").over(&n(4)).unwrap());
    assert_eq!(v("A").times(&v("B")).over(&v("B")).unwrap(), v("A"));
    assert_eq!(v("A").minus(&v("A")), n(0));
    assert_eq!(n(7).rest(&n(4)), Some(n(3)));
    assert_eq!(v("A").over(&n(0)), None);
}

#[test]
fn substitution_simplifies() {
    let open = v("H").plus(&v("p").times(&n(2))).minus(&v("k")).over(&v("s")).unwrap().plus(&n(1));
    assert_eq!(open.to_string(), "(H + 2*p - k)/s + 1");
    let dims = |s: i64| BTreeMap::from([("p".into(), n(1)), ("k".into(), n(3)), ("s".into(), n(s))]);
    assert_eq!(open.substitute(&dims(1)), v("H"));
    assert_eq!(open.substitute(&dims(2)).to_string(), "(H + 1)/2");
    // All at once: a binding may mention the very name it replaces.
    assert_eq!(v("H").substitute(&BTreeMap::from([("H".into(), v("H").plus(&n(1)))])).to_string(), "H + 1");
}

#[test]
fn evaluates() {
    let sizes = BTreeMap::from([("H".to_string(), 28)]);
    assert_eq!(window(v("H"), 0, 5, 1).evaluate(&sizes), Ok(24));
    assert_eq!(v("W").evaluate(&sizes), Err(SizeError::Open("W".into())));
    assert!(matches!(
        v("H").over(&v("Z")).unwrap().evaluate(&[("Z".into(), 0), ("H".into(), 1)].into()),
        Err(SizeError::Divisor(_))
    ));
}

#[test]
fn displays_as_written() {
    let d = v("C").times(&v("H").over(&n(2)).unwrap()).plus(&n(3)).minus(&v("W"));
    assert_eq!(d.to_string(), "C*(H/2) - W + 3");
    assert_eq!(n(3).minus(&v("H")).to_string(), "3 - H");
    assert_eq!(Shape { rest: Some("S".into()), dims: vec![v("C"), n(1)] }.to_string(), "[..S, C, 1]");
    assert_eq!(Shape::scalar().to_string(), "");
}

#[test]
fn what_is_too_large_stays_so() {
    let large = n(i64::MAX).plus(&n(1));
    assert!(large.is_too_large());
    for size in [large.plus(&v("N")), v("N").minus(&large), large.times(&n(0)), large.over(&v("N")).unwrap()] {
        assert!(size.is_too_large(), "{size}");
        assert_eq!(size, large);
        assert_eq!(size.as_constant(), None);
    }
    assert_eq!(large.evaluate(&BTreeMap::new()), Err(SizeError::TooLarge));
    assert!(n(i64::MIN).minus(&n(1)).is_too_large());
    assert!(Dim::count(usize::MAX).is_too_large());
    // Formulas are bounded, too: 2^40 factors, and as many terms.
    let squared = |d: Dim| (0..40).fold(d, |d, _| d.times(&d));
    assert!(squared(v("N")).is_too_large() && squared(v("N").plus(&v("M"))).is_too_large());
    let halved = (0..2000).fold(v("N"), |d, _| d.plus(&n(1)).over(&n(2)).unwrap());
    assert!(halved.is_too_large() || halved.weight() <= MAX_WEIGHT);
}

#[test]
fn binds_and_broadcasts() {
    let pattern = Shape { rest: Some("S".into()), dims: vec![v("C").times(&n(2)).plus(&n(1))] };
    let actual = Shape::of(vec![v("N"), n(4), n(7)]);
    let mut sizes = Sizes::default();
    assert!(pattern.bind(&actual, &mut sizes));
    assert_eq!(sizes.dims["C"], n(3));
    assert_eq!(pattern.substitute(&sizes), actual);
    assert!(!Shape::of(vec![v("N")]).bind(&actual, &mut sizes));
    assert_eq!(actual.broadcast(&Shape::of(vec![n(1), n(4), n(1)])), Some(actual.clone()));
    assert_eq!(actual.broadcast(&Shape::of(vec![n(7)])), None);
    assert_eq!(actual.axis(-1), Some(2));
    assert_eq!(actual.axis(3), None);
    assert_eq!(pattern.axis(0), None);
}
