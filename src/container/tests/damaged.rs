//! What is made of a recording that is not as it was written: cut, overwritten with zeros, changed, closed by someone who holds the
//! recorder's keys, signed by someone unknown.

use super::super::check::Signed;
use super::super::verify::Tear;
use super::*;

#[test]
fn every_prefix_is_torn_and_plays_a_prefix_of_the_events() {
    let recorded = session(12, 5, true);
    for length in 0..recorded.bytes.len() {
        let cut = recorded.bytes[..length].to_vec();
        if length == 0 {
            assert!(matches!(
                verify(Bytes::new(&cut), |_| Origin::Trusted(String::new()), |_| ()),
                Err(Error::NotARecording)
            ));
            continue;
        }
        let report = judge(&cut);
        assert!(matches!(report.verdict, Verdict::Torn { .. }), "length {length}: {:?}", report.verdict);
        assert!(report.signed <= length as u64 && report.whole <= (length as u64).max(16), "length {length}");
        let Ok(mut reader) = Reader::open(Bytes::new(cut)) else { continue };
        reader.unlock(recorded.root).unwrap();
        if reader.segments() > 0 {
            let events = events_of(&mut reader, 0);
            assert_eq!(events, recorded.events[..events.len()], "length {length}");
        }
    }
}

#[test]
fn zeros_after_a_loss_of_power_are_torn_and_say_so() {
    let recorded = session(9, 100, false);
    let mut tail = recorded.bytes.clone();
    tail.extend_from_slice(&[0; 4096]);
    assert!(matches!(judge(&tail).verdict, Verdict::Torn { how: Tear::Zeros, .. }));
    let mut hole = recorded.bytes.clone();
    let end = hole.len();
    hole[end - 100..].fill(0);
    assert!(matches!(judge(&hole).verdict, Verdict::Torn { how: Tear::Zeros, .. }));
    assert!(matches!(judge(&recorded.bytes).verdict, Verdict::Torn { how: Tear::Border, .. }));
}

#[test]
fn zeros_behind_the_final_checkpoint_take_nothing_away() {
    let mut bytes = session(9, 100, true).bytes;
    let trailer = bytes.len() - usize::try_from(super::TRAILER_LEN).unwrap();
    let [_, table] = super::end::trailer_offsets(&bytes[trailer + frame::FRAME_LEN..]).unwrap();
    let table = usize::try_from(table).unwrap();
    for from in [trailer + 20, trailer, table + 20, table] {
        bytes[from..].fill(0);
        let verdict = judge(&bytes).verdict;
        assert!(matches!(verdict, Verdict::Torn { how: Tear::Closing, .. }), "from {from}: {verdict:?}");
    }
}

#[test]
fn zeros_are_known_as_a_loss_of_power_wherever_in_a_chunk_they_begin() {
    let recorded = session(9, 100, false).bytes;
    let report = judge(&recorded);
    let last = (0..recorded.len()).rev().find(|at| recorded[*at..].starts_with(&frame::MARK)).unwrap();
    assert_eq!(report.verdict, Verdict::Torn { at: recorded.len() as u64, how: Tear::Border });
    for from in last..=recorded.len() - 4 {
        let mut hole = recorded.clone();
        hole[from..].fill(0);
        let verdict = judge(&hole).verdict;
        assert!(
            matches!(verdict, Verdict::Torn { how: Tear::Zeros, at } if at == last as u64),
            "from {from}: {verdict:?}"
        );
    }
    // Fewer stand at the end of a chunk by themselves now and then.
    let mut few = recorded.clone();
    let end = few.len();
    few[end - 4] = 1;
    few[end - 3..].fill(0);
    assert!(matches!(judge(&few).verdict, Verdict::Altered { offset, .. } if offset == last as u64));
    // A changed chunk in the middle is no loss of power, whatever the end of the file looks like.
    let mut both = recorded.clone();
    both[last - 10] ^= 1;
    both.extend_from_slice(&[0; 4096]);
    assert!(matches!(judge(&both).verdict, Verdict::Altered { .. }));
}

/// Changes a byte of the last chunk but one (the table) and mends its checksum.
fn table_changed(bytes: &[u8], place: usize) -> Vec<u8> {
    let trailer = bytes.len() - usize::try_from(super::TRAILER_LEN).unwrap();
    let body = &bytes[trailer + frame::FRAME_LEN..];
    let [_, at] = super::end::trailer_offsets(body).unwrap();
    let at = usize::try_from(at).unwrap();
    let mut changed = bytes.to_vec();
    changed[at + frame::FRAME_LEN + place] ^= 1;
    let crc = frame::crc(&changed[at..at + frame::BOUND_LEN], &changed[at + frame::FRAME_LEN..trailer]);
    changed[at + frame::BOUND_LEN..at + frame::FRAME_LEN].copy_from_slice(&crc.to_le_bytes());
    changed
}

