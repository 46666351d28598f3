use std::fs;
use std::process::Command;

use crate::receiver::{Manner, Receiver, nobody};
use crate::support::{Ran, Workspace, files_below};

/// Stands in every secret, so that one search finds each of them in whatever form.
const CANARY: &str = "Q2FuYXJ5";

/// Sets every secret that the program or its libraries read.
fn with_secrets(command: &mut Command, workspace: &Workspace, server: &str) {
    let credentials = workspace.path("credentials.json");
    let fields = serde_json::json!({
        "type": "service_account", "project_id": "p", "client_email": "a@b", "gcs_base_url": server, "disable_oauth": true,
        "private_key_id": format!("id{CANARY}0001"),
        "private_key": format!("-----BEGIN PRIVATE KEY-----\nMII{CANARY}0002\n-----END PRIVATE KEY-----\n"),
    });
    fs::write(&credentials, fields.to_string()).unwrap();
    let secret = |name: &str| format!("{name}{CANARY}");
    command
        .env("AWS_ACCESS_KEY_ID", "AKIAPUBLIC")
        .env("AWS_SECRET_ACCESS_KEY", secret("aws"))
        .env("AWS_SESSION_TOKEN", secret("session"))
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ENDPOINT", server)
        .env("AWS_ALLOW_HTTP", "true")
        .env("AZURE_STORAGE_ACCOUNT_NAME", "account")
        .env("AZURE_STORAGE_ENDPOINT", server)
        .env("AZURE_ALLOW_HTTP", "true")
        .env("AZURE_STORAGE_KEY", secret("azure"))
        .env("GOOGLE_SERVICE_ACCOUNT", &credentials)
        .env("OPENLINEAGE_URL", server.replace("http://", &format!("http://me:{}@", secret("password"))))
        .env("OPENLINEAGE_API_KEY", secret("lineage"))
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", server)
        .env(
            "OTEL_EXPORTER_OTLP_HEADERS",
            format!("authorization=Bearer%20{},x-key={}", secret("first"), secret("second")),
        );
}

#[track_caller]
fn shows_nothing(ran: &Ran, what: &str) {
    for (name, text) in [("stdout", &ran.stdout), ("stderr", &ran.stderr)] {
        let line = text.lines().find(|line| line.contains(CANARY));
        assert!(line.is_none(), "{what}: a secret on {name}: {}", line.unwrap_or_default());
    }
}

#[test]
fn no_secret_is_ever_printed_whatever_a_server_repeats() {
    let workspace = Workspace::with_pipeline();
    let (refusing, puzzled) = (Receiver::new(Manner::Repeat(403)), Receiver::new(Manner::Repeat(400)));
    // Without a key or a token the client would ask the machine it runs on for one.
    let key = ("AZURE_STORAGE_ACCOUNT_KEY", format!("{CANARY}{CANARY}{CANARY}AA=="));
    let shared = ("AZURE_STORAGE_SAS_TOKEN", format!("sv=2024-01-01&sig={CANARY}%2Fabc%3D"));
    let cases = [
        (&refusing, "s3://bucket/x", &key),
        (&puzzled, "s3://bucket/x", &key),
        (&refusing, "gs://bucket/x", &key),
        (&refusing, "az://container/x", &key),
        (&refusing, "az://container/x", &shared),
    ];
    let mut concealed = 0;
    for (server, store, (name, value)) in cases {
        for arguments in [
            &["doctor"][..],
            &["plan", "pipeline.yaml"],
            &["run", "pipeline.yaml", "--metrics-file", "x.prom"],
            &["status"],
            &["check", "pipeline.yaml"],
        ] {
            for format in ["plain", "json"] {
                let mut command = workspace.command(arguments);
                command.args(["--log-level", "trace", "--log-format", format, "--json"]);
                if arguments[0] != "check" {
                    command.args(["--store", store]);
                }
                with_secrets(&mut command, &workspace, &server.url());
                let ran = Ran::new(&command.env(name, value).output().unwrap());
                let what = format!("{} {store} {name} {format}", arguments[0]);
                shows_nothing(&ran, &what);
                concealed += ran.stderr.matches("***").count();
                assert_eq!(ran.code == 0, arguments[0] == "check", "{what}: exit {}\n{}", ran.code, ran.stderr);
            }
        }
    }
    let heard = |server: &Receiver, word: &str| {
        server.requests().iter().any(|request| request.headers.iter().any(|line| line.contains(word)))
    };
    // It was there to be repeated, and was.
    assert!(concealed > 0);
    assert!(heard(&refusing, &format!("x-amz-security-token: session{CANARY}")));
    assert!(heard(&refusing, &format!("Bearer lineage{CANARY}")) && heard(&refusing, &format!("Bearer first{CANARY}")));
    assert!(refusing.requests().iter().any(|request| request.line.contains(&format!("sig={CANARY}"))));
    nothing_is_kept(&workspace, &[&refusing, &puzzled]);
}

