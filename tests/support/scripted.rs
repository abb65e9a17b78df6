//! A broker that does just what a test says, packet by packet.

use bytes::BytesMut;
use rumqttc::v5::mqttbytes::{
    Error, QoS,
    v5::{
        ConnAck, ConnectReturnCode, Packet, PingResp, PubAck, Publish, SubAck, SubscribeReasonCode,
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// One connection of the gateway, seen from the broker.
pub struct Peer {
    stream: TcpStream,
    buffer: BytesMut,
}

impl Peer {
    /// Waits for the next connection and accepts its CONNECT.
    pub async fn accept(listener: &TcpListener) -> Self {
        let (stream, _) = listener.accept().await.unwrap();
        let mut peer = Self { stream, buffer: BytesMut::new() };
        assert!(matches!(peer.read().await, Some(Packet::Connect(..))));
        let code = ConnectReturnCode::Success;
        peer.write(Packet::ConnAck(ConnAck { session_present: false, code, properties: None }))
            .await;
        peer
    }

    /// The next packet; nothing once the gateway has closed the connection.
    pub async fn read(&mut self) -> Option<Packet> {
        loop {
            match Packet::read(&mut self.buffer, None) {
                Ok(packet) => return Some(packet),
                Err(Error::InsufficientBytes(_)) => {}
                Err(error) => panic!("{error}"),
            }
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    pub async fn write(&mut self, packet: Packet) {
        let mut bytes = BytesMut::new();
        packet.write(&mut bytes, None).unwrap();
        // The gateway may have given up meanwhile.
        let _ = self.stream.write_all(&bytes).await;
    }

    /// Reads up to the subscription and answers every filter of it with this.
    pub async fn answer_subscription(&mut self, code: SubscribeReasonCode) {
        loop {
            match self.read().await.expect("it subscribes") {
                Packet::Subscribe(asked) => {
                    let return_codes = vec![code; asked.filters.len()];
                    let answer = SubAck { pkid: asked.pkid, return_codes, properties: None };
                    return self.write(Packet::SubAck(answer)).await;
                }
                other => self.acknowledge(&other).await,
            }
        }
    }

    /// Grants the subscription, and returns the gateway's first heartbeat to it.
    pub async fn bring_up(&mut self) {
        self.answer_subscription(SubscribeReasonCode::Success(QoS::AtLeastOnce)).await;
        loop {
            let packet = self.read().await.expect("it sends a heartbeat");
            self.acknowledge(&packet).await;
            if let Packet::Publish(publish) = packet
                && publish.topic.ends_with(b"/heartbeat")
            {
                return self.write(Packet::Publish(publish)).await;
            }
        }
    }

    /// Publishes with QoS 1.
    pub async fn publish(&mut self, topic: &str, pkid: u16, payload: String) {
        let mut publish = Publish::new(topic, QoS::AtLeastOnce, payload, None);
        publish.pkid = pkid;
        self.write(Packet::Publish(publish)).await;
    }

    /// Sends what a packet wants for an answer: PUBACK or PINGRESP.
    pub async fn acknowledge(&mut self, packet: &Packet) {
        match packet {
            Packet::Publish(publish) if publish.qos == QoS::AtLeastOnce => {
                self.write(Packet::PubAck(PubAck::new(publish.pkid, None))).await;
            }
            Packet::PingReq(_) => self.write(Packet::PingResp(PingResp)).await,
            _ => {}
        }
    }
}
