//! Where the running kernel keeps the fields of its structures, read from its own type information.
//!
//! Format: BTF, <https://docs.kernel.org/bpf/btf.html>. Only what is needed to find the offset of a member by name is
//! understood. The bytes come from the kernel, but every length is checked all the same.
//!
//! They are several megabytes, of which a few hundred bytes are wanted, and a recorder is to be small and to start soon: so
//! they are read twice through a small buffer, once for the names and once for the types, each until what is wanted was seen,
//! and what is kept is where the wanted names are and where every sixty-fourth type is.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

const MAGIC: u16 = 0xeb9f;
/// Bytes of the file's header that are read.
const HEADER: usize = 24;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
/// Bytes of a type before what its kind adds.
const COMMON: usize = 12;
/// Bytes of a member of a structure.
const MEMBER: usize = 12;
/// Members inside members inside members: no kernel nests them deeper.
const MAX_DEPTH: u32 = 8;
/// Of how many types the place of one is kept.
const STRIDE: u32 = 64;
/// The kernel gives no more than a page at once.
const BUFFER: usize = 4096;

/// Why an offset is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BtfError {
    /// It cannot be read, and why; with the kernel's number for that, where it has one.
    Unreadable(String, Option<i32>),
    /// Not BTF, or cut short.
    Malformed(&'static str),
    /// The kernel has no such member, or keeps it in a way that is not understood.
    Missing(String),
}

impl std::fmt::Display for BtfError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreadable(why, _) => write!(f, "cannot read the kernel's type information: {why}"),
            Self::Malformed(what) => write!(f, "the kernel's type information is not readable: {what}"),
            Self::Missing(what) => write!(f, "this kernel has no `{what}`"),
        }
    }
}

impl std::error::Error for BtfError {}

impl From<io::Error> for BtfError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Malformed("cut short"),
            _ => Self::Unreadable(error.to_string(), error.raw_os_error()),
        }
    }
}

/// Offsets in bytes of members, each given as its structure and `member` or `member.member`; unnamed structures and unions
/// are looked into. `source` is the whole of the type information, from its beginning.
///
/// # Errors
/// The first member that is not known, or what is wrong with the type information.
pub(super) fn offsets<const N: usize>(
    mut source: impl Read + Seek,
    wanted: [(&str, &str); N],
) -> Result<[i32; N], BtfError> {
    match offsets_by(&mut source, wanted, Names::First) {
        // Whoever wrote it may have written a name twice.
        Err(BtfError::Missing(_)) => offsets_by(source, wanted, Names::All),
        found => found,
    }
}

/// Which of the strings are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    /// Up to the last wanted name that is seen for the first time.
    First,
    All,
}

fn offsets_by<const N: usize>(
    source: impl Read + Seek,
    wanted: [(&str, &str); N],
    looked_at: Names,
) -> Result<[i32; N], BtfError> {
    let mut btf = Btf::read(source, &wanted, looked_at)?;
    let mut found = [0; N];
    for (offset, (name, path)) in found.iter_mut().zip(wanted) {
        *offset = btf.offset(name, path)?;
    }
    Ok(found)
}

/// The kernel's types, as far as they are kept.
struct Btf<'a, R> {
    source: BufReader<R>,
    /// The wanted names, by where they are among the strings.
    names: HashMap<u32, &'a str>,
    /// Where in the source the first of every [`STRIDE`] types begins; types are numbered from 1.
    places: Vec<u64>,
    /// How many types were read, `void` included, which has the number 0 and no bytes.
    count: u32,
    /// Where the next one begins…
    next: u64,
    /// …and where the last one ends.
    end: u64,
    /// The wanted structures, by their names…
    structs: HashMap<&'a str, Option<u32>>,
    /// …and how many of them were not seen.
    missing: usize,
}

/// A type's name, what it is, and how long.
struct Head {
    name: u32,
    info: u32,
    /// Bytes that follow.
    more: usize,
    /// What it refers to, or its size.
    kind: u32,
}

struct Member {
    kind: u32,
    bits: u32,
}

