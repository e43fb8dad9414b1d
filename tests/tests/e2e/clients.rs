//! OpenSSH's clients, driven as a script drives them.

use crate::stack::Stack;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// How a client proves who it is.
#[derive(Clone)]
pub(crate) enum Proof {
    Password(String),
    Key(PathBuf),
    /// First the key, then the password.
    Both(PathBuf, String),
}

/// A client's machine: a folder, the server's key, a user.
pub(crate) struct Client {
    pub(crate) folder: TempDir,
    host: IpAddr,
    port: String,
    user: String,
    proof: Proof,
    /// Whether a host key that is not known is taken.
    checking: &'static str,
}

impl Client {
    /// The root credential with its password.
    pub(crate) fn root(stack: &Stack) -> Self {
        Self::new(stack, stack.get("TOWPATH_USER"), Proof::Password(stack.get("TOWPATH_PASSWORD").to_owned()))
    }

    pub(crate) fn new(stack: &Stack, user: &str, proof: Proof) -> Self {
        let folder = TempDir::new().unwrap();
        let port = stack.get("TOWPATH_SFTP_PORT").to_owned();
        let known = format!("[127.0.0.1]:{port} {}\n", stack.get("TOWPATH_SFTP_HOST_KEY"));
        Self::with(folder, port, user, proof, &known, "yes")
    }

    /// For a port whose key is not known yet.
    pub(crate) fn anywhere(port: u16, user: &str, proof: Proof) -> Self {
        Self::with(TempDir::new().unwrap(), port.to_string(), user, proof, "", "accept-new")
    }

    fn with(folder: TempDir, port: String, user: &str, proof: Proof, known: &str, checking: &'static str) -> Self {
        std::fs::write(folder.path().join("known_hosts"), known).unwrap();
        if let Proof::Password(password) | Proof::Both(_, password) = &proof {
            let askpass = folder.path().join("askpass");
            std::fs::write(&askpass, format!("#!/bin/sh\ncat <<'end'\n{password}\nend\n")).unwrap();
            std::fs::set_permissions(&askpass, PermissionsExt::from_mode(0o700)).unwrap();
        }
        Self { folder, host: [127, 0, 0, 1].into(), port, user: user.to_owned(), proof, checking }
    }

    /// The same at another address.
    pub(crate) fn at(mut self, host: impl Into<IpAddr>) -> Self {
        self.host = host.into();
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `sftp`, `scp` or `ssh` with everything that does not depend on the call.
    pub(crate) fn command(&self, program: &str) -> Command {
        self.command_with_prompts(program, 1)
    }

    /// The same with as many tries for the password.
    pub(crate) fn command_with_prompts(&self, program: &str, prompts: u32) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command.args(["-F", "none", if program == "ssh" { "-p" } else { "-P" }, &self.port]);
        let known = format!("UserKnownHostsFile={}", self.path("known_hosts").display());
        for option in [
            &format!("StrictHostKeyChecking={}", self.checking),
            &format!("NumberOfPasswordPrompts={prompts}"),
            "ConnectTimeout=20",
            "LogLevel=ERROR",
            &known,
        ] {
            command.args(["-o", option]);
        }
        if let Proof::Password(_) | Proof::Both(..) = &self.proof {
            command.args(["-o", "BatchMode=no"]);
            command.env("SSH_ASKPASS", self.path("askpass")).env("SSH_ASKPASS_REQUIRE", "force");
        }
        match &self.proof {
            Proof::Password(_) => {
                command.args(["-o", "PubkeyAuthentication=no"]);
            }
            Proof::Both(key, _) => {
                command.args(["-o", "IdentitiesOnly=yes", "-i"]).arg(key);
            }
            Proof::Key(key) => {
                command.args(["-o", "PasswordAuthentication=no", "-o", "IdentitiesOnly=yes", "-i"]).arg(key);
            }
        }
        command
    }

    /// Where it logs in.
    pub(crate) fn target(&self) -> String {
        format!("{}@{}", self.user, self.host)
    }

    /// Runs `sftp` with these commands; the first that fails ends it.
    pub(crate) fn sftp(&self, commands: &[&str]) -> Output {
        self.sftp_with(&[], commands)
    }

    pub(crate) fn sftp_with(&self, options: &[&str], commands: &[&str]) -> Output {
        std::fs::write(self.path("batch"), commands.join("\n") + "\n").unwrap();
        let mut command = self.command("sftp");
        // after BatchMode=no, which would otherwise be switched on by -b
        command.args(options).arg("-b").arg(self.path("batch")).arg(self.target());
        run(command)
    }

    /// The same, expected to succeed; answers what it printed.
    pub(crate) fn sftp_ok(&self, commands: &[&str]) -> String {
        let output = self.sftp(commands);
        assert!(output.status.success(), "sftp {commands:?}: {}", text(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The same, expected to fail; answers what it printed.
    pub(crate) fn sftp_fails(&self, commands: &[&str]) -> String {
        let output = self.sftp(commands);
        assert!(!output.status.success(), "sftp {commands:?} succeeded: {}", text(&output));
        text(&output)
    }

    pub(crate) fn scp(&self, from: &str, to: &str) -> Output {
        let mut command = self.command("scp");
        command.args([from, to]);
        run(command)
    }
}

pub(crate) fn run(mut command: Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; is it installed?"))
}

pub(crate) fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A new key pair; answers the private key's path and the public line.
pub(crate) fn key_pair(folder: &Path, kind: &str) -> (PathBuf, String) {
    let key = folder.join(format!("key-{kind}"));
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-N", "", "-t", kind, "-C", "ana@laptop", "-f"]).arg(&key);
    let output = run(command);
    assert!(output.status.success(), "{}", text(&output));
    let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
    (key, public.trim().to_owned())
}
