//! Checks a recording without a key: every byte, in one pass, against the host's certificate and the chain of checkpoints.
//!
//! What it can say: *intact*, *torn* (it ends before its close), *altered* (and where), *foreign* (signed by a key that is
//! not trusted). What it cannot: who cut a torn tail off, and anything about a host whose keys were seized, from that
//! moment on.

use super::cert::{self, Certificate, Statement};
use super::check::{self, Digests, Signed};
use super::chunk::{Chunk, read_at, read_chunk};
use super::end::{Row, trailer_offsets};
use super::error::Error;
use super::frame::{self, FRAME_LEN, Kind};
use super::header::Header;
use super::limits;
use super::order::{self, Expect};
use super::slots;
use super::tear::{behind, zero_tail};
use crate::crypto::digest::{sha256, unhex};
use std::io::{Read, Seek, SeekFrom};

/// What is known of the key that signed the certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The signature is good and the key is trusted for this host; the text says whose it is.
    Trusted(String),
    /// The signature is good, the key is not one of the trusted; the text is its fingerprint.
    Unknown(String),
    /// The signature is good, and the key is known not to be trusted any more; the text is its fingerprint.
    Revoked(String),
    /// The signature is not good, and why.
    Bad(String),
}

/// Why a recording ends before its close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tear {
    /// Between two chunks: the recorder was killed or is still running.
    Border,
    /// Inside a chunk: killed in the middle of a write, or the disk was full.
    Inside,
    /// Zeros where data should be, as after a loss of power.
    Zeros,
    /// After the final checkpoint: everything is there and signed, the copies at the end are not whole.
    Closing,
}

/// What came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Closed, every byte signed, by a trusted key.
    Intact,
    /// Ends before its close.
    Torn {
        /// Byte offset where what is whole ends.
        at: u64,
        /// How it ends.
        how: Tear,
    },
    /// Not what was written.
    Altered {
        /// Byte offset of the first chunk that is wrong.
        offset: u64,
        /// Its number, where it has one.
        chunk: Option<u32>,
        /// What is wrong.
        what: String,
    },
    /// Consistent, but signed by a key that is not trusted, or not any more ([`Report::origin`] tells which).
    Foreign {
        /// Fingerprint of the key.
        signer: String,
        /// Byte offset where what is whole ends, and how, where it ends before its close.
        torn: Option<(u64, Tear)>,
    },
}

impl Verdict {
    /// Byte offset where what is whole ends, and how, of one that ends before its close, whoever signed it.
    pub fn tear(&self) -> Option<(u64, Tear)> {
        match self {
            Self::Torn { at, how } => Some((*at, *how)),
            Self::Foreign { torn, .. } => *torn,
            Self::Intact | Self::Altered { .. } => None,
        }
    }
}

/// The verdict and what stands behind it.
#[derive(Clone, Debug)]
pub struct Report {
    /// What came out.
    pub verdict: Verdict,
    /// Length of the file, bytes.
    pub length: u64,
    /// Bytes from the start that good signatures cover.
    pub signed: u64,
    /// Bytes from the start in whole, unsuspicious chunks.
    pub whole: u64,
    /// Chunks read.
    pub chunks: u32,
    /// Segments closed.
    pub segments: usize,
    /// Checkpoints with good signatures.
    pub checkpoints: u32,
    /// Who signed the certificate; `None` when it was not reached.
    pub origin: Option<Origin>,
    /// Digest over the closed segments, as the last checkpoint signs it.
    pub digest: [u8; 32],
}

