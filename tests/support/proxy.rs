//! A TCP proxy that breaks lines on purpose, between any two of gateway, broker, CIC and store.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::{oneshot, watch},
};

const LOCAL: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// What a line does with what it carries.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Weather {
    /// Everything passes at once.
    #[default]
    Fair,
    /// Each piece passes so much later.
    Delay(Duration),
    /// Nothing passes. What is sent meanwhile passes when the weather turns.
    Stall,
    /// What the client sends passes; what the server sends waits.
    Deaf,
    /// Nobody gets a connection: each new one is reset. Those that stand go on.
    Closed,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Order {
    weather: Weather,
    /// Lines that were cut so far, with RST.
    cuts: u64,
    /// Lines that were left for dead so far: nothing ever passes again, and nobody is told.
    strandings: u64,
}

/// A proxy on a port of its own. Everything ends when it is dropped.
pub struct Proxy {
    pub port: u16,
    order: watch::Sender<Order>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Proxy {
    /// Stands in for the server at this port of this machine.
    pub fn start(server: u16) -> Self {
        let listener = std::net::TcpListener::bind((LOCAL, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (order, orders) = watch::channel(Order::default());
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    () = serve(listener, (LOCAL, server).into(), orders) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { port, order, stop: Some(stop), thread: Some(thread) }
    }

    /// From now on, for all lines.
    pub fn set(&self, weather: Weather) {
        self.order.send_modify(|order| order.weather = weather);
    }

    /// Resets every line that stands (RST, both sides).
    pub fn cut(&self) {
        self.order.send_modify(|order| order.cuts += 1);
    }

    /// Leaves every line that stands for dead: it stays open and nothing ever passes again.
    /// Half-open, as after a NAT has forgotten it. New lines are as good as the weather.
    pub fn strand(&self) {
        self.order.send_modify(|order| order.strandings += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(listener: TcpListener, server: SocketAddr, orders: watch::Receiver<Order>) {
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        if orders.borrow().weather == Weather::Closed {
            let _ = client.set_zero_linger();
            continue;
        }
        tokio::spawn(carry(client, server, orders.clone()));
    }
}

async fn carry(mut client: TcpStream, server: SocketAddr, mut orders: watch::Receiver<Order>) {
    let born = *orders.borrow_and_update();
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let is_cut = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let up = pump(from_client, to_server, false, born, orders.clone());
        let down = pump(from_server, to_client, true, born, orders.clone());
        tokio::select! {
            // Either side's end is the line's end.
            () = up => false,
            () = down => false,
            cut = orders.wait_for(|order| order.cuts != born.cuts) => cut.is_ok(),
        }
    };
    if is_cut {
        let _ = (client.set_zero_linger(), server.set_zero_linger());
    }
}

async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    downwards: bool,
    born: Order,
    mut orders: watch::Receiver<Order>,
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let passes = |order: &Order| match order.weather {
            _ if order.strandings != born.strandings => false,
            Weather::Stall => false,
            Weather::Deaf => !downwards,
            Weather::Fair | Weather::Delay(_) | Weather::Closed => true,
        };
        let Ok(weather) = orders.wait_for(passes).await.map(|order| order.weather) else { return };
        if let Weather::Delay(later) = weather {
            tokio::time::sleep(later).await;
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
    // The end passes as little as anything else does.
    let stands = |order: &Order| order.strandings == born.strandings;
    let _ = orders.wait_for(stands).await;
    let _ = to.shutdown().await;
}
