//! An array of numbers as it stands in a file.

use std::ops::Range;

/// Elements in the narrowest type that keeps every value of the file exactly.
#[derive(Clone, PartialEq)]
pub enum Elements {
    /// Bytes and truth values.
    U8(Vec<u8>),
    /// All other integers.
    I64(Vec<i64>),
    /// 16-bit and 32-bit floats.
    F32(Vec<f32>),
    /// 64-bit floats.
    F64(Vec<f64>),
}

impl Elements {
    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Elements::U8(v) => v.len(),
            Elements::I64(v) => v.len(),
            Elements::F32(v) => v.len(),
            Elements::F64(v) => v.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements with these indices, in their order.
    fn pick(&self, indices: impl Iterator<Item = usize>) -> Elements {
        match self {
            Elements::U8(v) => Elements::U8(indices.map(|i| v[i]).collect()),
            Elements::I64(v) => Elements::I64(indices.map(|i| v[i]).collect()),
            Elements::F32(v) => Elements::F32(indices.map(|i| v[i]).collect()),
            Elements::F64(v) => Elements::F64(indices.map(|i| v[i]).collect()),
        }
    }
}

/// Tensors hold owners' secrets: only the type and the number of elements are shown.
impl std::fmt::Debug for Elements {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self {
            Elements::U8(_) => "u8",
            Elements::I64(_) => "i64",
            Elements::F32(_) => "f32",
            Elements::F64(_) => "f64",
        };
        write!(f, "{name} x {}", self.len())
    }
}

/// A row-major array.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    elements: Elements,
}

impl Tensor {
    /// An array of that shape; `None` unless the shape has as many elements as there are.
    #[must_use]
    pub fn new(shape: Vec<usize>, elements: Elements) -> Option<Tensor> {
        let len = shape.iter().try_fold(1usize, |n, &size| n.checked_mul(size))?;
        (len == elements.len()).then_some(Tensor { shape, elements })
    }

    /// An array of 32-bit floats.
    ///
    /// # Panics
    /// When the shape has another number of elements.
    #[must_use]
    pub fn from_f32(shape: Vec<usize>, elements: Vec<f32>) -> Tensor {
        Tensor::new(shape, Elements::F32(elements)).expect("as many elements as the shape has")
    }

    /// An array of 64-bit floats.
    ///
    /// # Panics
    /// When the shape has another number of elements.
    #[must_use]
    pub fn from_f64(shape: Vec<usize>, elements: Vec<f64>) -> Tensor {
        Tensor::new(shape, Elements::F64(elements)).expect("as many elements as the shape has")
    }

    /// Sizes of the axes; empty for a single number.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// How many elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.elements.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// The elements as stored.
    #[must_use]
    pub fn elements(&self) -> &Elements {
        &self.elements
    }

    /// Element `i` in row-major order; exact except for integers beyond 2^53.
    ///
    /// # Panics
    /// When `i` is not below [`Tensor::len`].
    #[must_use]
    pub fn get(&self, i: usize) -> f64 {
        match &self.elements {
            Elements::U8(v) => v[i].into(),
            Elements::I64(v) => v[i] as f64,
            Elements::F32(v) => v[i].into(),
            Elements::F64(v) => v[i],
        }
    }

    /// All elements in row-major order, see [`Tensor::get`].
    pub fn iter(&self) -> impl Iterator<Item = f64> + '_ {
        (0..self.len()).map(|i| self.get(i))
    }

    /// The part of the leading axis in `range`; `None` when there is no such part.
    #[must_use]
    pub fn rows(&self, range: Range<usize>) -> Option<Tensor> {
        let (&first, rest) = self.shape.split_first()?;
        if range.start > range.end || range.end > first {
            return None;
        }
        let inner: usize = rest.iter().product();
        let shape = std::iter::once(range.len()).chain(rest.iter().copied()).collect();
        Some(Tensor { shape, elements: self.elements.pick(range.start * inner..range.end * inner) })
    }

    /// The same elements in another shape; `None` when it has another number of elements.
    #[must_use]
    pub fn reshape(self, shape: Vec<usize>) -> Option<Tensor> {
        Tensor::new(shape, self.elements)
    }

    /// Row-major order of elements that are in column-major order; the shape stays.
    pub(super) fn into_row_major(self) -> Tensor {
        // Column-major strides: each axis steps over all elements of the axes before it.
        let strides: Vec<usize> = self
            .shape
            .iter()
            .scan(1, |step, &size| {
                let stride = *step;
                *step *= size;
                Some(stride)
            })
            .collect();
        let source = |mut i: usize| {
            self.shape.iter().zip(&strides).rev().fold(0, |at, (&size, &stride)| {
                let index = i % size;
                i /= size;
                at + index * stride
            })
        };
        let elements = self.elements.pick((0..self.len()).map(source));
        Tensor { elements, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counting(shape: &[usize]) -> Tensor {
        let len = shape.iter().product::<usize>();
        Tensor::from_f64(shape.to_vec(), (0..len).map(|i| i as f64).collect())
    }

    #[test]
    fn rows_cut_the_leading_axis() {
        let rows = counting(&[3, 2]).rows(1..3).unwrap();
        assert_eq!(rows, Tensor::from_f64(vec![2, 2], vec![2.0, 3.0, 4.0, 5.0]));
        assert!(counting(&[3, 2]).rows(1..4).is_none());
        assert!(counting(&[]).rows(0..0).is_none());
    }

    #[test]
    fn column_major_is_transposed() {
        let tensor = counting(&[2, 3]).into_row_major();
        assert_eq!(tensor, Tensor::from_f64(vec![2, 3], vec![0.0, 2.0, 4.0, 1.0, 3.0, 5.0]));
    }

    #[test]
    fn shape_and_elements_agree() {
        assert!(Tensor::new(vec![2, 2], Elements::U8(vec![0; 3])).is_none());
        assert!(Tensor::new(vec![usize::MAX, 2], Elements::U8(vec![])).is_none());
        assert_eq!(counting(&[]).len(), 1);
    }

    #[test]
    fn debug_shows_no_values() {
        assert_eq!(format!("{:?}", counting(&[2]).elements()), "f64 x 2");
    }
}
