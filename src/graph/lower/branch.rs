//! What is decided at run time by something public, and gradients.

use super::records::{Value, part};
use super::{Frame, Lowering};
use crate::diag::Code;
use crate::graph::{NodeId, Op, Repr};
use crate::hir::{self, Elem};
use crate::label::Label;

impl<'a> Lowering<'a> {
    /// A branch on a public value of a run: both sides are computed, and everybody knows which one counts. Choosing by
    /// a public bit is local to each party.
    pub(super) fn branch(
        &mut self,
        frame: &mut Frame<'a>,
        cond: NodeId,
        then: &'a hir::Block,
        otherwise: &'a hir::Block,
        ty: &hir::Ty,
    ) -> Option<Value> {
        if self.build.repr(cond) != Repr::Clear(Label::PUBLIC) {
            return self.unsupported("a branch on a secret");
        }
        let reveals = self.reveals;
        let before = frame.locals.clone();
        let yes = self.block(frame, then)?;
        let then_locals = std::mem::replace(&mut frame.locals, before.clone());
        let no = self.block(frame, otherwise)?;
        if self.reveals != reveals {
            return self.unsupported("`reveal` in a branch that a run decides");
        }
        for (index, yes) in then_locals.into_iter().enumerate() {
            let no = frame.locals[index].clone();
            if before[index] == Value::unbound() {
                // Variables of one branch alone end with it.
                frame.locals[index] = Value::unbound();
            } else if no != yes {
                let ty = frame.body.locals[index].ty.substitute(&frame.bindings);
                frame.locals[index] = self.choose(cond, &yes, &no, &ty)?;
            }
        }
        let ty = ty.substitute(&frame.bindings);
        self.choose(cond, &yes, &no, &ty)
    }

    /// `yes` where the public bit is set, else `no`, tensor by tensor.
    fn choose(&mut self, cond: NodeId, yes: &Value, no: &Value, ty: &hir::Ty) -> Option<Value> {
        if yes == no {
            return Some(yes.clone());
        }
        let hir::Ty::Tensor(elem, _) = ty else {
            let parts = self.parts(ty, 0)?;
            let parts = parts.iter().enumerate();
            let chosen: Option<Vec<Value>> =
                parts.map(|(i, at)| self.choose(cond, &part(yes, i), &part(no, i), &at.ty)).collect();
            return Some(Value::Record(chosen?));
        };
        let shape = self.shape(ty)?;
        let (yes, no) = (self.filled(yes, &shape)?, self.filled(no, &shape)?);
        let (yes, no) = (self.build.broadcast(yes, &shape), self.build.broadcast(no, &shape));
        let cond = self.build.broadcast(cond, &shape);
        Some(Value::Node(self.build.select(cond, yes, no, *elem)))
    }

    /// The derivative of a single number by every tensor in a value.
    pub(super) fn gradient(&mut self, loss: NodeId, by: &Value, ty: &hir::Ty) -> Option<Value> {
        let hir::Ty::Tensor(..) = ty else {
            let parts = self.parts(ty, 0)?;
            let parts: Option<Vec<Value>> =
                parts.iter().enumerate().map(|(i, at)| self.gradient(loss, &part(by, i), &at.ty)).collect();
            return Some(Value::Record(parts?));
        };
        let Value::Node(by) = *by else {
            self.build.error(Code::Derivative, "a constant is nothing to differentiate by");
            return None;
        };
        let shape = self.build.shape(by).to_vec();
        if let Some(label) = self.build.known(&[loss, by]) {
            return Some(Value::Node(self.build.node(Op::Gradient, &[loss, by], shape, Repr::Clear(label))));
        }
        // What an owner holds stays in the clear here: the loss may reach it through what that owner computes alone.
        let loss = self.build.ring(loss, Elem::Fix);
        let repr = Repr::Ring { scale: self.build.scale(Elem::Fix) };
        Some(Value::Node(self.build.node(Op::Gradient, &[loss, by], shape, repr)))
    }
}
