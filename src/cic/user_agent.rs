//! CIC's User-Agent grammar (transport 4).

/// Why a text is no User-Agent that CIC accepts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidUserAgent(pub String);

/// Checks a User-Agent; the error says what is wrong and where.
///
/// # Errors
/// When the text does not follow the grammar.
pub fn check(_text: &str) -> Result<(), InvalidUserAgent> {
    unimplemented!()
}
