//! Times as text, where an API wants them so.

use crate::time::Timestamp;
use time::OffsetDateTime;
use time::macros::format_description;

/// `2020-10-26T07:19:26.908Z`; `None` for a time that no calendar here holds.
pub fn millis(at: Timestamp) -> Option<String> {
    let nanos = i128::from(at.millis()) * 1_000_000;
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()?.format(format).ok()
}

/// `2020-10-26T07:19:26Z`, as SFTPGo's clients parse it; `None` for a time that no calendar here holds.
pub fn seconds(at: Timestamp) -> Option<String> {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    OffsetDateTime::from_unix_timestamp(at.seconds()).ok()?.format(format).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_milliseconds_and_a_z() {
        let text = millis(Timestamp::from_millis(1_603_696_766_908));
        assert_eq!(text.as_deref(), Some("2020-10-26T07:19:26.908Z"));
        assert_eq!(millis(Timestamp::from_millis(i64::MAX)), None);
        assert_eq!(seconds(Timestamp::from_millis(1_603_696_766_908)).as_deref(), Some("2020-10-26T07:19:26Z"));
    }
}
