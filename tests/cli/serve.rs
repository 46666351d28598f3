use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Workspace, files_below};

const TAG: &str = "<script>alert(1)</script>";
const QUOTES: &str = r#""><img src=x onerror='alert(2)'>"#;
/// Without training.
const PIPELINE: &str = "\
kind: Pipeline
version: 1
name: served
seed: 7
stages:
  - { id: surfaces, kind: ingest, source: { format: folder, root: surfaces, captions: captions.csv }, split: { valid: 0.2, test: 0.3 } }
  - { id: base, kind: model, preset: ViT-tiny-16 }
  - { id: vectors, kind: embed, needs: { models: [base], data: [surfaces] } }
  - { id: index, kind: index, needs: { embeddings: vectors, model: base } }
  - { id: scores, kind: evaluate, needs: { embeddings: vectors } }
  - { id: report, kind: report, needs: { scores: scores, index: index }, queries: [alert] }
";

/// A store whose captions look like markup.
fn published() -> &'static Workspace {
    static WORKSPACE: OnceLock<Workspace> = OnceLock::new();
    WORKSPACE.get_or_init(publish)
}

fn publish() -> Workspace {
    let workspace = Workspace::new();
    workspace.write_surfaces();
    let captions = workspace.read("surfaces/captions.csv");
    let mut lines: Vec<String> = captions.lines().map(str::to_owned).collect();
    for (line, text) in lines.iter_mut().skip(1).zip([TAG, QUOTES]) {
        let image = line.split(',').next().unwrap().to_owned();
        let family = line.rsplit(',').next().unwrap().to_owned();
        *line = format!("{image},\"{}\",{family}", text.replace('"', "\"\""));
    }
    workspace.write("surfaces/captions.csv", lines.join("\n") + "\n");
    workspace.write("pipeline.yaml", PIPELINE);
    workspace.tuwen(&["run", "pipeline.yaml", "--quiet"]).succeeds();
    workspace
}

/// The program while it serves.
struct Server {
    child: Child,
    stdout: BufReader<ChildStdout>,
    address: SocketAddr,
}

