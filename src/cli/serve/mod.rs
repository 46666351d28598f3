//! `tuwen report --serve`: the report of a release and a live search, for browsers on this machine and for nobody else.
mod api;
mod connection;
mod headers;
mod pages;
mod pictures;
mod site;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn;
use axum::routing::get;
use tokio::sync::watch;

use super::Failure;
use super::setup::on_signal;
use crate::data::ErrorClass;
use connection::Loopback;
pub use pages::Report;
pub use site::Site;

/// After a signal, how long requests under way may take.
const GRACE: Duration = Duration::from_secs(5);
/// Threads that move bytes; searches have one of their own.
const THREADS: usize = 2;

/// Serves until SIGINT or SIGTERM, whose number it returns; a second one ends the program at once. `announce` gets the address.
pub fn serve(site: Site, port: u16, announce: impl FnOnce(SocketAddr)) -> Result<i32, Failure> {
    let internal = |error: std::io::Error| Failure::new(ErrorClass::Internal, format!("serving: {error}"));
    let taken = |error: std::io::Error| {
        let message = format!("port {port} of 127.0.0.1: {error}; choose another with --port, or any with --port 0");
        Failure::new(ErrorClass::Unavailable, message)
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(taken)?;
    listener.set_nonblocking(true).map_err(internal)?;
    let address = listener.local_addr().map_err(internal)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build();
    let runtime = runtime.map_err(internal)?;
    let (stop, stopped) = watch::channel(0);
    on_signal(move |signal| {
        // Nobody listens any more once serving has ended.
        let _ = stop.send(signal);
    })?;
    let router = router(site);
    runtime.block_on(async {
        let listener = Loopback::new(tokio::net::TcpListener::from_std(listener).map_err(internal)?);
        let server = axum::serve(listener, router).with_graceful_shutdown(signalled(stopped.clone()));
        announce(address);
        let end = async {
            signalled(stopped.clone()).await;
            tokio::time::sleep(GRACE).await;
        };
        futures::future::select(pin!(server.into_future()), pin!(end)).await;
        Ok::<(), Failure>(())
    })?;
    runtime.shutdown_timeout(GRACE);
    let signal = *stopped.borrow();
    Ok(signal)
}

/// Waits for the first signal.
async fn signalled(mut stopped: watch::Receiver<i32>) {
    // The sender lives as long as the thread that waits for signals.
    let _ = stopped.wait_for(|signal| *signal != 0).await;
}

fn router(site: Site) -> Router {
    Router::new()
        .route("/", get(pages::report))
        .route("/search", get(pages::search))
        .route("/style.css", get(pages::style))
        .route("/search.js", get(pages::script))
        .route("/favicon.ico", get(pages::icon))
        .route("/api/search", get(api::search))
        .route("/images/{*id}", get(pictures::image))
        .fallback(pages::missing)
        .layer(from_fn(headers::guard))
        .with_state(Arc::new(site))
}
