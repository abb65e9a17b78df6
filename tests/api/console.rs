//! What the console is made of. How it is used is tried in a browser by `.ci/console`.

use std::collections::BTreeSet;

use reqwest::{Method, Response};

use crate::house::House;

async fn fetch(house: &House, path: &str) -> Response {
    let url = format!("http://{}{path}", house.gateway.http_addr());
    house.http.get(url).send().await.unwrap()
}

/// Every text in double quotes that looks like a path of this server.
fn paths(text: &str) -> BTreeSet<String> {
    let quoted = text.split('"').skip(1).step_by(2);
    quoted.filter(|path| path.starts_with('/') && path.contains('.')).map(str::to_owned).collect()
}

#[actix_web::test]
async fn the_page_and_all_that_it_loads_come_from_the_gateway_without_the_token() {
    let house = House::build("s3cret").await;
    let (mut seen, mut wanted) = (BTreeSet::new(), BTreeSet::from(["/".to_owned()]));
    while let Some(path) = wanted.pop_first() {
        let response = fetch(&house, &path).await;
        assert_eq!(response.status(), 200, "{path}");
        let kind = match path.rsplit_once('.').map(|(_, ending)| ending) {
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("svg") => "image/svg+xml",
            Some("json") => "application/json",
            _ => "text/html; charset=utf-8",
        };
        assert_eq!(response.headers()["content-type"], kind, "{path}");
        seen.insert(path);
        let text = response.text().await.unwrap();
        assert!(!text.contains("s3cret") && !text.contains("https://"), "nothing from elsewhere");
        wanted.extend(paths(&text).difference(&seen).filter(|path| is_asset(path)).cloned());
    }
    assert!(seen.contains("/console/appliance.js") && seen.contains("/console.css"), "{seen:?}");
    house.gateway.stop().await;
}

fn is_asset(path: &str) -> bool {
    path.starts_with("/console") || path == "/openapi.json"
}

#[actix_web::test]
async fn the_browser_is_told_to_run_nothing_but_the_gateways_own_files() {
    let house = House::build("").await;
    for path in ["/", "/console.js", "/console.css", "/console/api.js"] {
        let response = fetch(&house, path).await;
        let header = |name: &str| response.headers()[name].to_str().unwrap();
        let policy = header("content-security-policy");
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "require-trusted-types-for 'script'",
        ] {
            assert!(policy.split("; ").any(|given| given == part), "{path}: {part}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("referrer-policy"), "no-referrer");
        assert_eq!(header("cross-origin-opener-policy"), "same-origin");
    }
    let page = fetch(&house, "/").await.text().await.unwrap();
    assert!(!page.contains("<style") && !page.contains("style=") && !page.contains(" on"));
    assert_eq!(
        page.matches("<script").count(),
        page.matches("<script type=\"module\" src=").count()
    );
    assert!(page.contains("name=\"viewport\""));
    house.gateway.stop().await;
}

#[actix_web::test]
async fn the_page_is_only_read() {
    let house = House::build("s3cret").await;
    let url = format!("http://{}/", house.gateway.http_addr());
    let response = house.http.request(Method::POST, url).send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["allow"]),
        (405, &"GET".parse().unwrap())
    );
    assert_eq!(fetch(&house, "/console/nothing.js").await.status(), 404);
    house.gateway.stop().await;
}
