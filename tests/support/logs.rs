//! What the code under test writes to the log on this thread.

use std::{
    io,
    sync::{Arc, Mutex},
};

use tracing::subscriber::DefaultGuard;

/// Collects log lines from when it is made until it is dropped.
pub struct Logs {
    text: Arc<Mutex<Vec<u8>>>,
    _guard: Option<DefaultGuard>,
}

impl Logs {
    pub fn collect() -> Self {
        let text = Arc::<Mutex<Vec<u8>>>::default();
        let guard = tracing::subscriber::set_default(subscriber(text.clone()));
        Self { text, _guard: Some(guard) }
    }

    /// Of all threads, for good; once in a process.
    pub fn collect_everywhere() -> Self {
        let text = Arc::<Mutex<Vec<u8>>>::default();
        tracing::subscriber::set_global_default(subscriber(text.clone())).unwrap();
        Self { text, _guard: None }
    }

    /// All lines that hold this text.
    pub fn with(&self, part: &str) -> Vec<String> {
        let text = String::from_utf8(self.text.lock().unwrap().clone()).unwrap();
        text.lines().filter(|line| line.contains(part)).map(str::to_owned).collect()
    }
}

fn subscriber(text: Arc<Mutex<Vec<u8>>>) -> impl tracing::Subscriber + Send + Sync {
    tracing_subscriber::fmt().with_ansi(false).with_writer(move || Writer(text.clone())).finish()
}

struct Writer(Arc<Mutex<Vec<u8>>>);

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
