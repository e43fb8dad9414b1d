//! Command lines into commands: RFC 959 (section 4.1), 775 (X commands), 2228 and 4217 (security), 2389 (FEAT, OPTS),
//! 2428 (EPSV, EPRT), 3659 (SIZE, MDTM, MLST, MLSD, REST), draft-bryan-ftp-hash (HASH), draft-somers-ftp-mfxx (MFMT).
//!
//! Pure. The words of a command are not told apart by case; telnet sequences (RFC 854), which clients send before ABOR,
//! are taken out. An argument begins after one space and goes to the end of the line: names may hold spaces.

use zeroize::Zeroizing;

/// A path as sent.
pub(crate) type RawPath = Vec<u8>;

/// A password as sent. Has no `Debug`.
#[derive(PartialEq, Eq)]
pub(crate) struct Password(pub(crate) Zeroizing<String>);

/// A way to sum up a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// What HASH answers unless something else was chosen.
    Sha256,
    Md5,
    Crc32,
}

/// What EPSV asks for (RFC 2428, section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Epsv {
    /// The family of the control connection.
    Any,
    /// 1 is IPv4, 2 is IPv6.
    Family(u8),
    /// From now on only EPSV.
    All,
}

/// One command.
#[derive(PartialEq, Eq)]
pub(crate) enum Command {
    // login
    User(String),
    Pass(Password),
    Acct,
    Auth(String),
    Pbsz,
    Prot(u8),
    Ccc,
    // features
    Feat,
    Opts(String),
    Syst,
    Type(String),
    Mode(String),
    Stru(String),
    Noop,
    Help,
    Site,
    Allo,
    Stat(Option<RawPath>),
    Quit,
    // folders
    Pwd,
    Cwd(RawPath),
    Cdup,
    Mkd(RawPath),
    Rmd(RawPath),
    // changes
    Dele(RawPath),
    Rnfr(RawPath),
    Rnto(RawPath),
    // facts
    Size(RawPath),
    Mdtm(RawPath),
    Mfmt(RawPath),
    Mlst(Option<RawPath>),
    /// `None`: the one that OPTS chose. The range is that of XCRC and its kin.
    Hash {
        algorithm: Option<Algorithm>,
        path: RawPath,
        range: Option<(u64, u64)>,
    },
    // listings
    List(Option<RawPath>),
    Nlst(Option<RawPath>),
    Mlsd(Option<RawPath>),
    // transfers
    Pasv,
    Epsv(Epsv),
    /// PORT and EPRT.
    Port,
    Retr(RawPath),
    Stor(RawPath),
    Stou,
    Appe(RawPath),
    Rest(u64),
    Abor,
    /// One that is known and not offered.
    NotOffered,
}

/// What is no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// No word, or none of FTP.
    Unknown,
    /// The argument is missing or makes no sense.
    Argument,
}

