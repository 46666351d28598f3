//! Batches that are read by one thread at a time, prepared by all, and consumed in the order in which they were read.
//!
//! Whoever reads a batch prepares it too, while it is still in that core's cache.
use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

/// Batches that were read and not yet consumed: some, and more for each thread.
const BATCHES_AHEAD: usize = 4;
const BATCHES_OF_A_THREAD: usize = 2;

type Prepared<T> = Result<T, Box<dyn Any + Send>>;

/// Calls `read` until it gives nothing, `prepare` on every batch by one of `threads` threads, and `consume` on this one.
/// What `consume` cannot take ends it all.
pub fn read_ahead<B: Send, T: Send, E>(
    read: impl FnMut() -> Option<B> + Send,
    prepare: impl Fn(B) -> T + Sync,
    threads: usize,
    mut consume: impl FnMut(T) -> Result<(), E>,
) -> Result<(), E> {
    let most = BATCHES_AHEAD + BATCHES_OF_A_THREAD * threads.max(1);
    let (permit, permits) = sync_channel(most);
    for _ in 0..most {
        // There is room for all of them.
        let _ = permit.send(());
    }
    let reading = Mutex::new(Reading { read, permits, number: 0, is_done: false });
    let (sender, receiver) = sync_channel(most);
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            let (sender, reading, prepare) = (sender.clone(), &reading, &prepare);
            scope.spawn(move || work(reading, prepare, &sender));
        }
        drop(sender);
        let consumed = in_order(&receiver, |prepared: Prepared<T>| {
            let taken = consume(prepared.unwrap_or_else(|panic| resume_unwind(panic)));
            // Nobody waits for it at the end.
            let _ = permit.try_send(());
            taken
        });
        // They go before the threads are waited for, so that no thread waits in turn.
        drop((receiver, permit));
        consumed
    })
}

struct Reading<R> {
    read: R,
    /// One for every batch that may be under way.
    permits: Receiver<()>,
    number: usize,
    is_done: bool,
}

fn work<B, T>(
    reading: &Mutex<Reading<impl FnMut() -> Option<B>>>,
    prepare: impl Fn(B) -> T,
    sender: &SyncSender<(usize, Prepared<T>)>,
) {
    loop {
        // A panic of another thread while it read was sent by that thread.
        let mut reading = reading.lock().unwrap_or_else(PoisonError::into_inner);
        if reading.is_done || reading.permits.recv().is_err() {
            return;
        }
        let batch = catch_unwind(AssertUnwindSafe(|| (reading.read)()));
        let number = reading.number;
        reading.number += 1;
        reading.is_done = !matches!(batch, Ok(Some(_)));
        drop(reading);
        let prepared = match batch {
            Ok(None) => return,
            Ok(Some(batch)) => catch_unwind(AssertUnwindSafe(|| prepare(batch))),
            Err(panic) => Err(panic),
        };
        if sender.send((number, prepared)).is_err() {
            return;
        }
    }
}

/// Gives what comes under ascending numbers from 0 to `consume`.
fn in_order<T, E>(receiver: &Receiver<(usize, T)>, mut consume: impl FnMut(T) -> Result<(), E>) -> Result<(), E> {
    let mut waiting: VecDeque<Option<T>> = VecDeque::new();
    let mut next = 0;
    for (number, item) in receiver {
        let place = number - next;
        if waiting.len() <= place {
            waiting.resize_with(place + 1, || None);
        }
        waiting[place] = Some(item);
        while let Some(item) = waiting.front_mut().and_then(Option::take) {
            waiting.pop_front();
            next += 1;
            consume(item)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(last: u32) -> impl FnMut() -> Option<u32> + Send {
        let mut numbers = 0..last;
        move || numbers.next()
    }

    #[test]
    fn batches_come_in_order_whoever_is_slow() {
        for threads in [0, 1, 2, 7] {
            let (done, waiting) = sync_channel(1);
            let waiting = Mutex::new(waiting);
            // The first is ready after some of the others.
            let prepare = |number: u32| {
                match number {
                    0 if threads > 1 => waiting.lock().unwrap().recv().unwrap(),
                    4 => done.send(()).unwrap(),
                    _ => {}
                }
                number
            };
            let mut seen = Vec::new();
            let consumed: Result<(), ()> = read_ahead(numbers(200), prepare, threads, |number| {
                seen.push(number);
                Ok(())
            });
            assert_eq!((consumed, seen), (Ok(()), (0..200).collect()));
        }
    }

    #[test]
    fn what_is_not_consumed_ends_the_reading() {
        let mut read = 0;
        let count = || {
            read += 1;
            Some(read)
        };
        assert_eq!(
            read_ahead(count, |number| number, 3, |number| if number < 5 { Ok(()) } else { Err(number) }),
            Err(5)
        );
        assert!(read < 20, "{read}");
    }

    #[test]
    fn a_panic_is_passed_on_and_nothing_waits_for_ever() {
        let prepare = |number: u32| if number == 3 { panic!("three") } else { number };
        let run = || read_ahead(numbers(1000), prepare, 2, |_| Ok::<(), ()>(()));
        assert!(catch_unwind(run).is_err());
    }
}
