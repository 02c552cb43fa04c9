//! Drawing a directed acyclic graph in layers: each box below all that it uses, few crossings, straight edges.
//!
//! The scheme of Sugiyama, Tagawa and Toda (1981): layers by longest path, boxes of their own for the places where an
//! edge passes a layer, the order in a layer by barycentres, and coordinates by least squares.

/// A graph to be drawn. Edges lead from what is used to who uses it, and make no cycle.
#[derive(Debug)]
pub(super) struct Graph {
    /// Width and height of each box.
    pub sizes: Vec<[f64; 2]>,
    pub edges: Vec<(usize, usize)>,
}

/// A drawing.
#[derive(Debug)]
pub(super) struct Drawing {
    pub size: [f64; 2],
    /// Left upper corner of each box.
    pub corners: Vec<[f64; 2]>,
    /// For each edge, points from the lower side of the one box to the upper side of the other: between the points
    /// 2i and 2i + 1 it goes down through a gap, between 2i + 1 and 2i + 2 straight past a layer's boxes.
    pub routes: Vec<Vec<[f64; 2]>>,
}

/// Space between boxes of a layer.
const BESIDE: f64 = 24.0;
/// Space between layers.
const BELOW: f64 = 44.0;
/// Width of the place where an edge passes a layer.
const PASS: f64 = 6.0;
/// Rounds of ordering and of moving.
const SWEEPS: usize = 12;

/// A box, or the place where an edge passes a layer.
#[derive(Debug)]
struct Cell {
    layer: usize,
    width: f64,
    /// Cells of the layer above and of the layer below that it is connected with.
    above: Vec<usize>,
    below: Vec<usize>,
    /// Centre.
    x: f64,
}

/// Places boxes and routes edges.
pub(super) fn draw(graph: &Graph) -> Drawing {
    let depth = depths(graph);
    let mut cells: Vec<Cell> = graph
        .sizes
        .iter()
        .zip(&depth)
        .map(|(size, layer)| Cell { layer: *layer, width: size[0], above: vec![], below: vec![], x: 0.0 })
        .collect();
    let mut chains = Vec::new();
    for (from, to) in &graph.edges {
        let mut chain = vec![*from];
        for layer in depth[*from] + 1..depth[*to] {
            chain.push(cells.len());
            cells.push(Cell { layer, width: PASS, above: vec![], below: vec![], x: 0.0 });
        }
        chain.push(*to);
        for pair in chain.windows(2) {
            cells[pair[0]].below.push(pair[1]);
            cells[pair[1]].above.push(pair[0]);
        }
        chains.push(chain);
    }
    let mut layers = vec![Vec::new(); depth.iter().max().map_or(0, |d| d + 1)];
    for (number, cell) in cells.iter().enumerate() {
        layers[cell.layer].push(number);
    }
    order(&mut layers, &cells);
    place(&layers, &mut cells);

    let left = cells.iter().map(|cell| cell.x - cell.width / 2.0).fold(f64::INFINITY, f64::min);
    cells.iter_mut().for_each(|cell| cell.x -= left);
    let heights: Vec<f64> = layers
        .iter()
        .map(|layer| layer.iter().filter_map(|c| graph.sizes.get(*c)).map(|size| size[1]).fold(0.0, f64::max))
        .collect();
    let mut tops = vec![0.0];
    for height in &heights {
        tops.push(tops[tops.len() - 1] + height + BELOW);
    }
    let corner = |number: usize| {
        let Cell { layer, width, x, .. } = &cells[number];
        [x - width / 2.0, tops[*layer]]
    };
    let route = |chain: &Vec<usize>| {
        let mut points = Vec::with_capacity(2 * chain.len());
        for (at, number) in chain.iter().enumerate() {
            let Cell { layer, x, .. } = &cells[*number];
            if at > 0 {
                points.push([*x, tops[*layer]]);
            }
            if at + 1 < chain.len() {
                let height = graph.sizes.get(*number).map_or(heights[*layer], |size| size[1]);
                points.push([*x, tops[*layer] + height]);
            }
        }
        points
    };
    let width = cells.iter().map(|cell| cell.x + cell.width / 2.0).fold(0.0, f64::max);
    Drawing {
        size: [width, (tops[tops.len() - 1] - BELOW).max(0.0)],
        corners: (0..graph.sizes.len()).map(corner).collect(),
        routes: chains.iter().map(route).collect(),
    }
}

