//! Where a frame begins and ends, and whether its checksum is good. Plain functions over slices.

use super::plain::Plain;
use super::profile::{ByteOrder, Counts, FrameLength, FrameProfile, LengthSize, Train};
use crate::protocol::interpreted::Look;
use crate::vocabulary::Why;

/// Looks at the head of `buffer`.
pub(super) fn look(profile: &FrameProfile, buffer: &[u8]) -> Look {
    if let Some(train) = &profile.train {
        return train_of(profile, train, buffer);
    }
    // The loader lets no profile through without them.
    let (Some(start), Some(length)) = (&profile.start, &profile.length) else {
        return not_one(Why::Resync, "the profile describes no frame".to_owned());
    };
    let common = start.0.len().min(buffer.len());
    if buffer.get(..common) != start.0.get(..common) {
        return not_one(Why::Resync, "expected the start mark of a frame".to_owned());
    }
    let plain = Plain::of(profile, buffer);
    let Some(stated) = stated(profile, length, &plain.bytes) else { return plain.more() };
    let (least, most) = (usize::from(length.min), usize::from(length.max));
    let overhead = profile.payload_at() + profile.trailer_bytes();
    let payload = match length.counts {
        Counts::Payload => Some(stated),
        Counts::PayloadAndChecksum => stated.checked_sub(profile.trailer_bytes()),
        Counts::Frame => stated.checked_sub(overhead),
    };
    let payload = payload.map(|payload| payload + usize::from(length.uncounted));
    let payload = match payload {
        Some(payload) if payload > most => {
            let detail = format!("expected a payload of at most {most} bytes, got {payload}");
            return not_one(Why::TooLong, detail);
        }
        Some(payload) if payload >= least => payload,
        Some(_) | None => {
            let detail = format!("expected a payload of at least {least} bytes");
            return not_one(Why::TooShort, detail);
        }
    };
    let whole = overhead + payload;
    let Some(frame) = plain.bytes.get(..whole) else { return plain.more() };
    let (checked, sent) = frame.split_at(whole - profile.trailer_bytes());
    let checked = checked.get(usize::from(profile.checksum.from)..).unwrap_or_default();
    match wrong_checksum(profile, checked, sent) {
        None => Look::Unit { bytes: plain.on_wire(whole) },
        Some(detail) => not_one(Why::Checksum, detail),
    }
}

fn not_one(why: Why, detail: String) -> Look {
    Look::NotOne { why, detail }
}

fn wrong_checksum(profile: &FrameProfile, checked: &[u8], sent: &[u8]) -> Option<String> {
    let computed = profile.checksum.kind.of(checked);
    (computed != sent).then(|| format!("expected checksum {computed:02X?}, got {sent:02X?}"))
}

/// The length as it stands in the frame.
fn stated(profile: &FrameProfile, length: &FrameLength, frame: &[u8]) -> Option<usize> {
    let at = usize::from(length.at);
    match length.size {
        LengthSize::U8 => frame.get(at).map(|byte| usize::from(*byte)),
        LengthSize::U16 => {
            let bytes: [u8; 2] = frame.get(at..at + 2)?.try_into().ok()?;
            Some(usize::from(match profile.byte_order {
                ByteOrder::BigEndian => u16::from_be_bytes(bytes),
                ByteOrder::LittleEndian => u16::from_le_bytes(bytes),
            }))
        }
    }
}

/// Every small frame is looked at as soon as it is there: a damaged one is not waited out.
fn train_of(profile: &FrameProfile, train: &Train, buffer: &[u8]) -> Look {
    let small = usize::from(train.frame_bytes).max(1);
    let whole = small * usize::from(train.frames);
    let (always, first) = (mask(&train.always.0), mask(&train.first.0));
    for (index, frame) in buffer.chunks(small).take(usize::from(train.frames)).enumerate() {
        let status = frame.first().copied().unwrap_or(0);
        let expected = if index == 0 { always | first } else { always };
        if status & (always | first) != expected {
            let detail = format!("expected the mark of frame {} of a train", index + 1);
            return not_one(Why::Resync, detail);
        }
        if frame.len() < small {
            return Look::NeedMore;
        }
        let (checked, sent) = frame.split_at(small - profile.checksum.kind.bytes().min(small));
        let checked = checked.get(usize::from(profile.checksum.from)..).unwrap_or_default();
        if let Some(detail) = wrong_checksum(profile, checked, sent) {
            return not_one(Why::Checksum, detail);
        }
    }
    if buffer.len() < whole { Look::NeedMore } else { Look::Unit { bytes: whole } }
}

fn mask(bytes: &[u8]) -> u8 {
    bytes.first().copied().unwrap_or(0)
}