#[test]
fn a_table_that_points_elsewhere_is_found_out_and_nobody_is_led_astray() {
    let recorded = session(40, 7, true);
    let mut reader = Reader::open(Bytes::new(recorded.bytes.clone())).unwrap();
    reader.unlock(recorded.root).unwrap();
    let entries = reader.entries().to_vec();
    // Of the second row: offset, length, length of the entry, digest.
    for place in [52, 60, 68, 70, 72] {
        let changed = table_changed(&recorded.bytes, place);
        assert!(matches!(judge(&changed).verdict, Verdict::Altered { .. }), "byte {place}");
        let mut reader = Reader::open(Bytes::new(changed)).unwrap();
        reader.unlock(recorded.root).unwrap();
        assert_eq!(reader.entries(), entries, "byte {place}");
        assert_eq!(reader.is_closed(), place == 72, "byte {place}");
    }
}

#[test]
fn before_the_first_checkpoint_nothing_is_called_good_under_a_prologue_that_is_not_ours() {
    let recorded = session(5, 100, false);
    let signed = judge(&recorded.bytes).signed;
    assert!(signed > 0 && judge(&recorded.bytes).checkpoints == 0);
    let mut changed = recorded.bytes.clone();
    changed[10] = 1;
    let report = judge(&changed);
    assert_eq!((report.signed, report.checkpoints), (0, 0));
    assert!(matches!(report.verdict, Verdict::Torn { how: Tear::Border, .. }), "{:?}", report.verdict);
}

#[test]
fn a_chunk_that_hides_others_behind_the_end_is_no_tear() {
    let recorded = session(9, 100, false);
    let mut at = frame::PROLOGUE_LEN;
    let mut places = Vec::new();
    while at < recorded.bytes.len() {
        places.push(at);
        let length = u32::from_le_bytes(recorded.bytes[at + 4..at + 8].try_into().unwrap());
        at += frame::FRAME_LEN + usize::try_from(length).unwrap();
    }
    for (n, at) in places.iter().enumerate().skip(3) {
        let mut changed = recorded.bytes.clone();
        changed[at + 6] = 0x0f;
        let verdict = judge(&changed).verdict;
        let reader = Reader::open(Bytes::new(changed)).unwrap().fault();
        if n + 1 == places.len() {
            // Nothing tells this from a recorder that was stopped while it wrote.
            assert!(matches!(verdict, Verdict::Torn { how: Tear::Inside, .. }) && reader.is_none(), "{n}");
        } else {
            let place = *at as u64;
            assert!(
                matches!(verdict, Verdict::Altered { offset, .. } if offset == place),
                "{n}: {verdict:?}"
            );
            assert_eq!(reader.and_then(|fault| fault.offset()), Some(place), "{n}");
        }
    }
}

#[test]
fn whoever_seizes_the_recorder_cannot_cut_back_behind_a_checkpoint() {
    let (mut writer, _, _) = writer();
    let mut checks = Vec::new();
    for n in 0..40u64 {
        writer.begin(anchor(n * 1000), None).unwrap();
        writer.push(&Event::new(ms(n * 1000), Payload::Output(b"x".to_vec()))).unwrap();
        let (before, epoch) = (writer.length(), writer.epoch());
        writer.flush(ms(n * 1000)).unwrap();
        if writer.epoch() > epoch {
            checks.push((before, writer.length(), writer.running_digest()));
        }
    }
    assert!(checks.len() >= 3, "{checks:?}");
    let written = writer.sink().clone();
    // The thief has every secret the recorder has now: the signing key of the next epoch among them. He cuts the file
    // back to an earlier checkpoint and closes it with what he has, under either number.
    let (_, end, running) = checks[checks.len() - 2];
    for epoch in [u32::try_from(checks.len() - 1).unwrap(), writer.epoch()] {
        let mut forged = written[..usize::try_from(end).unwrap()].to_vec();
        let seq = judge(&forged).chunks;
        let body = Signed {
            file: writer.file_id(),
            epoch,
            seq,
            flags: frame::FINAL | frame::CLOSES,
            closed: &[0; 32],
            running: &running,
            next: &[0; 32],
        }
        .sign(writer.signing_key());
        let bound = frame::bound(Kind::Check, frame::FINAL | frame::CLOSES, 100, seq);
        forged.extend_from_slice(&bound);
        forged.extend_from_slice(&frame::crc(&bound, &body).to_le_bytes());
        forged.extend_from_slice(&body);
        assert!(matches!(judge(&forged).verdict, Verdict::Altered { .. }), "epoch {epoch}");
    }
}

