//! A store of recordings made from events, as the recorder makes them.

use sealcast::cast::{Anchor, Command, Event, Header as CastHeader, Payload};
use sealcast::container::cert::NAMESPACE;
use sealcast::container::{Extras, GivenUp, Header, LeftOut, Meta, SessionKeys, Setup, Writer};
use sealcast::crypto::identity::{self, Identities};
use sealcast::crypto::prompt::Nobody;
use sealcast::crypto::recipient::Recipient;
use sealcast::crypto::sshsig::Signer;
use sealcast::record::{Indexer as _, ScreenIndexer};
use sealcast::search::{Answer, Fields, Hit, Options, Query, Style, search};
use sealcast::store::seal::{self, Opener};
use sealcast::store::{Found, RecordingFile, Store};
use std::cell::RefCell;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub(crate) struct Made {
    pub(crate) store: Store,
    pub(crate) opener: Opener,
    recipient: Recipient,
    signer: Signer,
    /// Recorders that go on.
    going_on: RefCell<Vec<Writer<RecordingFile>>>,
    _dir: tempfile::TempDir,
}

/// What a recording is made of.
pub(crate) struct Plan<'a> {
    pub(crate) size: (u16, u16),
    pub(crate) events: &'a [Event],
    /// Output after which a segment ends, bytes.
    pub(crate) segment: usize,
    /// So many events have a segment each, one that shows nothing too.
    pub(crate) each: usize,
    pub(crate) commands: Vec<Command>,
    /// Put in the place of every filter that is made.
    pub(crate) filter: Option<Vec<u8>>,
    /// Every segment has no filter, and says why.
    pub(crate) given_up: Option<GivenUp>,
    /// What every segment says is missing of its commands.
    pub(crate) left_out: LeftOut,
    /// Put at the end of every keyframe.
    pub(crate) drawn: &'static str,
    /// What segments begin with for which no keyframe is made.
    pub(crate) keyframe: Option<String>,
    /// No segment says why it has no filter.
    pub(crate) hides: bool,
    pub(crate) header: Header,
    pub(crate) meta: Meta,
    /// Put into the metadata.
    pub(crate) drawing: u32,
    /// The wall clock at a time of the session, both in milliseconds.
    pub(crate) clock: fn(u64) -> i64,
    /// That of the boot, likewise.
    pub(crate) boot: fn(u64) -> u64,
    /// The recorder is killed before the last segment ends.
    pub(crate) killed: bool,
    /// The recorder goes on: the last segment has not ended.
    pub(crate) goes_on: bool,
}

impl<'a> Plan<'a> {
    pub(crate) fn new(size: (u16, u16), events: &'a [Event]) -> Self {
        let header =
            Header { host: "web-3".into(), user: "alice".into(), target: "root".into(), ..Header::default() };
        Self {
            size,
            events,
            segment: 100_000,
            each: 0,
            commands: Vec::new(),
            filter: None,
            given_up: None,
            left_out: LeftOut::default(),
            drawn: "",
            keyframe: None,
            hides: false,
            header,
            meta: Meta::default(),
            drawing: sealcast::terminal::DRAWING,
            clock: |_| 1,
            boot: |at| at,
            killed: false,
            goes_on: false,
        }
    }
}

