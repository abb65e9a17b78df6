use super::*;

fn from(toml: &str) -> Result<Config, String> {
    read(Some(("f.toml", toml)), []).map_err(|errors| errors.to_string())
}

fn env(pairs: &[(&str, &str)]) -> Result<Config, String> {
    let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    read(None, pairs).map_err(|errors| errors.to_string())
}

#[test]
fn the_defaults_are_those_of_the_contract() {
    let config = from("").unwrap();
    assert_eq!(config.cic.base_uri, "https://prod-ni-cic.clova.ai/");
    assert_eq!(config.cic.user_agent, "MyCompany/MyHub/1.0.0 (Linux 6;HomeHub)");
    assert_eq!(config.cic.ping_interval, Duration::from_secs(60));
    assert_eq!(config.cic.result_timeout, Duration::from_secs(4));
    assert_eq!(config.mqtt.topic_root, "cic/v1");
    assert_eq!(config.mqtt.adapters, ["native"]);
    assert!(!config.broker.enabled && config.store.migrate);
    assert_eq!(config.alerts.past_due_window, Duration::from_secs(1800));
    assert_eq!(config.http.listen, "127.0.0.1:8080".parse().unwrap());
    assert_eq!(config.limits.max_directive, 256 * 1024);
    assert_eq!(config.limits.max_attachment, 8 * 1024 * 1024);
}

#[test]
fn every_mistake_is_named_with_key_and_line() {
    let text = "[cic]\nping_intervall = \"60s\"\nlinger = \"soon\"\n\n[limits]\nmax_directive = \"1KB\"\n\
                [nonsense]\nx = 1\n[broker]\nenabled = \"maybe\"\n";
    let errors = from(text).unwrap_err();
    let lines: Vec<_> = errors.lines().collect();
    assert!(
        lines.contains(
            &"f.toml:2: cic.ping_intervall: unknown key; did you mean cic.ping_interval?"
        ),
        "{errors}"
    );
    assert!(errors.contains("f.toml:3: cic.linger: \"soon\" is no duration"), "{errors}");
    assert!(errors.contains("f.toml:6: limits.max_directive: \"1KB\" is no size"), "{errors}");
    assert!(errors.contains("f.toml:8: nonsense.x: unknown key"), "{errors}");
    assert!(errors.contains("f.toml:10: broker.enabled: \"maybe\" is no boolean"), "{errors}");
    assert_eq!(lines.len(), 5, "{errors}");
    assert!(from("[cic\n").unwrap_err().starts_with("f.toml:1: "));
}

#[test]
fn the_environment_wins_and_is_checked_alike() {
    let config = env(&[("CIC_GATEWAY__MQTT__URL", "mqtts://broker"), ("OTHER", "x")]).unwrap();
    assert_eq!(config.mqtt.url, "mqtts://broker");
    let errors = env(&[("CIC_GATEWAY__MQTT__ULR", "x")]).unwrap_err();
    assert_eq!(errors, "CIC_GATEWAY__MQTT__ULR: mqtt.ulr: unknown key; did you mean mqtt.url?");
}

#[test]
fn secrets_may_come_from_files_and_are_not_shown() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret");
    std::fs::write(&path, "s3cret\n").unwrap();
    let path = path.to_str().unwrap();
    let config = from(&format!("[auth]\nclient_secret_file = {path:?}\n")).unwrap();
    assert_eq!(config.auth.client_secret.expose(), "s3cret");
    assert!(!format!("{config:?}").contains("s3cret"));
    let both = format!("[auth]\nclient_secret_file = {path:?}\nclient_secret = \"x\"\n");
    assert!(from(&both).unwrap_err().contains("leave one out"));
    let config = env(&[("CIC_GATEWAY__HTTP__ADMIN_TOKEN_FILE", path)]).unwrap();
    assert_eq!(config.http.admin_token.expose(), "s3cret");
    assert!(from("[auth]\nclient_secret_file = \"/nonexistent\"\n").is_err());
}

#[test]
fn a_secret_in_the_environment_replaces_the_one_in_the_file_in_whatever_form() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    std::fs::write(path("env"), "from env file\n").unwrap();
    std::fs::write(path("toml"), "from toml file\n").unwrap();
    let (env_file, toml_file) = (path("env"), format!("password_file = {:?}", path("toml")));
    let (value, file) = ("CIC_GATEWAY__MQTT__PASSWORD", "CIC_GATEWAY__MQTT__PASSWORD_FILE");
    type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);
    let rows: [Row<'_>; 10] = [
        ("password = \"\"", &[(file, &env_file)], "from env file"),
        ("password = \"text\"", &[(file, &env_file)], "from env file"),
        (&toml_file, &[(file, &env_file)], "from env file"),
        (&toml_file, &[(value, "from env")], "from env"),
        (&toml_file, &[(value, "")], "from toml file"),
        (&toml_file, &[(value, ""), (file, "")], "from toml file"),
        ("password = \"text\"", &[(value, "")], "text"),
        ("password_file = \"\"", &[], ""),
        ("", &[(value, ""), (file, &env_file)], "from env file"),
        (&format!("password = \"\"\n{toml_file}"), &[], "from toml file"),
    ];
    for (toml, env, want) in rows {
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let config = read(Some(("f.toml", &format!("[mqtt]\n{toml}"))), env).unwrap();
        assert_eq!(config.mqtt.password.expose(), want, "{toml}");
    }
    assert!(env(&[(value, "x"), (file, &env_file)]).unwrap_err().contains("leave one out"));
}

