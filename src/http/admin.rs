//! Who may use the API: whoever has the admin token; without one configured, this machine only.

use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{StatusCode, header},
    middleware::Next,
    web,
};
use ring::digest;

use super::problem::Problem;
use crate::secret::Secret;

/// `http.admin_token`, hashed: comparing digests tells nothing about the token by its time.
#[derive(Debug, Clone)]
pub(super) struct Admin(Option<digest::Digest>);

impl Admin {
    pub(super) fn new(token: &Secret) -> Self {
        Self((!token.is_empty()).then(|| hash(token.expose())))
    }

    fn admits(&self, request: &ServiceRequest) -> bool {
        match &self.0 {
            Some(token) => {
                bearer(request).is_some_and(|given| hash(given).as_ref() == token.as_ref())
            }
            // A page from elsewhere, led here by a name that resolves to this machine, is not us.
            None => {
                is_local_peer(request) && is_local_name(request) && !is_of_another_page(request)
            }
        }
    }
}

/// Lets a request pass, or answers 401.
pub(super) async fn only_admin<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let admin = request.app_data::<web::Data<Admin>>();
    if admin.is_some_and(|admin| admin.admits(&request)) {
        return next.call(request).await;
    }
    let detail = "send the header Authorization: Bearer with the value of http.admin_token";
    Err(Problem::new(StatusCode::UNAUTHORIZED, detail).into())
}

fn hash(text: &str) -> digest::Digest {
    digest::digest(&digest::SHA256, text.as_bytes())
}

fn bearer(request: &ServiceRequest) -> Option<&str> {
    let value = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// A browser says which page made it ask; programs say nothing.
fn is_of_another_page(request: &ServiceRequest) -> bool {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let strange = |site: &str| !matches!(site, "same-origin" | "none");
    let info = request.connection_info();
    let foreign = |origin: &str| origin.split_once("://").is_none_or(|(_, at)| at != info.host());
    header("sec-fetch-site").is_some_and(strange) || header("origin").is_some_and(foreign)
}

fn is_local_peer(request: &ServiceRequest) -> bool {
    request.peer_addr().is_some_and(|peer| peer.ip().to_canonical().is_loopback())
}

fn is_local_name(request: &ServiceRequest) -> bool {
    let info = request.connection_info();
    let name = info.host().rsplit_once(':').map_or(info.host(), |(name, port)| {
        if port.bytes().all(|byte| byte.is_ascii_digit()) { name } else { info.host() }
    });
    let address = name.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    name == "localhost" || address.is_ok_and(|address| address.is_loopback())
}
