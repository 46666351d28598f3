//! The pages: the report with a search box above it, the search, and what they load.
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{Html, IntoResponse, Response};

use super::site::Site;
use crate::data::Release;
use crate::index::AboutIndex;
use crate::report::{STYLE, escape};
use crate::store::new_nonce;

const FORM: &str = include_str!("form.html");
const FORM_STYLE: &str = include_str!("form.css");
const SEARCH: &str = include_str!("search.html");
const SEARCH_STYLE: &str = include_str!("search.css");
const SCRIPT: &str = include_str!("search.js");
/// The search loads from this server only and holds nothing inline; its script writes text, never markup.
const SEARCH_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// The stored report, cut where something is put in for each reader.
pub struct Report {
    /// Up to the end of `<style`, between there and the header, and from the header on.
    parts: [String; 3],
    /// Digest of the only script that may run, as the report's own policy names it.
    script: String,
}

impl Report {
    /// Takes the policy out of the page, to send a stricter one that allows the search box.
    pub fn new(page: &str) -> Self {
        const POLICY: &str = "<meta http-equiv=\"Content-Security-Policy\" content=\"";
        // Nothing but the title, which is escaped, comes from data before the header of the page.
        let (before, rest) = page.split_once(POLICY).unwrap_or((page, ""));
        let (policy, after) = rest.split_once("\">\n").unwrap_or(("", rest));
        let page = format!("{before}{after}");
        let cut = |text: &str, at: &str, keep: usize| {
            let end = text.find(at).map_or(text.len(), |start| start + keep);
            (text[..end].to_owned(), text[end..].to_owned())
        };
        let (head, rest) = cut(&page, "<style>", "<style".len());
        let (middle, rest) = cut(&rest, "<header>", 0);
        Self { parts: [head, middle, rest], script: script_source(policy) }
    }

    /// The page and its policy.
    fn render(&self, nonce: &str, form: &str) -> (String, String) {
        let [head, middle, rest] = &self.parts;
        let page =
            format!("{head} nonce=\"{nonce}\"{middle}<style nonce=\"{nonce}\">\n{FORM_STYLE}</style>\n{form}{rest}");
        let policy = format!(
            "default-src 'none'; img-src data:; style-src-elem 'nonce-{nonce}'; style-src-attr 'unsafe-inline'; script-src {}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
            self.script
        );
        (page, policy)
    }
}

/// The digest that a policy gives for scripts, else that there are none.
fn script_source(policy: &str) -> String {
    let sources = policy.split(';').find_map(|part| part.trim().strip_prefix("script-src "));
    let digest = |source: &&str| {
        let inner = source.strip_prefix("'sha256-").and_then(|rest| rest.strip_suffix('\''));
        inner.is_some_and(|text| {
            text.len() == 44 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte))
        })
    };
    sources.filter(digest).unwrap_or("'none'").to_owned()
}

/// `/`.
pub async fn report(State(site): State<Arc<Site>>) -> Response {
    let (Ok(first), Ok(second)) = (new_nonce(), new_nonce()) else {
        return (StatusCode::INTERNAL_SERVER_ERROR, "no random number\n").into_response();
    };
    let form = form(site.open.searcher.about());
    let (page, policy) = site.report.render(&format!("{first}{second}"), &form);
    ([(CONTENT_SECURITY_POLICY, policy)], Html(page)).into_response()
}

/// `/search`; its script asks `/api/search`.
pub async fn search(State(site): State<Arc<Site>>) -> Response {
    let page = search_page(&site.open.release, site.open.searcher.about());
    ([(CONTENT_SECURITY_POLICY, SEARCH_POLICY)], Html(page)).into_response()
}

fn search_page(release: &Release, about: &AboutIndex) -> String {
    let name = format!("{}, release {}", escape(&release.pipeline), release.number);
    let counts = format!("{} images, {} texts", about.rows, about.texts);
    SEARCH.replace("{counts}", &counts).replace("{form}", &form(about)).replace("{release}", &name)
}

fn form(about: &AboutIndex) -> String {
    FORM.replace("{texts}", if about.texts == 0 { " disabled" } else { "" })
}

pub async fn style() -> Response {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], [STYLE, FORM_STYLE, SEARCH_STYLE].concat()).into_response()
}

pub async fn script() -> Response {
    ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], SCRIPT).into_response()
}

/// Browsers ask for one; there is none.
pub async fn icon() -> StatusCode {
    StatusCode::NO_CONTENT
}

pub async fn missing() -> Response {
    (StatusCode::NOT_FOUND, "there is nothing here; the report is at / and the search at /search\n").into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='";

    fn page(scripts: &str) -> String {
        format!(
            "<head>\n<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src {scripts}; form-action 'none'\">\n<title>t</title>\n<style>\nb{{}}</style>\n</head>\n<body>\n<a>skip</a>\n<header>h</header>\n<style>x</style>"
        )
    }

    #[test]
    fn the_report_gets_a_form_and_a_policy_of_its_own_and_only_its_own_style_gets_the_nonce() {
        let (page, policy) = Report::new(&page(DIGEST)).render("n0", "<form></form>\n");
        assert!(!page.contains("Content-Security-Policy"));
        assert!(page.contains("<style nonce=\"n0\">\nb{}") && page.contains("</style>\n<form></form>\n<header>h"));
        assert_eq!(page.matches("nonce=").count(), 2);
        assert!(page.contains("<style>x</style>"));
        assert!(policy.contains(&format!("script-src {DIGEST};")) && policy.contains("form-action 'self'"));
        assert!(policy.contains("style-src-elem 'nonce-n0'"));
    }

    #[test]
    fn a_policy_without_one_digest_allows_no_script() {
        for scripts in ["'none'", "'unsafe-inline'", "*", "'sha256-x'", &format!("{DIGEST} 'unsafe-inline'"), ""] {
            let (_, policy) = Report::new(&page(scripts)).render("n0", "");
            assert!(policy.contains("script-src 'none';"), "{scripts}: {policy}");
        }
        let (bare, policy) = Report::new("nothing to cut").render("n0", "<form>");
        assert!(bare.starts_with("nothing to cut") && policy.contains("script-src 'none';"));
    }
}
