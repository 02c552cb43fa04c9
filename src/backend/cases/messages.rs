//! Element programs that read what a device received and write what it sends, without words in between where none are needed.

use super::elements::{out, program};
use super::{Case, Expected, dense, oracle, ring};
use crate::backend::{Backend, BackendError, Launch, wire};
use crate::plan::layout::Layout;
use crate::plan::{Access, BufId, Instr, Kernel, Reg, Stream};

/// Sums and differences of numbers of each kind of width: a word of a message has many, parts of some, or one.
pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for width in [2, 3, 7, 17, 31, 32, 33, 47, 63, 64] {
        for len in [1, 63, 192, 256, 576, 1021, 1024 + 64] {
            cases.push(sum(width, len));
        }
    }
    cases
}

/// Two results, of the width and of another, of operands of these.
fn sum(width: u32, len: usize) -> Case {
    let other = 66 - width;
    let code = vec![
        Instr::In { input: 0, plane: 0 },
        Instr::In { input: 1, plane: 0 },
        Instr::Prf { stream: 0, plane: 0 },
        Instr::Add(Reg(0), Reg(1)),
        Instr::Sub(Reg(3), Reg(2)),
        out(1, 0, 4),
        Instr::Xor(Reg(0), Reg(2)),
        out(0, 0, 6),
        out(2, 0, 1),
    ];
    let name = format!("map: {len} words of {width} bits");
    let outs = vec![ring(len, width), ring(len, other), ring(len, width)];
    let streams = vec![Stream { key: 1, id: 9, bits: 64 }];
    Case::new(name, program(false, code), dense([ring(len, width), ring(len, other)]), outs).with_streams(streams)
}

impl Case {
    /// Whether the launch can read from messages and write to them.
    pub(super) fn is_element_program(&self) -> bool {
        let whole = self.bufs.iter().all(|buf| buf.part.is_none());
        whole && matches!((&self.kernel, &self.expected), (Kernel::Map(_), Expected::Words))
    }

    /// Whether an operand is read word by word wherever it is one.
    fn is_plain(&self, id: BufId) -> bool {
        let Kernel::Map(program) = &self.kernel else { return false };
        let mut all = self.ins.iter().enumerate().filter(|(_, operand)| operand.buf == id);
        all.all(|(at, operand)| operand.access == Access::Dense && program.reads_words(at))
    }

    /// Runs the case with its operands in one message and its results in another, which have words besides or not.
    ///
    /// # Errors
    /// Says in words what differs.
    pub(super) fn run_through_messages(&self, device: &mut dyn Backend, words_too: bool) -> Result<(), String> {
        let mut case = self.clone();
        // Only the bits that mean anything travel.
        for (words, buf) in case.contents.iter_mut().zip(&self.bufs) {
            let mut bytes = Vec::new();
            wire::pack(buf, words, &mut bytes);
            *words = wire::unpack(buf, &bytes);
        }
        let expected = oracle::results(&case);
        let (message, words) = case.passed(device, words_too).map_err(|error| format!("refused: {error}"))?;
        let mut wanted = Vec::new();
        for (id, words) in case.outs.iter().zip(&expected) {
            wire::pack(&case.bufs[id.index()], words, &mut wanted);
        }
        if message != wanted {
            let at = message.iter().zip(&wanted).position(|(found, wanted)| found != wanted);
            return Err(format!("the message differs from byte {at:?} on, of {} and {}", message.len(), wanted.len()));
        }
        if words_too && words != expected {
            return Err("the words that stay are others".to_string());
        }
        Ok(())
    }

    /// The message of the results, and the words of those that have any.
    fn passed(&self, device: &mut dyn Backend, words_too: bool) -> Result<(Vec<u8>, Vec<Vec<u64>>), BackendError> {
        let Case { kernel, ins, streams, outs, bufs, .. } = self;
        let operands: Vec<BufId> = (0..self.contents.len() as u32).map(BufId).collect();
        let passing = (0..bufs.len() as u32).map(BufId).map(|id| match outs.contains(&id) {
            true => !words_too,
            false => self.is_plain(id),
        });
        device.reserve(Layout::apart(bufs).with_passing(passing.collect()))?;
        let mut received = Vec::new();
        for (id, words) in operands.iter().zip(&self.contents) {
            wire::pack(&bufs[id.index()], words, &mut received);
        }
        // What is in the room for a message has to go.
        let sent = vec![0xa5; outs.iter().map(|id| bufs[id.index()].wire_bytes()).sum()];
        let mut opened = None;
        match device.messages() {
            Some(messages) => {
                messages.keep(bufs, &operands, received)?;
                opened = Some(messages.open(bufs, outs, sent)?);
            }
            None => device.unpack(bufs, &operands, &received)?,
        }
        if let Some(parcels) = device.parcels() {
            parcels.begin(bufs, outs)?;
        }
        device.launch(Launch { kernel, ins, streams, outs, bufs, site: None })?;
        // What passes can be looked at all the same.
        let words = outs.iter().map(|id| Ok(device.read(*id)?.to_vec())).collect::<Result<_, BackendError>>()?;
        let mut message = Vec::new();
        match (device.messages(), opened) {
            (Some(messages), Some(number)) => message = messages.close(bufs, number)?,
            _ => device.pack(bufs, outs, &mut message)?,
        }
        operands.iter().for_each(|id| device.free(*id));
        if let Some(messages) = device.messages()
            && messages.done().is_none()
        {
            return Err(BackendError::Shape("the message that was read does not come back".into()));
        }
        Ok((message, words))
    }
}
