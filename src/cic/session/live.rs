//! The loop of a session: commands, PING, the end.

use std::{collections::HashMap, rc::Rc, time::Duration};

use bytes::Bytes;
use h2::client::SendRequest;
use tokio::{
    sync::{mpsc, oneshot},
    task::{AbortHandle, JoinHandle},
    time::{Instant, sleep_until},
};

use super::{
    Shared,
    connect::{self, Connection},
    downchannel,
    heart::Heart,
    request::Request,
    upload::{Backlog, Piece},
};
use crate::{
    cic::message::{CloseReason, Command, Notice, Outcome, RequestKey},
    secret::Secret,
};

/// How long a connection may take to say good-bye.
const FAREWELL: Duration = Duration::from_millis(500);
/// How long requests that are under way may go on after GOAWAY. An answer is worth waiting for, but
/// nothing new can be asked meanwhile.
const DRAIN: Duration = Duration::from_secs(5);

/// From connecting to the end.
pub(super) async fn live(
    shared: &Rc<Shared>,
    mut token: Secret,
    inbox: &mut mpsc::UnboundedReceiver<Command>,
) -> CloseReason {
    let connected = tokio::select! {
        // Boxed, so that a session does not keep the room that connecting takes.
        connected = Box::pin(connect::connect(&shared.settings)) => connected,
        () = asked_to_close(inbox, &mut token) => return CloseReason::Requested,
    };
    let Connection { send, ping, driver, going_away } = match connected {
        Ok(connection) => connection,
        Err(why) => return CloseReason::Connect(why),
    };
    let heart = Heart::new(ping, &shared.settings);
    let (shared, requests, late) = (shared.clone(), HashMap::new(), Vec::new());
    let driver = Task::new(driver);
    let mut session = Session { shared, send, token, requests, late, driver };
    let (reason, channel) = session.serve(heart, going_away, inbox).await;
    Box::pin(session.end(channel)).await;
    reason
}

/// While connecting only the end and a fresher token matter: nothing else can have been sent.
async fn asked_to_close(inbox: &mut mpsc::UnboundedReceiver<Command>, token: &mut Secret) {
    while let Some(command) = inbox.recv().await {
        match command {
            Command::Close => break,
            Command::SetToken(fresher) => *token = fresher,
            _ => {}
        }
    }
}

/// A task that ends with its owner, and that may be waited for more than once.
struct Task<T> {
    handle: Option<JoinHandle<T>>,
    abort: AbortHandle,
}

impl<T: 'static> Task<T> {
    fn new(handle: JoinHandle<T>) -> Self {
        let abort = handle.abort_handle();
        Self { handle: Some(handle), abort }
    }

    /// Its result, once; afterwards `None` at once.
    async fn ended(&mut self) -> Option<Result<T, tokio::task::JoinError>> {
        let ended = self.handle.as_mut()?.await;
        self.handle = None;
        Some(ended)
    }

    fn is_finished(&self) -> bool {
        self.abort.is_finished()
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.abort.abort();
    }
}

/// A request that is under way, as the loop sees it.
struct Running {
    /// The way into the upload of a Recognize.
    upload: Option<mpsc::UnboundedSender<Piece>>,
    backlog: Rc<Backlog>,
    task: Task<()>,
}

impl Running {
    fn upload(&self, piece: Piece) {
        if let Some(upload) = &self.upload {
            // Fails only when the request has ended.
            let _ = upload.send(piece);
        }
    }
}

struct Session {
    shared: Rc<Shared>,
    send: SendRequest<Bytes>,
    token: Secret,
    requests: HashMap<RequestKey, Running>,
    /// Asked for after GOAWAY: they end with the session, which the actor repeats them on.
    late: Vec<RequestKey>,
    driver: Task<Result<(), h2::Error>>,
}

