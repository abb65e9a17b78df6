//! What is wrong with a profile, and where.

use super::*;

fn mistakes(text: &str) -> Vec<String> {
    let error = Profile::parse("p.toml", text).map(|_| ()).unwrap_err();
    error.0.iter().map(Mistake::to_string).collect()
}

#[test]
fn every_mistake_is_named_with_its_line() {
    let text = r#"models = ["X"]
time_zone = "Mars"
base = "toaster"
[contexts."Device.Display"]
size = "huge"
sise = "none"
[contexts."Device.Dsplay"]
[items.powr]
actions = []
[items.volume]
actions = ["TurnOn"]
step = 0
[[state]]
topic = "up/state"
to = "power"
[[state]]
topic = "up/x/a/#"
to = "power.state"
map = { on = "activ" }
[[command]]
directive = "TurnOn"
target = "power"
topic = "down/directive"
payload = '{"a": {value}}'
expect = { state = "power.state", value = "on" }
[[command]]
directive = "TurnOn"
target = "power"
topic = "down/x/a"
payload = "{valeu}"
expect = "perhaps"
"#;
    let want = [
        ("3", "base \"toaster\" is not shipped; there are air-conditioner,"),
        ("2", "\"Mars\" is no time zone"),
        ("4", "Device.Display.size must be one of"),
        ("4", "Device.Display has no \"sise\""),
        ("7", "Device.Dsplay is no context"),
        ("8", "Device.DeviceState has no \"powr\""),
        ("10", "items.volume.step must be an integer above 0"),
        ("10", "Device.DeviceState.volume.actions can only have Decrease"),
        ("15", "Device.DeviceState.power is an object; name one of actions, state"),
        ("14", "topic \"up/state\" must be up/x/NAME, without + and #"),
        ("17", "topic \"up/x/a/#\" must be"),
        ("24", "write JSON as TOML, as payload ="),
        ("25", "Device.DeviceState.power.state must be one of active, idle"),
        ("23", "topic \"down/directive\" must be down/x/NAME"),
        ("30", "there is no {valeu}; there are {value}"),
        ("31", "expect must be \"sent\", {"),
    ];
    let found = mistakes(text);
    for (line, problem) in want {
        let start = format!("p.toml:{line}: {problem}");
        assert!(found.iter().any(|mistake| mistake.starts_with(&start)), "{start}: {found:#?}");
    }
    assert_eq!(found.len(), want.len(), "{found:#?}");
}

#[test]
fn a_value_that_a_map_can_never_give_is_a_mistake() {
    let text = "[items.power]\nactions = []\n[[state]]\ntopic = \"up/x/a\"\nto = \"power.state\"\n\
                map = { on = \"activ\" }";
    let want = "p.toml:6: Device.DeviceState.power.state must be one of active, idle";
    assert_eq!(mistakes(text), [want]);
}

#[test]
fn an_unknown_key_is_named_with_its_line() {
    let rows = [
        ("modles = []", "p.toml:1: unknown field `modles`"),
        (
            "\n[[state]]\ntopic = \"up/x/a\"\nto = \"power.state\"\nform = \"a\"",
            "p.toml:5: unknown",
        ),
        ("\n[[command]]\ntopic = \"down/x/a\"", "p.toml:2: missing field `directive`"),
        ("models = \"X\"", "p.toml:1: invalid type"),
        ("[items", "p.toml:1: "),
    ];
    for (text, want) in rows {
        let found = mistakes(text);
        assert!(found.len() == 1 && found[0].starts_with(want), "{want}: {found:?}");
    }
}

#[test]
fn what_could_never_work_is_a_mistake() {
    let items =
        "[items.power]\nactions = [\"TurnOn\"]\n[items.channel]\nactions = [\"Increase\"]\n";
    let command = |directive: &str, target: &str, payload: &str| {
        format!(
            "{items}[[command]]\ndirective = {directive}\n{target}\ntopic = \"down/x/a\"\n\
             payload = {payload}\nexpect = \"sent\"\n"
        )
    };
    let power = "target = \"power\"";
    let twice = command("\"TurnOn\"", power, "1");
    let twice = format!("{twice}{}", twice.strip_prefix(items).unwrap());
    let rows = [
        (command("\"TurnUp\"", power, "1"), "TurnUp power: there is no such directive"),
        (command("\"TurnOn\"", "", "1"), "TurnOn: its target must be one of airplane"),
        (command("\"BtRescan\"", power, "1"), "BtRescan power: it has no target"),
        (
            command("[\"TurnOn\", \"TurnOff\"]", power, "1"),
            "TurnOff power: CLOVA will not ask for it unless [items.power] has it",
        ),
        (command("\"TurnOn\"", power, "\"{value}\""), "TurnOn power: it has no {value}"),
        (command("\"TurnOn\"", power, "\"{step}\""), "TurnOn power: it has no {step}"),
        (
            command("\"Increase\"", "target = \"channel\"", "\"{value}\""),
            "Increase channel: nobody knows the present channel; use {step}",
        ),
        (twice, "TurnOn power: there is a command for it already"),
    ];
    for (text, want) in rows {
        let found = mistakes(&text);
        assert!(found.len() == 1 && found[0].contains(want), "{want}: {found:?}");
    }
    assert!(Profile::parse("p", &command("\"BtRescan\"", "", "1")).is_ok());
}

#[test]
fn what_is_mapped_must_add_up_to_something_that_can_be_sent() {
    let text = "[[state]]\ntopic = \"up/x/a\"\nto = \"volume.value\"\n\
                [[state]]\ntopic = \"up/x/b\"\nto = \"volume.min\"\n\
                [[state]]\ntopic = \"up/x/b\"\nto = \"Speaker.VolumeState.volume\"\n\
                [items.volume]\nactions = []";
    let found = mistakes(text);
    let of_no_use = |missing: &str| {
        found.iter().any(|mistake| mistake.contains(&format!("is of no use without {missing}:")))
    };
    assert!(of_no_use("Device.DeviceState.volume.max"), "{found:?}");
    assert!(of_no_use("Speaker.VolumeState.muted"), "{found:?}");
    assert_eq!(found.len(), 2, "{found:?}");
}
