//! What must hold after a kill.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use cic_gateway::{
    appliance::{
        alerts::{Alert, Phase},
        ledger::Kept,
    },
    sim::cic::{AlertStage, CloudAlert},
};

use crate::{
    LIMIT,
    world::{Home, Key, Log, World},
};

/// Alerts that each device has confirmed and nobody has touched.
pub type Confirmed = Vec<BTreeMap<String, CloudAlert>>;

fn key(alert: &CloudAlert) -> Key {
    (alert.token.clone(), alert.scheduled_time.clone())
}

/// Whether it is still to ring, or rings.
fn lives(alert: &&Arc<Alert>) -> bool {
    matches!(alert.phase, Phase::Set | Phase::Ringing)
}

impl World {
    /// What CIC relies on.
    pub fn confirmed(&self) -> Confirmed {
        let of = |home: &Home| {
            let log = home.log();
            let alerts = self.site.cic.alerts(home.device()).into_iter();
            let relied_on = alerts.filter(|alert| {
                let stage = matches!(alert.stage, AlertStage::Set | AlertStage::Ringing);
                stage && alert.confirmed && !log.touched.contains(&alert.token)
            });
            relied_on.map(|alert| (alert.token.clone(), alert)).collect()
        };
        self.homes.iter().map(of).collect()
    }

    /// What of it the cloud still has, just so.
    pub fn still(&self, mut confirmed: Confirmed) -> Confirmed {
        for (alerts, now) in confirmed.iter_mut().zip(self.confirmed()) {
            alerts.retain(|token, alert| now.get(token).is_some_and(|now| key(now) == key(alert)));
        }
        confirmed
    }

    async fn kept(&self) -> Vec<Kept> {
        let mut all = self.store.kept().await.unwrap();
        self.homes.iter().map(|home| all.remove(&home.known.id).unwrap_or_default()).collect()
    }

    /// 1. What was confirmed is in the store.
    pub async fn check_store(&mut self, confirmed: &Confirmed) {
        for ((kept, confirmed), home) in self.kept().await.iter().zip(confirmed).zip(&self.homes) {
            for alert in confirmed.values() {
                let mut living = kept.alerts.iter().filter(|kept| kept.phase != Phase::Deleted);
                let found = living.find(|kept| kept.token.as_str() == alert.token);
                let found = found.map(|kept| kept.scheduled_time.to_string());
                let lost = || {
                    let story = home.log().story(&alert.token);
                    format!("{alert:?} is lost: {kept:#?}\n{story}\nsee {}", self.place())
                };
                assert_eq!(found.as_ref(), Some(&alert.scheduled_time), "{}", lost());
                self.checked += 1;
            }
        }
    }

    /// 2. What is in the store is announced.
    pub async fn check_announcements(&self) {
        let kept = self.kept().await;
        for (home, kept) in self.homes.iter().zip(kept) {
            let live = kept.alerts.iter().filter(lives);
            let wanted: BTreeSet<Key> =
                live.map(|a| (a.token.to_string(), a.scheduled_time.to_string())).collect();
            let missing = || {
                let log = home.log();
                let missing = wanted.iter().filter(|key| !log.announced.contains(*key));
                let missing = missing.filter(|(token, _)| !log.may_end(token));
                missing.map(|(token, _)| log.story(token)).collect::<Vec<_>>().join("\n\n")
            };
            let told = async {
                while !missing().is_empty() {
                    home.hear().await;
                }
            };
            let told = tokio::time::timeout(LIMIT, told).await;
            assert!(told.is_ok(), "not announced:\n{}\nsee {}", missing(), self.place());
        }
    }

    /// 3. All three agree.
    pub async fn settled(&self) {
        let channels = self.site.cic.wait_for_channels(self.homes.len(), LIMIT).await;
        assert!(channels, "all are connected again, see {}", self.place());
        let end = tokio::time::Instant::now() + LIMIT;
        loop {
            let late = tokio::time::Instant::now() > end;
            let mut differences = Vec::new();
            for (home, kept) in self.homes.iter().zip(self.kept().await) {
                differences.extend(self.difference(home, &kept, late).await);
            }
            if differences.is_empty() {
                return;
            }
            assert!(!late, "{differences:#?}\nafter {} kills, see {}", self.kills, self.place());
            self.homes[0].hear().await;
        }
    }

