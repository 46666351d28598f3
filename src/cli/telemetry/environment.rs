//! What the environment says, and which of it is secret.
use url::Url;

use crate::data::{Secret, conceal_always};

/// Names of variables whose value is a secret end in one of these.
const SECRET_ENDINGS: [&str; 9] =
    ["_KEY", "_TOKEN", "_TOKEN_FILE", "_SECRET", "_PASSWORD", "_CREDENTIALS", "_HEADERS", "_SAS", "_SERVICE_ACCOUNT"];
/// Those of them whose value is the path of a file, or else JSON.
const PATH_ENDINGS: [&str; 3] = ["_TOKEN_FILE", "_APPLICATION_CREDENTIALS", "_SERVICE_ACCOUNT"];
/// Fields of a file with credentials that are secret; the others, such as the project, are not.
const SECRET_FIELDS: [&str; 4] = ["private_key", "private_key_id", "client_secret", "refresh_token"];
/// A larger file is none with credentials.
const CREDENTIALS_BYTES: u64 = 64 << 10;

/// The value of a variable that is set and not empty.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// Whether a variable says yes, as OpenTelemetry and OpenLineage write it.
pub(super) fn is_true(name: &str) -> bool {
    variable(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// A URL without user, password, query and fragment, for messages and for names.
pub(super) fn shown_url(url: &str) -> String {
    let Ok(mut parsed) = Url::parse(url) else { return url.split(['?', '#']).next().unwrap_or_default().to_owned() };
    if parsed.cannot_be_a_base() {
        return parsed.scheme().to_owned();
    }
    // These fail only for URLs that have no user or password.
    let _ = parsed.set_username("");
    let _ = parsed.set_password(None);
    parsed.set_query(None);
    parsed.set_fragment(None);
    parsed.to_string()
}

/// From now on no message, record or log line holds a secret of the environment.
pub fn conceal_environment() {
    let mut secrets = Vec::new();
    for (name, value) in std::env::vars_os() {
        let (Some(name), Some(value)) = (name.to_str().map(str::to_uppercase), value.to_str()) else { continue };
        if is_secret(&name) && !is_path_of_nothing(&name, value) {
            add_parts(value, &mut secrets);
        }
        if let Some(password) = password_of(value) {
            secrets.push(password);
        }
    }
    conceal_always(secrets.into_iter().map(Secret::new));
}

fn is_secret(name: &str) -> bool {
    // The id of a key is public; a server names it when it refuses a request.
    let is_public = name.ends_with("ACCESS_KEY_ID");
    !is_public && SECRET_ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// Whether a file with credentials is named that is not there: the message that says so may name it.
fn is_path_of_nothing(name: &str, value: &str) -> bool {
    let names_a_file = PATH_ENDINGS.iter().any(|ending| name.ends_with(ending));
    names_a_file && !value.trim_start().starts_with('{') && !std::path::Path::new(value).exists()
}

/// A value as it may be repeated: whole, the value of each header or of each part of a query, with and without its scheme, decoded; of JSON the fields that are
/// secret. Where the value is the path of a file, its content is meant.
fn add_parts(value: &str, secrets: &mut Vec<String>) {
    if std::fs::metadata(value).is_ok_and(|file| file.is_file() && file.len() <= CREDENTIALS_BYTES) {
        add_text(std::fs::read_to_string(value).unwrap_or_default().trim(), secrets);
        return;
    }
    add_text(value, secrets);
    for pair in value.split([',', '&']) {
        let Some((_, header)) = pair.split_once('=') else { continue };
        let decoded = percent_decoded(header);
        for form in [header, &decoded] {
            secrets.push(form.trim().to_owned());
            secrets.extend(form.split_whitespace().map(str::to_owned));
        }
    }
}

fn add_text(text: &str, secrets: &mut Vec<String>) {
    secrets.push(text.to_owned());
    if let Ok(serde_json::Value::Object(fields)) = serde_json::from_str(text) {
        for field in SECRET_FIELDS {
            let Some(secret) = fields.get(field).and_then(serde_json::Value::as_str) else { continue };
            secrets.push(secret.to_owned());
            // Of a key in several lines any line may stand alone.
            secrets.extend(secret.lines().filter(|line| !line.starts_with("-----")).map(str::to_owned));
        }
    }
}

/// The password in a URL, as it is written.
fn password_of(value: &str) -> Option<String> {
    let (_, rest) = value.split_once("://")?;
    let (user, _) = rest.split(['/', '?', '#']).next()?.rsplit_once('@')?;
    Some(user.split_once(':')?.1.to_owned())
}

fn percent_decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text);
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend(before.bytes());
        let code = after.get(..2).and_then(|code| u8::from_str_radix(code, 16).ok());
        bytes.push(code.unwrap_or(b'%'));
        rest = if code.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    bytes.extend(rest.bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_url_has_no_user_password_or_query() {
        assert_eq!(shown_url("http://me:secret@host:8080/a?token=b#c"), "http://host:8080/a");
        assert_eq!(shown_url("s3://bucket/prefix"), "s3://bucket/prefix");
        assert_eq!(shown_url("not a url?secret"), "not a url");
    }

    #[test]
    fn every_form_of_a_header_is_secret() {
        let mut secrets = Vec::new();
        add_parts("authorization=Bearer%20first-token,x-key=second-key", &mut secrets);
        assert_eq!(percent_decoded("a%3D+%zz%"), "a=+%zz%");
        for form in ["Bearer%20first-token", "Bearer first-token", "first-token", "second-key"] {
            assert!(secrets.contains(&form.to_owned()), "{form} is not in {secrets:?}");
        }
        let mut secrets = Vec::new();
        add_parts(r#"{"project_id":"public-project","private_key":"-----BEGIN\nMIIEvQsecretline\n"}"#, &mut secrets);
        assert!(secrets.contains(&"MIIEvQsecretline".to_owned()) && !secrets.contains(&"public-project".to_owned()));
        assert_eq!(password_of("http://me:pass-word@host/x").as_deref(), Some("pass-word"));
        assert_eq!(password_of("http://host/a@b:c"), None);
    }

    #[test]
    fn the_path_of_a_file_that_is_missing_is_no_secret() {
        assert!(is_path_of_nothing("GOOGLE_SERVICE_ACCOUNT", "/no/such/key.json"));
        assert!(!is_path_of_nothing("GOOGLE_SERVICE_ACCOUNT", r#"{"private_key":"x"}"#));
        assert!(!is_path_of_nothing("GOOGLE_SERVICE_ACCOUNT", "Cargo.toml"));
        assert!(!is_path_of_nothing("AWS_SECRET_ACCESS_KEY", "/wJalrXUtnFEMI"));
    }

    #[test]
    fn names_of_secrets_are_known() {
        for name in [
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "AZURE_STORAGE_KEY",
            "OPENLINEAGE_API_KEY",
            "OTEL_EXPORTER_OTLP_HEADERS",
            "GOOGLE_APPLICATION_CREDENTIALS",
            "GOOGLE_SERVICE_ACCOUNT_KEY",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["AWS_ACCESS_KEY_ID", "PATH", "AWS_REGION"] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
