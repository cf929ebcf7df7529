//! CERT: the host's word that this session is its own, signed with its SSH key.
//!
//! The statement is plain text, so that `ssh-keygen -Y verify` checks it with what a fleet already has. It binds the
//! header, the key slots and the public key of the first checkpoint.

use super::error::Error;
use super::frame::Fields;
use super::limits;
use crate::crypto::digest::{hex, unhex};

/// Namespace of the signature.
pub const NAMESPACE: &str = "sealcast-session@v1";
const TITLE: &str = "sealcast session v1";

/// What the host states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Host name.
    pub host: String,
    /// Session id, hexadecimal.
    pub session: String,
    /// SHA-256 of the whole HEADER chunk.
    pub header: [u8; 32],
    /// SHA-256 of the whole KEYS chunk.
    pub keys: [u8; 32],
    /// Ed25519 public key of the first checkpoint.
    pub first: [u8; 32],
    /// Head of the store's ledger; empty when there is none.
    pub ledger: String,
}

impl Statement {
    /// The exact text that is signed.
    pub fn text(&self) -> String {
        format!(
            "{TITLE}\nhost: {}\nsession: {}\nheader-sha256: {}\nkeys-sha256: {}\nfirst-checkpoint: {}\nledger-head: {}\n",
            crate::text::escaped(&self.host),
            self.session,
            hex(&self.header),
            hex(&self.keys),
            hex(&self.first),
            if self.ledger.is_empty() { "-" } else { &self.ledger },
        )
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        if lines.next()? != TITLE {
            return None;
        }
        let mut value = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(": ");
        let statement = Self {
            host: value("host")?.to_owned(),
            session: value("session")?.to_owned(),
            header: digits(value("header-sha256")?)?,
            keys: digits(value("keys-sha256")?)?,
            first: digits(value("first-checkpoint")?)?,
            ledger: Some(value("ledger-head")?).filter(|l| *l != "-").unwrap_or_default().to_owned(),
        };
        lines.next().is_none().then_some(statement)
    }
}

/// Of these digits, which are lower-case: the statement is one text, and no other is taken for it.
fn digits(text: &str) -> Option<[u8; 32]> {
    unhex(text).filter(|bytes| hex(bytes) == text)
}

/// A statement and its signature, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The text that is signed, byte for byte.
    pub text: String,
    /// What it says.
    pub statement: Statement,
    /// Armored SSH signature (OpenSSH PROTOCOL.sshsig).
    pub signature: String,
}

/// Body of a CERT chunk.
pub(crate) fn encode(text: &str, signature: &str) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
    body.extend_from_slice(text.as_bytes());
    body.extend_from_slice(signature.as_bytes());
    body
}

/// Reads a CERT body that stands at `offset`. The signature is not checked here.
pub(crate) fn parse(body: &[u8], offset: u64) -> Result<Certificate, Error> {
    let parsed = (|| {
        let mut fields = Fields(body);
        let len = usize::try_from(fields.u32()?).ok().filter(|n| *n <= limits::STATEMENT)?;
        let text = std::str::from_utf8(fields.bytes(len)?).ok()?.to_owned();
        let signature =
            std::str::from_utf8(fields.0).ok().filter(|s| s.len() <= limits::STATEMENT)?.to_owned();
        let statement = Statement::parse(&text)?;
        Some(Certificate { text, statement, signature })
    })();
    parsed.ok_or_else(|| Error::format(offset, 2, "the certificate is not a statement and a signature"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_comes_back_and_nothing_else_is_taken_for_one() {
        let statement = Statement {
            host: "web-3".into(),
            session: "ab".repeat(16),
            header: [1; 32],
            keys: [2; 32],
            first: [3; 32],
            ledger: String::new(),
        };
        let body = encode(&statement.text(), "SIG");
        let read = parse(&body, 0).unwrap();
        assert_eq!((read.statement.clone(), read.signature.as_str()), (statement.clone(), "SIG"));
        let longer = statement.text() + "more: x\n";
        assert!(parse(&encode(&longer, "SIG"), 0).is_err());
        assert!(parse(&body[..40], 0).is_err());
        // Of digits there is one way to write them.
        for name in ["header-sha256", "keys-sha256", "first-checkpoint"] {
            let digits =
                Statement { header: [0xab; 32], keys: [0xab; 32], first: [0xab; 32], ..statement.clone() };
            let lower = format!("{name}: {}", "ab".repeat(32));
            let text = digits.text().replace(&lower, &lower.replace("ab", "AB"));
            assert!(text.contains("AB") && parse(&encode(&text, "SIG"), 0).is_err(), "{text}");
            assert!(parse(&encode(&digits.text(), "SIG"), 0).is_ok());
        }
        let sly = Statement { host: "a\nsession: evil".into(), ..statement };
        assert!(parse(&encode(&sly.text(), ""), 0).unwrap().statement.host.contains("\\n"));
    }
}
