//! Every bound of the format, in one place. A length is checked against the file and against these before anything
//! is allocated for it.

use crate::sys::deflate::Settings;
use std::time::Duration;

/// Largest body of a chunk. The segment table comes in pieces of exactly this size, but for the last.
pub const BODY: u32 = 1 << 20;
/// Most bytes of INDEX chunks in a file.
pub const INDEX: u64 = 1 << 30;
/// Bytes of INDEX chunks that a reader keeps before it has a key for them: what nobody has authenticated takes no more than this.
pub const INDEX_HELD: u64 = 16 << 20;
/// Bytes of INDEX chunks after which a writer only counts, so that [`INDEX`] is never reached.
pub const INDEX_FULL: u64 = 256 << 20;
/// Most that the entries of a file may come to once they are unpacked: their JSON, and what is made of it. Each has [`UNPACKED_FREE`]
/// for nothing.
pub const UNPACKED: u64 = 512 << 20;
/// Unpacked bytes after which a writer only counts, so that [`UNPACKED`] is never reached: nobody can make the recording of
/// themselves unreadable by running many programs.
pub const UNPACKED_FULL: u64 = 256 << 20;
/// Bytes, either way, after which a writer keeps no notices either: of these alone an index grows slowly.
pub const NOTICES_FULL: u64 = 384 << 20;
/// What of an unpacked entry is not counted: its segment is about as long in the file.
pub const UNPACKED_FREE: u64 = 1 << 10;
/// Largest public header (JSON).
pub const HEADER: usize = 64 << 10;
/// Most slots in a KEYS chunk.
pub const SLOTS: usize = 64;
/// Largest text of a certificate statement, and of its signature.
pub const STATEMENT: usize = 16 << 10;
/// An index entry of this length, in the file, is written whole even where a disk may have no room for it: what is held for the end of
/// the recording is a multiple of it.
pub const ENTRY_SMALL: usize = 16 << 10;
/// Largest index entry, decompressed.
pub const ENTRY: usize = 16 << 20;
/// Most that the commands and programs of one entry may take once they are spread out, as [`crate::cast::Command::size`]
/// counts it.
pub const TOLD: usize = 32 << 20;
/// Most that the sealed metadata may come to once they are read: the bytes of every text in them, and 24 for each. A recorder keeps
/// less than half of it: arguments, variables and labels have limits of their own.
pub const META: usize = 8 << 20;
/// Largest plaintext of one segment, decompressed: 2 MiB of raw output can grow sixfold as JSON, and keyframes come on top.
pub const SEGMENT_PLAIN: u64 = 256 << 20;
/// Most segments in a file.
pub const SEGMENTS: usize = 1 << 20;
/// Plaintext is padded to a multiple of this, so that lengths tell less.
pub const PAD: usize = 64;

/// Raw bytes after which what has been taken is compressed without waiting for the clock…
pub const FLUSH_BYTES: usize = 64 << 10;
/// …and compressed bytes after which they are sealed and written.
pub const CHUNK_BYTES: usize = 32 << 10;
/// Most bytes that are written before they are made durable, which is without waiting for the clock: so much is kept, to be written
/// again where that fails. (With 4 MiB a flood took 20 MiB of memory at its peak instead of 11, and no less time.)
pub const UNSYNCED: usize = 128 << 10;
/// As long as this what was shown may be lost when the recorder is killed, where `record.flush` says no other.
pub const FLUSH_EVERY: Duration = Duration::from_secs(1);
/// Longest time that what was captured waits for a signature, where what is taken is sealed at least as often.
pub const CHECK_EVERY: Duration = Duration::from_secs(10);
/// A segment ends at this many raw bytes…
pub const SEGMENT_BYTES: u64 = 2 << 20;
/// (with a keyframe inside after this many, so that no moment is far from one)
pub const KEYFRAME_BYTES: u64 = 1 << 20;
/// …or after this long with at least [`SEGMENT_LONG_BYTES`]…
pub const SEGMENT_LONG: Duration = Duration::from_secs(120);
/// See [`SEGMENT_LONG`].
pub const SEGMENT_LONG_BYTES: u64 = 64 << 10;
/// …or when nothing has come for this long after at least [`SEGMENT_IDLE_BYTES`] (plaintext should not sit in the window)…
pub const SEGMENT_IDLE: Duration = Duration::from_secs(30);
/// See [`SEGMENT_IDLE`].
pub const SEGMENT_IDLE_BYTES: u64 = 4 << 10;
/// …or after this long with anything at all: a program that was executed counts as well…
pub const SEGMENT_ANY: Duration = Duration::from_secs(600);
/// …or this long after a program was executed of which nothing can be seen: neither output nor input that is stored had come for
/// [`QUIET`]. It is
/// known from the kernel alone, and stands nowhere but in the index.
pub const SEGMENT_HELD: Duration = Duration::from_secs(60);
/// See [`SEGMENT_HELD`].
pub const QUIET: Duration = Duration::from_secs(2);

