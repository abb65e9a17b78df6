//! Whether CIC still answers requests. PINGs tell only that its end of the connection lives: a
//! server that grants no stream, takes no byte or answers nothing would stay "connected" for ever.
//!
//! Counted is the time in which something is due from CIC, over all requests together, so that
//! impatient users who ask again and again do not hide it. Anything that CIC says begins anew.

use std::{cell::Cell, rc::Rc, time::Duration};

use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

/// The patience of one connection.
#[derive(Default)]
pub(super) struct Patience {
    /// What is due from CIC at the moment.
    due: Cell<usize>,
    /// When something became due, if anything is.
    since: Cell<Option<Instant>>,
    /// For how long something was due before that.
    before: Cell<Duration>,
    changed: Notify,
}

impl Patience {
    /// Something is due from CIC until the guard is dropped.
    pub(super) fn await_cic(self: &Rc<Self>) -> Due {
        if self.due.replace(self.due.get() + 1) == 0 {
            self.since.set(Some(Instant::now()));
            self.changed.notify_one();
        }
        Due(self.clone())
    }

    /// CIC has said something.
    pub(super) fn heard(&self) {
        self.before.set(Duration::ZERO);
        self.since.set(self.since.get().map(|_| Instant::now()));
    }

    /// Resolves once CIC has said nothing for so long although something was due. Dropping it
    /// loses nothing.
    pub(super) async fn ended(&self, limit: Duration) {
        loop {
            match self.waited() {
                None => self.changed.notified().await,
                Some(waited) if waited >= limit => return,
                Some(waited) => tokio::select! {
                    () = sleep(limit - waited) => {}
                    () = self.changed.notified() => {}
                },
            }
        }
    }

    fn waited(&self) -> Option<Duration> {
        self.since.get().map(|since| self.before.get() + since.elapsed())
    }

    fn settled(&self) {
        self.due.set(self.due.get().saturating_sub(1));
        if self.due.get() == 0
            && let Some(waited) = self.waited()
        {
            self.before.set(waited);
            self.since.set(None);
            self.changed.notify_one();
        }
    }
}

/// Something that is due from CIC.
pub(super) struct Due(Rc<Patience>);

impl Drop for Due {
    fn drop(&mut self) {
        self.0.settled();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    async fn seconds(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    async fn is_over(patience: &Patience) -> bool {
        tokio::time::timeout(Duration::ZERO, patience.ended(LIMIT)).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn requests_that_follow_each_other_unanswered_end_it() {
        let patience = Rc::new(Patience::default());
        for _ in 0..6 {
            assert!(!is_over(&patience).await);
            let due = patience.await_cic();
            seconds(10).await;
            drop(due); // the user asks for something else
            seconds(1000).await; // nothing is due
        }
        assert!(!is_over(&patience).await, "as long as nothing more is asked");
        let _due = patience.await_cic();
        assert!(is_over(&patience).await);
    }

    #[tokio::test(start_paused = true)]
    async fn whatever_cic_says_begins_it_anew() {
        let patience = Rc::new(Patience::default());
        let (_one, other) = (patience.await_cic(), patience.await_cic());
        seconds(59).await;
        drop(other);
        patience.heard();
        seconds(59).await;
        assert!(!is_over(&patience).await);
        seconds(1).await;
        assert!(is_over(&patience).await);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_noticed_by_whoever_waits_already() {
        let patience = Rc::new(Patience::default());
        let watcher = patience.clone();
        let local = tokio::task::LocalSet::new();
        local
            .run_until(async {
                let watching = tokio::task::spawn_local(async move { watcher.ended(LIMIT).await });
                tokio::task::yield_now().await;
                let _due = patience.await_cic();
                watching.await.unwrap();
            })
            .await;
    }
}
