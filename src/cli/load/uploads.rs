//! The same uploads without a gateway: each speaker is an HTTP/2 client of its own, straight to
//! CIC's side or through a proxy.

use std::{net::SocketAddr, sync::Arc, thread::JoinHandle, time::Duration};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use h2::client::SendRequest;
use http::Request;
use rustls::pki_types::ServerName;
use tokio::{net::TcpStream, runtime::Handle, sync::oneshot, task};
use tokio_rustls::TlsConnector;

use super::plan::Plan;
use crate::{
    cic::{multipart::Boundary, tls},
    sim::sink::write,
};

/// Speakers that share a thread.
const PER_THREAD: u32 = 1000;
/// A description of an event, about as long as a real one.
const METADATA: usize = 2500;

/// Many connected clients.
pub(super) struct Uploads {
    clients: Vec<(Handle, SendRequest<Bytes>)>,
    _threads: Vec<Thread>,
}

impl Uploads {
    /// Connects them all, one after the other.
    pub(super) async fn connect(speakers: u32, addr: SocketAddr, ca_pem: &str) -> Result<Self> {
        let connector = TlsConnector::from(tls::client_config(Some(ca_pem.as_bytes()), &["h2"])?);
        let threads = (0..speakers.div_ceil(PER_THREAD)).map(|_| Thread::start());
        let threads = threads.collect::<Result<Vec<_>>>()?;
        let mut clients = Vec::new();
        for (_, thread) in (0..speakers).zip(threads.iter().cycle()) {
            let connected = thread.handle.spawn(connect(addr, connector.clone()));
            clients.push((thread.handle.clone(), connected.await??));
        }
        Ok(Self { clients, _threads: threads })
    }

    /// Everybody speaks; returns how many failed.
    pub(super) async fn speak(&self, plan: &Plan, speaking: u32, patience: Duration) -> usize {
        let plan = Arc::new(plan.clone());
        let limit = plan.end() + patience;
        let uploads = (0..speaking).zip(&self.clients).map(|(speaker, (thread, client))| {
            let upload = upload(client.clone(), plan.clone(), speaker);
            thread.spawn(tokio::time::timeout_at(limit.into(), upload))
        });
        let mut failed = 0;
        for upload in uploads.collect::<Vec<task::JoinHandle<_>>>() {
            failed += usize::from(!matches!(upload.await, Ok(Ok(Ok(())))));
        }
        failed
    }
}

async fn connect(addr: SocketAddr, connector: TlsConnector) -> Result<SendRequest<Bytes>> {
    let tcp = TcpStream::connect(addr).await?;
    tcp.set_nodelay(true)?;
    let stream = connector.connect(ServerName::from(addr.ip()), tcp).await?;
    let (client, connection) = h2::client::handshake(stream).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn upload(client: SendRequest<Bytes>, plan: Arc<Plan>, speaker: u32) -> Result<()> {
    tokio::time::sleep_until(plan.start(speaker).into()).await;
    let boundary = Boundary::random();
    let request = Request::post("https://127.0.0.1/v1/events")
        .header("content-type", boundary.content_type())
        .body(())?;
    let (response, mut body) = client.ready().await?.send_request(request, false)?;
    write(&mut body, boundary.metadata(&[b' '; METADATA]), false).await?;
    write(&mut body, boundary.audio_head(), false).await?;
    for message in 0..plan.messages {
        tokio::time::sleep_until(plan.due(speaker, message).into()).await;
        write(&mut body, plan.message(speaker, message), false).await?;
    }
    write(&mut body, boundary.closing(), true).await?;
    let status = response.await?.status();
    ensure!(status.is_success(), "refused with {status}");
    Ok(())
}

/// Drives the connections of many speakers; ends when dropped.
struct Thread {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Thread {
    fn start() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new()
            .name("uploads".into())
            .spawn(move || drop(runtime.block_on(stopped)))
            .context("no thread for the uploads")?;
        Ok(Self { handle, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::load::sink;

    #[tokio::test]
    async fn what_clients_upload_is_heard_on_the_other_side() {
        task::LocalSet::new()
            .run_until(async {
                let (place, account) = sink::spawn_here().await.unwrap();
                let uploads = Uploads::connect(3, place.addr, &place.ca_pem).await.unwrap();
                let step = Duration::from_millis(20);
                let plan = Plan::new(5 * step, step, step);
                assert_eq!(uploads.speak(&plan, 2, Duration::from_secs(20)).await, 0);
                assert_eq!(account.take().latencies().len(), 2 * 5);
                let plan = plan.uncounted();
                assert_eq!(uploads.speak(&plan, 3, Duration::from_secs(20)).await, 0);
                assert!(account.take().latencies().is_empty(), "only to warm up");
            })
            .await;
    }
}