/// How what a person can follow is compressed: as well as zstd can, since there is little of it. Against level 3 this is 20 % less
/// of a log, 17 % of a build and of vim, 5 % of a shell, for 0.3 ms of processor time for each second of such sessions (and about
/// 20 ms of a second that is just not a flood). Tables of 2^17 rows make 0.2 % less of them, and take 0.5 MiB of memory for it. Output and
/// input are a flood where [`CALM_FIRST`] and [`CALM_RATE`] do not cover them.
pub const CALM: Settings =
    Settings { level: 19, window_log: 18, table_log: 16, chain_log: 16, min_match: 3, block: None };
/// Bytes of output and input that may be compressed thoroughly at the beginning of a session…
pub const CALM_FIRST: usize = 32 << 10;
/// …how many more each second brings…
pub const CALM_RATE: usize = 64 << 10;
/// …and the most that come together. A long listing after a pause (a `git diff`, 80 KB) is no flood: it made all that followed in
/// its segment half as long again. One that goes on is, wherever it begins: this much takes 80 ms.
pub const CALM_MOST: usize = 256 << 10;
/// How a flood is compressed, and what follows it to the end of the segment. The strategy of level 3 with tables that stay in the
/// cache. Beside that of level 1 with a match of 7 this takes as long, and makes 2 to 5 % less of listings, source, logs of packages
/// and dumps. A window of twice this makes four thousandths less of source and a twentieth of `seq`, and takes 1 MiB of memory. Blocks of 128 KiB make
/// three thousandths less of source, and a ninth more of `seq`.
pub const FLOOD: Settings =
    Settings { level: 3, window_log: 20, table_log: 17, chain_log: 15, min_match: 5, block: Some(64 << 10) };
/// How a flood is compressed of which that makes no more: noise, and text of words and numbers that do not come back in longer pieces.
/// The strategy of level 1 with a table that stays in the innermost cache takes two thirds to three quarters of the time. Of source and
/// of differences it makes 7 to 18 % more, of logs and listings 1 to 3 %, of mixed words 7 % less.
pub const FLOOD_LIGHT: Settings =
    Settings { level: 1, window_log: 20, table_log: 14, chain_log: 13, min_match: 7, block: Some(64 << 10) };
/// At most so many hundredths of what [`FLOOD`] makes of the same [`FLUSH_BYTES`] at a segment's beginning. (Of source it is 103 to 108.)
pub const FLOOD_LIGHT_MOST: usize = 101;
/// It is tried where the segment before became less than so many times shorter. Of text that does, such as lines of numbers, what a
/// trial says is off by a third.
pub const FLOOD_TRIED_BELOW: usize = 8;
/// For so many segments more what was tried holds: a trial takes a twelfth of the time that a segment does.
pub const FLOOD_TRIED: u8 = 7;
/// How a flood of lines is compressed that differ in their numbers alone: where the one in the segment before became [`NUMBERED`]
/// times shorter.
/// Short matches keep zstd from finding the long ones there, which make a third less of `seq` and of `ping`.
/// Blocks of 32 KiB make another fifth less of them, as their statistics change with each digit; zstd's own splitter does not find
/// those places.
pub const FLOOD_NUMBERED: Settings =
    Settings { level: 1, window_log: 20, table_log: 17, chain_log: 13, min_match: 7, block: Some(32 << 10) };
/// See [`FLOOD_NUMBERED`]. Listings of files come to 19, `ping` to 21 to 30, `seq` to 27 and more, all other text to 10 at most.
pub const NUMBERED: usize = 20;
/// Compression level of the JSON of an index entry, which is short…
pub const INDEX_LEVEL: i32 = 15;
/// …where it is not longer than this; above, it is the next (83 KB take 9 ms, 1 ms at level 9, and become 5.5 instead of
/// 6.2 KB).
pub const INDEX_SHORT: usize = 256 << 10;
/// See [`INDEX_SHORT`].
pub const INDEX_LONG_LEVEL: i32 = 3;
/// Largest window a reader accepts, log2 of bytes.
pub const WINDOW_LOG_MAX: u32 = 23;

/// The grid on which what has been taken is sealed and written so that no more than an `interval` can be lost: a twentieth
/// shorter, for taking, sealing and writing take their time as well.
pub fn grid(interval: Duration) -> Duration {
    interval.mul_f64(0.95)
}
