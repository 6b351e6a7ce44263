//! The scanner: parses elements with the state machine, or compares them with the shape of earlier ones.

use super::machine::{Machine, MachineState};
use super::shape::ShapeCache;
use super::table::{Object, Want};
use super::value::Visit;
use crate::wire::event::{Defect, Defects};

/// Reads one JSON object after another. [`Scanner::reset`] between them.
#[derive(Debug)]
pub(crate) struct Scanner<F: 'static> {
    machine: Machine<F>,
    shapes: ShapeCache<F>,
}

impl<F: Copy> Scanner<F> {
    pub(crate) fn new(root: &'static Object<F>) -> Self {
        Self { machine: Machine::new(root), shapes: ShapeCache::default() }
    }

    /// Accepts an array in place of the object too, with `many` wanted of each element.
    pub(crate) fn or_each(mut self, many: Option<(F, &'static Want<F>)>) -> Self {
        self.machine.many = many;
        self
    }

    /// Prepares for the next value, also within an incomplete one.
    pub(crate) fn reset(&mut self) {
        self.machine.reset();
    }

    /// Whether a whole value was read.
    pub(crate) fn is_done(&self) -> bool {
        self.machine.is_done()
    }

    /// Whether a whole value was read if no byte follows.
    #[inline]
    pub(crate) fn is_whole(&self) -> bool {
        self.machine.is_whole()
    }

    /// Whether the value is not JSON; the rest of it is ignored.
    pub(crate) fn is_broken(&self) -> bool {
        self.machine.state == MachineState::Broken
    }

    /// Whether only space was read since the last value.
    pub(crate) fn is_blank(&self) -> bool {
        self.machine.state == MachineState::Start
    }

    /// The defects of all values so far.
    pub(crate) fn defects(&self) -> Defects {
        self.machine.defects
    }

    /// Counts a defect outside the JSON.
    pub(crate) fn add_defect(&mut self, defect: Defect) {
        self.machine.defects.add(defect);
    }

    /// Continues with the next piece. Returns how many of `bytes` belong to the value: all, unless it ends before.
    #[inline]
    pub(crate) fn read(&mut self, bytes: &[u8], visit: &mut impl Visit<F>) -> usize {
        let Self { machine, shapes } = self;
        if machine.state != MachineState::Start || bytes.is_empty() {
            return machine.read(bytes, visit);
        }
        if let Some(end) = shapes.read(machine.root, bytes, visit) {
            machine.state = MachineState::Done;
            return end;
        }
        let end = machine.read(bytes, visit);
        if machine.is_done() {
            shapes.record_miss(machine.root, &bytes[..end]);
        }
        end
    }

    #[cfg(test)]
    pub(super) fn shapes(&self) -> &ShapeCache<F> {
        &self.shapes
    }
}
