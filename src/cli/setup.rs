//! What several commands need: the pipeline file, the store, the device, signals, names.
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;

use super::Failure;
use super::console::Console;
use crate::data::{ErrorClass, Release};
use crate::model::{ComputeDevice, DeviceChoice};
use crate::pipeline::{PipelineError, PipelineSpec, StageSpec, check};
use crate::stage::StopSignal;
use crate::store::{LeaseHolder, Store, StoreError, StoreOptions, latest_release, new_nonce, pipelines, was_collected};
use crate::train::FinetuneSpec;

/// Where results live.
#[derive(Debug, Clone, Args)]
pub struct StoreArgs {
    /// A folder, file://, s3://, gs://, az:// or memory://.
    #[arg(long, global = true, default_value = "./artifacts", env = "TUWEN_STORE")]
    pub store: String,
    /// Scratch and copies of remote artifacts [default: the user's cache folder].
    #[arg(long, global = true, env = "TUWEN_CACHE")]
    pub cache: Option<PathBuf>,
    /// GiB that copies of remote artifacts may take as long as nobody uses them [default: no limit].
    #[arg(long, global = true, env = "TUWEN_CACHE_GIB")]
    pub cache_gib: Option<u64>,
    /// Requests to the object store that this call may make; beyond them it stops with exit 75 [default: no limit].
    #[arg(long, global = true, env = "TUWEN_REQUEST_BUDGET")]
    pub request_budget: Option<u64>,
}

/// What computes.
#[derive(Debug, Clone, Args)]
pub struct DeviceArgs {
    /// auto, cpu or cuda:N; training divides its batches over several, e.g. cuda:0,1 [default: as the pipeline file says,
    /// else auto].
    #[arg(long, env = "TUWEN_DEVICE")]
    pub device: Option<DeviceChoice>,
}

impl StoreArgs {
    pub fn open(&self) -> Result<Store, Failure> {
        let cache = self.cache.clone().unwrap_or_else(default_cache);
        let cache_bytes = self.cache_gib.map(|gib| gib << 30);
        let options = StoreOptions { cache, cache_bytes, request_budget: self.request_budget };
        Ok(Store::open(&self.store, options)?)
    }
}

impl DeviceArgs {
    pub fn open(&self) -> Result<ComputeDevice, Failure> {
        Ok(ComputeDevice::open(self.device.clone().unwrap_or_default())?)
    }

    /// The device of the flag, else the one that the file names.
    pub fn open_for(&self, spec: &PipelineSpec) -> Result<ComputeDevice, Failure> {
        let named = spec.device.as_deref().map(str::parse).transpose()?;
        Ok(ComputeDevice::open(self.device.clone().or(named).unwrap_or_default())?)
    }
}

/// Reads and checks a pipeline file; returns the folder its relative paths start at too.
pub fn read_pipeline(file: &Path) -> Result<(PipelineSpec, PathBuf), Failure> {
    let text = std::fs::read_to_string(file).map_err(|source| PipelineError::Read { path: file.to_owned(), source })?;
    let spec =
        check(&file.to_string_lossy(), &text, &variable).map_err(|problems| PipelineError::Invalid { problems })?;
    let folder = file.parent().unwrap_or(Path::new("")).to_owned();
    Ok((spec, folder))
}

/// What an environment variable holds, for `${env:NAME}` in a pipeline file.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A fine-tuning stage by its id, or the first.
pub fn find_finetune<'a>(
    spec: &'a PipelineSpec,
    wanted: Option<&str>,
) -> Result<(&'a str, &'a FinetuneSpec), PipelineError> {
    let stages = || {
        spec.stages.iter().filter_map(|stage| match &stage.spec {
            StageSpec::Finetune(finetune) => Some((stage.id.as_str(), finetune)),
            _ => None,
        })
    };
    stages().find(|(id, _)| wanted.is_none_or(|wanted| wanted == *id)).ok_or_else(|| {
        let known = stages().map(|(id, _)| id).collect::<Vec<_>>().join(", ");
        PipelineError::UnknownStage { id: wanted.unwrap_or_default().to_owned(), known }
    })
}

