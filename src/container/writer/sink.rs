//! What is encoded gets out of memory, and is known to be durable before it is forgotten.
//!
//! Refuses to know what the bytes are, and to believe a system that has failed to make something durable: all that was not
//! durable before is written again.

use super::super::error::Error;
use super::super::limits;
use super::Writer;
use std::io::{self, Write};

/// Where a recording goes: bytes, and a way to make them durable.
pub trait Sink: Write {
    /// Returns when everything written is on stable storage (`fdatasync`).
    ///
    /// # Errors
    /// The system's.
    fn sync(&mut self) -> io::Result<()>;
    /// Whether all that was written is still there, and nothing else.
    ///
    /// # Errors
    /// It is not, or the system's.
    fn kept(&mut self) -> io::Result<()> {
        Ok(())
    }
    /// Cuts off what is behind the first `length` bytes.
    ///
    /// # Errors
    /// The system's.
    fn cut(&mut self, length: u64) -> io::Result<()>;
    /// Whether so much more can be written, as far as can be told.
    fn has_room(&mut self, _bytes: u64) -> bool {
        true
    }
}

impl Sink for Vec<u8> {
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.truncate(usize::try_from(length).unwrap_or(usize::MAX));
        Ok(())
    }
}

impl<S: Sink> Writer<S> {
    /// Writes what waits in memory and makes it durable, and again what could not be made durable before. Looks whether what is
    /// durable is still there.
    ///
    /// # Errors
    /// The sink's. What is not durable still waits, in order.
    pub fn settle(&mut self) -> Result<(), Error> {
        self.drain()?;
        self.sync()
    }

    pub(super) fn drain(&mut self) -> Result<(), Error> {
        if self.doubted {
            let durable = self.offset.saturating_sub(self.out.len() as u64);
            self.sink.cut(durable).map_err(Error::io("write the recording again"))?;
            (self.written, self.doubted) = (0, false);
        }
        let result = loop {
            let Some(rest) = self.out.get(self.written..).filter(|rest| !rest.is_empty()) else {
                break Ok(());
            };
            match self.sink.write(rest) {
                Ok(0) => break Err(io::Error::from(io::ErrorKind::WriteZero)),
                Ok(n) => self.written = self.written.saturating_add(n),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        result.map_err(Error::io("write the recording"))?;
        if self.written >= limits::UNSYNCED { self.sync() } else { Ok(()) }
    }

    fn sync(&mut self) -> Result<(), Error> {
        if self.written > 0 {
            let synced = self.sink.sync();
            self.doubted = synced.is_err();
            synced.map_err(Error::io("make the recording durable"))?;
        }
        // Where nothing is new as well: who deletes it would have all the time until something is.
        self.look()?;
        self.durable = self.sealed;
        if self.written > 0 {
            self.out.drain(..self.written);
            self.written = 0;
            // A flood is over at some time.
            self.out.shrink_to(limits::BODY as usize);
        }
        Ok(())
    }

    /// Looks whether all that was written is still there, and nothing else. Where it is not, it is written again by
    /// [`Writer::settle`], as far as it is not known to be durable.
    ///
    /// # Errors
    /// It is not, or the sink's.
    pub fn look(&mut self) -> Result<(), Error> {
        let Err(error) = self.sink.kept() else { return Ok(()) };
        (self.doubted, self.durable) = (true, 0);
        // What the system could not tell us is nobody's doing.
        if error.raw_os_error().is_none() {
            self.touched.get_or_insert_with(|| error.to_string());
        }
        Err(Error::io("go on with the recording")(error))
    }

    /// How what was written was found not to be there as it was, or not alone, since this was last asked.
    pub fn touched(&mut self) -> Option<String> {
        self.touched.take()
    }

    /// Bytes of output and input that were taken and may not be in the file. Never too few; in a flood, up to a block of the
    /// compressor too many.
    pub fn in_danger(&self) -> u64 {
        self.taken.saturating_sub(self.durable)
    }

    /// Bytes that are encoded and not yet written.
    pub fn waiting(&self) -> usize {
        self.out.len().saturating_sub(self.written)
    }
}