/// The layer of each box: as far down as the longest way to it; boxes that use nothing stand just above who uses them.
fn depths(graph: &Graph) -> Vec<usize> {
    let count = graph.sizes.len();
    let mut depth = vec![0; count];
    let mut missing = vec![0; count];
    graph.edges.iter().for_each(|(_, to)| missing[*to] += 1);
    let is_source: Vec<bool> = missing.iter().map(|n| *n == 0).collect();
    let mut users = vec![Vec::new(); count];
    graph.edges.iter().for_each(|(from, to)| users[*from].push(*to));
    let mut ready: Vec<usize> = (0..count).filter(|n| is_source[*n]).collect();
    while let Some(node) = ready.pop() {
        for user in &users[node] {
            depth[*user] = depth[*user].max(depth[node] + 1);
            missing[*user] -= 1;
            if missing[*user] == 0 {
                ready.push(*user);
            }
        }
    }
    for node in (0..count).filter(|n| is_source[*n]) {
        if let Some(first) = users[node].iter().map(|user| depth[*user]).min() {
            depth[node] = first - 1;
        }
    }
    depth
}

/// Orders the cells of each layer so that few edges cross.
fn order(layers: &mut Vec<Vec<usize>>, cells: &[Cell]) {
    let mut position = vec![0.0; cells.len()];
    let number = |layer: &[usize], position: &mut [f64]| {
        layer.iter().enumerate().for_each(|(at, cell)| position[*cell] = at as f64);
    };
    layers.iter().for_each(|layer| number(layer, &mut position));
    let mut best = (crossings(layers, cells, &position), layers.clone());
    for sweep in 0..SWEEPS {
        let down = sweep % 2 == 0;
        let mut sequence: Vec<usize> = (0..layers.len()).collect();
        if !down {
            sequence.reverse();
        }
        for index in sequence {
            let layer = &mut layers[index];
            let barycentre = |cell: &usize| {
                let near = if down { &cells[*cell].above } else { &cells[*cell].below };
                if near.is_empty() { position[*cell] } else { mean(near.iter().map(|other| position[*other])) }
            };
            let mut keyed: Vec<(f64, usize)> = layer.iter().map(|cell| (barycentre(cell), *cell)).collect();
            // Stable, so that ties keep their order.
            keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
            *layer = keyed.into_iter().map(|(_, cell)| cell).collect();
            number(layer, &mut position);
        }
        let count = crossings(layers, cells, &position);
        if count < best.0 {
            best = (count, layers.clone());
        }
    }
    *layers = best.1;
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0usize), |(sum, count), value| (sum + value, count + 1));
    sum / count.max(1) as f64
}

/// How often edges cross, by counting inversions between each two layers.
fn crossings(layers: &[Vec<usize>], cells: &[Cell], position: &[f64]) -> usize {
    let mut count = 0;
    for layer in layers {
        let mut ends: Vec<usize> = Vec::new();
        for cell in layer {
            let mut below: Vec<usize> = cells[*cell].below.iter().map(|other| position[*other] as usize).collect();
            below.sort_unstable();
            for end in below {
                let at = ends.partition_point(|other| *other <= end);
                count += ends.len() - at;
                ends.insert(at, end);
            }
        }
    }
    count
}

/// Gives each cell the coordinate closest to the middle of its neighbours that keeps the order and the distances.
fn place(layers: &[Vec<usize>], cells: &mut [Cell]) {
    for layer in layers {
        let mut x = 0.0;
        for cell in layer {
            cells[*cell].x = x + cells[*cell].width / 2.0;
            x += cells[*cell].width + BESIDE;
        }
    }
    for sweep in 0..2 * SWEEPS {
        let down = sweep % 2 == 0;
        let mut sequence: Vec<usize> = (0..layers.len()).collect();
        if !down {
            sequence.reverse();
        }
        for index in sequence {
            let layer = &layers[index];
            // What each cell wants, less the room that those to its left need at least; and how much it matters.
            let mut room = 0.0;
            let mut wishes = Vec::with_capacity(layer.len());
            for (at, number) in layer.iter().enumerate() {
                let cell = &cells[*number];
                if at > 0 {
                    room += (cells[layer[at - 1]].width + cell.width) / 2.0 + BESIDE;
                }
                let near = match (down, cell.above.is_empty(), cell.below.is_empty()) {
                    (true, false, _) | (false, false, true) => &cell.above,
                    (false, _, false) | (true, true, false) => &cell.below,
                    (_, true, true) => &cell.above,
                };
                let wish = if near.is_empty() { cell.x } else { mean(near.iter().map(|other| cells[*other].x)) };
                // Long edges should be straight.
                let weight = if cell.width == PASS { 4.0 } else { 1.0 };
                wishes.push((wish - room, weight, room));
            }
            for (number, x) in layer.iter().zip(ascending(&wishes)) {
                cells[*number].x = x;
            }
        }
    }
}

