//! A thread that settles one batch while the next is prepared.
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use crate::stage::StageError;
use crate::store::StoreError;

/// Batches that wait to be settled.
const BATCHES_AHEAD: usize = 2;

enum Message<T> {
    Batch(T),
    /// Nothing follows. Without it the result is left unfinished, as nobody wants it any more.
    End,
}

/// Takes batches `T` and makes `R` of them.
pub struct Background<T, R> {
    name: &'static str,
    running: Option<Running<T, R>>,
}

struct Running<T, R> {
    sender: SyncSender<Message<T>>,
    worker: JoinHandle<Result<Option<R>, StoreError>>,
}

/// Nothing is written any more once nobody wants it.
impl<T, R> Drop for Background<T, R> {
    fn drop(&mut self) {
        if let Some(Running { sender, worker }) = self.running.take() {
            drop(sender);
            // What went wrong with it is of no interest now.
            let _ = worker.join();
        }
    }
}

impl<T: Send + 'static, R: Send + 'static> Background<T, R> {
    /// Starts the thread: `each` takes a batch into the state, `end` makes the result of it.
    pub fn start<S: Send + 'static>(
        name: &'static str,
        mut state: S,
        each: impl Fn(&mut S, T) -> Result<(), StoreError> + Send + 'static,
        end: impl FnOnce(S) -> Result<R, StoreError> + Send + 'static,
    ) -> Self {
        let (sender, receiver) = sync_channel(BATCHES_AHEAD);
        let worker = std::thread::spawn(move || {
            for message in receiver {
                let Message::Batch(batch) = message else { return end(state).map(Some) };
                each(&mut state, batch)?;
            }
            Ok(None)
        });
        Self { name, running: Some(Running { sender, worker }) }
    }

    /// Hands over a batch; waits while the thread is behind. What went wrong with an earlier one is an error now.
    pub fn push(&mut self, batch: T) -> Result<(), StageError> {
        let sent = self.running.as_ref().is_some_and(|running| running.sender.send(Message::Batch(batch)).is_ok());
        if sent { Ok(()) } else { self.end().and(Err(self.ended())) }
    }

    /// The result of all batches, or what went wrong.
    pub fn finish(mut self) -> Result<R, StageError> {
        self.end()?.ok_or_else(|| self.ended())
    }

    fn end(&mut self) -> Result<Option<R>, StageError> {
        let Some(Running { sender, worker }) = self.running.take() else { return Ok(None) };
        // If nobody takes it, the thread has an error of its own to tell.
        let _ = sender.send(Message::End);
        drop(sender);
        Ok(worker.join().map_err(|_| self.ended())??)
    }

    fn ended(&self) -> StageError {
        StageError::internal(format!("{} ended early", self.name))
    }
}