/// The newest release of a pipeline, or of the only one in the store.
pub fn find_release(store: &Store, pipeline: Option<&str>) -> Result<Release, Failure> {
    let name = find_pipeline(store, pipeline)?;
    let release = latest_release(store, &name)?;
    release.ok_or_else(|| StoreError::NoRelease { store: format!("{} for pipeline `{name}`", store.url()) }.into())
}

/// Reads a release. What fails because `gc` takes the release away meanwhile is no damage: the same command again reads a newer
/// one (75).
pub fn reading<T>(store: &Store, release: &Release, read: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    read().map_err(|failure| match was_collected(store, release) {
        Ok(true) => {
            let Release { number, pipeline, .. } = release;
            let message =
                format!("release {number} of {pipeline} was collected while it was read; give the command again");
            Failure::new(ErrorClass::Temporary, message)
        }
        _ => failure,
    })
}

/// The pipeline that is named, or the only one in the store.
pub fn find_pipeline(store: &Store, wanted: Option<&str>) -> Result<String, Failure> {
    if let Some(name) = wanted {
        return Ok(name.to_owned());
    }
    let mut names = pipelines(store)?;
    match (names.pop(), names.is_empty()) {
        (Some(name), true) => Ok(name),
        (None, _) => Err(StoreError::NoRelease { store: store.url().to_owned() }.into()),
        (Some(last), false) => {
            names.push(last);
            let message = format!("the store has several pipelines: {}; choose one with --pipeline", names.join(", "));
            Err(Failure::new(ErrorClass::NotFound, message))
        }
    }
}

/// This process, for the lease of a run.
pub fn lease_holder(run_id: &str) -> LeaseHolder {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    LeaseHolder {
        run_id: run_id.to_owned(),
        host: host.trim().to_owned(),
        process: std::process::id(),
        clock: unix_seconds,
    }
}

/// A span of time such as `90s`, `30m`, `3h` or `2d`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no duration; write it like 90s, 30m, 3h or 2d");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let count: u64 = text.strip_suffix(unit).unwrap_or_default().parse().map_err(|_| wrong())?;
    Ok(Duration::from_secs(count.checked_mul(seconds).ok_or_else(wrong)?))
}

/// Stops the run in order, as a signal would, once the time is over.
pub fn watch_deadline(console: &Console, deadline: Duration) {
    let stop = console.signal.clone();
    std::thread::spawn(move || {
        std::thread::sleep(deadline);
        stop.raise(StopSignal::DEADLINE);
    });
}

/// Turns SIGINT and SIGTERM into a request to stop; a second one ends the program at once.
pub fn watch_signals(console: &Console) -> Result<(), Failure> {
    let stop = console.signal.clone();
    on_signal(move |signal| stop.raise(signal))
}

/// Calls `first` with the first SIGINT or SIGTERM; a second one ends the program at once.
pub fn on_signal(first: impl Fn(i32) + Send + 'static) -> Result<(), Failure> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let failed = |error: std::io::Error| Failure::new(ErrorClass::of_io(&error), format!("signals: {error}"));
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM]).map_err(failed)?;
    std::thread::spawn(move || {
        for (signal, count) in signals.forever().zip(0..) {
            if count > 0 {
                // 128 + n, as the shell reports a process that the signal ended.
                std::process::exit(128 + signal);
            }
            first(signal);
        }
    });
    Ok(())
}

/// A write beyond the limit on the size of a file fails (74); by default the kernel would end the process without a word.
pub fn let_file_size_limits_be_errors() {
    // Where the handler cannot be set the limit ends the process, which loses nothing either.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, std::sync::Arc::default());
}

/// Seconds since 1970 and a nonce.
pub fn new_run_id() -> Result<String, Failure> {
    Ok(format!("{}-{}", unix_seconds(), new_nonce()?))
}

/// Seconds since 1970.
pub fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |duration| duration.as_secs())
}

fn default_cache() -> PathBuf {
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    base.or(home).unwrap_or_else(std::env::temp_dir).join("tuwen")
}