/// Verifies without a key. `certify` checks the signature of the certificate and says whose it is. `progress` gets
/// the number of bytes done, about once a megabyte.
///
/// # Errors
/// [`Error::NotARecording`], [`Error::Version`]: there is nothing to judge. [`Error::Io`]: reading failed.
pub fn verify<R: Read + Seek>(
    mut source: R,
    certify: impl Fn(&Certificate) -> Origin,
    mut progress: impl FnMut(u64),
) -> Result<Report, Error> {
    let length = source.seek(SeekFrom::End(0)).map_err(Error::io("find the end of the recording"))?;
    let mut found = [0; frame::PROLOGUE_LEN];
    let have = usize::try_from(length).unwrap_or(usize::MAX).min(found.len());
    read_at(&mut source, 0, found.get_mut(..have).unwrap_or_default())?;
    let ours = frame::prologue();
    if have < ours.len() {
        if have == 0 || !ours.starts_with(found.get(..have).unwrap_or_default()) {
            return Err(Error::NotARecording);
        }
        let mut pass = Pass::new(length, ours);
        pass.whole = length;
        return Ok(pass.report(Verdict::Torn { at: length, how: Tear::Inside }));
    }
    let readable = frame::check_prologue(&found);
    if readable.is_ok() {
        // A later minor version is signed with its own prologue.
        let mut pass = Pass::new(length, found);
        let verdict = pass.run(&mut source, &certify, &mut progress)?;
        if found == ours || pass.checkpoints > 0 {
            return Ok(pass.report(verdict));
        }
    }
    // The signatures know the prologue. Where the file verifies with ours, its own was changed.
    let mut pass = Pass::new(length, ours);
    let verdict = pass.run(&mut source, &certify, &mut progress)?;
    if pass.checkpoints == 0 {
        // Nothing speaks for ours: a file of another kind, or one that ends too early to tell. Before its first checkpoint nothing
        // signs the prologue, so nothing of it is called good.
        readable?;
        pass.signed = 0;
        return Ok(pass.report(verdict));
    }
    let offset = found.iter().zip(&ours).position(|(a, b)| a != b).unwrap_or(0) as u64;
    let what = "the prologue is not the one that was signed".to_owned();
    Ok(pass.report(Verdict::Altered { offset, chunk: None, what }))
}

/// What is to be said of a file that bears the name of a recording and begins as none ([`Error::NotARecording`]): one that is
/// empty or zeros throughout is torn at its first byte, any other is altered there.
///
/// # Errors
/// [`Error::Io`]: reading failed.
pub fn verify_without_beginning<R: Read + Seek>(mut source: R) -> Result<Report, Error> {
    let length = source.seek(SeekFrom::End(0)).map_err(Error::io("find the end of the recording"))?;
    let mut head = [0; FRAME_LEN];
    let have = usize::try_from(length).unwrap_or(usize::MAX).min(head.len());
    read_at(&mut source, 0, head.get_mut(..have).unwrap_or_default())?;
    let blank = head == [0; FRAME_LEN];
    let zeros = if blank && have == FRAME_LEN { zero_tail(&mut source, 0, length) } else { Ok(blank) };
    let verdict = match zeros {
        Ok(_) if length == 0 => Verdict::Torn { at: 0, how: Tear::Inside },
        Ok(true) => Verdict::Torn { at: 0, how: Tear::Zeros },
        Ok(false) => {
            let what = "it does not begin as a recording, whose name it has".to_owned();
            Verdict::Altered { offset: 0, chunk: None, what }
        }
        // More zeros than a loss of power leaves.
        Err(Error::Format { what, .. }) => Verdict::Altered { offset: 0, chunk: None, what },
        Err(error) => return Err(error),
    };
    let mut pass = Pass::new(length, frame::prologue());
    (pass.whole, pass.signed) = (0, 0);
    Ok(pass.report(verdict))
}

/// Whether a file of `length` bytes has its final checkpoint, and every checkpoint up to that one is signed by the key that was
/// announced for it, whoever signed the certificate: then nothing was recorded after it.
pub(super) fn reaches_final<R: Read + Seek>(source: &mut R, length: u64) -> Result<bool, Error> {
    let mut prologue = [0; frame::PROLOGUE_LEN];
    read_at(source, 0, &mut prologue)?;
    let mut pass = Pass::new(length, prologue);
    pass.run(source, &|_| Origin::Unknown(String::new()), &mut |_| ())?;
    Ok(pass.expect.is_past_final())
}

