//! A thread on which many simulated appliances live.

use std::{future::Future, pin::Pin, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use super::{ApplianceSettings, SimulatedAppliance, life::Life};

/// How long appliances that are told to end may take.
const END: Duration = Duration::from_secs(1);
/// Things that an appliance heard and nobody has asked for yet.
const UNHEARD: usize = 4096;

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One thread, hundreds of appliances. Those that still live end when it is dropped.
pub struct ApplianceHost {
    jobs: Option<mpsc::UnboundedSender<Job>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl ApplianceHost {
    /// Starts the thread.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start() -> std::io::Result<Self> {
        let (jobs, inbox) = mpsc::unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new()
            .name("appliances".into())
            .spawn(move || runtime.block_on(host(inbox)))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Starts an appliance; it connects, and says `online`, by itself.
    pub fn add(&self, settings: ApplianceSettings) -> SimulatedAppliance {
        let (asks, inbox) = mpsc::unbounded_channel();
        let (looks, looked) = mpsc::unbounded_channel();
        let (tell, heard) = mpsc::channel(UNHEARD);
        let (stop, stopped) = oneshot::channel();
        let life = async move { Life::new(&settings, tell).run(inbox, looked, stopped).await };
        if let Some(jobs) = &self.jobs {
            let _ = jobs.send(Box::pin(life));
        }
        SimulatedAppliance::new(asks, looks, heard, stop)
    }
}

impl Drop for ApplianceHost {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn host(mut inbox: mpsc::UnboundedReceiver<Job>) {
    let mut lives = JoinSet::new();
    loop {
        tokio::select! {
            job = inbox.recv() => match job {
                Some(job) => drop(lives.spawn(job)),
                None => break,
            },
            Some(_) = lives.join_next() => {}
        }
    }
    let _ = tokio::time::timeout(END, async { while lives.join_next().await.is_some() {} }).await;
}
