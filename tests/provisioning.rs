//! What the commands for provisioning refuse.
#![allow(clippy::unwrap_used)]

mod support;

use support::cli::Cli;

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
