//! The bytes of an open shell: a small codec, without I/O so that both ends can use it.
//!
//! A frame is a byte that says what it is, the payload's length (four bytes, big-endian), and the payload. A
//! tunnel's connections need none of this: they carry the bytes alone. What a peer claims is checked before a
//! byte is kept for it, so a hostile one costs at most [`MAX_PAYLOAD`] of memory.

/// The longest payload. Senders cut longer data into several frames.
pub const MAX_PAYLOAD: usize = 64 * 1024;

/// The byte for the kind and the four for the length.
const HEAD: usize = 5;

/// One message of an open shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// To the daemon: bytes for standard input.
    Input(Vec<u8>),
    /// To the daemon: standard input has ended.
    InputEnd,
    /// To the daemon: the terminal's new size.
    Resize {
        /// Width in characters.
        columns: u16,
        /// Height in characters.
        rows: u16,
    },
    /// From the daemon: bytes of standard output; with a terminal, all output.
    Output(Vec<u8>),
    /// From the daemon: bytes of standard error.
    ErrorOutput(Vec<u8>),
    /// From the daemon: the command ended with this status. Nothing follows.
    Exit(u32),
    /// From the daemon: it ended in another way, told in words. Nothing follows.
    Failed(String),
}

/// Bytes that are no frame of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// No frame begins with this byte.
    #[error("no frame begins with the byte {0}")]
    UnknownKind(u8),
    /// The payload is longer than any of ours.
    #[error("a frame of {0} bytes is too long")]
    TooLong(usize),
    /// The payload has another length than this kind of frame has, or is no text where text belongs.
    #[error("a frame of the kind {0} does not fit")]
    Unfit(u8),
}

impl Frame {
    /// Appends the frame's bytes to `out`. Data longer than [`MAX_PAYLOAD`] becomes several frames.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Input(bytes) => data(out, 0, bytes),
            Self::InputEnd => one(out, 1, &[]),
            Self::Resize { columns, rows } => {
                let [a, b] = columns.to_be_bytes();
                let [c, d] = rows.to_be_bytes();
                one(out, 2, &[a, b, c, d]);
            }
            Self::Output(bytes) => data(out, 3, bytes),
            Self::ErrorOutput(bytes) => data(out, 4, bytes),
            Self::Exit(status) => one(out, 5, &status.to_be_bytes()),
            Self::Failed(reason) => {
                let end = reason.floor_char_boundary(MAX_PAYLOAD);
                one(out, 6, reason.as_bytes().get(..end).unwrap_or_default());
            }
        }
    }

    fn decode(kind: u8, payload: &[u8]) -> Result<Self, FrameError> {
        let unfit = || FrameError::Unfit(kind);
        Ok(match kind {
            0 => Self::Input(payload.to_vec()),
            1 if payload.is_empty() => Self::InputEnd,
            2 => {
                let [a, b, c, d] = payload.try_into().map_err(|_| unfit())?;
                Self::Resize { columns: u16::from_be_bytes([a, b]), rows: u16::from_be_bytes([c, d]) }
            }
            3 => Self::Output(payload.to_vec()),
            4 => Self::ErrorOutput(payload.to_vec()),
            5 => Self::Exit(u32::from_be_bytes(payload.try_into().map_err(|_| unfit())?)),
            6 => Self::Failed(String::from_utf8(payload.to_vec()).map_err(|_| unfit())?),
            _ => return Err(unfit()),
        })
    }
}

/// Data of any length; none is one empty frame.
fn data(out: &mut Vec<u8>, kind: u8, bytes: &[u8]) {
    if bytes.is_empty() {
        return one(out, kind, bytes);
    }
    for part in bytes.chunks(MAX_PAYLOAD) {
        one(out, kind, part);
    }
}

fn one(out: &mut Vec<u8>, kind: u8, payload: &[u8]) {
    let length = u32::try_from(payload.len()).expect("no payload is longer than MAX_PAYLOAD");
    out.push(kind);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(payload);
}

/// Finds frames in bytes that come in pieces of any size.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// How much of the buffer has been taken out already.
    taken: usize,
}

