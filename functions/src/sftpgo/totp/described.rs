//! Second factors in the API's document: the same calls for admins and for credentials.

use crate::openapi::Tagged;
use crate::openapi::call::{Call, get, post};
use crate::openapi::shape::{Shape, anything, boolean, list, named, one_of, record, short, text};
use domain::admin::second_factor::CONFIG;
use serde_json::json;

/// `whose` is part of the names of calls. Who may is the same for all of them.
pub(crate) fn describe_in(api: &mut Tagged<'_>, root: &str, whose: &str, who: impl Fn(Call) -> Call) {
    let ids = Ids::of(whose);
    let path = |rest: &str| format!("{root}{rest}");
    let config = record().has("name", text()).has("issuer", text()).has("algo", text());
    api.call(
        who(get(path("/totp/configs"), ids.configs, "Lists the kinds of one-time codes"))
            .about("There is one: SHA-1, 6 digits, 30 seconds (RFC 6238).")
            .answers_list("The kinds.", config.into()),
    );
    let made = record()
        .has("config_name", text())
        .has("issuer", text())
        .has("secret", text())
        .has("url", text().about("For authenticators: `otpauth://…`."))
        .has("qr_code", text().or_null().about("A PNG of it, in base64."));
    api.call(
        who(post(path("/totp/generate"), ids.generate, "Makes a secret"))
            .about("Nothing is kept until it is saved.")
            .takes(record().may("config_name", config_name()), false)
            .answers(200, "The secret.", made),
    );
    let tried = record().may("config_name", config_name()).has("passcode", text()).has("secret", text());
    api.call(
        who(post(path("/totp/validate"), ids.validate, "Tries a code"))
            .takes(tried, true)
            .says(200, "Passcode successfully validated"),
    );
    let secret = record()
        .may("status", short(50).or_null().about("`Plain`; with another one the secret stays what it is."))
        .may("payload", text().or_null())
        .may("key", anything())
        .may("additional_data", anything())
        .may("mode", anything());
    let saved = record()
        .has("enabled", boolean())
        .may("config_name", config_name())
        .may("secret", secret)
        .may("protocols", list(one_of(["HTTP"])).at_most(8).or_null().about("SFTP and FTPS ask for no codes."))
        .example(json!({ "enabled": true, "secret": { "status": "Plain", "payload": "JBSWY3DPEHPK3PXP" } }));
    api.call(
        who(post(path("/totp/save"), ids.save, "Switches the second factor on or off"))
            .about("Ends the account's tokens.")
            .takes(saved, true)
            .refuses(&[409])
            .says(200, "TOTP configuration saved"),
    );
    let code = record().has("secret", record().has("status", text()).has("payload", text())).has("used", boolean());
    let code = if whose == "Admin" { api.schema("SftpgoRecoveryCode", code) } else { named("SftpgoRecoveryCode") };
    api.call(
        who(get(path("/2fa/recoverycodes"), ids.codes, "Lists recovery codes"))
            .about("Which were used. Their texts were shown when they were made.")
            .refuses(&[409])
            .answers_list("The codes.", code),
    );
    api.call(
        who(post(path("/2fa/recoverycodes"), ids.make_codes, "Makes recovery codes"))
            .about("Twelve, shown this once, in the place of those before.")
            .refuses(&[409])
            .answers_list("The codes.", text()),
    );
}

fn config_name() -> Shape {
    one_of([CONFIG, ""]).or_null()
}

/// Names of calls.
struct Ids {
    configs: &'static str,
    generate: &'static str,
    validate: &'static str,
    save: &'static str,
    codes: &'static str,
    make_codes: &'static str,
}

impl Ids {
    fn of(whose: &str) -> Self {
        if whose == "Admin" {
            Self {
                configs: "listAdminTotpConfigs",
                generate: "generateAdminTotpSecret",
                validate: "validateAdminTotpCode",
                save: "saveAdminTotp",
                codes: "listAdminRecoveryCodes",
                make_codes: "makeAdminRecoveryCodes",
            }
        } else {
            Self {
                configs: "listUserTotpConfigs",
                generate: "generateUserTotpSecret",
                validate: "validateUserTotpCode",
                save: "saveUserTotp",
                codes: "listUserRecoveryCodes",
                make_codes: "makeUserRecoveryCodes",
            }
        }
    }
}
