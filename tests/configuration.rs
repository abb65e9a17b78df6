//! The configuration as the program finds it on a real machine.
#![allow(clippy::unwrap_used)]

mod support;

use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

use support::cli::{Cli, shown};

#[test]
fn a_variable_that_is_no_text_disturbs_only_if_it_is_ours() {
    let cli = Cli::with("");
    let no_text = OsStr::from_bytes(b"\xff\xfe");
    let mut foreign = cli.command(&["check", "--offline"]);
    foreign.env("SOMETHING", no_text).env(no_text, "x");
    let (code, text) = shown(&foreign.output().unwrap());
    assert_eq!(code, 0, "{text}");
    let mut own = cli.command(&["check", "--offline"]);
    own.env("CIC_GATEWAY__MQTT__URL", no_text).env("CIC_GATEWAY__CIC__LINGER", "soon");
    let (code, text) = shown(&own.output().unwrap());
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("CIC_GATEWAY__MQTT__URL: mqtt.url: is not UTF-8"), "{text}");
    assert!(text.contains("cic.linger"), "{text}");
}

#[test]
fn a_password_file_of_the_environment_replaces_an_empty_password() {
    let cli = Cli::with("[mqtt]\npassword = \"\"");
    std::fs::write(cli.path("password"), "s3cret\n").unwrap();
    let mut check = cli.command(&["check", "--offline"]);
    check.env("CIC_GATEWAY__MQTT__PASSWORD_FILE", cli.path("password"));
    let (code, text) = shown(&check.output().unwrap());
    assert_eq!(code, 0, "{text}");
}

#[test]
fn check_finds_what_run_would_fail_at() {
    let cli = Cli::with("[telemetry]\nlog = \"info==\"");
    for command in [&["check", "--offline"][..], &["run"]] {
        let (code, text) = cli.run(command);
        assert_eq!(code, 1, "{text}");
        assert!(text.contains("gateway.toml:2: telemetry.log: "), "{command:?}: {text}");
    }
}

#[test]
fn check_doubts_a_collector_at_the_port_of_another_protocol() {
    let cli = Cli::with("[telemetry]\notlp_endpoint = \"http://collector:4317\"");
    let (code, text) = cli.run(&["check", "--offline"]);
    assert_eq!(code, 0, "{text}");
    let warning = text.lines().find(|line| line.starts_with("warn ")).expect(&text);
    assert!(warning.contains("telemetry.otlp_endpoint") && warning.contains("4318"), "{warning}");
}

#[test]
fn the_configuration_of_the_home_hub_in_the_documentation_is_one() {
    let page = include_str!("../docs/deployment.md");
    let (_, rest) = page.split_once("```toml\n").unwrap();
    let (shown_there, _) = rest.split_once("```").unwrap();
    let cli = Cli::with("");
    std::fs::write(cli.path("client-secret"), "s3cret\n").unwrap();
    let here = cli.dir.path().display().to_string();
    let text = shown_there.replace("/etc/cic-gateway", &here);
    std::fs::write(cli.path("gateway.toml"), text).unwrap();
    let (code, text) = cli.run(&["check", "--offline"]);
    assert_eq!(code, 0, "{text}");
}
