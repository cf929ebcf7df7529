//! Where the running kernel keeps the fields of its structures, read from its own type information.
//!
//! Format: BTF, <https://docs.kernel.org/bpf/btf.html>. Only what is needed to find the offset of a member by name is
//! understood. The bytes come from the kernel, but every length is checked all the same.

use std::collections::HashMap;

const MAGIC: u16 = 0xeb9f;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
/// Members inside members inside members: no kernel nests them deeper.
const MAX_DEPTH: u32 = 8;

/// Why an offset is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BtfError {
    /// Not BTF, or cut short.
    Malformed(&'static str),
    /// The kernel has no such member, or keeps it in a way that is not understood.
    Missing(String),
}

impl std::fmt::Display for BtfError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Malformed(what) => write!(f, "the kernel's type information is not readable: {what}"),
            Self::Missing(what) => write!(f, "this kernel has no `{what}`"),
        }
    }
}

impl std::error::Error for BtfError {}

/// The kernel's types.
pub(super) struct Btf<'a> {
    strings: &'a [u8],
    /// Each type's bytes from its header on; index 0 is `void`.
    types: Vec<&'a [u8]>,
    structs: HashMap<&'a [u8], u32>,
}

struct Member<'a> {
    name: &'a [u8],
    kind: u32,
    bits: u32,
}

