//! Logging in: USER, PASS (RFC 959, section 4.1.1), AUTH, PBSZ, PROT (RFC 2228, RFC 4217 sections 4 to 10).
//!
//! A certificate of the client's counts as its key does in SSH ([`super::client_keys`]). No password is taken in the clear. Every refusal is the same to the client; the reason is logged where it is found.

use super::command::Password;
use super::reply::{self, Reply};
use super::session::{Answer, Session};
use crate::door::{CHECK_DEADLINE, MAX_LOGIN_ATTEMPTS, MAX_USER_BYTES};
use app::accounts::{Attempt, LoginError, Proof};
use app::activity;
use tokio::time::{Instant, timeout};

impl Session {
    pub(super) fn auth(&self, mechanism: &str) -> Answer {
        match mechanism {
            _ if self.control.is_private() => reply::TLS_ALREADY.into(),
            // the second is what RFC 4217 calls it, the third what old clients do
            "TLS" | "TLS-C" | "SSL" => Answer::SayAndBeginTls(reply::START_TLS),
            _ => reply::AUTH_UNKNOWN.into(),
        }
    }

    pub(super) fn protection_buffer(&mut self) -> Reply {
        self.protection_size = true;
        reply::PBSZ
    }

    pub(super) fn protection(&mut self, level: u8) -> Reply {
        match level {
            _ if !self.protection_size => reply::PBSZ_FIRST,
            b'P' => {
                self.private = true;
                reply::PRIVATE
            }
            b'C' => reply::CLEAR_REFUSED,
            _ => reply::PROT_UNKNOWN,
        }
    }

    /// Whoever has shown a certificate with the user's key is logged in (RFC 2228, section 3); everybody else is asked for a
    /// password, whether or not a key would have done.
    pub(super) async fn user(&mut self, name: String) -> Answer {
        if self.files.is_some() {
            return reply::LOGGED_IN_ALREADY.into();
        }
        self.half = None;
        if name.len() <= MAX_USER_BYTES
            && self.keys_asked < MAX_LOGIN_ATTEMPTS
            && let Some(key) = self.control.client_key()
        {
            self.keys_asked += 1;
            match self.log_in_by_key(&name, key).await {
                Ok(()) => return reply::LOGGED_IN_BY_CERTIFICATE.into(),
                Err(LoginError::Unavailable) => return Answer::SayAndClose(reply::LOGIN_UNAVAILABLE),
                Err(LoginError::Refused | LoginError::PasswordToo) => {}
            }
        }
        self.user = Some(name);
        reply::PASSWORD_NEEDED.into()
    }

    async fn log_in_by_key(&mut self, user: &str, key: Vec<u8>) -> Result<(), LoginError> {
        // the question first: a certificate that does not fit is no failed login, a password may follow
        let known = self.shared.doors.accounts.knows_key(user, &key, &self.origin);
        match timeout(CHECK_DEADLINE, known).await.unwrap_or(Err(LoginError::Unavailable))? {
            true => {}
            false => return Err(LoginError::Refused),
        }
        let answer = self.log_in(user.to_owned(), Proof::PublicKey(key.clone())).await;
        if answer == Err(LoginError::PasswordToo) {
            self.half = Some((user.to_owned(), key));
        }
        answer
    }

    pub(super) async fn pass(&mut self, Password(password): Password) -> Answer {
        if self.files.is_some() {
            return reply::LOGGED_IN_ALREADY.into();
        }
        let Some(user) = self.user.take() else {
            return reply::USER_FIRST.into();
        };
        if user.len() > MAX_USER_BYTES {
            return self.refuse();
        }
        let proof = match self.half.take() {
            Some((whose, key)) if whose == user => Proof::KeyAndPassword { key, password },
            _ => Proof::Password(password),
        };
        match self.log_in(user, proof).await {
            Ok(()) => reply::LOGGED_IN.into(),
            Err(LoginError::Refused | LoginError::PasswordToo) => self.refuse(),
            Err(LoginError::Unavailable) => Answer::SayAndClose(reply::LOGIN_UNAVAILABLE),
        }
    }

    /// One login, whatever is shown.
    async fn log_in(&mut self, user: String, proof: Proof) -> Result<(), LoginError> {
        let attempt = Attempt { user, proof, origin: self.origin.clone() };
        let doors = &self.shared.doors;
        let checked = timeout(CHECK_DEADLINE, doors.accounts.log_in(attempt)).await;
        let login = checked.unwrap_or(Err(LoginError::Unavailable))?;
        tracing::Span::current().record("user", login.principal.user_name.as_str());
        let session = doors.sessions.open(login, self.origin.clone(), self.ended.clone());
        activity::connected(&session, &self.control.agreed());
        let files = doors.vfs.session(&session);
        self.folder = files.login_folder();
        self.files = Some(files);
        self.listed = Some(session);
        self.place.logging_in = None;
        self.since = Instant::now();
        Ok(())
    }

    fn refuse(&mut self) -> Answer {
        self.refused += 1;
        if self.refused >= MAX_LOGIN_ATTEMPTS {
            return Answer::SayAndClose(reply::TOO_MANY_LOGINS);
        }
        reply::LOGIN_REFUSED.into()
    }
}
