//! Who opens a link: a browser with somebody before it, a program such as curl, or something that only looks ahead for somebody who
//! may come, which costs no access and sees nothing.

/// Who.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visitor {
    /// Somebody at a browser.
    Browser,
    /// A program that wants the file.
    Program,
    /// A preview in a chat, or a crawler.
    Preview,
    /// A browser that fetches ahead of its user.
    Prefetch,
}

/// What of a request tells it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asks<'a> {
    /// `Accept`.
    pub accept: &'a str,
    /// `User-Agent`.
    pub user_agent: &'a str,
    /// `Sec-Purpose`, `Purpose` or `X-Moz`.
    pub purpose: &'a str,
    /// Whether it brings something or does something: nobody does that ahead of somebody else.
    pub acts: bool,
}

/// What programs that unfurl links or crawl call themselves, in small letters: words, and what words end in.
const PREVIEWS: [&str; 10] = [
    "facebookexternalhit",
    "whatsapp",
    "slack-imgproxy",
    "embedly",
    "skypeuripreview",
    "vkshare",
    "iframely",
    "outbrain",
    "nuzzel",
    "google-safety",
];
const PREVIEW_ENDS: [&str; 4] = ["bot", "crawler", "spider", "preview"];
/// Phones of that name are no robots.
const NO_BOTS: [&str; 1] = ["cubot"];

impl Asks<'_> {
    /// Who it is, as far as it says so.
    pub fn visitor(&self) -> Visitor {
        let agent = self.user_agent.to_ascii_lowercase();
        let purpose = self.purpose.to_ascii_lowercase();
        let mut words = agent.split(|one: char| !one.is_ascii_alphanumeric() && one != '-');
        let looks_ahead = |word: &str| {
            PREVIEWS.contains(&word)
                || (!NO_BOTS.contains(&word)
                    && word.split('-').any(|part| PREVIEW_ENDS.iter().any(|end| part.ends_with(end))))
        };
        if !self.acts && (purpose.contains("prefetch") || purpose.contains("preview")) {
            Visitor::Prefetch
        } else if !self.acts && words.any(looks_ahead) {
            Visitor::Preview
        } else if self.accept.to_ascii_lowercase().contains("text/html") {
            Visitor::Browser
        } else {
            Visitor::Program
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks() {
        let who = |accept, user_agent, purpose| Asks { accept, user_agent, purpose, acts: false }.visitor();
        let html = "text/html,application/xhtml+xml,*/*;q=0.8";
        let chrome =
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";
        assert_eq!(who(html, chrome, ""), Visitor::Browser);
        assert_eq!(who(html, chrome, "prefetch;prerender"), Visitor::Prefetch);
        for program in ["curl/8.14.1", "Wget/1.25.0", "python-requests/2.32", "aria2/1.37", ""] {
            assert_eq!(who("*/*", program, ""), Visitor::Program, "{program}");
        }
        for preview in [
            "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
            "facebookexternalhit/1.1",
            "WhatsApp/2.23",
            "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
            "TelegramBot (like TwitterBot)",
            "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5",
        ] {
            assert_eq!(who("*/*", preview, ""), Visitor::Preview, "{preview}");
            assert_eq!(who(html, preview, ""), Visitor::Preview, "{preview}");
        }
        // somebody with a phone of that name, in an application that has a crawler, too
        for person in [
            "Mozilla/5.0 (Linux; Android 12; CUBOT P60) AppleWebKit/537.36 Chrome/120.0 Mobile Safari/537.36",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 [Pinterest/iOS]",
        ] {
            assert_eq!(who(html, person, ""), Visitor::Browser, "{person}");
        }
        let brings = Asks { accept: "*/*", user_agent: "acme-upload-bot/1.0", purpose: "prefetch", acts: true };
        assert_eq!(brings.visitor(), Visitor::Program);
    }
}
