//! Batch search over recordings: queries, what filters say of them, and the engine that goes through a store.
//!
//! What is found is what stood on the screen (also inside full-screen programs, also put together by cursor movement), what
//! was run, what was typed, and what a recording says of itself. Bytes that never became text on the screen are not found.

pub mod audit;
pub mod condition;
mod doubt;
pub mod engine;
mod found;
mod heard;
mod hits;
mod literals;
mod meanwhile;
mod moments;
pub mod pattern;
pub mod query;
mod queue;
mod reading;
pub(crate) mod redraw;
pub mod when;
mod window;

use crate::cast::{Command, Event};
use crate::container::{Cursor, Reader};
use crate::shell::holes;
use crate::shell::said::Retold;
use std::io::{Read, Seek};

pub use condition::Condition;
pub use engine::{Answer, Options, search, search_until};
pub use hits::{Hit, Match};
pub use meanwhile::Meanwhile;
pub(crate) use moments::{Lines, screen};
pub use pattern::{Pattern, QueryError, Style};
pub use query::{Field, Fields, Query};
pub use window::Window;

/// The commands of which the shell told in what has no index entry yet, or never will, or one that cannot be read (see
/// [`crate::container::Reader::is_complete`]), by start, as far as it can be read. None without a key to the content. Behind the last
/// entry one segment is read: no recorder leaves more without. The command that ran before, if the shell told there of its end, has it
/// from then on.
pub fn retold<R: Read + Seek>(reader: &mut Reader<R>) -> Vec<Command> {
    retold_and(reader, |_| {})
}

/// [`retold`], with something else that is to see each event it reads behind the last entry.
pub fn retold_and<R: Read + Seek>(reader: &mut Reader<R>, mut sees: impl FnMut(&Event)) -> Vec<Command> {
    let mut commands = holes::commands(reader);
    let first = reader.entries().len();
    let mut retold = Retold::default();
    if reader.can_read_content()
        && first < reader.segments()
        && let Ok(mut cursor) = Cursor::of_segment(reader, first)
    {
        // As far as it can be read.
        let _ = cursor.read_on(reader, |event| {
            retold.event(event);
            sees(event);
        });
        retold.end(reader.running_mut());
    }
    commands.append(&mut retold.finish());
    commands
}
