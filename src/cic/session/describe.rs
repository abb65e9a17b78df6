//! What an error response says of itself (transport 10, field notes): multipart with
//! `System.Exception`, plain JSON, or nothing.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use http::Response;
use serde_json::Value;

use super::body::Stream;
use crate::cic::multipart::{Parser, boundary_of};

/// Bytes of an error body that are read for its description.
const MAX_BODY: usize = 16 * 1024;
/// How long an error body may take: the status is what counts.
const PATIENCE: Duration = Duration::from_secs(2);
/// Characters of a description.
const MAX_DESCRIPTION: usize = 200;

/// Reads an error body's description, at most 200 characters; never waits long for it.
pub(super) async fn error_body(response: Response<RecvStream>) -> String {
    let (parts, stream) = response.into_parts();
    let mut stream = Stream(stream);
    let mut body = BytesMut::new();
    let read = async {
        while let Ok(Some(chunk)) = stream.next().await {
            stream.release(chunk.len());
            let room = MAX_BODY - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if body.len() == MAX_BODY {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(PATIENCE, read).await;
    let content_type = parts.headers.get("content-type").and_then(|value| value.to_str().ok());
    describe(content_type, body.freeze())
}

fn describe(content_type: Option<&str>, body: Bytes) -> String {
    let json = content_type
        .and_then(boundary_of)
        .and_then(|boundary| first_part(&boundary, body.clone()))
        .unwrap_or_else(|| body.to_vec());
    let said = serde_json::from_slice(&json).ok().and_then(|value| said(&value));
    let text = said.unwrap_or_else(|| String::from_utf8_lossy(&body).into_owned());
    text.chars().filter(|c| !c.is_control()).take(MAX_DESCRIPTION).collect()
}

fn first_part(boundary: &str, body: Bytes) -> Option<Vec<u8>> {
    let mut parser = Parser::new(boundary);
    parser.feed(body);
    parser.finish();
    let parts = parser.collect_parts().ok()?;
    parts.into_iter().next().map(|part| part.body)
}

/// `directive.payload.description`, or what stands in its place in plain JSON.
fn said(value: &Value) -> Option<String> {
    let payload = value.pointer("/directive/payload").or_else(|| value.get("payload"));
    let payload = payload.unwrap_or(value);
    let named = ["description", "message", "code", "error"].map(|name| payload.get(name));
    named.into_iter().flatten().find_map(|found| match found {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_body_is_described_however_it_is_written() {
        let exception = "--b\r\nContent-Type: application/json\r\n\r\n{\"directive\":{\"header\":\
            {\"namespace\":\"System\",\"name\":\"Exception\"},\"payload\":{\"code\":400,\
            \"description\":\"no\\nboundary\"}}}\r\n--b--";
        let multipart = Some("multipart/related; boundary=b;");
        let json = Some("application/json");
        let rows = [
            (multipart, exception, "noboundary"),
            (
                json,
                r#"{"payload":{"code":"UNAUTHORIZED_REQUEST_EXCEPTION"}}"#,
                "UNAUTHORIZED_REQUEST_EXCEPTION",
            ),
            (multipart, r#"{"payload":{"code":"X"}}"#, "X"),
            (None, r#"{"error":"invalid_grant"}"#, "invalid_grant"),
            (json, r#"{"directive":{"payload":{"code":500}}}"#, "500"),
            (json, "[]", "[]"),
            (Some("text/html"), "<html>", "<html>"),
            (None, "", ""),
        ];
        for (content_type, body, want) in rows {
            assert_eq!(describe(content_type, Bytes::from_static(body.as_bytes())), want);
        }
        let long = Bytes::from(vec![b'x'; MAX_BODY]);
        assert_eq!(describe(None, long).len(), MAX_DESCRIPTION);
    }
}
