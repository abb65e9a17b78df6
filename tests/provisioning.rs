//! The commands for provisioning: what they refuse, and what they tell programs.
#![allow(clippy::unwrap_used)]

mod support;

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use serde_json::Value;
use support::cli::Cli;

/// What a command prints for programs.
fn json(cli: &Cli, args: &[&str]) -> Value {
    let output = cli.command(&[&["--format", "json"], args].concat()).output().unwrap();
    assert!(output.status.success(), "{args:?}: {output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn an_appliance_does_not_get_the_gateways_name_at_the_broker() {
    let cli = Cli::with("[mqtt]\nusername = \"hub\"\nclient_id = \"hub-1\"");
    for id in ["hub", "hub-1"] {
        let (code, text) = cli.run(&["appliance", "add", id]);
        assert_eq!(code, 1, "{text}");
        assert!(text.contains("mqtt.username or mqtt.client_id"), "{text}");
    }
    let (code, text) = cli.run(&["appliance", "add", "kitchen"]);
    assert_eq!(code, 0, "{text}");
}

#[test]
fn two_entries_of_one_name_are_not_exported() {
    let cli = Cli::with("");
    assert_eq!(cli.run(&["appliance", "add", "hub"]).0, 0);
    let export = ["broker", "export", "--mosquitto", "broker"];
    assert_eq!(cli.run(&export).0, 0);
    let before = std::fs::read_to_string(cli.path("broker/passwd")).unwrap();
    cli.configure("[mqtt]\nusername = \"hub\"");
    let (code, text) = cli.run(&export);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("hub") && text.contains("mqtt.username"), "{text}");
    assert_eq!(std::fs::read_to_string(cli.path("broker/passwd")).unwrap(), before);
}

#[test]
fn programs_are_told_what_was_migrated_and_exported() {
    let cli = Cli::with("");
    assert_eq!(json(&cli, &["migrate"])["store"], "up to date");
    json(&cli, &["appliance", "add", "kitchen"]);
    let export = ["broker", "export", "--mosquitto", "broker"];
    let exported = json(&cli, &export);
    assert_eq!(exported["appliances"], 1);
    assert_eq!(
        (&exported["dir"], &exported["mqttUser"]),
        (&"broker".into(), &"cic-gateway".into())
    );
    let password = exported["mqttPassword"].as_str().unwrap();
    assert!(!password.is_empty());
    cli.configure(&format!("[mqtt]\npassword = {password:?}"));
    assert!(json(&cli, &export).get("mqttPassword").is_none(), "it is configured: not shown");
}

#[test]
fn an_appliance_is_paired_with_what_the_simulated_clova_tells_programs() {
    let cli = Cli::with("");
    let mut command = cli.command(&["simulate", "cic", "--format", "json", "--ca-out", "ca.pem"]);
    command.args(["--listen", "127.0.0.1:0", "--auth-listen", "127.0.0.1:0"]);
    let mut clova = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(clova.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let told: Value = serde_json::from_str(&line).unwrap();
    cli.configure(&format!(
        "[cic]\nbase_uri = {}\n[auth]\nbase_uri = {}\nca_file = {}\nclient_id = \"x\"\n\
         client_secret = \"x\"",
        told["cicUri"], told["authUri"], told["caFile"]
    ));
    json(&cli, &["appliance", "add", "kitchen"]);
    let code = told["code"].as_str().unwrap();
    let paired = json(&cli, &["appliance", "pair", "kitchen", "--code", code]);
    clova.kill().unwrap();
    clova.wait().unwrap();
    assert_eq!(paired["paired"], true);
}
