use crate::table::Operator;
pub const OPERATORS: &[Operator] = &[];