/// The ascending numbers closest to the wishes, by least squares with weights, each plus its room: adjacent wishes that are
/// in the wrong order are pooled.
fn ascending(wishes: &[(f64, f64, f64)]) -> Vec<f64> {
    let mut pools: Vec<(f64, f64, usize)> = Vec::new();
    for (wish, weight, _) in wishes {
        let mut pool = (*wish, *weight, 1);
        while let Some(last) = pools.pop_if(|last| last.0 > pool.0) {
            let weight = last.1 + pool.1;
            pool = ((last.0 * last.1 + pool.0 * pool.1) / weight, weight, last.2 + pool.2);
        }
        pools.push(pool);
    }
    let values = pools.iter().flat_map(|(value, _, count)| std::iter::repeat_n(*value, *count));
    values.zip(wishes).map(|(value, (_, _, room))| value + room).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn overlap(a: [f64; 4], b: [f64; 4]) -> bool {
        let apart = |a: f64, b: f64, c: f64, d: f64| b <= c + 1e-6 || d <= a + 1e-6;
        !apart(a[0], a[2], b[0], b[2]) && !apart(a[1], a[3], b[1], b[3])
    }

    fn rectangle(graph: &Graph, drawing: &Drawing, at: usize) -> [f64; 4] {
        let ([x, y], [w, h]) = (drawing.corners[at], graph.sizes[at]);
        [x, y, x + w, y + h]
    }

    proptest! {
        #[test]
        fn boxes_do_not_overlap_and_edges_pass_none(
            sizes in prop::collection::vec((20.0f64..200.0, 20.0f64..60.0), 1..24),
            pairs in prop::collection::vec((0usize..24, 0usize..24), 0..50),
        ) {
            let count = sizes.len();
            let edges: std::collections::BTreeSet<_> = pairs
                .into_iter()
                .filter(|(a, b)| a.max(b) < &count && a != b)
                .map(|(a, b)| (a.min(b), a.max(b)))
                .collect();
            let graph = Graph {
                sizes: sizes.into_iter().map(|(w, h)| [w, h]).collect(),
                edges: edges.into_iter().collect(),
            };
            let drawing = draw(&graph);
            for a in 0..count {
                let [left, top, right, bottom] = rectangle(&graph, &drawing, a);
                prop_assert!(left >= -1e-6 && top >= 0.0);
                prop_assert!(right <= drawing.size[0] + 1e-6 && bottom <= drawing.size[1] + 1e-6);
                for b in 0..a {
                    prop_assert!(!overlap([left, top, right, bottom], rectangle(&graph, &drawing, b)));
                }
            }
            for ((from, to), route) in graph.edges.iter().zip(&drawing.routes) {
                let [start, end] = [route[0], route[route.len() - 1]];
                prop_assert!((start[1] - rectangle(&graph, &drawing, *from)[3]).abs() < 1e-6);
                prop_assert!((end[1] - rectangle(&graph, &drawing, *to)[1]).abs() < 1e-6);
                prop_assert!(route.windows(2).all(|pair| pair[0][1] <= pair[1][1] + 1e-6), "edges go down");
                for past in route[1..route.len() - 1].chunks_exact(2) {
                    let line = [past[0][0], past[0][1], past[1][0], past[1][1]];
                    for other in 0..count {
                        prop_assert!(!overlap(line, rectangle(&graph, &drawing, other)), "passes a box");
                    }
                }
            }
        }
    }

    #[test]
    fn a_chain_is_straight_and_a_shortcut_goes_around() {
        let graph = Graph { sizes: vec![[100.0, 20.0]; 4], edges: vec![(0, 1), (1, 2), (2, 3), (0, 3)] };
        let drawing = draw(&graph);
        assert_eq!(drawing.corners.iter().map(|c| c[1]).collect::<Vec<_>>(), [0.0, 64.0, 128.0, 192.0]);
        assert_eq!(drawing.routes[3].len(), 6);
        assert!((drawing.corners[1][0] - drawing.corners[2][0]).abs() < 1.0, "{drawing:?}");
    }

    #[test]
    fn wishes_are_pooled() {
        let ascending = |wishes: &[f64]| super::ascending(&wishes.iter().map(|w| (*w, 1.0, 0.0)).collect::<Vec<_>>());
        assert_eq!(ascending(&[1.0, 2.0, 3.0]), [1.0, 2.0, 3.0]);
        assert_eq!(ascending(&[3.0, 1.0, 2.0]), [2.0, 2.0, 2.0]);
        assert_eq!(ascending(&[5.0, 1.0, 9.0]), [3.0, 3.0, 9.0]);
    }
}