impl Session {
    /// Returns why it ended, and the downchannel's task, to be dropped.
    async fn serve(
        &mut self,
        mut heart: Heart,
        mut going_away: oneshot::Receiver<()>,
        inbox: &mut mpsc::UnboundedReceiver<Command>,
    ) -> (CloseReason, Task<CloseReason>) {
        let (shared, send) = (self.shared.clone(), self.send.clone());
        let read = downchannel::read(shared.clone(), send, self.token.clone());
        let mut channel = Task::new(tokio::task::spawn_local(read));
        let mut leave_by: Option<Instant> = None;
        let limit = shared.settings.response_timeout * 2;
        let reason = loop {
            if leave_by.is_some_and(|by| by <= Instant::now() || !self.is_busy()) {
                break CloseReason::Lost("CIC announced the end (GOAWAY)".into());
            }
            tokio::select! {
                // Liveness first; nothing here waits for the actor.
                biased;
                beat = heart.beat() => match beat {
                    Ok(took) => {
                        shared.metrics.cic_ping_seconds.observe(took.as_secs_f64());
                        let _ = shared.notices.try_send(Box::new(Notice::Pong(took)));
                    }
                    Err(reason) => break reason,
                },
                ended = channel.ended() => break match ended {
                    Some(Ok(reason)) => reason,
                    Some(Err(error)) => CloseReason::Lost(error.to_string()),
                    None => CloseReason::Lost("the downchannel has ended".into()),
                },
                ended = self.driver.ended() => break CloseReason::Lost(describe(ended)),
                () = shared.patience.ended(limit) => break CloseReason::Stalled,
                _ = &mut going_away, if leave_by.is_none() => {
                    leave_by = Some(Instant::now() + DRAIN);
                }
                () = shared.request_ended.notified(), if leave_by.is_some() => {}
                () = until(leave_by) => {}
                command = inbox.recv() => match command {
                    None | Some(Command::Close) => break CloseReason::Requested,
                    Some(command) => self.perform(command, leave_by.is_some()),
                },
            }
        };
        (reason, channel)
    }

    fn is_busy(&self) -> bool {
        self.requests.values().any(|running| !running.task.is_finished())
    }

    fn perform(&mut self, command: Command, leaving: bool) {
        match command {
            Command::SetToken(token) => self.token = token,
            Command::Event { key, .. } | Command::OpenUpload { key, .. } if leaving => {
                self.late.push(key);
            }
            Command::Event { key, metadata } => self.open(key, metadata, false),
            Command::OpenUpload { key, metadata } => self.open(key, metadata, true),
            Command::Audio { key, data, received } => {
                if let Some(running) = self.requests.get(&key) {
                    running.backlog.add(data.len());
                    running.upload(Piece::Audio(data, received));
                }
            }
            Command::FinishUpload { key } => {
                if let Some(running) = self.requests.get(&key) {
                    running.upload(Piece::End);
                }
            }
            Command::Abort { key } => {
                // Dropping the stream's ends resets it (RST_STREAM, CANCEL).
                self.requests.remove(&key);
                self.late.retain(|late| *late != key);
            }
            Command::Close => {}
        }
    }

    fn open(&mut self, key: RequestKey, metadata: Bytes, audio: bool) {
        self.requests.retain(|_, running| !running.task.is_finished());
        let (upload, pieces) = audio.then(mpsc::unbounded_channel).unzip();
        let backlog = Rc::new(Backlog::new(self.shared.settings.max_upload_backlog));
        let request = Request {
            key,
            shared: self.shared.clone(),
            send: self.send.clone(),
            token: self.token.clone(),
            metadata,
            audio: pieces,
            backlog: backlog.clone(),
        };
        let task = Task::new(tokio::task::spawn_local(request.run()));
        self.requests.insert(key, Running { upload, backlog, task });
    }

    /// Ends every request with a notice, and the connection beside that: a slow actor does not keep
    /// it open.
    async fn end(mut self, channel: Task<CloseReason>) {
        let unfinished = self.requests.iter().filter(|(_, running)| !running.task.is_finished());
        let mut keys: Vec<_> = unfinished.map(|(key, _)| *key).collect();
        keys.append(&mut self.late);
        keys.sort_unstable();
        let Self { shared, send, requests, mut driver, .. } = self;
        // Without handles and streams h2 sends GOAWAY and closes by itself.
        drop((channel, requests, send));
        let tell = async {
            for key in keys {
                let outcome = Outcome::Broken("the session ended".into());
                shared.tell(Notice::Finished { key, outcome }).await;
            }
        };
        let (_, ()) = tokio::join!(tokio::time::timeout(FAREWELL, driver.ended()), tell);
    }
}

async fn until(by: Option<Instant>) {
    match by {
        Some(by) => sleep_until(by).await,
        None => std::future::pending().await,
    }
}

fn describe(ended: Option<Result<Result<(), h2::Error>, tokio::task::JoinError>>) -> String {
    match ended {
        Some(Ok(Err(error))) => error.to_string(),
        Some(Err(error)) => error.to_string(),
        Some(Ok(Ok(()))) | None => "CIC closed the connection".to_owned(),
    }
}