impl<'a> Btf<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, BtfError> {
        let short = BtfError::Malformed("cut short");
        let magic = bytes.get(..2).ok_or(short.clone())?;
        if magic != MAGIC.to_ne_bytes() {
            return Err(BtfError::Malformed("no BTF header"));
        }
        let header = word(bytes, 4).ok_or(short.clone())? as usize;
        let section = |offset: usize, length: usize| -> Option<&'a [u8]> {
            let begin = header.checked_add(word(bytes, offset)? as usize)?;
            bytes.get(begin..begin.checked_add(word(bytes, length)? as usize)?)
        };
        let all = section(8, 12).ok_or(short.clone())?;
        let strings = section(16, 20).ok_or(short.clone())?;
        let mut btf = Self { strings, types: vec![&[]], structs: HashMap::new() };
        let mut rest = all;
        while !rest.is_empty() {
            let info = word(rest, 4).ok_or(short.clone())?;
            let count = (info & 0xffff) as usize;
            let more = match (info >> 24) & 0x1f {
                1 | 14 | 17 => 4,
                3 => 12,
                STRUCT | UNION | 15 | 19 => count * 12,
                6 | 13 => count * 8,
                2 | 7..=12 | 16 | 18 => 0,
                _ => return Err(BtfError::Malformed("a type of an unknown kind")),
            };
            let size = 12 + more;
            let this = rest.get(..size).ok_or(short.clone())?;
            let number = u32::try_from(btf.types.len()).map_err(|_| BtfError::Malformed("too many types"))?;
            if (info >> 24) & 0x1f == STRUCT && count > 0 {
                let name = btf.string(word(this, 0).unwrap_or_default());
                btf.structs.entry(name).or_insert(number);
            }
            btf.types.push(this);
            rest = rest.get(size..).unwrap_or_default();
        }
        Ok(btf)
    }

    /// Offset in bytes of a member, as `struct` and `member.member`; unnamed structures and unions are looked into.
    pub(super) fn offset(&self, name: &str, path: &str) -> Result<i32, BtfError> {
        let missing = || BtfError::Missing(format!("{name}.{path}"));
        let mut kind = *self.structs.get(name.as_bytes()).ok_or_else(missing)?;
        let mut bits = 0_u32;
        for part in path.split('.') {
            let member = self.member(kind, part.as_bytes(), 0).ok_or_else(missing)?;
            bits = bits.checked_add(member.bits).ok_or_else(missing)?;
            kind = member.kind;
        }
        if !bits.is_multiple_of(8) {
            return Err(missing());
        }
        i32::try_from(bits / 8).map_err(|_| missing())
    }

    fn member(&self, kind: u32, name: &[u8], depth: u32) -> Option<Member<'a>> {
        let this = self.types.get(self.resolve(kind)? as usize)?;
        let info = word(this, 4)?;
        if depth > MAX_DEPTH || !matches!((info >> 24) & 0x1f, STRUCT | UNION) {
            return None;
        }
        for index in 0..(info & 0xffff) as usize {
            let at = 12 + index * 12;
            // With the kind flag the upper eight bits are the width of a bit field.
            let raw = word(this, at + 8)?;
            let bits = if info >> 31 == 1 { raw & 0x00ff_ffff } else { raw };
            let member = Member { name: self.string(word(this, at)?), kind: word(this, at + 4)?, bits };
            if member.name == name {
                return Some(member);
            }
            if member.name.is_empty()
                && let Some(inner) = self.member(member.kind, name, depth + 1)
            {
                return Some(Member { bits: inner.bits.checked_add(bits)?, ..inner });
            }
        }
        None
    }

    /// Through names and qualifiers to what they stand for.
    fn resolve(&self, kind: u32) -> Option<u32> {
        let mut kind = kind;
        for _ in 0..MAX_DEPTH {
            let this = self.types.get(kind as usize)?;
            match (word(this, 4)? >> 24) & 0x1f {
                8..=11 | 18 => kind = word(this, 8)?,
                _ => return Some(kind),
            }
        }
        None
    }

    fn string(&self, offset: u32) -> &'a [u8] {
        let rest = self.strings.get(offset as usize..).unwrap_or_default();
        rest.split(|b| *b == 0).next().unwrap_or_default()
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_ne_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// struct dentry { int a; union { struct { long name; } q; const struct q d_name; }; } and struct q { long len, name; }
    fn sample() -> Vec<u8> {
        let strings = b"\0dentry\0a\0q\0name\0d_name\0len\0";
        let at = |name: &str| {
            let all = format!("\0{name}\0");
            u32::try_from(memchr::memmem::find(strings, all.as_bytes()).unwrap() + 1).unwrap()
        };
        let mut types: Vec<u32> = Vec::new();
        let head = |kind: u32, members: u32| kind << 24 | members;
        types.extend([0, head(1, 0), 8, 64]); // 1: long
        types.extend([at("q"), head(STRUCT, 2), 16, at("len"), 1, 0, at("name"), 1, 64]); // 2: struct q
        types.extend([0, head(10, 0), 2]); // 3: const struct q
        types.extend([0, head(UNION, 1), 16, at("d_name"), 3, 0]); // 4: the union
        types.extend([at("dentry"), head(STRUCT, 2), 24, at("a"), 1, 0, 0, 4, 64]); // 5
        let body: Vec<u8> = types.iter().flat_map(|w| w.to_ne_bytes()).collect();
        let length = u32::try_from(body.len()).unwrap();
        let mut out = MAGIC.to_ne_bytes().to_vec();
        out.extend([1, 0]);
        for word in [24, 0, length, length, u32::try_from(strings.len()).unwrap()] {
            out.extend(word.to_ne_bytes());
        }
        out.extend(body);
        out.extend(strings);
        out
    }

    #[test]
    fn members_are_found_through_unnamed_unions_and_qualifiers() {
        let bytes = sample();
        let btf = Btf::parse(&bytes).unwrap();
        assert_eq!(btf.offset("dentry", "a"), Ok(0));
        assert_eq!(btf.offset("dentry", "d_name.name"), Ok(16));
        assert_eq!(btf.offset("dentry", "no"), Err(BtfError::Missing("dentry.no".into())));
        assert_eq!(btf.offset("no", "a"), Err(BtfError::Missing("no.a".into())));
    }

    #[test]
    fn what_is_cut_short_is_refused_wherever_it_is_cut() {
        let bytes = sample();
        for length in 0..bytes.len() {
            assert!(Btf::parse(&bytes[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn the_running_kernel_is_understood() {
        let Ok(bytes) = std::fs::read("/sys/kernel/btf/vmlinux") else { return };
        let btf = Btf::parse(&bytes).unwrap();
        for (name, path) in [("task_struct", "tgid"), ("mm_struct", "arg_start"), ("dentry", "d_name.name")] {
            assert!(btf.offset(name, path).unwrap() > 0, "{name}.{path}");
        }
    }
}