/// What is said of anything behind the trailer.
const AFTER_END: &str = "bytes after the end of the recording";

struct Pass {
    length: u64,
    prologue: [u8; frame::PROLOGUE_LEN],
    at: u64,
    seq: u32,
    expect: Expect,
    file: [u8; 32],
    header: Option<Header>,
    header_digest: [u8; 32],
    keys_digest: [u8; 32],
    next_key: [u8; 32],
    digests: Digests,
    /// The segment table as it must stand at the end, and how much of it has been seen.
    table: Vec<u8>,
    tabled: usize,
    segments: usize,
    segment_at: u64,
    /// Length of the last INDEX chunk, and bytes of all of them.
    entry: u32,
    indexed: u64,
    last_check: u64,
    table_at: u64,
    signed: u64,
    whole: u64,
    checkpoints: u32,
    origin: Option<Origin>,
}

/// A fault in the chunk at hand.
struct Fault(String);

impl From<Error> for Fault {
    /// The place is the chunk's; the verdict names it.
    fn from(error: Error) -> Self {
        match error {
            Error::Format { what, .. } => Self(what),
            other => Self(other.to_string()),
        }
    }
}

impl Pass {
    fn new(length: u64, prologue: [u8; frame::PROLOGUE_LEN]) -> Self {
        Self {
            length,
            prologue,
            at: frame::PROLOGUE_LEN as u64,
            seq: 0,
            expect: Expect::Header,
            file: [0; 32],
            header: None,
            header_digest: [0; 32],
            keys_digest: [0; 32],
            next_key: [0; 32],
            digests: Digests::new(),
            table: Vec::new(),
            tabled: 0,
            segments: 0,
            segment_at: frame::PROLOGUE_LEN as u64,
            entry: 0,
            indexed: 0,
            last_check: 0,
            table_at: 0,
            signed: 0,
            whole: 0,
            checkpoints: 0,
            origin: None,
        }
    }

    fn report(self, verdict: Verdict) -> Report {
        Report {
            verdict,
            length: self.length,
            signed: self.signed,
            whole: self.whole,
            chunks: self.seq,
            segments: self.segments,
            checkpoints: self.checkpoints,
            origin: self.origin,
            digest: *self.digests.closed(),
        }
    }

    fn run<R: Read + Seek>(
        &mut self,
        source: &mut R,
        certify: &impl Fn(&Certificate) -> Origin,
        progress: &mut impl FnMut(u64),
    ) -> Result<Verdict, Error> {
        let mut told = 0;
        loop {
            if self.at >= self.length && self.expect == Expect::Nothing {
                break;
            }
            let chunk = match read_chunk(source, self.at, self.length) {
                Ok(Some(chunk)) => chunk,
                Ok(None) => return self.ends_early(source),
                Err(error @ Error::Io { .. }) => return Err(error),
                Err(error) => return self.unreadable(source, &error),
            };
            if let Err(Fault(what)) = self.chunk(&chunk, certify) {
                return Ok(Verdict::Altered { offset: self.at, chunk: Some(chunk.frame.seq), what });
            }
            self.at = self.at.saturating_add(chunk.frame.total());
            self.whole = self.at;
            if self.expect == Expect::Nothing {
                self.signed = self.at;
            }
            if self.at.saturating_sub(told) >= 1 << 20 {
                told = self.at;
                progress(told);
            }
        }
        progress(self.length);
        Ok(self.consistent(None))
    }