#[test]
fn settings_that_make_no_client_end_with_77_and_say_which_variables_to_correct() {
    let workspace = Workspace::with_pipeline();
    workspace.write("account.json", format!(r#"{{"client_email":"a","private_key_id":"b","private_key":"{CANARY}"}}"#));
    let account = workspace.path("account.json").display().to_string();
    for (store, variable, value, word) in [
        ("gs://bucket/x", "GOOGLE_SERVICE_ACCOUNT", account.as_str(), "correct GOOGLE_*"),
        ("gs://bucket/x", "GOOGLE_SERVICE_ACCOUNT", "nowhere.json", "correct GOOGLE_*"),
        ("gs://bucket/x", "GOOGLE_SERVICE_ACCOUNT_KEY", CANARY, "correct GOOGLE_*"),
        ("az://container/x", "AZURE_STORAGE_ACCOUNT_KEY", "-Q2FuYXJ5-", "correct AZURE_*"),
        ("s3://bucket/x", "AWS_ALLOW_HTTP", "perhaps", "correct AWS_*"),
    ] {
        let mut command = workspace.command(&["verify", "--store", store]);
        command.env("AZURE_STORAGE_ACCOUNT_NAME", "account").env(variable, value);
        let ran = Ran::new(&command.output().unwrap()).fails(77, &[store, word]);
        shows_nothing(&ran, variable);
    }
}

#[test]
fn no_secret_is_in_what_a_run_leaves_behind_and_sends() {
    let workspace = Workspace::with_pipeline();
    let server = Receiver::new(Manner::Repeat(500));
    for (url, until) in [(server.url(), "base"), (nobody(), "muge")] {
        let arguments =
            ["run", "pipeline.yaml", "--until", until, "--metrics-file", "tuwen.prom", "--log-level", "trace"];
        let mut command = workspace.command(&arguments);
        with_secrets(&mut command, &workspace, &url);
        let ran = Ran::new(&command.output().unwrap()).succeeds();
        shows_nothing(&ran, until);
        assert_eq!(ran.stderr.matches("did not arrive").count(), 2, "{}", ran.stderr);
    }
    let remote = workspace.read("pipeline.yaml").replace("root: muge", "root: s3://bucket/muge");
    workspace.write("remote.yaml", remote);
    let denied = Receiver::new(Manner::Repeat(403));
    let mut command = workspace.command(&["run", "remote.yaml", "--metrics-file", "tuwen.prom"]);
    with_secrets(&mut command, &workspace, &denied.url());
    let ran = Ran::new(&command.output().unwrap()).fails(77, &[]);
    shows_nothing(&ran, "a source that is refused");
    assert!(server.requests().len() >= 4);
    nothing_is_kept(&workspace, &[&server, &denied]);
}

/// Neither the files below the folder nor what the servers got as bodies hold a secret.
fn nothing_is_kept(workspace: &Workspace, servers: &[&Receiver]) {
    let holds = |bytes: &[u8]| bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes());
    for file in files_below(workspace.folder.path()) {
        let bytes = fs::read(workspace.path(&file)).unwrap();
        assert!(file == "credentials.json" || !holds(&bytes), "{file} holds a secret");
    }
    let bodies: Vec<Vec<u8>> =
        servers.iter().flat_map(|server| server.requests()).map(|request| request.body).collect();
    assert!(bodies.iter().any(|body| !body.is_empty()));
    assert!(bodies.iter().all(|body| !holds(body)), "a body holds a secret");
}