impl<'a, R: Read + Seek> Btf<'a, R> {
    fn read(source: R, wanted: &[(&'a str, &'a str)], looked_at: Names) -> Result<Self, BtfError> {
        let mut source = BufReader::with_capacity(BUFFER, source);
        source.rewind()?;
        let mut header = [0; HEADER];
        source.read_exact(&mut header)?;
        if header[..2] != MAGIC.to_ne_bytes() {
            return Err(BtfError::Malformed("no BTF header"));
        }
        let at = |place| u64::from(word(&header, place));
        let (types, strings) = ((at(4) + at(8), at(12)), (at(4) + at(16), at(20)));
        let end = types.0 + types.1;
        // It need not be read to its end.
        if source.seek(SeekFrom::End(0))? < end.max(strings.0 + strings.1) {
            return Err(BtfError::Malformed("cut short"));
        }

        source.seek(SeekFrom::Start(strings.0))?;
        let names = find_names(&mut source, strings.1, wanted, looked_at)?;
        let structs = wanted.iter().map(|(name, _)| (*name, None)).collect();
        let mut btf =
            Self { source, names, places: Vec::new(), count: 1, next: types.0, end, structs, missing: 0 };
        btf.missing = btf.structs.len();
        btf.read_until(|btf| btf.missing == 0)?;
        Ok(btf)
    }

    /// Reads on among the types until it is enough, or there are no more.
    fn read_until(&mut self, is_enough: impl Fn(&Self) -> bool) -> Result<(), BtfError> {
        self.source.seek(SeekFrom::Start(self.next))?;
        while self.next < self.end && !is_enough(self) {
            if (self.count - 1).is_multiple_of(STRIDE) {
                self.places.push(self.next);
            }
            let head = self.head()?;
            if head.is(STRUCT)
                && head.members() > 0
                && let Some(name) = self.names.get(&head.name)
                && let Some(place @ None) = self.structs.get_mut(name)
            {
                *place = Some(self.count);
                self.missing -= 1;
            }
            self.skip(head.more)?;
            self.next += (COMMON + head.more) as u64;
            self.count = self.count.checked_add(1).ok_or(BtfError::Malformed("too many types"))?;
        }
        if self.next > self.end {
            return Err(BtfError::Malformed("cut short"));
        }
        Ok(())
    }

    fn offset(&mut self, name: &str, path: &str) -> Result<i32, BtfError> {
        let missing = || BtfError::Missing(format!("{name}.{path}"));
        let mut kind = self.structs.get(name).copied().flatten().ok_or_else(missing)?;
        let mut bits = 0_u32;
        for part in path.split('.') {
            let member = self.member(kind, part, 0)?.ok_or_else(missing)?;
            bits = bits.checked_add(member.bits).ok_or_else(missing)?;
            kind = member.kind;
        }
        if !bits.is_multiple_of(8) {
            return Err(missing());
        }
        i32::try_from(bits / 8).map_err(|_| missing())
    }

    fn member(&mut self, kind: u32, name: &str, depth: u32) -> Result<Option<Member>, BtfError> {
        let Some(head) = self.resolved(kind)? else { return Ok(None) };
        if depth > MAX_DEPTH || !(head.is(STRUCT) || head.is(UNION)) {
            return Ok(None);
        }
        // At most 65,535 members.
        let mut members = vec![0; head.more];
        self.source.read_exact(&mut members)?;
        for this in members.chunks_exact(MEMBER) {
            // With the kind flag the upper eight bits are the width of a bit field.
            let raw = word(this, 8);
            let bits = if head.info >> 31 == 1 { raw & 0x00ff_ffff } else { raw };
            let (named, kind) = (word(this, 0), word(this, 4));
            if self.names.get(&named) == Some(&name) {
                return Ok(Some(Member { kind, bits }));
            }
            // The first string is the empty one.
            if named == 0
                && let Some(inner) = self.member(kind, name, depth + 1)?
            {
                return Ok(inner.bits.checked_add(bits).map(|bits| Member { bits, ..inner }));
            }
        }
        Ok(None)
    }

    /// Through names and qualifiers to what they stand for; the source is then behind its head.
    fn resolved(&mut self, kind: u32) -> Result<Option<Head>, BtfError> {
        let mut kind = kind;
        for _ in 0..MAX_DEPTH {
            let Some(head) = self.go_to(kind)? else { return Ok(None) };
            match head.info >> 24 & 0x1f {
                8..=11 | 18 => kind = head.kind,
                _ => return Ok(Some(head)),
            }
        }
        Ok(None)
    }

    /// The head of a type; the source is then behind it.
    fn go_to(&mut self, number: u32) -> Result<Option<Head>, BtfError> {
        if number >= self.count {
            self.read_until(|btf| number < btf.count)?;
        }
        let Some(before) = number.checked_sub(1).filter(|_| number < self.count) else { return Ok(None) };
        let Some(place) = self.places.get((before / STRIDE) as usize) else { return Ok(None) };
        self.source.seek(SeekFrom::Start(*place))?;
        for _ in 0..before % STRIDE {
            let head = self.head()?;
            self.skip(head.more)?;
        }
        Ok(Some(self.head()?))
    }

