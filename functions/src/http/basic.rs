//! Name and password in `Authorization: Basic` (RFC 7617).

use super::error::ApiError;
use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use http::HeaderMap;
use zeroize::Zeroizing;

/// With or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// SFTPGo's header for a one-time code.
const CODE_HEADER: &str = "x-sftpgo-otp";
/// More than a name and a password may have.
const MAX_ENCODED: usize = 1024;

/// What a client shows to sign in. No Debug output.
pub struct Basic {
    /// The name.
    pub user: String,
    /// The password.
    pub password: Zeroizing<String>,
    /// The one-time code.
    pub code: Option<Zeroizing<String>>,
}

impl Basic {
    /// Reads it. Whatever is wrong with it is the same answer as a wrong password.
    pub fn read(headers: &HeaderMap) -> Result<Self, ApiError> {
        Self::parse(headers).ok_or_else(ApiError::not_signed_in)
    }

    fn parse(headers: &HeaderMap) -> Option<Self> {
        let mut all = headers.get_all(http::header::AUTHORIZATION).iter();
        let (Some(value), None) = (all.next(), all.next()) else { return None };
        let (scheme, encoded) = value.to_str().ok()?.trim().split_once(' ')?;
        let encoded = encoded.trim();
        if !scheme.eq_ignore_ascii_case("basic") || encoded.len() > MAX_ENCODED {
            return None;
        }
        let bytes = Zeroizing::new(BASE64.decode(encoded).ok()?);
        // a name holds no colon, a password may
        let (user, password) = std::str::from_utf8(&bytes).ok()?.split_once(':')?;
        let code =
            headers.get(CODE_HEADER).map(|code| code.to_str().map(|code| Zeroizing::new(code.trim().to_owned())));
        let code = code.transpose().ok()?.filter(|code| !code.is_empty());
        Some(Self { user: user.to_owned(), password: Zeroizing::new(password.to_owned()), code })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD;
    use http::HeaderValue;

    fn read(value: &str) -> Option<(String, String)> {
        let mut headers = HeaderMap::new();
        headers.insert(http::header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        Basic::read(&headers).ok().map(|basic| (basic.user, basic.password.to_string()))
    }

    #[test]
    fn a_password_may_hold_colons_and_other_alphabets() {
        let shown = |text: &str| read(&format!("Basic {}", STANDARD.encode(text)));
        let pair = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        assert_eq!(shown("ana:pass:word"), pair("ana", "pass:word"));
        assert_eq!(shown("ana:pässwörd"), pair("ana", "pässwörd"));
        assert_eq!(shown("ana:"), pair("ana", ""));
        assert_eq!(read("basic  YW5hOng"), pair("ana", "x"));
        assert_eq!(shown("ana"), None);
        for bad in ["", "Basic", "Basic ", "Basic !", "Bearer YW5hOng=", "YW5hOng="] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert_eq!(shown(&format!("a:{}", "x".repeat(2000))), None);
    }
}
