//! Why a picture could not be decoded.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JpegError {
    /// The bytes do not begin with a start-of-image marker.
    NotJpeg,
    /// The bytes end before the end-of-image marker.
    Truncated,
    /// A marker segment whose length or content the standard does not allow.
    Segment { marker: u8, problem: &'static str },
    /// A legal file of a kind that is not decoded here.
    Unsupported { feature: &'static str },
    /// A scan names a table that no segment before it defined.
    MissingTable { kind: &'static str, id: u8 },
    /// Entropy-coded data that no encoder writes.
    Corrupt { problem: &'static str },
    /// More scans than any encoder writes, each of which costs a pass over the picture.
    TooManyScans { limit: usize },
}

impl fmt::Display for JpegError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJpeg => write!(f, "not a jpeg: no start-of-image marker"),
            Self::Truncated => write!(f, "jpeg is truncated"),
            Self::Segment { marker, problem } => write!(f, "jpeg segment ff{marker:02x}: {problem}"),
            Self::Unsupported { feature } => write!(f, "jpeg with {feature} is not supported: re-encode as baseline"),
            Self::MissingTable { kind, id } => write!(f, "jpeg scan uses {kind} table {id}, which is not defined"),
            Self::Corrupt { problem } => write!(f, "jpeg data is corrupt: {problem}"),
            Self::TooManyScans { limit } => write!(f, "jpeg has more than {limit} scans"),
        }
    }
}

impl std::error::Error for JpegError {}
