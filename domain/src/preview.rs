//! Which files a browser may show. Everything else is saved: a page or a drawing with scripts that somebody has uploaded must not
//! run where it is looked at.

/// The media type that a file of this name may be shown as: pictures, sound, films, PDF and plain text. Never HTML, SVG or XML.
pub fn shown_as(name: &str) -> Option<&'static str> {
    let (_, ending) = name.rsplit_once('.')?;
    match ending.to_ascii_lowercase().as_str() {
        "png" => Some("image/png"),
        "jpg" | "jpeg" => Some("image/jpeg"),
        "gif" => Some("image/gif"),
        "webp" => Some("image/webp"),
        "avif" => Some("image/avif"),
        "pdf" => Some("application/pdf"),
        "txt" | "log" | "csv" | "md" => Some("text/plain; charset=utf-8"),
        "mp3" => Some("audio/mpeg"),
        "m4a" => Some("audio/mp4"),
        "mp4" | "m4v" => Some("video/mp4"),
        "webm" => Some("video/webm"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::shown_as;

    #[test]
    fn what_may_run_is_not_shown() {
        for name in
            ["a.html", "a.HTM", "a.svg", "a.xml", "a.xhtml", "a.js", "a.pdf.html", "html", "a.", "a.mht", "a.swf"]
        {
            assert_eq!(shown_as(name), None, "{name}");
        }
        assert_eq!(shown_as("a.html.PNG"), Some("image/png"));
    }
}
