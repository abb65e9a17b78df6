//! Writes the body of an event (transport 8.1).

use bytes::{BufMut, Bytes, BytesMut};

/// The boundary of one event's body, and the pieces that are written with it.
#[derive(Debug, Clone)]
pub struct Boundary(String);

impl Boundary {
    /// A random one: 122 random bits do not occur in a body.
    pub fn random() -> Self {
        Self(format!("cic-{}", uuid::Uuid::new_v4().simple()))
    }

    /// `multipart/form-data; boundary=...`.
    pub fn content_type(&self) -> String {
        format!("multipart/form-data; boundary={}", self.0)
    }

    /// Delimiter, headers and body of the `metadata` part.
    pub fn metadata(&self, json: &[u8]) -> Bytes {
        let head = self.head("metadata", "application/json; charset=UTF-8", "");
        let mut part = BytesMut::with_capacity(head.len() + json.len());
        part.put_slice(head.as_bytes());
        part.put_slice(json);
        part.freeze()
    }

    /// Delimiter and headers of the `audio` part, after the `metadata` part.
    pub fn audio_head(&self) -> Bytes {
        self.head("audio", "application/octet-stream", "\r\n").into()
    }

    /// The closing delimiter.
    pub fn closing(&self) -> Bytes {
        format!("\r\n--{}--\r\n", self.0).into()
    }

    fn head(&self, name: &str, content_type: &str, before: &str) -> String {
        let boundary = &self.0;
        format!(
            "{before}--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\
             Content-Type: {content_type}\r\n\r\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Parser, boundary_of};
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let boundary = Boundary::random();
        let mut body = BytesMut::new();
        body.put(boundary.metadata(b"{\"event\":{}}"));
        body.put(boundary.audio_head());
        body.put(&b"\r\n--pcm\0\x01"[..]);
        body.put(boundary.closing());
        let mut parser = Parser::new(&boundary_of(&boundary.content_type()).unwrap());
        parser.feed(body.freeze());
        parser.finish();
        let parts = parser.collect_parts().unwrap();
        let names: Vec<_> = parts.iter().map(|part| part.head.name.clone().unwrap()).collect();
        assert_eq!(names, ["metadata", "audio"]);
        assert_eq!(parts[0].body, b"{\"event\":{}}");
        assert_eq!(parts[1].body, b"\r\n--pcm\0\x01");
        assert!(parts.iter().all(|part| part.complete) && parser.is_closed());
    }
}