/// Parses a line without its end.
pub(crate) fn parse(line: &[u8]) -> Result<Command, Malformed> {
    let line = without_telnet(line);
    let (word, rest) = match line.iter().position(|byte| *byte == b' ') {
        Some(at) => (line.get(..at).unwrap_or_default(), line.get(at + 1..)),
        None => (&line[..], None),
    };
    let rest = rest.filter(|rest| !rest.is_empty());
    let word = word.to_ascii_uppercase();
    let raw = || rest.map(<[u8]>::to_vec).ok_or(Malformed::Argument);
    let text = || Ok(String::from_utf8_lossy(rest.ok_or(Malformed::Argument)?).trim().to_owned());
    Ok(match &word[..] {
        b"USER" => Command::User(text()?),
        b"PASS" => Command::Pass(Password(Zeroizing::new(
            String::from_utf8(rest.unwrap_or_default().to_vec()).map_err(|_| Malformed::Argument)?,
        ))),
        b"ACCT" => Command::Acct,
        b"AUTH" => Command::Auth(text()?.to_ascii_uppercase()),
        b"PBSZ" => number(rest).map(|_| Command::Pbsz)?,
        b"PROT" => Command::Prot(letter(rest)?),
        b"CCC" => Command::Ccc,
        b"FEAT" => Command::Feat,
        b"OPTS" => Command::Opts(text()?),
        b"SYST" => Command::Syst,
        b"TYPE" => Command::Type(text()?.to_ascii_uppercase()),
        b"MODE" => Command::Mode(text()?.to_ascii_uppercase()),
        b"STRU" => Command::Stru(text()?.to_ascii_uppercase()),
        b"NOOP" => Command::Noop,
        b"HELP" => Command::Help,
        b"SITE" => Command::Site,
        b"ALLO" => Command::Allo,
        b"STAT" => Command::Stat(without_options(rest)),
        b"QUIT" => Command::Quit,
        b"PWD" | b"XPWD" => Command::Pwd,
        b"CWD" | b"XCWD" => Command::Cwd(raw()?),
        b"CDUP" | b"XCUP" => Command::Cdup,
        b"MKD" | b"XMKD" => Command::Mkd(raw()?),
        b"RMD" | b"XRMD" => Command::Rmd(raw()?),
        b"DELE" => Command::Dele(raw()?),
        b"RNFR" => Command::Rnfr(raw()?),
        b"RNTO" => Command::Rnto(raw()?),
        b"SIZE" => Command::Size(raw()?),
        b"MDTM" => Command::Mdtm(raw()?),
        b"MFMT" => Command::Mfmt(raw()?),
        b"MLST" => Command::Mlst(rest.map(<[u8]>::to_vec)),
        b"HASH" => Command::Hash { algorithm: None, path: raw()?, range: None },
        b"XCRC" => hash(Algorithm::Crc32, rest)?,
        b"XMD5" => hash(Algorithm::Md5, rest)?,
        b"XSHA256" => hash(Algorithm::Sha256, rest)?,
        b"LIST" => Command::List(without_options(rest)),
        b"NLST" => Command::Nlst(without_options(rest)),
        b"MLSD" => Command::Mlsd(rest.map(<[u8]>::to_vec)),
        b"PASV" => Command::Pasv,
        b"EPSV" => Command::Epsv(epsv(rest)?),
        b"PORT" | b"EPRT" => Command::Port,
        b"RETR" => Command::Retr(raw()?),
        b"STOR" => Command::Stor(raw()?),
        b"STOU" => Command::Stou,
        b"APPE" => Command::Appe(raw()?),
        b"REST" => Command::Rest(number(rest)?),
        b"ABOR" => Command::Abor,
        b"REIN" | b"SMNT" | b"ADAT" | b"MIC" | b"CONF" | b"ENC" | b"LPRT" | b"LPSV" | b"LANG" | b"HOST" | b"MFCT"
        | b"MFF" | b"CLNT" | b"RANG" | b"XSHA" | b"XSHA1" | b"XSHA512" => Command::NotOffered,
        _ => return Err(Malformed::Unknown),
    })
}

/// Telnet's commands (RFC 854): IAC and one byte, for options IAC and two; a doubled IAC is the byte itself.
fn without_telnet(line: &[u8]) -> Vec<u8> {
    const IAC: u8 = 255;
    if !line.contains(&IAC) {
        return line.to_vec();
    }
    let mut kept = Vec::with_capacity(line.len());
    let mut bytes = line.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != IAC {
            kept.push(byte);
            continue;
        }
        match bytes.next() {
            Some(IAC) => kept.push(IAC),
            Some(251..=254) => drop(bytes.next()),
            Some(_) | None => {}
        }
    }
    kept
}

/// Clients send options of `ls` with LIST; they are skipped. A name that begins with `-` is reached by `./-name`.
fn without_options(mut rest: Option<&[u8]>) -> Option<RawPath> {
    while let Some(options) = rest.filter(|rest| rest.first() == Some(&b'-')) {
        rest = options.iter().position(|byte| *byte == b' ').and_then(|at| options.get(at + 1..));
    }
    rest.filter(|rest| !rest.is_empty()).map(<[u8]>::to_vec)
}

fn number(rest: Option<&[u8]>) -> Result<u64, Malformed> {
    let text = std::str::from_utf8(rest.unwrap_or_default()).map_err(|_| Malformed::Argument)?.trim();
    // `parse` alone would take a sign
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Malformed::Argument);
    }
    text.parse().map_err(|_| Malformed::Argument)
}

fn letter(rest: Option<&[u8]>) -> Result<u8, Malformed> {
    match rest.unwrap_or_default().trim_ascii() {
        [letter] => Ok(letter.to_ascii_uppercase()),
        _ => Err(Malformed::Argument),
    }
}

fn epsv(rest: Option<&[u8]>) -> Result<Epsv, Malformed> {
    match rest.unwrap_or_default().trim_ascii().to_ascii_uppercase().as_slice() {
        b"" => Ok(Epsv::Any),
        b"ALL" => Ok(Epsv::All),
        [digit @ b'0'..=b'9'] => Ok(Epsv::Family(digit - b'0')),
        _ => Err(Malformed::Argument),
    }
}

