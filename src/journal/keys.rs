//! The keys of a journal: from the box key to what encrypts one record.
//!
//! ```text
//! box key (32 random bytes, in a file of its own)
//!   |- HKDF-SHA256, info "wardgate journal key id"  -> SHA-256 -> first 8 bytes: the key's id
//!   |- HKDF-SHA256, info "wardgate index hash key"  -> HMAC-SHA-256 of identities in the index
//!   '- HKDF-SHA256, salt = the segment's, info "wardgate journal record key" + stream
//!        '-> XChaCha20-Poly1305, 24 random bytes of nonce for each record
//! ```
//! A key is never shown, compared with another by its bytes, or written anywhere but to its file.

use std::fmt;
use std::path::Path;

use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use sha2::{Digest as _, Sha256};

use super::format::{Nonce, RECORD_HEADER_BYTES, associated};
use super::{Error, Failure};
use crate::vocabulary::StreamId;

/// How many bytes encryption adds to a payload: the Poly1305 tag.
pub(super) const SEAL_BYTES: usize = 16;
const KEY_BYTES: usize = 32;
/// A key file holds 64 digits and a line end; anything much larger is another file.
const KEY_FILE_BYTES_MAX: u64 = 256;
const ID_INFO: &[u8] = b"wardgate journal key id";
const INDEX_INFO: &[u8] = b"wardgate index hash key";
const RECORD_INFO: &[u8] = b"wardgate journal record key";

/// The key of this box.
///
/// ```
/// use wardgate::journal::BoxKey;
/// let digits = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
/// let key = BoxKey::parse(digits).unwrap();
/// assert_eq!(format!("{key:?}"), format!("BoxKey({})", key.id()));
/// assert!(BoxKey::parse("0001").is_err());
/// ```
#[derive(Clone)]
pub struct BoxKey([u8; KEY_BYTES]);

/// Why a file gives no key. Says nothing of what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyProblem {
    #[error("expected 64 hexadecimal digits, as `wardgate journal new-key` writes them")]
    Form,
    #[error("the key is all zeros")]
    Zero,
    #[error("others than its owner may read it: chmod 600")]
    Open,
    #[error("cannot be read: {0:?}")]
    Unreadable(std::io::ErrorKind),
}

impl BoxKey {
    /// From 64 hexadecimal digits; white space around them is ignored.
    ///
    /// # Errors
    /// Other text, or a key of zeros.
    pub fn parse(text: &str) -> Result<Self, KeyProblem> {
        let (pairs, rest) = text.trim().as_bytes().as_chunks::<2>();
        if pairs.len() != KEY_BYTES || !rest.is_empty() {
            return Err(KeyProblem::Form);
        }
        let mut key = Self([0; KEY_BYTES]);
        for (byte, [high, low]) in key.0.iter_mut().zip(pairs) {
            let digit = |digit: &u8| char::from(*digit).to_digit(16).ok_or(KeyProblem::Form);
            *byte = (digit(high)? << 4 | digit(low)?) as u8;
        }
        if key.0 == [0; KEY_BYTES] { Err(KeyProblem::Zero) } else { Ok(key) }
    }

    /// From a key file.
    ///
    /// # Errors
    /// It cannot be read, everybody may read it, or it holds no key.
    pub fn read(file: &Path) -> Result<Self, KeyProblem> {
        use std::io::Read as _;
        use std::os::unix::fs::PermissionsExt as _;
        let unreadable = |error: std::io::Error| KeyProblem::Unreadable(error.kind());
        let open = std::fs::File::open(file).map_err(unreadable)?;
        let about = open.metadata().map_err(unreadable)?;
        if about.permissions().mode() & 0o007 != 0 {
            return Err(KeyProblem::Open);
        }
        let mut text = String::with_capacity(KEY_FILE_BYTES_MAX as usize);
        open.take(KEY_FILE_BYTES_MAX).read_to_string(&mut text).map_err(unreadable)?;
        let key = Self::parse(&text);
        wipe(text.into_bytes().as_mut_slice());
        key
    }