impl Decoder {
    /// Adds bytes as they came. Take out every frame with [`Decoder::next`] before adding more: that bounds what
    /// is kept.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame; `None` until more bytes come.
    ///
    /// # Errors
    /// The bytes are no frame; nothing sensible can follow.
    #[expect(clippy::should_implement_trait, reason = "an iterator would end at the first `None`")]
    pub fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        let rest = self.buffer.get(self.taken..).unwrap_or_default();
        let Some((&kind, after)) = rest.split_first() else { return Ok(None) };
        if 6 < kind {
            return Err(FrameError::UnknownKind(kind));
        }
        let Some((length, after)) = after.split_first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_be_bytes(*length) as usize;
        if MAX_PAYLOAD < length {
            return Err(FrameError::TooLong(length));
        }
        let Some(payload) = after.get(..length) else { return Ok(None) };
        let frame = Frame::decode(kind, payload)?;
        self.taken += HEAD + length;
        Ok(Some(frame))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_frame() -> impl Strategy<Value = Frame> {
        let bytes = || prop::collection::vec(any::<u8>(), 0..200);
        prop_oneof![
            bytes().prop_map(Frame::Input),
            Just(Frame::InputEnd),
            (any::<u16>(), any::<u16>()).prop_map(|(columns, rows)| Frame::Resize { columns, rows }),
            bytes().prop_map(Frame::Output),
            bytes().prop_map(Frame::ErrorOutput),
            any::<u32>().prop_map(Frame::Exit),
            "[^\0]{0,40}".prop_map(Frame::Failed),
        ]
    }

    fn decoded(bytes: &[u8], piece: usize) -> Result<Vec<Frame>, FrameError> {
        let (mut decoder, mut frames) = (Decoder::default(), Vec::new());
        for piece in bytes.chunks(piece) {
            decoder.feed(piece);
            while let Some(frame) = decoder.next()? {
                frames.push(frame);
            }
            assert!(decoder.buffer.len() - decoder.taken < HEAD + MAX_PAYLOAD, "more is kept than one frame");
        }
        Ok(frames)
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded_however_the_bytes_are_cut(
            frames in prop::collection::vec(any_frame(), 0..12),
            piece in 1_usize..300,
        ) {
            let mut bytes = Vec::new();
            frames.iter().for_each(|frame| frame.encode(&mut bytes));
            prop_assert_eq!(decoded(&bytes, piece), Ok(frames));
        }

        #[test]
        fn any_bytes_are_frames_or_an_error_and_never_a_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..2_000),
            piece in 1_usize..300,
        ) {
            let _ = decoded(&bytes, piece);
        }
    }

    #[test]
    fn long_data_is_cut_and_arrives_whole() {
        let sent: Vec<u8> = (0..=255).cycle().take(3 * MAX_PAYLOAD + 7).collect();
        let mut bytes = Vec::new();
        Frame::Output(sent.clone()).encode(&mut bytes);
        let frames = decoded(&bytes, 10_000).expect("frames");
        assert_eq!(frames.len(), 4);
        let received: Vec<u8> = frames
            .into_iter()
            .flat_map(|frame| match frame {
                Frame::Output(bytes) => bytes,
                other => panic!("{other:?} was not sent"),
            })
            .collect();
        assert_eq!(received, sent);
        let mut bytes = Vec::new();
        Frame::Failed("é".repeat(MAX_PAYLOAD)).encode(&mut bytes);
        assert!(matches!(decoded(&bytes, 1_000).as_deref(), Ok([Frame::Failed(_)])));
    }

    #[test]
    fn hostile_frames_are_refused_before_they_are_kept() {
        assert_eq!(decoded(&[9], 1), Err(FrameError::UnknownKind(9)));
        assert_eq!(decoded(&[3, 0xff, 0xff, 0xff, 0xff], 5), Err(FrameError::TooLong(0xffff_ffff)));
        for (unfit, kind) in [
            (&[1, 0, 0, 0, 1, 7][..], 1),
            (&[2, 0, 0, 0, 3, 1, 2, 3], 2),
            (&[5, 0, 0, 0, 0], 5),
            (&[6, 0, 0, 0, 1, 0xff], 6),
        ] {
            assert_eq!(decoded(unfit, 2), Err(FrameError::Unfit(kind)), "{unfit:?}");
        }
    }
}