/// `XCRC path`, or `XCRC "path" [start end]`.
fn hash(algorithm: Algorithm, rest: Option<&[u8]>) -> Result<Command, Malformed> {
    let rest = rest.ok_or(Malformed::Argument)?;
    let algorithm = Some(algorithm);
    let Some(quoted) = rest.strip_prefix(b"\"") else {
        return Ok(Command::Hash { algorithm, path: rest.to_vec(), range: None });
    };
    let end = quoted.iter().rposition(|byte| *byte == b'"').ok_or(Malformed::Argument)?;
    let path = quoted.get(..end).unwrap_or_default().to_vec();
    let after = std::str::from_utf8(quoted.get(end + 1..).unwrap_or_default()).map_err(|_| Malformed::Argument)?;
    let mut numbers = after.split_ascii_whitespace().map(|text| number(Some(text.as_bytes())));
    let range = match (numbers.next().transpose()?, numbers.next().transpose()?) {
        (None, _) => None,
        (Some(start), end) => Some((start, end.unwrap_or(u64::MAX))),
    };
    if path.is_empty() || numbers.next().is_some() || range.is_some_and(|(start, end)| start > end) {
        return Err(Malformed::Argument);
    }
    Ok(Command::Hash { algorithm, path, range })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(text: &str) -> RawPath {
        text.as_bytes().to_vec()
    }

    #[test]
    fn commands_and_their_arguments() {
        for (line, expected) in [
            (&b"noop"[..], Command::Noop),
            (b"RETR  two  spaces ", Command::Retr(path(" two  spaces "))),
            (b"stor \xc3\xbc", Command::Stor(path("\u{fc}"))),
            (b"PASS  a b ", Command::Pass(Password(Zeroizing::new(" a b ".to_owned())))),
            (b"PASS", Command::Pass(Password(Zeroizing::new(String::new())))),
            (b"USER ann ", Command::User("ann".to_owned())),
            (b"LIST -la", Command::List(None)),
            (b"LIST -a -l some dir", Command::List(Some(path("some dir")))),
            (b"LIST ./-name", Command::List(Some(path("./-name")))),
            (b"MLSD", Command::Mlsd(None)),
            (b"REST 1099511627776", Command::Rest(1 << 40)),
            (b"EPSV", Command::Epsv(Epsv::Any)),
            (b"EPSV 2", Command::Epsv(Epsv::Family(2))),
            (b"epsv all", Command::Epsv(Epsv::All)),
            (b"EPRT |1|127.0.0.1|1|", Command::Port),
            (b"prot p", Command::Prot(b'P')),
            (b"auth tls", Command::Auth("TLS".to_owned())),
            (b"\xff\xf4\xff\xf2ABOR", Command::Abor),
            (b"\xff\xfb\x01NOOP", Command::Noop),
            (b"RETR a\xff\xffb", Command::Retr(b"a\xffb".to_vec())),
            (b"REIN", Command::NotOffered),
        ] {
            assert!(parse(line) == Ok(expected), "{:?}", String::from_utf8_lossy(line));
        }
        let hash = |path: &str, range| Command::Hash { algorithm: Some(Algorithm::Crc32), path: path.into(), range };
        assert!(parse(b"XCRC a b") == Ok(hash("a b", None)));
        assert!(parse(b"XCRC \"a \"b\" 5 9") == Ok(hash("a \"b", Some((5, 9)))));
        assert!(parse(b"XCRC \"a\" 5") == Ok(hash("a", Some((5, u64::MAX)))));
    }

    #[test]
    fn what_is_malformed() {
        for line in [&b"RETR"[..], b"RETR ", b"REST", b"REST -1", b"REST +1", b"REST 99999999999999999999", b"PROT"] {
            assert!(parse(line) == Err(Malformed::Argument), "{:?}", String::from_utf8_lossy(line));
        }
        for line in [&b"EPSV x"[..], b"PROT PP", b"XCRC \"a", b"XCRC \"a\" 9 5", b"XCRC \"a\" 1 2 3", b"PASS \xff\xff"]
        {
            assert!(parse(line) == Err(Malformed::Argument), "{:?}", String::from_utf8_lossy(line));
        }
        for line in [&b""[..], b" ", b"X", b"NOOPE", b"\xff\xf4", b"GET / HTTP/1.1"] {
            assert!(parse(line) == Err(Malformed::Unknown), "{:?}", String::from_utf8_lossy(line));
        }
    }

    proptest! {
        #[test]
        fn a_path_is_what_was_sent(name in "[^\u{0}-\u{1f}\u{7f}]{1,60}", word in "(RETR|stor|DeLe)") {
            let line = format!("{word} {name}");
            let Ok(Command::Retr(sent) | Command::Stor(sent) | Command::Dele(sent)) = parse(line.as_bytes()) else {
                panic!("{line}");
            };
            prop_assert_eq!(sent, name.into_bytes());
        }

        #[test]
        fn any_bytes_are_a_command_or_malformed(line in prop::collection::vec(any::<u8>(), 0..80)) {
            drop(parse(&line));
        }
    }
}
