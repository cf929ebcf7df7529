//! A zstd stream whose whole state lives in memory that we own, so that it can be wiped.
//!
//! An ordinary zstd context keeps its window across frames: scanning a recorder's memory found 240 lines of an
//! earlier segment in it. Here the workspace is filled with zeros at the end of each frame.

use ::zstd::zstd_safe::zstd_sys as zstd;
use ::zstd::zstd_safe::zstd_sys::ZSTD_EndDirective;
use std::ptr::NonNull;

/// What to do after the input has been taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directive {
    /// Buffer as zstd sees fit.
    Continue,
    /// Give out everything taken so far; the frame goes on.
    Flush,
    /// Give out everything and end the frame; the workspace is wiped.
    End,
}

/// How the text of a frame is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Level of zstd.
    pub level: i32,
    /// Window, log2 of bytes.
    pub window_log: u32,
    /// Table in which matches are looked up, log2 of its rows of four bytes.
    pub table_log: u32,
    /// A second one, for short matches, where the level has two; chains and trees likewise.
    pub chain_log: u32,
    /// Shortest match, bytes.
    pub min_match: u32,
    /// Largest block, bytes: each has statistics of its own. `None` for zstd's largest (128 KiB).
    pub block: Option<u32>,
}

impl Settings {
    /// What zstd makes of them, and the workspace it needs, bytes. `None` when zstd refuses them.
    fn sized(self) -> Option<(Params, usize)> {
        use zstd::ZSTD_cParameter as Parameter;
        // SAFETY: plain function of numbers; it returns a struct.
        let of_level = unsafe { zstd::ZSTD_getCParams(self.level, 0, 0) };
        let params = [
            (Parameter::ZSTD_c_windowLog, self.window_log),
            (Parameter::ZSTD_c_hashLog, self.table_log),
            (Parameter::ZSTD_c_chainLog, self.chain_log),
            (Parameter::ZSTD_c_minMatch, self.min_match),
            (Parameter::ZSTD_c_searchLog, of_level.searchLog),
            (Parameter::ZSTD_c_targetLength, of_level.targetLength),
            (Parameter::ZSTD_c_strategy, of_level.strategy as u32),
            // `ZSTD_c_maxBlockSize`; 0 for zstd's own.
            (Parameter::ZSTD_c_experimentalParam18, self.block.unwrap_or(0)),
        ];
        let mut numbers = params.map(|(parameter, _)| (parameter, 0));
        for (number, (_, value)) in numbers.iter_mut().zip(params) {
            number.1 = i32::try_from(value).ok()?;
        }
        let params = Params(numbers);
        Some((params, params.workspace()?))
    }
}

/// What zstd makes of [`Settings`].
#[derive(Clone, Copy)]
struct Params([(zstd::ZSTD_cParameter, i32); 8]);

impl Params {
    /// Bytes. (What zstd estimates without the size of the blocks is 368 KiB more than a flood needs.)
    fn workspace(self) -> Option<usize> {
        // SAFETY: makes a set of parameters, or gives null.
        let set = NonNull::new(unsafe { zstd::ZSTD_createCCtxParams() })?;
        let taken = self.0.into_iter().all(|(parameter, value)| {
            // SAFETY: a live set; zstd refuses numbers that it does not take.
            error(unsafe { zstd::ZSTD_CCtxParams_setParameter(set.as_ptr(), parameter, value) }).is_none()
        });
        // SAFETY: a live set, freed once and not used after that.
        let size = unsafe {
            let size = zstd::ZSTD_estimateCStreamSize_usingCCtxParams(set.as_ptr());
            zstd::ZSTD_freeCCtxParams(set.as_ptr());
            size
        };
        (taken && error(size).is_none()).then_some(size)
    }
}

/// Words of a page, as most kernels have it.
const PAGE: usize = 4096 / size_of::<u64>();

/// A compressor in a workspace of fixed size.
pub struct Deflate {
    workspace: Box<[u64]>,
    stream: NonNull<zstd::ZSTD_CCtx>,
    params: Params,
    /// The frame has taken something.
    begun: bool,
    /// Bytes that the frame in hand has taken, or the last one until another begins, and those that came of them.
    taken: usize,
    given: usize,
}

// SAFETY: the stream points into `workspace`, which moves with it (a Box keeps its address), and nothing else does.
unsafe impl Send for Deflate {}

impl Deflate {
    /// A compressor with room for frames of either settings; the first ones hold until [`Deflate::switch`]. `None` when zstd
    /// refuses them.
    pub fn new(first: Settings, others: &[Settings]) -> Option<Self> {
        let (params, mut most) = first.sized()?;
        for other in others {
            most = most.max(other.sized()?.1);
        }
        let mut workspace = vec![0u64; most.div_ceil(8).checked_add(1)?].into_boxed_slice();
        let stream = start(&mut workspace, params)?;
        Some(Self { workspace, stream, params, begun: false, taken: 0, given: 0 })
    }

