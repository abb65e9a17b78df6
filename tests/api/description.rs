//! The description tells the truth: about the routes, and about the statuses of every answer that
//! any test of this program gets.

use std::{collections::BTreeSet, net::SocketAddr};

use reqwest::{Client, Method, header};
use serde_json::{Map, Value};

use crate::house::House;

/// `/openapi.json`.
pub struct Description(Value);

impl Description {
    pub async fn read(http: &Client, addr: SocketAddr) -> Self {
        let answer = http.get(format!("http://{addr}/openapi.json")).send().await.unwrap();
        Self(answer.json().await.unwrap())
    }

    /// Fails unless this answer is described. What is at no path is no business of it.
    pub fn expect(&self, method: &Method, path: &str, status: u16) {
        let path = path.split('?').next().unwrap_or_default();
        let Some((_, item)) = self.paths().iter().find(|(known, _)| fits(known, path)) else {
            return assert_eq!(status, 404, "{method} {path}");
        };
        match item.get(method.as_str().to_lowercase()) {
            None => assert_eq!(status, 405, "{method} {path}"),
            Some(operation) => {
                let known = operation["responses"].get(status.to_string());
                assert!(known.is_some(), "{method} {path} answers {status}, which is undescribed");
            }
        }
    }

    fn paths(&self) -> &Map<String, Value> {
        self.0["paths"].as_object().unwrap()
    }
}

fn fits(template: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    let same = wanted
        .by_ref()
        .zip(given.by_ref())
        .all(|(wanted, given)| wanted.starts_with('{') || wanted == given);
    same && template.split('/').count() == path.split('/').count()
}

#[actix_web::test]
async fn it_is_complete_and_its_paths_answer_exactly_its_methods() {
    let house = House::build("s3cret").await;
    let description = &house.description;
    assert_eq!(description.0["openapi"], "3.1.0");
    let paths: Vec<_> = description.paths().keys().map(String::as_str).collect();
    let wanted = [
        "/api/v1/appliances",
        "/api/v1/appliances/{id}",
        "/api/v1/appliances/{id}/alerts",
        "/api/v1/appliances/{id}/alerts/{token}/stop",
        "/api/v1/appliances/{id}/pair",
        "/api/v1/appliances/{id}/text",
        "/api/v1/events",
        "/api/v1/fleet",
        "/healthz",
        "/metrics",
        "/openapi.json",
        "/readyz",
    ];
    assert_eq!(paths, wanted);
    for (path, item) in description.paths() {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            let url = format!("http://{}{path}", house.gateway.http_addr());
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let request = house.http.request(method.clone(), url).bearer_auth(house.token);
            let response = request.send().await.unwrap();
            let described = item.get(method.as_str().to_lowercase()).is_some();
            assert_eq!(response.status() != 405, described, "{method} {path}");
            if !described {
                let allow = response.headers()[header::ALLOW].to_str().unwrap();
                let allowed: BTreeSet<_> = allow.split(", ").map(str::to_lowercase).collect();
                assert_eq!(allowed, item.as_object().unwrap().keys().cloned().collect());
            }
        }
    }
    house.gateway.stop().await;
}

#[actix_web::test]
async fn what_needs_the_token_says_so_and_every_reference_leads_somewhere() {
    let house = House::build("s3cret").await;
    let Description(whole) = &house.description;
    for (path, item) in house.description.paths() {
        for (method, operation) in item.as_object().unwrap() {
            let admin = operation["security"][0].get("admin").is_some();
            assert_eq!(admin, path.starts_with("/api/"), "{method} {path}");
            assert_eq!(operation["responses"].get("401").is_some(), admin, "{method} {path}");
        }
    }
    let text = whole.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(whole.pointer(pointer).is_some(), "{pointer}");
    }
    house.gateway.stop().await;
}
