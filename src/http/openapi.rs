//! `GET /openapi.json`: the description of the API, and the routes that are made from it.
//!
//! What is described is what is served: a handler's path and method are those of its description.

use std::collections::BTreeMap;

use actix_web::{
    FromRequest, Handler, HttpRequest, HttpResponse, Resource, Responder, ResponseError,
    http::{self, StatusCode, header},
    web,
};
use utoipa::{
    PartialSchema, Path,
    openapi::{
        Content, InfoBuilder, LicenseBuilder, OpenApi, Ref, ResponseBuilder, SecurityRequirement,
        path::{HttpMethod, Operation, Paths},
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use super::problem::{Problem, ProblemJson};

/// What all paths of the API begin with.
pub(super) const API: &str = "/api/v1";
/// The security scheme of everything below [`API`].
const ADMIN: &str = "admin";

/// Declares operations: their description, and the routes that serve them. Each line names a
/// handler, its description, and the problems that it can answer with.
macro_rules! operations {
    ($name:ident { $($($module:ident)::+ => $described:path, $problems:expr;)* }) => {
        #[derive(utoipa::OpenApi)]
        #[openapi(paths($($($module)::+),*))]
        struct Described;

        /// The operations of this module.
        pub(in crate::http) fn $name(routes: &mut crate::http::openapi::Routes) {
            routes.describe(<Described as utoipa::OpenApi>::openapi());
            $(routes.add::<$described, _, _>($($module)::+, $problems);)*
        }
    };
}
pub(in crate::http) use operations;

/// Routes, and their description.
pub(super) struct Routes {
    resources: BTreeMap<String, (Vec<http::Method>, Resource)>,
    description: OpenApi,
    problems: Vec<(String, HttpMethod, &'static [u16])>,
}

impl Routes {
    pub(super) fn new() -> Self {
        let info = InfoBuilder::new()
            .title("cic-gateway")
            .version(env!("CARGO_PKG_VERSION"))
            .description(Some(
                "Provisioning and live state of the appliances of a cic-gateway. Errors are \
                 problem documents (RFC 9457).",
            ))
            .license(Some(
                LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build(),
            ))
            .build();
        let description = OpenApi::new(info, Paths::new());
        Self { resources: BTreeMap::new(), description, problems: Vec::new() }
    }

    /// Takes the description of operations.
    pub(super) fn describe(&mut self, described: OpenApi) {
        self.description.merge(described);
    }

    /// Serves an operation, which can answer with problems of these statuses.
    pub(super) fn add<P, H, A>(&mut self, handler: H, problems: &'static [u16])
    where
        P: Path,
        H: Handler<A>,
        A: FromRequest + 'static,
        H::Output: Responder + 'static,
    {
        let path = P::path();
        for method in P::methods() {
            let served = served(&method);
            self.problems.push((path.clone(), method, problems));
            let (mut methods, resource) = self
                .resources
                .remove(&path)
                .unwrap_or_else(|| (Vec::new(), web::resource(below_api(&path).unwrap_or(&path))));
            let route = web::method(served.clone()).to(handler.clone());
            methods.push(served);
            self.resources.insert(path.clone(), (methods, resource.route(route)));
        }
    }

    /// What to serve: everything below [`API`], for a scope of this name, and the rest.
    pub(super) fn into_resources(self) -> (Vec<Resource>, Vec<Resource>) {
        let resources = self.resources.into_iter();
        let resources = resources.map(|(path, (methods, resource))| {
            (below_api(&path).is_some(), resource.default_service(refuse(methods)))
        });
        let (api, rest): (Vec<_>, Vec<_>) = resources.partition(|(is_api, _)| *is_api);
        let bare = |list: Vec<(bool, Resource)>| list.into_iter().map(|(_, r)| r).collect();
        (bare(api), bare(rest))
    }

    /// The whole description, with what all operations share.
    pub(super) fn description(&self) -> OpenApi {
        let mut whole = self.description.clone();
        let components = whole.components.get_or_insert_default();
        components.schemas.insert("Problem".into(), ProblemJson::schema());
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(
            "`http.admin_token`. Without one configured, requests from this machine need none.",
        ));
        components.add_security_scheme(ADMIN, SecurityScheme::Http(bearer.build()));
        for (path, method, problems) in &self.problems {
            if let Some(operation) = operation(&mut whole, path, method) {
                complete(operation, below_api(path).is_some(), problems);
            }
        }
        whole
    }
}

fn below_api(path: &str) -> Option<&str> {
    path.strip_prefix(API)
}

fn complete(operation: &mut Operation, is_admins: bool, problems: &[u16]) {
    let mut statuses = problems.to_vec();
    if is_admins {
        let admin = SecurityRequirement::new(ADMIN, std::iter::empty::<String>());
        operation.security.get_or_insert_default().push(admin);
        statuses.push(401);
    }
    for status in statuses {
        let reason = StatusCode::from_u16(status).ok();
        let reason = reason.and_then(|status| status.canonical_reason()).unwrap_or("Problem");
        let content = Content::new(Some(Ref::from_schema_name("Problem")));
        let response =
            ResponseBuilder::new().description(reason).content("application/problem+json", content);
        operation.responses.responses.insert(status.to_string(), response.build().into());
    }
}

fn operation<'a>(
    whole: &'a mut OpenApi,
    path: &str,
    method: &HttpMethod,
) -> Option<&'a mut Operation> {
    let item = whole.paths.paths.get_mut(path)?;
    match method {
        HttpMethod::Get => item.get.as_mut(),
        HttpMethod::Post => item.post.as_mut(),
        HttpMethod::Delete => item.delete.as_mut(),
        _ => None,
    }
}

/// Answers a method that a path does not know.
pub(super) fn refuse(methods: Vec<http::Method>) -> actix_web::Route {
    let names: Vec<_> = methods.iter().map(http::Method::as_str).collect();
    let allow = header::HeaderValue::from_str(&names.join(", ")).ok();
    web::to(move |request: HttpRequest| {
        let detail = format!("{} is not answered here", request.method());
        let mut response = Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail).error_response();
        if let Some(allow) = allow.clone() {
            response.headers_mut().insert(header::ALLOW, allow);
        }
        std::future::ready::<HttpResponse>(response)
    })
}

fn served(method: &HttpMethod) -> http::Method {
    match method {
        HttpMethod::Post => http::Method::POST,
        HttpMethod::Delete => http::Method::DELETE,
        _ => http::Method::GET,
    }
}