    /// Whether what the frame in hand has taken became at least this many times shorter, or the last one, until another begins.
    /// Of the frame in hand that is known after a [`Directive::Flush`] only.
    pub fn has_shrunk(&self, times: usize) -> bool {
        self.given > 0 && self.taken >= self.given.saturating_mul(times)
    }

    /// Other settings from here on. A frame that has begun is ended first, as by [`Directive::End`].
    ///
    /// # Errors
    /// zstd's own words, also where the settings are none of those that [`Deflate::new`] was given and need more room.
    pub fn switch(&mut self, settings: Settings, out: &mut Vec<u8>) -> Result<(), &'static str> {
        if self.begun {
            self.compress(&[], out, Directive::End)?;
        }
        let (params, size) = settings.sized().ok_or("settings that zstd does not have")?;
        if size > std::mem::size_of_val(&*self.workspace) {
            return Err("settings that need a larger workspace");
        }
        self.params = params;
        self.start()
    }

    fn start(&mut self) -> Result<(), &'static str> {
        self.stream =
            start(&mut self.workspace, self.params).ok_or("the workspace could not be started again")?;
        Ok(())
    }

    /// Takes all of `input` and appends what comes out to `out`.
    ///
    /// # Errors
    /// zstd's own words; after one the stream is of no more use.
    pub fn compress(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
        directive: Directive,
    ) -> Result<(), &'static str> {
        let mode = match directive {
            Directive::Continue => ZSTD_EndDirective::ZSTD_e_continue,
            Directive::Flush => ZSTD_EndDirective::ZSTD_e_flush,
            Directive::End => ZSTD_EndDirective::ZSTD_e_end,
        };
        if !self.begun {
            (self.taken, self.given) = (0, 0);
        }
        self.begun |= !input.is_empty();
        let before = out.len();
        let mut source = zstd::ZSTD_inBuffer { src: input.as_ptr().cast(), size: input.len(), pos: 0 };
        loop {
            out.reserve(16 << 10);
            let spare = out.spare_capacity_mut();
            let mut target =
                zstd::ZSTD_outBuffer { dst: spare.as_mut_ptr().cast(), size: spare.len(), pos: 0 };
            // SAFETY: `stream` is a live context inside our workspace; `source` covers `input` and `target` the spare
            // capacity of `out`, both alive and of the sizes given.
            let left =
                unsafe { zstd::ZSTD_compressStream2(self.stream.as_ptr(), &mut target, &mut source, mode) };
            let written = out.len() + target.pos;
            // SAFETY: zstd wrote `target.pos` bytes into the spare capacity.
            unsafe { out.set_len(written) };
            if let Some(what) = error(left) {
                return Err(what);
            }
            let done = if directive == Directive::Continue { source.pos == input.len() } else { left == 0 };
            if done {
                break;
            }
        }
        self.taken = self.taken.saturating_add(input.len());
        self.given = self.given.saturating_add(out.len().saturating_sub(before));
        if directive == Directive::End {
            self.wipe();
            self.begun = false;
            self.start()?;
        }
        Ok(())
    }

    fn wipe(&mut self) {
        for page in self.workspace.chunks_mut(PAGE) {
            // Most of what a short frame has room for it never touches: what is read there takes no memory yet, and what is written
            // would.
            if page.iter().any(|word| *word != 0) {
                // SAFETY: the range is exactly this part of our own workspace.
                unsafe { libc::explicit_bzero(page.as_mut_ptr().cast(), std::mem::size_of_val(page)) };
            }
        }
    }
}

impl Drop for Deflate {
    fn drop(&mut self) {
        self.wipe();
    }
}

fn start(workspace: &mut [u64], params: Params) -> Option<NonNull<zstd::ZSTD_CCtx>> {
    // SAFETY: the workspace is aligned to 8 bytes and outlives the stream (both are fields of one `Deflate`).
    let stream = unsafe {
        zstd::ZSTD_initStaticCStream(workspace.as_mut_ptr().cast(), std::mem::size_of_val(workspace))
    };
    let stream = NonNull::new(stream)?;
    for (parameter, value) in params.0 {
        // SAFETY: a fresh context; zstd refuses numbers that it does not take.
        let set = unsafe { zstd::ZSTD_CCtx_setParameter(stream.as_ptr(), parameter, value) };
        error(set).is_none().then_some(())?;
    }
    Some(stream)
}