    fn head(&mut self) -> Result<Head, BtfError> {
        let mut bytes = [0; COMMON];
        self.source.read_exact(&mut bytes)?;
        let info = word(&bytes, 4);
        let count = (info & 0xffff) as usize;
        let more = match info >> 24 & 0x1f {
            1 | 14 | 17 => 4,
            3 => 12,
            STRUCT | UNION | 15 | 19 => count * MEMBER,
            6 | 13 => count * 8,
            2 | 7..=12 | 16 | 18 => 0,
            _ => return Err(BtfError::Malformed("a type of an unknown kind")),
        };
        Ok(Head { name: word(&bytes, 0), info, more, kind: word(&bytes, 8) })
    }

    fn skip(&mut self, bytes: usize) -> Result<(), BtfError> {
        if bytes <= self.source.buffer().len() {
            self.source.consume(bytes);
            return Ok(());
        }
        let mut left = bytes;
        while left > 0 {
            let here = self.source.fill_buf()?.len().min(left);
            if here == 0 {
                return Err(BtfError::Malformed("cut short"));
            }
            self.source.consume(here);
            left -= here;
        }
        Ok(())
    }
}

impl Head {
    fn is(&self, kind: u32) -> bool {
        self.info >> 24 & 0x1f == kind
    }

    fn members(&self) -> u32 {
        self.info & 0xffff
    }
}

/// Where among the strings, `length` bytes from here on, the wanted names are.
fn find_names<'a>(
    source: &mut impl BufRead,
    length: u64,
    wanted: &[(&'a str, &'a str)],
    looked_at: Names,
) -> Result<HashMap<u32, &'a str>, BtfError> {
    let mut words: Vec<&str> =
        wanted.iter().flat_map(|(name, path)| path.split('.').chain([*name])).collect();
    words.sort_unstable();
    words.dedup();
    // Nearly all of a hundred thousand strings are known by their length and first letter not to be wanted.
    let mut lengths = [0_u64; 256];
    let shape =
        |string: &[u8]| Some((usize::from(*string.first()?), 1_u64.checked_shl(string.len() as u32)?));
    for (first, length) in words.iter().filter_map(|word| shape(word.as_bytes())) {
        lengths[first] |= length;
    }
    let mut names = HashMap::new();
    let (mut seen, mut unseen) = (vec![false; words.len()], words.len());
    // Says whether that was the last.
    let mut look = |place: u64, string: &[u8]| {
        if shape(string).is_some_and(|(first, length)| lengths[first] & length != 0)
            && let Ok(index) = words.binary_search_by(|word| word.as_bytes().cmp(string))
        {
            let place = u32::try_from(place).map_err(|_| BtfError::Malformed("too many names"))?;
            names.insert(place, words[index]);
            unseen -= usize::from(!std::mem::replace(&mut seen[index], true));
            return Ok(unseen == 0);
        }
        Ok::<_, BtfError>(false)
    };
    let mut source = source.take(length);
    // Where a string begins, and what of one was in the buffers before.
    let (mut place, mut begun) = (0_u64, Vec::new());
    loop {
        let buffer = source.fill_buf()?;
        let read = buffer.len();
        if read == 0 {
            break;
        }
        let (mut rest, mut all) = (buffer, false);
        while let Some(end) = memchr::memchr(0, rest) {
            let (string, after) = (&rest[..end], &rest[end + 1..]);
            if begun.is_empty() {
                all |= look(place, string)?;
                place += end as u64 + 1;
            } else {
                begun.extend_from_slice(string);
                all |= look(place, &begun)?;
                place += begun.len() as u64 + 1;
                begun.clear();
            }
            rest = after;
        }
        if all && looked_at == Names::First {
            return Ok(names);
        }
        begun.extend_from_slice(rest);
        source.consume(read);
    }
    // Every string ends in a zero byte.
    if !begun.is_empty() || place < length {
        return Err(BtfError::Malformed("cut short"));
    }
    Ok(names)
}