    /// A new key.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn random() -> Result<Self, Error> {
        let mut key = Self([0; KEY_BYTES]);
        getrandom::fill(&mut key.0).map_err(|_| Error::NoRandom)?;
        Ok(key)
    }

    /// What a key file holds. Whoever gets this writes it to a file that only its owner may read.
    pub fn file_text(&self) -> String {
        let mut text: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        text.push('\n');
        text
    }

    /// What a key is called. Says nothing about the key.
    pub fn id(&self) -> KeyId {
        let mut derived = [0; KEY_BYTES];
        self.derive(&[], &[ID_INFO], &mut derived);
        let digest: [u8; 32] = Sha256::digest(derived).into();
        KeyId(*digest.first_chunk().expect("a digest has 32 bytes"))
    }

    /// What the index hashes identities with. Says nothing about the key.
    pub fn index_key(&self) -> [u8; KEY_BYTES] {
        let mut derived = [0; KEY_BYTES];
        self.derive(&[], &[INDEX_INFO], &mut derived);
        derived
    }

    fn derive(&self, salt: &[u8], info: &[&[u8]], into: &mut [u8; KEY_BYTES]) {
        let drawn = Salt::new(HKDF_SHA256, salt).extract(&self.0);
        let expanded = drawn.expand(info, OneKey).and_then(|key| key.fill(into));
        expanded.expect("32 bytes are fewer than HKDF-SHA256 gives");
    }
}

impl fmt::Debug for BoxKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BoxKey({})", self.id())
    }
}

impl Drop for BoxKey {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// Overwrites what is no longer needed; the black box keeps the compiler from leaving it out.
fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    std::hint::black_box(bytes);
}

struct OneKey;

impl KeyType for OneKey {
    fn len(&self) -> usize {
        KEY_BYTES
    }
}

/// What a key is called: 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyId([u8; 8]);

impl KeyId {
    pub(super) const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    pub(super) const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The key that new segments get, and those that older ones may still need.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// `None`: new segments are not encrypted.
    pub current: Option<BoxKey>,
    pub previous: Vec<BoxKey>,
}

impl Keys {
    /// One key and no older ones.
    pub fn of(key: BoxKey) -> Self {
        Self { current: Some(key), previous: Vec::new() }
    }

    /// What these keys are called, the current one first.
    pub fn ids(&self) -> Vec<KeyId> {
        self.all().map(BoxKey::id).collect()
    }

    fn all(&self) -> impl Iterator<Item = &BoxKey> {
        self.current.iter().chain(&self.previous)
    }

    /// What opens the records of a segment with this seal.
    pub(super) fn record_key(&self, stream: StreamId, seal: &Seal) -> Option<RecordKey> {
        let key = self.all().find(|key| key.id() == seal.key)?;
        Some(RecordKey::new(key, stream, &seal.salt))
    }

    /// A seal for a new segment, if there is a current key.
    pub(super) fn new_seal(&self) -> Result<Option<Seal>, Failure> {
        let Some(key) = &self.current else { return Ok(None) };
        let mut seal = Seal { salt: [0; 32], key: key.id() };
        random(&mut seal.salt)?;
        Ok(Some(seal))
    }
}

/// How a segment's records are encrypted; stands in its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seal {
    pub salt: [u8; 32],
    pub key: KeyId,
}

/// What encrypts and opens the records of one segment.
#[derive(Clone)]
pub(super) struct RecordKey(XChaCha20Poly1305);

impl RecordKey {
    pub fn new(key: &BoxKey, stream: StreamId, salt: &[u8; 32]) -> Self {
        let mut derived = [0; KEY_BYTES];
        key.derive(salt, &[RECORD_INFO, stream.as_bytes()], &mut derived);
        let cipher = XChaCha20Poly1305::new(&derived.into());
        wipe(&mut derived);
        Self(cipher)
    }

    /// The payload as it is stored.
    pub fn seal(
        &self,
        header: &[u8; RECORD_HEADER_BYTES],
        nonce: &Nonce,
        payload: &[u8],
    ) -> Option<Vec<u8>> {
        let aad = associated(header);
        self.0.encrypt(&XNonce::from(*nonce), Payload { msg: payload, aad: &aad }).ok()
    }

    /// The payload as it was handed over; `None`: not sealed with this key, or altered.
    pub fn open(
        &self,
        header: &[u8; RECORD_HEADER_BYTES],
        nonce: &Nonce,
        stored: &[u8],
    ) -> Option<Vec<u8>> {
        let aad = associated(header);
        self.0.decrypt(&XNonce::from(*nonce), Payload { msg: stored, aad: &aad }).ok()
    }
}

/// Random bytes for salts and nonces.
pub(super) fn random(into: &mut [u8]) -> Result<(), Failure> {
    getrandom::fill(into)
        .map_err(|_| Failure { during: "drawing random bytes", kind: std::io::ErrorKind::Other })
}
