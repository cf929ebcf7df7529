//! Keys, AEAD, signatures and digests.