    /// The file ends inside the chunk at hand, or before it.
    fn ends_early<R: Read + Seek>(&mut self, source: &mut R) -> Result<Verdict, Error> {
        let left = self.length.saturating_sub(self.at);
        let altered = |what: &str| Verdict::Altered { offset: self.at, chunk: None, what: what.to_owned() };
        if self.expect == Expect::Nothing {
            return Ok(altered(AFTER_END));
        }
        let mut head = [0; FRAME_LEN];
        let have = usize::try_from(left).unwrap_or(usize::MAX).min(FRAME_LEN);
        let start = head.get_mut(..have).unwrap_or_default();
        read_at(source, self.at, start)?;
        let zeros = !start.is_empty() && start.iter().all(|b| *b == 0);
        let marked = frame::MARK.iter().zip(start.iter()).all(|(a, b)| a == b);
        if !marked && !zeros {
            return Ok(altered(frame::NO_MARK));
        }
        if have == FRAME_LEN
            && let Some(what) = behind(source, self.at, self.length)?
        {
            return Ok(altered(what));
        }
        let how = match self.expect {
            expect if expect.is_past_final() => Tear::Closing,
            _ if zeros => Tear::Zeros,
            _ if left == 0 => Tear::Border,
            _ => Tear::Inside,
        };
        Ok(self.torn(how))
    }

    fn torn(&self, how: Tear) -> Verdict {
        self.consistent(Some((self.whole.max(frame::PROLOGUE_LEN as u64), how)))
    }

    /// The verdict where nothing is wrong but who signed it, perhaps, and where it ends.
    fn consistent(&self, torn: Option<(u64, Tear)>) -> Verdict {
        match (&self.origin, torn) {
            (Some(Origin::Unknown(signer) | Origin::Revoked(signer)), torn) => {
                Verdict::Foreign { signer: signer.clone(), torn }
            }
            (_, Some((at, how))) => Verdict::Torn { at, how },
            (_, None) => Verdict::Intact,
        }
    }

    /// The bytes at hand are no chunk, or one with a bad checksum.
    fn unreadable<R: Read + Seek>(&mut self, source: &mut R, error: &Error) -> Result<Verdict, Error> {
        let zeros = match self.expect {
            Expect::Nothing => Ok(false),
            _ => zero_tail(source, self.at, self.length),
        };
        let too_many;
        let error = match zeros {
            Ok(true) if self.expect.is_past_final() => return Ok(self.torn(Tear::Closing)),
            Ok(true) => return Ok(self.torn(Tear::Zeros)),
            Ok(false) => error,
            Err(error @ Error::Io { .. }) => return Err(error),
            Err(error) => {
                too_many = error;
                &too_many
            }
        };
        let (chunk, what) = match error {
            // Whatever it begins with: nothing belongs here.
            _ if self.expect == Expect::Nothing => (None, AFTER_END.to_owned()),
            // A frame that is not as it should be says any number: told is the one that belongs there.
            Error::Format { chunk, what, .. } => (chunk.filter(|chunk| *chunk == self.seq), what.clone()),
            other => (None, other.to_string()),
        };
        Ok(Verdict::Altered { offset: self.at, chunk, what })
    }