    /// Where cloud, store and appliance differ.
    async fn difference(&self, home: &Home, kept: &Kept, tell: bool) -> Option<String> {
        let held = home.appliance.alerts().await;
        let cloud = self.site.cic.alerts(home.device());
        let live = || kept.alerts.iter().filter(lives);
        let ringing = || kept.alerts.iter().filter(|alert| alert.phase == Phase::Ringing);
        let in_cloud: BTreeSet<Key> = cloud.iter().map(key).collect();
        let in_store: BTreeSet<Key> =
            live().map(|a| (a.token.to_string(), a.scheduled_time.to_string())).collect();
        let in_hand: BTreeSet<Key> =
            held.iter().map(|(token, a)| (token.clone(), a.scheduled_time.clone())).collect();
        let rings_in_cloud: BTreeSet<_> = cloud
            .iter()
            .filter(|alert| alert.stage == AlertStage::Ringing)
            .map(|alert| alert.token.clone())
            .collect();
        let rings_in_store: BTreeSet<_> = ringing().map(|alert| alert.token.to_string()).collect();
        let rings_in_hand: BTreeSet<_> = held
            .iter()
            .filter(|(_, alert)| alert.ringing)
            .map(|(token, _)| token.clone())
            .collect();
        let absorbed = home.log().absorbed.clone();
        let rings_in_hand: BTreeSet<_> = rings_in_hand.union(&absorbed).cloned().collect();
        // One that was stopped and has an heir of another token may stay until the next list.
        let in_hand: BTreeSet<Key> = in_hand
            .into_iter()
            .filter(|(token, _)| {
                let stopped = |alert: &Arc<Alert>| {
                    alert.phase == Phase::Stopped && alert.token.as_str() == token
                };
                !kept.alerts.iter().any(stopped)
            })
            .collect();
        let owes = kept.outbox.iter().map(|(_, event)| event.name.to_string()).collect::<Vec<_>>();
        // One that was changed while the process was dead may have been forgotten with it.
        let unreported: Vec<Key> = {
            let log = home.log();
            let unreported = self.unreported(home.device(), &log);
            unreported.filter(|(token, _)| !log.touched.contains(token)).cloned().collect()
        };
        let deleting = cloud.iter().any(|alert| alert.stage == AlertStage::Deleting);
        let agree = in_cloud == in_store
            && in_store == in_hand
            && rings_in_cloud == rings_in_store
            && rings_in_store == rings_in_hand
            && owes.is_empty()
            && unreported.is_empty()
            && !deleting;
        let lists = [("cloud", &in_cloud), ("store", &in_store), ("appliance", &in_hand)];
        let only = |own: &BTreeSet<Key>| -> Vec<Key> {
            own.iter().filter(|key| !lists.iter().all(|(_, l)| l.contains(*key))).cloned().collect()
        };
        let has = lists.map(|(name, list)| (name, only(list)));
        (!agree).then(|| {
            if !tell {
                return String::new();
            }
            let rings = [rings_in_cloud, rings_in_store, rings_in_hand];
            let id = &home.known.id;
            let everywhere = |token: &&String| rings.iter().all(|list| list.contains(*token));
            let odd_rings = rings.iter().flatten().filter(|token| !everywhere(token));
            let odd = has.iter().flat_map(|(_, l)| l).map(|key| &key.0).chain(odd_rings);
            let odd = odd.chain(unreported.iter().map(|key| &key.0));
            let odd: BTreeSet<_> = odd.collect();
            let log = home.log();
            for token in odd {
                let place = |list: &BTreeSet<String>| list.contains(token);
                let rings = rings.each_ref().map(place);
                let rows = kept.alerts.iter().filter(|alert| alert.token.as_str() == *token);
                println!(
                    "{} gone; {:?}",
                    kept.alerts.iter().filter(|a| a.phase == Phase::Deleted).count(),
                    rows.collect::<Vec<_>>()
                );
                println!(
                    "{id} {token} rings in cloud, store, hand: {rings:?}\n{}",
                    log.story(token)
                );
            }
            format!("{id} has not everywhere {has:?}, owes {owes:?}, deleting {deleting}")
        })
    }

    /// 4. What nobody has touched is still there.
    pub fn check_untouched(&self, confirmed: &Confirmed) {
        for (home, confirmed) in self.homes.iter().zip(confirmed) {
            let now: BTreeSet<Key> = self.site.cic.alerts(home.device()).iter().map(key).collect();
            let log = home.log();
            let gone = confirmed.values().filter(|alert| !now.contains(&key(alert)));
            let gone: Vec<_> = gone.filter(|alert| !log.touched.contains(&alert.token)).collect();
            assert!(gone.is_empty(), "{gone:#?} vanished, see {}", self.place());
        }
    }

    /// What rang and was never reported.
    fn unreported<'a>(&self, device: &str, log: &'a Log) -> impl Iterator<Item = &'a Key> {
        let seen = self.site.cic.occurrences(device).into_iter();
        let started = seen.filter(|seen| seen.started);
        let started: BTreeSet<Key> =
            started.map(|seen| (seen.token, seen.scheduled_time)).collect();
        log.rung.iter().filter(move |key| !started.contains(*key) && !log.excused.contains(*key))
    }

    /// 5. and 6. What rang was reported, once.
    pub fn check_reports(&mut self) {
        let refusals = self.site.cic.refusals();
        let wrong = |why: &str| !why.contains("used before");
        let wrong: Vec<_> = refusals.iter().filter(|refusal| wrong(&refusal.why)).collect();
        assert!(wrong.is_empty(), "{wrong:#?}\nsee {}", self.place());
        self.repeated = refusals.len();
        for home in &self.homes {
            let mut log = home.log();
            let rung: BTreeSet<&Key> = log.rung.iter().collect();
            assert_eq!(rung.len(), log.rung.len(), "an occurrence rang twice");
            let excused: Vec<_> = self.unreported(home.device(), &log).cloned().collect();
            log.excused.extend(excused);
        }
    }
}
