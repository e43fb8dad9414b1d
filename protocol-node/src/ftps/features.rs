//! What the server can do and how it is told to: FEAT, OPTS (RFC 2389), TYPE, MODE, STRU, STAT, HELP (RFC 959).

use super::command::Algorithm;
use super::reply::{self, Reply};
use super::session::Session;
use super::text::Facts;

impl Session {
    pub(super) fn features(&self) -> Reply {
        let star = |algorithm| if self.algorithm == algorithm { "*" } else { "" };
        let hash = format!(
            "HASH SHA-256{};MD5{};CRC32{}",
            star(Algorithm::Sha256),
            star(Algorithm::Md5),
            star(Algorithm::Crc32)
        );
        let mlst = self.facts.feature();
        let features = [
            "AUTH TLS",
            "EPSV",
            &hash,
            "MDTM",
            "MFMT",
            &mlst,
            "PBSZ",
            "PROT",
            "REST STREAM",
            "SIZE",
            "TVFS",
            "UTF8",
            "XCRC",
            "XMD5",
            "XSHA256",
        ];
        Reply::lines(211, "Features:".to_owned(), features.map(str::to_owned).to_vec())
    }

    pub(super) fn option(&mut self, text: &str) -> Reply {
        let (name, value) = text.split_once(' ').unwrap_or((text, ""));
        match name.to_ascii_uppercase().as_str() {
            // names are UTF-8 and nothing else
            "UTF8" | "UTF-8" if !value.trim().eq_ignore_ascii_case("off") => reply::OK,
            "MLST" => {
                self.facts = Facts::chosen(value);
                Reply::with(200, format!("MLST OPTS {}", self.facts.names()))
            }
            "HASH" => {
                match value.trim().to_ascii_uppercase().as_str() {
                    "" => {}
                    "SHA-256" => self.algorithm = Algorithm::Sha256,
                    "MD5" => self.algorithm = Algorithm::Md5,
                    "CRC32" => self.algorithm = Algorithm::Crc32,
                    _ => return reply::OPTION_UNKNOWN,
                }
                Reply::new(200, self.algorithm.name())
            }
            _ => reply::OPTION_UNKNOWN,
        }
    }

    /// A and I mean the same here: nothing is converted, a file is its bytes.
    pub(super) fn kind(&self, kind: &str) -> Reply {
        match kind {
            "A" | "A N" | "I" | "L 8" => reply::OK,
            _ => reply::TYPE_UNKNOWN,
        }
    }

    pub(super) fn mode(&self, mode: &str) -> Reply {
        if mode == "S" { reply::OK } else { reply::MODE_UNKNOWN }
    }

    pub(super) fn structure(&self, structure: &str) -> Reply {
        if structure == "F" { reply::OK } else { reply::STRU_UNKNOWN }
    }

    pub(super) fn help(&self) -> Reply {
        let words = [
            "ABOR ACCT ALLO APPE AUTH CDUP CWD DELE EPSV FEAT HASH HELP LIST MDTM MFMT MKD MLSD MLST",
            "MODE NLST NOOP OPTS PASS PASV PBSZ PROT PWD QUIT REST RETR RMD RNFR RNTO SIZE STAT",
            "STOR STOU STRU SYST TYPE USER XCRC XMD5 XSHA256",
        ];
        Reply::lines(214, "Commands:".to_owned(), words.map(str::to_owned).to_vec())
    }

    /// STAT without a path. `moved`: the bytes of the job under way.
    pub(super) fn status(&self, moved: Option<u64>) -> Reply {
        let what = match moved {
            Some(bytes) => format!("A transfer is under way, {bytes} bytes so far"),
            None => "No transfer is under way".to_owned(),
        };
        Reply::lines(211, "Towpath".to_owned(), vec![format!("Folder {}", self.folder), what])
    }
}
