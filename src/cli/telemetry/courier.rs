//! Delivers to a server beside the run: one parcel after another, each with a limit in time. What does not arrive costs a warning.
use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

/// What is delivered: ends with the reason if it did not arrive.
pub type Parcel = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// One server's deliveries, on a thread of their own.
#[derive(Debug)]
pub struct Courier {
    queue: Sender<Parcel>,
    done: Mutex<Receiver<()>>,
    tally: Arc<Mutex<Tally>>,
}

#[derive(Debug, Default)]
struct Tally {
    sent: usize,
    arrived: usize,
    /// Why the first one that did not arrive did not.
    reason: Option<String>,
}

impl Courier {
    /// Starts the thread; `limit` is for each parcel.
    pub fn new(limit: Duration) -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (queue, parcels) = channel();
        let (finished, done) = channel();
        let tally = Arc::new(Mutex::new(Tally::default()));
        let shared = Arc::clone(&tally);
        std::thread::Builder::new().name("telemetry".to_owned()).spawn(move || {
            deliver(&runtime, &parcels, limit, &shared);
            // Nobody waits any more if this fails.
            let _ = finished.send(());
        })?;
        Ok(Self { queue, done: Mutex::new(done), tally })
    }

    /// Queues a parcel.
    pub fn send(&self, parcel: Parcel) {
        if let Ok(mut tally) = self.tally.lock() {
            tally.sent += 1;
        }
        // The thread ends after the queue does.
        let _ = self.queue.send(parcel);
    }

    /// Waits for what is under way until `deadline`; says what did not arrive.
    pub fn close(self, deadline: Instant) -> Option<String> {
        drop(self.queue);
        let done = self.done.into_inner().ok()?;
        let in_time = done.recv_timeout(deadline.saturating_duration_since(Instant::now())).is_ok();
        let tally = self.tally.lock().ok()?;
        if tally.arrived == tally.sent {
            return None;
        }
        let late = if in_time { "no answer" } else { "no answer in time" };
        let reason = tally.reason.as_deref().unwrap_or(late);
        Some(format!("{} of {} did not arrive: {reason}", tally.sent - tally.arrived, tally.sent))
    }
}

fn deliver(runtime: &Runtime, parcels: &Receiver<Parcel>, limit: Duration, tally: &Mutex<Tally>) {
    for parcel in parcels {
        let ended = runtime.block_on(async { tokio::time::timeout(limit, parcel).await });
        let ended = ended.unwrap_or_else(|_| Err(format!("no answer within {} s", limit.as_secs_f64())));
        let Ok(mut tally) = tally.lock() else { return };
        match ended {
            Ok(()) => tally.arrived += 1,
            Err(reason) => drop(tally.reason.get_or_insert(reason)),
        }
    }
}

/// The innermost reason of an error: the outer ones of a client name the URL, and say less.
pub fn innermost(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_arrive_is_counted_with_the_first_reason_and_the_wait_is_bounded() {
        let courier = Courier::new(Duration::from_millis(20)).unwrap();
        courier.send(Box::pin(async { Ok(()) }));
        courier.send(Box::pin(async { Err("refused".to_owned()) }));
        courier.send(Box::pin(std::future::pending()));
        let said = courier.close(Instant::now() + Duration::from_mins(1));
        assert_eq!(said.as_deref(), Some("2 of 3 did not arrive: refused"));

        let courier = Courier::new(Duration::from_hours(1)).unwrap();
        courier.send(Box::pin(std::future::pending()));
        let said = courier.close(Instant::now() + Duration::from_millis(20));
        assert_eq!(said.as_deref(), Some("1 of 1 did not arrive: no answer in time"));

        let courier = Courier::new(Duration::from_secs(1)).unwrap();
        courier.send(Box::pin(async { Ok(()) }));
        assert_eq!(courier.close(Instant::now() + Duration::from_mins(1)), None);
    }
}
