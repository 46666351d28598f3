//! `tuwen report`: where the report of a release is, and `--serve`: the report in a browser, with a live search.
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use super::console::Console;
use super::open_release::{OpenRelease, artifact};
use super::releases::find;
use super::serve::{Report, Site, serve};
use super::setup::{DeviceArgs, StoreArgs, find_pipeline, read_pipeline};
use super::{Failure, Output, print};
use crate::data::ArtifactKind;
use crate::stage::Monitor;
use crate::store::{StoreError, open_artifact};

#[derive(Debug, Args)]
pub struct ReportArgs {
    /// The pipeline file whose release is meant.
    #[arg(conflicts_with = "pipeline")]
    file: Option<PathBuf>,
    /// Name of the pipeline, where the store has several.
    #[arg(long)]
    pipeline: Option<String>,
    /// Number or tag [default: the current release].
    #[arg(long)]
    release: Option<String>,
    /// Serve the report and a live search of the release's index until SIGINT or SIGTERM, on 127.0.0.1 only; from another machine
    /// use a tunnel: ssh -L 8087:127.0.0.1:8087 HOST.
    #[arg(long)]
    serve: bool,
    /// Port to serve on; 0 takes any that is free.
    #[arg(long, default_value_t = 8087, requires = "serve")]
    port: u16,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    device: DeviceArgs,
}

pub fn run(args: &ReportArgs, console: &Console, json: bool) -> Result<Output, Failure> {
    let store = args.store.open()?;
    let pipeline = match &args.file {
        Some(file) => read_pipeline(file)?.0.name,
        None => find_pipeline(&store, args.pipeline.as_deref())?,
    };
    let release = find(&store, &pipeline, args.release.as_deref())?;
    let path = open_artifact(&store, artifact(&release, ArtifactKind::Report)?)?.path("report.html");
    let number = release.number;
    if !args.serve {
        let json = json!({ "pipeline": pipeline, "release": number, "report": path });
        return Ok(Output { text: path.display().to_string(), json });
    }
    let page = std::fs::read_to_string(&path).map_err(StoreError::io(&path))?;
    let site = Site::new(OpenRelease::new(Arc::new(store), release)?, Report::new(&page), &args.device.open()?)?;
    let signal = serve(site, args.port, |address| {
        let url = format!("http://{address}/");
        console.note(&format!("release {number} of {pipeline} at {url}; stop with Ctrl-C"));
        let json_line = json!({ "pipeline": pipeline, "release": number, "url": url });
        if let Err(error) = print(&Output { text: url, json: json_line }, json) {
            console.warn(&format!("the address could not be written to stdout: {error}"));
        }
    })?;
    Ok(Output { text: String::new(), json: json!({ "pipeline": pipeline, "release": number, "signal": signal }) })
}
