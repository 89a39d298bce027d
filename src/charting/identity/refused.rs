//! Why somebody is not let in, as words and HTTP statuses. No text of a token is in it.

use crate::vocabulary::role::May;

/// Why a request is refused. [`Refused::status`] and [`Refused::code`] are what the phone gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
pub enum Refused {
    #[error("no token: the request has no Authorization header that we know")]
    TokenMissing,
    #[error("the token is too long")]
    TokenTooLong,
    #[error("the token is not a JSON web token in compact form")]
    TokenMalformed,
    #[error("the token names a signature algorithm that is not allowed here")]
    TokenAlgorithm,
    #[error("the token's header holds a member that may not be there")]
    TokenHeader,
    #[error("the token is not an access token")]
    TokenType,
    #[error("the token names a key that the provider does not have")]
    TokenKeyUnknown,
    #[error("the token's signature does not fit")]
    TokenSignature,
    #[error("the token lacks a claim, or has one of the wrong kind")]
    TokenClaim(&'static str),
    #[error("the token comes from another issuer")]
    TokenIssuer,
    #[error("the token is for another audience")]
    TokenAudience,
    #[error("the token is over")]
    TokenExpired,
    #[error("the token is from the future")]
    TokenEarly,
    #[error("the token lives longer than is allowed here")]
    TokenLifetime,
    #[error("the token was given to another application")]
    TokenClient,
    #[error("the token lacks the scope that is asked for here")]
    TokenScope,
    #[error("the sign-in behind the token is too long ago")]
    TokenAuthTime,
    #[error("the token is bound to another key, or in a way that cannot be proven here")]
    TokenBinding,
    #[error("the token has opened a session of another phone")]
    TokenUsed,
    #[error("the token belongs to another person than the session")]
    TokenPerson,
    #[error("only a shift session or a system's own token is accepted here")]
    TokenNoSession,
    #[error("no proof of the phone's key")]
    ProofMissing,
    #[error("the proof of the phone's key does not fit the request")]
    ProofWrong,
    #[error("the proof's time is not now; correct the phone's time by the answer's and try again")]
    ProofTime,
    #[error("the proof was used before")]
    ProofReplayed,
    #[error("no such session")]
    SessionUnknown,
    #[error("the session is over")]
    SessionEnded,
    #[error("the session was ended by the operator")]
    SessionRevoked,
    #[error("the provider has to vouch for this session again: sign in")]
    SessionUnverified,
    #[error("none of the person's roles is known here")]
    NoRole,
    #[error("this role may not {}", .0.word())]
    Role(May),
    #[error("the patient is not on a ward of this person: state a reason")]
    CareRelationship,
    #[error("while the identity provider is out of reach nobody may {}", .0.word())]
    Offline(May),
    #[error("who this is cannot be proven: the identity provider is out of reach for too long")]
    IdentityUnavailable,
    #[error("the box's disk did not take the session")]
    NotKept,
    #[error("too many requests")]
    TooMany { retry_after_s: u32 },
}

impl Refused {
    /// The HTTP status.
    pub const fn status(self) -> u16 {
        match self {
            Self::TokenMissing
            | Self::TokenTooLong
            | Self::TokenMalformed
            | Self::TokenAlgorithm
            | Self::TokenHeader
            | Self::TokenType
            | Self::TokenKeyUnknown
            | Self::TokenSignature
            | Self::TokenClaim(_)
            | Self::TokenIssuer
            | Self::TokenAudience
            | Self::TokenExpired
            | Self::TokenEarly
            | Self::TokenLifetime
            | Self::TokenClient
            | Self::TokenScope
            | Self::TokenAuthTime
            | Self::TokenBinding
            | Self::TokenUsed
            | Self::TokenPerson
            | Self::TokenNoSession
            | Self::ProofMissing
            | Self::ProofWrong
            | Self::ProofTime
            | Self::ProofReplayed
            | Self::SessionUnknown
            | Self::SessionEnded
            | Self::SessionRevoked
            | Self::SessionUnverified => 401,
            Self::NoRole | Self::Role(_) | Self::CareRelationship | Self::Offline(_) => 403,
            Self::IdentityUnavailable | Self::NotKept => 503,
            Self::TooMany { .. } => 429,
        }
    }

    /// The `error` of the answer.
    pub const fn code(self) -> &'static str {
        match self {
            Self::TokenMissing => "token-missing",
            Self::TokenTooLong => "token-too-long",
            Self::TokenMalformed => "token-malformed",
            Self::TokenAlgorithm => "token-algorithm",
            Self::TokenHeader => "token-header",
            Self::TokenType => "token-type",
            Self::TokenKeyUnknown => "token-key-unknown",
            Self::TokenSignature => "token-signature",
            Self::TokenClaim(_) => "token-claim",
            Self::TokenIssuer => "token-issuer",
            Self::TokenAudience => "token-audience",
            Self::TokenExpired => "token-expired",
            Self::TokenEarly => "token-early",
            Self::TokenLifetime => "token-lifetime",
            Self::TokenClient => "token-client",
            Self::TokenScope => "token-scope",
            Self::TokenAuthTime => "token-sign-in-old",
            Self::TokenBinding => "token-binding",
            Self::TokenUsed => "token-used",
            Self::TokenPerson => "token-person",
            Self::TokenNoSession => "token-no-session",
            Self::ProofMissing => "token-proof-missing",
            Self::ProofWrong => "token-proof",
            Self::ProofTime => "token-proof-time",
            Self::ProofReplayed => "token-proof-replayed",
            Self::SessionUnknown => "token-session-unknown",
            Self::SessionEnded => "token-session-ended",
            Self::SessionRevoked => "token-session-revoked",
            Self::SessionUnverified => "token-session-unverified",
            Self::NoRole | Self::Role(_) => "role",
            Self::CareRelationship => "care-relationship",
            Self::Offline(_) => "offline",
            Self::IdentityUnavailable => "identity-unavailable",
            Self::NotKept => "not-kept",
            Self::TooMany { .. } => "too-many-requests",
        }
    }

    /// The seconds of a `Retry-After` header.
    pub const fn retry_after_s(self) -> Option<u32> {
        if let Self::TooMany { retry_after_s } = self { Some(retry_after_s) } else { None }
    }
}