#[test]
fn a_key_that_is_not_trusted_makes_a_recording_foreign_and_a_bad_signature_makes_it_altered() {
    let recorded = session(5, 100, true);
    let with =
        |origin: Origin| verify(Bytes::new(&recorded.bytes), |_| origin.clone(), |_| ()).unwrap().verdict;
    let foreign = |torn| Verdict::Foreign { signer: "SHA256:x".into(), torn };
    let unknown = || Origin::Unknown("SHA256:x".into());
    assert_eq!(with(unknown()), foreign(None));
    for cut in 1..400 {
        let cut = &recorded.bytes[..recorded.bytes.len() - cut];
        let Verdict::Torn { at, how } = judge(cut).verdict else { panic!("{} bytes", cut.len()) };
        let verdict = verify(Bytes::new(cut), |_| unknown(), |_| ()).unwrap().verdict;
        assert_eq!(verdict, foreign(Some((at, how))), "{} bytes", cut.len());
    }
    assert!(matches!(with(Origin::Bad("no".into())), Verdict::Altered { chunk: Some(2), .. }));
}

#[test]
fn what_a_disk_does_not_give_is_not_taken_for_the_end_of_a_recording() {
    let mut bytes = session(5, 100, false).bytes;
    bytes.truncate(bytes.len() - 5);
    let left = Rc::<Cell<usize>>::default();
    let mut reader = Reader::open(Failing { bytes: Bytes::new(bytes), left: Rc::clone(&left) }).unwrap();
    assert!(reader.fault().is_none());
    left.set(1);
    assert!(matches!(reader.fault(), Some(Error::Io { .. })));
}

/// Two segments, between which something is done to the writer; the second begins at `at`. Its signatures are as they should be.
fn two_segments(at: u64, between: impl FnOnce(&mut Writer<Vec<u8>>)) -> Reader<Bytes<Vec<u8>>> {
    let (mut writer, root, _) = writer();
    writer.begin(anchor(0), None).unwrap();
    writer.push(&Event::new(ms(5000), Payload::Output(b"first".to_vec()))).unwrap();
    writer.end_segment(ms(5000), Extras::default()).unwrap();
    between(&mut writer);
    writer.begin(anchor(at), None).unwrap();
    writer.push(&Event::new(ms(at + 100), Payload::Output(b"second".to_vec()))).unwrap();
    let bytes = writer.finish(ms(6000), Extras::default()).map_err(|(e, _)| e).unwrap().1;
    assert_eq!(judge(&bytes).verdict, Verdict::Intact);
    let mut reader = Reader::open(Bytes::new(bytes)).unwrap();
    reader.unlock(root).unwrap();
    reader
}

#[test]
fn a_segment_that_begins_before_the_time_that_the_one_before_it_reached_is_a_fault_where_it_begins() {
    for back in [2, 4999, 5000] {
        let mut reader = two_segments(5000 - back, |writer| writer.pretend_time(5000 - back));
        let second = reader.entries()[1].offset;
        let told = verify_content(&mut reader, |_| ());
        let Err(Error::Format { offset, what, .. }) = told else { panic!("{back} ms back: {told:?}") };
        assert_eq!(offset, second, "{back} ms back: {what}");
        assert!(what.contains("begins at") && what.contains("5000 ms"), "{back} ms back: {what}");
    }
    // As far as rounding goes.
    assert!(verify_content(&mut two_segments(4999, |writer| writer.pretend_time(4999)), |_| ()).is_ok());
    // A recorder whose clock says so begins it where the one before ended.
    for at in [0, 4000, 5000, 9000] {
        let mut reader = two_segments(at, |_| ());
        assert_eq!(reader.entries()[1].tally.start, at.max(5000));
        assert_eq!(verify_content(&mut reader, |_| ()).unwrap(), 4, "{at}");
    }
}

#[test]
fn only_the_first_line_of_the_text_is_passed_over_as_its_header() {
    for line in ["{\"version\":3}\n", " {\"version\":3}\n", "{\n"] {
        let told = verify_content(&mut two_segments(5000, |writer| writer.pretend_line(line)), |_| ());
        let Err(Error::Format { what, .. }) = told else { panic!("{line:?}: {told:?}") };
        assert!(what.contains("a second header"), "{what}");
    }
}

#[test]
fn a_number_that_only_a_wrong_frame_says_is_not_told() {
    let recorded = session(9, 100, true).bytes;
    let last =
        (100..recorded.len() - 200).rev().find(|at| recorded[*at..].starts_with(&frame::MARK)).unwrap();
    let number = u32::from_le_bytes(recorded[last + 8..last + 12].try_into().unwrap());
    let told = |change: &[(usize, u8)]| {
        let mut changed = recorded.clone();
        change.iter().for_each(|(at, byte)| changed[last + at] = *byte);
        match judge(&changed).verdict {
            Verdict::Altered { offset, chunk, .. } if offset == last as u64 => chunk,
            verdict => panic!("{verdict:?}"),
        }
    };
    // Flags that nobody knows.
    assert_eq!(told(&[(3, 0x80)]), Some(number));
    assert_eq!(told(&[(3, 0x80), (11, 0x77)]), None);
    assert_eq!(told(&[(11, 0x77)]), None);
}