    fn chunk(&mut self, chunk: &Chunk, certify: &impl Fn(&Certificate) -> Origin) -> Result<(), Fault> {
        let fault = |what: &str| Err(Fault(what.to_owned()));
        if self.expect == Expect::Nothing {
            return fault(AFTER_END);
        }
        if chunk.frame.seq != self.seq {
            return Err(Fault(format!("chunk {} stands where chunk {} belongs", chunk.frame.seq, self.seq)));
        }
        self.seq =
            self.seq.checked_add(1).ok_or_else(|| Fault("more chunks than the format allows".to_owned()))?;
        let next = self.expect.after(&chunk.frame, frame::minor(&self.prologue));
        let next = next.ok_or_else(|| Fault(Expect::misplaced(&chunk.frame)))?;
        if chunk.frame.kind == Some(Kind::Check) {
            self.check(chunk)?;
            self.expect = next;
            return Ok(());
        }
        // What is passed over is hashed as well, so a signature covers it.
        self.digests.update(&chunk.bytes);
        match chunk.frame.kind {
            Some(Kind::Header) => {
                self.file = sha256(&[&self.prologue, &chunk.bytes]);
                self.header_digest = sha256(&[&chunk.bytes]);
                self.header = Some(Header::parse(chunk.body(), self.at).map_err(Fault::from)?);
            }
            Some(Kind::Keys) => {
                slots::parse(chunk.body(), self.at).map_err(Fault::from)?;
                self.keys_digest = sha256(&[&chunk.bytes]);
            }
            Some(Kind::Cert) => self.certificate(chunk, certify)?,
            Some(Kind::Seg) if self.segments >= limits::SEGMENTS => return fault(order::SEGMENTS),
            Some(Kind::Index) => {
                self.entry = u32::try_from(chunk.bytes.len()).unwrap_or(u32::MAX);
                self.indexed = self.indexed.saturating_add(chunk.frame.total());
                if self.indexed > limits::INDEX {
                    return fault(order::INDEX);
                }
            }
            Some(Kind::Table) => {
                self.expect = self.segment_table(chunk.body())?;
                return Ok(());
            }
            Some(Kind::Trailer)
                if trailer_offsets(chunk.body()) != Some([self.last_check, self.table_at]) =>
            {
                return fault("the trailer does not point where it should");
            }
            _ => {}
        }
        self.expect = next;
        Ok(())
    }

    /// A piece of the segment table; every piece but the last is as long as a body may be.
    fn segment_table(&mut self, piece: &[u8]) -> Result<Expect, Fault> {
        if self.tabled == 0 {
            self.table_at = self.at;
        }
        let end = self.tabled.saturating_add(piece.len());
        if self.table.get(self.tabled..end) != Some(piece) {
            return Err(Fault("the segment table does not match the segments".to_owned()));
        }
        self.tabled = end;
        match self.table.len().saturating_sub(end) {
            0 => Ok(Expect::Trailer),
            _ if piece.len() == limits::BODY as usize => Ok(Expect::Table),
            _ => Err(Fault("the segment table is shorter than the segments".to_owned())),
        }
    }

    fn certificate(&mut self, chunk: &Chunk, certify: &impl Fn(&Certificate) -> Origin) -> Result<(), Fault> {
        let certificate = cert::parse(chunk.body(), self.at).map_err(Fault::from)?;
        let origin = certify(&certificate);
        let bad = match &origin {
            Origin::Bad(why) => Some(format!("the certificate is not signed as it should be: {why}")),
            _ => None,
        };
        self.origin = Some(origin);
        if let Some(what) = bad {
            return Err(Fault(what));
        }
        let Statement { host, session, header, keys, first, .. } = &certificate.statement;
        let ours = self.header.as_ref();
        if *header != self.header_digest
            || ours
                .is_none_or(|h| h.session != *session || crate::text::escaped(&h.host).to_string() != *host)
            || ours.is_none_or(|h| unhex::<32>(&h.content).is_none() || unhex::<32>(&h.index).is_none())
        {
            return Err(Fault("the certificate is of another header".to_owned()));
        }
        if *keys != self.keys_digest {
            return Err(Fault("the certificate is of other key slots".to_owned()));
        }
        self.next_key = *first;
        // The signature covers what came before it and names its own content; its own bytes are in the next checkpoint.
        self.signed = self.at;
        Ok(())
    }

