//! The console at `/`: a page for people, and what it is made of. The page needs no token; its
//! data come from the API, which does.
//!
//! There is no build step: the browser gets `assets/console` as it is, from this program.

use actix_web::{
    HttpResponse,
    http::{Method, header},
    web,
};

/// Everything comes from here, and nothing is inline.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types";

/// A file of the console.
struct Asset {
    path: &'static str,
    media_type: &'static str,
    body: &'static str,
}

macro_rules! assets {
    ($($path:literal $media_type:literal $file:literal;)*) => {
        const ASSETS: &[Asset] = &[$(Asset {
            path: $path,
            media_type: $media_type,
            body: include_str!(concat!("../../assets/console/", $file)),
        },)*];
    };
}

assets! {
    "/" "text/html; charset=utf-8" "index.html";
    "/console.css" "text/css; charset=utf-8" "console.css";
    "/console.svg" "image/svg+xml" "console.svg";
    "/console.js" "text/javascript; charset=utf-8" "console.js";
    "/console/api.js" "text/javascript; charset=utf-8" "api.js";
    "/console/dom.js" "text/javascript; charset=utf-8" "dom.js";
    "/console/fleet.js" "text/javascript; charset=utf-8" "fleet.js";
    "/console/appliance.js" "text/javascript; charset=utf-8" "appliance.js";
    "/console/story.js" "text/javascript; charset=utf-8" "story.js";
}

/// The routes of the console.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    for asset in ASSETS {
        let serve = move || std::future::ready(serve(asset));
        let resource = web::resource(asset.path).route(web::get().to(serve));
        config.service(resource.default_service(super::openapi::refuse(vec![Method::GET])));
    }
}

fn serve(asset: &Asset) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(asset.media_type)
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header(("cross-origin-opener-policy", "same-origin"))
        .insert_header(("cross-origin-resource-policy", "same-origin"))
        // A new version of the program brings a new console.
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(asset.body)
}
