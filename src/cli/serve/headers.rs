//! Who may ask, and what browsers are told about every answer.
use axum::extract::Request;
use axum::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// For answers that are no pages: nothing in them is ever run, drawn or framed.
const NOTHING: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox",
);
const TO_EVERYBODY: [(HeaderName, HeaderValue); 6] = [
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
];

/// Refuses what does not come from a page of this server or its reader, and marks every answer.
pub async fn guard(request: Request, next: Next) -> Response {
    let mut response = match refusal(request.method(), request.headers(), request.uri().authority()) {
        Some(refused) => refused,
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    for (name, value) in TO_EVERYBODY {
        headers.insert(name, value);
    }
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(NOTHING);
    response
}

fn refusal(method: &Method, headers: &HeaderMap, authority: Option<&axum::http::uri::Authority>) -> Option<Response> {
    let say = |status: StatusCode, text: &'static str| {
        (status, [(CONTENT_TYPE, "text/plain; charset=utf-8"), (ALLOW, "GET, HEAD")], text).into_response()
    };
    // A name that somebody else's server points here (DNS rebinding) would make this server a part of their site.
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok());
    if !host.is_some_and(is_this_machine)
        || hosts.next().is_some()
        || !authority.is_none_or(|named| is_this_machine(named.as_str()))
    {
        return Some(say(StatusCode::MISDIRECTED_REQUEST, "ask for 127.0.0.1 or localhost\n"));
    }
    if method != Method::GET && method != Method::HEAD {
        return Some(say(StatusCode::METHOD_NOT_ALLOWED, "this server only answers GET and HEAD\n"));
    }
    // Links from elsewhere lead here; what pages of others load does not.
    let told = |name: &str| headers.get(name).map(HeaderValue::as_bytes);
    let foreign = told("sec-fetch-site").is_some_and(|site| site != b"same-origin" && site != b"none");
    if foreign && told("sec-fetch-mode") != Some(b"navigate") {
        return Some(say(StatusCode::FORBIDDEN, "this server does not answer the pages of others\n"));
    }
    None
}

/// Whether a host, with or without a port, is a name of the loopback interface. Any port will do: a tunnel may have another one.
fn is_this_machine(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    };
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    (name == "127.0.0.1" || name == "[::1]" || name.eq_ignore_ascii_case("localhost")) && port.is_none_or(is_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_loopback_interface_are_this_machine() {
        for host in ["127.0.0.1", "127.0.0.1:8087", "localhost", "LocalHost:1", "[::1]", "[::1]:8087"] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example:8087",
            "127.0.0.1:",
            "127.0.0.1:x",
            "127.0.0.1:+1",
            "127.0.0.1:70000",
            "user@127.0.0.1",
            "0.0.0.0",
            "[::]",
            "::1",
            "localhost:1:2",
        ] {
            assert!(!is_this_machine(host), "{host}");
        }
    }

    fn status(method: &Method, pairs: &[(&'static str, &'static str)]) -> Option<u16> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        refusal(method, &headers, None).map(|response| response.status().as_u16())
    }

    #[test]
    fn other_hosts_methods_and_pages_are_refused() {
        let own = ("host", "127.0.0.1:8087");
        assert_eq!(status(&Method::GET, &[own]), None);
        assert_eq!(status(&Method::HEAD, &[own]), None);
        assert_eq!(status(&Method::GET, &[]), Some(421));
        assert_eq!(status(&Method::GET, &[own, own]), Some(421));
        assert_eq!(status(&Method::GET, &[("host", "rebound.example")]), Some(421));
        assert_eq!(status(&Method::POST, &[own]), Some(405));
        for (site, mode, expected) in [
            ("same-origin", "cors", None),
            ("none", "navigate", None),
            ("cross-site", "navigate", None),
            ("cross-site", "no-cors", Some(403)),
            ("same-site", "cors", Some(403)),
        ] {
            let asked = status(&Method::GET, &[own, ("sec-fetch-site", site), ("sec-fetch-mode", mode)]);
            assert_eq!(asked, expected, "{site} {mode}");
        }
    }
}
