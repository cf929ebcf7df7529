//! Instructions of the kernel's virtual machine, written one by one: there is no compiler and no object file.
//!
//! Source: <https://docs.kernel.org/bpf/standardization/instruction-set.html>. Only what the programs in
//! [`super::program`] use.

use crate::sys::bpf::Insn;

/// A register. `R0` holds results, `R1` to `R4` (and one more) arguments (gone after a call), `R6` to `R9` stay, `R10` is the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Reg {
    R0,
    R1,
    R2,
    R3,
    R4,
    R6 = 6,
    R7,
    R8,
    R9,
    R10,
}

/// A function of the kernel, by its number in `enum bpf_func_id`.
#[derive(Clone, Copy, Debug)]
#[repr(i32)]
pub(super) enum Helper {
    MapLookup = 1,
    MapUpdate = 2,
    MapDelete = 3,
    KtimeGetNs = 5,
    /// Another program instead of the rest of this one.
    TailCall = 12,
    ProbeReadUser = 112,
    ProbeReadKernel = 113,
    ProbeReadKernelStr = 115,
    RingbufOutput = 130,
}

/// Width of a load or store.
#[derive(Clone, Copy, Debug)]
pub(super) enum Size {
    /// 32 bits.
    Word,
    /// 64 bits.
    Double,
}

/// A condition between two values without sign.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cond {
    Equal,
    NotEqual,
    Above,
    AboveOrEqual,
}

/// A place to jump to, known or not yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Label(usize);

/// A program being written.
#[derive(Default)]
pub(super) struct Assembler {
    code: Vec<Insn>,
    labels: Vec<Option<usize>>,
    jumps: Vec<(usize, Label)>,
}

impl Assembler {
    fn push(&mut self, code: u8, dst: Reg, src: u8, off: i16, imm: i32) {
        self.code.push(Insn { code, regs: (src << 4) | dst as u8, off, imm });
    }

    pub(super) fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    /// The label stands for the next instruction.
    pub(super) fn place(&mut self, label: Label) {
        if let Some(place) = self.labels.get_mut(label.0) {
            *place = Some(self.code.len());
        }
    }

    pub(super) fn mov(&mut self, dst: Reg, src: Reg) {
        self.push(0xbf, dst, src as u8, 0, 0);
    }

    pub(super) fn mov_imm(&mut self, dst: Reg, imm: i32) {
        self.push(0xb7, dst, 0, 0, imm);
    }

    pub(super) fn add(&mut self, dst: Reg, src: Reg) {
        self.push(0x0f, dst, src as u8, 0, 0);
    }

    pub(super) fn add_imm(&mut self, dst: Reg, imm: i32) {
        self.push(0x07, dst, 0, 0, imm);
    }

    pub(super) fn sub(&mut self, dst: Reg, src: Reg) {
        self.push(0x1f, dst, src as u8, 0, 0);
    }

    pub(super) fn and_imm(&mut self, dst: Reg, imm: i32) {
        self.push(0x57, dst, 0, 0, imm);
    }

    pub(super) fn load(&mut self, size: Size, dst: Reg, base: Reg, off: i16) {
        self.push(if matches!(size, Size::Word) { 0x61 } else { 0x79 }, dst, base as u8, off, 0);
    }

    pub(super) fn store(&mut self, size: Size, base: Reg, off: i16, src: Reg) {
        self.push(if matches!(size, Size::Word) { 0x63 } else { 0x7b }, base, src as u8, off, 0);
    }

    pub(super) fn store_imm(&mut self, size: Size, base: Reg, off: i16, imm: i32) {
        self.push(if matches!(size, Size::Word) { 0x62 } else { 0x7a }, base, 0, off, imm);
    }

    pub(super) fn store_imm_byte(&mut self, base: Reg, off: i16, imm: i32) {
        self.push(0x72, base, 0, off, imm);
    }

    /// Adds `reg` to the 64 bits at `base + off` in one step; `reg` gets what was there before. Linux 5.12.
    pub(super) fn fetch_add(&mut self, base: Reg, off: i16, reg: Reg) {
        self.push(0xdb, base, reg as u8, off, 0x01);
    }

    /// The address of a map.
    pub(super) fn map(&mut self, dst: Reg, fd: i32) {
        self.push(0x18, dst, 1, 0, fd);
        self.code.push(Insn::default());
    }

    pub(super) fn call(&mut self, helper: Helper) {
        self.push(0x85, Reg::R0, 0, 0, helper as i32);
    }

    pub(super) fn jump(&mut self, to: Label) {
        self.jumps.push((self.code.len(), to));
        self.push(0x05, Reg::R0, 0, 0, 0);
    }

    pub(super) fn jump_if(&mut self, cond: Cond, left: Reg, right: Reg, to: Label) {
        self.jumps.push((self.code.len(), to));
        self.push(cond.code() | 0x0d, left, right as u8, 0, 0);
    }

    pub(super) fn jump_if_imm(&mut self, cond: Cond, left: Reg, imm: i32, to: Label) {
        self.jumps.push((self.code.len(), to));
        self.push(cond.code() | 0x05, left, 0, 0, imm);
    }

    pub(super) fn exit(&mut self) {
        self.push(0x95, Reg::R0, 0, 0, 0);
    }

    /// The finished program; `None` when a label was not placed or lies too far away.
    pub(super) fn finish(mut self) -> Option<Vec<Insn>> {
        for (at, label) in self.jumps {
            let to = (*self.labels.get(label.0)?)?;
            let distance = i64::try_from(to).ok()? - i64::try_from(at).ok()? - 1;
            self.code.get_mut(at)?.off = i16::try_from(distance).ok()?;
        }
        Some(self.code)
    }
}

impl Cond {
    fn code(self) -> u8 {
        match self {
            Self::Equal => 0x10,
            Self::NotEqual => 0x50,
            Self::Above => 0x20,
            Self::AboveOrEqual => 0x30,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jumps_find_their_labels_both_ways() {
        let mut asm = Assembler::default();
        let (back, out) = (asm.label(), asm.label());
        asm.place(back);
        asm.mov_imm(Reg::R0, 0);
        asm.jump_if_imm(Cond::Equal, Reg::R0, 0, out);
        asm.jump(back);
        asm.place(out);
        asm.exit();
        let code = asm.finish().unwrap();
        assert_eq!((code[1].off, code[2].off), (1, -3));
        assert_eq!(code[0], Insn { code: 0xb7, regs: 0, off: 0, imm: 0 });
    }

    #[test]
    fn a_label_that_was_never_placed_gives_no_program() {
        let mut asm = Assembler::default();
        let nowhere = asm.label();
        asm.jump(nowhere);
        assert!(asm.finish().is_none());
    }
}
