//! What the program says: `dev.env` for tools, a short text for people.

use crate::parts::Facts;
use std::path::Path;

/// The lines of `dev.env`: `KEY=value`, quoted for a shell.
pub(crate) fn dev_env(facts: &Facts) -> String {
    let accounts = &facts.accounts;
    let secrets = &accounts.secrets;
    let aws = &facts.aws;
    let (access_key, secret_key) = aws.static_credentials.clone().unwrap_or_default();
    let pairs = [
        ("TOWPATH_API_URL", api_url(facts)),
        ("TOWPATH_ORGANIZATION_ID", accounts.organization.clone()),
        ("TOWPATH_API_KEY", secrets.api_key.to_string()),
        ("TOWPATH_ADMIN_USER", secrets.admin.clone()),
        ("TOWPATH_ADMIN_PASSWORD", secrets.admin_password.to_string()),
        ("TOWPATH_OPERATOR_USER", secrets.operator.clone()),
        ("TOWPATH_OPERATOR_PASSWORD", secrets.operator_password.to_string()),
        ("TOWPATH_SFTP_HOST", "127.0.0.1".to_owned()),
        ("TOWPATH_SFTP_PORT", facts.ports.sftp.to_string()),
        ("TOWPATH_SFTP_HOST_KEY", facts.host_keys.first().cloned().unwrap_or_default()),
        ("TOWPATH_METRICS_URL", format!("http://127.0.0.1:{}/metrics", facts.ports.metrics)),
        ("TOWPATH_FTPS_PORT", facts.ports.ftps.to_string()),
        ("TOWPATH_FTPS_IMPLICIT_PORT", facts.ports.ftps_implicit.to_string()),
        ("TOWPATH_FTPS_CA_FILE", facts.ftps_authority.display().to_string()),
        ("TOWPATH_HTTPS_URL", facts.ports.https_url()),
        ("TOWPATH_MAIL_FOLDER", facts.mail.display().to_string()),
        ("TOWPATH_USER", secrets.user.clone()),
        ("TOWPATH_PASSWORD", secrets.password.to_string()),
        ("AWS_ENDPOINT_URL", aws.endpoint.clone().unwrap_or_default()),
        ("AWS_ACCESS_KEY_ID", access_key),
        ("AWS_SECRET_ACCESS_KEY", secret_key),
        ("AWS_REGION", aws.region.clone().unwrap_or_default()),
        ("TOWPATH_BUCKET", aws.bucket.clone()),
        ("TOWPATH_TABLE", aws.table.clone()),
        ("TOWPATH_EVENTS_QUEUE_URL", aws.events_queue_url.clone()),
    ];
    pairs.iter().map(|(name, value)| format!("{name}={}\n", quoted(value))).collect()
}

/// A value as a shell reads it back.
fn quoted(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@+=".contains(&byte);
    if !value.is_empty() && value.bytes().all(plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\'', r"'\''"))
}

fn api_url(facts: &Facts) -> String {
    format!("http://127.0.0.1:{}", facts.ports.api)
}

/// What is printed once everything runs.
pub(crate) fn text(facts: &Facts, env: &Path) -> String {
    let secrets = &facts.accounts.secrets;
    let api = api_url(facts);
    let organization = &facts.accounts.organization;
    let sftp = facts.ports.sftp;
    let ftps = facts.ports.ftps;
    let authority = facts.ftps_authority.display();
    let user = &secrets.user;
    let password = secrets.password.as_str();
    let key = secrets.api_key.as_str();
    let env = env.display();
    let mail = facts.mail.display();
    format!(
        "
Towpath runs on this machine. Nothing leaves it.

  Log in       sftp -P {sftp} {user}@127.0.0.1
  Password     {password}
  Upload       echo hello > hello.txt, then at the sftp prompt: put hello.txt

  FTPS         curl --ssl-reqd --cacert {authority} -u {user} \\
                 -T hello.txt ftp://127.0.0.1:{ftps}/

  REST API     curl -H 'Authorization: Bearer {key}' \\
                 {api}/organizations/{organization}/users
  Its routes   {api}/docs

  Share link   curl -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\
                 -d '{{\"Path\": \"/\", \"Permission\": \"read-write\"}}' \\
                 {api}/organizations/{organization}/portal-links
               and open the Url of the answer in a browser

  Mail         becomes files in {mail}
  For scripts  . {env}
  Stop         Ctrl-C (everything is kept; make clean-dev removes it)

"
    )
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn values_survive_the_shell() {
        assert_eq!(quoted("http://127.0.0.1:1"), "http://127.0.0.1:1");
        assert_eq!(quoted("ssh-ed25519 AAAA"), "'ssh-ed25519 AAAA'");
        assert_eq!(quoted("it's $x"), r"'it'\''s $x'");
        assert_eq!(quoted(""), "''");
    }
}
