//! Where the audio goes: a light CIC in a process of its own, which notes how late each message
//! is. `load` starts it, and asks it over its standard input.

use std::{
    cell::RefCell,
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, SocketAddr},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, BufReader as AsyncBufReader},
    net::TcpListener,
    task::{LocalSet, spawn_local},
};

use super::mark::{Scanner, shared_time};
use crate::sim::{
    sink::{self, Ear},
    tls::Identity,
};

/// Messages that are due then are heard, and not counted: the warm-up.
pub(super) const UNCOUNTED: u64 = 0;

/// Where it is.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Place {
    /// It speaks HTTP/2 over TLS there.
    pub(super) addr: SocketAddr,
    /// The trust anchor of its certificate.
    pub(super) ca_pem: String,
}

/// What it has heard since it was asked last.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Account {
    /// How late each message was, microseconds.
    late: Vec<u32>,
}

impl Account {
    /// Late is what arrives after its due time, whenever it was really sent: a sender that is held
    /// up does not hide what it would have measured.
    fn note(&mut self, due: u64, now: u64) {
        if due != UNCOUNTED {
            self.late.push(u32::try_from(now.saturating_sub(due)).unwrap_or(u32::MAX));
        }
    }

    /// How late the messages were, the least late first.
    pub(super) fn latencies(self) -> Vec<Duration> {
        let mut late = self.late;
        late.sort_unstable();
        late.into_iter().map(|micros| Duration::from_micros(micros.into())).collect()
    }
}

/// The process; ends when dropped.
pub(super) struct Sink {
    child: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
    pub(super) place: Place,
}

impl Sink {
    /// Starts it; returns once it listens.
    pub(super) fn start() -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("load-sink")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("the process that hears the audio does not start")?;
        let ask = child.stdin.take().context("it has no standard input")?;
        let mut answers = BufReader::new(child.stdout.take().context("it has no standard output")?);
        let place = answer(&mut answers)?;
        Ok(Self { child, ask, answers, place })
    }

    /// `cic.base_uri` of a gateway that is to use it.
    pub(super) fn uri(&self) -> String {
        format!("https://{}/", self.place.addr)
    }

    /// What it has heard since the last call.
    pub(super) fn account(&mut self) -> Result<Account> {
        writeln!(self.ask)?;
        answer(&mut self.answers)
    }
}

fn answer<T: serde::de::DeserializeOwned>(from: &mut impl BufRead) -> Result<T> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    serde_json::from_str(&line).context("the process that hears the audio has ended")
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One upload's ear.
struct Listener {
    scanner: Scanner,
    account: Rc<RefCell<Account>>,
}

impl Ear for Listener {
    fn hear(&mut self, piece: &[u8]) {
        let now = shared_time(Instant::now());
        let mut account = self.account.borrow_mut();
        self.scanner.feed(piece, |due| account.note(due, now));
    }
}

/// The process itself: says where it is, then answers each line with an [`Account`].
pub(super) async fn run() -> Result<()> {
    let work = async {
        let (place, account) = spawn_here().await?;
        say(&place)?;
        let mut asked = AsyncBufReader::new(tokio::io::stdin()).lines();
        while asked.next_line().await?.is_some() {
            say(&account.take())?;
        }
        Ok(())
    };
    LocalSet::new().run_until(work).await
}

/// Serves on this `LocalSet`.
pub(super) async fn spawn_here() -> Result<(Place, Rc<RefCell<Account>>)> {
    let identity = Identity::new()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let place = Place { addr: listener.local_addr()?, ca_pem: identity.ca_pem().to_owned() };
    let account = Rc::new(RefCell::new(Account::default()));
    let shared = account.clone();
    let ears = move || Listener { scanner: Scanner::default(), account: shared.clone() };
    spawn_local(sink::serve(listener, identity.acceptor("h2")?, ears));
    Ok((place, account))
}

fn say(what: &impl Serialize) -> Result<()> {
    let mut line = serde_json::to_vec(what)?;
    line.push(b'\n');
    let mut out = std::io::stdout().lock();
    out.write_all(&line)?;
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_late_from_when_it_was_due_not_from_its_sending() {
        let mut account = Account::default();
        // Held up for a second, then heard in a burst.
        (1..=11).for_each(|message| account.note(message * 100_000, 1_100_000));
        account.note(UNCOUNTED, 1_100_000);
        account.note(2_000_000, 1_100_000);
        let late: Vec<_> = account.latencies().iter().map(Duration::as_millis).collect();
        assert_eq!(late, [0, 0, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1000]);
    }
}
