//! Logging in: USER, PASS (RFC 959, section 4.1.1), AUTH, PBSZ, PROT (RFC 2228, RFC 4217 sections 4 to 9).
//!
//! No password is taken in the clear. Every refusal is the same to the client; the reason is logged where it is found.

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

    pub(super) fn user(&mut self, name: String) -> Reply {
        if self.files.is_some() {
            return reply::LOGGED_IN_ALREADY;
        }
        self.user = Some(name);
        reply::PASSWORD_NEEDED
    }

    pub(super) async fn pass(&mut self, password: Password) -> Answer {
        if self.files.is_some() {
            return reply::LOGGED_IN_ALREADY.into();
        }
        let Some(user) = self.user.take() else {
            return reply::USER_FIRST.into();
        };
        if user.len() > MAX_USER_BYTES {
            return self.refuse();
        }
        let attempt = Attempt { user, proof: Proof::Password(password.0), origin: self.origin.clone() };
        let doors = &self.shared.doors;
        match timeout(CHECK_DEADLINE, doors.accounts.log_in(attempt)).await {
            Ok(Ok(login)) => {
                tracing::Span::current().record("user", login.principal.user_name.as_str());
                let session = doors.sessions.open(login, self.origin.clone(), self.ended.clone());
                activity::connected(&session, &self.control.agreed());
                let files = doors.vfs.session(&session);
                self.folder = files.login_folder();
                self.files = Some(files);
                self.listed = Some(session);
                self.place.logging_in = None;
                self.since = Instant::now();
                reply::LOGGED_IN.into()
            }
            // nobody shows keys here, so there is nothing to add a password to
            Ok(Err(LoginError::Refused | LoginError::PasswordToo)) => self.refuse(),
            Ok(Err(LoginError::Unavailable)) | Err(_) => Answer::SayAndClose(reply::LOGIN_UNAVAILABLE),
        }
    }

    fn refuse(&mut self) -> Answer {
        self.refused += 1;
        if self.refused >= MAX_LOGIN_ATTEMPTS {
            return Answer::SayAndClose(reply::TOO_MANY_LOGINS);
        }
        reply::LOGIN_REFUSED.into()
    }
}