/// The word at a place; 0 behind the end, which no caller looks at.
fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |word| u32::from_ne_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// struct dentry { int a; union { struct { long name; } q; const struct q d_name; }; } and struct q { long len, name; }
    fn sample() -> Vec<u8> {
        behind(0)
    }

    /// The same behind as many other types.
    fn behind(others: u32) -> Vec<u8> {
        written(others, 0, STRINGS)
    }

    const STRINGS: &[u8] = b"\0dentry\0a\0q\0name\0d_name\0len\0";

    /// The same with as many other types before and after, and these strings, of which the last of a name is meant.
    fn written(others: u32, after: u32, strings: &[u8]) -> Vec<u8> {
        let at = |name: &str| {
            let all = format!("\0{name}\0");
            u32::try_from(memchr::memmem::rfind(strings, all.as_bytes()).unwrap() + 1).unwrap()
        };
        let mut types: Vec<u32> = Vec::new();
        let head = |kind: u32, members: u32| kind << 24 | members;
        for _ in 0..others {
            types.extend([0, head(1, 0), 4, 32]);
        }
        let kind = |number: u32| number + others;
        types.extend([0, head(1, 0), 8, 64]); // 1: long
        types.extend([at("q"), head(STRUCT, 2), 16, at("len"), kind(1), 0, at("name"), kind(1), 64]); // 2: struct q
        types.extend([0, head(10, 0), kind(2)]); // 3: const struct q
        types.extend([0, head(UNION, 1), 16, at("d_name"), kind(3), 0]); // 4: the union
        types.extend([at("dentry"), head(STRUCT, 2), 24, at("a"), kind(1), 0, 0, kind(4), 64]); // 5
        for _ in 0..after {
            types.extend([0, head(1, 0), 4, 32]);
        }
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

    fn offset(bytes: &[u8], name: &str, path: &str) -> Result<i32, BtfError> {
        offsets(io::Cursor::new(bytes), [(name, path)]).map(|[offset]| offset)
    }

    #[test]
    fn members_are_found_through_unnamed_unions_and_qualifiers() {
        let bytes = sample();
        let wanted = [("dentry", "a"), ("dentry", "d_name.name"), ("q", "name")];
        assert_eq!(offsets(io::Cursor::new(&bytes), wanted), Ok([0, 16, 8]));
        assert_eq!(offset(&bytes, "dentry", "no"), Err(BtfError::Missing("dentry.no".into())));
        assert_eq!(offset(&bytes, "no", "a"), Err(BtfError::Missing("no.a".into())));
        // A name that is there, but is no structure's.
        assert_eq!(offset(&bytes, "len", "a"), Err(BtfError::Missing("len.a".into())));
    }

    #[test]
    fn a_type_behind_many_others_is_found() {
        for others in [0, 1, 62, 63, 64, 65, 200] {
            let bytes = behind(others);
            assert_eq!(offset(&bytes, "dentry", "d_name.name"), Ok(16), "behind {others}");
        }
    }

    #[test]
    fn a_name_that_is_written_twice_is_found() {
        let strings = [STRINGS, &[b'x'; 2 * BUFFER], b"\0dentry\0"].concat();
        assert_eq!(offset(&written(0, 0, &strings), "dentry", "d_name.name"), Ok(16));
    }

    #[test]
    fn what_comes_after_the_wanted_is_not_read() {
        struct Counted<'a>(io::Cursor<&'a [u8]>, &'a mut usize);
        impl Read for Counted<'_> {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                let read = self.0.read(into)?;
                *self.1 += read;
                Ok(read)
            }
        }
        impl Seek for Counted<'_> {
            fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
                self.0.seek(to)
            }
        }
        let bytes = written(200, 20_000, &[STRINGS, &[b'x'; 200_000], b"\0"].concat());
        let mut read = 0;
        let found = offsets(Counted(io::Cursor::new(&bytes), &mut read), [("dentry", "d_name.name")]);
        assert_eq!(found, Ok([16]));
        // A page at a time: from where the wanted names, the wanted structures, and each of these types are looked for.
        assert!(read < 20 * BUFFER, "{read} of {}", bytes.len());
    }

    #[test]
    fn what_is_cut_short_is_refused_wherever_it_is_cut() {
        let bytes = sample();
        for length in 0..bytes.len() {
            assert!(offset(&bytes[..length], "dentry", "a").is_err(), "{length}");
        }
    }

    #[test]
    fn no_changed_byte_makes_it_fail_unexpectedly() {
        let bytes = behind(100);
        for place in 0..bytes.len() {
            for value in [0, 1, 4, 10, 0x7f, 0xff] {
                let mut bytes = bytes.clone();
                bytes[place] = value;
                // Whatever it says, it says it, and soon.
                let _ = offset(&bytes, "dentry", "d_name.name");
            }
        }
    }

    #[test]
    fn the_running_kernel_is_understood() {
        let file = match std::fs::File::open("/sys/kernel/btf/vmlinux") {
            Ok(file) => file,
            Err(error) => return crate::sys::skipped(&format!("/sys/kernel/btf/vmlinux: {error}")),
        };
        let wanted = [("task_struct", "tgid"), ("mm_struct", "arg_start"), ("dentry", "d_name.name")];
        let found = offsets(file, wanted).unwrap();
        assert!(found.iter().all(|offset| *offset > 0), "{found:?}");
    }
}