    fn check(&mut self, chunk: &Chunk) -> Result<(), Fault> {
        let fault = |what: &str| Err(Fault(what.to_owned()));
        let Some(check) = check::parse(chunk.body()) else {
            return fault("a checkpoint of the wrong length");
        };
        let flags = chunk.frame.flags;
        let (closes, last) = (flags & frame::CLOSES != 0, flags & frame::FINAL != 0);
        if check.epoch != self.checkpoints {
            return Err(Fault(format!(
                "checkpoint {} stands where {} belongs",
                check.epoch, self.checkpoints
            )));
        }
        if last != (check.next == [0; 32]) {
            return fault("a checkpoint announces a next key exactly when it is not the last");
        }
        let signed = Signed {
            file: &self.file,
            epoch: check.epoch,
            seq: chunk.frame.seq,
            flags,
            closed: self.digests.closed(),
            running: &self.digests.segment(),
            next: &check.next,
        };
        if !signed.verify(&self.next_key, &check.signature) {
            return fault("the signature of this checkpoint does not match what stands before it");
        }
        if check.next == self.next_key {
            return fault("this checkpoint announces the key that has signed it");
        }
        self.next_key = check.next;
        self.checkpoints = self.checkpoints.saturating_add(1);
        self.last_check = self.at;
        let end = self.at.saturating_add(chunk.frame.total());
        self.signed = end;
        self.digests.update(&chunk.bytes);
        if closes {
            let digest = self.digests.close();
            let length = end.saturating_sub(self.segment_at);
            Row { offset: self.segment_at, length, entry: self.entry, digest }.encode(&mut self.table);
            self.segments = self.segments.saturating_add(1);
            self.segment_at = end;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::frame::Frame;
    use super::*;

    #[test]
    fn what_no_reader_takes_for_its_size_is_not_called_consistent() {
        let chunk = |kind: Kind| {
            let mut bytes = frame::bound(kind, 0, 64, 0).to_vec();
            bytes.extend_from_slice(&[0; 68]);
            let head: [u8; FRAME_LEN] = bytes[..FRAME_LEN].try_into().unwrap();
            Chunk { frame: Frame::parse(&head, 0).unwrap(), bytes }
        };
        let passed = |expect: Expect, kind: Kind, segments: usize, indexed: u64| {
            let mut pass = Pass::new(0, frame::prologue());
            (pass.expect, pass.segments, pass.indexed) = (expect, segments, indexed);
            pass.chunk(&chunk(kind), &|_| Origin::Bad(String::new())).map_err(|Fault(what)| what)
        };
        assert_eq!(passed(Expect::Segment, Kind::Seg, limits::SEGMENTS - 1, 0), Ok(()));
        let error = passed(Expect::Segment, Kind::Seg, limits::SEGMENTS, 0).unwrap_err();
        assert_eq!(error, "more segments than the format allows");
        assert_eq!(passed(Expect::More, Kind::Index, 0, limits::INDEX - 80), Ok(()));
        let error = passed(Expect::More, Kind::Index, 0, limits::INDEX - 79).unwrap_err();
        assert_eq!(error, "a longer index than the format allows");
    }

    #[test]
    fn a_checkpoint_that_announces_the_key_that_has_signed_it_is_none() {
        let (key, other) = (check::fresh_key().unwrap(), check::fresh_key().unwrap());
        let judged = |next: [u8; 32]| {
            let mut pass = Pass::new(0, frame::prologue());
            (pass.expect, pass.next_key) = (Expect::More, key.verifying_key().to_bytes());
            let running = pass.digests.segment();
            let (file, closed) = (&[0; 32], &[0; 32]);
            let signed = Signed { file, epoch: 0, seq: 0, flags: 0, closed, running: &running, next: &next };
            let body = signed.sign(&key);
            let bound = frame::bound(Kind::Check, 0, u32::try_from(body.len()).unwrap(), 0);
            let bytes = [&bound[..], &frame::crc(&bound, &body).to_le_bytes(), &body].concat();
            let head: [u8; FRAME_LEN] = bytes[..FRAME_LEN].try_into().unwrap();
            let chunk = Chunk { frame: Frame::parse(&head, 0).unwrap(), bytes };
            pass.chunk(&chunk, &|_| Origin::Bad(String::new())).map_err(|Fault(what)| what)
        };
        assert_eq!(judged(other.verifying_key().to_bytes()), Ok(()));
        let error = judged(key.verifying_key().to_bytes()).unwrap_err();
        assert!(error.contains("announces the key that has signed it"), "{error}");
    }
}