impl Made {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (secret, recipient) = identity::generate();
        let identities =
            Identities::from_text(Path::new("mine"), secret.as_bytes(), Arc::new(Nobody)).unwrap();
        Self {
            store: Store::new(dir.path().join("store")),
            opener: Opener::new(identities),
            recipient,
            signer: Signer::generate("test").unwrap(),
            going_on: RefCell::default(),
            _dir: dir,
        }
    }

    pub(crate) fn add(&self, plan: Plan<'_>) -> Found {
        let keys = SessionKeys::generate().unwrap();
        let slots = seal::slots(&keys, std::slice::from_ref(&self.recipient), None).unwrap();
        let file = self.store.create(plan.header.start, keys.session()).unwrap();
        let path = file.path().to_path_buf();
        let cast = CastHeader::new(plan.size.0, plan.size.1);
        let (cols, rows) = plan.size;
        let meta = Meta { drawing: plan.drawing, cols, rows, ..plan.meta };
        let setup = Setup { header: plan.header, meta, cast, slots, ledger: String::new() };
        let sign = |text: &str| Ok(self.signer.sign(NAMESPACE, text.as_bytes())?);
        let mut writer = Writer::create(file, keys, setup, sign).unwrap();
        writer.sink().publish().unwrap();
        let mut indexer = ScreenIndexer::unhurried(plan.size);
        let mut commands = plan.commands;
        let mut held = 0;
        let mut last = Duration::ZERO;
        for (number, event) in plan.events.iter().enumerate() {
            if !writer.in_segment() {
                let at = u64::try_from(event.time.as_millis()).unwrap();
                let keyframe = indexer.keyframe().map(|text| text + plan.drawn);
                let keyframe = keyframe.or_else(|| plan.keyframe.clone().filter(|_| at > 0));
                writer.begin(Anchor { at, utc: (plan.clock)(at), boot: (plan.boot)(at) }, keyframe).unwrap();
            }
            indexer.event(event.clone());
            writer.push(event).unwrap();
            last = event.time;
            if let Payload::Output(bytes) = &event.payload {
                held += bytes.len();
            }
            if held >= plan.segment || number < plan.each {
                held = 0;
                let mut extras = end_segment(&mut indexer);
                extras.commands = std::mem::take(&mut commands);
                if let Some(filter) = plan.filter.as_ref().filter(|_| !extras.filter.is_empty()) {
                    extras.filter.clone_from(filter);
                }
                give_up(&mut extras, plan.given_up);
                extras.given_up = extras.given_up.filter(|_| !plan.hides);
                extras.left_out = plan.left_out;
                writer.end_segment(last, extras).unwrap();
            }
        }
        let mut extras = end_segment(&mut indexer);
        extras.commands = commands;
        give_up(&mut extras, plan.given_up);
        extras.left_out = plan.left_out;
        if plan.killed || plan.goes_on {
            writer.flush(last).unwrap();
            self.going_on.borrow_mut().extend(Some(writer).filter(|_| plan.goes_on));
        } else {
            writer.finish(last, extras).map_err(|(error, _)| error).unwrap();
        }
        let all = self.store.list().unwrap();
        all.into_iter().find(|found| found.path == path).unwrap()
    }

    pub(crate) fn answers(&self, recordings: &[Found], query: &Query, options: &Options) -> Vec<Answer> {
        let mut answers = Vec::new();
        search(recordings, &self.opener, query, options, &mut |_, answer| {
            answers.push(answer);
            ControlFlow::Continue(())
        });
        answers
    }

    /// The hits of a literal text in one recording.
    pub(crate) fn hits(&self, recording: &Found, text: &str, fields: Fields) -> Vec<Hit> {
        let query = Query::text(text, Style::default(), fields).unwrap();
        let mut answers = self.answers(std::slice::from_ref(recording), &query, &Options::default());
        assert_eq!(answers[0].fault, None);
        answers.remove(0).found.map(|found| found.hits).unwrap_or_default()
    }
}

fn end_segment(indexer: &mut ScreenIndexer) -> Extras {
    let extras = indexer.end_segment();
    assert_ne!(extras.given_up, Some(GivenUp::Failed));
    extras
}

fn give_up(extras: &mut Extras, reason: Option<GivenUp>) {
    if reason.is_some() {
        extras.given_up = reason;
        extras.filter.clear();
    }
}

pub(crate) fn output(ms: u64, text: &str) -> Event {
    Event::new(Duration::from_millis(ms), Payload::Output(text.as_bytes().to_vec()))
}
