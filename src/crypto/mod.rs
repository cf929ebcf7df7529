//! Keys, AEAD, signatures and digests.

pub mod identity;
pub mod known_keys;
pub mod prompt;
pub mod recipient;
pub mod sshsig;