#[test]
fn what_is_malformed_hides_no_other_mistake_and_makes_no_new_one() {
    let text = "[cic]\nlinger = \"soon\"\nuser_agent = \"x\"\n[http]\nlisten = \"here\"\n\
                [mqtt]\nurl = 7\ntopic_root = \"a/#\"\n[store]\nurl = \"postgres://x/y\"\n\
                secret_key_file = \"/nonexistent\"\n";
    let errors = from(text).unwrap_err();
    let keys: Vec<_> = errors.lines().map(|line| line.split(": ").nth(1).unwrap()).collect();
    let want = [
        "store.secret_key_file",
        "cic.linger",
        "http.listen",
        "cic.user_agent",
        "mqtt.url",
        "mqtt.topic_root",
    ];
    assert_eq!(keys, want, "{errors}");
    let broken = read(Some(("f", "[http\n")), [("CIC_GATEWAY__CIC__X".into(), "1".into())]);
    assert_eq!(broken.unwrap_err().0.len(), 2, "both are named, and nothing is said to be missing");
}

#[test]
fn meaning_is_checked_too() {
    let rows = [
        ("[cic]\nuser_agent = \"x\"", "cic.user_agent"),
        ("[cic]\nbase_uri = \"ftp://x\"", "cic.base_uri"),
        ("[auth]\nbase_uri = \"/relative\"", "auth.base_uri"),
        ("[mqtt]\nurl = \"http://x\"", "mqtt.url"),
        ("[mqtt]\ntopic_root = \"a/#\"", "mqtt.topic_root"),
        ("[mqtt]\ntopic_root = \"a//b\"", "mqtt.topic_root"),
        ("[mqtt]\nadapters = [\"hermes\"]", "mqtt.adapters"),
        ("[mqtt]\nca_file = \"/nonexistent\"", "mqtt.ca_file"),
        ("[http]\nlisten = \"0.0.0.0:80\"", "http.admin_token"),
        ("[store]\nurl = \"mysql://x\"", "store.url"),
        ("[store]\nurl = \"postgres://x/y\"", "store.secret_key"),
        ("[store]\nsecret_key = \"short\"", "store.secret_key"),
        ("[alerts]\noffline = \"perhaps\"", "alerts.offline"),
        ("[cic]\nping_interval = \"0s\"", "cic.ping_interval"),
        ("[alerts]\nring_timeout = \"0s\"", "alerts.ring_timeout"),
        ("[telemetry]\nlog = \"info==\"", "telemetry.log"),
        ("[profiles]\ndir = \"/nonexistent\"", "profiles.dir"),
        ("[profiles]\ntime_zone = \"Mars\"", "profiles.time_zone"),
    ];
    for (text, key) in rows {
        let errors = from(text).unwrap_err();
        assert!(errors.contains(&format!("{key}: ")), "{text}: {errors}");
    }
}

#[test]
fn what_can_be_turned_off_is_by_zero() {
    let config = from("[cic]\nlinger = \"0s\"\n[alerts]\npast_due_window = \"0s\"\n").unwrap();
    assert_eq!(config.cic.linger, Duration::ZERO);
    assert_eq!(config.alerts.past_due_window, Duration::ZERO);
}

#[test]
fn a_file_that_holds_something_else_is_named_with_its_key_and_line() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let made = rcgen::generate_simple_self_signed(["hub.local".to_owned()]).unwrap();
    let cert = write("cert.pem", &made.cert.pem());
    let key = write("key.pem", &made.signing_key.serialize_pem());
    let notes = write("notes.txt", "no PEM");
    for (name, file, problem) in [
        ("cic.ca_file", &notes, "holds no certificate"),
        ("auth.ca_file", &key, "holds no certificate"),
        ("mqtt.client_key_file", &cert, "no usable private key"),
    ] {
        let (section, name) = name.split_once('.').unwrap();
        let errors = from(&format!("[{section}]\n{name} = {file:?}\n")).unwrap_err();
        let start = format!("f.toml:2: {section}.{name}: {file}: ");
        assert!(errors.contains(&start) && errors.contains(problem), "{errors}");
    }
    from(&format!("[broker]\ncert_file = {cert:?}\nkey_file = {key:?}\n")).unwrap();
}

#[test]
fn every_mistake_in_a_profile_is_a_mistake_in_the_configuration() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("ac.toml"), "\nmodles = []\n").unwrap();
    std::fs::write(dir.path().join("tv.toml"), "[items.powr]\n[items.powe]\n").unwrap();
    let folder = dir.path().to_str().unwrap();
    let errors = from(&format!("[profiles]\ndir = {folder:?}\n")).unwrap_err();
    let lines: Vec<_> = errors.lines().collect();
    let start = format!("f.toml:2: profiles.dir: {folder}/ac.toml:2: unknown field `modles`");
    assert!(lines[0].starts_with(&start), "{errors}");
    assert!(lines[1].contains("/tv.toml:2: Device.DeviceState has no \"powe\""), "{errors}");
    assert_eq!(lines.len(), 3, "{errors}");
    assert_eq!(from("[profiles]\ndir = \"\"").unwrap().profiles.time_zone, "+09:00");
}

#[test]
fn the_reference_names_every_key() {
    let reference = reference();
    for name in ["`cic.base_uri`", "`CIC_GATEWAY__STORE__SECRET_KEY`", "`limits.max_attachment`"] {
        assert!(reference.contains(name), "{name}");
    }
    // Written anew with: UPDATE_DOCS=1 cargo test the_reference
    let page = format!("{}\n{reference}", include_str!("reference_head.md"));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write("docs/configuration.md", &page).unwrap();
    }
    assert_eq!(std::fs::read_to_string("docs/configuration.md").unwrap(), page);
}