fn error(code: usize) -> Option<&'static str> {
    // SAFETY: plain function of a number.
    if unsafe { zstd::ZSTD_isError(code) } == 0 {
        return None;
    }
    // SAFETY: zstd returns a static C string for every code.
    let name = unsafe { std::ffi::CStr::from_ptr(zstd::ZSTD_getErrorName(code)) };
    Some(name.to_str().unwrap_or("zstd error"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    const SMALL: Settings =
        Settings { level: 3, window_log: 18, table_log: 17, chain_log: 16, min_match: 6, block: None };
    const THOROUGH: Settings =
        Settings { level: 19, window_log: 17, table_log: 16, chain_log: 16, min_match: 3, block: None };

    fn inflate(bytes: &[u8]) -> Vec<u8> {
        let mut all = Vec::new();
        let _ = ::zstd::stream::read::Decoder::new(bytes).unwrap().read_to_end(&mut all);
        all
    }

    #[test]
    fn a_short_frame_takes_little_memory() {
        let resident = || {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
            line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() >> 10
        };
        let before = resident();
        // So large that other tests beside do not matter.
        let mut deflate = Deflate::new(Settings { window_log: 28, ..SMALL }, &[]).unwrap();
        let mut out = Vec::new();
        deflate.compress(b"short", &mut out, Directive::End).unwrap();
        let taken = resident().saturating_sub(before);
        assert!(taken < 128, "{taken} MiB of {}", std::mem::size_of_val(&*deflate.workspace) >> 20);
    }

    #[test]
    fn frames_come_back_and_the_stream_can_be_used_again() {
        let mut deflate = Deflate::new(SMALL, &[]).unwrap();
        for round in 0..3u8 {
            let text: Vec<u8> = (0..300_000u32).map(|n| (n / 7) as u8 ^ round).collect();
            let mut out = Vec::new();
            for part in text.chunks(50_000) {
                deflate.compress(part, &mut out, Directive::Flush).unwrap();
            }
            let flushed = inflate(&out);
            assert_eq!(flushed, text);
            deflate.compress(&[], &mut out, Directive::End).unwrap();
            assert_eq!(inflate(&out), text);
        }
    }

    #[test]
    fn settings_change_between_frames_and_not_beyond_the_workspace() {
        let mut deflate = Deflate::new(THOROUGH, &[SMALL]).unwrap();
        let mut out = Vec::new();
        let mut whole = Vec::new();
        for (round, settings) in [THOROUGH, SMALL, SMALL, THOROUGH, SMALL].into_iter().enumerate() {
            deflate.switch(settings, &mut out).unwrap();
            let part = format!("round {round} of a text that is compressed in several ways, ").repeat(500);
            // The first frame of all is ended by the change itself.
            let directive = if round == 0 { Directive::Flush } else { Directive::End };
            deflate.compress(part.as_bytes(), &mut out, directive).unwrap();
            whole.extend_from_slice(part.as_bytes());
        }
        assert_eq!(inflate(&out), whole);
        let larger = Settings { window_log: 24, ..SMALL };
        assert!(deflate.switch(larger, &mut out).is_err());
        assert!(deflate.switch(Settings { window_log: 99, ..SMALL }, &mut out).is_err());
    }

    #[test]
    fn how_much_shorter_a_frame_becomes_is_known_until_the_next_one_begins() {
        let mut deflate = Deflate::new(SMALL, &[THOROUGH]).unwrap();
        let mut out = Vec::new();
        assert!(!deflate.has_shrunk(1), "there was none");
        let even = b"the same line\n".repeat(4000);
        deflate.compress(&even, &mut out, Directive::Flush).unwrap();
        assert!(
            deflate.has_shrunk(even.len() / out.len()) && !deflate.has_shrunk(even.len() / out.len() + 1)
        );
        deflate.switch(THOROUGH, &mut out).unwrap();
        assert!(deflate.has_shrunk(even.len() / out.len()), "it has ended");
        let mixed = (0..2000u64).flat_map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ n << 7).to_le_bytes());
        deflate.compress(&mixed.collect::<Vec<u8>>(), &mut out, Directive::End).unwrap();
        assert!(!deflate.has_shrunk(20), "another has ended since");
    }

    #[test]
    fn the_workspace_forgets_at_the_end_of_a_frame() {
        let mut deflate = Deflate::new(SMALL, &[]).unwrap();
        let secret = b"correct horse battery staple";
        let mut out = Vec::new();
        deflate.compress(&secret.repeat(1000), &mut out, Directive::Flush).unwrap();
        let holds = |deflate: &Deflate| {
            // SAFETY: reading our own workspace as bytes.
            let bytes = unsafe {
                std::slice::from_raw_parts(
                    deflate.workspace.as_ptr().cast::<u8>(),
                    deflate.workspace.len() * 8,
                )
            };
            memchr::memmem::find(bytes, &secret[..12]).is_some()
        };
        assert!(holds(&deflate), "the window should hold the text while the frame is open");
        deflate.compress(&[], &mut out, Directive::End).unwrap();
        assert!(!holds(&deflate));
    }
}
