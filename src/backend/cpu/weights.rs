//! Weights that serve for many launches: they are packed once, in the place of their words.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::conv::Geometry;
use super::gemm::Workspace;
use super::isa::Isa;
use super::limb_factor::{self, Shape};
use super::limb_weights;
use super::memory::Memory;
use super::panel_factor;
use super::simd::Group;
use crate::backend::{BackendError, Launch};
use crate::plan::{BufId, Kernel, Product};

/// Which buffers are packed, for what, and how.
#[derive(Default)]
pub(super) struct Weights {
    packed: BTreeMap<BufId, (Form, Packed)>,
}

/// What weights are packed for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Convolution(Geometry),
    Product(Shape),
}

/// How weights are packed.
pub(super) enum Packed {
    /// Into limbs.
    Limbs,
    /// Into panels of words, with what closes them.
    Panels(Vec<Group>),
}

impl Form {
    /// Packs words in place, if that pays and can be; how.
    fn pack(self, isa: Isa, space: &mut Workspace, words: &mut [u64]) -> Option<Packed> {
        match self {
            Form::Convolution(geometry) => limb_weights::pack(isa, &geometry, space, words).then_some(Packed::Limbs),
            Form::Product(shape) if limb_factor::pack(isa, shape, space, words) => Some(Packed::Limbs),
            Form::Product(shape) => panel_factor::pack(isa, shape, words).map(Packed::Panels),
        }
    }

    /// The words of what is packed.
    fn unpack(self, how: &Packed, isa: Isa, packed: &[u64], words: &mut [u64]) {
        match (self, how) {
            (Form::Convolution(geometry), _) => limb_weights::unpack(&geometry, packed, words),
            (Form::Product(shape), Packed::Limbs) => limb_factor::unpack(shape, packed, words),
            (Form::Product(shape), Packed::Panels(_)) => panel_factor::unpack(isa, shape, packed, words),
        }
    }
}

impl Weights {
    /// Forgets all.
    pub(super) fn reset(&mut self) {
        self.packed.clear();
    }

    /// Prepares what a launch reads: weights are packed if they serve again, what is packed otherwise are words again. The
    /// launch's weights, if they are packed.
    pub(super) fn prepare(
        &mut self,
        launch: &Launch<'_>,
        isa: Isa,
        memory: &mut Memory,
        space: &mut Workspace,
    ) -> Result<Option<BufId>, BackendError> {
        let wanted = weights(launch, memory);
        for id in launch.ins.iter().map(|operand| launch.bufs[operand.buf.index()].storage(operand.buf).0) {
            if wanted
                .is_none_or(|(weights, form)| id != weights || self.packed.get(&id).is_none_or(|(of, _)| *of != form))
            {
                self.unpack(id, isa, memory)?;
            }
        }
        let Some((id, form)) = wanted else { return Ok(None) };
        if let Entry::Vacant(entry) = self.packed.entry(id) {
            let place = memory.places.find(id)?;
            match form.pack(isa, space, &mut memory.words_mut()[place]) {
                Some(packed) => entry.insert((form, packed)),
                None => return Ok(None),
            };
        }
        Ok(Some(id))
    }

    /// How a buffer is packed, if it is.
    pub(super) fn packed(&self, id: BufId) -> Option<&Packed> {
        self.packed.get(&id).map(|(_, packed)| packed)
    }

    /// Forgets a buffer that is written or freed.
    pub(super) fn forget(&mut self, id: BufId) {
        self.packed.remove(&id);
    }

    /// Has a buffer's words be words again.
    pub(super) fn unpack(&mut self, id: BufId, isa: Isa, memory: &mut Memory) -> Result<(), BackendError> {
        if self.packed.contains_key(&id) {
            let place = memory.places.find(id)?;
            let words = self.words(id, isa, &memory.words()[place.clone()]).into_owned();
            memory.words_mut()[place].copy_from_slice(&words);
            self.forget(id);
        }
        Ok(())
    }

    /// The words of a buffer of which these are there.
    pub(super) fn words<'m>(&self, id: BufId, isa: Isa, there: &'m [u64]) -> Cow<'m, [u64]> {
        let Some((form, packed)) = self.packed.get(&id) else { return Cow::Borrowed(there) };
        let mut words = vec![0; there.len()];
        form.unpack(packed, isa, there, &mut words);
        Cow::Owned(words)
    }
}

/// The weights of a launch that serve for further ones, and what for.
fn weights(launch: &Launch<'_>, memory: &Memory) -> Option<(BufId, Form)> {
    let Kernel::ProductOfSums(product, [_, [1, 0]]) = launch.kernel else { return None };
    let id = launch.ins.last()?.buf;
    let is_alone = launch.ins.iter().filter(|operand| operand.buf == id).count() == 1;
    if !is_alone || !memory.places.is_factor(id) {
        return None;
    }
    let form = match *product {
        Product::Conv2d { n, c, h, w, o, window, groups } => {
            Form::Convolution(Geometry::new([n, c, h, w], o, window, groups))
        }
        Product::MatMul { batch, m, k, n } => {
            // One right matrix for all.
            let len = |id: BufId| launch.bufs[id.index()].len;
            if len(id) != k * n || len(launch.ins[0].buf) != batch * m * k {
                return None;
            }
            Form::Product(Shape { rows: batch * m, depth: k, cols: n })
        }
    };
    Some((id, form))
}

#[cfg(test)]
mod tests {
    use crate::backend::cpu::{Cpu, Isa};
    use crate::backend::{Backend, cases};
    use crate::plan::{BufId, Party};

    #[test]
    fn weights_that_stay_are_packed_and_words_all_the_same() {
        for isa in Isa::available() {
            let keys = [cases::stream_key(1), cases::stream_key(2)];
            let mut device = Cpu::with_isa(Party(1), &keys, isa);
            assert_eq!(cases::products::lasting_factors(&mut device), Ok(()), "{isa:?}");
            assert_eq!(device.weights.packed.len(), 1, "{isa:?}");
        }
    }

    #[test]
    fn packed_weights_are_changed_word_by_word() {
        let keys = [cases::stream_key(1), cases::stream_key(2)];
        let mut device = Cpu::with_isa(Party(1), &keys, Isa::detect());
        cases::products::lasting_factors(&mut device).unwrap();
        let mut words = device.read(BufId(2)).unwrap().into_owned();
        words[17] ^= 1 << 40;
        device.write(BufId(2), &mut |words| words[17] ^= 1 << 40).unwrap();
        assert!(*device.read(BufId(2)).unwrap() == words);
        assert!(device.weights.packed.is_empty());
    }
}
