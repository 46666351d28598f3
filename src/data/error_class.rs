//! What a caller can do about an error; each class has one exit code.

/// Classes of failure, as the exit codes of `docs/operations.md` tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// The command line makes no sense.
    Usage,
    /// The quality gate failed; nothing was published.
    Gate,
    /// The input data are bad, or model and index do not fit.
    BadInput,
    /// An input does not exist.
    NotFound,
    /// A service that is needed does not answer.
    Unavailable,
    /// A defect of tuwen itself.
    Internal,
    /// Another run holds the lock or published first.
    Conflict,
    /// The local disk failed or is full.
    LocalIo,
    /// Passing trouble with store or device; the run can be resumed.
    Temporary,
    /// Credentials or permission.
    Permission,
    /// The pipeline file is invalid.
    InvalidSpec,
    /// SIGINT: stopped in order.
    Interrupted,
    /// SIGTERM: stopped in order.
    Terminated,
}

impl ErrorClass {
    /// The process exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Usage => 2,
            Self::Gate => 3,
            Self::BadInput => 65,
            Self::NotFound => 66,
            Self::Unavailable => 69,
            Self::Internal => 70,
            Self::Conflict => 73,
            Self::LocalIo => 74,
            Self::Temporary => 75,
            Self::Permission => 77,
            Self::InvalidSpec => 78,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// The class of an error of the operating system.
    pub fn of_io(error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::NotFound,
            std::io::ErrorKind::PermissionDenied => Self::Permission,
            // What a network broke, or what was cut off: a source that is streamed can do both.
            std::io::ErrorKind::ConnectionAborted => Self::Temporary,
            std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::InvalidData | std::io::ErrorKind::InvalidInput => {
                Self::BadInput
            }
            _ => Self::LocalIo,
        }
    }
}
