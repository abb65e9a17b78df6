//! What CIC sends, before anybody acts on it; and the simulated CIC's look at a User-Agent.

use bytes::Bytes;
use cic_gateway::cic::{
    multipart::{MultipartError, ParsedPart, Parser, boundary_of},
    user_agent,
};

/// A parser holds back a part's head at most, after a preamble that it throws away.
const HELD: usize = (64 + 17) * 1024;

/// The first byte says how long the pieces are; the boundary is `b`.
pub fn multipart(input: &[u8]) {
    let Some((size, body)) = input.split_first() else { return };
    let whole = parse(body, body.len().max(1));
    let pieces = parse(body, usize::from(*size).max(1));
    assert_eq!(whole, pieces, "pieces make no difference");
    let (Ok(parts) | Err((parts, _))) = &whole;
    let total: usize = parts.iter().map(|part| part.body.len()).sum();
    assert!(total <= body.len(), "nothing is made up");
    assert!(parts.iter().rev().skip(1).all(|part| part.complete), "only the last may be cut off");
}

type Parsed = Result<Vec<ParsedPart>, (Vec<ParsedPart>, MultipartError)>;

fn parse(body: &[u8], size: usize) -> Parsed {
    use cic_gateway::cic::multipart::PartEvent;
    let mut parser = Parser::new("b");
    let (mut parts, mut fed, mut yielded) = (Vec::<ParsedPart>::new(), 0, 0);
    let pieces = body.chunks(size).map(Some).chain([None]);
    for piece in pieces {
        match piece {
            Some(piece) => parser.feed(Bytes::copy_from_slice(piece)),
            None => parser.finish(),
        }
        fed += piece.map_or(0, <[u8]>::len);
        loop {
            match parser.next_event() {
                Ok(None) => break,
                Ok(Some(PartEvent::Begin(head))) => {
                    parts.push(ParsedPart { head, body: Vec::new(), complete: false });
                    yielded = fed;
                }
                Ok(Some(PartEvent::Data(data))) => {
                    assert!(!data.is_empty(), "no empty data");
                    parts.last_mut().expect("it has begun").body.extend_from_slice(&data);
                    yielded = fed;
                }
                Ok(Some(PartEvent::End { complete })) => {
                    parts.last_mut().expect("it has begun").complete = complete;
                    yielded = fed;
                }
                Err(error) => return Err((parts, error)),
            }
        }
        assert!(
            parser.is_closed() || fed - yielded <= HELD,
            "{} bytes are held back",
            fed - yielded
        );
    }
    Ok(parts)
}

pub fn content_type(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Some(boundary) = boundary_of(&text) {
        assert!((1..=200).contains(&boundary.len()));
        assert!(text.contains(&boundary), "{boundary:?} is made up");
    }
}

pub fn user_agent(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match user_agent::check(&text) {
        Ok(()) => drop(text.parse::<http::HeaderValue>().expect("it can be sent")),
        Err(wrong) => assert!(!wrong.to_string().is_empty()),
    }
}