/// An answer of it.
struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Server {
    fn start(workspace: &Workspace) -> Self {
        let mut command = workspace.command(&["report", "--serve", "--port", "0"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("http://").and_then(|rest| rest.strip_suffix('/'));
        let address: SocketAddr = address.unwrap_or_else(|| panic!("{line}")).parse().unwrap();
        assert!(address.ip().is_loopback());
        Self { child, stdout, address }
    }

    /// Sends exactly these bytes and reads until the server closes the connection.
    fn send(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.map(|line| line.split_once(": ").unwrap());
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        Answer { status, headers, body: bytes[end + 4..].to_vec() }
    }

    fn ask(&self, method: &str, path: &str) -> Answer {
        self.send(&format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address))
    }

    fn get(&self, path: &str) -> Answer {
        self.ask("GET", path)
    }

    fn search(&self, query: &str) -> (u16, Value) {
        let answer = self.get(&format!("/api/search?{query}"));
        assert_eq!(answer.headers["content-type"], "application/json");
        (answer.status, serde_json::from_slice(&answer.body).unwrap())
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already where a test ended it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Answer {
    fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

/// The bytes of a text as a value of a query string or a part of a path.
fn percent(text: &str) -> String {
    text.bytes().fold(String::new(), |mut escaped, byte| {
        let _ = write!(escaped, "%{byte:02X}");
        escaped
    })
}

#[test]
fn without_serve_the_path_of_the_report_is_printed() {
    let workspace = published();
    for arguments in
        [&["report"][..], &["report", "pipeline.yaml"], &["report", "--pipeline", "served", "--release", "1"]]
    {
        let path = workspace.tuwen(arguments).succeeds().stdout;
        assert!(workspace.path(path.trim()).is_file() && path.trim().ends_with("report.html"), "{path}");
    }
    let json = workspace.tuwen(&["report", "--json"]).succeeds().json();
    assert_eq!((json["pipeline"].as_str(), json["release"].as_u64()), (Some("served"), Some(1)));
    workspace.tuwen(&["report", "--release", "9"]).fails(66, &["no release 9"]);
    workspace.tuwen(&["report", "--pipeline", "other"]).fails(66, &["other"]);
    workspace.tuwen(&["report", "--port", "1"]).fails(2, &["--serve"]);
    let help = workspace.tuwen(&["report", "--help"]).succeeds().stdout;
    assert!(help.contains("127.0.0.1 only") && help.contains("ssh -L"), "{help}");
}

#[test]
fn pages_load_nothing_from_elsewhere_and_run_no_script_but_their_own() {
    let server = Server::start(published());
    for path in [
        "/",
        "/search",
        "/style.css",
        "/search.js",
        "/api/search?text=x",
        "/nowhere",
        "/images/nowhere",
        "/favicon.ico",
    ] {
        let answer = server.get(path);
        let expected = [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("x-frame-options", "DENY"),
            ("cross-origin-resource-policy", "same-origin"),
            ("cache-control", "no-store"),
        ];
        for (name, value) in expected {
            assert_eq!(answer.headers.get(name).map(String::as_str), Some(value), "{path}");
        }
        let policy = &answer.headers["content-security-policy"];
        assert!(policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("http") && !policy.contains('*') && !policy.contains("unsafe-eval"), "{policy}");
        let inline = policy.split(';').filter(|part| part.contains("unsafe-inline"));
        assert!(inline.clone().all(|part| part.trim().starts_with("style-src-attr")), "{policy}");
    }
    let report = server.get("/");
    assert!(report.headers["content-security-policy"].contains("script-src 'sha256-"));
    let page = report.text();
    assert!(page.contains("action=\"/search\"") && page.contains("<section id=\"overview\""));
    let nonce = page.split("nonce=\"").nth(1).unwrap().split('"').next().unwrap();
    assert!(nonce.len() >= 32 && report.headers["content-security-policy"].contains(nonce));
    assert!(!server.get("/").text().contains(nonce), "every answer has a nonce of its own");
}

#[test]
fn captions_that_look_like_markup_stay_text() {
    let server = Server::start(published());
    let page = server.get("/").text();
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "the report shows the caption");
    assert!(!page.contains(TAG) && !page.contains("<img src=x"));
    for text in [TAG, QUOTES] {
        let (status, found) = server.search(&format!("text={}&kind=texts&k=5", percent(text)));
        assert_eq!(status, 200);
        assert!(found["hits"].as_array().unwrap().iter().any(|hit| hit["text"] == text), "{found}");
        let page = server.get(&format!("/search?text={}", percent(text))).text();
        assert!(!page.contains("alert("), "the page holds nothing of its address");
    }
}

#[test]
fn a_text_finds_images_and_texts_and_so_does_an_image() {
    let server = Server::start(published());
    let (_, images) = server.search(&format!("text={}&k=7", percent("碳纖維")));
    let hits = images["hits"].as_array().unwrap();
    assert_eq!((hits.len(), images["kind"].as_str()), (7, Some("images")));
    assert!(hits.iter().any(|hit| hit["keywords"].is_f64()) && hits.iter().any(|hit| hit["vectors"].is_f64()));
    for hit in hits {
        assert_eq!(hit["image"], hit["id"]);
        let answer = server.get(&format!("/images/{}", percent(hit["image"].as_str().unwrap())));
        let path = hit["image"].as_str().unwrap();
        assert_eq!(answer.body, std::fs::read(published().path(path)).unwrap(), "the stored bytes");
        let expected = if path.ends_with(".png") { "image/png" } else { "image/jpeg" };
        assert_eq!(answer.headers["content-type"], expected);
    }
    let image = hits[0]["id"].as_str().unwrap();
    let (_, near) = server.search(&format!("image={}&k=5", percent(image)));
    assert_eq!((near["hits"][0]["id"].as_str(), near["query"]["image"].as_str()), (Some(image), Some(image)));
    assert!((near["hits"][0]["vectors"].as_f64().unwrap() - 1.0).abs() < 1e-4 && near["hits"][0]["keywords"].is_null());
    let (_, texts) = server.search(&format!("image={}&k=5&kind=texts", percent(image)));
    assert_eq!(texts["hits"].as_array().unwrap().len(), 5);
    assert!(texts["hits"][0]["text"].as_str().is_some_and(|text| !text.is_empty()));
    let terminal = published().tuwen(&["search", "--text", "碳纖維", "--k", "7", "--json"]).succeeds().json();
    let ids = |hits: &Value| hits.as_array().unwrap().iter().map(|hit| hit["id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&images["hits"]), ids(&terminal["hits"]), "the command line finds the same");
}

#[test]
fn questions_out_of_bounds_are_refused_with_a_reason() {
    let server = Server::start(published());
    let long = percent(&"长".repeat(501));
    for (query, status, word) in [
        ("", 400, "`text` or `image`"),
        ("text=x&image=y", 400, "`text` or `image`"),
        ("text=%20", 400, "empty"),
        (&format!("text={long}"), 400, "500"),
        ("text=x&k=0", 400, "1..=100"),
        ("text=x&k=101", 400, "1..=100"),
        ("text=x&k=-1", 400, "k"),
        ("text=x&kind=files", 400, "kind"),
        ("text=x&path=/etc/passwd", 400, "path"),
        ("image=surfaces/nothing", 404, "nothing"),
        (&format!("image={}", "y".repeat(1_025)), 400, "long"),
    ] {
        let (found, answer) = server.search(query);
        assert_eq!(found, status, "{query}: {answer}");
        assert!(answer["error"].as_str().unwrap().contains(word), "{query}: {answer}");
    }
    assert_eq!(server.search(&format!("text={}", percent(&"长".repeat(500)))).0, 200);
    assert_eq!(server.get(&format!("/search?{}", "x".repeat(70_000))).status, 414);
}

#[test]
fn other_hosts_methods_and_pages_get_nothing() {
    let server = Server::start(published());
    let with = |head: &str| server.send(&format!("{head}\r\nConnection: close\r\n\r\n"));
    for host in ["evil.example", "127.0.0.1.evil.example:80", "0.0.0.0", ""] {
        assert_eq!(with(&format!("GET /api/search?text=x HTTP/1.1\r\nHost: {host}")).status, 421, "{host}");
    }
    assert_eq!(with("GET http://evil.example/ HTTP/1.1\r\nHost: localhost").status, 421);
    assert_eq!(with("GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example").status, 421);
    assert_eq!(with("GET / HTTP/1.0").status, 421);
    assert_eq!(with("GET /search HTTP/1.1\r\nHost: LOCALHOST:9").status, 200);
    assert_eq!(with("GET /search HTTP/1.1\r\nHost: [::1]:9").status, 200);
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"] {
        let answer = server.ask(method, "/api/search?text=x");
        assert_eq!((answer.status, answer.headers["allow"].as_str()), (405, "GET, HEAD"), "{method}");
    }
    let (full, head) = (server.get("/search"), server.ask("HEAD", "/search"));
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.headers["content-length"], full.body.len().to_string());
    let foreign = "GET /images/x HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors";
    assert_eq!(with(foreign).status, 403);
}

#[test]
fn an_id_is_looked_up_and_becomes_no_path() {
    let server = Server::start(published());
    for id in
        ["../../pipeline.yaml", "surfaces/../../pipeline.yaml", "/etc/passwd", "surfaces/", "a\0b", &"x".repeat(5_000)]
    {
        for path in [format!("/images/{}", percent(id)), format!("/images/{}", id.replace('\0', "%00"))] {
            assert_eq!(server.get(&path).status, 404, "{path}");
        }
    }
    assert_eq!(server.get("/images/%FF%FE").status, 400);
}

#[test]
fn bytes_that_are_no_picture_are_a_file_to_be_saved() {
    let workspace = publish();
    let store =
        files_below(&workspace.path("artifacts")).into_iter().find(|file| file.ends_with("images.mdb")).unwrap();
    let store = workspace.path("artifacts").join(store);
    let mut bytes = std::fs::read(&store).unwrap();
    let drawing = br#"<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>"#;
    let page = b"<!doctype html><script>alert(1)</script>";
    let images = files_below(&workspace.path("surfaces/images"));
    for (image, content) in images.iter().zip([drawing.as_slice(), page]) {
        let own = std::fs::read(workspace.path("surfaces/images").join(image)).unwrap();
        let at = bytes.windows(own.len()).position(|window| window == own).unwrap();
        bytes[at..at + content.len()].copy_from_slice(content);
    }
    std::fs::write(&store, bytes).unwrap();
    let server = Server::start(&workspace);
    for (image, content) in images.iter().zip([drawing.as_slice(), page]) {
        let answer = server.get(&format!("/images/{}", percent(&format!("surfaces/images/{image}"))));
        assert!(answer.body.starts_with(content), "{image}");
        assert_eq!(answer.headers["content-type"], "application/octet-stream");
        assert_eq!(answer.headers["content-disposition"], "attachment");
        assert!(answer.headers["content-security-policy"].ends_with("sandbox"));
    }
    let (status, answer) = server.search(&format!("image={}", percent(&format!("surfaces/images/{}", images[0]))));
    assert!(status == 400 && answer["error"].as_str().unwrap().contains("not a JPEG"), "{answer}");
}

#[test]
fn an_image_that_left_the_data_set_is_not_served_though_its_bytes_are_still_stored() {
    let workspace = publish();
    let captions = workspace.read("surfaces/captions.csv");
    let (kept, gone) = captions.trim_end().rsplit_once('\n').unwrap();
    let gone = gone.split(',').next().unwrap();
    workspace.write("surfaces/captions.csv", format!("{kept}\n"));
    std::fs::remove_file(workspace.path(&format!("surfaces/{gone}"))).unwrap();
    workspace.tuwen(&["run", "pipeline.yaml", "--quiet"]).succeeds();
    let stores =
        files_below(&workspace.path("artifacts")).into_iter().filter(|file| file.ends_with("images.mdb")).count();
    assert_eq!(stores, 1, "the second version uses the image store of the first");
    let server = Server::start(&workspace);
    assert_eq!(server.get(&format!("/images/{}", percent(&format!("surfaces/{gone}")))).status, 404);
    let first = kept.lines().nth(1).unwrap().split(',').next().unwrap();
    assert_eq!(server.get(&format!("/images/{}", percent(&format!("surfaces/{first}")))).status, 200);
}

#[test]
fn a_signal_ends_it_in_order_while_connections_are_open() {
    for (signal, number) in [("-TERM", 15), ("-INT", 2)] {
        let mut server = Server::start(published());
        let mut idle = TcpStream::connect(server.address).unwrap();
        idle.write_all(format!("GET /search HTTP/1.1\r\nHost: {}\r\n\r\n", server.address).as_bytes()).unwrap();
        let mut first = [0; 12];
        idle.read_exact(&mut first).unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        server.signal(signal);
        assert_eq!(server.child.wait().unwrap().code(), Some(0), "signal {number}");
        let mut rest = String::new();
        server.stdout.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "", "stdout holds the address and no more");
        assert!(TcpStream::connect(server.address).is_err());
    }
}

#[test]
fn a_port_that_is_taken_is_an_error_with_a_remedy() {
    let server = Server::start(published());
    let port = server.address.port().to_string();
    published().tuwen(&["report", "--serve", "--port", &port]).fails(69, &[&port, "--port 0"]);
}
