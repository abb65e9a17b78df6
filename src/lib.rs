//! cic-gateway connects home appliances that speak plain MQTT to NAVER's assistant CLOVA over
//! CIC (Clova Interface Connect): one HTTP/2 connection an appliance, events up, directives down.
//!
//! The path of a spoken sentence, which is also the map of the code:
//!
//! ```text
//! appliance --MQTT--> broker --> mqtt::link --> shard --> appliance::actor --> mqtt::native (decode)
//!                                                              |
//!                                                       appliance::core (sans-IO)
//!                                                              |
//!                                            cic::session (one h2 connection) <--> CIC
//!                                                              |
//!                                                       appliance::core
//!                                                              |
//! appliance <--MQTT-- broker <-- mqtt::link <-- mqtt::native (encode)
//! ```
//!
//! | module | what it is for |
//! |---|---|
//! | [`app`] | the wiring: builds a gateway from a configuration, stops it in reverse |
//! | [`cli`] | one file a command |
//! | [`config`] | every configuration key, its default and its checks |
//! | [`mqtt`] | the appliances' edge: topics, link, payloads, embedded broker |
//! | [`appliance`] | one actor an appliance, and the pure core it runs |
//! | [`profile`] | what a model of appliance has and can do, and its own JSON |
//! | [`cic`] | the cloud's edge: session, link policy, multipart, messages, tokens |
//! | [`shard`] | the unit of ownership: which appliances are ours, and who routes to them |
//! | [`store`] | appliances and sealed tokens in SQLite or PostgreSQL |
//! | [`provisioning`] | adding, pairing and removing appliances |
//! | [`http`] | health, metrics and the API |
//! | [`telemetry`] | logs, and every metric |
//! | [`notify`] | words to systemd: up, alive, ending |
//! | [`sim`] | the simulated CIC, auth server and appliance that we ship |
//! | [`clock`], [`ids`], [`secret`] | the only source of now, the names of things, text that must not be printed |

pub mod app;
pub mod appliance;
pub mod cic;
pub mod cli;
pub mod clock;
pub mod config;
pub mod http;
pub mod ids;
pub mod mqtt;
pub mod notify;
pub mod profile;
pub mod provisioning;
pub mod secret;
pub mod shard;
pub mod sim;
pub mod store;
pub mod telemetry;
