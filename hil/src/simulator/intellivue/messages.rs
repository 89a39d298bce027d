//! Fields and messages, big-endian, put together as the sheet draws them.

pub fn words(words: &[u16]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// A length, then the bytes.
pub fn sized(bytes: &[u8]) -> Vec<u8> {
    let mut all = u16::try_from(bytes.len()).unwrap_or(0).to_be_bytes().to_vec();
    all.extend_from_slice(bytes);
    all
}

/// Count, length, entries.
pub fn list(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut all = u16::try_from(entries.len()).unwrap_or(0).to_be_bytes().to_vec();
    all.extend(sized(&entries.concat()));
    all
}

pub fn attribute(id: u16, value: &[u8]) -> Vec<u8> {
    [words(&[id]), sized(value)].concat()
}

pub fn object(handle: u16, attributes: &[Vec<u8>]) -> Vec<u8> {
    [words(&[handle]), list(attributes)].concat()
}

/// UTF-16 with a NUL.
pub fn string(text: &str) -> Vec<u8> {
    let units: Vec<u8> = text.encode_utf16().chain([0]).flat_map(u16::to_be_bytes).collect();
    sized(&units)
}

/// Eight-bit text with a NUL, as models and production specifications have it.
pub fn text(text: &str) -> Vec<u8> {
    sized(&[text.as_bytes(), &[0]].concat())
}

/// Operation 2 is a result, 5 a linked one.
pub fn data(operation: u16, body: &[u8]) -> Vec<u8> {
    [vec![0xe1, 0x00, 0x00, 0x02], words(&[operation]), sized(body)].concat()
}

/// A word of what a client sent.
pub fn word(message: &[u8], at: usize) -> u16 {
    match message.get(at..at + 2) {
        Some(&[high, low]) => u16::from_be_bytes([high, low]),
        _ => 0,
    }
}

/// What a client polled.
#[derive(Clone, Copy)]
pub struct Polled {
    pub invoke: u16,
    pub number: u16,
    pub class: u16,
    pub group: u16,
}

impl Polled {
    /// The answer with these objects; `sequence` for an extended poll. More than `at_once` objects
    /// come as linked results, and an empty one behind them.
    pub fn answer(
        self,
        sequence: Option<u16>,
        ticks: u32,
        objects: &[Vec<u8>],
        at_once: usize,
    ) -> Vec<Vec<u8>> {
        let chunks: Vec<&[Vec<u8>]> = objects.chunks(at_once.max(1)).collect();
        if chunks.len() < 2 {
            return vec![data(2, &self.result(sequence, ticks, objects))];
        }
        let mut messages = Vec::new();
        for (at, chunk) in chunks.iter().enumerate() {
            let state = match at {
                0 => 1,
                at if at + 1 == chunks.len() => 3,
                _ => 2,
            };
            let count = u8::try_from(at + 1).unwrap_or(u8::MAX);
            let linked = [vec![state, count], self.result(sequence, ticks, chunk)].concat();
            messages.push(data(5, &linked));
        }
        messages.push(data(2, &self.result(sequence, ticks, &[])));
        messages
    }

    fn result(self, sequence: Option<u16>, ticks: u32, objects: &[Vec<u8>]) -> Vec<u8> {
        let mut reply = words(&[self.number]);
        reply.extend(sequence.into_iter().flat_map(u16::to_be_bytes));
        reply.extend(ticks.to_be_bytes());
        // The absolute time is not set: monitors give ticks, and an anchor with the MDS.
        reply.extend([0xff; 8]);
        reply.extend(words(&[1, self.class, self.group]));
        reply.extend(list(&[[words(&[0]), list(objects)].concat()]));
        let action = if sequence.is_some() { 0xf13b } else { 0x0c16 };
        let argument = [words(&[0x0021, 0, 0, action]), sized(&reply)].concat();
        [words(&[self.invoke, 7]), sized(&argument)].concat()
    }
}

/// The monitor accepts; it grants what was asked for.
pub fn accept(period_ticks: u32, bytes_max: u32) -> Vec<u8> {
    #[rustfmt::skip]
    let mut presentation = vec![
        0x31, 0x80, 0xa0, 0x80, 0x80, 0x01, 0x01, 0x00, 0x00, 0xa2, 0x80, 0xa0, 0x03, 0x00, 0x00,
        0x01, 0xa5, 0x80, 0x30, 0x80, 0x80, 0x01, 0x00, 0x81, 0x02, 0x51, 0x01, 0x00, 0x00, 0x30,
        0x80, 0x80, 0x01, 0x00, 0x81, 0x0c, 0x2a, 0x86, 0x48, 0xce, 0x14, 0x02, 0x01, 0x00, 0x00,
        0x00, 0x02, 0x01, 0x00, 0x00, 0x00, 0x00, 0x61, 0x80, 0x30, 0x80, 0x02, 0x01, 0x01, 0xa0,
        0x80, 0x61, 0x80, 0xa1, 0x80, 0x06, 0x0c, 0x2a, 0x86, 0x48, 0xce, 0x14, 0x02, 0x01, 0x00,
        0x00, 0x00, 0x03, 0x01, 0x00, 0x00, 0xa2, 0x03, 0x02, 0x01, 0x00, 0xa3, 0x05, 0xa1, 0x03,
        0x02, 0x01, 0x00, 0xbe, 0x80, 0x28, 0x80, 0x02, 0x01, 0x02, 0x81,
    ];
    let mut info = Vec::new();
    for long in [
        0x8000_0000u32,
        0x4000_0000,
        0,
        0x0080_0000,
        0x2000_0000,
        0,
        0x0001_002c,
        0x0001_0028,
        0x8000_0000,
        period_ticks,
        bytes_max,
        bytes_max,
        0xffff_ffff,
        0x6000_0000,
        0x0001_000c,
        0xf001_0008,
        0x8c00_0000,
        0,
    ] {
        info.extend(long.to_be_bytes());
    }
    presentation.push(u8::try_from(info.len()).unwrap_or(0));
    presentation.extend(info);
    presentation.extend([0; 16]);
    let mut session = vec![5, 8, 0x13, 1, 0, 0x16, 1, 2, 0x80, 0, 0x14, 2, 0, 2, 0xc1];
    session.push(u8::try_from(presentation.len()).unwrap_or(0));
    session.extend(presentation);
    let mut message = vec![0x0e, u8::try_from(session.len()).unwrap_or(0)];
    message.extend(session);
    message
}

/// The monitor refuses.
pub fn refuse() -> Vec<u8> {
    vec![0x0c, 0x03, 0x32, 0x01, 0x00]
}

/// The monitor gives the association up.
#[rustfmt::skip]
pub fn abort() -> Vec<u8> {
    let mut abort = vec![
        0x19, 0x2e, 0x11, 0x01, 0x03, 0xc1, 0x29, 0xa0, 0x80, 0xa0, 0x80, 0x30, 0x80, 0x02, 0x01,
        0x01, 0x06, 0x02, 0x51, 0x01, 0x00, 0x00, 0x00, 0x00, 0x61, 0x80, 0x30, 0x80, 0x02, 0x01,
        0x01, 0xa0, 0x80, 0x64, 0x80, 0x80, 0x01, 0x01,
    ];
    abort.resize(48, 0);
    abort
}

/// The MDS Create Event.
pub fn created(invoke: u16, ticks: u32) -> Vec<u8> {
    let system_type = attribute(0x0986, &words(&[1, 0x114d]));
    let information = [words(&[0x0021, 0, 0]), list(&[system_type])].concat();
    let event = [
        words(&[0x0021, 0, 0]),
        ticks.to_be_bytes().to_vec(),
        words(&[0x0d06]),
        sized(&information),
    ];
    data(1, &[words(&[invoke, 1]), sized(&event.concat())].concat())
}

/// The Connect Indication, with the port that takes associations.
pub fn indication(port: u16, attributes: Vec<Vec<u8>>) -> Vec<u8> {
    let protocols = list(&[words(&[1, 1, port, 0]), words(&[5, 1, port, 0])]);
    let attributes = [vec![attribute(0xf101, &protocols)], attributes].concat();
    let event = [
        words(&[0x0023, 0, 0]),
        0u32.to_be_bytes().to_vec(),
        words(&[0x0d17]),
        sized(&list(&attributes)),
    ];
    let invoke = [words(&[0, 0]), sized(&event.concat())].concat();
    [vec![0, 0, 1, 0], words(&[1]), sized(&invoke)].concat()
}
