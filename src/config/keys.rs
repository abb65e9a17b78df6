//! The table of all keys, and the reference made from it.

/// What a key's text must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Secret,
    Bool,
    Duration,
    Size,
    Count,
    Ratio,
    Addr,
    List,
}

/// One key.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) section: &'static str,
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) default: &'static str,
    pub(super) doc: &'static str,
}

impl Key {
    pub(super) fn full_name(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }

    pub(super) fn environment(&self) -> String {
        let (section, name) = (self.section.to_uppercase(), self.name.to_uppercase());
        format!("CIC_GATEWAY__{section}__{name}")
    }
}

macro_rules! keys {
    ($($section:ident { $($name:ident: $kind:ident = $default:expr, $doc:literal;)* })*) => {
        pub(super) const KEYS: &[Key] = &[$($(Key {
            section: stringify!($section),
            name: stringify!($name),
            kind: Kind::$kind,
            default: $default,
            doc: $doc,
        },)*)*];
    };
}

keys! {
    cic {
        base_uri: Text = "https://prod-ni-cic.clova.ai/", "Where CIC is. `http://` means HTTP/2 with prior knowledge, for tests.";
        ca_file: Text = "", "Extra trust anchor (PEM file).";
        user_agent: Text = "MyCompany/MyHub/1.0.0 (Linux 6;HomeHub)", "`Manufacturer/Product/1.0.0 (OS;Hardware)`, as registered with CLOVA; checked against CIC's grammar.";
        ping_interval: Duration = "60s", "Time between HTTP/2 PINGs.";
        ping_timeout: Duration = "10s", "How long a PING's acknowledgement is waited for.";
        connect_timeout: Duration = "10s", "How long connecting may take, and then the hello.";
        result_timeout: Duration = "4s", "How long an appliance may take to answer a control directive.";
        linger: Duration = "60s", "How long a session outlives its appliance's last sign of life; `0s`: not at all.";
    }
    auth {
        base_uri: Text = "https://auth.clova.ai/", "Where the auth API is.";
        ca_file: Text = "", "Extra trust anchor (PEM file).";
        client_id: Text = "", "The client id that CLOVA issued to this product.";
        client_secret: Secret = "", "Its secret.";
    }
    mqtt {
        url: Text = "mqtt://127.0.0.1:1883", "The broker; `mqtts://` for TLS. Not used with `broker.enabled`.";
        topic_root: Text = "cic/v1", "What all topics begin with.";
        client_id: Text = "cic-gateway", "MQTT client id; names the persistent session.";
        username: Text = "", "User name at the broker.";
        password: Secret = "", "Password at the broker.";
        ca_file: Text = "", "Extra trust anchor (PEM file).";
        client_cert_file: Text = "", "Client certificate (PEM file).";
        client_key_file: Text = "", "Its key (PEM file).";
        adapters: List = "native", "Payload dialects.";
    }
    broker {
        enabled: Bool = "false", "Run the embedded broker; its users are the provisioned appliances.";
        listen: Addr = "127.0.0.1:1883", "Where it listens.";
        data_dir: Text = "cic-gateway-broker", "Where it keeps retained messages and sessions.";
        cert_file: Text = "", "Certificate (PEM file, the broker's own first), for TLS. The gateway's own connection trusts just this one, whatever its names.";
        key_file: Text = "", "Its key (PEM file).";
    }
    profiles {
        dir: Text = "", "Where more appliance profiles (`*.toml`) are.";
        time_zone: Text = "+09:00", "Local time of appliances that report none and whose profile names no zone: an offset, or a name such as `Asia/Seoul`.";
    }
    store {
        url: Text = "sqlite://cic-gateway.db", "`sqlite://FILE` or `postgres://user:pass@host/db`.";
        migrate: Bool = "true", "Bring the schema up to date at start.";
        secret_key: Secret = "", "Seals tokens: 32 bytes in base64. Made and kept beside a SQLite file when empty; required with PostgreSQL.";
    }
    alerts {
        offline: Text = "keep", "`keep`: alerts ring without CIC; `forget`: they are dropped on disconnection.";
        past_due_window: Duration = "30m", "An alert missed by less than this still rings; `0s`: none does. One that is late by less than 2 s was not missed.";
        ring_timeout: Duration = "1h", "An alert that nobody stops ends after this.";
    }
    http {
        listen: Addr = "127.0.0.1:8080", "Where health and metrics are.";
        admin_token: Secret = "", "Required when `http.listen` is not loopback.";
    }
    telemetry {
        log: Text = "info", "Log filter, for example `info` or `warn,cic_gateway=debug`.";
        otlp_endpoint: Text = "", "Where traces go: an OTLP/HTTP collector, for example `http://127.0.0.1:4318`. Empty: none are made.";
        otlp_ratio: Ratio = "1.0", "Which part of the dialogues is traced, 0 to 1. Those whose `traceparent` says so always are.";
    }
    limits {
        max_appliances: Count = "20000", "Provisioned appliances of one gateway.";
        max_utterance: Duration = "60s", "Longest utterance.";
        max_directive: Size = "256KiB", "Largest directive.";
        max_attachment: Size = "8MiB", "Largest attachment.";
    }
}

/// All keys as a Markdown table, for `docs/configuration.md`.
pub fn reference() -> String {
    let mut text = String::from("| key | default | environment | meaning |\n|---|---|---|---|\n");
    for key in KEYS {
        let default = match (key.kind, key.default) {
            (Kind::Bool | Kind::Count | Kind::Ratio, value) => format!("`{value}`"),
            (Kind::List, value) => format!("`[\"{value}\"]`"),
            (_, value) => format!("`\"{value}\"`"),
        };
        let (name, environment) = (key.full_name(), key.environment());
        text += &format!("| `{name}` | {default} | `{environment}` | {} |\n", key.doc);
    }
    text
}
