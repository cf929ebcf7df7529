//! System calls that a hardened session does not have: `bpf` and `perf_event_open`.
//!
//! `CAP_SYS_ADMIN`, which a root shell is of little use without, stands in for `CAP_BPF` and `CAP_PERFMON`: dropping those
//! alone takes nothing away. With `bpf`, root reads the memory of any process and changes what the kernel's own watchers know. So
//! the calls themselves are refused, with `EPERM`, to the session and all it starts; every other call passes. Refuses to be a
//! sandbox: what can be had through files (probes in tracefs, raw memory, a module) is not the business of a filter of calls.
//!
//! Sources: seccomp(2), `linux/seccomp.h`, `linux/bpf_common.h`, `linux/audit.h`, the kernel's tables of system calls.

use std::io;

/// One way of calling the kernel: `AUDIT_ARCH_…`, and its numbers of `bpf` and `perf_event_open`.
type Abi = (u32, u32, u32);

/// The ABIs of this machine's processes, 32-bit ones included.
#[cfg(target_arch = "x86_64")]
const ABIS: [Abi; 2] = [(0xC000_003E, 321, 298), (0x4000_0003, 357, 336)];
#[cfg(target_arch = "aarch64")]
const ABIS: [Abi; 2] = [(0xC000_00B7, 280, 241), (0x4000_0028, 386, 364)];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const ABIS: [Abi; 0] = [];

/// Whether the numbers of this machine's system calls are known here.
pub const KNOWN: bool = !ABIS.is_empty();

/// `BPF_LD | BPF_W | BPF_ABS`: a word of `struct seccomp_data`, of which the first is the number and the second the ABI.
const LOAD: u16 = 0x20;
/// `BPF_ALU | BPF_AND | BPF_K`.
const AND: u16 = 0x54;
/// `BPF_JMP | BPF_JEQ | BPF_K`.
const JUMP_IF_EQUAL: u16 = 0x15;
/// `BPF_RET | BPF_K`.
const RETURN: u16 = 0x06;
const ALLOW: u32 = 0x7fff_0000;
/// `SECCOMP_RET_ERRNO | EPERM`.
const REFUSE: u32 = 0x0005_0000 | libc::EPERM as u32;
/// What x32 adds to the numbers of x86-64.
const X32: u32 = 0x4000_0000;

/// A filter, ready to take effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Filter(Vec<(u16, u8, u8, u32)>);

impl Filter {
    /// Refuses `bpf` and `perf_event_open`, and nothing else.
    pub(super) fn without_bpf() -> Self {
        let mut code = Vec::new();
        for (abi, bpf, perf) in ABIS {
            code.extend([
                (LOAD, 0, 0, 4),
                // Not this ABI: past the five that follow.
                (JUMP_IF_EQUAL, 0, 5, abi),
                (LOAD, 0, 0, 0),
                (AND, 0, 0, !X32),
                (JUMP_IF_EQUAL, 1, 0, bpf),
                (JUMP_IF_EQUAL, 0, 1, perf),
                (RETURN, 0, 0, REFUSE),
            ]);
        }
        code.push((RETURN, 0, 0, ALLOW));
        Self(code)
    }

    /// Takes effect on this process and everything it will ever start; cannot be undone. Needs `CAP_SYS_ADMIN`. Makes one
    /// system call and takes no memory: safe between fork and exec.
    pub(super) fn apply(&self) -> io::Result<()> {
        let mut code = [libc::sock_filter { code: 0, jt: 0, jf: 0, k: 0 }; 16];
        for (into, (code, jt, jf, k)) in code.iter_mut().zip(&self.0) {
            *into = libc::sock_filter { code: *code, jt: *jt, jf: *jf, k: *k };
        }
        let length = libc::c_ushort::try_from(self.0.len().min(code.len())).unwrap_or(0);
        let program = libc::sock_fprog { len: length, filter: code.as_mut_ptr() };
        let mode = libc::c_ulong::from(libc::SECCOMP_MODE_FILTER);
        // SAFETY: the program and its instructions live through the call; their count is that of the array at most.
        if unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program, 0, 0) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel would answer, by the rules of the instructions that are used.
    fn answer(filter: &Filter, abi: u32, number: u32) -> u32 {
        let (mut at, mut value) = (0, 0);
        loop {
            let (code, jt, jf, k) = filter.0[at];
            at += 1;
            match code {
                LOAD => value = if k == 4 { abi } else { number },
                AND => value &= k,
                JUMP_IF_EQUAL => at += usize::from(if value == k { jt } else { jf }),
                RETURN => return k,
                _ => panic!("{code}"),
            }
        }
    }

    #[test]
    fn two_calls_are_refused_in_every_abi_and_no_other() {
        let filter = Filter::without_bpf();
        assert!(filter.0.len() <= 16);
        for (abi, bpf, perf) in ABIS {
            for number in 0..500 {
                let expected = if number == bpf || number == perf { REFUSE } else { ALLOW };
                assert_eq!(answer(&filter, abi, number), expected, "{abi:x} {number}");
                assert_eq!(answer(&filter, abi, number | X32), expected, "{abi:x} {number} of x32");
            }
        }
        assert_eq!(answer(&filter, 1, 321), ALLOW);
    }
}
